//! The tenant behind the desk under test: a handful of devices, keys and people, invented.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use uuid::Uuid;

use crate::domain::{
    call::{Call, CallId, CallState, DisclosureId, Earlier, Verification},
    capability::{Evidence, Feature, Light, Lights},
    debt::{Debt, DebtId, DebtState, KnownKey, Rotation, RotationId, RotationState},
    device::{Compliance, Device, DeviceId, DeviceSummary, Join, ManagedDevice, ManagedDeviceId, ObjectId},
    escrow::Escrow,
    key::{Key, Place, Volume},
    key_id::KeyId,
    note::{Note, NoteFacts},
    policy::{Allowance, Forwarding, Method, Pins, Policy, Proof, Reason},
    query::Query,
    recovery_password::RecoveryPassword,
    technician::{Technician, Tenant, UserId},
    ticket::TicketRule,
    timeline::Step,
    verdict::{Candidate, Others, Unseen, judge},
    work::{
        Failure, Kind, Outcome, Request,
        call::{self, CaughtUp, Closed, IncomingCaller},
        disclose::Disclosed,
        evidence::Written,
        find::{DeviceMatch, Found, KeyMatch},
        open_device::{Card, Duplicate},
        profiles::ProfileState,
        reconcile::Answer,
        sign_in::{AnotherName, Redeemed, SignedIn, SignedOut, Way},
        sync_index::Listing,
    },
};

pub const DIGITS: &str = "537284-046310-447106-391402-120824-665038-083743-710259";

pub fn policy() -> Policy {
    let reason = |id: &str, label: &str| Reason { id: id.into(), label: label.into() };
    let method =
        |id: &str, label: &str, short: &str| Method { id: id.into(), label: label.into(), short: short.into() };
    Policy {
        ticket: TicketRule::new("INC[0-9]{7}", "INC", "INC0048213").unwrap(),
        ticket_check: Vec::new(),
        reasons: vec![
            reason("firmware", "firmware or BIOS"),
            reason("windows-update", "Windows update"),
            reason("dock", "dock or boot order"),
            reason("mainboard", "mainboard or TPM"),
            reason("pin-forgotten", "PIN forgotten"),
            reason("pin-wrong", "wrong PIN too often"),
            reason("drive-moved", "drive moved"),
            reason("unknown", "not known yet"),
        ],
        methods: vec![
            method("called-back", "called back on the number on record", "called back"),
            method("manager", "manager on the line", "manager on the line"),
            method("in-person", "in person, badge seen", "in person"),
        ],
        claims_required: 1,
        per_hour: 10,
        per_day: 40,
        conceal_after: Duration::from_mins(2),
        drop_after: Duration::from_mins(10),
        rotation_delay: Duration::from_mins(30),
        uncertain_pause: Duration::from_mins(2),
        watch_first: Duration::from_secs(20),
        watch_longest: Duration::from_mins(15),
        lock_after: Duration::from_mins(15),
        index_expires: Duration::from_hours(30 * 24),
        mask_facts: true,
        print: Allowance::Never,
        copy: Allowance::Always,
        pins: Pins::default(),
        ways: vec![Way::DeviceCode, Way::Browser],
        closes: Proof::NewKeySeen,
        forward: Forwarding::default(),
    }
}

pub fn failure(kind: Kind, happened: &str) -> Failure {
    Failure::new(kind, happened)
}

fn ago(now: Timestamp, hours: i64) -> Timestamp {
    now - SignedDuration::from_hours(hours)
}

fn device(n: u128, name: &str, join: Join, seen: Option<Timestamp>) -> Device {
    Device {
        object: ObjectId(Uuid::from_u128(n << 104)),
        id: DeviceId(Uuid::from_u128(n)),
        name: name.into(),
        join,
        enabled: Some(true),
        compliant: Some(true),
        last_sign_in: seen,
        registered: seen,
        hardware: None,
    }
}

