//! The way to Microsoft: both hosts, each on its own, and the document that ties them together.

use std::time::Duration;

use super::{host, skipped, within};
use crate::{
    domain::{
        connection::Connection,
        work::doctor::{Check, Finding, NoConnection, Who},
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
    let discovery = Check::new("discovery", "discovery document", discovery);
    authority.into_iter().chain(graph).chain([discovery]).collect()
}

/// A client that tries once and gives up in seconds.
pub(super) fn quick() -> Http {
    let whole = super::LIMIT.mul_f64(0.6);
    Http::new(Limits { connect: whole / 2, whole, patience: Duration::ZERO, ..Limits::default() })
}

async fn discovery(connection: &Connection) -> Finding {
    match discovered(&quick(), connection).await {
        Ok(said) => judge(&said, connection),
        Err(SignInError::Unreachable(error)) => {
            Finding::fix(format!("It cannot be read: {error}")).by(Who::NetworkTeam, host::LET_THROUGH)
        }
        Err(error) => Finding::fix(error.to_string())
            .by(Who::You, "Compare tenant and authority in the settings with what your Entra administrator gave you."),
    }
}

/// Whether the cloud that signs people in names the Graph host that is configured.
fn judge(said: &Discovered, connection: &Connection) -> Finding {
    let host = connection.graph.host_str().unwrap_or_default();
    let configured = connection.graph.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let Some(named) = said.graph_host.as_deref() else {
        return Finding::well("It fits the authority. It names no Graph host to compare with.");
    };
    if named.eq_ignore_ascii_case(&configured) {
        return Finding::well(format!("It fits the authority, and names {named} as its Graph host."));
    }
    Finding::fix(format!("It names {named} as the Graph host of this cloud, and {configured} is configured."))
        .by(Who::You, "Choose the right cloud in the settings, or set graph to that host. See docs/network.md.")
}
