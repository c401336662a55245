//! What comes before what, read from a trace: the row is written and synced before the request that it speaks of leaves.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::{Regex, bytes};
use uuid::Uuid;

use super::strace::Call;

/// A request that may leave only after its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `GET …/recoveryKeys/{id}?$select=key`, with the disclosure's id.
    Key(Uuid),
    /// `POST …/rotateBitLockerKeys`.
    Rotation,
}

static ROW: LazyLock<bytes::Regex> = LazyLock::new(|| {
    // A body's keys are sorted: its number, its stamp, and what happened at the end.
    bytes::Regex::new(r#""seq":(\d+),"stamp":\{[^\x00]*?"event":"([a-z-]+)""#).unwrap()
});
static DISCLOSURE: LazyLock<bytes::Regex> =
    LazyLock::new(|| bytes::Regex::new(r#""disclosure":"([0-9a-f-]{36})"[^\x00]*?"event":"intended""#).unwrap());
static KEY_REQUEST: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^GET \S*/recoveryKeys/[0-9a-f-]{36}\?(?:\$|%24)select=key[ &]").unwrap());
static CLIENT_ID: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)client-request-id: ([0-9a-f-]{36})").unwrap());

/// Which request a send carries.
pub fn request(call: &Call) -> Option<Request> {
    if !call.is_send() {
        return None;
    }
    let text = String::from_utf8_lossy(&call.bytes()).into_owned();
    if KEY_REQUEST.is_match(&text) {
        let id = CLIENT_ID.captures(&text).expect("a key request names its disclosure");
        return Some(Request::Key(id[1].parse().unwrap()));
    }
    (text.starts_with("POST ") && text.lines().next()?.contains("/rotateBitLockerKeys")).then_some(Request::Rotation)
}

/// What one write to the ledger carries, in its log or, where it has none, in the file itself.
struct Written<'a> {
    call: &'a Call,
    intended: Vec<Uuid>,
    /// Sequence numbers of *sending* rows.
    sending: Vec<u64>,
}

fn written(calls: &[Call]) -> Vec<Written<'_>> {
    let into_ledger = |call: &&Call| call.name == "pwrite64" && matches!(call.file(), "ledger.db-wal" | "ledger.db");
    let of = |call| {
        let bytes = Call::bytes(call);
        let text = |found: &bytes::Captures<'_>, n| String::from_utf8_lossy(&found[n]).into_owned();
        Written {
            call,
            intended: DISCLOSURE.captures_iter(&bytes).map(|found| text(&found, 1).parse().unwrap()).collect(),
            sending: ROW
                .captures_iter(&bytes)
                .filter(|found| &found[2] == b"rotation-sending")
                .map(|found| text(&found, 1).parse().unwrap())
                .collect(),
        }
    };
    calls.iter().filter(into_ledger).map(of).collect()
}

/// What a trace shows of the promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub keys: usize,
    pub rotations: usize,
}

/// The line at which a sync of `on` had returned, of the first that began after line `after`.
fn synced(calls: &[Call], on: impl Fn(&Call) -> bool, after: usize) -> Option<usize> {
    let done = |call: &&Call| call.is_sync() && call.result == Some(0) && call.began > after && on(call);
    calls.iter().filter(done).filter_map(|call| call.ended).min()
}

/// The line from which on a write outlives a power cut. With a rollback journal that is when the folder is synced without it.
fn durable(calls: &[Call], write: &Call) -> Option<usize> {
    let written = write.ended.filter(|_| write.result.is_some_and(|result| result > 0))?;
    let synced_file = synced(calls, |sync| sync.on == write.on, written)?;
    if write.file() == "ledger.db-wal" {
        return Some(synced_file);
    }
    let gone = |call: &&Call| call.name == "unlink" && call.file() == "ledger.db-journal" && call.began > synced_file;
    let unlinked = calls.iter().find(gone)?.ended?;
    let folder = write.on.rsplit_once('/')?.0;
    synced(calls, |sync| sync.on == folder, unlinked)
}

