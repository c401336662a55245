//! The steps of a call, each a ledger row before anything follows from it.

use jiff::tz::TimeZone;

use crate::{
    desk::Desk,
    domain::{
        age,
        call::{Call, CallId, CallState},
        debt::{Debt, DebtState, RotationState},
        event::Event,
        note::{Note, NoteFacts},
        work::{self, Failure, Kind, call as ask},
    },
    store::{self, TxError, calls, debts, instance},
};

/// Opens a call for a key the caller read.
pub async fn open(desk: &Desk, request: ask::Open) -> Result<Call, Failure> {
    let call = CallId::new();
    let folded = desk
        .record(move |pen| {
            let number = calls::next_number(pen.conn())?;
            let ask::Open { key, volume, device, device_name, heard, why } = request;
            pen.append(Some(call), &Event::CallOpened { number, key, volume, device, device_name, heard, why })?;
            known(pen.conn(), call)
        })
        .await?;
    Ok(folded)
}

/// What the technician said of the caller.
#[derive(Clone, Debug, PartialEq)]
pub enum Caller {
    Verified(Call),
    Refused(ask::Closed),
}

/// Records the verification, or the refusal, which closes the call.
pub async fn verify(desk: &Desk, request: ask::Verify) -> Result<Caller, Failure> {
    let ask::Verify { call, method, claims, known } = request;
    let Some(method) = method else {
        desk.record(move |pen| {
            must_be_open(pen.conn(), call)?;
            pen.append(Some(call), &Event::CallerRefused { claims })
        })
        .await?;
        return closing(desk, call).await.map(Caller::Refused);
    };
    let Some(method) = desk.policy.method(&method).cloned() else {
        let known: Vec<&str> = desk.policy.methods.iter().map(|method| method.id.as_str()).collect();
        let said = crate::domain::policy::VerificationError::Method(method, known.join(", "));
        return Err(Failure::new(Kind::Usage, said.to_string()));
    };
    desk.policy.allows_verification(&claims, known).map_err(|e| Failure::new(Kind::Refused, e.to_string()))?;
    let folded = desk
        .record(move |pen| {
            must_be_open(pen.conn(), call)?;
            pen.append(Some(call), &Event::CallerVerified { method: method.id, words: method.short, claims })?;
            self::known(pen.conn(), call)
        })
        .await?;
    Ok(Caller::Verified(folded))
}

/// The caller is in Windows again: recorded here, sent by [`super::rotate`].
pub async fn in_windows(desk: &Desk, call: CallId) -> Result<(), Failure> {
    desk.record(move |pen| {
        let before = must_be_open(pen.conn(), call)?;
        if before.in_windows.is_none() {
            pen.append(Some(call), &Event::InWindows)?;
        }
        Ok(())
    })
    .await
}

/// Puts a call aside. Returns every unfinished call.
pub async fn park(desk: &Desk, call: CallId) -> Result<Vec<Call>, Failure> {
    desk.record(move |pen| {
        must_be_open(pen.conn(), call)?;
        pen.append(Some(call), &Event::CallParked)
    })
    .await?;
    list(desk).await
}

/// Takes a parked call up again.
pub async fn resume(desk: &Desk, call: CallId) -> Result<Call, Failure> {
    let (folder, own) = (desk.paths.instances(), desk.instance.id);
    let technician = desk.technician().map(|technician| technician.id);
    desk.record(move |pen| {
        let before = known(pen.conn(), call)?;
        match before.state {
            CallState::Parked => pen.append(Some(call), &Event::CallResumed).map(drop)?,
            CallState::Open => {
                let holder = calls::holder(pen.conn(), call)?;
                if holder.is_some_and(|holder| holder != own && instance::is_alive(&folder, holder)) {
                    return Err(TxError::Conflict(format!("Call {} is open at another desk.", before.number)));
                }
                if holder != Some(own) {
                    pen.append(Some(call), &Event::CallResumed)?;
                }
            }
            CallState::Closed => return Err(TxError::Conflict("This call is closed already.".into())),
        }
        if before.verification.is_some() && calls::verified_by(pen.conn(), call)? != technician {
            pen.append(Some(call), &Event::CallTakenOver)?;
        }
        known(pen.conn(), call)
    })
    .await
}

