//! `strace` around the program: what it is to inject, and what it wrote down, read back.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;

/// What is enumerated: everything by which a call changes a file or speaks to the network.
pub const TRACED: &str =
    "pwrite64,pwritev,fsync,fdatasync,ftruncate,fallocate,unlink,sendto,sendmsg,sendmmsg,writev,recvfrom,recvmsg";
/// Calls that carry a request away.
pub const SENDS: [&str; 4] = ["writev", "sendto", "sendmsg", "sendmmsg"];
/// Calls that make writes durable.
pub const SYNCS: [&str; 2] = ["fsync", "fdatasync"];

/// strace's counters are a thread's own. Where the system grants the runtime no second thread for its blocking work it does all of it on
/// one, as it would on a machine short of threads: then the n-th call is the same in every run.
const ONE_STORE_THREAD: &str = "inject=clone3:error=EAGAIN:when=4+";
/// Longer than a page of the database and than the head of any request.
const WHOLE: &str = "6000";

/// How the program is to be traced.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// As after strace's `-e`.
    pub inject: Option<String>,
    /// Only calls on these files are traced, and counted.
    pub only: Vec<PathBuf>,
}

impl Orders {
    pub fn inject(what: String) -> Self {
        Self { inject: Some(what), only: Vec::new() }
    }

    /// strace's arguments, up to where the program's own begin.
    pub fn arguments(&self, trace: &Path) -> Vec<String> {
        let mut all: Vec<String> =
            ["-f", "-q", "-ttt", "-y", "-s", WHOLE, "-o", trace.to_str().unwrap()].map(Into::into).into();
        let traced = if self.only.is_empty() { format!("trace={TRACED},clone3") } else { format!("trace={TRACED}") };
        all.extend(["-e".into(), traced]);
        if self.only.is_empty() {
            all.extend(["-e".into(), ONE_STORE_THREAD.into()]);
        }
        for path in &self.only {
            all.extend(["-P".into(), path.to_str().unwrap().into()]);
        }
        if let Some(inject) = &self.inject {
            all.extend(["-e".into(), format!("inject={inject}")]);
        }
        all.push("--".into());
        all
    }
}

/// One system call.
#[derive(Clone, Debug)]
pub struct Call {
    pub thread: u32,
    pub name: String,
    /// The file, or what the system calls the socket.
    pub on: String,
    /// As strace printed them.
    pub arguments: String,
    /// The line at which it began, and the one at which it had returned.
    pub began: usize,
    pub ended: Option<usize>,
    pub result: Option<i64>,
    pub injected: bool,
}

impl Call {
    /// The file's name without its folder.
    pub fn file(&self) -> &str {
        self.on.rsplit('/').next().unwrap_or(&self.on)
    }

    pub fn is_socket(&self) -> bool {
        self.on.starts_with("socket:") || self.on.starts_with("TCP")
    }

    pub fn is_send(&self) -> bool {
        SENDS.contains(&self.name.as_str()) && self.is_socket()
    }

    pub fn is_sync(&self) -> bool {
        SYNCS.contains(&self.name.as_str())
    }

    /// The bytes it was given to write.
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for part in STRINGS.captures_iter(&self.arguments) {
            // Of a file that is unlinked, and of a folder, only the name stands between quotation marks.
            all.extend(unescaped(&part[1]));
        }
        all
    }

    /// Where a `pwrite64` begins; the length `ftruncate` leaves.
    pub fn number(&self) -> Option<u64> {
        self.arguments.rsplit(", ").next()?.trim().parse().ok()
    }
}

