//! A collector that takes rows by POST, or does what it is told instead.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, value::RawValue};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The rows are kept, and the answer says so.
    Take,
    /// The same, after a while.
    Late(Duration),
    /// The rows are kept, and the connection breaks before the answer.
    TakeAndReset,
    Status(u16),
    Reset,
    Hang,
}

/// A row as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub seq: u64,
    pub hash: String,
    /// Byte for byte.
    pub row: String,
    /// The only one of its request.
    pub is_alone: bool,
    /// What the probe said just before the answer.
    pub probed: usize,
}

impl Arrived {
    pub fn event(&self) -> String {
        let row: Value = serde_json::from_str(&self.row).unwrap();
        row["what"]["event"].as_str().unwrap().to_owned()
    }
}

type Probe = Arc<dyn Fn() -> usize + Send + Sync>;

struct State {
    answer: Answer,
    probe: Probe,
    taken: Vec<Arrived>,
    heads: Vec<String>,
}

pub struct Collector {
    port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { answer: Answer::Take, probe: Arc::new(|| 0), taken: Vec::new(), heads: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let task = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&state)));
                }
            }
        });
        Self { port, state, task }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/rows", self.port)
    }

    pub fn answer(&self, answer: Answer) {
        self.state.lock().unwrap().answer = answer;
    }

    /// Asked just before an answer goes out.
    pub fn probe(&self, probe: impl Fn() -> usize + Send + Sync + 'static) {
        self.state.lock().unwrap().probe = Arc::new(probe);
    }

    /// Every row that was taken, in order of arrival.
    pub fn taken(&self) -> Vec<Arrived> {
        self.state.lock().unwrap().taken.clone()
    }

    pub fn requests(&self) -> usize {
        self.state.lock().unwrap().heads.len()
    }

    pub fn last_head(&self) -> String {
        self.state.lock().unwrap().heads.last().unwrap().clone()
    }

    /// Nothing listens any more.
    pub async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let Some((head, body)) = read(&mut stream).await else { return };
    let (answer, probe) = {
        let mut state = state.lock().unwrap();
        state.heads.push(head);
        (state.answer.clone(), Arc::clone(&state.probe))
    };
    let take = || {
        let probed = probe();
        let lines: Vec<&str> = body.lines().collect();
        let rows = lines.iter().map(|line| arrived(line, lines.len() == 1, probed));
        state.lock().unwrap().taken.extend(rows);
    };
    let status = match answer {
        Answer::Take => {
            take();
            200
        }
        Answer::Late(by) => {
            tokio::time::sleep(by).await;
            take();
            202
        }
        Answer::Status(status) => status,
        Answer::TakeAndReset => {
            take();
            return;
        }
        Answer::Reset => return,
        Answer::Hang => return tokio::time::sleep(Duration::from_mins(10)).await,
    };
    let location = if (300..400).contains(&status) { "location: /elsewhere\r\n" } else { "" };
    let said = format!("HTTP/1.1 {status} Told\r\nconnection: close\r\n{location}content-length: 0\r\n\r\n");
    let _ = stream.write_all(said.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn arrived(line: &str, is_alone: bool, probed: usize) -> Arrived {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line<'a> {
        hash: String,
        seq: u64,
        #[serde(borrow)]
        row: &'a RawValue,
    }
    let Line { hash, seq, row } = serde_json::from_str(line).unwrap();
    Arrived { seq, hash, row: row.get().to_owned(), is_alone, probed }
}

async fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = stream.read(&mut buffer).await.ok()?;
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some((format!("{head}\r\n"), body.to_owned()));
            }
        }
        if count == 0 {
            return None;
        }
    }
}
