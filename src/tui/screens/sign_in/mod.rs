//! Signing in, by device code or by browser: the first screen, and the prompt that comes over a call.

mod code;
mod prompt;
mod session;
#[cfg(test)]
mod tests;
mod view;

use super::{
    super::{
        call_desk::CallDesk,
        footer::Hint,
        keymap::Action,
        model::{Model, SETTLE},
        theme::Role,
    },
    Page, find,
    stage::{self, Stage},
};
use crate::domain::{
    attendance::Attendance,
    capability::{Feature, Lights},
    work::{
        Failure, Kind, Request,
        open_device::Request as OpenDevice,
        sign_in::{AnotherName, BrowserPage, DeviceCode, Prompt, Redeemed, SignedIn, SignedOut, Way},
        sync_index::Listing,
    },
};

pub use prompt::prompt;
use session::State;
pub use session::{Session, Why};
pub use view::view;

/// Why nobody can sign in while the remembered session is tried: two that come in at once would be one too many.
const RESUMING: &str = "looking";

/// The desk locks when its time has come: what was shown goes.
pub fn lock(model: &mut Model) {
    let now = model.now;
    let Some(attendance) = &mut model.session.attendance else { return };
    if attendance.locks_at().is_some() && attendance.is_locked(now) {
        stage::drop_digits(model);
    }
}

/// Begins a sign-in: a code is asked for at once, or a page.
pub fn begin(model: &mut Model, why: Why) {
    let session = &mut model.session;
    session.why = why;
    session.since = model.now;
    let by_page = session.wants_fresh() && model.setup.opens_browser;
    let way = if by_page { Way::to_unlock(&session.ways) } else { session.ways.first().copied() };
    ask(model, way.unwrap_or(Way::DeviceCode));
}

fn ask(model: &mut Model, way: Way) {
    let features = match &model.session.why {
        Why::Session(features) | Why::Consent(features) => features.clone(),
        Why::Locked => Vec::new(),
    };
    let fresh = model.session.wants_fresh();
    model.session.resumes_again = false;
    model.session.way = way;
    model.session.state = State::Starting;
    model.ask(Request::SignIn(Prompt { way, features, fresh }));
}

/// Entra named the code.
pub fn code_came(model: &mut Model, code: DeviceCode) {
    let until = model.now.in_(code.expires_in);
    model.session.state = State::Code { code, until };
}

/// The page is there to be opened, and is.
pub fn page_came(model: &mut Model, page: BrowserPage) {
    let until = model.now.in_(page.expires_in);
    let address = page.address.clone();
    model.session.state = State::Page { page, until, shut: None };
    model.ask(Request::Browse(address));
}

/// A page did not open. Whether it was the one to sign in on.
pub fn browse_failed(model: &mut Model, address: &str, failure: &Failure) -> bool {
    match &mut model.session.state {
        State::Page { page, shut, .. } if page.address == address => {
            *shut = Some(failure.happened.clone());
            true
        }
        _ => false,
    }
}

/// `request` failed for want of a session, or of consent: start a new sign-in, and ask a read again afterwards.
pub fn renew(model: &mut Model, request: Request) {
    // What Entra wants before it gives out a key, it may want for that very permission.
    let features = if matches!(request, Request::Disclose(_)) { vec![Feature::Reveal] } else { Vec::new() };
    if !request.must_finish() {
        model.session.after.push(request);
    }
    if !model.session.is_waiting() && !matches!(model.session.state, State::Another(_)) {
        begin(model, Why::Session(features));
    }
}

/// Somebody asks for what this feature needs: a prompt, and then `request`. Pages go, so that the prompt is seen.
pub fn ask_consent(model: &mut Model, feature: Feature, request: Request) {
    if model.session.is_waiting() || matches!(model.session.state, State::Another(_)) {
        return;
    }
    model.pages.clear();
    model.session.after.push(request);
    begin(model, Why::Consent(vec![feature]));
}

