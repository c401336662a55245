//! A debt as the ledger itself tells it, folded from the rows of a pack. What becomes of a debt and of its rotation is
//! [`domain::debt`](crate::domain::debt)'s to say; here stands only which row is about it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::{
    call::{CallId, DisclosureId},
    debt::{Debt, DebtId, DebtState, KnownKey, Rotation, RotationId, RotationState, Source},
    device::{DeviceId, NO_DEVICE},
    event::{Carried, Event},
    foreign::Foreign,
    key::Volume,
    key_id::KeyId,
    ticket::Ticket,
};

/// One debt, and what is known of the rotations that could pay it.
pub(super) struct Fold {
    id: DebtId,
    debt: Option<Debt>,
    rotations: BTreeMap<RotationId, Rotation>,
    /// Its disclosures, and those of them that stand: not certainly refused.
    own: BTreeSet<DisclosureId>,
    standing: BTreeSet<DisclosureId>,
    /// Owed whatever becomes of a request to Entra.
    requested: bool,
}

impl Fold {
    pub(super) fn new(id: DebtId) -> Self {
        Self {
            id,
            debt: None,
            rotations: BTreeMap::new(),
            own: BTreeSet::new(),
            standing: BTreeSet::new(),
            requested: false,
        }
    }

    /// The debt with its rotation, once a row has made it.
    pub(super) fn debt(&self) -> Option<Debt> {
        let mut debt = self.debt.clone()?;
        let paid_by = debt.rotation.as_ref().and_then(|rotation| self.rotations.get(&rotation.id));
        debt.rotation = paid_by.cloned().or(debt.rotation);
        Some(debt)
    }

    /// Applies a row about this debt. False where the row that made it could not be read, so that nobody knows what it changes.
    pub(super) fn take(&mut self, at: Timestamp, call: Option<CallId>, event: &Event) -> bool {
        self.begin(at, call, event);
        if self.debt.is_none() {
            return false;
        }
        match event {
            Event::Served { disclosure, rotation, .. } | Event::Unknown { disclosure, rotation, .. }
                if self.own.contains(disclosure) =>
            {
                self.standing.insert(*disclosure);
                self.reopen();
                self.hold_again(*rotation, at, event);
            }
            Event::Refused { disclosure, .. } if self.own.contains(disclosure) => {
                self.standing.remove(disclosure);
                if self.standing.is_empty() && !self.requested {
                    self.change(|debt| debt.cancel(at));
                }
            }
            Event::EntraRecord { disclosure, failed: false, .. } if self.own.contains(disclosure) => {
                self.standing.insert(*disclosure);
                self.change(|debt| debt.apply(at, event));
            }
            Event::ExternalDisclosure(external) => {
                if let Some(held) = external.rotation {
                    self.hold_again(held.rotation, at, event);
                }
            }
            Event::ReplacementRequested { rotation, .. } => self.hold(*rotation, at, event),
            Event::RotationHeld { rotation, debts, .. } if debts.contains(&self.id) => self.hold(*rotation, at, event),
            Event::RotationJoined { rotation, into } => {
                self.rotation(*rotation).apply(at, event);
                let is_ours =
                    |debt: &&mut Debt| debt.is_open() && debt.rotation.as_ref().is_some_and(|own| own.id == *rotation);
                let other = self.rotation(*into).clone();
                if let Some(debt) = self.debt.as_mut().filter(is_ours) {
                    debt.rotation = Some(other);
                }
            }
            Event::RotationTargeted { rotation, .. }
            | Event::RotationSending { rotation, .. }
            | Event::RotationAccepted { rotation, .. }
            | Event::RotationReturned { rotation, .. }
            | Event::RotationReported { rotation }
            | Event::CheckedIn { rotation, .. }
            | Event::RotationBlocked { rotation, .. } => self.rotation(*rotation).apply(at, event),
            Event::DebtProved { debt, .. }
            | Event::DebtConfirmed { debt, .. }
            | Event::DebtWaived { debt, .. }
            | Event::Compromised { debt, .. }
            | Event::KeyDeleted { debt, .. }
                if *debt == self.id =>
            {
                self.change(|debt| debt.apply(at, event));
            }
            _ => {}
        }
        true
    }

