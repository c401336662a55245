//! What the remembered session may do: four lights. Nobody is prompted, and no key is read.

use std::time::Duration;

use super::{LIMIT, network::quick, skipped};
use crate::{
    domain::{
        capability::{Feature, Light},
        connection::Connection,
        work::{
            Failure,
            doctor::{Check, Finding, NoConnection, Setup, Who},
        },
    },
    graph::Graph,
    sign_in::{Session, Vault},
};

/// The session, and a check for each feature.
const SESSION: (&str, &str) = ("session", "session");
const LIGHTS: [(&str, &str); 4] = [
    ("light.list", "list keys and devices"),
    ("light.reveal", "read a recovery key"),
    ("light.rotate", "have a key replaced"),
    ("light.audit", "read Entra's audit"),
];

/// Half a dozen requests, one after the other.
const TOGETHER: Duration = LIMIT.saturating_mul(2);

pub(super) async fn examine(setup: &Setup) -> Vec<Check> {
    match &setup.connection {
        Ok(connection) => match tokio::time::timeout(TOGETHER, of(connection, setup)).await {
            Ok(checks) => checks,
            Err(_) => without(Finding::not_checked(format!("It took more than {} s.", TOGETHER.as_secs()))),
        },
        Err(NoConnection::NoTenant) => without(Finding::not_checked("No tenant is configured.")),
        Err(NoConnection::Unreadable) => without(Finding::not_checked("The settings cannot be read.")),
    }
}

async fn of(connection: &Connection, setup: &Setup) -> Vec<Check> {
    let vault = if setup.remembers { Vault::open(connection, &setup.profile).await } else { Vault::memory() };
    let session = Session::new(quick(), connection.clone(), vault);
    match session.restore().await {
        Ok(true) => lights_of(&session).await,
        Ok(false) => without(
            Finding::not_checked("Nobody is signed in, and no session is remembered.")
                .by(Who::You, "Run `keydesk sign-in`, then look again."),
        ),
        Err(error) => without(
            Finding::notice(Failure::from(error).happened).by(Who::You, "Run `keydesk sign-in`, then look again."),
        ),
    }
}

/// What a session that needs no prompt may do.
pub async fn lights_of(session: &Session) -> Vec<Check> {
    session.ask_for(&Feature::ALL).await;
    // Listing is what a call begins with: the first page shows whether the role allows it. A read of a key is never tried.
    let listed = Graph::new(quick(), session.clone()).keys_page(None).await;
    let who = session.technician().map_or_else(|| "somebody".to_owned(), |technician| technician.upn.to_string());
    let mut checks = vec![Check::new(SESSION.0, SESSION.1, Finding::well(format!("Remembered, of {who}.")))];
    let lights = session.lights();
    for (feature, (id, name)) in Feature::ALL.into_iter().zip(LIGHTS) {
        let finding = match (feature, lights.of(feature), &listed) {
            // No light tells that Graph did not answer.
            (Feature::List, Light::Unknown, Err(error)) => Finding::notice(error.to_string()),
            (_, light, _) => judge(feature, light),
        };
        checks.push(Check::new(id, name, finding));
    }
    checks
}

fn without(finding: Finding) -> Vec<Check> {
    let why = finding.seen.clone();
    let mut checks = vec![Check::new(SESSION.0, SESSION.1, finding)];
    checks.extend(skipped(&LIGHTS, &why));
    checks
}

/// A light in words. Whether a role may read or replace keys shows when it is first done: trying would be a read.
fn judge(feature: Feature, light: &Light) -> Finding {
    match light {
        Light::Yes(evidence) => Finding::well(evidence.said.clone()),
        Light::No(evidence) => {
            // Calls work without it.
            let found = if feature == Feature::Audit { Finding::notice } else { Finding::fix };
            let finding = found(format!("{} {}", evidence.said, feature.capability().without));
            if evidence.help.is_empty() { finding } else { finding.by(Who::EntraAdministrator, evidence.help.clone()) }
        }
        Light::NotAsked => Finding::not_checked("Not asked for."),
        Light::Unknown => {
            Finding::not_checked("There is consent. Whether your role allows it shows when it is first done.")
        }
    }
}