/// Before a key is asked for: whether a locked desk has to be opened first.
pub fn must_unlock(model: &mut Model) -> bool {
    let locked = model.session.is_locked();
    if locked && !model.session.is_renewing() {
        begin(model, Why::Locked);
    }
    locked
}

/// A call was opened: what it will need is asked for while the caller is being verified, and never in the caller's time.
pub fn call_opened(model: &mut Model) {
    if !must_unlock(model) {
        redeem(model);
    }
}

fn redeem(model: &mut Model) {
    model.ask(Request::Redeem(vec![Feature::Reveal, Feature::Rotate]));
}

/// Whether the desk's call has yet to come to its key.
fn awaits_key(model: &Model) -> bool {
    model.call.as_ref().is_some_and(|desk| desk.call.disclosed.is_none())
}

/// What could be had without asking anybody.
pub fn redeemed(model: &mut Model, asked: &[Feature], redeemed: Redeemed) {
    model.lights = redeemed.lights;
    let everything = asked.len() == Feature::ALL.len();
    let lacking: Vec<Feature> = if everything {
        model.session.put_off.clear();
        redeemed.lacking
    } else {
        redeemed.lacking.into_iter().filter(|feature| !model.session.put_off.contains(feature)).collect()
    };
    let awaited = everything || awaits_key(model);
    if lacking.is_empty() || !awaited || model.session.is_renewing() {
        if everything && lacking.is_empty() {
            model.toast(Role::Ok, "√ Everything that can be granted is.");
        }
        return;
    }
    if everything {
        model.pages.clear();
    }
    begin(model, Why::Consent(lacking));
}

/// The one answer to a question about who is there.
pub fn answered(model: &mut Model, request: &Request, result: Result<SignedIn, Failure>) {
    match result {
        Ok(signed_in) => seated(model, signed_in),
        Err(failure) if *request == Request::Resume && failure.kind == Kind::SignIn => {
            begin(model, Why::Session(Vec::new()));
        }
        Err(failure) if failure.kind == Kind::Cancelled => model.session.state = State::Idle,
        Err(mut failure) => {
            model.session.resumes_again = *request == Request::Resume;
            if failure.kind == Kind::SignIn {
                // What is kept the prompt says itself; before the first sign-in there is no call.
                failure.means.clear();
            }
            model.session.state = State::Failed(failure);
        }
    }
}

/// Somebody else than last time: they have to say that they mean it.
pub fn another_came(model: &mut Model, another: AnotherName) {
    model.session.state = State::Another(another);
    model.session.since = model.now;
}

/// They did not, and their session has ended.
pub fn sent_away(model: &mut Model) {
    let failure = Failure::new(Kind::SignIn, "That account is signed out again. Nothing was recorded under its name.");
    model.session.state = State::Failed(failure.next("Enter signs in anew."));
}

fn seated(model: &mut Model, signed_in: SignedIn) {
    let before = model.session.technician.replace(signed_in.technician.clone());
    let is_new = before.as_ref().is_none_or(|before| before.id != signed_in.technician.id);
    let until = if signed_in.remembered { "" } else { ", until you quit" };
    let who = &signed_in.technician;
    let text = match model.setup.profile {
        // Of several tenants it says which.
        Some(_) => format!("√ Signed in to {} as {}{until}.", signed_in.tenant.name, who.upn),
        None => format!("√ Signed in as {}, {}{until}.", who.name, who.upn),
    };
    let session = &mut model.session;
    session.tenant = signed_in.tenant.name;
    session.tenant_id = Some(signed_in.tenant.id);
    session.signed_out = false;
    session.state = State::Idle;
    let after = model.setup.policy.lock_after;
    session.attendance =
        Some(if signed_in.locked { Attendance::locked(after) } else { Attendance::begin(model.now, after) });
    model.lights = signed_in.lights;
    let is_taken_over = is_new && before.is_some();
    if is_taken_over {
        taken_over(model);
    }
    if !model.call.as_ref().and_then(|desk| desk.stage.as_ref()).is_some_and(Stage::is_on) {
        model.toast(Role::Ok, text);
    }
    if is_new {
        model.ask(Request::SyncIndex);
    }
    if (is_taken_over || model.session.why == Why::Locked) && awaits_key(model) {
        // Nothing was asked for yet in this name: or the call was opened at a locked desk, or came to its key there.
        redeem(model);
    }
    for request in std::mem::take(&mut model.session.after) {
        model.ask(request);
    }
}

