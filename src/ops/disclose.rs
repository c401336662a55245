//! One recovery password for one ticket and reason, in the order that is the product:
//! check · list · *record the intent* · ask · record the outcome · check the digits.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{
    desk::{Desk, Seat},
    domain::{
        age,
        call::{Call, CallId, DisclosureId, Verification},
        debt::{DebtId, KnownKey, RotationId},
        device::DeviceId,
        disclosure::{Outcome, Unwritten},
        event::{Event, Intent},
        key_id::{KeyId, SPOKEN_LENGTH},
        moment::later,
        policy::{Policy, Reason},
        recovery_password::Fault,
        ticket::Ticket,
        work::{
            Failure, Kind, Progress, Waiting,
            disclose::{Disclosed, OnStage, Request},
        },
    },
    graph::{RevealError, Revealed},
    ops::{
        Asking, calls,
        forward::{self, Withheld},
    },
    store::{TxError, debts, disclosures},
};

/// How a refusal of ours is recorded: the collector did not take the intent, so no request left.
const NOT_FORWARDED: &str = "not-forwarded";
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// The margin by which a cancellation must precede the next attempt to be certain that none was under way.
const CANCEL_MARGIN: Duration = Duration::from_millis(100);

/// Discloses the call's key.
pub async fn disclose(desk: &Desk, request: Request, asking: &Asking) -> Result<Disclosed, Failure> {
    if desk.is_locked() {
        return Err(locked(&desk.policy));
    }
    let seat = desk.seat()?;
    // Until the intent is written nothing has left: the technician may stop at any moment.
    let prepare = async {
        let plan = check(desk, &seat, &request).await?;
        list(&seat, plan, asking).await
    };
    let intent = tokio::select! {
        biased;
        () = asking.cancelled() => return Err(stopped()),
        intent = prepare => intent?,
    };
    if desk.technician().map(|technician| technician.id) != Some(seat.technician.id) {
        return Err(Failure::new(
            Kind::Refused,
            "Somebody else has signed in at this desk meanwhile: no key was asked for.",
        )
        .next("Verify the caller again."));
    }
    let (call, disclosure) = (request.call, intent.disclosure);
    let row = record_intent(desk, &seat, call, intent.clone(), request.same_ticket_confirmed).await?;
    let (asked, answer) = match forwarded(desk, row, asking).await {
        Ok(()) => {
            asking.tell(Progress::Recorded);
            (true, ask(&seat, intent.key, disclosure, asking).await)
        }
        Err(withheld) => (false, Err(withheld)),
    };
    record_outcome(desk, &seat, call, &intent, (asked, answer)).await
}

fn locked(policy: &Policy) -> Failure {
    let after = age::short(policy.lock_after);
    Failure::new(Kind::Locked, format!("Nobody was at this desk for {after}: it is locked."))
        .meaning("The key was not asked for. The call is kept, and so is what you typed.")
        .next("Sign in, then ask for the key again.")
}

fn stopped() -> Failure {
    Failure::new(Kind::Cancelled, "You stopped. The key was not asked for.").next("Your entries stand.")
}

/// Records what happened on the stage.
pub async fn on_stage(desk: &Desk, request: OnStage) -> Result<(), Failure> {
    let OnStage { call, disclosure, what } = request;
    desk.record(move |pen| pen.append(Some(call), &Event::Stage { disclosure, what })).await?;
    Ok(())
}

/// What may be disclosed, for what.
struct Plan {
    call: Call,
    key: KeyId,
    verification: Verification,
    ticket: Ticket,
    reason: Reason,
}