fn key(id: u32, device: u128, day: &str, volume: Volume) -> Key {
    Key {
        id: KeyId(Uuid::from_u128((u128::from(id) << 96) | 0x6E1D_4C0B_9F7A_0B5D_8B3C_2A11)),
        device: DeviceId(Uuid::from_u128(device)),
        escrowed: format!("{day}T08:00:00Z").parse().unwrap(),
        volume,
    }
}

/// The asked device of most tests: three objects of one name, two keys.
const ASKED: u128 = 0x003c_1e4a;
const STALE: u128 = 0x0077_b0e2;

pub fn card(now: Timestamp) -> Card {
    let keys = vec![
        key(0x4F2B_91C0, ASKED, "2026-03-02", Volume::OperatingSystem),
        key(0xA109_3C55, ASKED, "2025-11-14", Volume::OperatingSystem),
        key(0x0BD4_4410, ASKED, "2025-11-14", Volume::FixedData),
    ];
    let managed = ManagedDevice {
        id: ManagedDeviceId(Uuid::from_u128(1)),
        device: DeviceId(Uuid::from_u128(ASKED)),
        name: "HVC-LT-0421".into(),
        serial: "7KQ2M".into(),
        model: "Latitude 5440".into(),
        owner: "Mara Voss".into(),
        owner_upn: "mara.voss@harborview.example".into(),
        checked_in: Some(ago(now, 48)),
        enrolled: None,
        compliance: Compliance::Compliant,
        encrypted: Some(true),
        rotation: None,
    };
    let own = device(ASKED, "HVC-LT-0421", Join::EntraJoined, Some(ago(now, 48)));
    let stale = device(STALE, "HVC-LT-0421", Join::EntraJoined, Some(ago(now, 215 * 24)));
    let registered = device(0x00b2_d917, "HVC-LT-0421", Join::Registered, Some(ago(now, 30)));
    let old: Vec<Key> = (0..3).map(|n| key(0x9000_0000 + n, STALE, "2025-01-10", Volume::OperatingSystem)).collect();
    let asked = Candidate { device: own.clone(), managed: Some(vec![managed.clone()]), keys: Some(keys.clone()) };
    let seen = vec![
        Candidate { device: stale.clone(), managed: Some(Vec::new()), keys: Some(old) },
        Candidate { device: registered.clone(), managed: Some(Vec::new()), keys: Some(Vec::new()) },
    ];
    let verdict = judge(&asked, &Others { seen, unseen: Unseen::None }, now);
    Card {
        id: own.id,
        device: Some(own),
        managed: vec![managed],
        managed_failure: None,
        escrow: Escrow::of(&keys, Some(true)),
        asked: Some(keys[0].id),
        keys,
        duplicates: vec![Duplicate { device: stale, keys: Some(3) }, Duplicate { device: registered, keys: Some(0) }],
        verdict: Some(verdict),
        refusals: Vec::new(),
        earlier: vec![Earlier {
            at: "2026-10-25T09:00:00Z".parse().unwrap(),
            key: KeyId(Uuid::from_u128(7)),
            ticket: policy().ticket.read("0047001").unwrap(),
            reason: "Firmware update".into(),
        }],
        seen: now,
    }
}

pub fn debt(key: u32, name: &str, ticket: &str, owed: Duration, now: Timestamp, state: RotationState) -> Debt {
    Debt {
        id: DebtId(Uuid::from_u128(u128::from(key))),
        key: KeyId(Uuid::from_u128(u128::from(key) << 96)),
        volume: Volume::OperatingSystem,
        device: DeviceId(Uuid::from_u128(u128::from(key))),
        device_name: name.into(),
        call: CallId(Uuid::from_u128(u128::from(key))),
        ticket: policy().ticket.read(ticket).unwrap(),
        tenant: None,
        since: now - SignedDuration::try_from(owed).unwrap(),
        state: DebtState::Owed,
        known: Vec::new(),
        entra_time: None,
        compromised: None,
        key_deleted: None,
        source: None,
        rotation: Some(Rotation::new(RotationId(Uuid::from_u128(u128::from(key))), state)),
    }
}

