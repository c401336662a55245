use std::time::Duration;

use super::{super::super::theme::Glyphs, *};
use crate::{
    domain::work::{News, Outcome, Progress, Report},
    tui::{
        Effect, Msg,
        tests::{Desk, World, asked, assert_screen, failure},
    },
};

fn code() -> DeviceCode {
    DeviceCode {
        user_code: "C4DHKTR9P".into(),
        address: "https://microsoft.com/devicelogin".into(),
        expires_in: Duration::from_secs(872),
    }
}

fn is_sign_in(request: &Request) -> bool {
    matches!(request, Request::SignIn(_))
}

fn is_resume(request: &Request) -> bool {
    *request == Request::Resume
}

fn is_opening(request: &Request) -> bool {
    matches!(request, Request::OpenDevice(_))
}

fn by(way: Way) -> Request {
    Request::SignIn(Prompt::by(way))
}

/// Waiting for the technician to type the code.
fn waiting(cols: u16, rows: u16, code: DeviceCode) -> Desk {
    let mut desk = asking(Desk::fresh(false, cols, rows));
    desk.progress(is_sign_in, Progress::DeviceCode(code));
    desk
}

/// Nothing is remembered: somebody is asked.
fn asking(mut desk: Desk) -> Desk {
    desk.hold(is_sign_in).hold(is_resume).start();
    desk.answer(is_resume, Err(failure(Kind::SignIn, "No session is remembered here.")));
    desk
}

#[test]
fn before_the_first_sign_in_no_call_is_said_to_be_kept() {
    let mut desk = asking(Desk::fresh(false, 80, 24));
    let declined = failure(Kind::SignIn, "The code was declined.")
        .meaning("The call is kept, and so is what you typed.")
        .next("Ask for a new code.");
    desk.answer(is_sign_in, Err(declined));
    assert!(desk.shows("The code was declined.") && !desk.shows("kept"), "{:#?}", desk.rows());
}

#[test]
fn a_code_is_asked_for_at_once() {
    let desk = asking(Desk::fresh(false, 80, 24));
    assert!(asked(&desk.effects).contains(&&by(Way::DeviceCode)));
    assert_screen!(desk);
}

#[test]
fn the_code_stands_large_beside_its_qr() {
    assert_screen!(waiting(80, 24, code()));
}

#[test]
fn an_address_too_long_for_the_qr_is_spelled_out_whole() {
    let mut long = code();
    long.address = "http://127.0.0.1:43211/a41f0000-1111-4222-8333-444455556666/oauth2/deviceauth".into();
    assert_screen!(waiting(80, 24, long));
}

#[test]
fn a_code_too_wide_is_spelled_out() {
    let mut long = code();
    long.user_code = "C4DH-KTR9-PQQ2".into();
    assert_screen!(waiting(80, 24, long));
}

#[test]
fn in_ascii_there_is_neither_qr_nor_large_code() {
    let mut desk = Desk::fresh(true, 80, 24);
    desk.model.setup.glyphs = Glyphs::Ascii;
    let mut desk = asking(desk);
    desk.progress(is_sign_in, Progress::DeviceCode(code()));
    assert!(desk.rows().iter().all(|row| row.is_ascii()));
    assert_screen!(desk);
}

#[test]
fn the_code_counts_down_and_enter_opens_the_page() {
    let mut desk = waiting(80, 24, code());
    assert!(desk.shows("14:32 left"));
    desk.wait(2000);
    assert!(desk.shows("14:30 left"));
    assert_eq!(asked(&desk.press("enter")), [&Request::Browse("https://microsoft.com/devicelogin".into())]);
    assert_eq!(asked(&desk.press("c")), [&Request::Copy("C4DHKTR9P".into())]);
}

#[test]
fn a_declined_sign_in_says_so_and_enter_tries_again() {
    let mut desk = waiting(80, 24, code());
    let declined = failure(Kind::SignIn, "Sign-in was declined.").next("Enter asks for a new code.");
    desk.answer(is_sign_in, Err(declined));
    assert_screen!(desk);
    assert_eq!(asked(&desk.press("enter")), [&by(Way::DeviceCode)]);
}

#[test]
fn signing_in_opens_the_desk_and_says_as_whom() {
    let mut desk = waiting(80, 24, code());
    desk.release();
    assert!(desk.shows("Signed in as Dana Reyes, dana@harborview.example."));
    assert!(asked(&desk.effects).contains(&&Request::SyncIndex));
}

