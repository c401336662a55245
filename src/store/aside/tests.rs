use std::collections::BTreeSet;

use super::*;
use crate::{
    domain::{debt::DebtId, device::DeviceId, technician::UserId},
    store::{
        calls, debts, disclosures,
        tests::{Desk, guid},
    },
};

const DELAY: SignedDuration = SignedDuration::from_mins(30);

fn page_of(path: &Path, sql: &str) -> u64 {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let mut file = File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

/// A ledger of many calls whose desk was closed, one debt proved and the others open; and those.
fn ledger() -> (TempDir, PathBuf, Stamp, BTreeSet<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let mut desk = Desk::new();
    desk.ledger = Ledger::open(&path).unwrap();
    let mut open = BTreeSet::new();
    for n in 0..12 {
        let (_, debt, _) = desk.whole_call();
        if n == 0 {
            let proved = Event::DebtWaived { debt, reason: "scrapped".into() };
            desk.append(None, &proved).unwrap();
        } else {
            open.insert(debt.to_string());
        }
    }
    let (call, owed) = (desk.open_call(), DebtId::new());
    desk.intend(call, owed);
    open.insert(owed.to_string());
    let stamp = desk.stamp.clone();
    drop(desk.ledger);
    (folder, path, stamp, open)
}

/// Damages a page of the rows in the middle.
fn damage_a_page(path: &Path) {
    let page = page_of(
        path,
        "SELECT pageno FROM dbstat WHERE name = 'ledger' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 4",
    );
    overwrite(path, (page - 1) * 4096, &[0x5A; 4096]);
}

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn run(path: &Path, stamp: &Stamp) -> Done {
    set_aside(path, now(), DELAY, stamp, |_| Ok(())).unwrap()
}

fn owed(path: &Path) -> BTreeSet<String> {
    let debts = Ledger::open(path).unwrap().read(|conn| debts::list(conn, Timestamp::MAX)).unwrap();
    debts.iter().map(|debt| debt.id.to_string()).collect()
}

#[test]
fn a_whole_ledger_is_not_set_aside() {
    let (_folder, path, stamp, _) = ledger();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(run(&path, &stamp), Done::Healthy);
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(folders(&path), Vec::<String>::new());
}

#[test]
fn a_damaged_page_is_kept_as_it_is_and_every_debt_is_carried_on() {
    let (_folder, path, stamp, open) = ledger();
    damage_a_page(&path);
    let damaged = fs::read(&path).unwrap();
    assert!(matches!(Ledger::open(&path), Err(StoreError::Damaged { .. })));
    let Done::SetAside(done) = run(&path, &stamp) else { panic!("not set aside") };
    assert_eq!(folders(&path), ["20261120T120000Z"]);
    assert_eq!(fs::read(done.folder.join("ledger.db")).unwrap(), damaged, "unchanged");
    assert!(fs::metadata(done.folder.join("ledger.db")).unwrap().permissions().readonly());
    assert_eq!(done.sha256, hash(&done.folder.join("ledger.db")).unwrap());
    assert_eq!(done.unread.len(), 1, "{:?}", done.unread);
    assert!(done.rows > 80, "{}", done.rows);
    assert_eq!(owed(&path), open);

    let ledger = Ledger::open(&path).unwrap();
    let (chain, projections) = ledger.examine(None).unwrap();
    assert_eq!(chain.unwrap().head.seq, 1 + open.len() as u64);
    assert_eq!(projections, crate::store::compare::Projections::AsTheRows);
    let rows = ledger.rows(1).unwrap();
    assert!(matches!(&rows[0].event, Event::SetAside { folder, debts, .. }
        if folder == "aside/20261120T120000Z" && *debts == open.len()));
    // What was under way goes on as it was; what had not begun is held.
    let debts = ledger.read(|conn| debts::list(conn, Timestamp::MAX)).unwrap();
    let under_way = |debt: &&Debt| matches!(debt.rotation.as_ref().unwrap().state, RotationState::Accepted { .. });
    assert_eq!(debts.iter().filter(under_way).count(), open.len() - 1);
    let until = now().checked_add(DELAY).unwrap();
    assert_eq!(debts.last().unwrap().rotation.as_ref().unwrap().state, RotationState::Held { until });
}

#[test]
fn a_header_that_is_gone_costs_no_debt() {
    let (_folder, path, stamp, open) = ledger();
    overwrite(&path, 0, &[0; 100]);
    assert!(matches!(Ledger::open(&path), Err(StoreError::Damaged { .. })));
    let Done::SetAside(done) = run(&path, &stamp) else { panic!("not set aside") };
    assert_eq!((owed(&path), done.unread.len()), (open, 0));
}

#[test]
fn of_a_file_that_is_no_ledger_any_more_it_is_said_that_nothing_could_be_read() {
    let (_folder, path, stamp, _) = ledger();
    fs::write(&path, "all gone ".repeat(2000)).unwrap();
    let Done::SetAside(done) = run(&path, &stamp) else { panic!("not set aside") };
    assert_eq!((done.rows, done.debts), (0, 0));
    assert_eq!(owed(&path).len(), 0);
}

#[test]
fn rows_that_were_lost_with_the_log_are_found_missing() {
    let (_folder, path, stamp, _) = ledger();
    let end = Ledger::open(&path).unwrap().head().unwrap();
    let mut desk = Desk::new();
    desk.ledger = Ledger::open(&path).unwrap();
    desk.whole_call();
    // The desk is killed, and the log with its last rows is lost.
    let killed = tempfile::tempdir().unwrap();
    let copy = killed.path().join("ledger.db");
    for end in ["", "-head"] {
        fs::copy(beside(&path, end), beside(&copy, end)).unwrap();
    }
    let lost = Ledger::open(&copy).unwrap_err().to_string();
    assert!(lost.contains(&format!("the rows end at {}", end.seq)), "{lost}");
    // Or it is there, and somebody wrote over it.
    fs::copy(beside(&path, "-wal"), beside(&copy, "-wal")).unwrap();
    assert!(Ledger::open(&copy).is_ok());
    let log = fs::metadata(beside(&path, "-wal")).unwrap().len();
    fs::write(beside(&copy, "-wal"), vec![0x5A; usize::try_from(log).unwrap()]).unwrap();
    fs::copy(&path, &copy).unwrap();
    assert!(matches!(Ledger::open(&copy), Err(StoreError::Damaged { .. })));
    assert!(matches!(run(&copy, &stamp), Done::SetAside(_)));
    assert!(Ledger::open(&copy).is_ok());
}

#[test]
fn wherever_it_ends_nothing_is_lost_and_the_next_time_finishes_it() {
    let steps = [Step::Copied, Step::Kept, Step::Written, Step::Waiting, Step::LogRemoved, Step::Placed];
    for last in steps {
        let (folder, path, stamp, open) = ledger();
        damage_a_page(&path);
        let damaged = fs::read(&path).unwrap();
        let mut seen = Vec::new();
        let ended = set_aside(&path, now(), DELAY, &stamp, |step| {
            seen.push(step);
            if step == last { Err(io::Error::other("killed")) } else { Ok(()) }
        });
        assert!(ended.is_err() && seen.last() == Some(&last), "{last:?}");
        let kept = || {
            let kept = folders(&path).into_iter().map(|name| aside(&path).join(name).join("ledger.db"));
            kept.filter(|kept| fs::read(kept).is_ok_and(|bytes| bytes == damaged)).count()
        };
        let stands = fs::read(&path).unwrap() == damaged;
        assert!(stands || kept() == 1, "{last:?}: the damaged file is somewhere");
        if last != Step::Placed {
            assert!(matches!(Ledger::open(&path), Err(StoreError::Damaged { .. })), "{last:?}: nobody writes on");
        }
        let again = run(&path, &stamp);
        let expected = match last {
            Step::Copied | Step::Kept | Step::Written => matches!(again, Done::SetAside(_)),
            Step::Waiting | Step::LogRemoved => again == Done::Finished,
            Step::Placed => again == Done::Healthy,
        };
        assert!(expected, "{last:?}: {again:?}");
        assert_eq!(owed(&path), open, "{last:?}");
        assert!(kept() >= 1, "{last:?}");
        assert!(!is_waiting(&path));
        drop(folder);
    }
}

#[test]
fn who_disclosed_who_was_refused_and_what_was_never_forwarded_is_carried_on() {
    let (_folder, path, stamp, open) = ledger();
    let mut desk = Desk::new();
    desk.ledger = Ledger::open(&path).unwrap();
    let refused = |desk: &mut Desk| {
        let call = desk.open_call();
        desk.append(Some(call), &Event::CallerRefused { claims: vec![] }).unwrap();
    };
    let real = std::mem::replace(&mut desk.now, now() - SignedDuration::from_hours(31 * 24));
    refused(&mut desk);
    desk.now = real;
    refused(&mut desk);
    let last = desk.ledger.head().unwrap().seq;
    let forwarded = "INSERT INTO forwarded (sink, seq, failures) VALUES ('syslog', ?1, 0), ('webhook', 10, 3)";
    desk.ledger.write(now(), &stamp, |pen| Ok(pen.conn().execute(forwarded, [last.cast_signed()])?)).unwrap();
    drop(desk.ledger);
    damage_a_page(&path);

    let Done::SetAside(done) = run(&path, &stamp) else { panic!("not set aside") };
    let sink = |sink: &str, to, never| Forwarded { sink: sink.into(), to, never };
    assert_eq!(done.forwarded, [sink("syslog", last, None), sink("webhook", 10, Some((11, last)))]);
    let ledger = Ledger::open(&path).unwrap();
    assert!(
        matches!(&ledger.rows(1).unwrap()[0].event, Event::SetAside { forwarded, .. } if *forwarded == done.forwarded)
    );
    let dana = UserId(guid(1));
    for id in &open {
        let debt: DebtId = id.parse().unwrap();
        let (by_dana, by_omar, last) = ledger
            .read(|conn| {
                let by = |n| disclosures::disclosed_by(conn, debt, UserId(guid(n)));
                Ok((by(1)?, by(99)?, disclosures::last_of_debt(conn, debt)?))
            })
            .unwrap();
        assert!(by_dana && !by_omar && last.is_some(), "{id}");
    }
    let times = ledger.read(|conn| disclosures::times_since(conn, dana, Timestamp::UNIX_EPOCH)).unwrap();
    assert_eq!(times.len(), open.len(), "they count against the limits");
    assert_eq!(ledger.read(disclosures::in_flight).unwrap(), [], "nobody will learn what came of the last");
    let refusals = |ledger: &Ledger| {
        ledger.read(|conn| calls::refusals_for(conn, DeviceId(guid(7)), Timestamp::UNIX_EPOCH)).unwrap()
    };
    assert_eq!(refusals(&ledger).len(), 1, "the other was long ago");
    assert_eq!(refusals(&ledger)[0].by.as_ref().unwrap().raw(), "dana@harborview.example");
    assert_eq!(ledger.examine(None).unwrap().1, crate::store::compare::Projections::AsTheRows);

    // And on, when that one is damaged too.
    drop(ledger);
    overwrite(&path, 0, &[0; 100]);
    assert!(matches!(run(&path, &stamp), Done::SetAside(_)));
    let ledger = Ledger::open(&path).unwrap();
    assert_eq!((owed(&path), refusals(&ledger).len()), (open, 1));
    let times = ledger.read(|conn| disclosures::times_since(conn, dana, Timestamp::UNIX_EPOCH)).unwrap();
    assert_eq!(times.len(), 12);
}

#[test]
fn debts_in_a_damaged_page_cost_no_others_and_are_counted() {
    let (_folder, path, stamp, open) = ledger();
    let leaf = |table: &str, n: u64| {
        page_of(
            &path,
            &format!(
                "SELECT pageno FROM dbstat WHERE name = '{table}' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET {n}"
            ),
        )
    };
    let mut pages: Vec<u64> = (0..7).map(|n| leaf("ledger", n)).collect();
    pages.push(leaf("debts", 0));
    for page in pages {
        overwrite(&path, (page - 1) * 4096, &[0x5A; 4096]);
    }
    let Done::SetAside(done) = run(&path, &stamp) else { panic!("not set aside") };
    let carried = owed(&path);
    assert!(carried.is_subset(&open) && carried.len() == done.debts && carried.len() > 5, "{done:?}");
    assert!(done.debts_unread > 0 && done.debts + done.debts_unread >= open.len(), "{done:?}");
}

#[test]
fn a_process_looks_at_every_page_of_a_file_once_in_each_state() {
    let (_folder, path, _, _) = ledger();
    drop(Ledger::open(&path).unwrap());
    let file = File::options().write(true).open(&path).unwrap();
    let changed = file.metadata().unwrap().modified().unwrap();
    damage_a_page(&path);
    assert!(matches!(Ledger::open(&path), Err(StoreError::Damaged { .. })));
    file.set_modified(changed).unwrap();
    assert!(Ledger::open(&path).is_ok(), "as far as it shows, nothing has changed");
}
