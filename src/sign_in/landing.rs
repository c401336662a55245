//! Where the browser comes back to: a listener on this machine that waits for one request and answers it with a calm page.
//!
//! Entra lets a public client that registered `http://localhost` come back to any port of it (RFC 8252, 7.3). The name may mean either
//! loopback address, so both are listened on: a stranger who held the other one would be sent our code.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use url::form_urlencoded;

/// How often another port is tried, where one address of it is taken.
const TRIES: usize = 8;
/// Browsers open connections ahead of need and leave them idle; so many may, each for so long.
const MOST_CONNECTIONS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(5);
/// Cookies of other programs on localhost come along. In bytes.
const LONGEST: usize = 64 * 1024;
const MOST_HEADERS: usize = 128;

/// The listener.
#[derive(Debug)]
pub(super) struct Landing {
    port: u16,
    v4: TcpListener,
    v6: Option<TcpListener>,
}

/// What the browser brought, once its state was ours: the fields of the query. Holds the code, so it has no `Debug`.
pub(super) struct Arrived(HashMap<String, String>);

impl Arrived {
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl Landing {
    /// Listens on a free port of both loopback addresses; of one, where this machine has only that.
    pub async fn open() -> io::Result<Self> {
        let mut taken = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..TRIES {
            let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let port = v4.local_addr()?.port();
            match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
                Ok(v6) => return Ok(Self { port, v4, v6: Some(v6) }),
                Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
                    taken = error;
                }
                Err(_) => return Ok(Self { port, v4, v6: None }),
            }
        }
        Err(taken)
    }

    /// The address as the app registration knows it, with our port.
    pub fn address(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Waits for the browser that brings `state`. Whoever comes with anything else gets an answer and changes nothing.
    pub async fn wait(&self, state: &str) -> Arrived {
        let expected = Arc::new(Expected { port: self.port, state: state.to_owned() });
        let mut tasks = JoinSet::new();
        loop {
            let room = tasks.len() < MOST_CONNECTIONS;
            let stream = tokio::select! {
                Some(done) = tasks.join_next() => match done {
                    Ok(Some(arrived)) => return arrived,
                    Ok(None) | Err(_) => continue,
                },
                accepted = self.accept(), if room => accepted,
            };
            match stream {
                Ok(stream) => {
                    tasks.spawn(serve(stream, Arc::clone(&expected)));
                }
                // Out of handles, perhaps: not for ever.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn accept(&self) -> io::Result<TcpStream> {
        let other = async {
            match &self.v6 {
                Some(v6) => v6.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = self.v4.accept() => accepted,
            accepted = other => accepted,
        }
        .map(|(stream, _)| stream)
    }
}

/// What is waited for.
struct Expected {
    port: u16,
    state: String,
}

/// What a request turned out to be.
enum Verdict {
    Arrived(Arrived),
    /// Not for us: the status it gets.
    Stray(u16),
    /// Its head has not come to an end.
    Unfinished,
}

/// Answers one connection.
async fn serve(mut stream: TcpStream, expected: Arc<Expected>) -> Option<Arrived> {
    let verdict = tokio::time::timeout(PATIENCE, heard(&mut stream, &expected)).await.ok()?.ok()?;
    let (page, arrived) = match verdict {
        Verdict::Arrived(arrived) => {
            let text = if arrived.get("code").is_some() { CAME_BACK } else { CAME_BACK_REFUSED };
            (page(200, text), Some(arrived))
        }
        Verdict::Stray(status) => (page(status, STRAY), None),
        Verdict::Unfinished => return None,
    };
    let answered = async {
        stream.write_all(page.as_bytes()).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(PATIENCE, answered).await;
    arrived
}

async fn heard(stream: &mut TcpStream, expected: &Expected) -> io::Result<Verdict> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        head.extend_from_slice(&buffer[..count]);
        match judge(&head, expected) {
            Verdict::Unfinished if count > 0 && head.len() <= LONGEST => {}
            Verdict::Unfinished if count > 0 => return Ok(Verdict::Stray(431)),
            verdict => return Ok(verdict),
        }
    }
}

/// Whether this request is the browser coming back.
fn judge(head: &[u8], expected: &Expected) -> Verdict {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Verdict::Unfinished,
        Err(_) => return Verdict::Stray(400),
    }
    let mut hosts = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    let named = hosts.next().and_then(|header| std::str::from_utf8(header.value).ok()).unwrap_or_default();
    // Under any other name a web page somewhere may have been pointed at this machine.
    let ours = ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|host| named.eq_ignore_ascii_case(&format!("{host}:{}", expected.port)));
    let (path, query) = request.path.and_then(|target| target.split_once('?')).unwrap_or_default();
    if !ours || hosts.next().is_some() {
        return Verdict::Stray(400);
    }
    if request.method != Some("GET") {
        return Verdict::Stray(405);
    }
    let mut fields = HashMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if fields.insert(name.into_owned(), value.into_owned()).is_some() {
            return Verdict::Stray(400);
        }
    }
    let arrived = Arrived(fields);
    let brings = arrived.get("code").is_some() != arrived.get("error").is_some();
    if path == "/" && brings && arrived.get("state") == Some(&expected.state) {
        Verdict::Arrived(arrived)
    } else {
        Verdict::Stray(404)
    }
}