#[test]
fn in_the_middle_of_a_call_the_call_is_kept() {
    let mut desk = Desk::in_call();
    desk.type_text("mara voss");
    desk.hold(is_sign_in).hold(|request| matches!(request, Request::OpenDevice(_)));
    desk.press("f5");
    desk.answer(|request| matches!(request, Request::OpenDevice(_)), Err(failure(Kind::SignIn, "Signed out.")));
    desk.progress(is_sign_in, Progress::DeviceCode(code()));
    assert_screen!(desk);
    assert_eq!(asked(&desk.press("enter")), [&Request::Browse("https://microsoft.com/devicelogin".into())]);
    // Signed in again, the read goes out once more and the claim still stands.
    let signed_in = crate::tui::tests::World::signed_in();
    desk.effects.clear();
    desk.answer(is_sign_in, Ok(Outcome::SignedIn(signed_in)));
    assert!(matches!(asked(&desk.effects)[..], [Request::OpenDevice(_)]));
    assert!(desk.shows("mara voss"));
}

#[test]
fn a_session_that_ended_shows_on_the_status_line() {
    let mut desk = Desk::open();
    desk.news(News::SignedOut);
    assert!(desk.row(1).contains("signed out"));
}

fn page() -> BrowserPage {
    let query = "client_id=4d1f0000-1111-4222-8333-444455556666&response_type=code&redirect_uri=http%3A%2F%2F127.0.0.1%3A43211\
                 &scope=openid%20profile%20offline_access%20https%3A%2F%2Fgraph.microsoft.com%2FBitlockerKey.ReadBasic.All\
                 &state=Zm9vYmFyYmF6cXV4&nonce=bm9uY2Vub25jZQ&code_challenge=47DEQpj8HBSa&code_challenge_method=S256";
    BrowserPage {
        address: format!("https://login.microsoftonline.com/harborview.example/oauth2/v2.0/authorize?{query}"),
        expires_in: Duration::from_mins(10),
    }
}

fn is_browse(request: &Request) -> bool {
    matches!(request, Request::Browse(_))
}

/// The page is there, and the browser is asked to open it.
fn browsing() -> Desk {
    let mut desk = waiting(80, 24, code());
    desk.hold(is_browse);
    desk.press("b");
    desk.progress(is_sign_in, Progress::BrowserPage(page()));
    desk
}

#[test]
fn b_changes_over_to_the_browser_and_back_and_the_code_is_given_up() {
    let mut desk = waiting(80, 24, code());
    let ask = desk.ask(is_sign_in);
    let effects = desk.press("b");
    assert!(effects.contains(&Effect::Cancel { ask }), "{effects:?}");
    assert_eq!(asked(&effects), [&by(Way::Browser)]);
    assert!(desk.shows("Asking Entra for the page"));
    assert_eq!(asked(&desk.press("b")), [&by(Way::DeviceCode)]);
    // A code that comes late for a question nobody asks any more is not shown.
    desk.send(crate::tui::Msg::Progress { ask, progress: Progress::DeviceCode(code()) });
    assert!(!desk.shows("C4DHKTR9P"));
}

#[test]
fn the_page_opens_by_itself() {
    let mut desk = browsing();
    assert!(desk.open.iter().any(|(_, request)| *request == Request::Browse(page().address)));
    assert_screen!(desk);
    desk.answer(is_browse, Ok(Outcome::Browsed));
    assert_eq!(asked(&desk.press("c")), [&Request::Copy(page().address)]);
}

#[test]
fn where_no_browser_opens_the_address_stands_there_whole() {
    let mut desk = browsing();
    desk.answer(is_browse, Err(failure(Kind::Failed, "No browser can be opened here: you are connected over ssh.")));
    assert_screen!(desk);
    let shown: String = desk.rows()[11..20].iter().map(|row| row.trim()).collect();
    assert_eq!(shown, page().address);
}

#[test]
fn with_the_browser_set_its_page_is_asked_for_at_once_and_b_says_why_not() {
    let mut desk = Desk::fresh(false, 80, 24);
    desk.model.session.ways = vec![Way::Browser];
    let mut desk = asking(desk);
    assert!(asked(&desk.effects).contains(&&by(Way::Browser)));
    assert!(desk.row(24).contains("b sign in by code (see settings)"), "{}", desk.row(24));
    assert!(desk.press("b").is_empty());
}

