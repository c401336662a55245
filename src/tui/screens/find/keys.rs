//! What keys and pastes do at the desk.

use super::{
    super::super::{
        keymap::Action,
        model::Model,
        screens::{Page, card, duplicates::Duplicates, sign_in},
        theme::Role,
        words,
    },
    Chosen, Find, ask_index, open_call, target_changed,
};
use crate::domain::{
    key_id::KeyPrefix,
    query::Query,
    work::{Request, find::LookUp, open_device::Request as OpenDevice},
};

/// More than this of a paste is not read; see `Query::read`.
const PASTE_READ: usize = 16 * 1024;

/// The text of the box changed.
pub fn edited(model: &mut Model) {
    model.find.refused = None;
    model.find.failure = None;
    model.find.odd_paste = None;
    read_again(model);
}

fn read_again(model: &mut Model) {
    let find = &mut model.find;
    find.query = Query::read(find.field.text());
    find.wants_call = false;
    find.list = None;
    find.look_up_at = None;
    find.open_at = None;
    let still_fits = |find: &Find| match (&find.pinned, find.prefix()) {
        (Some(pinned), Some(prefix)) => prefix.begins(pinned.key.id),
        (Some(_), None) => find.query.is_empty(),
        (None, _) => true,
    };
    if !still_fits(find) {
        find.pinned = None;
    }
    model.forget(&Request::LookUp(LookUp { query: Query::default() }));
    if find_elsewhere(&model.find) {
        // What cannot be a key ID is no key of the opened device.
        leave_device(model);
    }
    if model.find.device.is_some() {
        target_changed(model);
    } else {
        model.find.near = None;
        if model.find.query.is_empty() {
            model.find.found = None;
        }
        ask_index(model);
    }
}

/// A paste: the key ID in it wherever it stands, or its first line.
pub fn paste(model: &mut Model, text: &str) {
    let find = &mut model.find;
    let key = Query::read(text).key.filter(|key| key.heard() >= 6);
    if let Some(key) = key {
        find.field.set(key.as_str());
    } else if text.len() > PASTE_READ || Query::read(text).is_empty() {
        find.odd_paste = Some(text.chars().count());
        find.field.clear();
        read_again(model);
        return;
    } else {
        find.field.paste(text);
    }
    edited(model);
}

pub fn act(model: &mut Model, action: Action) {
    let last = model.find.listed().saturating_sub(1);
    match (action, model.find.list) {
        (Action::GoOn, Some(line)) => choose(model, line),
        (Action::GoOn, None) => go_on(model),
        (Action::Number(n), Some(_)) => choose(model, n - 1),
        (Action::Down, None) if model.find.listed() > 0 && shows_list(&model.find) => model.find.list = Some(0),
        (Action::Down, Some(line)) => model.find.list = Some((line + 1).min(last)),
        (Action::Up, Some(0)) => model.find.list = None,
        (Action::Up, Some(line)) => model.find.list = Some(line - 1),
        (moves, Some(line)) if let Some(line) = card::moved(moves, line, last) => model.find.list = Some(line),
        (Action::NextPart, None) if model.find.target_card().is_some() => {
            model.pages.push(Page::Duplicates(Duplicates::default()));
        }
        (Action::Back, _) => back(model),
        _ => {}
    }
}

/// The list is on screen: several matches, none of them taken.
pub fn shows_list(find: &Find) -> bool {
    find.target().is_none()
}

/// In the scope of a device, something else than the beginning of a key ID was typed.
fn find_elsewhere(find: &Find) -> bool {
    find.device.is_some() && find.query.key.is_none() && find.query.text.is_some()
}

/// Out of the scope of the device; what is typed stays.
fn leave_device(model: &mut Model) {
    model.find.device = None;
    model.find.card = None;
    let any = OpenDevice { device: crate::domain::device::NO_DEVICE, asked: None };
    model.forget(&Request::OpenDevice(any));
}

/// Ctrl+U with nothing left to delete leaves the device.
pub fn deleted_nothing(model: &mut Model) {
    if model.find.field.is_empty() && model.find.device.is_some() {
        leave_device(model);
        read_again(model);
    }
}

/// The one device found, when nothing else was: Enter opens it.
pub fn only_device(find: &Find) -> bool {
    find.target().is_none() && find.device.is_none() && find.listed() == 1 && find.devices().len() == 1
}

/// Whether Enter opens a locked desk: nothing is typed, so nobody waits on the line yet.
pub(super) fn may_unlock(model: &Model) -> bool {
    model.session.is_locked() && model.find.field.is_empty() && model.find.device.is_none()
}

fn go_on(model: &mut Model) {
    let find = &model.find;
    if only_device(find) {
        return choose(model, 0);
    }
    match find.missing() {
        0 => open_call(model),
        _ if may_unlock(model) => {
            sign_in::must_unlock(model);
        }
        _ if find.target().is_none() => {}
        n => model
            .toast(Role::Warn, format!("{} to hear. A key is read out only for all eight.", words::more_characters(n))),
    }
}

fn choose(model: &mut Model, line: usize) {
    let keys = model.find.keys();
    if let Some(key) = keys.get(line) {
        model.find.pinned = Some(key.clone());
        model.find.list = None;
        target_changed(model);
        return;
    }
    let Some(device) = model.find.devices().get(line - keys.len()).map(|device| (*device).clone()) else { return };
    let request = OpenDevice { device: device.device.id, asked: None };
    let typed = model.find.field.text().to_owned();
    model.find = Find { device: Some(Chosen { device, card: None, typed }), ..Find::default() };
    model.ask(Request::OpenDevice(request));
}

/// One step back: out of the list, from the taken key, from the text, from the device.
fn back(model: &mut Model) {
    let find = &mut model.find;
    find.failure = None;
    find.refused = None;
    find.odd_paste = None;
    if find.list.take().is_some() {
        return;
    }
    if find.pinned.take().is_some() {
        target_changed(model);
    } else if !find.field.is_empty() {
        find.field.clear();
        read_again(model);
    } else if let Some(chosen) = find.device.take() {
        find.field.set(chosen.typed);
        read_again(model);
    }
}

/// A printable key in the list belongs to the box.
pub fn back_to_box(model: &mut Model) {
    model.find.list = None;
}

impl Find {
    /// Whether what is typed reads as a key ID.
    pub(super) fn reads_as_key(&self) -> Option<&KeyPrefix> {
        self.query.key.as_ref()
    }
}
