//! What comes back, and what comes unasked.

use super::super::{
    call_desk::CallDesk,
    model::Model,
    screens::{Page, Stop, audit, debts, evidence, find, profiles, quit, read, sign_in, stage},
    theme::Role,
};
use crate::domain::{
    age,
    call::Call,
    debt::Debt,
    foreign::printable,
    work::{
        AskId, Failure, Kind, News, Outcome, Progress, Request,
        call::{CaughtUp, Closed, Note},
        forward::SinkState,
        open_device::{Card, Request as OpenDevice},
    },
};

pub fn progress(model: &mut Model, ask: AskId, progress: Progress) {
    if model.asks.get(ask).is_none() {
        return;
    }
    match progress {
        Progress::DeviceCode(code) => {
            model.offline = None;
            sign_in::code_came(model, code);
        }
        Progress::BrowserPage(page) => {
            model.offline = None;
            sign_in::page_came(model, page);
        }
        Progress::Listing(listing) => {
            // A page came.
            if listing.running {
                model.offline = None;
            }
            model.listing = listing;
        }
        Progress::Records(records) => audit::records_came(model, records),
        Progress::Waiting(waiting) => {
            model.waits.begin(ask, waiting, model.now);
            read::waiting(model, ask, waiting);
        }
        Progress::Forwarding => read::forwarding(model),
        Progress::Recorded => read::recorded(model),
    }
}

/// The one answer to a question, if somebody still waits for it.
pub fn answer(model: &mut Model, ask: AskId, result: Result<Outcome, Failure>) {
    model.waits.end(ask);
    let Some(request) = model.asks.answered(ask) else { return };
    if let Some(desk) = model.call.as_mut().filter(|desk| desk.writing == Some(ask)) {
        desk.writing = None;
    }
    reach(model, &request, result.as_ref().err());
    if model.looking == Some(ask) {
        model.looking = None;
        if result.is_ok() {
            model.toast(Role::Text, "√ Looked just now.");
        }
    }
    match result {
        Ok(outcome) => fulfilled(model, request, outcome),
        Err(failure) => failed(model, request, failure),
    }
}

/// What an answer says of the network: a failure to reach anything begins to be offline, any other word from there ends it.
fn reach(model: &mut Model, request: &Request, failure: Option<&Failure>) {
    let asks_outside = matches!(
        request,
        Request::Resume
            | Request::SignIn(_)
            | Request::SyncIndex
            | Request::LookUp(_)
            | Request::OpenDevice(_)
            | Request::Disclose(_)
            | Request::Reconcile(_)
    );
    match failure.map(|failure| failure.kind) {
        Some(Kind::Unreachable) => model.offline = model.offline.or(Some(model.now.wall)),
        None | Some(Kind::Refused | Kind::NotFound) if asks_outside => model.offline = None,
        _ => {}
    }
}

