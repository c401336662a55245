//! What comes unasked and is said once.

use std::sync::Arc;

use crate::{
    domain::{
        outbox::{Cursor, Waiting},
        policy::forwarding::When,
        work::{News, forward::SinkState},
    },
    tui::tests::{Desk, policy, wall},
};

fn rows_wait() -> News {
    let waiting = Waiting { rows: 12, since: Some(wall()) };
    let error = Some("collector.example answered 503.".to_owned());
    News::RowsWait(SinkState {
        sink: "webhook https://collector.example/".into(),
        cursor: Cursor { failures: 4, error, ..Cursor::default() },
        waiting,
    })
}

#[test]
fn rows_that_wait_for_the_security_team_are_told_of_once_and_disturb_no_call() {
    let mut desk = Desk::open();
    desk.news(rows_wait());
    assert!(desk.shows("! The security team lacks 12 rows since 09:41; calls go on."));
    desk.wait(10_000);
    assert!(!desk.shows("The security team lacks"));
}

#[test]
fn where_a_key_waits_for_them_the_notice_says_so() {
    let mut policy = policy();
    policy.forward.when = When::BeforeKey;
    let mut desk = Desk::open();
    desk.model.setup.policy = Arc::new(policy);
    desk.news(rows_wait());
    assert!(desk.shows("since 09:41; no key before they are taken."), "{:?}", desk.rows());
}
