//! Who waits for whom, who may stop, and how every request is signed.

use super::troubles::*;
use super::*;

#[tokio::test]
async fn the_technician_hears_how_long_entra_asks_to_wait_and_a_call_passes_the_listing_that_waits() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    // The listing is told to wait two seconds; nothing else is.
    hurt(&tenant, "$top=999", busy_for(2));
    let waits = Arc::new(Mutex::new(Vec::new()));
    let listing = tokio::spawn({
        let (desk, waits) = (Arc::clone(&desk), Arc::clone(&waits));
        async move {
            let tell = move |progress| {
                if let Progress::Waiting(waiting) = progress {
                    waits.lock().unwrap().push(waiting.for_);
                }
            };
            let begun = Instant::now();
            ops::sync_index::sync_index(&desk, &Asking::new(tell, CancellationToken::new())).await.unwrap();
            begun.elapsed()
        }
    });
    while waits.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = Instant::now();
    disclose(&desk, &call).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1_500), "the call waited {:?}", begun.elapsed());
    assert!(listing.await.unwrap() >= Duration::from_secs(2));
    assert!(waits.lock().unwrap().iter().all(|wait| *wait <= Duration::from_secs(2)), "{waits:?}");
}

#[tokio::test]
async fn a_read_that_stalls_ends_as_soon_as_nobody_waits_for_it() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = common::desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    hurt(&tenant, KEYS_OF_DEVICE, stall());
    let cancel = CancellationToken::new();
    let asked = tokio::spawn({
        let (desk, call, cancel) = (Arc::clone(&desk), call.clone(), cancel.clone());
        async move { ops::disclose::disclose(&desk, request(&call, TICKET), &Asking::new(|_| {}, cancel)).await }
    });
    while tenant.tenant().log().last().unwrap().fault.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = Instant::now();
    cancel.cancel();
    let failure = asked.await.unwrap().unwrap_err();
    assert_eq!(failure.kind, Kind::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(1) && common::key_requests(&tenant).is_empty());
    tenant.tenant().heal();
    disclose(&desk, &call).await.unwrap();
}

#[tokio::test]
async fn every_request_of_a_whole_call_says_who_asks_under_an_id_of_its_own() {
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let call = verified_call(&desk, PREFIX).await;
    let disclosed: Disclosed = disclose(&desk, &call).await.unwrap();
    ops::rotate::in_windows(&desk, call.id).await.unwrap();
    let log = tenant.tenant().log();
    let ids: Vec<_> = log.iter().map(|entry| entry.client_request_id.expect(&entry.path)).collect();
    assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len(), "each has its own id");
    assert!(ids.contains(&disclosed.disclosure.0));
    for entry in &log {
        assert!(entry.user_agent.as_ref().unwrap().starts_with("keydesk/"), "{entry:#?}");
        assert_eq!(entry.client.as_deref(), Some(concat!("keydesk ", env!("CARGO_PKG_VERSION"))), "{entry:#?}");
    }
    assert!(log.iter().any(|entry| entry.path.contains("/oauth2/")) && log.len() > 8, "{}", log.len());
    assert_eq!(connection(&tenant).tenant, tenant.tenant_id().to_string());
    assert_eq!(key(&desk, PREFIX).key.id, call.key);
}