/// Conditional Access takes no code, in the words of the sign-in's own table.
fn blocked() -> Failure {
    let refused = failure(Kind::Refused, "Conditional Access blocked this sign-in.");
    refused
        .meaning("Whoever runs Conditional Access in your organisation can change it.")
        .next("Sign in with the browser instead. If that is refused too, ask for this app to be allowed.")
        .instead(Way::Browser)
}

#[test]
fn a_way_that_policy_forbids_is_no_key_to_press() {
    let mut desk = Desk::fresh(false, 80, 24);
    desk.model.session.ways = vec![Way::DeviceCode];
    let mut desk = asking(desk);
    desk.answer(is_sign_in, Err(blocked()));
    assert!(desk.row(24).starts_with("  Enter try again   b sign in by browser (see settings)"), "{}", desk.row(24));
    assert!(desk.rows()[11].starts_with("  Sign in with the browser instead."), "{:#?}", desk.rows());
}

#[test]
fn in_the_middle_of_a_call_a_refusal_puts_the_key_of_the_other_way_first() {
    let mut desk = Desk::in_call();
    desk.hold(is_sign_in).hold(|request| matches!(request, Request::OpenDevice(_)));
    desk.press("f5");
    desk.answer(|request| matches!(request, Request::OpenDevice(_)), Err(failure(Kind::SignIn, "Signed out.")));
    desk.answer(is_sign_in, Err(blocked()));
    assert_screen!(desk);
}

#[test]
fn a_refusal_that_names_the_other_way_makes_its_key_the_one_to_press() {
    let mut desk = waiting(80, 24, code());
    desk.answer(is_sign_in, Err(blocked()));
    assert_screen!(desk);
    assert_eq!(asked(&desk.press("b")), [&by(Way::Browser)]);
}

#[test]
fn the_failed_request_can_be_copied_for_microsoft() {
    let mut desk = waiting(80, 24, code());
    let mut refused = failure(Kind::Failed, "The sign-in service answered something odd.");
    refused = refused.with_report(Some(Box::new(report())));
    desk.answer(is_sign_in, Err(refused));
    assert!(desk.row(24).contains("y copy for Microsoft"), "{}", desk.row(24));
    assert_eq!(asked(&desk.press("y")), [&Request::Copy(report().to_string())]);
}

fn report() -> Report {
    Report {
        method: "POST".into(),
        path: "/oauth2/v2.0/token".into(),
        status: Some(503),
        code: String::new(),
        request_id: Some("5f1c".into()),
        client_request_id: None,
        at: "2026-11-20T09:41:00Z".parse().unwrap(),
    }
}

fn is_settled(request: &Request) -> bool {
    matches!(request, Request::ConfirmName | Request::SendAway)
}

/// Omar signed in, where it was Dana last time.
fn another() -> Desk {
    let mut desk = waiting(80, 24, code());
    desk.hold(is_settled);
    desk.answer(is_sign_in, Ok(Outcome::AnotherName(World::another_name())));
    desk
}

#[test]
fn another_name_than_last_time_has_to_be_confirmed() {
    let mut desk = another();
    assert_screen!(desk);
    assert!(desk.row(1).contains("signed out"));
    desk.wait(1500);
    assert_eq!(asked(&desk.press("enter")), [&Request::ConfirmName]);
    desk.release();
    assert!(desk.row(1).contains("omar") && desk.shows("Signed in as Omar Haddad"), "{:#?}", desk.rows());
}

#[test]
fn a_key_from_before_the_question_stood_there_confirms_nothing() {
    let mut desk = waiting(80, 24, code());
    desk.press("enter");
    desk.answer(is_sign_in, Ok(Outcome::AnotherName(World::another_name())));
    desk.hold(is_settled);
    assert!(desk.burst("enter enter esc").is_empty(), "typed ahead");
    desk.pass(Duration::from_millis(300));
    assert!(desk.repeat("enter").is_empty(), "held down");
    assert!(desk.row(1).contains("signed out"));
}

#[test]
fn esc_sends_the_other_account_away() {
    let mut desk = another();
    desk.wait(500);
    assert_eq!(asked(&desk.press("esc")), [&Request::SendAway]);
    desk.answer(is_settled, Ok(Outcome::SentAway));
    assert!(desk.shows("Nothing was recorded under its name."), "{:#?}", desk.rows());
    assert_eq!(asked(&desk.press("enter")), [&by(Way::DeviceCode)]);
}