/// What is read in the name of who sits here: its answer is for nobody else.
fn reads_in_their_name(request: &Request) -> bool {
    matches!(
        request,
        Request::SyncIndex
            | Request::Find(_)
            | Request::LookUp(_)
            | Request::OpenDevice(_)
            | Request::Redeem(_)
            | Request::Reconcile(_)
    )
}

/// The desk is somebody else's now: no digit of the one before stays, nothing comes any more that was read in their name, and the caller has
/// to be verified again.
fn taken_over(model: &mut Model) {
    stage::drop_digits(model);
    model.forget_those(reads_in_their_name);
    forget_audit(model);
    model.find = find::Find::default();
    model.listing = Listing::default();
    model.session.put_off.clear();
    if let Some(desk) = &mut model.call {
        desk.call.verification = None;
        desk.failure = None;
    }
    let unopened = model.call.as_ref().filter(|desk| desk.card.is_none());
    if let Some(call) = unopened.map(|desk| &desk.call) {
        let request = OpenDevice { device: call.device, asked: Some(call.key) };
        model.ask(Request::OpenDevice(request));
    }
}

/// What Entra's log said to one person is not for another.
fn forget_audit(model: &mut Model) {
    model.pages.retain(|page| !matches!(page, Page::Audit(_)));
}

/// Signed out: the first screen, and nothing of the desk on it.
pub fn left(model: &mut Model, out: SignedOut) {
    stage::drop_digits(model);
    // A prompt that is approved later would seat somebody at a desk that was left.
    model.forget_those(|request| {
        reads_in_their_name(request) || matches!(request, Request::SignIn(_) | Request::Resume)
    });
    forget_audit(model);
    let draft = model.call.take().map(|desk| (desk.call.id, CallDesk::into_draft(desk)));
    model.drafts.extend(draft);
    model.calls = out.calls;
    model.pages.clear();
    model.stop = None;
    model.find = find::Find::default();
    model.listing = Listing::default();
    model.lights = Lights::default();
    let session = &mut model.session;
    session.technician = None;
    session.signed_out = true;
    session.state = out.kept.map_or(State::Idle, State::Failed);
    session.why = Why::Session(Vec::new());
    session.after.clear();
    session.put_off.clear();
}

pub fn act(model: &mut Model, action: Action) {
    let over_a_desk = model.session.is_renewing();
    let settled = model.session.since.in_(SETTLE).passed(model.now);
    if (over_a_desk || matches!(model.session.state, State::Another(_))) && !settled {
        // Typed before the prompt stood there: meant for something else.
        return;
    }
    if over_a_desk && matches!(action, Action::OtherWay | Action::Copy) && !model.presses.after_pause() {
        // A letter of a name that was being typed when the prompt took the keys.
        return;
    }
    match (action, &model.session.state) {
        (Action::GoOn, State::Another(_)) if model.presses.deliberate() && why_not_confirm(model).is_none() => {
            settle(model, Request::ConfirmName);
        }
        (Action::Back, State::Another(_)) => settle(model, Request::SendAway),
        (_, State::Another(_) | State::Settling | State::Resuming) => {}
        (Action::GoOn, State::Code { .. } | State::Page { .. }) => {
            if let Some(address) = model.session.address().map(str::to_owned) {
                model.ask(Request::Browse(address));
            }
        }
        (Action::GoOn, State::Failed(_)) if model.session.resumes_again => {
            model.session.state = State::Resuming;
            model.session.resumes_again = false;
            model.ask(Request::Resume);
        }
        (Action::GoOn, State::Failed(_) | State::Idle) => {
            let way = model.session.way;
            ask(model, way);
        }
        (Action::OtherWay, _) if model.session.offers(model.session.way.other()) => {
            let way = model.session.way.other();
            ask(model, way);
        }
        (Action::Copy, State::Code { .. } | State::Page { .. }) if model.may_copy() => {
            let text = model.session.code().map(|code| code.user_code.clone());
            if let Some(text) = text.or_else(|| model.session.address().map(str::to_owned)) {
                model.ask(Request::Copy(text));
            }
        }
        (Action::Back, _) if over_a_desk => put_off(model),
        _ => {}
    }
}

