//! The ledger and the index, used as the ops use them.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{index::List, *};
use crate::domain::{
    call::{CallId, CallState, DisclosureId, Verification},
    debt::{Block, DebtId, DebtState, InstanceId, KnownKey, RotationId, RotationState, Source, Target},
    device::{DeviceId, DeviceSummary, Join, ManagedDeviceId, NO_DEVICE},
    event::{Event, External, Intent, Stamp},
    key::{Key, Volume},
    key_id::{KeyId, KeyPrefix},
    policy::Proof,
    technician::{Technician, UserId},
};

pub(super) struct Desk {
    _folder: tempfile::TempDir,
    pub path: std::path::PathBuf,
    pub ledger: Ledger,
    pub stamp: Stamp,
    pub now: Timestamp,
}

pub(super) fn guid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

impl Desk {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let stamp = Stamp {
            technician: Some(Technician {
                id: UserId(guid(1)),
                upn: "dana@harborview.example".into(),
                name: "Dana".into(),
            }),
            tenant: Some(guid(2)),
            app: "app".into(),
            host: "desk-1".into(),
            account: "dana".into(),
            version: "0".into(),
            policy: "p".into(),
            instance: InstanceId(guid(3)),
        };
        Self {
            ledger: Ledger::open(&path).unwrap(),
            path,
            _folder: folder,
            stamp,
            now: "2026-11-20T09:00:00Z".parse().unwrap(),
        }
    }

    pub(super) fn append(&mut self, call: Option<CallId>, event: &Event) -> Result<u64, StoreError> {
        self.now += SignedDuration::from_secs(60);
        self.ledger.write(self.now, &self.stamp, |pen| pen.append(call, event))
    }

    pub(super) fn open_call(&mut self) -> CallId {
        let call = CallId::new();
        let number = self.ledger.read(calls::next_number).unwrap();
        self.append(
            Some(call),
            &Event::CallOpened {
                number,
                key: KeyId(guid(0x4F2B)),
                volume: Volume::OperatingSystem,
                device: DeviceId(guid(7)),
                device_name: "HVC-LT-0421".into(),
                heard: 8,
                why: None,
            },
        )
        .unwrap();
        call
    }

    pub(super) fn intend(&mut self, call: CallId, debt: DebtId) -> DisclosureId {
        let disclosure = DisclosureId::new();
        let intent = Intent {
            disclosure,
            debt,
            key: KeyId(guid(0x4F2B)),
            volume: Volume::OperatingSystem,
            device: DeviceId(guid(7)),
            device_name: "HVC-LT-0421".into(),
            ticket: serde_json::from_str("\"INC0048213\"").unwrap(),
            reason: "windows-update".into(),
            reason_words: "Windows update".into(),
            verification: Verification {
                method: "called-back".into(),
                words: "called back".into(),
                claims: vec![],
                at: self.now,
            },
            known: vec![KnownKey { id: KeyId(guid(0x4F2B)), volume: Volume::OperatingSystem }],
            entra_time: Some(self.now),
        };
        self.append(Some(call), &Event::Intended(Box::new(intent))).unwrap();
        disclosure
    }

    pub(super) fn serve(&mut self, call: CallId, disclosure: DisclosureId, rotation: RotationId) {
        let held_until = self.now + SignedDuration::from_mins(30);
        let served = Event::Served { disclosure, rotation, held_until, status: 200, request_id: None, faults: vec![] };
        self.append(Some(call), &served).unwrap();
    }

    pub(super) fn debt(&self, id: DebtId) -> crate::domain::debt::Debt {
        self.ledger.read(|conn| debts::get(conn, id)).unwrap().unwrap()
    }

    /// Every projection as text, for comparing.
    pub(super) fn projections(&self) -> Vec<String> {
        let cells = |table: &str| {
            let cells = self.ledger.read(|conn| compare::cells(conn, table)).unwrap();
            cells.into_iter().map(move |row| format!("{table}: {row}")).collect::<Vec<_>>()
        };
        projection::TABLES.into_iter().flat_map(cells).collect()
    }

    /// A whole call: disclosed, sent, proved.
    pub(super) fn whole_call(&mut self) -> (CallId, DebtId, RotationId) {
        let (call, debt, rotation) = (self.open_call(), DebtId::new(), RotationId::new());
        let disclosure = self.intend(call, debt);
        self.serve(call, disclosure, rotation);
        self.append(Some(call), &Event::InWindows).unwrap();
        let target = Target { managed: ManagedDeviceId(guid(8)), device: DeviceId(guid(7)) };
        self.append(None, &Event::RotationTargeted { rotation, target, chosen: false }).unwrap();
        self.append(None, &Event::RotationSending { rotation, earlier: None }).unwrap();
        self.append(None, &Event::RotationAccepted { rotation, request_id: None, found: false }).unwrap();
        self.append(Some(call), &Event::CallClosed).unwrap();
        self.append(None, &Event::CheckedIn { rotation, at: self.now }).unwrap();
        (call, debt, rotation)
    }
}