const CAME_BACK: &str = "keydesk has the answer. You can close this page and go back to the terminal.";
const CAME_BACK_REFUSED: &str = "The sign-in did not go through. Go back to the terminal: it says why.";
const STRAY: &str = "Nothing is to be seen here.";

/// A page of our own words only: no script, nothing loaded, nothing kept, nothing of the request.
fn page(status: u16, text: &str) -> String {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>keydesk</title><style>body{{font:1.2em system-ui,sans-serif;max-width:32em;margin:20vh auto;padding:0 1em;\
         color-scheme:light dark}}</style><p>{text}</p></html>"
    );
    let reason = if status == 200 { "OK" } else { "No" };
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\nx-frame-options: DENY\r\n\
         content-security-policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn expected() -> Expected {
        Expected { port: 4711, state: "s-1".into() }
    }

    fn status(request: &str) -> u16 {
        match judge(request.as_bytes(), &expected()) {
            Verdict::Arrived(_) => 200,
            Verdict::Stray(status) => status,
            Verdict::Unfinished => 0,
        }
    }

    fn get(target: &str) -> String {
        format!("GET {target} HTTP/1.1\r\nHost: localhost:4711\r\n\r\n")
    }

    #[rstest]
    #[case::the_code("/?code=c&state=s-1&session_state=x", 200)]
    #[case::a_refusal("/?error=access_denied&error_description=x&state=s-1", 200)]
    #[case::another_state("/?code=c&state=s-2", 404)]
    #[case::no_state("/?code=c", 404)]
    #[case::an_empty_code("/?code=&state=s-1", 404)]
    #[case::both("/?code=c&error=e&state=s-1", 404)]
    #[case::twice("/?code=c&code=d&state=s-1", 400)]
    #[case::icon("/favicon.ico", 404)]
    #[case::another_path("/callback?code=c&state=s-1", 404)]
    #[case::nothing("/", 404)]
    fn only_what_brings_our_state_arrives(#[case] target: &str, #[case] answered: u16) {
        assert_eq!(status(&get(target)), answered);
    }

    #[test]
    fn another_host_another_method_and_what_is_no_request_are_strays() {
        let good = get("/?code=c&state=s-1");
        assert_eq!(status(&good), 200);
        assert_eq!(status(&good.replace("localhost:4711", "[::1]:4711")), 200);
        assert_eq!(status(&good.replace("localhost:4711", "rebound.example:4711")), 400);
        assert_eq!(status(&good.replace("localhost:4711", "localhost:4712")), 400);
        assert_eq!(status(&good.replace("Host: localhost:4711\r\n", "")), 400);
        assert_eq!(status(&good.replace("GET", "POST")), 405);
        assert_eq!(status("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n"), 400);
        assert_eq!(status(&good[..40]), 0);
    }

    #[tokio::test]
    async fn a_browser_arrives_by_either_loopback_address() {
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let landing = Landing::open().await.unwrap();
            if ip.is_ipv6() && landing.v6.is_none() {
                eprintln!("skipped: this machine has no {ip}");
                continue;
            }
            let browser = async {
                let mut stream = TcpStream::connect((ip, landing.port)).await.unwrap();
                let request = get("/?code=c&state=s-1").replace("4711", &landing.port.to_string());
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                answer
            };
            let (arrived, answer) = tokio::join!(landing.wait("s-1"), browser);
            assert_eq!(arrived.get("code"), Some("c"));
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(CAME_BACK), "{answer}");
        }
    }

    #[test]
    fn pages_hold_nothing_that_runs_and_nothing_is_kept_of_them() {
        for text in [CAME_BACK, CAME_BACK_REFUSED, STRAY] {
            let page = page(200, text).to_lowercase();
            assert!(page.contains("cache-control: no-store") && page.contains("default-src 'none'"));
            assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"));
        }
    }

    proptest! {
        #[test]
        fn no_request_brings_it_down_and_none_arrives_without_our_state(bytes in proptest::collection::vec(any::<u8>(), 0..300), query in "[ -~]{0,60}") {
            prop_assert!(!matches!(judge(&bytes, &expected()), Verdict::Arrived(_)));
            let brought = judge(get(&format!("/?{query}")).as_bytes(), &expected());
            prop_assert!(!matches!(brought, Verdict::Arrived(_)) || query.contains("s-1"));
        }
    }
}