/// Step 1: everything that can be known without Entra.
async fn check(desk: &Desk, seat: &Seat, request: &Request) -> Result<Plan, Failure> {
    let id = request.call;
    let call = desk.read(move |conn| calls::must_be_open(conn, id)).await?;
    if call.key != request.key {
        return Err(Failure::new(Kind::Usage, "This call is about another key. Close it, then find this one."));
    }
    if call.heard < SPOKEN_LENGTH {
        let missing = SPOKEN_LENGTH - call.heard;
        return Err(Failure::new(
            Kind::Refused,
            format!("{} of the key ID are still to hear.", age::count(missing, "character")),
        ));
    }
    let Some(verification) = call.verification.clone() else {
        return Err(Failure::new(Kind::Refused, "The caller is not verified yet."));
    };
    let ticket = desk.policy.ticket.read(&request.ticket).map_err(|e| Failure::new(Kind::Usage, e.to_string()))?;
    let reason =
        desk.policy.reason(&request.reason).cloned().ok_or_else(|| unknown_reason(&desk.policy, &request.reason))?;
    within_limits(desk, seat).await?;
    super::ticket_check::check(&desk.policy.ticket_check, &ticket).await?;
    Ok(Plan { call, key: request.key, verification, ticket, reason })
}

fn unknown_reason(policy: &Policy, said: &str) -> Failure {
    let known: Vec<&str> = policy.reasons.iter().map(|reason| reason.id.as_str()).collect();
    let said = crate::domain::foreign::printable(said);
    Failure::new(Kind::Usage, format!("{said} is no reason here. Known: {}.", known.join(", ")))
}

async fn within_limits(desk: &Desk, seat: &Seat) -> Result<(), Failure> {
    let (technician, now) = (seat.technician.id, desk.clock.now());
    let (per_hour, per_day) = (desk.policy.per_hour, desk.policy.per_day);
    let times = desk
        .read(move |conn| disclosures::times_since(conn, technician, now.checked_sub(DAY).unwrap_or(Timestamp::MIN)))
        .await?;
    match limit_reached(&times, now, per_hour, per_day) {
        None => Ok(()),
        Some(limit) => Err(over_limit(limit, &desk.zone)),
    }
}

/// A limit that is reached: how many, in what, and when one more is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit {
    most: u32,
    within: &'static str,
    until: Timestamp,
}

fn limit_reached(times: &[Timestamp], now: Timestamp, per_hour: u32, per_day: u32) -> Option<Limit> {
    [(HOUR, per_hour, "this hour"), (DAY, per_day, "today")].into_iter().find_map(|(span, most, within)| {
        let start = now.checked_sub(span).unwrap_or(Timestamp::MIN);
        let recent: Vec<Timestamp> = times.iter().filter(|at| **at > start).copied().collect();
        let over = recent.len().checked_sub(usize::try_from(most).unwrap_or(usize::MAX))?;
        Some(Limit { most, within, until: recent.get(over).map_or(later(now, span), |at| later(*at, span)) })
    })
}

fn over_limit(limit: Limit, zone: &jiff::tz::TimeZone) -> Failure {
    let Limit { most, within, until } = limit;
    Failure::new(Kind::Refused, format!("You have read {} {within}, the limit.", age::count(most as usize, "key")))
        .next(format!("Hand the call over, or wait until {}.", age::clock(until, zone)))
}

/// Step 2: the device's keys as Entra lists them now. What is new later is measured against this set, on Entra's clock.
async fn list(seat: &Seat, plan: Plan, asking: &Asking) -> Result<Intent, Failure> {
    let listed = seat.graph.with_waiting(asking.on_wait()).keys_of_device(plan.call.device).await?;
    let Some(key) = listed.all().find(|key| key.id == plan.key) else {
        return Err(Failure::new(
            Kind::NotFound,
            format!("Entra no longer lists {} for this device.", plan.key.short()),
        )
        .next("F5 looks again; ask the caller to read the key ID once more."));
    };
    Ok(Intent {
        disclosure: DisclosureId::new(),
        // Replaced in the transaction when this key is owed already.
        debt: DebtId::new(),
        key: plan.key,
        volume: key.volume,
        device: plan.call.device,
        device_name: plan.call.device_name,
        ticket: plan.ticket,
        reason: plan.reason.id,
        reason_words: plan.reason.label,
        verification: plan.verification,
        known: listed.all().map(KnownKey::of).collect(),
        entra_time: listed.entra_time,
    })
}

