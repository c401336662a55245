//! A key is asked for while the network is hostile.

use super::troubles::*;
use super::*;

/// What becomes of a key request.
#[derive(Debug)]
enum Ending {
    /// The digits are shown, after so many requests.
    Shown(usize),
    /// Certainly nothing was handed out, and nothing is owed.
    Refused(&'static str),
    /// Nobody can say: one request, one debt.
    Uncertain(&'static str),
}

use Ending::{Refused, Shown, Uncertain};

#[rstest]
#[case::busy_in_seconds(busy_for(1), Shown(2))]
#[case::busy_until_a_date(busy_until_a_date(1), Shown(2))]
#[case::busy_without_a_word(busy_unsaid(), Shown(2))]
#[case::busy_for_too_long(busy_for(3_600), Refused("Entra asked us to wait"))]
#[case::down_and_saying_when(
    json!({"kind": "status", "status": 503, "headers": {"Retry-After": "1"}}), Shown(2))]
#[case::down(served(status(503)), Uncertain("Entra answered with an error (503)"))]
#[case::broken_inside(served(status(500)), Uncertain("Entra answered with an error (500)"))]
#[case::gateway_gave_up(served(status(504)), Uncertain("Entra answered with an error (504)"))]
#[case::timed_out_there(served(status(408)), Uncertain("Entra answered with an error (408)"))]
#[case::no_role(body(403, json!({"error": {"code": "authorization_error"}})), Refused("may not read them"))]
#[case::gone(status(404), Refused("no such key any more"))]
#[case::claims_in_the_middle(claims_challenge(), Shown(2))]
#[case::token_refused_for_good(lasting(status(401)), Refused("does not accept the session"))]
#[case::reset_unserved(reset(), Uncertain("No answer came"))]
#[case::reset_served(served(reset()), Uncertain("No answer came"))]
#[case::reset_after_headers(reset_after_headers(), Uncertain("arrived damaged"))]
#[case::truncated(truncated(), Uncertain("arrived damaged"))]
#[case::flood(served(flood()), Uncertain("arrived damaged"))]
#[case::page_with_200(served(page(200)), Uncertain("arrived damaged"))]
#[case::page_with_403(served(page(403)), Uncertain("Entra answered with an error (403)"))]
#[case::page_with_404(served(page(404)), Uncertain("Entra answered with an error (404)"))]
#[case::stall(served(stall()), Uncertain("No answer came"))]
#[case::empty(served(body(200, "")), Uncertain("arrived damaged"))]
#[case::no_key_in_it(served(body(200, json!({"id": null}))), Uncertain("without the key"))]
#[case::another_key(
    served(body(200, json!({"id": "00000000-0000-4000-8000-000000000000", "key": "1"}))), Uncertain("arrived damaged"))]
#[tokio::test]
async fn a_reveal_under(#[case] trouble: Value, #[case] ending: Ending) {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk_within(patience_with(&trouble), &tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let counts = trouble["kind"] == "flood";
    hurt(&tenant, REVEAL, trouble);

    let outcome = disclose(&desk, &call).await;
    let sent = common::key_requests(&tenant);
    let audited = reads(&tenant, call.key);
    assert_eq!(audited, sent.iter().filter(|entry| entry.served).count(), "the tenant's own count: {sent:#?}");
    assert!(audited <= 1, "{sent:#?}");
    let debt = debt_of(&desk, call.key).await.unwrap();
    match (&ending, &outcome) {
        (Shown(requests), Ok(_)) => {
            assert_eq!((sent.len(), audited, debt.is_open()), (*requests, 1, true));
        }
        (Refused(words), Err(failure)) => {
            assert_sentence(failure, words);
            assert_report(failure, "/recoveryKeys/");
            assert_eq!((audited, matches!(debt.state, DebtState::Cancelled { .. })), (0, true), "{debt:#?}");
        }
        (Uncertain(words), Err(failure)) => {
            assert_sentence(failure, words);
            assert_report(failure, "/recoveryKeys/");
            assert_eq!((failure.kind, sent.len(), debt.is_open()), (Kind::Uncertain, 1, true), "{debt:#?}");
        }
        _ => panic!("{ending:?} and not {outcome:?}"),
    }
    if counts {
        assert_bounded(&tenant, 2_000_000);
    }
    assert_whole(&desk);

    // The desk is usable: the technician signs in where that is asked for, and asks again, on purpose.
    tenant.tenant().heal();
    if matches!(&outcome, Err(failure) if failure.kind == Kind::SignIn) {
        crate::common::sign_in(&desk).await.unwrap();
    }
    disclose(&desk, &call).await.unwrap();
    assert_eq!(reads(&tenant, call.key), audited + 1);
    assert_whole(&desk);
}