#[test]
fn a_call_is_folded_from_its_rows() {
    let mut desk = Desk::new();
    let (call, debt, rotation) = desk.whole_call();
    let folded = desk.ledger.read(|conn| calls::get(conn, call)).unwrap().unwrap();
    assert_eq!((folded.number, folded.state), (1, CallState::Closed));
    assert_eq!(folded.ticket.unwrap().as_str(), "INC0048213");
    assert!(folded.disclosed.is_some() && folded.in_windows.is_some());
    let owed = desk.debt(debt);
    assert!(owed.is_open());
    assert!(matches!(owed.rotation.unwrap().state, RotationState::Accepted { .. }));
    let proved = Event::DebtProved { debt, grade: Proof::Confirmed, new_key: KeyId(guid(0x5D20)) };
    desk.append(None, &proved).unwrap();
    assert!(matches!(desk.debt(debt).state, DebtState::Proved { .. }));
    let over = desk.ledger.read(|conn| debts::rotation(conn, rotation)).unwrap().unwrap();
    assert!(matches!(over.state, RotationState::Over { .. }));
    assert_eq!(desk.ledger.read(|conn| debts::open_rotations(conn, Some(guid(2)))).unwrap(), []);
}

#[test]
fn the_intent_makes_the_debt_before_any_outcome() {
    let mut desk = Desk::new();
    let (call, debt) = (desk.open_call(), DebtId::new());
    desk.intend(call, debt);
    assert!(desk.debt(debt).is_open());
    assert_eq!(desk.ledger.read(disclosures::in_flight).unwrap().len(), 1);
}

#[test]
fn a_certain_refusal_cancels_the_debt_and_an_unknown_outcome_does_not() {
    let mut desk = Desk::new();
    let (call, first, second) = (desk.open_call(), DebtId::new(), DebtId::new());
    let refused = desk.intend(call, first);
    desk.append(
        Some(call),
        &Event::Refused { disclosure: refused, status: Some(403), code: "x".into(), request_id: None },
    )
    .unwrap();
    assert!(matches!(desk.debt(first).state, DebtState::Cancelled { .. }));

    let unknown = desk.intend(call, second);
    let held_until = desk.now;
    let event = Event::Unknown { disclosure: unknown, rotation: RotationId::new(), held_until, why: "timeout".into() };
    desk.append(Some(call), &event).unwrap();
    assert!(desk.debt(second).is_open());
}

#[test]
fn a_refusal_leaves_the_debt_of_an_earlier_disclosure_standing() {
    let mut desk = Desk::new();
    let (call, debt) = (desk.open_call(), DebtId::new());
    let served = desk.intend(call, debt);
    desk.serve(call, served, RotationId::new());
    let refused = desk.intend(call, debt);
    desk.append(
        Some(call),
        &Event::Refused { disclosure: refused, status: Some(403), code: "x".into(), request_id: None },
    )
    .unwrap();
    assert!(desk.debt(debt).is_open());
}

#[test]
fn a_key_handed_out_after_its_debt_was_settled_is_owed_again() {
    let mut desk = Desk::new();
    let (call, debt) = (desk.open_call(), DebtId::new());
    let first = desk.intend(call, debt);
    desk.serve(call, first, RotationId::new());
    let second = desk.intend(call, debt);
    desk.append(None, &Event::DebtWaived { debt, reason: "laptop scrapped".into() }).unwrap();
    desk.serve(call, second, RotationId::new());
    let owed = desk.debt(debt);
    assert!(owed.is_open() && owed.rotation.is_some(), "{owed:?}");
    assert_eq!(desk.ledger.read(|conn| debts::open_rotations(conn, Some(guid(2)))).unwrap().len(), 1);
}