pub struct World {
    pub now: Timestamp,
    pub card: Card,
    pub keys: Vec<KeyMatch>,
    pub devices: Vec<DeviceMatch>,
    /// Devices only Entra names.
    pub beyond: Vec<DeviceMatch>,
    pub caught_up: CaughtUp,
    pub debts: Vec<Debt>,
    /// The steps of whichever debt is asked about.
    pub history: Vec<Step>,
    pub calls: Vec<Call>,
    pub listing: Listing,
    pub digits: String,
    pub incoming: Option<IncomingCaller>,
    /// What nobody has consented to yet.
    pub lacking: Vec<Feature>,
    pub profiles: Vec<ProfileState>,
    pub reconciled: Result<Answer, Failure>,
    call: Option<Call>,
}

impl World {
    pub fn new(now: Timestamp) -> Self {
        let card = card(now);
        let on = |name: &str, key: Key, rank: usize, of: usize| KeyMatch {
            device: Some(DeviceSummary { id: key.device, name: name.into(), join: Join::EntraJoined }),
            key,
            place: Place { rank, of },
        };
        let keys = vec![
            on("HVC-LT-1180", key(0x4F2B_0A77, 0x1180, "2025-01-11", Volume::OperatingSystem), 2, 2),
            on("HVC-LT-0421", card.keys[0].clone(), 1, 3),
            on("HVC-WS-LAB-MICROSCOPE-2", key(0x4F2B_E3D4, 0x7001, "2024-08-30", Volume::FixedData), 1, 1),
        ];
        Self {
            now,
            keys,
            devices: vec![DeviceMatch {
                device: DeviceSummary { id: card.id, name: "HVC-LT-0421".into(), join: Join::EntraJoined },
                because: String::new(),
                keys: card.keys.len(),
            }],
            beyond: Vec::new(),
            card,
            caught_up: CaughtUp::default(),
            debts: Vec::new(),
            history: Vec::new(),
            calls: Vec::new(),
            listing: Listing {
                keys: 110_204,
                devices: 40_000,
                running: false,
                complete_since: Some(now - SignedDuration::from_mins(4)),
                stopped: None,
            },
            digits: DIGITS.into(),
            incoming: Some(IncomingCaller {
                name: "Mara Voss".into(),
                model: "Latitude 5440".into(),
                serial: "7KQ2M".into(),
                says: "It wants a recovery key. The ID starts four, fox, two, bravo, nine, one, charlie, zero.".into(),
            }),
            lacking: Vec::new(),
            profiles: Vec::new(),
            reconciled: Ok(super::reconciled(now)),
            call: None,
        }
    }

