//! A key that Entra did not hand out: it has been read already, so it is written down whatever was left undone, and is owed a replacement.

use crate::{
    desk::Desk,
    domain::{
        call::{CallId, DisclosureId, Verification},
        debt::{Debt, DebtId, KnownKey, RotationId},
        device::NO_DEVICE,
        event::{Event, External, Held},
        foreign::printable,
        key::Volume,
        key_id::SPOKEN_LENGTH,
        moment::later,
        recovery_password::blocks_in,
        work::{Failure, Kind, external::Request},
    },
    graph::Listed,
    ops::ticket_check,
    store::{calls, debts},
};

/// Writes the disclosure down in a call of its own. The debt it makes, or joins.
pub async fn record(desk: &Desk, request: Request) -> Result<Debt, Failure> {
    let seat = desk.seat()?;
    let usage = |said: String| Failure::new(Kind::Usage, said);
    let ticket = desk.policy.ticket.read(&request.ticket).map_err(|e| usage(e.to_string()))?;
    let reason = desk.policy.reason(&request.reason).cloned();
    let reason = reason.ok_or_else(|| usage(format!("{} is no reason here.", printable(&request.reason))))?;
    let method = desk.policy.method(&request.method).cloned();
    let method =
        method.ok_or_else(|| usage(format!("{} is no way of verifying a caller here.", printable(&request.method))))?;
    ticket_check::check(&desk.policy.ticket_check, &ticket).await?;
    if !blocks_in(request.device_name.raw()).is_empty() {
        return Err(Failure::digits_in_words());
    }
    let listed = match request.device {
        Some(device) => Some(seat.graph.keys_of_device(device).await?),
        None => None,
    };
    let known: Vec<KnownKey> = listed.iter().flat_map(Listed::all).map(KnownKey::of).collect();
    // The key may stand in Entra as well: then its volume is known, and so is what replaces it.
    let volume = known.iter().find(|key| key.id == request.key).map_or(Volume::Unknown, |key| key.volume);
    let at = desk.clock.now();
    let external = External {
        disclosure: DisclosureId::new(),
        debt: DebtId::new(),
        key: request.key,
        volume,
        source: request.source,
        device: request.device,
        device_name: request.device_name,
        ticket,
        reason: reason.id,
        reason_words: reason.label,
        verification: Verification { method: method.id, words: method.short, claims: request.claims, at },
        known,
        entra_time: listed.and_then(|listed| listed.entra_time),
        rotation: None,
    };
    let delay = desk.policy.rotation_delay;
    let debt = desk
        .record(move |pen| {
            let mut external = external;
            if let Some(standing) = debts::open_for_key(pen.conn(), external.key)? {
                external.debt = standing;
            }
            if let Some(device) = external.device {
                let rotation = debts::held_for_device(pen.conn(), device)?.unwrap_or_else(RotationId::new);
                external.rotation = Some(Held { rotation, until: later(pen.at(), delay) });
            }
            let (call, debt) = (CallId::new(), external.debt);
            for event in in_a_call(calls::next_number(pen.conn())?, external) {
                pen.append(Some(call), &event)?;
            }
            debts::get(pen.conn(), debt)
        })
        .await?;
    desk.debts_changed();
    debt.ok_or_else(|| Failure::new(Kind::Failed, "The debt is not in the ledger."))
}

/// The rows of the call it is written down in.
fn in_a_call(number: u32, external: External) -> [Event; 4] {
    let opened = Event::CallOpened {
        number,
        key: external.key,
        volume: external.volume,
        device: external.device.unwrap_or(NO_DEVICE),
        device_name: external.device_name.clone(),
        heard: SPOKEN_LENGTH,
        why: None,
    };
    let Verification { method, words, claims, .. } = external.verification.clone();
    let verified = Event::CallerVerified { method, words, claims };
    [opened, verified, Event::ExternalDisclosure(Box::new(external)), Event::CallClosed]
}