#[test]
fn in_the_middle_of_a_call_another_name_is_asked_about_and_the_caller_verified_again() {
    let mut desk = Desk::open();
    desk.reach_reason();
    desk.hold(is_sign_in).hold(|request| matches!(request, Request::Disclose(_)));
    desk.press("enter");
    desk.answer(|request| matches!(request, Request::Disclose(_)), Err(failure(Kind::SignIn, "Signed out.")));
    desk.answer(is_sign_in, Ok(Outcome::AnotherName(World::another_name())));
    assert_screen!(desk);
    desk.wait(1500);
    let effects = desk.press("enter");
    assert!(!asked(&effects).iter().any(|request| matches!(request, Request::Disclose(_))), "{effects:?}");
    // The claim still stands; how it was verified does not.
    assert!(desk.shows("► Caller") && desk.shows("mara voss"), "{:#?}", desk.rows());
}

#[test]
fn what_lacks_consent_is_asked_for_while_the_caller_is_being_verified() {
    let mut desk = Desk::open();
    desk.world.lacking = vec![Feature::Reveal];
    desk.hold(is_sign_in);
    desk.reach_caller();
    desk.progress(is_sign_in, Progress::DeviceCode(code()));
    assert_screen!(desk);
    // Put off, it does not come again by itself; the claim can be typed.
    desk.press("esc");
    desk.type_text("mara voss");
    assert!(desk.shows("mara voss") && !desk.shows("Entra needs your consent"), "{:#?}", desk.rows());
}

#[test]
fn what_is_typed_as_a_prompt_comes_does_not_act_on_it() {
    let mut desk = Desk::open();
    desk.world.lacking = vec![Feature::Reveal];
    desk.hold(is_sign_in);
    desk.reach_caller();
    assert!(desk.burst("b esc enter").is_empty());
    assert!(desk.shows("Entra needs your consent"));
}

/// Nobody touched the desk for a quarter of an hour.
fn locked(mut desk: Desk) -> Desk {
    desk.wait(15 * 60 * 1000 + 1000);
    desk
}

#[test]
fn an_idle_desk_locks_and_everything_but_a_reveal_goes_on() {
    let mut desk = Desk::open();
    desk.reach_ticket();
    desk.type_text("0048213");
    let mut desk = locked(desk);
    assert!(desk.row(1).contains("locked"));
    assert!(desk.shows("INC0048213"), "what was typed stays");
    desk.press("f2");
    assert!(desk.shows("Debts"));
    desk.press("esc");
    desk.hold(is_sign_in);
    let effects = desk.press("enter 2 enter");
    let fresh = |way| Request::SignIn(Prompt { fresh: true, ..Prompt::by(way) });
    assert_eq!(
        asked(&effects),
        [&fresh(Way::Browser)],
        "no key is asked for, and a browser can be told to ask for a password"
    );
    // A letter that was meant for the field changes nothing.
    desk.wait(1_000);
    assert_eq!(asked(&desk.press("b")), [&fresh(Way::DeviceCode)]);
    desk.progress(is_sign_in, Progress::DeviceCode(code()));
    assert_screen!(desk);
    desk.release();
    assert!(desk.row(1).contains("dana"));
    assert!(desk.shows("► 2 Windows update"), "the key is asked for by a key press only");
}

#[test]
fn a_locked_desk_asks_when_a_call_is_opened_not_when_its_key_is_read() {
    let mut desk = locked(Desk::open());
    desk.hold(is_sign_in);
    desk.reach_caller();
    assert!(desk.shows("Nobody was at this desk for 15 min."), "{:#?}", desk.rows());
}

#[test]
fn a_program_started_anew_after_a_while_is_locked_from_its_first_screen() {
    let mut desk = Desk::fresh(false, 80, 24);
    desk.hold(is_resume).start();
    let locked = SignedIn { locked: true, ..World::signed_in() };
    desk.answer(is_resume, Ok(Outcome::SignedIn(locked)));
    assert!(desk.row(1).contains("locked"), "{:#?}", desk.rows());
    desk.release();
    desk.hold(is_sign_in);
    desk.reach_caller();
    assert!(desk.shows("Nobody was at this desk for 15 min."), "{:#?}", desk.rows());
}

