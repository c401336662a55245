//! The device card: facts, verdict, objects, key history. Several screens draw parts of it.

use std::time::Duration;

use super::super::{canvas::Canvas, keymap::Action, model::Model, skeleton::Layout, theme::Role, words};
use crate::domain::{
    age,
    device::{Device, ManagedDevice},
    foreign::Foreign,
    key::{Key, Place, standing},
    moment::since,
    verdict::{Confidence, Finding, ObjectVerdict, Verdict},
    work::open_device::Card,
};

/// A fact that may not be seen yet: the same eight marks whatever it is.
const MASK: &str = "••••••••";
const MONTH: Duration = Duration::from_hours(30 * 24);

/// "HVC-LT-0421, Entra joined, compliant, checked in 2 days ago", in `room` columns.
pub fn device_words(model: &Model, card: &Card, room: usize) -> String {
    let Some(device) = &card.device else {
        return "deleted in Entra; its keys live on".into();
    };
    let mut rest = vec![device.join.words().to_owned()];
    if let Some(managed) = card.managed.first() {
        rest.push(managed.compliance.words().to_owned());
        let seen = card.checked_in().map(|at| format!("checked in {}", age::ago(at, model.now.wall)));
        rest.push(seen.unwrap_or_else(|| "never checked in".into()));
    } else {
        rest.push(if card.managed_failure.is_some() { "Intune not asked" } else { "not in Intune" }.into());
        rest.extend(device.last_sign_in.map(|at| format!("signed in {}", age::ago(at, model.now.wall))));
    }
    words::named(&device.name, &rest.join(", "), room)
}

/// Device, owner and key: three rows from `row`. Returns the row after them.
pub fn facts(
    model: &Model,
    canvas: &mut Canvas,
    row: u16,
    card: &Card,
    key: Option<(&Key, Place)>,
    shown: bool,
) -> u16 {
    canvas.fact(row, "Device", Role::Strong, &device_words(model, card, canvas.room(13)));
    owner(canvas, row + 1, card.managed.first(), shown);
    let Some((key, rank)) = key else { return row + 2 };
    let drive = words::drive_and_date(model, key.volume, key.escrowed);
    canvas.fact(row + 2, "Key", Role::Text, &format!("{}, {drive}, {}", key.id.short(), rank.words()));
    row + 3
}

fn owner(canvas: &mut Canvas, row: u16, known: Option<&ManagedDevice>, shown: bool) {
    let of = |fact: fn(&ManagedDevice) -> &Foreign| {
        known.map(fact).filter(|fact| !fact.is_empty()).map_or_else(|| "not known".to_owned(), ToString::to_string)
    };
    // Two stops more for the owner where the card is wider than 80.
    let model_at = if canvas.right() > 80 { 45 } else { 29 };
    let facts: [(u16, &str, String, u16); 3] = [
        (3, "Owner", of(|known| &known.owner), model_at - 14),
        (model_at, "Model", of(|known| &known.model), 15),
        (model_at + 24, "Serial", of(|known| &known.serial), 20),
    ];
    for (col, label, fact, width) in facts {
        canvas.put(row, col, Role::Dim, label);
        let (role, text) = if shown { (Role::Text, fact.as_str()) } else { (Role::Mask, MASK) };
        let at = if col == 3 { 13 } else { col + 8 };
        canvas.put_in(row, at, width, role, text);
    }
}

/// A verdict that leaves a doubt stands out.
fn role_of(verdict: &Verdict) -> Role {
    if verdict.confidence == Confidence::Sure { Role::Text } else { Role::Warn }
}

/// The verdict, and what else is to be known. Returns the row after it.
pub fn verdict(canvas: &mut Canvas, row: u16, card: &Card) -> u16 {
    let Some(verdict) = &card.verdict else { return row };
    let mut row = canvas.facts(row, "Verdict", role_of(verdict), &verdict.sentence, 2);
    row = canvas.wrapped(row, 13, canvas.edge(), Role::Text, &verdict.because.join(" "), 3);
    if let Some(question) = &verdict.question {
        row = canvas.facts(row, "Ask", Role::Strong, &format!("“{question}”"), 2);
    }
    row
}

/// Earlier recoveries of this device, in a sentence.
pub fn before(model: &Model, card: &Card) -> Option<String> {
    let last = card.earlier.first()?;
    let recent = card.earlier.iter().filter(|earlier| since(earlier.at, model.now.wall) <= MONTH).count();
    let nth = match recent {
        0 => String::new(),
        1 => "Second recovery in 30 days. ".into(),
        2 => "Third recovery in 30 days. ".into(),
        n => format!("Recovery number {} in 30 days. ", n + 1),
    };
    let day = age::day(last.at, &model.setup.zone);
    Some(format!("{nth}The last: {day}, {}.", last.reason))
}

/// The last caller for this device who could not be verified: the next one may be the same. Returns the row after.
pub fn watch(model: &Model, canvas: &mut Canvas, row: u16, card: &Card) -> u16 {
    let Some(last) = card.refusals.first() else { return row };
    let mut said = last.sentence(model.now.wall, &model.setup.zone);
    if card.refusals.len() > 1 {
        said += " ";
        said += &age::count(card.refusals.len(), "time");
        said += " in 30 days.";
    }
    canvas.facts(row, "Watch", Role::Warn, &said, 2)
}

