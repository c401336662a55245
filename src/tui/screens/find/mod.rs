//! The desk between calls: one box takes what the caller reads, a device, a serial or a user.

mod keys;
mod view;

use std::time::Duration;

pub use keys::{act, back_to_box, deleted_nothing, edited, paste};
pub use view::view;

use super::super::{field::Field, keymap::Place, model::Model};
use crate::{
    domain::{
        key::{Key, Place as Rank, place},
        key_id::{KeyId, KeyPrefix, SPOKEN_LENGTH},
        moment::Deadline,
        query::Query,
        verdict::Verdict,
        work::{
            AskId, Failure, Request,
            call::{Closed, Open},
            find::{DeviceMatch, Found, KeyMatch, LookUp, Request as Find_},
            open_device::{Card, Request as OpenDevice},
        },
    },
    runbook::Evidence,
};

/// A device is opened by itself when its key has been the only one for so long.
const OPEN_AFTER: Duration = Duration::from_millis(150);
/// Entra is asked by itself when nothing has been typed for so long.
const LOOK_UP_AFTER: Duration = Duration::from_millis(400);
/// The longest list asked for; Entra's own are as long.
const MOST: usize = 50;
/// A single match of fewer characters is chance.
const OPEN_FROM: usize = 4;

#[derive(Debug, Default)]
pub struct Find {
    pub field: Field,
    query: Query,
    /// The index's answer, with the question it belongs to.
    found: Option<(Query, Found)>,
    looked_up: Option<(Query, Found)>,
    /// What begins with the first eight of a longer key ID that nothing begins with.
    near: Option<(Query, Found)>,
    look_up_at: Option<Deadline>,
    open_at: Option<(Deadline, OpenDevice)>,
    /// The list has the focus, at this line.
    list: Option<usize>,
    /// A key taken from the list before all of it was heard.
    pinned: Option<KeyMatch>,
    /// A device taken from the list: its keys are chosen by reading one's ID.
    device: Option<Chosen>,
    card: Option<Card>,
    /// Enter was pressed before the device was open.
    wants_call: bool,
    /// Something was pasted that holds nothing to look for: how long it was.
    odd_paste: Option<usize>,
    failure: Option<Failure>,
    /// The call that just ended without a verified caller.
    refused: Option<Closed>,
}

/// A device chosen by name, serial or user.
#[derive(Debug)]
struct Chosen {
    device: DeviceMatch,
    card: Option<Card>,
    /// What was typed to find it.
    typed: String,
}

/// The key that all of what was typed points to.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub key: Key,
    pub rank: Rank,
}

impl Find {
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    pub fn place(&self) -> Place {
        if self.list.is_some() { Place::Matches } else { Place::Find }
    }

    pub fn evidence(&self) -> Vec<Evidence> {
        let mut seen = Vec::new();
        if !self.field.is_empty() || self.device.is_some() || self.pinned.is_some() {
            seen.push(Evidence::SomethingHeard);
        }
        if self.target().is_some() && self.missing() == 0 {
            seen.push(Evidence::KeyHeard);
        }
        seen
    }

    fn prefix(&self) -> Option<&KeyPrefix> {
        self.query.key.as_ref()
    }

    /// Characters of the key ID still to be heard.
    pub fn missing(&self) -> usize {
        self.prefix().map_or(SPOKEN_LENGTH, KeyPrefix::missing)
    }

    /// The keys that match what is typed: of the chosen device, of the index, or of Entra's answer.
    fn keys(&self) -> Vec<KeyMatch> {
        if let Some(chosen) = &self.device {
            return self.keys_of(chosen);
        }
        let of = |found: &Option<(Query, Found)>| {
            let current = found.as_ref().filter(|(query, _)| *query == self.query);
            current.map(|(_, found)| found.keys.clone()).unwrap_or_default()
        };
        let found = of(&self.found);
        if found.is_empty() { of(&self.looked_up) } else { found }
    }

    fn keys_of(&self, chosen: &Chosen) -> Vec<KeyMatch> {
        let Some(card) = &chosen.card else { return Vec::new() };
        let begins = |key: &&Key| self.prefix().is_none_or(|prefix| prefix.begins(key.id));
        let row = |key: &Key| KeyMatch {
            key: key.clone(),
            device: Some(chosen.device.device.clone()),
            place: place(&card.keys, key.id).unwrap_or(Rank { rank: 1, of: 1 }),
        };
        card.keys.iter().filter(begins).map(row).collect()
    }

    /// The first eight of a longer key ID, as a question of their own.
    fn first_eight(&self) -> Option<Query> {
        let typed = self.prefix().filter(|prefix| prefix.heard() > SPOKEN_LENGTH)?;
        Some(Query { key: KeyPrefix::read(&typed.as_str()[..SPOKEN_LENGTH]), text: None })
    }