#[test]
fn a_locked_desk_that_somebody_else_opens_is_open_once_the_name_is_confirmed() {
    let mut desk = locked(Desk::open());
    desk.hold(is_sign_in);
    desk.reach_caller();
    desk.answer(is_sign_in, Ok(Outcome::AnotherName(World::another_name())));
    assert!(desk.row(1).contains("locked"));
    desk.wait(1500);
    desk.press("enter");
    assert!(desk.row(1).contains("omar"), "{}", desk.row(1));
}

#[test]
fn locking_drops_the_digits() {
    let mut desk = Desk::open();
    desk.model.setup.policy = std::sync::Arc::new(crate::domain::policy::Policy {
        lock_after: Duration::from_mins(1),
        ..crate::tui::tests::policy()
    });
    desk.press("esc");
    desk.model.session.attendance = Some(Attendance::begin(desk.now, Duration::from_mins(1)));
    desk.reach_stage();
    let effects = {
        desk.effects.clear();
        desk.wait(61_000);
        std::mem::take(&mut desk.effects)
    };
    let dropped =
        |request: &&Request| matches!(request, Request::Stage(on) if on.what == crate::domain::event::Stage::Dropped);
    assert!(asked(&effects).iter().any(dropped), "{effects:?}");
    assert!(desk.row(1).contains("locked"), "{:#?}", desk.rows());
}

#[test]
fn between_calls_a_locked_desk_says_so_and_enter_opens_it_before_anybody_calls() {
    let mut desk = locked(Desk::open());
    assert_screen!(desk);
    desk.hold(is_sign_in);
    let fresh = Request::SignIn(Prompt { fresh: true, ..Prompt::by(Way::Browser) });
    assert_eq!(asked(&desk.press("enter")), [&fresh]);
    desk.release();
    assert!(desk.row(1).contains("dana"), "{}", desk.row(1));
    assert!(desk.press("enter").is_empty(), "nothing is typed, and nothing is locked");
}

#[test]
fn where_no_browser_can_be_opened_a_desk_is_unlocked_by_code() {
    let mut desk = Desk::open();
    desk.model.setup.opens_browser = false;
    let mut desk = locked(desk);
    desk.hold(is_sign_in);
    let fresh = Request::SignIn(Prompt { fresh: true, ..Prompt::by(Way::DeviceCode) });
    assert_eq!(asked(&desk.press("enter")), [&fresh]);
}

#[test]
fn a_desk_that_locks_in_a_call_asks_once_the_caller_is_verified() {
    let mut desk = Desk::open();
    desk.reach_caller();
    let mut desk = locked(desk);
    desk.hold(is_sign_in);
    desk.type_text("mara voss");
    desk.press("enter tab 1");
    assert!(!desk.shows("Nobody was at this desk"), "{:#?}", desk.rows());
    desk.press("v");
    assert!(desk.shows("Nobody was at this desk for 15 min."), "{:#?}", desk.rows());
}

#[test]
fn what_a_call_at_a_locked_desk_will_need_is_asked_for_once_it_is_open() {
    let mut desk = locked(Desk::open());
    desk.hold(is_sign_in);
    desk.reach_caller();
    desk.effects.clear();
    desk.answer(is_sign_in, Ok(Outcome::SignedIn(World::signed_in())));
    let both = Request::Redeem(vec![Feature::Reveal, Feature::Rotate]);
    assert!(asked(&desk.effects).contains(&&both), "{:?}", desk.effects);
}

#[test]
fn a_locked_desk_still_says_who_will_stand_on_record() {
    let mut desk = Desk::open();
    desk.reach_reason();
    let desk = locked(desk);
    assert!(desk.row(1).contains("locked") && desk.shows("dana reads 4F2B91C0"), "{:#?}", desk.rows());
}

#[test]
fn a_name_that_is_being_typed_as_a_prompt_comes_does_not_change_the_way() {
    let mut desk = Desk::open();
    desk.world.lacking = vec![Feature::Reveal];
    desk.hold(is_sign_in);
    desk.reach_caller();
    assert!(desk.type_text("barbara c").is_empty());
    desk.pass(Duration::from_secs(1));
    assert_eq!(asked(&desk.press("b")).len(), 1, "pressed by itself it does");
}

