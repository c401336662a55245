//! What Entra recorded, for the page that compares it with the ledger.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::World;
use crate::domain::{
    audit::{Actor, Record, Unreadable},
    call::{CallId, DisclosureId},
    device::DeviceId,
    key_id::KeyId,
    reconcile::{Book, Came, Disclosure, Input, Owners, RETENTION, Terms, reconcile},
    technician::UserId,
    work::reconcile::{Answer, Report},
};

fn key(id: u32) -> KeyId {
    KeyId(Uuid::from_u128((u128::from(id) << 96) | 0x6E1D_4C0B_9F7A_0B5D_8B3C_2A11))
}

/// One of each: matched, still to come, not in Entra, the owner's, a stranger's, one that cannot be read.
pub fn reconciled(now: Timestamp) -> Answer {
    let ago = |minutes: i64| now - SignedDuration::from_mins(minutes);
    let dana = World::signed_in().technician;
    let own = |n: u32, id: u32, name: &str, minutes: i64| Disclosure {
        id: DisclosureId(Uuid::from_u128(u128::from(n))),
        book: Book::Own,
        technician: Some(dana.clone()),
        key: key(id),
        device: DeviceId(Uuid::from_u128(u128::from(id))),
        device_name: name.into(),
        ticket: serde_json::from_str("\"INC0048213\"").unwrap(),
        call: CallId(Uuid::from_u128(17)),
        at: ago(minutes),
        entra_time: Some(ago(minutes)),
        came: Came::Served,
        known: BTreeMap::new(),
    };
    let record = |id: &str, who: u128, upn: &str, of: u32, minutes: i64| Record {
        id: id.into(),
        at: ago(minutes),
        actor: Actor::Person { id: Some(UserId(Uuid::from_u128(who))), upn: upn.into() },
        key: key(of),
        device: Some(DeviceId(Uuid::from_u128(u128::from(of)))),
        correlation: None,
        failed: false,
    };
    let owner = Owners { ids: [UserId(Uuid::from_u128(70))].into(), upns: [].into() };
    let input = Input {
        disclosures: vec![
            own(1, 0x4F2B_91C0, "HVC-LT-0421", 180),
            own(2, 0xA109_3C55, "HVC-WS-LAB-MICROSCOPE-02-OF-ROOM-7", 12),
            own(3, 0x0BD4_4410, "HVC-LT-0207", 300),
        ],
        records: vec![
            record("a", 5, "dana@harborview.example", 0x4F2B_91C0, 180),
            record("b", 5, "dana@harborview.example", 0x4F2B_91C0, 180),
            record("c", 70, "tomas.lind@harborview.example", 0xB7D4_0E12, 200),
            record("d", 71, "ines@harborview.example", 0x63A8_D95E, 1560),
        ],
        unreadable: vec![Unreadable { id: Some("e".into()), at: Some(ago(90)), lacks: "the key's ID" }],
        technicians: [(dana.id, dana.upn)].into(),
        owners: [0xB7D4_0E12, 0x63A8_D95E].map(|id| (DeviceId(Uuid::from_u128(id)), owner.clone())).into(),
    };
    let terms = Terms { from: ago(30 * 24 * 60), now, grace: Duration::from_hours(1), retention: RETENTION };
    Answer::Checked(Box::new(Report {
        terms,
        whose: "dana@harborview.example".into(),
        result: reconcile(&input, &terms),
        names: [(DeviceId(Uuid::from_u128(0xB7D4_0E12)), "HVC-LT-1180".into())].into(),
        deleted: Vec::new(),
        unrecorded: None,
    }))
}