fn fulfilled(model: &mut Model, request: Request, outcome: Outcome) {
    match (request, outcome) {
        (request, Outcome::SignedIn(signed_in)) => sign_in::answered(model, &request, Ok(signed_in)),
        (_, Outcome::AnotherName(another)) => sign_in::another_came(model, another),
        (_, Outcome::SentAway) => sign_in::sent_away(model),
        (Request::Redeem(asked), Outcome::Redeemed(redeemed)) => sign_in::redeemed(model, &asked, redeemed),
        (_, Outcome::SignedOut(out)) => sign_in::left(model, out),
        (_, Outcome::Profiles(profiles)) => profiles::known(model, profiles),
        (_, Outcome::CaughtUp(caught_up)) => was_left(model, caught_up),
        (_, Outcome::Listed(listing)) => {
            model.listing = listing;
            find::index_grew(model);
        }
        (Request::Find(asked), Outcome::Found(found)) => find::found(model, asked.query, found),
        (Request::LookUp(asked), Outcome::LookedUp(found)) => find::looked_up(model, asked.query, found),
        (Request::OpenDevice(asked), Outcome::Device(card)) => device_opened(model, &asked, *card),
        (_, Outcome::CallOpened(call)) => call_opened(model, call),
        (_, Outcome::Verified(call)) => {
            if let Some(desk) = model.call.as_mut().filter(|desk| desk.call.id == call.id) {
                desk.call = call;
                sign_in::must_unlock(model);
            }
        }
        (_, Outcome::CallerRefused(closed)) => caller_refused(model, closed),
        (_, Outcome::Disclosed(disclosed)) => read::answered(model, Ok(disclosed)),
        (_, Outcome::InWindows(note) | Outcome::CallNote(note)) => in_windows(model, note),
        (_, Outcome::Parked(calls)) => {
            let left = leave_call(model);
            model.drafts.extend(left.map(|desk| (desk.call.id, desk.into_draft())));
            model.calls = calls;
        }
        (_, Outcome::Resumed(call)) => resumed(model, call),
        (_, Outcome::Closed(closed)) => {
            leave_call(model);
            model.drafts.remove(&closed.call.id);
            model.toast(Role::Ok, format!("√ Call {} is closed.", closed.call.number));
            next_caller(model);
        }
        (_, Outcome::Calls(calls)) => {
            let current = model.call.as_ref().map(|desk| desk.call.id);
            model.calls = calls.into_iter().filter(|call| Some(call.id) != current).collect();
        }
        (Request::WrongPerson(_), Outcome::Debts(debts)) => {
            model.debts = debts;
            debts::renewed(model);
            stage::compromised(model);
        }
        (_, Outcome::Debts(debts)) => {
            model.debts = debts;
            debts::renewed(model);
            quit::debts_known(model);
        }
        (Request::Reconcile(asked), Outcome::Reconciled(answer)) => audit::answered(model, &asked, answer),
        (_, Outcome::Evidence(written)) => evidence::written(model, &written),
        (Request::History(debt), Outcome::History(steps)) => {
            if let Some(Page::Debts(page)) = model.pages.last_mut() {
                page.history(debt, steps);
            }
        }
        (_, Outcome::WrappedUp) => quit::wrapped_up(model, Ok(())),
        (_, Outcome::Copied) => model.toast(Role::Ok, "√ Copied."),
        (_, Outcome::Browsed) => model.toast(Role::Text, "The page is open in your browser."),
        (_, Outcome::NextCaller(caller)) => model.incoming = caller,
        (Request::SettleDebt(_), Outcome::Recorded) => {
            model.ask(Request::Debts);
        }
        // Nothing to show; or an outcome that is no answer to what was asked.
        (
            _,
            Outcome::Recorded
            | Outcome::Found(_)
            | Outcome::LookedUp(_)
            | Outcome::Device(_)
            | Outcome::Redeemed(_)
            | Outcome::Reconciled(_)
            | Outcome::History(_),
        ) => {}
    }
}

fn was_left(model: &mut Model, caught_up: CaughtUp) {
    model.debts = caught_up.debts;
    model.calls = caught_up.calls;
    model.recovered = caught_up.recovered;
}

fn device_opened(model: &mut Model, asked: &OpenDevice, card: Card) {
    match &mut model.call {
        Some(desk) if desk.call.device == asked.device => desk.card = Some(card),
        Some(_) => {}
        None => find::opened(model, asked, card),
    }
}

fn call_opened(model: &mut Model, call: Call) {
    let card = find::take_card(model, call.key);
    model.find = find::Find::default();
    model.recovered.clear();
    model.pages.retain(|page| !matches!(page, Page::Duplicates(_)));
    begin(model, call, card);
    sign_in::call_opened(model);
}

fn resumed(model: &mut Model, call: Call) {
    model.calls.retain(|other| other.id != call.id);
    model.pages.clear();
    model.find = find::Find::default();
    begin(model, call, None);
    sign_in::call_opened(model);
}