#[test]
fn a_tenant_known_by_its_id_alone_is_named_by_the_beginning_of_it() {
    let mut desk = Desk::fresh(false, 80, 24);
    desk.model.setup.tenant = "eb325c4c-5808-4ee0-9ec4-20e067e670b7".into();
    desk.model.session = Session::new(&desk.model.setup);
    let desk = asking(desk);
    assert!(desk.row(1).contains("tenant eb325c ") && desk.shows("Sign in to tenant eb325c"), "{:#?}", desk.rows());
}

#[test]
fn a_key_that_ops_refuse_because_the_desk_is_locked_brings_the_prompt() {
    let mut desk = Desk::open();
    desk.reach_reason();
    desk.hold(is_sign_in).hold(|request| matches!(request, Request::Disclose(_)));
    desk.press("enter");
    desk.answer(|request| matches!(request, Request::Disclose(_)), Err(failure(Kind::Locked, "It is locked.")));
    assert!(desk.open.iter().any(|(_, request)| matches!(request, Request::SignIn(Prompt { fresh: true, .. }))));
}

#[test]
fn the_desk_wakes_to_lock_and_then_no_more() {
    let desk = Desk::open();
    let lock = desk.model.session.locks_at().unwrap();
    assert!(lock.left(desk.now) <= Duration::from_mins(15));
    let desk = locked(desk);
    assert_eq!(desk.model.session.locks_at(), None);
}

#[test]
fn at_120_by_40_the_code_stands_as_it_does_on_a_small_screen() {
    assert_screen!(waiting(120, 40, code()));
}

#[test]
fn at_120_by_40_the_address_for_a_browser_takes_fewer_rows() {
    let mut desk = waiting(120, 40, code());
    desk.hold(is_browse);
    desk.press("b");
    desk.progress(is_sign_in, Progress::BrowserPage(page()));
    desk.answer(is_browse, Err(failure(Kind::Failed, "No browser can be opened here: you are connected over ssh.")));
    assert_screen!(desk);
}

#[test]
fn at_120_by_40_the_prompt_leaves_the_runbook_beside_it() {
    let mut desk = Desk::sized(120, 40);
    desk.world.lacking = vec![Feature::Reveal, Feature::Rotate];
    desk.hold(is_sign_in);
    desk.reach_caller();
    desk.progress(is_sign_in, Progress::DeviceCode(code()));
    assert_screen!(desk);
}

#[test]
fn beside_the_qr_a_notice_takes_two_rows() {
    let mut desk = waiting(80, 24, code());
    desk.hold(is_browse);
    desk.press("enter");
    desk.answer(is_browse, Err(failure(Kind::Failed, "No browser can be opened here: there is no display.")));
    assert!(desk.row(22).ends_with("× No browser can be opened here: there is"), "{:#?}", desk.rows());
    assert!(desk.row(23).ends_with("no display."), "{:#?}", desk.rows());
}

/// Signed out from the page of permissions.
fn sign_out(desk: &mut Desk) -> Vec<Effect> {
    desk.press("f6 s");
    desk.wait(1500);
    desk.press("enter")
}

#[test]
fn a_prompt_that_is_approved_after_signing_out_seats_nobody() {
    let mut desk = Desk::in_call();
    desk.hold(is_sign_in).hold(is_opening);
    desk.press("f5");
    desk.answer(is_opening, Err(failure(Kind::SignIn, "Signed out.")));
    desk.progress(is_sign_in, Progress::DeviceCode(code()));
    let ask = desk.ask(is_sign_in);
    let effects = sign_out(&mut desk);
    assert!(effects.contains(&Effect::Cancel { ask }), "{effects:?}");
    desk.send(Msg::Progress { ask, progress: Progress::DeviceCode(code()) });
    assert!(desk.shows("Nobody is signed in.") && !desk.shows("C4DHKTR9P"), "{:#?}", desk.rows());
    desk.send(Msg::Answer { ask, result: Ok(Outcome::SignedIn(World::signed_in())) });
    assert!(desk.row(1).contains("signed out") && desk.shows("Nobody is signed in."), "{:#?}", desk.rows());
}

#[test]
fn a_device_that_was_being_opened_at_sign_out_is_for_nobody_who_comes_later() {
    let mut desk = Desk::open();
    desk.hold(is_opening);
    desk.type_text("4F2B91C0");
    desk.wait(200);
    let ask = desk.ask(is_opening);
    assert!(sign_out(&mut desk).contains(&Effect::Cancel { ask }));
    let card = Box::new(desk.world.card.clone());
    desk.send(Msg::Answer { ask, result: Ok(Outcome::Device(card)) });
    let kept = format!("{:?}", desk.model.find);
    assert!(!kept.contains("HVC-LT-0421"), "{kept}");
}