/// Every key request and every rotation in the trace leaves after its row was written to the ledger and synced.
pub fn check(calls: &[Call]) -> Result<Kept, String> {
    let written = written(calls);
    let synced = |write: &Call, before: usize| durable(calls, write).is_some_and(|line| line < before);
    let mut kept = Kept::default();
    for send in calls {
        let at = send.began;
        match request(send) {
            None => {}
            Some(Request::Key(disclosure)) => {
                let rows = written.iter().filter(|written| written.intended.contains(&disclosure));
                if !rows.into_iter().any(|row| synced(row.call, at)) {
                    return Err(format!(
                        "line {}: the key request of {disclosure} leaves before its row is synced",
                        at + 1
                    ));
                }
                kept.keys += 1;
            }
            Some(Request::Rotation) => {
                kept.rotations += 1;
                let rows: BTreeSet<u64> = written
                    .iter()
                    .filter(|row| !row.sending.is_empty() && synced(row.call, at))
                    .flat_map(|row| row.sending.iter().copied())
                    .collect();
                if rows.len() < kept.rotations {
                    let (line, sent) = (at + 1, kept.rotations);
                    return Err(format!("line {line}: rotation {sent} leaves, and {} rows are synced", rows.len()));
                }
            }
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::{super::strace::read, *};

    const GOOD: &str = r#"7 1.1 pwrite64(9</h/ledger.db-wal>, "\0\0{\"prev\":\"00\",\"seq\":4,\"stamp\":{\"app\":\"a\"},\"v\":1,\"what\":{\"disclosure\":\"01a1f99c-3214-7034-b000-000000000001\",\"event\":\"intended\"}}", 200, 56) = 200
7 1.2 fsync(9</h/ledger.db-wal>) = 0
8 1.3 writev(13<socket:[5]>, [{iov_base="GET /v1.0/informationProtection/bitlocker/recoveryKeys/4f2b91c0-5702-4f3a-96d4-7ff2922a2b4b?$select=key HTTP/1.1\r\nclient-request-id: 01a1f99c-3214-7034-b000-000000000001\r\n\r\n", iov_len=200}], 1) = 200
7 1.4 pwrite64(9</h/ledger.db-wal>, "{\"seq\":9,\"stamp\":{},\"v\":1,\"what\":{\"earlier\":null,\"event\":\"rotation-sending\"}}", 100, 4200) = 100
7 1.5 fsync(9</h/ledger.db-wal>) = 0
8 1.6 writev(13<socket:[5]>, [{iov_base="POST /beta/deviceManagement/managedDevices/350907/rotateBitLockerKeys HTTP/1.1\r\n\r\n", iov_len=90}], 1) = 90"#;

    #[test]
    fn a_row_that_is_written_and_synced_before_its_request_is_in_order() {
        assert_eq!(check(&read(GOOD)), Ok(Kept { keys: 1, rotations: 1 }));
    }

    #[test]
    fn a_request_without_a_sync_before_it_is_found() {
        for left_out in [1, 4] {
            let lines: Vec<&str> =
                GOOD.lines().enumerate().filter(|(n, _)| *n != left_out).map(|(_, line)| line).collect();
            assert!(check(&read(&lines.join("\n"))).is_err(), "without line {}", left_out + 1);
        }
    }

    #[test]
    fn a_sync_that_failed_came_too_late_or_was_of_another_file_is_none() {
        let failed = GOOD.replacen(">) = 0", ">) = -1 EIO (Input/output error) (INJECTED)", 1);
        assert!(check(&read(&failed)).unwrap_err().contains("line 3"));
        let other = GOOD.replacen("fsync(9</h/ledger.db-wal>)", "fsync(8</h/index.db-wal>)", 1);
        assert!(check(&read(&other)).is_err());
        let mut lines: Vec<&str> = GOOD.lines().collect();
        lines.swap(1, 2);
        assert!(check(&read(&lines.join("\n"))).is_err());
        let pending = GOOD.replacen("fsync(9</h/ledger.db-wal>) = 0", "fsync(9</h/ledger.db-wal> <unfinished ...>", 1);
        assert!(check(&read(&pending)).is_err());
    }

    #[test]
    fn with_a_rollback_journal_a_row_is_durable_once_the_folder_is_synced_without_it() {
        let sync = "7 1.2 fsync(9</h/ledger.db>) = 0";
        let unlink = "7 1.21 unlink(\"/h/ledger.db-journal\") = 0";
        let folder = "7 1.22 fsync(12</h>) = 0";
        let with = |lines: &[&str]| {
            let good = GOOD
                .replace("ledger.db-wal", "ledger.db")
                .replace("7 1.2 fsync(9</h/ledger.db>) = 0", &lines.join("\n"));
            let upto: Vec<&str> = good.lines().take_while(|line| !line.contains(" 1.4 ")).collect();
            check(&read(&upto.join("\n")))
        };
        assert_eq!(with(&[sync, unlink, folder]), Ok(Kept { keys: 1, rotations: 0 }));
        for lines in [&[sync, unlink][..], &[sync, folder], &[unlink, folder], &[sync, folder, unlink]] {
            assert!(with(lines).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn another_disclosures_row_does_not_count_nor_does_one_sending_row_for_two_rotations() {
        let other = GOOD.replacen("b000-000000000001", "b000-000000000002", 1);
        assert!(check(&read(&other)).is_err());
        let twice = format!("{GOOD}\n{}", GOOD.lines().last().unwrap());
        assert!(check(&read(&twice)).unwrap_err().contains("rotation 2"));
    }
}
