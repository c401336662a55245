//! One request, one answer: which op each question goes to.

use std::sync::Arc;

use crate::{
    desk::{Desk, unblocked},
    domain::{
        capability::Feature,
        work::{Failure, Kind, Outcome, Request},
    },
    ops::{self, Asking, calls::Caller},
};

pub(super) async fn perform(desk: &Arc<Desk>, request: Request, asking: &Asking) -> Result<Outcome, Failure> {
    match request {
        Request::SignIn => ops::sign_in::sign_in(desk, asking).await.map(Outcome::SignedIn),
        Request::CatchUp => ops::calls::catch_up(desk).await.map(Outcome::CaughtUp),
        Request::SyncIndex => ops::sync_index::sync_index(desk, asking).await.map(Outcome::Listed),
        Request::Find(request) => ops::find::find(desk, &request).map(Outcome::Found),
        Request::LookUp(request) => ops::find::look_up(desk, &request, asking).await.map(Outcome::LookedUp),
        Request::OpenDevice(request) => {
            ops::open_device::open_device(desk, request, asking).await.map(|card| Outcome::Device(Box::new(card)))
        }
        Request::OpenCall(request) => {
            let call = ops::calls::open(desk, request).await?;
            // Ahead of need, while the caller is being verified: never in the caller's time.
            ops::sign_in::redeem(desk, &[Feature::Reveal, Feature::Rotate]).await;
            Ok(Outcome::CallOpened(call))
        }
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
        Request::WrapUp => ops::rotate::send_held(desk).await.map(|()| Outcome::WrappedUp),
        Request::Copy(text) => copy(desk, text).await.map(|()| Outcome::Copied),
        Request::Browse(address) => browse(address).await.map(|()| Outcome::Browsed),
        Request::NextCaller => Ok(Outcome::NextCaller(desk.next_caller().await)),
    }
}

/// Copies a text without secrets, where the policy allows it.
async fn copy(desk: &Desk, text: String) -> Result<(), Failure> {
    if !desk.policy.copy.holds(desk.is_simulation()) {
        return Err(Failure::new(Kind::Refused, "The policy does not allow copying here (output.copy).")
            .next("Type it over; the screen keeps it."));
    }
    desk.clipboard.copy_text(text).await.map_err(|error| Failure::new(Kind::Failed, error.to_string()))
}

/// Opens the technician's browser: a graphical one, never a text browser in this terminal.
async fn browse(address: String) -> Result<(), Failure> {
    let by_hand = || {
        Failure::new(Kind::Failed, "No browser can be opened here.")
            .next("Type the address on any device, or scan the code.")
    };
    if !address.starts_with("https://") && !address.starts_with("http://") {
        return Err(by_hand());
    }
    let is_graphical = !cfg!(all(unix, not(target_os = "macos")))
        || ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if !is_graphical {
        return Err(by_hand());
    }
    unblocked(move || webbrowser::open(&address)).await.map_err(|_| by_hand())
}
