//! The client against a server that misbehaves.

use std::sync::Mutex;

use url::Url;

use super::{
    test_server::{Reply, TestServer},
    *,
};

fn impatient() -> Http {
    Http::new(Limits {
        connect: Duration::from_secs(2),
        whole: Duration::from_millis(1_500),
        patience: Duration::from_secs(5),
        first_pause: Duration::from_millis(1),
    })
}

async fn scripted(replies: Vec<Reply>) -> TestServer {
    TestServer::start(move |n, _| replies.get(n).or(replies.last()).cloned().unwrap()).await
}

fn nowhere() -> Url {
    // Bound and dropped at once: nothing listens there any more.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap()
}

#[tokio::test]
async fn an_answer_brings_its_ids_its_clock_and_its_body() {
    let reply = Reply::new(200, "hello")
        .with("request-id", "r-1")
        .with("client-request-id", "c-1")
        .with("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let server = scripted(vec![reply]).await;
    let answer = impatient().send(&Request::get(server.at("/v1.0/me?$select=id"))).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello"[..]));
    let report = &answer.report;
    assert_eq!((answer.request_id.as_deref(), report.request_id.as_deref()), (Some("r-1"), Some("r-1")));
    assert_eq!((report.path.as_str(), report.status, Some(report.at)), ("/v1.0/me", Some(200), answer.date));
    assert_eq!(answer.date.unwrap().as_second(), 784_111_777);
    let seen = &server.seen()[0];
    assert!(
        seen.starts_with("GET /v1.0/me?$select=id HTTP/1.1\r\n") && seen.contains("user-agent: keydesk/"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_was_certainly_not_reached() {
    let error = impatient().send(&Request::post(nowhere())).await.unwrap_err();
    assert!(matches!(error, HttpError::NotReached { why: NoWay::Refused, .. }), "{error:?}");
    assert!(error.certainly_not_sent());
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_or_nothing_at_all_was_certainly_not_reached() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        for n in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            if n == 0 {
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            }
            kept.push(stream);
        }
    });
    let patient = Limits { connect: Duration::from_millis(300), whole: Duration::from_secs(5), ..Limits::default() };
    let http = Http::new(patient);
    let error = http.send(&Request::post(url.clone())).await.unwrap_err();
    assert!(matches!(error, HttpError::NotReached { why: NoWay::Tls | NoWay::TrustStore, .. }), "{error:?}");
    let error = http.send(&Request::post(url)).await.unwrap_err();
    assert!(matches!(error, HttpError::NotReached { why: NoWay::Timeout | NoWay::TrustStore, .. }), "{error:?}");
}

#[tokio::test]
async fn plain_http_to_another_machine_is_not_sent() {
    let url = "http://192.0.2.1/token".parse().unwrap();
    let error = impatient().send(&Request::get(url)).await.unwrap_err();
    assert!(matches!(error, HttpError::PlainHttp { .. }), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_after_sending_leaves_the_outcome_uncertain() {
    let server = scripted(vec![Reply::reset()]).await;
    let error = impatient().send(&Request::post(server.at("/x"))).await.unwrap_err();
    assert!(matches!(error, HttpError::Uncertain { why: Lost::Broken, .. }), "{error:?}");
    assert_eq!(error.report().unwrap().status, None);
    assert!(!error.certainly_not_sent());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_truncated_answer_is_uncertain_and_keeps_status_and_id() {
    let cut = "HTTP/1.1 200 OK\r\nrequest-id: r-9\r\ncontent-length: 100\r\n\r\n{\"key\":";
    let server = scripted(vec![Reply::Raw(cut.into())]).await;
    let error = impatient().send(&Request::post(server.at("/x"))).await.unwrap_err();
    assert_eq!(error.request_id(), Some("r-9"));
    assert!(matches!(error, HttpError::Uncertain { why: Lost::Broken, .. }), "{error:?}");
    assert_eq!(error.report().unwrap().status, Some(200));
}

#[tokio::test]
async fn a_server_that_stalls_is_uncertain_and_is_not_asked_again() {
    let server = scripted(vec![Reply::Stall]).await;
    let error = impatient().send(&Request::get(server.at("/x"))).await.unwrap_err();
    assert!(matches!(error, HttpError::Uncertain { why: Lost::Timeout, .. }), "{error:?}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_not_read_whether_announced_or_not() {
    let announced = Reply::new(200, "x".repeat(5_000));
    let endless = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(5_000));
    for reply in [announced, Reply::Raw(endless)] {
        let server = scripted(vec![reply]).await;
        let error = impatient().send(&Request::get(server.at("/x")).limit(1_000)).await.unwrap_err();
        assert!(matches!(error, HttpError::Uncertain { why: Lost::TooLarge { limit: 1_000 }, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = scripted(vec![Reply::new(302, "").with("location", "https://evil.example/")]).await;
    let answer = impatient().send(&Request::get(server.at("/x"))).await.unwrap();
    assert_eq!((answer.status, server.seen().len()), (302, 1));
}

#[tokio::test]
async fn a_read_waits_as_asked_tells_so_and_goes_on() {
    let busy = Reply::new(429, "").with("retry-after", "1");
    let server = scripted(vec![busy, Reply::new(504, ""), Reply::reset(), Reply::new(200, "ok")]).await;
    let waits = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&waits);
    let http = impatient().with_waiting(Arc::new(move |waiting| noted.lock().unwrap().push(waiting.for_)));
    let begun = Instant::now();
    let answer = http.send(&Request::get(server.at("/x"))).await.unwrap();
    assert_eq!((answer.status, server.seen().len()), (200, 4));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let waits = waits.lock().unwrap();
    // Of the connection that broke nobody is told that he was asked to wait.
    assert_eq!((waits.len(), waits[0]), (2, Duration::from_secs(1)));
}

#[tokio::test]
async fn a_service_that_stays_busy_is_given_up_and_its_last_word_returned() {
    let server = scripted(vec![Reply::new(503, "")]).await;
    let answer = impatient().send(&Request::get(server.at("/x"))).await.unwrap();
    assert_eq!((answer.status, server.seen().len()), (503, 5));
}

#[tokio::test]
async fn a_wait_longer_than_our_patience_is_not_waited_for() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let busy = Reply::new(429, "").with("date", date).with("retry-after", "Sun, 06 Nov 1994 09:49:37 GMT");
    let server = scripted(vec![busy]).await;
    let answer = impatient().send(&Request::get(server.at("/x"))).await.unwrap();
    assert_eq!((answer.status, answer.retry_after), (429, Some(Duration::from_hours(1))));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn what_may_only_be_repeated_unserved_is_repeated_only_where_the_service_says_so() {
    let asked = |replies: Vec<Reply>| async {
        let server = scripted(replies).await;
        let request = Request::get(server.at("/x")).repeat(Repeat::NotServed);
        let outcome = impatient().send(&request).await.map(|answer| answer.status).map_err(|_| ());
        (outcome, server.seen().len())
    };
    assert_eq!(asked(vec![Reply::new(429, ""), Reply::new(200, "")]).await, (Ok(200), 2));
    let told = Reply::new(503, "").with("retry-after", "0");
    assert_eq!(asked(vec![told, Reply::new(200, "")]).await, (Ok(200), 2));
    assert_eq!(asked(vec![Reply::new(503, ""), Reply::new(200, "")]).await, (Ok(503), 1));
    assert_eq!(asked(vec![Reply::new(504, ""), Reply::new(200, "")]).await, (Ok(504), 1));
    assert_eq!(asked(vec![Reply::reset(), Reply::new(200, "")]).await, (Err(()), 1));
}

#[tokio::test]
async fn what_is_no_http_is_an_error_and_no_panic() {
    for junk in
        ["", "\u{0}\u{1}\u{2}", "HTTP/1.1 999999 x\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "<html>"]
    {
        let server = scripted(vec![Reply::Raw(junk.into())]).await;
        let error = impatient().send(&Request::post(server.at("/x"))).await.unwrap_err();
        assert!(!error.certainly_not_sent(), "{junk:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_post_without_body_says_that_it_has_none() {
    let server = scripted(vec![Reply::new(204, "")]).await;
    impatient().send(&Request::post(server.at("/x"))).await.unwrap();
    assert!(server.seen()[0].to_ascii_lowercase().contains("content-length: 0\r\n"), "{:?}", server.seen());
}

#[test]
fn a_request_shows_neither_query_nor_token_nor_body() {
    let request = Request::post("https://h.example/p?secret=q".parse().unwrap())
        .bearer(&secrecy::SecretString::from("t0ken"))
        .body(b"b0dy".to_vec());
    let shown = format!("{request:?}");
    assert!(!shown.contains("secret") && !shown.contains("t0ken") && !shown.contains("b0dy"), "{shown}");
    assert!(!format!("{:?}", request.headers).contains("t0ken"));
}

#[tokio::test]
async fn every_request_says_who_asks_and_keeps_its_id_through_its_repeats() {
    let server = scripted(vec![Reply::new(503, ""), Reply::new(200, "ok"), Reply::new(200, "ok")]).await;
    let http = impatient();
    let answer = http.send(&Request::get(server.at("/x"))).await.unwrap();
    http.send(&Request::get(server.at("/x"))).await.unwrap();
    let header = |request: &str, name: &str| {
        let line = request.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix(name).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {name} in {request}"))
    };
    let seen = server.seen();
    for request in &seen {
        assert_eq!(header(request, "ocp-client-name: "), "keydesk");
        assert_eq!(header(request, "ocp-client-version: "), env!("CARGO_PKG_VERSION"));
        assert!(header(request, "user-agent: ").starts_with("keydesk/"));
    }
    let ids: Vec<String> = seen.iter().map(|request| header(request, "client-request-id: ")).collect();
    assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
    assert_eq!(answer.report.client_request_id.as_ref(), Some(&ids[1]));
}

#[tokio::test]
async fn what_runs_behind_the_desk_keeps_away_as_long_as_anybody_was_told() {
    let busy = Reply::new(429, "").with("retry-after", "1");
    let server = scripted(vec![busy, Reply::new(200, "")]).await;
    let (front, told) = (impatient(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&told);
    let behind = front.with_turn(Turn::Behind).with_waiting(Arc::new(move |w| noted.lock().unwrap().push(w.for_)));
    let once = Request::get(server.at("/call")).repeat(Repeat::Never);
    assert_eq!(front.send(&once).await.unwrap().status, 429);
    // A call goes all the same.
    let begun = Instant::now();
    assert_eq!(front.send(&once).await.unwrap().status, 200);
    assert!(begun.elapsed() < Duration::from_millis(700), "{:?}", begun.elapsed());
    behind.send(&Request::get(server.at("/listing"))).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(800), "{:?}", begun.elapsed());
    assert_eq!(told.lock().unwrap().len(), 1);
    // The sign-in service was not busy.
    let other = scripted(vec![Reply::new(200, "")]).await;
    assert_eq!(behind.send(&Request::get(other.at("/x"))).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_call_does_not_wait_for_listings_that_hang() {
    let server =
        TestServer::start(
            |_, request| {
                if request.starts_with("GET /listing") { Reply::Stall } else { Reply::new(200, "") }
            },
        )
        .await;
    let front = impatient();
    let listings: Vec<_> = (0..9)
        .map(|_| {
            let (behind, page) = (front.with_turn(Turn::Behind), Request::get(server.at("/listing")));
            tokio::spawn(async move { behind.send(&page).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    assert_eq!(front.send(&Request::get(server.at("/call"))).await.unwrap().status, 200);
    assert!(begun.elapsed() < Duration::from_millis(700), "{:?}", begun.elapsed());
    assert_eq!(server.seen().iter().filter(|request| request.starts_with("GET /listing")).count(), 2);
    listings.iter().for_each(tokio::task::JoinHandle::abort);
}
