//! Copies of the ledger's rows for the security team: whether each collector can be reached, and what waits for it.

use std::path::Path;

use jiff::Timestamp;

use crate::{
    desk::unblocked,
    domain::{
        policy::Forwarding,
        work::{
            doctor::{Check, Finding, Places, Who},
            forward::SinkState,
        },
    },
    forward::{self, ForwardError, Sink},
    store::{Ledger, forwarded},
};

const WEBHOOK: (&str, &str) = ("forward.webhook", "webhook");
const SYSLOG: (&str, &str) = ("forward.syslog", "syslog server");

pub(super) async fn examine(policy: &Forwarding, places: &Places) -> Vec<Check> {
    let sinks = forward::sinks(policy);
    let of = |is_webhook: bool| sinks.iter().find(|sink| sink.is_webhook() == is_webhook);
    let (webhook, syslog) = tokio::join!(one(of(true), policy, places), one(of(false), policy, places));
    [(WEBHOOK, webhook), (SYSLOG, syslog)].map(|((id, name), finding)| Check::new(id, name, finding)).into()
}

async fn one(sink: Option<&Sink>, policy: &Forwarding, places: &Places) -> Finding {
    let Some(sink) = sink else { return Finding::not_checked("The policy names none.") };
    let (name, ledger) = (sink.name().to_owned(), places.ledger.clone());
    let (reached, state) = tokio::join!(sink.reach(), unblocked(move || state(&ledger, name)));
    let waits = state.as_ref().map_or_else(String::new, |state| format!(" {}", state.sentence(Timestamp::now())));
    match reached {
        Err(error) => {
            let means = if sink.is_webhook() && policy.comes_before_key() {
                " The policy lets no key be read before it has the record."
            } else {
                " Rows wait here until it can."
            };
            let (who, mend) = mend(&error);
            Finding::fix(format!("{error}{means}{waits}")).by(who, mend)
        }
        Ok(said) => {
            let said =
                said.unwrap_or_else(|| format!("{}: nothing answers a datagram, so nothing is known.", sink.name()));
            if state.is_some_and(|state| state.cursor.failures > 0) {
                Finding::notice(format!("{said}{waits}"))
                    .by(Who::You, "`keydesk forward --once` tries again; if it stays so, tell the security team.")
            } else {
                Finding::well(format!("{said}{waits}"))
            }
        }
    }
}

/// By the ledger of this account, where there is one that can be read.
fn state(ledger: &Path, sink: String) -> Option<SinkState> {
    let ledger = Ledger::peek(ledger).ok()??;
    let read = ledger.read(|conn| {
        let cursor = forwarded::cursor(conn, &sink)?;
        Ok((forwarded::waiting(conn, cursor.seq)?, cursor))
    });
    read.ok().map(|(waiting, cursor)| SinkState { sink, cursor, waiting })
}

fn mend(error: &ForwardError) -> (Who, &'static str) {
    match error {
        ForwardError::Variable(_) => {
            (Who::MachineAdministrator, "Set the variable for this account. See docs/forwarding.md.")
        }
        ForwardError::Authorities { .. } => (Who::MachineAdministrator, "Correct forward.syslog_ca in the policy."),
        ForwardError::NoLocal => (Who::MachineAdministrator, "Name another syslog server in the policy."),
        _ => (Who::NetworkTeam, "Let this machine reach the collector. See docs/forwarding.md."),
    }
}