/// Step 3: the intent and its debt, durably, in one transaction. What must not change between the check and here is checked in it again.
/// Its row's number.
async fn record_intent(
    desk: &Desk,
    seat: &Seat,
    call: CallId,
    mut intent: Intent,
    confirmed: bool,
) -> Result<u64, Failure> {
    let (technician, per_hour, per_day) = (seat.technician.id, desk.policy.per_hour, desk.policy.per_day);
    let zone = desk.zone.clone();
    let outcome = desk
        .record(move |pen| {
            calls::must_be_open(pen.conn(), call)?;
            let day = pen.at().checked_sub(DAY).unwrap_or(Timestamp::MIN);
            let times = disclosures::times_since(pen.conn(), technician, day)?;
            if let Some(limit) = limit_reached(&times, pen.at(), per_hour, per_day) {
                return Err(TxError::Conflict(over_limit(limit, &zone).to_string()));
            }
            if !confirmed
                && let Some((name, at)) = disclosures::other_use_of_ticket(pen.conn(), &intent.ticket, intent.device)?
            {
                return Ok(Err(format!("{} was used for {name} at {}.", intent.ticket, age::clock(at, &zone))));
            }
            if let Some(standing) = debts::open_for_key(pen.conn(), intent.key)? {
                intent.debt = standing;
            }
            Ok(Ok(pen.append(Some(call), &Event::Intended(Box::new(intent)))?))
        })
        .await?;
    match outcome {
        Ok(row) => Ok(row),
        Err(used) => Err(Failure::new(Kind::Confirm, used).next("Go on only if it is the same ticket.")),
    }
}

/// Where the policy says so: the collector has the intent, and every row before it, or no key is asked for.
async fn forwarded(desk: &Desk, row: u64, asking: &Asking) -> Result<(), RevealError> {
    if !desk.policy.forward.comes_before_key() {
        return Ok(());
    }
    asking.tell(Progress::Forwarding);
    let (code, words) = match forward::until_taken(desk, row, asking).await {
        Ok(()) => return Ok(()),
        Err(Withheld::Cancelled) => ("cancelled", "You stopped waiting. No key was asked for.".to_owned()),
        Err(Withheld::NotTaken(why)) => (NOT_FORWARDED, why),
    };
    Err(RevealError::Refused { status: None, code: code.into(), words, report: None })
}

/// Step 4: the key request. While Entra asks us to wait, the technician may stop waiting.
async fn ask(seat: &Seat, key: KeyId, disclosure: DisclosureId, asking: &Asking) -> Result<Revealed, RevealError> {
    let waits_until: Arc<Mutex<Option<Instant>>> = Arc::default();
    let graph = {
        let (waits_until, tell) = (Arc::clone(&waits_until), asking.on_wait());
        seat.graph.with_waiting(Arc::new(move |waiting: Waiting| {
            *waits_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + waiting.for_);
            tell(waiting);
        }))
    };
    let reveal = graph.reveal(key, disclosure);
    tokio::pin!(reveal);
    let stopped = async {
        asking.cancelled().await;
        // Only inside a pause is it certain that no request is under way; otherwise the answer is awaited.
        let until = *waits_until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_none_or(|until| Instant::now() + CANCEL_MARGIN >= until) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        answer = &mut reveal => answer,
        () = stopped => Err(RevealError::Refused {
            status: None,
            code: "cancelled".into(),
            words: "You stopped waiting. Entra has not given out the key.".into(),
            report: None,
        }),
    }
}

