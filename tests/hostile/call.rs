//! A call that loses its session, and one on another clock.

use super::*;

#[tokio::test]
async fn a_session_that_is_revoked_in_the_middle_of_a_call_asks_for_a_sign_in_and_the_call_goes_on() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    tenant.tenant().revoke();
    tenant.tenant().advance(Duration::from_hours(2));
    let failure = disclose(&desk, &call).await.unwrap_err();
    assert_sentence(&failure, "Sign in again");
    assert_report(&failure, "/oauth2/v2.0/token");
    assert_eq!((failure.kind, reads(&tenant, call.key)), (Kind::SignIn, 0));
    assert_whole(&desk);
    crate::common::sign_in(&desk).await.unwrap();
    disclose(&desk, &call).await.unwrap();
    assert_eq!(reads(&tenant, call.key), 1);
}

#[rstest]
#[case::ahead(2)]
#[case::behind(-2)]
#[tokio::test]
async fn with_the_tenants_clock_two_hours_off_a_whole_call_is_walked_and_paid(#[case] hours: i64) {
    let options = Options {
        scenario: Source::Small,
        speed: 400.0,
        auto_approve: Some(Duration::ZERO),
        clock_off: jiff::SignedDuration::from_hours(hours),
        ..Options::default()
    };
    let (tenant, home) = (simulation::start(options).await.unwrap(), tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    disclose(&desk, &call).await.unwrap();
    assert_eq!(reads(&tenant, call.key), 1);
    ops::rotate::in_windows(&desk, call.id).await.unwrap();
    let debts = common::follow(&desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
    assert!(matches!(debts[0].state, DebtState::Proved { .. }), "{debts:#?}");
    assert_whole(&desk);
}