#[test]
fn a_key_read_again_while_its_replacement_is_blocked_or_on_hold_is_held_again() {
    let mut desk = Desk::new();
    let (call, debt, rotation) = (desk.open_call(), DebtId::new(), RotationId::new());
    let first = desk.intend(call, debt);
    desk.serve(call, first, rotation);
    for why in [Block::OnHold, Block::NotPermitted] {
        desk.append(None, &Event::RotationBlocked { rotation, why }).unwrap();
        let again = desk.intend(call, debt);
        desk.serve(call, again, RotationId::new());
        let paying = desk.debt(debt).rotation.unwrap();
        let due = desk.now + SignedDuration::from_mins(29);
        assert_eq!((paying.id, paying.state), (rotation, RotationState::Held { until: due }));
    }
    desk.append(None, &Event::RotationSending { rotation, earlier: None }).unwrap();
    let again = desk.intend(call, debt);
    desk.serve(call, again, RotationId::new());
    assert!(matches!(desk.debt(debt).rotation.unwrap().state, RotationState::Sending { .. }), "it is under way");
}

#[test]
fn a_debt_of_a_key_read_elsewhere_learns_its_device_from_entra() {
    let mut desk = Desk::new();
    let (call, debt) = (desk.open_call(), DebtId::new());
    let external = External {
        disclosure: DisclosureId::new(),
        debt,
        key: KeyId(guid(0x4F2B)),
        volume: Volume::Unknown,
        source: Source::Paper,
        device: None,
        device_name: "a laptop".into(),
        ticket: serde_json::from_str("\"INC0048213\"").unwrap(),
        reason: "other".into(),
        reason_words: "Other".into(),
        verification: Verification { method: "seen".into(), words: "seen".into(), claims: vec![], at: desk.now },
        known: vec![],
        entra_time: None,
        rotation: None,
    };
    desk.append(Some(call), &Event::ExternalDisclosure(Box::new(external))).unwrap();
    assert_eq!(desk.debt(debt).device, NO_DEVICE);
    let began = desk.debt(debt).since;
    let disclosure = desk.intend(call, debt);
    let owed = desk.debt(debt);
    assert_eq!((owed.device, owed.volume, owed.since), (DeviceId(guid(7)), Volume::OperatingSystem, began));
    assert!(owed.known.len() == 1 && owed.entra_time.is_some(), "{owed:?}");
    desk.serve(call, disclosure, RotationId::new());
    assert!(!desk.debt(debt).is_by_hand());
    // What was known first is kept from then on.
    let before = desk.debt(debt).entra_time;
    desk.intend(call, debt);
    assert_eq!(desk.debt(debt).entra_time, before);
}

#[test]
fn rotations_of_another_tenant_are_left_alone() {
    let mut desk = Desk::new();
    desk.whole_call();
    assert_eq!(desk.ledger.read(|conn| debts::open_rotations(conn, Some(guid(2)))).unwrap().len(), 1);
    assert_eq!(desk.ledger.read(|conn| debts::open_rotations(conn, Some(guid(99)))).unwrap(), []);
}

#[test]
fn an_intent_is_closed_once_and_a_second_outcome_is_refused_whole() {
    let mut desk = Desk::new();
    let (call, debt) = (desk.open_call(), DebtId::new());
    let disclosure = desk.intend(call, debt);
    desk.serve(call, disclosure, RotationId::new());
    let head = desk.ledger.head().unwrap();
    let late = Event::Unknown { disclosure, rotation: RotationId::new(), held_until: desk.now, why: "late".into() };
    assert!(matches!(desk.append(Some(call), &late), Err(StoreError::Conflict(_))));
    assert_eq!(desk.ledger.head().unwrap(), head, "the row was rolled back with its projection");
}

#[test]
fn projections_rebuild_to_the_same() {
    let mut desk = Desk::new();
    desk.whole_call();
    let (call, debt) = (desk.open_call(), DebtId::new());
    let disclosure = desk.intend(call, debt);
    desk.serve(call, disclosure, RotationId::new());
    desk.append(Some(call), &Event::CallParked).unwrap();
    let before = desk.projections();
    desk.ledger.rebuild().unwrap();
    assert_eq!(desk.projections(), before);
    assert!(before.len() >= 8);
}

