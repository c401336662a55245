//! The way to Microsoft: both hosts, each on its own, and the document that ties them together.

use std::time::Duration;

use super::{host, skipped, within};
use crate::{
    domain::{
        connection::Connection,
        work::doctor::{Check, Finding, Grade, NoConnection, Who},
    },
    http::{Http, Limits},
    sign_in::{Discovered, SignInError, discovered},
};

/// Every check of the way, where there is no host to ask.
const ALL: [(&str, &str); 11] = [
    ("proxy.authority", "proxy to the sign-in host"),
    ("dns.authority", "name of the sign-in host"),
    ("connect.authority", "connection to it"),
    ("tls.authority", "its certificate"),
    ("clock.authority", "its clock"),
    ("proxy.graph", "proxy to the Graph host"),
    ("dns.graph", "name of the Graph host"),
    ("connect.graph", "connection to it"),
    ("tls.graph", "its certificate"),
    ("clock.graph", "its clock"),
    ("discovery", "discovery document"),
];

pub(super) async fn examine(connection: &Result<Connection, NoConnection>) -> Vec<Check> {
    let connection = match connection {
        Ok(connection) => connection,
        Err(NoConnection::NoTenant) => return skipped(&ALL, "No tenant is configured, so there is no host to ask."),
        Err(NoConnection::Unreadable) => return skipped(&ALL, "The settings cannot be read."),
    };
    let (authority, graph, discovery) = tokio::join!(
        host::examine(&host::AUTHORITY, &connection.authority),
        host::examine(&host::GRAPH, &connection.graph),
        within(discovery(connection)),
    );
    // What keeps the host away is said there.
    let is_away = authority.iter().any(|check| check.id == "connect.authority" && check.finding.grade != Grade::Well);
    let discovery = if is_away { Finding::not_checked(host::NOT_REACHED) } else { discovery };
    let discovery = Check::new("discovery", "discovery document", discovery);
    authority.into_iter().chain(graph).chain([discovery]).collect()
}

/// A client that tries once and gives up in seconds.
pub(super) fn quick() -> Http {
    let limit = super::LIMIT;
    Http::new(Limits { connect: limit / 2, whole: limit, patience: Duration::ZERO, ..Limits::default() })
}

async fn discovery(connection: &Connection) -> Finding {
    match discovered(&quick(), connection).await {
        Ok(Discovered { graph_host: Some(named) }) => {
            Finding::well(format!("It fits the authority, and names {named} as its Graph host."))
        }
        Ok(Discovered { graph_host: None }) => {
            Finding::well("It fits the authority. It names no Graph host to compare with.")
        }
        Err(SignInError::Unreachable(error)) => {
            Finding::fix(format!("It cannot be read: {error}")).by(Who::NetworkTeam, host::LET_THROUGH)
        }
        Err(SignInError::Refused(refusal)) if !refusal.next.is_empty() => {
            Finding::fix(refusal.happened).by(Who::You, refusal.next)
        }
        Err(error) => Finding::fix(error.to_string())
            .by(Who::You, "Compare tenant and authority in the settings with what your Entra administrator gave you."),
    }
}
