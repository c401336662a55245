//! What people at the desks do: calls, and decisions about debts.

use jiff::SignedDuration;
use keydesk::{
    domain::{
        call::{CallId, DisclosureId, Verification},
        debt::{DebtId, KnownKey, RotationId, RotationState, Urgency},
        device::DeviceId,
        event::{Event, Intent},
        key::Key,
    },
    ops::debts::rows::{self as person, ByWhat},
    store::{StoreError, calls, debts, disclosures},
};

use crate::{
    step::{Comes, Person},
    world::{Expected, Stands, World},
};

impl World {
    pub fn disclose(&mut self, desk: usize, device: usize, key: usize, comes: Comes) {
        let keys = self.tenant.devices[device].keys.clone();
        let key: Key = keys[key % keys.len()].clone();
        let (call, disclosure) = (CallId::new(), DisclosureId::new());
        let known: Vec<KnownKey> = keys.iter().map(KnownKey::of).collect();
        let at = self.now();
        let verification =
            Verification { method: "called-back".into(), words: "called back".into(), claims: vec![], at };
        let mut intent = Intent {
            disclosure,
            debt: DebtId::new(),
            key: key.id,
            volume: key.volume,
            device: key.device,
            device_name: "HVC-LT-0421".into(),
            ticket: serde_json::from_str("\"INC0048213\"").unwrap(),
            reason: "windows-update".into(),
            reason_words: "Windows update".into(),
            verification,
            known: known.clone(),
            entra_time: Some(self.tenant.now),
        };
        let opened = self.write(desk, |pen| {
            let number = calls::next_number(pen.conn())?;
            let (key, volume, device) = (key.id, key.volume, key.device);
            let device_name = "HVC-LT-0421".into();
            pen.append(Some(call), &Event::CallOpened { number, key, volume, device, device_name, heard: 8, why: None })
        });
        if opened.is_err() {
            return;
        }
        self.desks[desk].call = Some(call);
        // As `ops::disclose` does: no intent, no request.
        let Ok(debt) = self.write(desk, |pen| {
            if let Some(standing) = debts::open_for_key(pen.conn(), intent.key)? {
                intent.debt = standing;
            }
            pen.append(Some(call), &Event::Intended(Box::new(intent.clone())))?;
            Ok(intent.debt)
        }) else {
            return;
        };
        let expected = self.expected.entry(debt).or_insert_with(|| Expected {
            stands: Stands::Owed,
            device,
            key: key.id,
            known: known.iter().map(|known| known.id).collect(),
            compromised: false,
            disclosers: Vec::new(),
        });
        expected.disclosers.push(desk);
        self.came(desk, call, disclosure, debt, key.device, comes);
    }

    pub fn came(
        &mut self,
        desk: usize,
        call: CallId,
        disclosure: DisclosureId,
        debt: DebtId,
        device: DeviceId,
        comes: Comes,
    ) {
        let written = self.write(desk, |pen| {
            let held_until = pen.at() + SignedDuration::from_mins(30);
            let rotation = debts::held_for_device(pen.conn(), device)?.unwrap_or_else(RotationId::new);
            let event = match comes {
                Comes::Death => return Ok(false),
                Comes::Served => {
                    Event::Served { disclosure, rotation, held_until, status: 200, request_id: None, faults: vec![] }
                }
                Comes::Unknown => Event::Unknown { disclosure, rotation, held_until, why: "no answer".into() },
                Comes::Refused => Event::Refused { disclosure, status: Some(403), code: "no".into(), request_id: None },
            };
            pen.append(Some(call), &event).map(|_| true)
        });
        match (written, comes) {
            (Ok(true), Comes::Refused) => {
                // A key handed out before is owed all the same.
                let stands = self.read(|conn| disclosures::last_of_debt(conn, debt)).is_some();
                let expected = self.expected.get_mut(&debt).unwrap();
                expected.disclosers.pop();
                if !stands {
                    expected.stands = Stands::Cancelled;
                }
            }
            (Ok(true), _) => {
                self.totals.disclosed += 1;
                // Whatever held its replacement up before, it is due again.
                let rotation = self.read(|conn| debts::get(conn, debt)).unwrap().rotation.unwrap();
                assert!(!matches!(rotation.state, RotationState::Blocked { .. }), "{rotation:#?}");
            }
            // It died, or cannot write: the next start closes it as unknown.
            _ => {
                self.mend();
                self.restart(desk);
            }
        }
    }

    pub fn call(&mut self, desk: usize, what: usize) {
        let Some(call) = self.desks[desk].call else { return };
        let event = [Event::CallParked, Event::CallResumed, Event::CallClosed][what].clone();
        let before = self.read(|conn| calls::get(conn, call)).unwrap();
        if before.closed.is_none() {
            let _ = self.write(desk, |pen| pen.append(Some(call), &event));
        }
    }

    pub fn person(&mut self, desk: usize, debt: usize, what: Person) {
        let Some(id) = self.nth(debt) else { return };
        let before = self.read(|conn| debts::get(conn, id)).unwrap();
        let expected = &self.expected[&id];
        let open = expected.stands == Stands::Owed;
        let own = expected.compromised && expected.disclosers.contains(&desk);
        let allowed = match what {
            Person::Retry => open && !before.is_sent(),
            Person::Hold => {
                open && !before.is_sent() && before.rotation.as_ref().is_some_and(|r| !self.is_urgent(r.id))
            }
            Person::Waive | Person::Confirm => open && !own,
            Person::Compromised => self.read(|conn| disclosures::last_of_debt(conn, id)).is_some(),
        };
        let done = match what {
            Person::Retry => self.write(desk, |pen| person::retry(pen, id).map(Some)),
            Person::Hold => self.write(desk, |pen| person::hold(pen, id).map(|()| None)),
            Person::Waive => self.write(desk, |pen| person::waive(pen, id, "scrapped".into()).map(|()| None)),
            Person::Confirm => self.write(desk, |pen| person::confirm(pen, id, None, "seen".into()).map(|()| None)),
            Person::Compromised => {
                self.write(desk, |pen| person::compromised(pen, None, ByWhat::Debt(id), String::new()))
            }
        };
        let failed = matches!(&done, Err(error) if !matches!(error, StoreError::Conflict(_)));
        assert!(failed || done.is_ok() == allowed, "{what:?} of {before:?}: {done:?}, allowed {allowed}");
        let Ok(due) = done else {
            self.totals.refused_to_discloser += usize::from(open && own && !failed);
            return;
        };
        let expected = self.expected.get_mut(&id).unwrap();
        match what {
            Person::Waive => expected.stands = Stands::Waived,
            Person::Confirm => expected.stands = Stands::Confirmed,
            Person::Compromised => {
                expected.compromised = true;
                if matches!(expected.stands, Stands::Waived | Stands::Confirmed) {
                    expected.stands = Stands::Owed;
                }
            }
            Person::Retry | Person::Hold => {}
        }
        self.totals.waived += usize::from(matches!(what, Person::Waive));
        self.totals.confirmed += usize::from(matches!(what, Person::Confirm));
        if let Some(rotation) = due {
            self.advance(desk, rotation, Urgency::Now);
        }
    }

    /// Whether a rotation is to pay a debt whose key was read to the wrong person.
    pub fn is_urgent(&self, rotation: RotationId) -> bool {
        let owed = self.read(|conn| debts::of_rotation(conn, rotation));
        owed.iter().any(|debt| self.expected[&debt.id].compromised)
    }
}