#[test]
fn the_chain_verifies_and_a_reopened_ledger_goes_on_from_its_head() {
    let mut desk = Desk::new();
    desk.whole_call();
    let head = desk.ledger.head().unwrap();
    assert_eq!(desk.ledger.verify().unwrap().unwrap(), head);
    let again = Ledger::open(&desk.path).unwrap();
    again.write(desk.now, &desk.stamp, |pen| pen.append(None, &Event::SignedIn { there: true, roles: None })).unwrap();
    assert_eq!(desk.ledger.verify().unwrap().unwrap().seq, head.seq + 1);
}

#[test]
fn who_signs_in_or_asks_for_a_key_was_there_and_who_only_resumes_was_not() {
    let mut desk = Desk::new();
    let of = |desk: &Desk, who| desk.ledger.read(|conn| seats::last_there(conn, who)).unwrap();
    let last = |desk: &Desk| of(desk, Some((guid(2), UserId(guid(1)))));
    desk.append(None, &Event::SignedIn { there: false, roles: None }).unwrap();
    assert_eq!(last(&desk), None);
    desk.append(None, &Event::SignedIn { there: true, roles: None }).unwrap();
    let signed_in = desk.now;
    desk.append(None, &Event::SignedIn { there: false, roles: None }).unwrap();
    let call = desk.open_call();
    assert_eq!(last(&desk), Some(signed_in), "a call can be opened at a locked desk");
    desk.intend(call, DebtId::new());
    assert_eq!(last(&desk), Some(desk.now));
    assert_eq!(of(&desk, None), Some(desk.now));
    assert_eq!(of(&desk, Some((guid(9), UserId(guid(1))))), None);
    assert_eq!(of(&desk, Some((guid(2), UserId(guid(9))))), None);
}

#[test]
fn rows_can_be_neither_changed_nor_deleted_through_sql() {
    let mut desk = Desk::new();
    desk.whole_call();
    let conn = rusqlite::Connection::open(&desk.path).unwrap();
    let said = conn.execute("UPDATE ledger SET hash = 'x' WHERE seq = 2", []).unwrap_err().to_string();
    assert!(said.contains("append-only"), "{said}");
    assert!(conn.execute("DELETE FROM ledger WHERE seq = 2", []).is_err());
}

#[test]
fn a_file_that_is_no_database_is_damaged_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let junk = "not a database, and long enough to be looked at ".repeat(100);
    std::fs::write(&path, &junk).unwrap();
    assert!(matches!(Ledger::open(&path), Err(StoreError::Damaged { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), junk);
}

#[test]
fn a_ledger_of_a_newer_version_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    drop(Ledger::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Ledger::open(&path), Err(StoreError::Newer(_))));
}

#[test]
fn an_open_desk_writes_nothing_once_a_newer_version_has_changed_the_tables() {
    let mut desk = Desk::new();
    desk.open_call();
    let version = desk.ledger.read(schema::version_of).unwrap();
    assert_eq!(version, schema::LEDGER);
    rusqlite::Connection::open(&desk.path).unwrap().pragma_update(None, "user_version", version + 1).unwrap();
    assert!(matches!(desk.append(None, &Event::SignedOut), Err(StoreError::Newer(_))));
    assert!(matches!(desk.ledger.rebuild(), Err(StoreError::Newer(_))));
    assert_eq!(desk.ledger.head().unwrap().seq, 1);
}