#[test]
fn what_was_asked_in_one_name_is_asked_anew_by_whoever_takes_the_desk_over() {
    let mut desk = Desk::open();
    desk.world.lacking = vec![Feature::Reveal];
    desk.hold(is_sign_in);
    desk.reach_caller();
    desk.hold(is_opening);
    desk.model.call.as_mut().unwrap().card = None;
    desk.press("f5");
    let ask = desk.ask(is_opening);
    desk.answer(is_sign_in, Ok(Outcome::AnotherName(World::another_name())));
    desk.wait(1500);
    let effects = desk.press("enter");
    assert!(effects.contains(&Effect::Cancel { ask }), "{effects:?}");
    let asked = asked(&effects);
    assert!(asked.contains(&&Request::SyncIndex), "{asked:?}");
    assert!(asked.iter().any(|request| is_opening(request)), "the call has no card otherwise: {asked:?}");
    assert!(asked.contains(&&Request::Redeem(vec![Feature::Reveal, Feature::Rotate])), "{asked:?}");
}

#[test]
fn a_key_that_was_asked_for_in_another_name_is_dropped_at_once() {
    let mut desk = Desk::open();
    desk.hold(|request| matches!(request, Request::Disclose(_)));
    desk.reach_reason();
    desk.press("enter");
    desk.model.session.technician = Some(World::omar());
    desk.effects.clear();
    desk.release();
    let stage = |request: &&Request| matches!(request, Request::Stage(_));
    let told: Vec<&Request> = asked(&desk.effects).into_iter().filter(stage).collect();
    assert!(
        matches!(told[..], [Request::Stage(on)] if on.what == crate::domain::event::Stage::Dropped),
        "never shown: {told:?}"
    );
    assert!(desk.shows("The key came for somebody else"), "{:#?}", desk.rows());
    assert!(!desk.model.call.as_ref().unwrap().stage.as_ref().unwrap().has_digits());
}

#[test]
fn while_the_remembered_session_is_looked_for_no_other_sign_in_begins() {
    let mut desk = Desk::fresh(false, 80, 24);
    desk.hold(is_resume).hold(is_sign_in).start();
    assert!(desk.press("b enter").is_empty());
    let keys = desk.row(24);
    assert!(keys.contains("b sign in by browser (looking)") && keys.contains("F1 help"), "{keys}");
    assert!(desk.shows("Looking for the session of last time"), "{:#?}", desk.rows());
}

#[test]
fn where_the_remembered_session_could_not_be_tried_trying_again_tries_it() {
    let mut desk = Desk::fresh(false, 80, 24);
    desk.hold(is_resume).hold(is_sign_in).start();
    desk.answer(is_resume, Err(failure(Kind::Unreachable, "Entra cannot be reached.")));
    assert!(desk.row(24).contains("Enter try again"), "{}", desk.row(24));
    assert_eq!(asked(&desk.press("enter")), [&Request::Resume]);
    desk.answer(is_resume, Err(failure(Kind::Unreachable, "Entra cannot be reached.")));
    // Who asks for another way means it, and trying that again does not go back.
    assert_eq!(asked(&desk.press("b")), [&by(Way::Browser)]);
    desk.answer(is_sign_in, Err(failure(Kind::Unreachable, "Entra cannot be reached.")));
    desk.wait(1500);
    assert_eq!(asked(&desk.press("enter")), [&by(Way::Browser)]);
}

#[test]
fn a_store_that_lets_no_session_go_is_said_on_the_screen_that_signing_out_leads_to() {
    let mut desk = Desk::open();
    desk.hold(|request| *request == Request::SignOut);
    desk.press("f6 s");
    desk.wait(1_500);
    desk.press("enter");
    let kept = failure(Kind::Failed, "The store did not let the session go.").next("Unlock it.");
    let out = SignedOut { calls: Vec::new(), kept: Some(kept) };
    desk.answer(|request| *request == Request::SignOut, Ok(Outcome::SignedOut(out)));
    assert!(desk.shows("The store did not let the session go.") && desk.shows("Unlock it."), "{:#?}", desk.rows());
}