    /// A key that begins with the same eight as what was typed, and the first character that differs, counted from 1.
    fn near(&self) -> Option<(&KeyMatch, usize)> {
        let (query, found) = self.near.as_ref()?;
        let near = found.keys.first().filter(|_| self.first_eight().as_ref() == Some(query))?;
        let id = near.key.id.0.simple().to_string();
        let typed = self.prefix()?.as_str().to_lowercase();
        let same = typed.chars().zip(id.chars()).take_while(|(typed, known)| typed == known).count();
        Some((near, same + 1))
    }

    /// How many keys match, on how many devices.
    fn totals(&self) -> (usize, usize) {
        if self.device.is_some() {
            return (self.keys().len(), 1);
        }
        let current = |found: &Option<(Query, Found)>| {
            found.as_ref().filter(|(query, _)| *query == self.query).map(|(_, f)| (f.keys_total, f.keys_devices))
        };
        let found = current(&self.found).filter(|(keys, _)| *keys > 0);
        found.or_else(|| current(&self.looked_up)).unwrap_or_default()
    }

    /// The devices that match, the index's first, then those only Entra named.
    fn devices(&self) -> Vec<&DeviceMatch> {
        if self.device.is_some() {
            return Vec::new();
        }
        let mut devices: Vec<&DeviceMatch> = Vec::new();
        for (query, found) in [&self.found, &self.looked_up].into_iter().flatten() {
            let new = found.devices.iter().filter(|_| *query == self.query);
            for device in new {
                if devices.iter().all(|known| known.device.id != device.device.id) {
                    devices.push(device);
                }
            }
        }
        devices
    }

    /// Lines of the list.
    fn listed(&self) -> usize {
        self.keys().len() + self.devices().len()
    }

    /// The one key meant, once there is one.
    pub fn target(&self) -> Option<Target> {
        let of = |found: &KeyMatch| Target { key: found.key.clone(), rank: found.place };
        if let Some(pinned) = &self.pinned {
            return Some(of(pinned));
        }
        let enough = self.prefix().is_some_and(|prefix| prefix.heard() >= OPEN_FROM);
        let (keys, _) = self.totals();
        (enough && keys == 1).then(|| self.keys().first().map(of)).flatten()
    }

    /// The opened device of the target.
    pub fn target_card(&self) -> Option<&Card> {
        let target = self.target()?;
        let fits = |card: &&Card| card.id == target.key.device && card.keys.iter().any(|key| key.id == target.key.id);
        self.device
            .as_ref()
            .and_then(|chosen| chosen.card.as_ref())
            .filter(fits)
            .or_else(|| self.card.as_ref().filter(fits))
    }

    /// The opening the target needs.
    pub fn wanted(&self) -> Option<OpenDevice> {
        let target = self.target()?;
        Some(OpenDevice { device: target.key.device, asked: Some(target.key.id) })
    }

    pub fn deadlines(&self) -> impl Iterator<Item = Deadline> {
        self.look_up_at.into_iter().chain(self.open_at.as_ref().map(|(at, _)| *at))
    }

    pub fn caller_refused(&mut self, closed: Closed) {
        *self = Self { refused: Some(closed), ..Self::default() };
    }
}

/// A pause in typing ended: look up, open.
pub fn pause(model: &mut Model) {
    let now = model.now;
    if model.find.look_up_at.is_some_and(|at| at.passed(now)) {
        model.find.look_up_at = None;
        look_up(model);
    }
    if let Some((_, request)) = model.find.open_at.take_if(|(at, _)| at.passed(now)) {
        model.ask(Request::OpenDevice(request));
    }
}

fn look_up(model: &mut Model) -> Option<AskId> {
    let query = model.find.query.clone();
    (!query.is_empty()).then(|| model.ask(Request::LookUp(LookUp { query })))
}

/// The index answered.
pub fn found(model: &mut Model, query: Query, found: Found) {
    if query != model.find.query {
        if model.find.first_eight().as_ref() == Some(&query) {
            model.find.near = Some((query, found));
        }
        return;
    }
    let nothing = found.keys_total == 0;
    model.find.found = Some((query, found));
    let unknown = nothing && model.find.query.text.is_some() || whole_is_unknown(&model.find);
    let asked = model.find.looked_up.as_ref().is_some_and(|(asked, _)| *asked == model.find.query)
        || model.asks.any(|request| matches!(request, Request::LookUp(_)));
    // The index may answer again as it grows; Entra is asked once.
    if !unknown || asked {
        model.find.look_up_at = None;
    } else if model.find.look_up_at.is_none() {
        model.find.look_up_at = Some(model.now.in_(LOOK_UP_AFTER));
    }
    target_changed(model);
    if model.find.wants_call {
        open_call(model);
    }
    // The first eight may name a key all the same: the caller misread, or was misheard, after them.
    if let Some(query) = model.find.first_eight().filter(|_| nothing) {
        model.ask(Request::Find(Find_ { query, limit: 1 }));
    }
}

