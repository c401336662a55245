//! A server for tests that says exactly what it is told to, below HTTP where need be.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::Url;

/// What a connection gets for its request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A whole answer.
    Whole { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// These bytes, then the end of the connection.
    Raw(String),
    /// Nothing, and the connection stays open.
    Stall,
    /// The same, after a while.
    Late(Duration, Box<Reply>),
}

impl Reply {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self::Whole { status, headers: Vec::new(), body: body.into() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Whole { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }

    pub fn reset() -> Self {
        Self::Raw(String::new())
    }

    pub fn late(self, by: Duration) -> Self {
        Self::Late(by, Box::new(self))
    }

    /// How long to wait first, and what to send.
    fn bytes(&self) -> (Duration, Option<String>) {
        let bytes = match self {
            Self::Late(by, reply) => return (*by, reply.bytes().1),
            Self::Stall => None,
            Self::Raw(bytes) => Some(bytes.clone()),
            Self::Whole { status, headers, body } => {
                let mut text =
                    format!("HTTP/1.1 {status} Told\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    write!(text, "{name}: {value}\r\n").unwrap();
                }
                Some(format!("{text}\r\n{body}"))
            }
        };
        (Duration::ZERO, bytes)
    }
}

/// Listens until the test ends.
pub(crate) struct TestServer {
    pub url: Url,
    seen: Arc<Mutex<Vec<String>>>,
}

impl TestServer {
    /// Answers each request, counted from 0, as `script` says from its head and body.
    pub async fn start(script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, noted) = (Arc::new(script), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (script, noted) = (Arc::clone(&script), Arc::clone(&noted));
                tokio::spawn(async move {
                    let request = read(&mut stream).await;
                    let number = {
                        let mut noted = noted.lock().unwrap();
                        noted.push(request.clone());
                        noted.len() - 1
                    };
                    let (pause, bytes) = script(number, &request).bytes();
                    tokio::time::sleep(pause).await;
                    match bytes {
                        Some(bytes) => {
                            let _ = stream.write_all(bytes.as_bytes()).await;
                            let _ = stream.shutdown().await;
                        }
                        None => tokio::time::sleep(Duration::from_mins(10)).await,
                    }
                });
            }
        });
        Self { url, seen }
    }

    /// Every request so far, head and body.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub fn at(&self, path: &str) -> Url {
        self.url.join(path).unwrap()
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            body.len() >= length.unwrap_or(0)
        });
        if whole || count == 0 {
            return text;
        }
    }
}
