//! Who sits at the desk: another name, an idle desk, signing out, through the ops and against the simulated tenant.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::{
    path::Path,
    sync::{Arc, RwLock},
    time::Duration,
};

use common::*;
use jiff::{SignedDuration, Timestamp};
use keydesk::{
    desk::{Clock, Desk},
    domain::{
        capability::Feature,
        event::Event,
        moment::Moment,
        work::{
            Failure, Kind, Progress,
            sign_in::{Prompt, Way},
        },
    },
    ops::{self, Asking, sign_in::Arrival},
    simulation::{self, Options, Running, Source},
};
use tokio_util::sync::CancellationToken;

const DANA: &str = "dana@harborview.example";
const SAM: &str = "sam@harborview.example";

/// A tenant in which a person approves.
async fn tenant_of_people() -> Running {
    simulation::start(Options { scenario: Source::Small, speed: 400.0, ..Options::default() }).await.unwrap()
}

async fn prompt(desk: &Desk, tenant: &Running, who: &'static str, prompt: Prompt) -> Result<Arrival, Failure> {
    let approver = tenant.tenant().clone();
    let asking = Asking::new(
        move |progress| {
            if let Progress::DeviceCode(code) = progress {
                approver.approve(&code.user_code, Some(who)).unwrap();
            }
        },
        CancellationToken::new(),
    );
    ops::sign_in::sign_in(desk, &prompt, &asking).await
}

fn by_code() -> Prompt {
    Prompt::by(Way::DeviceCode)
}

fn open(tenant: &Running, home: &Path, clock: Clock) -> Desk {
    Desk::open(&settings(tenant, home, QUICK), clock).unwrap()
}

/// The events and who stands in their stamps.
fn record(desk: &Desk) -> Vec<(String, String)> {
    let name = |event: &Event| serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned();
    let rows = desk.ledger().rows(1).unwrap();
    let who = |technician: Option<keydesk::domain::technician::Technician>| {
        technician.map(|technician| technician.short_name().to_string()).unwrap_or_default()
    };
    // What the policy says is recorded before whatever happens first.
    let happened = rows.into_iter().filter(|row| !matches!(row.event, Event::PolicyInForce { .. }));
    happened.map(|row| (name(&row.event), who(row.stamp.technician))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(event, who)| ((*event).to_owned(), (*who).to_owned())).collect()
}

#[tokio::test]
async fn another_name_than_last_time_takes_no_seat_and_leaves_no_row_before_it_is_confirmed() {
    let (tenant, home) = (tenant_of_people().await, tempfile::tempdir().unwrap());
    {
        let desk = open(&tenant, home.path(), Clock::system());
        assert!(matches!(prompt(&desk, &tenant, DANA, by_code()).await.unwrap(), Arrival::Seated(_)));
    }
    let desk = open(&tenant, home.path(), Clock::system());
    let Arrival::Another(another) = prompt(&desk, &tenant, SAM, by_code()).await.unwrap() else { panic!("seated") };
    assert_eq!((another.now.upn.raw(), another.before.upn.raw()), (SAM, DANA));
    assert!(desk.seat().is_err());
    assert_eq!(record(&desk), pairs(&[("signed-in", "dana")]));

    ops::sign_in::send_away(&desk).await;
    assert_eq!(ops::sign_in::confirm(&desk).await.unwrap_err().kind, Kind::SignIn, "nobody is there to confirm");

    prompt(&desk, &tenant, SAM, by_code()).await.unwrap();
    assert_eq!(ops::sign_in::confirm(&desk).await.unwrap().technician.upn.raw(), SAM);
    assert_eq!(record(&desk), pairs(&[("signed-in", "dana"), ("signed-in", "sam")]));
}

#[tokio::test]
async fn somebody_else_in_the_middle_of_a_call_has_to_verify_the_caller_again() {
    let (tenant, home) = (tenant_of_people().await, tempfile::tempdir().unwrap());
    let desk = open(&tenant, home.path(), Clock::system());
    prompt(&desk, &tenant, DANA, by_code()).await.unwrap();
    ops::sync_index::sync_index(&desk, &Asking::quietly()).await.unwrap();
    let call = verified_call(&desk, PREFIX).await;

    let arrival = prompt(&desk, &tenant, SAM, by_code()).await.unwrap();
    assert!(matches!(arrival, Arrival::Another(_)));
    // Until it is confirmed the desk is Dana's, and so is what it is allowed.
    let seat = desk.seat().unwrap();
    assert_eq!(seat.technician.upn.raw(), DANA);
    let dana = seat.graph.session().clone();
    ops::sign_in::confirm(&desk).await.unwrap();
    assert!(dana.token(Feature::List).await.is_err(), "what still runs for Dana gets nothing of Sam's");

    let refused = disclose(&desk, &call).await.unwrap_err();
    assert_eq!(refused.happened, "The caller is not verified yet.");
    assert_eq!(key_requests(&tenant).len(), 0);
    let rows = record(&desk);
    let last = &rows[rows.len() - 2..];
    assert_eq!(last, pairs(&[("signed-in", "sam"), ("call-taken-over", "sam")]));
    desk.ledger().rebuild().unwrap();
    assert_eq!(ops::calls::note(&desk, call.id).await.unwrap().call.verification, None);
}