fn whole_is_unknown(find: &Find) -> bool {
    find.prefix().is_some_and(|prefix| prefix.whole().is_some()) && find.totals().0 == 0
}

/// Entra answered.
pub fn looked_up(model: &mut Model, query: Query, found: Found) {
    if query != model.find.query || model.find.device.is_some() {
        return;
    }
    model.find.looked_up = Some((query, found));
    target_changed(model);
}

/// Opens the target's device by itself after a moment; drops what was being opened for another.
fn target_changed(model: &mut Model) {
    let wanted = model.find.wanted();
    if let Some(card) = model.find.device.as_mut().and_then(|chosen| chosen.card.as_mut()) {
        card.asked = wanted.as_ref().and_then(|open| open.asked);
    }
    let opening = |request: &Request| matches!(request, Request::OpenDevice(open) if Some(open) == wanted.as_ref());
    if model.asks.any(opening) || model.find.target_card().is_some() {
        model.find.open_at = None;
        return;
    }
    let chosen = model.find.device.as_ref().is_some_and(|chosen| chosen.card.is_none());
    if !chosen {
        let any = OpenDevice { device: crate::domain::device::NO_DEVICE, asked: None };
        model.forget(&Request::OpenDevice(any));
    }
    let pending = model.find.open_at.take().filter(|(_, request)| Some(request) == wanted.as_ref());
    model.find.open_at = pending.or_else(|| wanted.map(|request| (model.now.in_(OPEN_AFTER), request)));
}

/// The device is open.
pub fn opened(model: &mut Model, request: &OpenDevice, card: Card) {
    let find = &mut model.find;
    match &mut find.device {
        Some(chosen) if chosen.device.device.id == request.device => chosen.card = Some(card),
        _ => find.card = Some(card),
    }
    if find.wants_call {
        open_call(model);
    }
}

/// Opens the call on the target, all eight heard and its device open; remembers the wish until then.
fn open_call(model: &mut Model) {
    // Enter may come before the index has answered for the last character: it is kept until then.
    let looking = model.asks.any(|request| matches!(request, Request::Find(_)));
    let find = &mut model.find;
    find.wants_call = find.missing() == 0 && looking;
    let (Some(target), 0) = (find.target(), find.missing()) else { return };
    let heard = find.prefix().map_or(0, KeyPrefix::heard);
    let Some(card) = find.target_card() else {
        model.find.wants_call = true;
        return;
    };
    let known = card.device.as_ref().map(|device| device.name.clone());
    let why = card.verdict.as_ref().map(Verdict::why);
    let listed = find.keys().into_iter().find(|found| found.key.id == target.key.id).and_then(|found| found.device);
    let device_name = known.or_else(|| listed.map(|device| device.name)).unwrap_or_else(|| "deleted device".into());
    model.find.wants_call = false;
    model.ask(Request::OpenCall(Open {
        key: target.key.id,
        volume: target.key.volume,
        device: target.key.device,
        device_name,
        heard,
        why,
    }));
}

/// The card a call on `key` starts with.
pub fn take_card(model: &mut Model, key: KeyId) -> Option<Card> {
    let mut card = model.find.target_card().cloned()?;
    card.asked = Some(key);
    Some(card)
}

pub fn failed(model: &mut Model, failure: Failure) {
    model.find.wants_call = false;
    model.find.failure = Some(failure);
}

/// Asks again what is on screen.
pub fn look_again(model: &mut Model) -> AskId {
    model.find.failure = None;
    if let Some(chosen) = &model.find.device {
        let request = OpenDevice { device: chosen.device.device.id, asked: None };
        model.ask(Request::OpenDevice(request))
    } else if let Some(request) = model.find.wanted() {
        model.ask(Request::OpenDevice(request))
    } else {
        let list = model.ask(Request::SyncIndex);
        look_up(model).unwrap_or(list)
    }
}

/// The index grew: what is typed may match now.
pub fn index_grew(model: &mut Model) {
    let missing = model.find.pinned.is_none() && model.find.device.is_none() && model.find.totals().0 == 0;
    if model.call.is_none() && missing {
        ask_index(model);
    }
}

fn ask_index(model: &mut Model) {
    let query = model.find.query.clone();
    if query.is_empty() {
        return;
    }
    model.ask(Request::Find(Find_ { query, limit: MOST }));
}

#[cfg(test)]
mod tests;