/// What was asked in the name of the one before has to be answered before the desk is somebody else's.
fn why_not_confirm(model: &Model) -> Option<&'static str> {
    model.call.as_ref().and_then(CallDesk::under_way)
}

fn settle(model: &mut Model, request: Request) {
    model.session.state = State::Settling;
    model.ask(request);
}

/// Esc: the desk goes on without. What was to be asked for is not asked for again by itself.
fn put_off(model: &mut Model) {
    let any = Request::SignIn(Prompt::by(model.session.way));
    model.forget(&any);
    let session = &mut model.session;
    session.state = State::Idle;
    session.after.clear();
    if let Why::Consent(features) = &session.why {
        session.put_off.extend(features);
    }
}

pub fn hints(model: &Model) -> Vec<Hint> {
    let session = &model.session;
    let copy = |words| model.hint(Action::Copy, words).unless(!model.may_copy(), "policy forbids");
    let go_on = |words| model.hint(Action::GoOn, words);
    let (first, copied) = match &session.state {
        State::Code { .. } => (go_on("open the page"), Some("copy the code")),
        State::Page { shut: None, .. } => (go_on("open it again"), Some("copy the address")),
        State::Page { .. } => (copy("copy the address"), None),
        State::Another(another) => {
            let words = format!("go on as {}", another.now.short_name());
            let why_not = why_not_confirm(model);
            let confirm = go_on(&words).unless(why_not.is_some(), why_not.unwrap_or_default());
            return vec![confirm, model.hint(Action::Back, "sign it out"), model.hint(Action::Help, "help")];
        }
        State::Failed(_) => (go_on("try again"), None),
        State::Idle => (go_on("sign in"), None),
        State::Settling => (go_on("sign in").unless(true, "one moment"), None),
        State::Resuming => (go_on("sign in").unless(true, RESUMING), None),
        State::Starting if session.way == Way::Browser => (go_on("open the page").unless(true, "one moment"), None),
        State::Starting => (go_on("open the page").unless(true, "asking for a code"), None),
    };
    let mut hints = vec![first, other_way(model)];
    if session.instead().is_some() {
        hints.swap(0, 1);
    }
    if session.is_renewing() {
        hints.push(model.hint(Action::Back, "back"));
        if model.call.is_some() {
            hints.push(model.hint(Action::Park, "park"));
        }
        hints.extend(copied.map(copy));
    } else {
        hints.extend(copied.map(copy));
        hints.push(model.hint(Action::Debts, "debts"));
        hints.push(model.hint(Action::Quit, "quit"));
    }
    hints.push(model.hint(Action::Help, "help"));
    hints
}

/// The other way of signing in, or why it is none.
fn other_way(model: &Model) -> Hint {
    let way = model.session.way.other();
    let words = match way {
        Way::Browser => "sign in by browser",
        Way::DeviceCode => "sign in by code",
    };
    let forbids = !model.setup.policy.ways.contains(&way);
    let why = if forbids { "policy forbids" } else { "see settings" };
    let resumes = model.session.state == State::Resuming;
    model.hint(Action::OtherWay, words).unless(!model.session.offers(way), why).unless(resumes, RESUMING)
}
