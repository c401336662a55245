//! The most talkative log, in a program of its own: the collector is the process's, so no other test's threads get in between.
#![cfg(feature = "simulation")]
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod common;

use std::sync::{Arc, Mutex};

use common::{PREFIX, desk, device_of, disclose, tenant, verified_call};
use keydesk::domain::capability::Feature;
use secrecy::ExposeSecret as _;

/// Collects what is logged.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_most_talkative_log_holds_no_digit_no_token_and_no_query() {
    let written = Written::default();
    let sink = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || sink.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let (tenant, home) = (tenant().await, tempfile::tempdir().unwrap());
    let desk = desk(&tenant, home.path()).await;
    let seat = desk.seat().unwrap();
    seat.graph.keys_of_device(device_of(&desk, PREFIX)).await.unwrap();
    let call = verified_call(&desk, PREFIX).await;
    let disclosed = disclose(&desk, &call).await.unwrap();
    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("answered") && log.contains("/v1.0/informationProtection"), "the log is not ours: {log}");
    for n in 0..8 {
        let block = disclosed.password.block(n).unwrap().expose_secret();
        // Six digits alone can stand in a timestamp.
        assert!(!log.contains(&format!("{block}-")) && !log.contains(&format!("-{block}")), "block {n}");
    }
    let token = seat.graph.session().token(Feature::Reveal).await.unwrap();
    assert!(!log.contains(token.expose_secret()) && !log.contains("Bearer ey") && !log.contains("$select=key"));
}