/// Takes a call to the desk. Its device is opened unless its card is there.
fn begin(model: &mut Model, call: Call, card: Option<Card>) {
    let request = OpenDevice { device: call.device, asked: Some(call.key) };
    let opened = card.is_some();
    let mut desk = CallDesk::new(call, card);
    let reasons = &model.setup.policy.reasons;
    let words = desk.call.reason.clone().unwrap_or_default();
    desk.ticket.reason = reasons.iter().position(|reason| reason.label == words);
    if let Some(draft) = model.drafts.remove(&desk.call.id) {
        desk.restore(draft);
    }
    model.call = Some(desk);
    if !opened {
        model.ask(Request::OpenDevice(request));
    }
}

fn caller_refused(model: &mut Model, closed: Closed) {
    leave_call(model);
    model.find.caller_refused(closed);
    next_caller(model);
}

fn in_windows(model: &mut Model, note: Note) {
    for debt in &note.debts {
        know(&mut model.debts, debt);
    }
    if let Some(desk) = model.call.as_mut().filter(|desk| desk.call.id == note.call.id) {
        desk.call = note.call.clone();
        // Whose digits they were is still known: the wrong person may have heard them.
        if let Some(stage) = &mut desk.stage {
            stage.forget();
        }
        desk.note = Some(note);
    }
}

/// The note says how the debts stand: it is written again when they change.
fn renew_note(model: &mut Model) {
    let is_stale = |desk: &&CallDesk| {
        let live = desk.debts(&model.debts);
        let same = |note: &Note| note.debts.len() == live.len() && live.iter().all(|debt| note.debts.contains(debt));
        desk.note.as_ref().is_some_and(|note| !same(note))
    };
    if let Some(call) = model.call.as_ref().filter(is_stale).map(|desk| desk.call.id) {
        model.ask(Request::CallNote(call));
    }
}

fn know(debts: &mut Vec<Debt>, debt: &Debt) {
    match debts.iter_mut().find(|known| known.id == debt.id) {
        Some(known) => known.clone_from(debt),
        None => debts.push(debt.clone()),
    }
}

/// The desk is free. Digits cannot be left: they went before the step that got here was asked for, or go with the call.
fn leave_call(model: &mut Model) -> Option<CallDesk> {
    super::stage::drop_digits(model);
    let left = model.call.take();
    model.find = find::Find::default();
    model.pages.retain(|page| !matches!(page, Page::Duplicates(_)));
    left
}

fn next_caller(model: &mut Model) {
    if model.setup.demo {
        model.incoming = None;
        model.ask(Request::NextCaller);
    }
}

fn failed(model: &mut Model, request: Request, failure: Failure) {
    match (&request, failure.kind) {
        (Request::Resume | Request::SignIn(_) | Request::ConfirmName, _) => {
            return sign_in::answered(model, &request, Err(failure));
        }
        (Request::Browse(address), _) if sign_in::browse_failed(model, address, &failure) => return,
        (Request::WrapUp, _) => return quit::wrapped_up(model, Err(failure)),
        (Request::Stage(_), _) => {
            model.toast(Role::Warn, format!("× Not recorded: {}", printable(&failure.happened)));
            return;
        }
        (Request::Reconcile(_), Kind::SignIn) => return audit::lacks(model),
        // Nothing of the call hangs on it.
        (Request::Evidence(_), _) => return evidence::failed(model, &failure),
        (_, Kind::Locked) => {
            if let (Request::Disclose(_), Some(desk)) = (&request, &mut model.call) {
                desk.disclosing = None;
            }
            return sign_in::begin(model, sign_in::Why::Locked);
        }
        (_, Kind::SignIn) => {
            if let (Request::Disclose(_), Some(desk)) = (&request, &mut model.call) {
                desk.disclosing = None;
            }
            return sign_in::renew(model, request);
        }
        (_, Kind::Record) if request.must_finish() || request == Request::CatchUp => {
            if let (Request::Disclose(_), Some(desk)) = (&request, &mut model.call) {
                desk.disclosing = None;
            }
            model.pages.clear();
            model.stop = Some(Stop { request, failure });
            return;
        }
        (Request::Disclose(_), _) => return read::answered(model, Err(failure)),
        (_, Kind::Cancelled) => return,
        _ => {}
    }
    refused(model, request, failure);
}