/// Steps 5 and 6: the outcome on record, the digits checked.
async fn record_outcome(
    desk: &Desk,
    seat: &Seat,
    call: CallId,
    intent: &Intent,
    (asked, answer): (bool, Result<Revealed, RevealError>),
) -> Result<Disclosed, Failure> {
    let disclosure = intent.disclosure;
    let unwritten = Unwritten {
        call,
        disclosure,
        device: intent.device,
        technician: seat.technician.clone(),
        tenant: seat.tenant.id,
        outcome: outcome_of(&answer),
    };
    let recorded = write(desk, unwritten).await;
    desk.debts_changed();
    let warning = recorded.err().map(|failure| failure.happened);
    match answer {
        Ok(revealed) => Ok(Disclosed {
            disclosure,
            faults: revealed.password.faults(),
            password: revealed.password,
            at: desk.clock.now(),
            record_warning: warning
                .map(|why| format!("The outcome is not written down yet ({why}) The intent is on record.")),
        }),
        Err(error) => Err(match warning {
            Some(why) => Failure::new(Kind::Record, why)
                .meaning(means_unwritten(asked, &error))
                .next("Free some space or close the other desk; it is written as soon as it can be."),
            None => failure_of(error),
        }),
    }
}

/// What a failure that is not on record yet means for the call: only one that is uncertain may have been a read.
fn means_unwritten(asked: bool, error: &RevealError) -> &'static str {
    match error {
        _ if !asked => "No key was asked for: no request has left. The intent is on record.",
        RevealError::Refused { .. } | RevealError::SignIn(_) => {
            "Entra has not given out the key. The intent is on record."
        }
        RevealError::WithoutKey { .. } | RevealError::Unknown { .. } => {
            "The key was asked for, and Entra may have recorded a read. The intent is on record."
        }
    }
}

fn outcome_of(answer: &Result<Revealed, RevealError>) -> Outcome {
    match answer {
        Ok(revealed) => Outcome::Served {
            status: revealed.status,
            request_id: revealed.request_id.clone(),
            faults: revealed.password.faults().into_iter().filter_map(Fault::block).collect(),
        },
        Err(RevealError::Refused { status, code, report, .. }) => {
            let request_id = report.as_ref().and_then(|report| report.request_id.clone());
            Outcome::Refused { status: *status, code: code.clone(), request_id }
        }
        // No token, or one that Graph did not accept: nothing was handed out.
        Err(RevealError::SignIn(error)) => Outcome::Refused {
            status: error.report().and_then(|report| report.status).filter(|status| *status == 401),
            code: "signed-out".into(),
            request_id: error.request_id().map(ToOwned::to_owned),
        },
        Err(RevealError::WithoutKey { status, .. }) => {
            Outcome::Unknown { why: format!("answered {status} without a key") }
        }
        Err(RevealError::Unknown { why, .. }) => Outcome::Unknown { why: why.clone() },
    }
}

/// Writes an outcome; one that cannot be written is kept, and written with the next that can.
async fn write(desk: &Desk, unwritten: Unwritten) -> Result<(), Failure> {
    let delay = desk.policy.rotation_delay;
    let kept = unwritten.clone();
    let Unwritten { call, disclosure, device, technician, tenant, outcome } = unwritten;
    let written = desk
        .record_for(Some(technician), Some(tenant), move |pen| {
            let held_until = later(pen.at(), delay);
            let event = match outcome {
                Outcome::Refused { status, code, request_id } => {
                    Event::Refused { disclosure, status, code, request_id }
                }
                Outcome::Served { status, request_id, faults } => {
                    let rotation = rotation_for(pen.conn(), device)?;
                    Event::Served { disclosure, rotation, held_until, status, request_id, faults }
                }
                Outcome::Unknown { why } => {
                    let rotation = rotation_for(pen.conn(), device)?;
                    Event::Unknown { disclosure, rotation, held_until, why }
                }
            };
            pen.append(Some(call), &event)
        })
        .await;
    match written {
        Ok(_) => Ok(()),
        // Another desk took this one for dead and closed the intent: there is nothing left to write.
        Err(failure) if failure.kind != Kind::Record => Err(failure),
        Err(failure) => {
            desk.keep_unwritten(kept);
            Err(failure)
        }
    }
}

