use std::time::Duration;

use super::{super::super::theme::Glyphs, *};
use crate::{
    domain::work::{News, Outcome, Progress},
    tui::tests::{Desk, asked, assert_screen, failure},
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
