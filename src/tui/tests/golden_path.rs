//! The golden path of a call, key by key.

use super::{Desk, asked};
use crate::domain::work::Request;

/// Types each character of `text` as one key and counts it.
fn typed(desk: &mut Desk, text: &str) -> usize {
    desk.type_text(text);
    text.chars().count()
}

#[test]
fn a_call_needs_twenty_one_keys_beside_the_verification_of_the_caller() {
    let mut desk = Desk::open();
    let mut keys = typed(&mut desk, "4F2B91C0");
    desk.wait(200);
    desk.press("enter");
    keys += 1;
    assert!(desk.row(2).contains("call 17"));

    // Counted apart: the caller.
    desk.type_text("mara voss");
    let verified = desk.press("enter tab 1 v");
    assert!(asked(&verified).iter().any(|request| matches!(request, Request::Verify(v) if v.method.is_some())));

    keys += typed(&mut desk, "0048213");
    desk.press("enter 2");
    keys += 2;
    let shown = desk.press("enter");
    keys += 1;
    assert!(asked(&shown).iter().any(|request| matches!(request, Request::Disclose(d) if d.ticket == "INC0048213")));
    assert!(desk.shows("1 of 8"));

    // Space only paces the voice.
    desk.press("space space space space space space space");
    assert!(desk.shows("8 of 8"));

    let in_windows = desk.press("w");
    keys += 1;
    assert!(asked(&in_windows).iter().any(|request| matches!(request, Request::InWindows(_))));
    let closed = desk.press("enter");
    keys += 1;
    assert!(asked(&closed).iter().any(|request| matches!(request, Request::CloseCall(_))));
    assert_eq!(keys, 21);
    assert!(desk.shows("Type what the caller reads"));
}

#[test]
fn enter_held_down_opens_at_most_the_call() {
    let mut desk = Desk::open();
    desk.type_text("4F2B91C0");
    desk.wait(200);
    desk.press("enter");
    for _ in 0..50 {
        desk.repeat("enter");
    }
    assert!(desk.shows("They say"), "still at the caller");
}

#[test]
fn enter_held_down_does_not_reveal_even_where_the_terminal_cannot_tell() {
    let mut desk = Desk::open();
    desk.reach_reason();
    // Back to the ticket and forward again: now Enter follows Enter with a reason already chosen.
    desk.press("esc");
    let effects = desk.press("enter enter enter enter enter");
    assert!(asked(&effects).is_empty(), "{effects:?}");
    desk.wait(1300);
    assert!(matches!(asked(&desk.press("enter"))[..], [Request::Disclose(_), ..]));
}

#[test]
fn enter_held_down_does_not_close_the_call() {
    let mut desk = Desk::open();
    desk.reach_stage();
    desk.press("w");
    assert!(desk.repeat("enter").is_empty());
    assert!(desk.shows("copy note"));
}
