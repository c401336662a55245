//! One request, one answer: which op each question goes to.

use std::sync::Arc;

use super::browser;
use crate::{
    config::paths::create_private,
    desk::Desk,
    domain::{
        policy::Policy,
        work::{Failure, Kind, Outcome, Request},
    },
    ops::{self, Asking, calls::Caller, evidence::Place, sign_in::Arrival},
};

pub(super) async fn perform(desk: &Arc<Desk>, request: Request, asking: &Asking) -> Result<Outcome, Failure> {
    match request {
        Request::Resume => match ops::sign_in::resume(desk).await? {
            Some(arrival) => Ok(arrived(arrival)),
            None => Err(Failure::new(Kind::SignIn, "No session is remembered here.").next("Sign in.")),
        },
        Request::SignIn(prompt) => ops::sign_in::sign_in(desk, &prompt, asking).await.map(arrived),
        Request::ConfirmName => ops::sign_in::confirm(desk).await.map(Outcome::SignedIn),
        Request::SendAway => {
            ops::sign_in::send_away(desk).await;
            Ok(Outcome::SentAway)
        }
        Request::Redeem(features) => ops::sign_in::redeem(desk, &features).await.map(Outcome::Redeemed),
        Request::SignOut => ops::sign_in::sign_out(desk).await.map(Outcome::SignedOut),
        Request::Profiles => ops::profiles::list(desk).await.map(Outcome::Profiles),
        Request::CatchUp => ops::calls::catch_up(desk).await.map(Outcome::CaughtUp),
        Request::SyncIndex => ops::sync_index::sync_index(desk, asking).await.map(Outcome::Listed),
        Request::Find(request) => ops::find::find(desk, &request).map(Outcome::Found),
        Request::LookUp(request) => ops::find::look_up(desk, &request, asking).await.map(Outcome::LookedUp),
        Request::OpenDevice(request) => {
            ops::open_device::open_device(desk, request, asking).await.map(|card| Outcome::Device(Box::new(card)))
        }
        Request::OpenCall(request) => ops::calls::open(desk, request).await.map(Outcome::CallOpened),
        Request::Verify(request) => ops::calls::verify(desk, request).await.map(|verdict| match verdict {
            Caller::Verified(call) => Outcome::Verified(call),
            Caller::Refused(closed) => Outcome::CallerRefused(closed),
        }),
        Request::Disclose(request) => ops::disclose::disclose(desk, request, asking).await.map(Outcome::Disclosed),
        Request::Stage(request) => ops::disclose::on_stage(desk, request).await.map(|()| Outcome::Recorded),
        Request::InWindows(request) => ops::rotate::in_windows(desk, request.call).await.map(Outcome::InWindows),
        Request::CallNote(call) => ops::calls::note(desk, call).await.map(Outcome::CallNote),
        Request::ParkCall(request) => ops::calls::park(desk, request.call).await.map(Outcome::Parked),
        Request::ResumeCall(request) => ops::calls::resume(desk, request.call).await.map(Outcome::Resumed),
        Request::CloseCall(request) => ops::calls::close(desk, request.call).await.map(Outcome::Closed),
        Request::Calls => ops::calls::list(desk).await.map(Outcome::Calls),
        Request::Debts => ops::debts::list(desk).await.map(Outcome::Debts),
        Request::SettleDebt(request) => ops::debts::settle(desk, request).await.map(Outcome::Debts),
        Request::WrongPerson(request) => ops::debts::wrong_person(desk, request).await.map(Outcome::Debts),
        Request::Reconcile(request) => ops::reconcile::reconcile(desk, &request, asking).await.map(Outcome::Reconciled),
        Request::Evidence(subject) => {
            // For this account alone, like the ledger beside it.
            let folder = desk.paths.evidence();
            create_private(&folder)?;
            ops::evidence::make(desk, subject, Place::Folder(folder)).await.map(Outcome::Evidence)
        }
        Request::History(debt) => ops::history::timeline(desk, debt).await.map(Outcome::History),
        Request::WrapUp => ops::rotate::send_held(desk).await.map(|()| Outcome::WrappedUp),
        Request::Copy(text) => copy(desk, text).await.map(|()| Outcome::Copied),
        Request::Browse(address) => browser::open(address).await.map(|()| Outcome::Browsed),
        Request::NextCaller => Ok(Outcome::NextCaller(desk.next_caller().await)),
    }
}

fn arrived(arrival: Arrival) -> Outcome {
    match arrival {
        Arrival::Seated(signed_in) => Outcome::SignedIn(signed_in),
        Arrival::Another(another) => Outcome::AnotherName(another),
    }
}

/// Copies a text without secrets, where the policy allows it.
async fn copy(desk: &Desk, text: String) -> Result<(), Failure> {
    may_copy(&desk.policy, desk.is_simulation())?;
    desk.clipboard.copy_text(text).await.map_err(|error| Failure::new(Kind::Failed, error.to_string()))
}

/// Whether the policy lets text without secrets into the clipboard.
pub(super) fn may_copy(policy: &Policy, simulation: bool) -> Result<(), Failure> {
    if policy.copy.holds(simulation) {
        return Ok(());
    }
    Err(Failure::new(Kind::Refused, "The policy does not allow copying here (output.copy).")
        .next("Type it over; the screen keeps it."))
}
