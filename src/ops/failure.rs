//! Every error of the rooms below becomes the one [`Failure`] here: what happened, what it means for the call, what to do next.

use crate::{
    domain::work::{Failure, Kind},
    graph::GraphError,
    http::{HttpError, Lost, NoWay},
    sign_in::SignInError,
    store::{StoreError, index::IndexError},
};

/// What stands under every failure to write the ledger before a key request: the first promise, kept.
const NOTHING_LEFT: &str = "No request has left. Entra has recorded no read.";

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let next = match &error {
            StoreError::Full(_) => "Free some space, then try again. Or pass the call on to a colleague.",
            StoreError::ReadOnly(_) => {
                "Let this account write to the file, then try again. Or pass the call on to a colleague."
            }
            StoreError::Busy(_) => "Close the other desk, or wait a moment, then try again.",
            StoreError::Damaged { .. } => {
                "Do not delete it: `keydesk ledger set-aside` keeps it and begins another. Pass the call on to a colleague."
            }
            StoreError::Disk { .. } => {
                "Have the disk looked at before anything else is written to it. Pass the call on to a colleague."
            }
            StoreError::Gone(_) => {
                "Put the folder back where it was, then try again. Or pass the call on to a colleague."
            }
            StoreError::Newer(_) => "Update keydesk on this machine. Pass the call on to a colleague.",
            StoreError::Open { .. } => "Check the folder and its permissions, then try again.",
            StoreError::Conflict(_) => return Self::new(Kind::Refused, error.to_string()),
            StoreError::Sql { .. } | StoreError::Row { .. } => "Pass the call on to a colleague, and report this.",
        };
        Self::new(Kind::Record, format!("{error}.")).meaning(NOTHING_LEFT).next(next)
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        Self::new(Kind::Failed, format!("{error}."))
            .meaning("The list on this machine cannot be used. Entra itself can be asked.")
            .next("Type the device's name, its serial or the user.")
    }
}

impl From<SignInError> for Failure {
    fn from(error: SignInError) -> Self {
        let report = error.report().cloned().map(Box::new);
        let instead = error.refusal().and_then(|refusal| refusal.instead);
        let failure = match error {
            SignInError::Needed(refusal) => Self::new(Kind::SignIn, refusal.happened)
                .meaning("The call is kept, and so is what you typed.")
                .next(refusal.next),
            SignInError::Refused(refusal) => {
                Self::new(Kind::Refused, refusal.happened).meaning(refusal.who).next(refusal.next)
            }
            SignInError::Unreachable(error) => unreachable("The sign-in service", &error),
            SignInError::Unexpected { what, .. } => {
                Self::new(Kind::Failed, format!("The sign-in service answered something odd: {what}."))
                    .next("Try again in a minute.")
            }
        };
        Self { instead, ..failure }.with_report(report)
    }
}

impl From<GraphError> for Failure {
    fn from(error: GraphError) -> Self {
        let report = error.report().cloned().map(Box::new);
        let failure = match error {
            GraphError::SignIn(error) => return error.into(),
            GraphError::NotFound { .. } => Self::new(Kind::NotFound, "Entra knows nothing by that id."),
            GraphError::Forbidden { code, .. } => {
                Self::new(Kind::Refused, format!("Entra does not let you see this ({code})."))
                    .meaning("A permission of this program or a role of yours is missing.")
                    .next("F6 says who can help; or hand the call over.")
            }
            GraphError::Throttled { .. } => {
                Self::new(Kind::Unreachable, "Entra is overloaded and asked us to wait, several times.")
                    .meaning("Nothing was handed out.")
                    .next("Try again in a minute.")
            }
            GraphError::Unreachable { error, .. } => unreachable("Entra", &error),
            GraphError::Unexpected { status: Some(status @ 500..), report: Some(report), .. }
                if report.is_services_own() =>
            {
                Self::new(Kind::Unreachable, format!("Entra has a fault of its own just now ({status})."))
                    .meaning("Nothing was handed out.")
                    .next("Try again in a minute.")
            }
            GraphError::Unexpected { what, .. } => {
                Self::new(Kind::Failed, format!("Entra's answer is of no use: {what}."))
                    .next("Try again; if it stays so, ask who runs your network.")
            }
        };
        failure.with_report(report)
    }
}

fn unreachable(what: &str, error: &HttpError) -> Failure {
    let (happened, next) = match error {
        HttpError::NotReached { host, why, .. } => {
            (format!("{what} cannot be reached at {host}: {why}."), way_out(*why))
        }
        HttpError::Uncertain { host, why: why @ Lost::TooLarge { .. }, .. } => (
            format!("{what}'s answer is of no use: {host} {why}."),
            "Try again; if it stays so, ask who runs your network.",
        ),
        HttpError::Uncertain { host, why, .. } => (format!("{what} did not answer: {host} {why}."), CHECK_NETWORK),
        HttpError::PlainHttp { .. } | HttpError::Malformed { .. } => {
            (error.to_string(), "Check the addresses in the settings.")
        }
    };
    Failure::new(Kind::Unreachable, happened)
        .meaning("What is on this machine still works; a key cannot be read meanwhile.")
        .next(next)
}

const CHECK_NETWORK: &str = "Check the network, then try again.";

/// What to do about a way that is closed.
fn way_out(why: NoWay) -> &'static str {
    match why {
        NoWay::Name | NoWay::Refused | NoWay::Timeout | NoWay::Other => CHECK_NETWORK,
        NoWay::ProxyAuth => "Ask who runs the proxy to let this program through, or put its sign-in into HTTPS_PROXY.",
        NoWay::Proxy => "Ask who runs the proxy to let this program through.",
        NoWay::Untrusted => "Ask for the proxy's certificate to be installed on this machine; do not go on without it.",
        NoWay::CertificateTime => "Set this machine's clock right, then try again.",
        NoWay::Tls | NoWay::TrustStore => "Ask who looks after this machine; do not go on without it.",
    }
}