static LINE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(\d+)\s+\d+\.\d+ (?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$").unwrap());
static ENDING: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\)\s+= (\?|-?\d+)( E[A-Z]+ \([^)]*\))?( \([A-Z: ,a-z]+\))?$").unwrap());
static DESCRIPTOR: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(?:\d+|AT_FDCWD)<([^>]*)>").unwrap());
static STRINGS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""((?:[^"\\]|\\.)*)""#).unwrap());

/// Reads a trace. What is no call (signals, ends of threads) is left out.
pub fn read(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: HashMap<u32, usize> = HashMap::new();
    for (line, text) in trace.lines().enumerate() {
        let Some(parts) = LINE.captures(text) else { continue };
        let thread: u32 = parts[1].parse().unwrap();
        let rest = &parts[4];
        let ending = ENDING.captures(rest);
        if parts.get(2).is_some() {
            let Some(call) = open.remove(&thread).map(|at| &mut calls[at]) else { continue };
            close(call, ending.as_ref(), line);
            continue;
        }
        let body = match &ending {
            Some(ending) => &rest[..ending.get(0).unwrap().start()],
            None => rest.trim_end_matches("<unfinished ...>").trim_end(),
        };
        let on = DESCRIPTOR.captures(body).map(|found| found[1].to_owned());
        let on = on.or_else(|| STRINGS.captures(body).map(|found| found[1].to_owned())).unwrap_or_default();
        let mut call = Call {
            thread,
            name: parts[3].to_owned(),
            on,
            arguments: body.to_owned(),
            began: line,
            ended: None,
            result: None,
            injected: false,
        };
        if ending.is_some() {
            close(&mut call, ending.as_ref(), line);
        } else {
            open.insert(thread, calls.len());
        }
        calls.push(call);
    }
    calls.retain(|call| call.name != "clone3");
    calls
}

fn close(call: &mut Call, ending: Option<&regex::Captures<'_>>, line: usize) {
    let Some(ending) = ending else { return };
    call.result = ending[1].parse().ok();
    // `?` is how a call ends that never returned.
    call.ended = call.result.map(|_| line);
    call.injected = ending.get(3).is_some_and(|said| said.as_str().contains("INJECTED"));
}

/// What strace wrote as a C string.
fn unescaped(text: &str) -> Vec<u8> {
    let mut all = Vec::with_capacity(text.len());
    let mut rest = text.bytes().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            all.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => all.push(b'\n'),
            Some(b't') => all.push(b'\t'),
            Some(b'r') => all.push(b'\r'),
            Some(b'v') => all.push(0x0b),
            Some(b'f') => all.push(0x0c),
            Some(first @ b'0'..=b'7') => {
                let mut value = u32::from(first - b'0');
                for _ in 0..2 {
                    if let Some(next) = rest.next_if(|byte| (b'0'..=b'7').contains(byte)) {
                        value = value * 8 + u32::from(next - b'0');
                    }
                }
                all.push(u8::try_from(value).unwrap());
            }
            Some(other) => all.push(other),
            None => {}
        }
    }
    all
}

#[test]
fn a_trace_is_read_with_what_was_written_and_when_it_came_back() {
    let calls = read(
        r#"7 1.000001 pwrite64(9</h/ledger.db-wal>, "a\0\0017\"\\\n", 8, 4096) = 8
7 1.000002 fsync(9</h/ledger.db-wal> <unfinished ...>
8 1.000003 writev(13<socket:[5]>, [{iov_base="GET /a\r\n\r\n", iov_len=10}], 1) = -1 EPIPE (Broken pipe) (INJECTED)
7 1.000004 <... fsync resumed>)            = 0
7 1.000005 unlink("/h/ledger.db-wal")      = ?
7 1.000006 +++ killed by SIGKILL +++"#,
    );
    let [write, sync, send, unlink] = &calls[..] else { panic!("{calls:#?}") };
    assert_eq!((write.bytes(), write.number()), (b"a\0\x017\"\\\n".to_vec(), Some(4096)));
    assert_eq!((sync.file(), sync.began, sync.ended, sync.result), ("ledger.db-wal", 1, Some(3), Some(0)));
    assert_eq!((send.bytes(), send.result, send.injected), (b"GET /a\r\n\r\n".to_vec(), Some(-1), true));
    assert!(send.is_send() && send.is_socket() && !sync.is_socket());
    assert_eq!((unlink.file(), unlink.ended, unlink.injected), ("ledger.db-wal", None, false));
}