/// An ordinary failure goes where its question was asked.
fn refused(model: &mut Model, request: Request, failure: Failure) {
    match request {
        Request::SyncIndex => {
            model.listing.running = false;
            model.listing.stopped = Some(failure.to_string());
        }
        Request::Find(_) | Request::LookUp(_) | Request::OpenCall(_) => find::failed(model, failure),
        Request::OpenDevice(asked) => match &mut model.call {
            Some(desk) if desk.call.device == asked.device => desk.failure = Some(failure),
            Some(_) => {}
            None => find::failed(model, failure),
        },
        Request::Verify(_) | Request::InWindows(_) | Request::ParkCall(_) | Request::CloseCall(_) => {
            if let Some(desk) = &mut model.call {
                desk.failure = Some(failure);
            }
        }
        Request::WrongPerson(_) => {
            stage::not_compromised(model);
            model.toast(Role::Danger, format!("× Not recorded: {}", printable(&failure.happened)));
        }
        Request::SettleDebt(_) | Request::Debts | Request::History(_) => match model.pages.last_mut() {
            Some(Page::Debts(page)) => page.failed(failure),
            _ => model.toast(Role::Warn, format!("× {failure}")),
        },
        Request::ResumeCall(_) | Request::Calls => match model.pages.last_mut() {
            Some(Page::Calls(page)) => page.failed(failure),
            _ => model.toast(Role::Warn, format!("× {failure}")),
        },
        Request::Reconcile(_) => audit::failed(model, failure),
        Request::NextCaller => model.incoming = None,
        // The lights say it.
        Request::Redeem(_) => {}
        Request::Profiles | Request::SignOut => match model.pages.last_mut() {
            Some(Page::Permissions(page)) => page.failed(failure),
            Some(Page::Profiles(page)) => page.failed(failure),
            _ => model.toast(Role::Warn, format!("× {failure}")),
        },
        Request::Copy(_) => {
            let noted = model.call.as_ref().is_some_and(|desk| desk.note.is_some());
            let way =
                if noted { "Select the note with the mouse; it stays here." } else { "Select it with the mouse." };
            model.toast(Role::Warn, format!("× {} {way}", failure.happened));
        }
        Request::CatchUp
        | Request::CallNote(_)
        | Request::Browse(_)
        | Request::Resume
        | Request::SignIn(_)
        | Request::ConfirmName
        | Request::SendAway
        | Request::WrapUp
        | Request::Evidence(_)
        | Request::Stage(_)
        | Request::Disclose(_) => model.toast(Role::Warn, format!("× {failure}")),
    }
}

pub fn news(model: &mut Model, news: News) {
    match news {
        News::Debts(debts) => {
            model.debts = debts;
            renew_note(model);
            debts::renewed(model);
        }
        News::Debt(sentence) => model.toast(Role::Strong, printable(&sentence)),
        News::Listing(listing) => {
            model.listing = listing;
            find::index_grew(model);
        }
        News::Lights(lights) => model.lights = lights,
        News::Watch(watch) => model.watch = watch,
        News::Waiting(waiting) => model.waits.begin_behind(waiting, model.now),
        News::RowsWait(state) => rows_wait(model, &state),
        News::SignedOut => model.session.signed_out(),
    }
}

/// Said once: a call is disturbed by it only where the policy lets no key be read before.
fn rows_wait(model: &mut Model, state: &SinkState) {
    let since =
        state.waiting.since.map_or_else(String::new, |at| format!(" since {}", age::clock(at, &model.setup.zone)));
    let rows = age::count(usize::try_from(state.waiting.rows).unwrap_or(usize::MAX), "row");
    let policy = &model.setup.policy.forward;
    let means = if policy.comes_before_key() { "no key before they are taken" } else { "calls go on" };
    model.toast(Role::Warn, format!("! The security team lacks {rows}{since}; {means}."));
}