    /// What the tenant and the ledger would say.
    pub fn answer(&mut self, request: &Request) -> Result<Outcome, Failure> {
        Ok(match request {
            Request::Resume | Request::SignIn(_) => Outcome::SignedIn(Self::signed_in()),
            Request::ConfirmName => Outcome::SignedIn(Self::omar_signed_in()),
            Request::SendAway => Outcome::SentAway,
            Request::Redeem(_) => {
                Outcome::Redeemed(Redeemed { lights: Self::signed_in().lights, lacking: self.lacking.clone() })
            }
            Request::SignOut => {
                self.calls.extend(self.call.take());
                Outcome::SignedOut(SignedOut { calls: self.calls.clone(), kept: None })
            }
            Request::Profiles => Outcome::Profiles(self.profiles.clone()),
            Request::CatchUp => Outcome::CaughtUp(self.caught_up.clone()),
            Request::SyncIndex => Outcome::Listed(self.listing.clone()),
            Request::Find(asked) => Outcome::Found(self.find(&asked.query)),
            Request::LookUp(asked) => Outcome::LookedUp(self.look_up(&asked.query)),
            Request::OpenDevice(asked) => {
                let mut card = self.card.clone();
                card.id = asked.device;
                card.asked = asked.asked;
                Outcome::Device(Box::new(card))
            }
            Request::OpenCall(open) => {
                let call = Call {
                    id: CallId(Uuid::from_u128(17)),
                    number: 17,
                    state: CallState::Open,
                    opened: self.now,
                    key: open.key,
                    volume: open.volume,
                    device: open.device,
                    device_name: open.device_name.clone(),
                    heard: open.heard,
                    verification: None,
                    ticket: None,
                    reason: None,
                    disclosed: None,
                    read: false,
                    in_windows: None,
                    closed: None,
                };
                Outcome::CallOpened(self.call.insert(call).clone())
            }
            Request::Verify(verify) => self.verify(verify),
            Request::Disclose(asked) => self.disclose(asked)?,
            Request::Stage(_) => Outcome::Recorded,
            Request::InWindows(_) => {
                let call = self.call.as_mut().unwrap();
                call.in_windows = Some(self.now);
                let call = call.clone();
                for debt in self.debts.iter_mut().filter(|debt| debt.call == call.id) {
                    let sent = RotationState::Accepted { at: self.now };
                    debt.rotation = Some(Rotation::new(RotationId(Uuid::from_u128(3)), sent));
                }
                let debts = self.debts.clone();
                Outcome::InWindows(call::Note { note: self.note(&call), call, debts })
            }
            Request::CallNote(_) => {
                let call = self.call.clone().unwrap();
                Outcome::CallNote(call::Note { note: self.note(&call), call, debts: self.debts.clone() })
            }
            Request::ParkCall(_) => {
                self.calls.extend(self.call.take());
                Outcome::Parked(self.calls.clone())
            }
            Request::ResumeCall(resume) => {
                let at = self.calls.iter().position(|call| call.id == resume.call).unwrap();
                let call = self.calls.remove(at);
                Outcome::Resumed(self.call.insert(call).clone())
            }
            Request::CloseCall(_) => Outcome::Closed(self.close()),
            Request::Calls => Outcome::Calls(self.calls.clone()),
            Request::WrongPerson(wrong) => {
                for debt in self.debts.iter_mut().filter(|debt| debt.call == wrong.call) {
                    debt.compromised = Some(self.now);
                }
                Outcome::Debts(self.debts.clone())
            }
            Request::Debts | Request::SettleDebt(_) => Outcome::Debts(self.debts.clone()),
            Request::Reconcile(_) => Outcome::Reconciled(self.reconciled.clone()?),
            Request::Evidence(_) => Outcome::Evidence(Self::written()),
            Request::History(_) => Outcome::History(self.history.clone()),
            Request::WrapUp => Outcome::WrappedUp,
            Request::Copy(_) => Outcome::Copied,
            Request::Browse(_) => Outcome::Browsed,
            Request::NextCaller => Outcome::NextCaller(self.incoming.clone()),
        })
    }

    pub fn signed_in() -> SignedIn {
        let mut lights = Lights::default();
        lights.set(Feature::List, Light::Yes(Evidence::default()));
        lights.set(Feature::Reveal, Light::Unknown);
        lights.set(Feature::Rotate, Light::Yes(Evidence::default()));
        SignedIn {
            technician: Technician {
                id: UserId(Uuid::from_u128(5)),
                upn: "dana@harborview.example".into(),
                name: "Dana Reyes".into(),
            },
            tenant: Tenant { id: Uuid::from_u128(6), name: "Harborview Clinics".into() },
            lights,
            remembered: true,
            locked: false,
        }
    }

    pub fn omar() -> Technician {
        Technician { id: UserId(Uuid::from_u128(8)), upn: "omar@harborview.example".into(), name: "Omar Haddad".into() }
    }

    pub fn omar_signed_in() -> SignedIn {
        SignedIn { technician: Self::omar(), ..Self::signed_in() }
    }

    /// Omar, where it was Dana last time.
    pub fn another_name() -> AnotherName {
        AnotherName { now: Self::omar(), before: Self::signed_in().technician }
    }