#[tokio::test]
async fn the_same_person_goes_on_in_the_same_session() {
    let (tenant, home) = (tenant_of_people().await, tempfile::tempdir().unwrap());
    let desk = open(&tenant, home.path(), Clock::system());
    prompt(&desk, &tenant, DANA, by_code()).await.unwrap();
    let before = desk.seat().unwrap().graph.session().clone();
    tenant.tenant().revoke();
    prompt(&desk, &tenant, DANA, by_code()).await.unwrap();
    // What began before the renewal goes on with what it brought.
    before.token(Feature::Reveal).await.unwrap();
}

/// A desk whose clock stands still.
fn at_a_manual_clock(tenant: &Running, home: &Path) -> (Desk, Arc<RwLock<Moment>>) {
    let moment = Arc::new(RwLock::new(Moment { wall: Timestamp::now(), up: Duration::from_secs(1) }));
    (open(tenant, home, Clock::Manual(Arc::clone(&moment))), moment)
}

fn pass(moment: &RwLock<Moment>, wall: SignedDuration, up: Duration) {
    let mut moment = moment.write().unwrap();
    *moment = Moment { wall: moment.wall + wall, up: moment.up + up };
}

#[tokio::test]
async fn an_idle_desk_reads_no_key_until_entra_has_asked_for_credentials_again() {
    let (tenant, home) = (tenant_of_people().await, tempfile::tempdir().unwrap());
    let (desk, clock) = at_a_manual_clock(&tenant, home.path());
    prompt(&desk, &tenant, DANA, by_code()).await.unwrap();
    ops::sync_index::sync_index(&desk, &Asking::quietly()).await.unwrap();
    let call = verified_call(&desk, PREFIX).await;
    let after = desk.policy.lock_after;

    pass(&clock, SignedDuration::try_from(after).unwrap(), after);
    desk.touch();
    let refused = disclose(&desk, &call).await.unwrap_err();
    assert_eq!(refused.kind, Kind::Locked, "{refused}");
    // Setting the clock back opens nothing, and neither does a sign-in that asked for nothing.
    pass(&clock, SignedDuration::from_hours(-2), Duration::ZERO);
    prompt(&desk, &tenant, DANA, by_code()).await.unwrap();
    assert_eq!(disclose(&desk, &call).await.unwrap_err().kind, Kind::Locked);
    assert_eq!(key_requests(&tenant).len(), 0);
    assert!(ops::debts::list(&desk).await.unwrap().is_empty(), "what is owed can be looked at");

    prompt(&desk, &tenant, DANA, Prompt { fresh: true, ..by_code() }).await.unwrap();
    disclose(&desk, &call).await.unwrap();
}

fn indexes(home: &Path) -> Vec<String> {
    let names = std::fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("index-")).collect()
}

#[tokio::test]
async fn signing_out_parks_the_call_and_leaves_neither_session_nor_index() {
    let (tenant, home) = (tenant_of_people().await, tempfile::tempdir().unwrap());
    let desk = open(&tenant, home.path(), Clock::system());
    prompt(&desk, &tenant, DANA, by_code()).await.unwrap();
    ops::sync_index::sync_index(&desk, &Asking::quietly()).await.unwrap();
    let call = verified_call(&desk, PREFIX).await;
    disclose(&desk, &call).await.unwrap();
    let session = desk.seat().unwrap().graph.session().clone();
    assert!(!indexes(home.path()).is_empty());

    let out = ops::sign_in::sign_out(&desk).await.unwrap();
    assert_eq!(out.calls.iter().map(|call| call.number).collect::<Vec<_>>(), [call.number]);
    assert_eq!(indexes(home.path()), Vec::<String>::new());
    assert!(desk.seat().is_err() && session.token(Feature::List).await.is_err());
    let rows = record(&desk);
    assert_eq!(rows[rows.len() - 2..], pairs(&[("call-parked", "dana"), ("signed-out", "dana")]));
    assert_eq!(ops::debts::list(&desk).await.unwrap().len(), 1, "what is owed stays");
    // The name stays: somebody else is asked, Dana is not.
    assert!(matches!(prompt(&desk, &tenant, SAM, by_code()).await.unwrap(), Arrival::Another(_)));
    ops::sign_in::send_away(&desk).await;
    assert!(matches!(prompt(&desk, &tenant, DANA, by_code()).await.unwrap(), Arrival::Seated(_)));
}