/// Writes the outcomes that could not be written before.
pub async fn write_unwritten(desk: &Desk) {
    for unwritten in desk.take_unwritten() {
        if let Err(failure) = write(desk, unwritten).await {
            tracing::error!(%failure, "an outcome is still not written");
        }
    }
}

fn failure_of(error: RevealError) -> Failure {
    let report = error.report().cloned().map(Box::new);
    let failure = match error {
        RevealError::Refused { status, code, words, .. } => refused(status, &code, words),
        RevealError::SignIn(error) => return error.into(),
        RevealError::WithoutKey { .. } => {
            Failure::new(Kind::Uncertain, "Entra answered, but without the key. It may have recorded a read.")
                .meaning("The debt stands.")
                .next("Asking again is a new disclosure.")
        }
        RevealError::Unknown { report, .. } => {
            let came = match report.status {
                None => "No answer came from Entra.".to_owned(),
                Some(200..300) => "Entra's answer arrived damaged.".to_owned(),
                Some(status) => format!("Entra answered with an error ({status})."),
            };
            Failure::new(Kind::Uncertain, format!("{came} It may have recorded a read."))
                .meaning("The debt stands;")
                .next("asking again is a new disclosure.")
        }
    };
    failure.with_report(report)
}

/// One held rotation a device serves all its debts.
fn rotation_for(conn: &rusqlite::Connection, device: DeviceId) -> Result<RotationId, TxError> {
    Ok(debts::held_for_device(conn, device)?.unwrap_or_else(RotationId::new))
}

fn refused(status: Option<u16>, code: &str, words: String) -> Failure {
    match status {
        Some(401 | 403) => Failure::new(Kind::Refused, "Your role lists keys but may not read them.")
            .next("Activate Helpdesk Administrator in PIM, then F5; or hand the call over."),
        Some(404) => Failure::new(Kind::NotFound, "Entra has no such key any more.").next("F5 looks again."),
        None if code == NOT_FORWARDED => {
            Failure::new(Kind::Refused, format!("The security team's collector did not take the record: {words}"))
                .meaning("No key was asked for; the policy wants the record taken first.")
                .next("Try again in a moment. If it goes on, hand the call over and tell the security team.")
        }
        None if code == "cancelled" => Failure::new(Kind::Cancelled, words).next("Your entries and the record stand."),
        None => Failure::new(Kind::Unreachable, words).meaning("Entra has not given out the key.").next("Try again."),
        Some(429 | 503) => Failure::new(Kind::Unreachable, "Entra asked us to wait, several times.")
            .meaning("It has not given out the key.")
            .next("Try again in a minute."),
        Some(status) => Failure::new(Kind::Failed, format!("Entra refused ({status}, {code})."))
            .meaning("It has not given out the key.")
            .next("Try again, or hand the call over."),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn the_hourly_limit_says_when_the_next_key_may_be_read() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let times: Vec<Timestamp> = [50, 40, 30].map(|m| now - SignedDuration::from_mins(m)).into();
        assert_eq!(limit_reached(&times, now, 4, 40), None);
        let limit = limit_reached(&times, now, 3, 40).unwrap();
        assert_eq!(limit.until, now + SignedDuration::from_mins(10));
        let said = over_limit(limit, &jiff::tz::TimeZone::UTC).to_string();
        assert_eq!(said, "You have read 3 keys this hour, the limit. Hand the call over, or wait until 10:10.");
    }

    #[test]
    fn the_daily_limit_holds_when_the_hour_is_quiet() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let times: Vec<Timestamp> = (2..12).map(|h| now - SignedDuration::from_hours(h)).rev().collect();
        assert_eq!(limit_reached(&times, now, 10, 10).unwrap().within, "today");
    }

    #[test]
    fn a_limit_of_none_refuses_at_once() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        assert!(limit_reached(&[], now, 0, 40).is_some());
    }
}