    /// The rows that make a debt, or stand for one that is there.
    fn begin(&mut self, at: Timestamp, call: Option<CallId>, event: &Event) {
        match (event, call) {
            (Event::Intended(intent), Some(call)) if intent.debt == self.id => {
                self.own.insert(intent.disclosure);
                self.standing.insert(intent.disclosure);
                self.debt.get_or_insert_with(|| {
                    let new = owed(intent.debt, intent.key, intent.volume, intent.device, &intent.device_name);
                    new.of(call, &intent.ticket, at, &intent.known, intent.entra_time, None)
                });
            }
            (Event::ExternalDisclosure(external), Some(call)) if external.debt == self.id => {
                self.own.insert(external.disclosure);
                self.standing.insert(external.disclosure);
                self.debt.get_or_insert_with(|| {
                    let device = external.device.unwrap_or(NO_DEVICE);
                    let new = owed(external.debt, external.key, external.volume, device, &external.device_name);
                    let source = Some(external.source);
                    new.of(call, &external.ticket, at, &external.known, external.entra_time, source)
                });
            }
            (
                Event::ReplacementRequested {
                    debt, key, volume, device, device_name, ticket, known, entra_time, ..
                },
                Some(call),
            ) if *debt == self.id => {
                self.requested = true;
                self.debt.get_or_insert_with(|| {
                    let new = owed(*debt, *key, *volume, *device, device_name);
                    new.of(call, ticket, at, known, *entra_time, None)
                });
            }
            (Event::DebtCarried(carried), _) if carried.debt == self.id => {
                self.requested = true;
                self.debt = Some(carry(carried));
                self.own.extend(carried.disclosures.iter().map(|carried| carried.disclosure));
                self.standing.extend(carried.disclosures.iter().map(|carried| carried.disclosure));
                self.rotations.extend(carried.rotation.clone().map(|rotation| (rotation.id, rotation)));
            }
            _ => {}
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Debt)) {
        let Some(mut debt) = self.debt() else { return };
        change(&mut debt);
        self.debt = Some(debt);
    }

    /// One of which no earlier row is in the pack is only known by its id.
    fn rotation(&mut self, id: RotationId) -> &mut Rotation {
        let unknown = RotationState::Held { until: Timestamp::MAX };
        self.rotations.entry(id).or_insert_with(|| Rotation::new(id, unknown))
    }

    fn hold(&mut self, id: RotationId, at: Timestamp, event: &Event) {
        let rotation = self.rotation(id);
        rotation.apply(at, event);
        let rotation = rotation.clone();
        if let Some(debt) = &mut self.debt {
            debt.rotation = Some(rotation);
        }
    }

    /// The key is out, maybe not for the first time: what is under way pays it, what was blocked is held again.
    fn hold_again(&mut self, rotation: RotationId, at: Timestamp, event: &Event) {
        match self.debt().filter(Debt::is_open).and_then(|debt| debt.rotation) {
            Some(Rotation { id, state: RotationState::Blocked { .. }, .. }) => self.hold(id, at, event),
            Some(Rotation { state: RotationState::Over { .. }, .. }) | None => self.hold(rotation, at, event),
            Some(_) => {}
        }
    }

    /// Settled between the intent and its outcome: the key is out again, so it is owed again.
    fn reopen(&mut self) {
        if let Some(debt) = self.debt.as_mut().filter(|debt| !debt.is_open()) {
            (debt.state, debt.rotation) = (DebtState::Owed, None);
        }
    }
}

/// What every row that makes a debt says of the key.
struct New<'a> {
    id: DebtId,
    key: KeyId,
    volume: Volume,
    device: DeviceId,
    device_name: &'a Foreign,
}

fn owed(id: DebtId, key: KeyId, volume: Volume, device: DeviceId, device_name: &Foreign) -> New<'_> {
    New { id, key, volume, device, device_name }
}

impl New<'_> {
    fn of(
        self,
        call: CallId,
        ticket: &Ticket,
        since: Timestamp,
        known: &[KnownKey],
        entra_time: Option<Timestamp>,
        source: Option<Source>,
    ) -> Debt {
        Debt {
            id: self.id,
            key: self.key,
            volume: self.volume,
            device: self.device,
            device_name: self.device_name.clone(),
            call,
            ticket: ticket.clone(),
            since,
            tenant: None,
            state: DebtState::Owed,
            known: known.to_vec(),
            entra_time,
            compromised: None,
            key_deleted: None,
            source,
            rotation: None,
        }
    }
}

fn carry(carried: &Carried) -> Debt {
    let new = owed(carried.debt, carried.key, carried.volume, carried.device, &carried.device_name);
    let debt =
        new.of(carried.of_call, &carried.ticket, carried.since, &carried.known, carried.entra_time, carried.source);
    Debt {
        tenant: carried.tenant,
        compromised: carried.compromised,
        key_deleted: carried.key_deleted,
        rotation: carried.rotation.clone(),
        ..debt
    }
}