#[tokio::test]
async fn an_index_that_nobody_used_is_gone_at_the_next_start() {
    let (tenant, home) = (tenant_of_people().await, tempfile::tempdir().unwrap());
    let expires = {
        let (desk, _) = at_a_manual_clock(&tenant, home.path());
        prompt(&desk, &tenant, DANA, by_code()).await.unwrap();
        ops::sync_index::sync_index(&desk, &Asking::quietly()).await.unwrap();
        SignedDuration::try_from(desk.policy.index_expires).unwrap()
    };
    let later = |by: SignedDuration| {
        let moment = Moment { wall: Timestamp::now() + by, up: Duration::ZERO };
        open(&tenant, home.path(), Clock::Manual(Arc::new(RwLock::new(moment))))
    };
    drop(later(expires - SignedDuration::from_hours(1)));
    assert!(!indexes(home.path()).is_empty());
    drop(later(expires + SignedDuration::from_hours(1)));
    assert_eq!(indexes(home.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_way_that_the_policy_does_not_allow_is_refused_and_the_other_named() {
    let (tenant, home) = (tenant_of_people().await, tempfile::tempdir().unwrap());
    let lines = format!("{QUICK}[sign_in]\nways = [\"browser\"]\n");
    let desk = Desk::open(&settings(&tenant, home.path(), &lines), Clock::system()).unwrap();
    let refused = prompt(&desk, &tenant, DANA, by_code()).await.unwrap_err();
    assert_eq!((refused.kind, refused.instead), (Kind::Refused, Some(Way::Browser)), "{refused}");
    assert_eq!(desk.offered_ways(), [Way::Browser]);
}

#[tokio::test]
async fn a_call_that_is_resumed_by_somebody_else_is_verified_again() {
    let (tenant, home) = (tenant_of_people().await, tempfile::tempdir().unwrap());
    let desk = open(&tenant, home.path(), Clock::system());
    prompt(&desk, &tenant, DANA, by_code()).await.unwrap();
    ops::sync_index::sync_index(&desk, &Asking::quietly()).await.unwrap();
    let call = verified_call(&desk, PREFIX).await;
    ops::calls::park(&desk, call.id).await.unwrap();
    assert!(ops::calls::resume(&desk, call.id).await.unwrap().verification.is_some(), "Dana asked, and Dana goes on");
    ops::sign_in::sign_out(&desk).await.unwrap();

    prompt(&desk, &tenant, SAM, by_code()).await.unwrap();
    ops::sign_in::confirm(&desk).await.unwrap();
    assert_eq!(ops::calls::resume(&desk, call.id).await.unwrap().verification, None);
    assert_eq!(disclose(&desk, &call).await.unwrap_err().happened, "The caller is not verified yet.");
    assert_eq!(key_requests(&tenant).len(), 0);
}

/// The page a prompt by browser would open; nobody comes back from it.
async fn page_asked_for(desk: &Desk) -> String {
    let (tell, told) = tokio::sync::oneshot::channel();
    let tell = std::sync::Mutex::new(Some(tell));
    let asking = Asking::new(
        move |progress| {
            if let Progress::BrowserPage(page) = progress {
                tell.lock().unwrap().take().unwrap().send(page.address).unwrap();
            }
        },
        CancellationToken::new(),
    );
    let by_browser = Prompt::by(Way::Browser);
    tokio::select! {
        arrival = ops::sign_in::sign_in(desk, &by_browser, &asking) => panic!("{arrival:?}"),
        page = told => page.unwrap(),
    }
}

#[tokio::test]
async fn leaving_the_program_opens_no_desk_that_had_locked() {
    let (tenant, home) = (tenant_of_people().await, tempfile::tempdir().unwrap());
    let (desk, clock) = at_a_manual_clock(&tenant, home.path());
    assert!(!page_asked_for(&desk).await.contains("prompt=login"), "the first sign-in of all");
    prompt(&desk, &tenant, DANA, by_code()).await.unwrap();
    let after = desk.policy.lock_after;
    pass(&clock, SignedDuration::try_from(after).unwrap(), after);
    // A passer-by answers a prompt that asks for nothing.
    prompt(&desk, &tenant, DANA, by_code()).await.unwrap();
    assert!(desk.is_locked());
    drop(desk);

    let anew = open(&tenant, home.path(), Clock::Manual(clock));
    assert!(page_asked_for(&anew).await.contains("prompt=login"), "credentials are asked for");
}

#[tokio::test]
async fn a_name_that_is_confirmed_long_after_opens_no_desk() {
    let (tenant, home) = (tenant_of_people().await, tempfile::tempdir().unwrap());
    let (desk, clock) = at_a_manual_clock(&tenant, home.path());
    prompt(&desk, &tenant, DANA, by_code()).await.unwrap();
    let after = desk.policy.lock_after;
    prompt(&desk, &tenant, SAM, Prompt { fresh: true, ..by_code() }).await.unwrap();
    pass(&clock, SignedDuration::try_from(after).unwrap(), after);
    assert!(ops::sign_in::confirm(&desk).await.unwrap().locked);
}