#[test]
fn a_second_desk_waits_for_the_first_and_both_rows_stand() {
    let desk = Desk::new();
    let other = Ledger::open(&desk.path).unwrap();
    std::thread::scope(|scope| {
        for ledger in [&desk.ledger, &other] {
            scope.spawn(|| {
                for _ in 0..25 {
                    ledger
                        .write(desk.now, &desk.stamp, |pen| {
                            pen.append(None, &Event::SignedIn { there: true, roles: None })
                        })
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(desk.ledger.verify().unwrap().unwrap().seq, 50);
}

fn index() -> (tempfile::TempDir, Index) {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(&folder.path().join("index.db")).unwrap();
    (folder, index)
}

fn key(id: &str, device: u128, day: i64) -> Key {
    Key {
        id: KeyId(id.parse().unwrap()),
        device: DeviceId(guid(device)),
        escrowed: Timestamp::from_second(day * 86_400).unwrap(),
        volume: Volume::OperatingSystem,
    }
}

fn device(n: u128, name: &str) -> DeviceSummary {
    DeviceSummary { id: DeviceId(guid(n)), name: name.into(), join: Join::EntraJoined }
}

const KEYS: [&str; 3] = [
    "4f2b0a77-0000-4000-8000-000000000001",
    "4f2b91c0-0000-4000-8000-000000000002",
    "a1093c55-0000-4000-8000-000000000003",
];

#[test]
fn a_prefix_finds_its_keys_with_their_device_and_place() {
    let (_folder, index) = index();
    let mut walk = index.begin_walk(List::Keys, Timestamp::UNIX_EPOCH).unwrap();
    index.store_keys(&mut walk, &[key(KEYS[0], 1, 10), key(KEYS[1], 2, 30), key(KEYS[2], 2, 20)], None).unwrap();
    let mut walk = index.begin_walk(List::Devices, Timestamp::UNIX_EPOCH).unwrap();
    index.store_devices(&mut walk, &[device(2, "HVC-LT-0421")], None).unwrap();

    let (keys, devices, found) = index.by_prefix(&KeyPrefix::read("4f2b").unwrap(), 10).unwrap();
    assert_eq!((keys, devices), (2, 2));
    assert_eq!(found[0].device, None);
    assert_eq!(found[1].device.as_ref().unwrap().name.raw(), "HVC-LT-0421");
    assert_eq!(found[1].place.words(), "newest of 2");
    assert_eq!(index.by_name("hvc-lt", 10).unwrap()[0].keys, 2);
}

#[test]
fn a_walk_goes_on_where_it_stood_and_sweeps_only_when_complete() {
    let (folder, index) = index();
    let mut first = index.begin_walk(List::Keys, Timestamp::UNIX_EPOCH).unwrap();
    index.store_keys(&mut first, &[key(KEYS[0], 1, 10), key(KEYS[1], 1, 10)], None).unwrap();

    let mut second = index.begin_walk(List::Keys, Timestamp::UNIX_EPOCH).unwrap();
    index.store_keys(&mut second, &[key(KEYS[0], 1, 10)], Some("https://graph/next".into())).unwrap();
    assert_eq!(index.listing().unwrap().keys, 2, "nothing is swept half way");

    let again = Index::open(&folder.path().join("index.db")).unwrap();
    let mut resumed = again.begin_walk(List::Keys, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(resumed.next.as_deref(), Some("https://graph/next"));
    again.store_keys(&mut resumed, &[key(KEYS[2], 1, 10)], None).unwrap();
    assert_eq!(again.listing().unwrap().keys, 2, "the key no walk saw any more is gone");
    assert_eq!(again.by_prefix(&KeyPrefix::read(KEYS[1]).unwrap(), 10).unwrap().0, 0);
}

#[test]
fn keys_seen_between_two_walks_are_found_at_once_and_survive_the_walk_under_way() {
    let (_folder, index) = index();
    let mut walk = index.begin_walk(List::Keys, Timestamp::UNIX_EPOCH).unwrap();
    index.store_keys(&mut walk, &[key(KEYS[0], 1, 10)], Some("https://graph/next".into())).unwrap();
    index.note_keys(&[key(KEYS[2], 1, 20)]).unwrap();
    assert_eq!(index.by_prefix(&KeyPrefix::read("a109").unwrap(), 10).unwrap().0, 1);
    index.store_keys(&mut walk, &[], None).unwrap();
    assert_eq!(index.listing().unwrap().keys, 2);
}

#[test]
fn a_damaged_index_is_thrown_away_and_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    std::fs::write(&path, "not a database at all, only some text ".repeat(200)).unwrap();
    let index = Index::open(&path).unwrap();
    assert_eq!(index.listing().unwrap().keys, 0);
}

#[test]
fn desks_that_start_at_once_open_one_ledger() {
    for _ in 0..20 {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("ledger.db");
        let (gate, path) = (std::sync::Barrier::new(4), &path);
        std::thread::scope(|scope| {
            let open = || {
                gate.wait();
                Ledger::open(path).map(|ledger| ledger.head().unwrap().seq)
            };
            let desks: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            for desk in desks {
                assert_eq!(desk.join().unwrap().unwrap(), 0);
            }
        });
    }
}
