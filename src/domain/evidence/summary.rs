//! The story in sentences, for somebody who reads nothing else.

use super::{CallStory, DebtStory, DisclosureStory, Outcome, Person, words};
use serde_json::Value;

pub(super) fn sentences(calls: &[CallStory], debts: &[DebtStory]) -> Vec<String> {
    let mut said = Vec::new();
    let mut told = Vec::new();
    for call in calls {
        said.extend(refusals(call));
        for disclosure in &call.disclosures {
            said.push(read(disclosure));
            if let Some(compromised) = &disclosure.compromised {
                said.push(compromised.said.clone());
            }
            // Several reads of one key owe one replacement.
            let debt = debts.iter().find(|debt| Some(&debt.id) == disclosure.debt.as_ref());
            if let Some(debt) = debt.filter(|debt| !told.contains(&debt.id)) {
                told.push(debt.id.clone());
                said.push(owed(debt));
            }
        }
        if call.disclosures.is_empty() && call.verifications.iter().all(|verification| verification.verified) {
            said.push(format!("In {} no key was asked for.", name(call)));
        }
    }
    said.extend(debts.iter().filter(|debt| !told.contains(&debt.id)).map(owed));
    if said.is_empty() {
        said.push("The ledger has the rows below, and no call.".into());
    }
    said
}

fn name(call: &CallStory) -> String {
    call.number.map_or_else(|| "a call".into(), |number| format!("call {number}"))
}

fn who(technician: Option<&Person>) -> String {
    technician.map_or_else(|| "Somebody not named".into(), Person::words)
}

fn refusals(call: &CallStory) -> Vec<String> {
    let refused = call.verifications.iter().filter(|verification| !verification.verified);
    refused
        .map(|refusal| {
            let claims: Vec<String> = refusal.claims.iter().map(|claim| format!("{}: {}", claim.fact, claim.compared)).collect();
            let compared = if claims.is_empty() { String::new() } else { format!(" ({})", claims.join(", ")) };
            format!(
                "{} could not verify the caller of {} about {}, {}{compared}, and ended the call. No key was asked for after that.",
                who(refusal.by.as_ref()),
                name(call),
                call.device.as_ref().map_or("a device not named", |device| device.name.as_str()),
                refusal.at.words,
            )
        })
        .collect()
}

fn read(disclosure: &DisclosureStory) -> String {
    let did = match disclosure.outcome {
        Outcome::Served | Outcome::External => "read",
        Outcome::Refused => "asked for, and did not get,",
        Outcome::Intended | Outcome::Unknown => "asked for, and may have read,",
    };
    let outcome = match disclosure.outcome {
        Outcome::Served => String::new(),
        _ => format!(" {}", disclosure.outcome_words),
    };
    format!(
        "{} {did} the recovery password of key {} ({}) of {}, {}, under ticket {}, reason: {}, after the caller was verified: {}.{outcome}",
        who(disclosure.technician.as_ref()),
        words::short(&Value::String(disclosure.key.id.clone())),
        disclosure.key.volume,
        disclosure.device.name,
        disclosure.asked.words,
        disclosure.ticket,
        disclosure.reason_words,
        disclosure.verified_by_method,
    )
}

fn owed(debt: &DebtStory) -> String {
    let key =
        debt.key.as_ref().map_or_else(|| "not recorded".into(), |key| words::short(&Value::String(key.id.clone())));
    format!("Key {key}: {}", debt.said)
}