    fn find(&self, query: &Query) -> Found {
        let fits = |found: &&KeyMatch| query.key.as_ref().is_some_and(|prefix| prefix.begins(found.key.id));
        let keys: Vec<KeyMatch> = self.keys.iter().filter(fits).cloned().collect();
        let mut on: Vec<_> = keys.iter().map(|found| found.key.device).collect();
        on.sort();
        on.dedup();
        Found { keys_total: keys.len(), keys_devices: on.len(), keys, devices: named(&self.devices, query) }
    }

    fn look_up(&self, query: &Query) -> Found {
        Found { devices: named(&self.beyond, query), ..Found::default() }
    }

    fn verify(&mut self, verify: &call::Verify) -> Outcome {
        let Some(method) = &verify.method else { return Outcome::CallerRefused(self.close()) };
        let policy = policy();
        let method = policy.methods.iter().find(|known| known.id == *method).unwrap();
        let call = self.call.as_mut().unwrap();
        call.verification = Some(Verification {
            method: method.id.clone(),
            words: method.short.clone(),
            claims: verify.claims.clone(),
            at: self.now,
        });
        Outcome::Verified(call.clone())
    }

    fn disclose(&mut self, asked: &crate::domain::work::disclose::Request) -> Result<Outcome, Failure> {
        if asked.ticket == "INC0047790" && !asked.same_ticket_confirmed {
            return Err(failure(
                Kind::Confirm,
                "INC0047790 was used for HVC-LT-0098 at 08:51. Go on only if it is the same ticket.",
            ));
        }
        let policy = policy();
        let call = self.call.as_mut().unwrap();
        call.ticket = Some(policy.ticket.read(&asked.ticket).unwrap());
        call.reason = Some(policy.reason(&asked.reason).unwrap().label.clone());
        call.disclosed = Some(self.now);
        call.read = true;
        let mut debt = debt(
            0x4F2B_91C0,
            "HVC-LT-0421",
            &asked.ticket,
            Duration::ZERO,
            self.now,
            RotationState::Held { until: self.now + SignedDuration::from_mins(30) },
        );
        debt.call = call.id;
        debt.key = call.key;
        debt.known = vec![KnownKey { id: call.key, volume: Volume::OperatingSystem }];
        self.debts.push(debt);
        Ok(Outcome::Disclosed(self.disclosed()))
    }

    pub fn written() -> Written {
        Written {
            file: "/home/dana/.local/state/keydesk/evidence/keydesk-INC0048213-2026-11-20.zip".into(),
            sha256: "ab".repeat(32),
            calls: 1,
            rows: 12,
            head_seq: 4812,
            head: "9c".repeat(32),
            broken: None,
            recorded: Some(4813),
        }
    }

    pub fn disclosed(&self) -> Disclosed {
        let password = RecoveryPassword::read(&SecretString::from(self.digits.as_str()));
        Disclosed {
            disclosure: DisclosureId(Uuid::from_u128(4812)),
            faults: password.faults(),
            password,
            at: self.now,
            record_warning: None,
        }
    }

    fn note(&self, call: &Call) -> Note {
        let facts = NoteFacts {
            technician: Some("dana@harborview.example".into()),
            ended: self.now,
            replacement: "replacement sent".into(),
            wrong_person: self.debts.iter().any(|debt| debt.compromised.is_some()),
            ledger_seq: 4812,
            ledger_head: "9c41e07a55".into(),
        };
        Note::of(call, &facts, &jiff::tz::TimeZone::UTC)
    }

    fn close(&mut self) -> Closed {
        let mut call = self.call.take().unwrap();
        call.closed = Some(self.now);
        Closed { note: self.note(&call), call }
    }
}

fn named(devices: &[DeviceMatch], query: &Query) -> Vec<DeviceMatch> {
    let Some(text) = query.text.as_ref().map(|text| text.to_lowercase()) else { return Vec::new() };
    let fits = |found: &&DeviceMatch| {
        found.device.name.raw().to_lowercase().contains(&text) || found.because.to_lowercase().contains(&text)
    };
    devices.iter().filter(fits).cloned().collect()
}
