//! What only reads, and the one request that changes something.

use super::troubles::*;
use super::*;

/// What only reads: it is repeated where that helps, and ends in a sentence where it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// A device's card.
    Card,
    /// The listing behind the desk.
    Listing,
}

impl Reading {
    fn path(self) -> &'static str {
        match self {
            Self::Card => KEYS_OF_DEVICE,
            Self::Listing => ALL_KEYS,
        }
    }

    async fn perform(self, desk: &Desk, call: &Call) -> Result<usize, Failure> {
        match self {
            Self::Card => {
                let request = open_device::Request { device: call.device, asked: Some(call.key) };
                ops::open_device::open_device(desk, request, &Asking::quietly()).await.map(|card| card.keys.len())
            }
            Self::Listing => ops::sync_index::sync_index(desk, &Asking::quietly()).await.map(|listing| listing.keys),
        }
    }
}

#[rstest]
#[case::busy_in_seconds(busy_for(1))]
#[case::busy_until_a_date(busy_until_a_date(1))]
#[case::busy_without_a_word(busy_unsaid())]
#[case::down(status(503))]
#[case::gateway_gave_up(status(504))]
#[case::claims_in_the_middle(claims_challenge())]
#[case::reset(reset())]
#[case::reset_after_headers(reset_after_headers())]
#[case::truncated(truncated())]
#[case::an_empty_page_that_goes_on(Value::Null)]
#[tokio::test]
async fn a_read_passes_over_what_passes(
    #[case] trouble: Value,
    #[values(Reading::Card, Reading::Listing)] reading: Reading,
) {
    let (tenant, home) = (paged().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let before = reading.perform(&desk, &call).await.unwrap();
    let mut trouble = match trouble {
        Value::Null => {
            let query = if reading == Reading::Card {
                format!("?$filter=deviceId eq '{}'", call.device)
            } else {
                String::new()
            };
            let next = format!("{}/v1.0/informationProtection/bitlocker/recoveryKeys{query}", tenant.graph());
            body(200, json!({"value": [], "@odata.nextLink": next}))
        }
        trouble => trouble,
    };
    // In the middle of paging, where there are pages.
    trouble["skip"] = usize::from(reading == Reading::Listing && trouble["body"].is_null()).into();
    hurt(&tenant, reading.path(), trouble);
    assert_eq!(reading.perform(&desk, &call).await.unwrap(), before);
    assert!(tenant.tenant().log().iter().any(|entry| entry.fault.is_some()), "nothing was struck");
    assert_whole(&desk);
}

/// A tenant whose lists come in small pages.
async fn paged() -> Running {
    let auto_approve = Some(Duration::ZERO);
    simulation::start(Options {
        scenario: Source::Small,
        page_size: Some(60),
        speed: 400.0,
        auto_approve,
        ..Options::default()
    })
    .await
    .unwrap()
}

#[rstest]
#[case::busy(lasting(busy_for(1)), "asked us to wait")]
#[case::busy_for_too_long(lasting(busy_for(3_600)), "asked us to wait")]
#[case::down(lasting(status(503)), "a fault of its own just now (503)")]
#[case::broken_inside(lasting(status(500)), "a fault of its own just now (500)")]
#[case::no_role(lasting(body(403, json!({"error": {"code": "authorization_error"}}))), "permission of this program or a role")]
#[case::token_refused_for_good(lasting(status(401)), "Sign in again")]
#[case::reset(lasting(reset()), "broke the connection off")]
#[case::truncated(lasting(truncated()), "broke the connection off")]
#[case::flood(lasting(flood()), "more than 16 MB")]
#[case::page_with_200(lasting(page(200)), "a web page came instead")]
#[case::page_with_403(lasting(page(403)), "a proxy may have answered")]
#[case::page_with_404(lasting(page(404)), "a proxy may have answered")]
#[case::stall(lasting(stall()), "did not answer in time")]
#[case::empty(lasting(body(200, "")), "it is no list")]
#[case::a_link_to_another_host(lasting(elsewhere()), "leads to another host")]
#[case::json_in_the_message(
    lasting(body(500, json!({"error": {"code": "InternalServerError", "message": "{\"_version\": 3, \"Message\": \"x\"}"}}))), "500")]
#[tokio::test]
async fn a_read_ends_in_a_sentence_under(
    #[case] trouble: Value,
    #[case] words: &str,
    #[values(Reading::Card, Reading::Listing)] reading: Reading,
) {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk_within(patience_with(&trouble), &tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let floods = trouble["kind"] == "flood";
    let is_link = words.contains("another host");
    hurt(&tenant, reading.path(), trouble);
    let begun = Instant::now();
    let failure = reading.perform(&desk, &call).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_sentence(&failure, words);
    // A link that is not followed is no request.
    if !is_link {
        assert_report(&failure, "/recoveryKeys");
    }
    if floods {
        assert_bounded(&tenant, 16 * 1024 * 1024);
    }
    assert_eq!(reads(&tenant, call.key), 0);
    assert_whole(&desk);

    tenant.tenant().heal();
    if failure.kind == Kind::SignIn {
        crate::common::sign_in(&desk).await.unwrap();
    }
    assert!(reading.perform(&desk, &call).await.unwrap() > 0);
    disclose(&desk, &call).await.unwrap();
}

#[rstest]
#[case::reset_served(served(reset()))]
#[case::reset_unserved(reset())]
#[case::reset_after_headers(reset_after_headers())]
#[case::stall_served(served(stall()))]
#[case::busy(busy_for(0))]
#[case::down(status(503))]
#[case::broken_inside_after_serving(served(status(500)))]
#[case::page_with_403(served(page(403)))]
#[case::claims_in_the_middle(claims_challenge())]
#[tokio::test]
async fn a_rotation_is_carried_out_once_and_its_debt_paid_under(#[case] trouble: Value) {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    disclose(&desk, &call).await.unwrap();
    hurt(&tenant, "rotateBitLockerKeys", trouble);
    ops::rotate::in_windows(&desk, call.id).await.unwrap();
    common::follow(&desk, |debts| debts.iter().all(|debt| !debt.is_open())).await;
    assert_eq!(rotations(&tenant).len(), 1);
    assert!(tenant.tenant().log().iter().any(|entry| entry.fault.is_some()), "nothing was struck");
    assert_whole(&desk);
}