/// The device's objects, from `row`, at `left` columns to the right of the usual place, `focus` with the bar. Returns the row after.
pub fn objects(model: &Model, canvas: &mut Canvas, row: u16, left: u16, card: &Card, window: Window) -> u16 {
    // Beside the card the room is narrower.
    let [join_at, seen_at, keys_at, verdict_at] =
        if left > 0 { [13, 28, 42, 47] } else { [13, 29, 45, 53] }.map(|at| left + at);
    let heads =
        [(left + 3, "Object"), (join_at, "Join"), (seen_at, "Signed in"), (keys_at, "Keys"), (verdict_at, "Verdict")];
    for (col, word) in heads {
        canvas.put(row, col, Role::Dim, word);
    }
    let Some(verdict) = &card.verdict else { return row + 1 };
    let devices = card.device.iter().chain(card.duplicates.iter().map(|duplicate| &duplicate.device));
    let lines: Vec<(&Device, &ObjectVerdict)> = devices.zip(&verdict.objects).collect();
    let mut at = row + 1;
    for n in window.lines(lines.len()) {
        let (device, object) = lines[n];
        if window.focus == Some(n) {
            canvas.put(at, left + 1, Role::Accent, "▌");
        }
        canvas.put(at, left + 3, Role::Text, &format!("{} {}", n + 1, device.object.short()));
        canvas.put_in(at, join_at, seen_at - join_at - 1, Role::Text, device.join.words());
        let seen = device.last_sign_in.map_or_else(|| "never".into(), |at| age::ago(at, model.now.wall));
        canvas.put_in(at, seen_at, keys_at - seen_at - 1, Role::Text, &seen);
        canvas.put(at, keys_at, Role::Text, &object.keys.map_or_else(|| "?".to_owned(), |keys| keys.to_string()));
        let sure = object.finding == Finding::ThisOne && verdict.confidence == Confidence::Sure;
        // The join column says that it is registered only.
        let said = object.words().trim_start_matches("registered only").trim_start_matches([',', ':', ' ']).to_owned();
        let said = if sure { format!("{said}, sure") } else { said };
        let role = if object.warns() { Role::Warn } else { Role::Text };
        at = canvas.wrapped(at, verdict_at, canvas.right(), role, &said, 2);
    }
    at
}

/// The device's keys, newest first, the asked one marked. Returns the row after.
pub fn keys(model: &Model, canvas: &mut Canvas, row: u16, left: u16, card: &Card, window: Window) -> u16 {
    for (col, word) in [(3, "Key ID"), (13, "Drive"), (29, "Escrowed"), (45, "State")] {
        canvas.put(row, left + col, Role::Dim, word);
    }
    let mut at = row + 1;
    let range = window.lines(card.keys.len());
    for n in range.clone() {
        let key = &card.keys[n];
        let asked = card.asked == Some(key.id);
        if window.focus == Some(n) {
            canvas.put(at, left + 1, Role::Accent, "▌");
        }
        canvas.put(at, left + 3, if asked { Role::Strong } else { Role::Text }, &key.id.short());
        canvas.put_in(at, left + 13, 15, Role::Text, key.volume.words());
        canvas.put_in(at, left + 29, 13, Role::Text, &age::date(key.escrowed, &model.setup.zone));
        let standing = standing(&card.keys, key).words();
        if asked {
            canvas.put(at, left + 43, Role::Accent, "►");
            canvas.put(at, left + 45, Role::Strong, &format!("{standing}, the asked one"));
        } else {
            canvas.put(at, left + 45, Role::Text, standing);
        }
        at += 1;
    }
    if range.len() < card.keys.len() {
        let shown = format!("{} to {} of {}", range.start + 1, range.end, age::count(card.keys.len(), "key"));
        canvas.put(at, left + 3, Role::Dim, &shown);
        at += 1;
    }
    at
}

/// The card as it stands open below (from row `after`) or beside a screen that has the room.
pub fn open(model: &Model, canvas: &mut Canvas, after: u16, card: &Card, facts_too: bool, unmasked: bool) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    let (mut row, left, right) = match layout.beside {
        Some(col) => (10, col - 3, col + 66),
        None if layout.below => (after, 0, layout.right),
        None => return,
    };
    if facts_too && after + 4 <= layout.last {
        canvas.within(layout.right, |canvas| {
            let mut at = facts(model, canvas, after, card, None, unmasked);
            if let Some(verdict) = &card.verdict {
                at = canvas.facts(at, "Verdict", role_of(verdict), &verdict.sentence, 2);
            }
            if layout.beside.is_none() {
                row = at + 1;
            }
        });
    }
    canvas.within(right, |canvas| {
        let room = |row: u16| usize::from((layout.last + 1).saturating_sub(row));
        if room(row) < 4 {
            return;
        }
        row = objects(model, canvas, row, left, card, Window::open((room(row) / 2).min(8))) + 1;
        if room(row) > 3 {
            keys(model, canvas, row, left, card, Window::open(room(row) - 2));
        }
    });
}

/// Where Page Up, Page Down, Home and End lead from line `at` in a list up to `last`; `None` for other keys.
pub fn moved(action: Action, at: usize, last: usize) -> Option<usize> {
    const PAGE: usize = 10;
    match action {
        Action::PageUp => Some(at.saturating_sub(PAGE)),
        Action::PageDown => Some((at + PAGE).min(last)),
        Action::First => Some(0),
        Action::Last => Some(last),
        _ => None,
    }
}

/// Which lines of a long list are on screen.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The line with the bar.
    pub focus: Option<usize>,
    /// The line kept in view.
    pub at: usize,
    pub most: usize,
}

impl Window {
    pub fn open(most: usize) -> Self {
        Self { focus: None, at: 0, most }
    }

    pub fn lines(self, of: usize) -> std::ops::Range<usize> {
        let most = self.most.max(1);
        let last_start = of.saturating_sub(most);
        let start = if self.at < most { 0 } else { (self.at + 1 - most).min(last_start) };
        start..(start + most).min(of)
    }
}