/// Closes a call.
pub async fn close(desk: &Desk, call: CallId) -> Result<ask::Closed, Failure> {
    desk.record(move |pen| {
        must_be_open(pen.conn(), call)?;
        pen.append(Some(call), &Event::CallClosed)
    })
    .await?;
    closing(desk, call).await
}

/// The call with its debts and its note, as of now.
pub async fn note(desk: &Desk, call: CallId) -> Result<ask::Note, Failure> {
    let (folded, owed, head) =
        desk.read(move |conn| Ok((known(conn, call)?, debts::of_call(conn, call)?, store::chain::head(conn)?))).await?;
    let facts = NoteFacts {
        technician: desk.technician().map(|technician| technician.upn),
        ended: folded.closed.unwrap_or_else(|| desk.clock.now()),
        replacement: replacement_words(&owed, &desk.zone),
        wrong_person: owed.iter().any(|debt| debt.compromised.is_some()),
        ledger_seq: head.seq,
        ledger_head: head.hash,
    };
    let note = Note::of(&folded, &facts, &desk.zone);
    Ok(ask::Note { call: folded, debts: owed, note })
}

/// The calls not closed yet, those open at other living desks left out.
pub async fn list(desk: &Desk) -> Result<Vec<Call>, Failure> {
    let (folder, own) = (desk.paths.instances(), desk.instance.id);
    desk.read(move |conn| {
        let elsewhere =
            |call: &Call, holder| call.state == CallState::Open && holder != own && instance::is_alive(&folder, holder);
        let all = calls::unfinished(conn)?.into_iter();
        Ok(all.filter(|(call, holder)| !elsewhere(call, *holder)).map(|(call, _)| call).collect())
    })
    .await
}

/// What was left from before. Closes intents of desks that died as *unknown*, and parks the calls they left open.
pub async fn catch_up(desk: &Desk) -> Result<ask::CaughtUp, Failure> {
    let recovered = super::recover::recover(desk).await?;
    let folder = desk.paths.instances();
    let own = desk.instance.id;
    desk.record(move |pen| {
        for (call, instance) in calls::unfinished(pen.conn())? {
            if call.state == CallState::Open && instance != own && !instance::is_alive(&folder, instance) {
                pen.append(Some(call.id), &Event::CallParked)?;
            }
        }
        Ok(())
    })
    .await?;
    Ok(ask::CaughtUp { calls: list(desk).await?, debts: super::debts::list(desk).await?, recovered })
}

async fn closing(desk: &Desk, call: CallId) -> Result<ask::Closed, Failure> {
    let work::call::Note { call, note, .. } = note(desk, call).await?;
    Ok(ask::Closed { call, note })
}

/// The call, which must exist.
pub(super) fn known(conn: &rusqlite::Connection, call: CallId) -> Result<Call, TxError> {
    calls::get(conn, call)?.ok_or_else(|| TxError::Conflict("There is no such call in the ledger.".into()))
}

/// The call, which must be open.
pub(super) fn must_be_open(conn: &rusqlite::Connection, call: CallId) -> Result<Call, TxError> {
    let folded = known(conn, call)?;
    match folded.state {
        CallState::Open => Ok(folded),
        CallState::Parked => Err(TxError::Conflict(format!("Call {} is parked. Take it up first: F3.", folded.number))),
        CallState::Closed => Err(TxError::Conflict(format!("Call {} is closed already.", folded.number))),
    }
}

/// One clause on the replacement for the note.
fn replacement_words(owed: &[Debt], zone: &TimeZone) -> String {
    let Some(debt) = owed.iter().max_by_key(|debt| debt.is_open()) else {
        return "no key was handed out".into();
    };
    match (&debt.state, debt.rotation.as_ref().map(|rotation| &rotation.state)) {
        (DebtState::Proved { new_key: Some(key), .. }, _) => format!("replaced by {}", key.short()),
        (DebtState::Proved { new_key: None, .. }, _) => "replaced".into(),
        (DebtState::Waived { reason, .. }, _) => format!("replacement waived: {reason}"),
        (DebtState::Cancelled { .. }, _) => "no key was handed out".into(),
        (DebtState::Owed, Some(RotationState::Accepted { .. } | RotationState::Reported { .. })) => {
            "replacement sent".into()
        }
        (DebtState::Owed, Some(RotationState::Blocked { .. })) => "replacement owed, and blocked".into(),
        (DebtState::Owed, _) => format!("replacement owed since {}", age::clock(debt.since, zone)),
    }
}
