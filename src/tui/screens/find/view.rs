//! What the desk draws between calls.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::{
    super::{
        super::{
            call_desk::one_line,
            canvas::Canvas,
            footer::Hint,
            keymap::Action,
            model::Model,
            prompt::{self, Prompt},
            skeleton::{self, Layout},
            theme::Role,
            words,
        },
        card::{self, Window},
    },
    Find, MOST, Target,
    keys::{may_unlock, only_device, shows_list},
};
use crate::domain::{
    age,
    foreign::printable,
    key_id::KeyPrefix,
    moment::since,
    work::{
        Request,
        find::{DeviceMatch, KeyMatch},
    },
};

/// Where a key may be that Entra does not list.
const MAYBE: [&str; 5] = [
    "aka.ms/myrecoverykey on the screen: a personal account has it.",
    "A unit your role does not list: Cloud Operations can look.",
    "A hybrid laptop: only on-premises AD has it.",
    "Device deleted in Entra, its keys with it.",
    "No Key ID on the screen: it is not BitLocker.",
];
/// What was paid is shown for so long.
const PROVED_FOR: Duration = Duration::from_hours(1);

pub fn view(model: &Model, canvas: &mut Canvas) {
    let find = &model.find;
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    the_box(model, canvas);
    let target = find.target();
    skeleton::rail(model, canvas, say(model, target.as_ref()));
    canvas.within(layout.right, |canvas| body(model, canvas, target.as_ref(), layout));
    let own = find.failure.as_ref().map(Prompt::of).or_else(|| refused(model)).filter(|_| !is_opening(model));
    canvas.within(layout.right, |canvas| prompt::draw(model, canvas, own));
    let newcomer = model.debts.is_empty() && model.calls.is_empty();
    let first_time = model.setup.demo && newcomer && find.field.is_empty() && model.incoming.is_some();
    let notice = first_time
        .then(|| (Role::Text, "First time? Type what the caller says, then Enter.".to_owned()))
        .filter(|_| find.device.is_none());
    let locked = (may_unlock(model) && !model.session.is_renewing()).then(|| {
        let after = age::short(model.setup.policy.lock_after);
        (Role::Text, format!("Locked: nobody was here for {after}. Enter signs in before a call comes."))
    });
    let notice = locked.or(notice);
    let opening = is_opening(model).then(|| (Role::Text, format!("{} Opening the call", model.spinner())));
    let notice = opening.or(notice);
    skeleton::foot(model, canvas, notice, &hints(model, target.as_ref()));
}

fn say<'a>(model: &'a Model, target: Option<&Target>) -> Option<&'a str> {
    let find = &model.find;
    let aside = &model.runbook.aside;
    match target {
        Some(_) if find.missing() > 0 => Some(&aside.go_on),
        None if is_not_found(model) && find.near().is_none() => Some(&aside.not_found),
        Some(_) | None => None,
    }
}

/// R4 and R5.
fn the_box(model: &Model, canvas: &mut Canvas) {
    let find = &model.find;
    let focused = find.list.is_none() && !model.session.is_renewing();
    if focused {
        canvas.bar(4, Role::Accent);
        canvas.bar(5, Role::Accent);
    }
    let (text, cursor) = find.shown();
    canvas.typed(4, 3, 76, Role::Strong, &text, focused.then_some(cursor));
    let (role, said) = answer(model);
    canvas.put(5, 3, role, &said);
}

/// What stands right below what was typed.
fn answer(model: &Model) -> (Role, String) {
    let find = &model.find;
    if let Some(length) = find.odd_paste {
        let said = format!("{} were pasted: no key ID and no name among them.", age::count(length, "character"));
        return (Role::Warn, said);
    }
    if let Some(chosen) = &find.device
        && find.target().is_none()
    {
        return device_answer(model, chosen);
    }
    if find.field.is_empty() && find.pinned.is_none() {
        return (Role::Text, "Type what the caller reads, or a device, serial or user.".into());
    }
    if find.target().is_some() {
        let heard = match find.missing() {
            0 => "All eight heard.".into(),
            n => format!("{} to hear.", words::more_characters(n)),
        };
        return (Role::Text, format!("One key on one device. {heard}"));
    }
    if find.query.is_empty() {
        return (Role::Warn, "This is no key ID and no name. Type what the caller reads, or a name.".into());
    }
    let (keys, on) = find.totals();
    let devices = find.devices().len();
    match (keys, devices) {
        (0, 0) => not_found_answer(model),
        (0, 1) if only_device(find) => (Role::Text, "1 device. Enter opens it.".into()),
        (0, n) if n >= MOST => {
            (Role::Text, format!("The first {}. ↓ chooses, or keep typing.", age::count(n, "device")))
        }
        (0, n) => (Role::Text, format!("{}. ↓ chooses.", age::count(n, "device"))),
        (keys, 0) => (Role::Text, format!("{} on {}. Keep typing.", age::count(keys, "key"), age::count(on, "device"))),
        (keys, n) => (Role::Text, format!("{}, {}. Keep typing.", age::count(keys, "key"), age::count(n, "device"))),
    }
}

fn device_answer(model: &Model, chosen: &super::Chosen) -> (Role, String) {
    let name = &chosen.device.device.name;
    let Some(card) = &chosen.card else {
        return (Role::Text, format!("{} Asking Entra for the keys of {name}", model.spinner()));
    };
    let matching = model.find.keys().len();
    let said = match (card.keys.len(), matching, model.find.field.is_empty()) {
        (0, ..) => format!("Entra has no key of {name}."),
        (n, _, true) => format!("{} on {name}. Type the key ID the caller reads.", age::count(n, "key")),
        (n, 0, false) => format!("None of the {} on {name} starts so.", age::count(n, "key")),
        (_, m, false) => format!("{} on {name}. Keep typing.", age::count(m, "key")),
    };
    (Role::Text, said)
}

fn not_found_answer(model: &Model) -> (Role, String) {
    let find = &model.find;
    if is_asking(model) {
        let what = find.query.text.as_deref().map(printable).unwrap_or_default();
        return (Role::Text, format!("{} Asking Entra for {what}. Esc stops.", model.spinner()));
    }
    match (find.reads_as_key(), &find.query.text) {
        (Some(prefix), _) if model.listing.complete_since.is_none() => {
            (Role::Text, format!("No key starts with {} so far: the list is still filling.", in_fours(prefix)))
        }
        (Some(prefix), _) => (Role::Warn, format!("No key starts with {}.", in_fours(prefix))),
        (None, Some(text)) if find.looked_up.is_some() => {
            (Role::Warn, format!("No device, serial or user here is called {}.", printable(text)))
        }
        (None, Some(text)) => (Role::Text, format!("{}: not in the list, Entra is asked.", printable(text))),
        (None, None) => (Role::Text, String::new()),
    }
}

/// All that was typed, in groups of four.
fn in_fours(prefix: &KeyPrefix) -> String {
    let hex = prefix.as_str();
    let groups: Vec<&str> = (0..hex.len()).step_by(4).map(|at| &hex[at..(at + 4).min(hex.len())]).collect();
    groups.join(" ")
}

/// The call is being opened: keys wait for its first screen.
fn is_opening(model: &Model) -> bool {
    model.asks.any(|request| matches!(request, Request::OpenCall(_)))
}

/// Opening the device failed, and nobody tries again by himself.
fn is_shut(model: &Model) -> bool {
    model.find.failure.is_some() && !model.asks.any(|request| matches!(request, Request::OpenDevice(_)))
}

fn is_asking(model: &Model) -> bool {
    model.asks.any(|request| matches!(request, Request::LookUp(_)))
}

fn is_not_found(model: &Model) -> bool {
    let find = &model.find;
    let answered = find.found.as_ref().is_some_and(|(query, _)| *query == find.query);
    find.device.is_none() && !find.query.is_empty() && answered && find.listed() == 0 && !is_asking(model)
}

fn body(model: &Model, canvas: &mut Canvas, target: Option<&Target>, layout: Layout) {
    let find = &model.find;
    if let Some(target) = target {
        one_match(model, canvas, target);
    } else if find.device.is_some() {
        device_keys(model, canvas, layout);
    } else if find.field.is_empty() {
        empty(model, canvas);
    } else if is_not_found(model) && !find.query.is_empty() {
        not_found(model, canvas);
    } else if find.listed() > 0 {
        matches(model, canvas, layout);
    }
}

fn empty(model: &Model, canvas: &mut Canvas) {
    let mut row = 10;
    if let Some(caller) = &model.incoming {
        row = canvas.facts(row, "Caller", Role::Text, &format!("“{}”", printable(&caller.says)), 4) + 1;
    }
    let start = row;
    for said in model.recovered.iter().take(2) {
        row = canvas.facts(row, "Recovered", Role::Warn, &printable(said), 2);
    }
    for (n, call) in model.calls.iter().take(2).enumerate() {
        let label = if n == 0 { "Parked" } else { "" };
        let more = model.calls.len() - 2.min(model.calls.len());
        let more = if n == 1 && more > 0 { format!("; {more} more: F3") } else { String::new() };
        let room = canvas.room(13).saturating_sub(more.width());
        canvas.fact(row, label, Role::Text, &format!("{}{more}", one_line(call, model.now.wall, room)));
        row += 1;
    }
    let owed: Vec<_> = model.debts.iter().filter(|debt| debt.is_open()).collect();
    for (n, debt) in owed.iter().take(2).enumerate() {
        let label = if n == 0 { "Owed" } else { "" };
        let more = owed.len() - 2.min(owed.len());
        let more = if n == 1 && more > 0 { format!("; {more} more: F2") } else { String::new() };
        let role = if debt.is_blocked() { Role::Warn } else { Role::Text };
        let room = canvas.room(13).saturating_sub(more.width());
        canvas.fact(row, label, role, &format!("{}{more}", words::owed(debt, model.now.wall, room)));
        row += 1;
    }
    if let Some(debt) = words::just_proved(&model.debts, model.now.wall, PROVED_FOR) {
        let said = format!("√ {}: {}", debt.device_name, debt.sentence(model.now.wall, &model.setup.zone));
        row = canvas.facts(row, "Paid", Role::Ok, &said, 2);
    }
    if row > start {
        row += 1;
    }
    let listing = &model.listing;
    if let Some(stopped) = listing.stopped.as_ref().filter(|_| !listing.running) {
        canvas.facts(row, "List", Role::Warn, &format!("× {} F5 starts it again.", printable(stopped)), 3);
    } else if listing.complete_since.is_none() {
        canvas.fact(row, "List", Role::Text, "Still filling. Names, serials and users work: Entra is asked.");
    }
}

fn one_match(model: &Model, canvas: &mut Canvas, target: &Target) {
    let unmasked = !model.setup.policy.mask_facts;
    let mut row = if let Some(open) = model.find.target_card() {
        let row = card::facts(model, canvas, 10, open, Some((&target.key, target.rank)), unmasked);
        let row = card::verdict(canvas, row + 1, open) + 1;
        let row = card::watch(model, canvas, row, open);
        match card::before(model, open) {
            Some(said) => canvas.facts(row, "Before", Role::Text, &said, 2) + 1,
            None => row,
        }
    } else {
        opening(model, canvas, target)
    };
    if let Some(open) = model.find.target_card() {
        if let Some(why) = &open.managed_failure {
            row = canvas.facts(row, "Intune", Role::Warn, &format!("× {}", printable(why)), 2);
        }
        card::open(model, canvas, row, open, false, unmasked);
    }
}

fn opening(model: &Model, canvas: &mut Canvas, target: &Target) -> u16 {
    let listed = model.find.keys().into_iter().find(|found| found.key.id == target.key.id);
    let name = listed
        .and_then(|found| found.device)
        .map(|device| words::named(&device.name, device.join.words(), canvas.room(13)));
    canvas.fact(10, "Device", Role::Strong, &name.unwrap_or_else(|| "not in the list yet".into()));
    let drive = words::drive_and_date(model, target.key.volume, target.key.escrowed);
    canvas.fact(11, "Key", Role::Text, &format!("{}, {drive}, {}", target.key.id.short(), target.rank.words()));
    let state = if is_shut(model) {
        "The device could not be opened; F5 looks again".to_owned()
    } else {
        format!("{} Opening the device", model.spinner())
    };
    canvas.fact(13, "Entra", Role::Text, &state);
    15
}

fn device_keys(model: &Model, canvas: &mut Canvas, layout: Layout) {
    let Some(open) = model.find.device.as_ref().and_then(|chosen| chosen.card.as_ref()) else { return };
    let unmasked = !model.setup.policy.mask_facts;
    let row = card::facts(model, canvas, 10, open, None, unmasked) + 1;
    if open.keys.is_empty() {
        canvas.fact(row, "Escrow", Role::Warn, open.escrow.words());
        return;
    }
    key_table(model, canvas, row, layout.last, &model.find.keys(), 0);
}

fn matches(model: &Model, canvas: &mut Canvas, layout: Layout) {
    let keys = model.find.keys();
    let devices = model.find.devices();
    let mut row = 10;
    if !keys.is_empty() {
        // With devices below, the keys leave them half the room.
        let last = if devices.is_empty() { layout.last } else { layout.last - 6 };
        row = key_table(model, canvas, row, last, &keys, model.find.totals().0) + 1;
    }
    if !devices.is_empty() {
        device_table(model, canvas, row, layout.last, &devices, keys.len());
    }
}

/// Keys from `row`; `total` says how many there are beyond those known.
fn key_table(model: &Model, canvas: &mut Canvas, row: u16, last: u16, keys: &[KeyMatch], total: usize) -> u16 {
    for (col, word) in [(5, "Key ID"), (15, "Device"), (33, "Drive"), (45, "Escrowed"), (61, "Place")] {
        canvas.put(row, col, Role::Dim, word);
    }
    let selected = model.find.list.filter(|line| *line < keys.len());
    let total = total.max(keys.len());
    let room = usize::from((last + 1).saturating_sub(row + 1));
    let most = if total > room { room - 1 } else { room };
    let range = Window { focus: selected, at: selected.unwrap_or(0), most }.lines(keys.len());
    let mut at = row + 1;
    for n in range.clone() {
        if selected == Some(n) {
            canvas.bar(at, Role::Accent);
        }
        number(model, canvas, at, n);
        key_row(model, canvas, at, &keys[n]);
        at += 1;
    }
    if total > range.len() {
        let said = format!("{} to {} of {}", range.start + 1, range.end, age::count(total, "key"));
        canvas.put(at, 3, Role::Dim, &said);
        at += 1;
    }
    at
}

/// In the list a number chooses its row; outside, a digit belongs to the box.
fn number(model: &Model, canvas: &mut Canvas, row: u16, n: usize) {
    if model.find.list.is_some() && n < 9 {
        canvas.put(row, 3, Role::Text, &(n + 1).to_string());
    }
}

fn key_row(model: &Model, canvas: &mut Canvas, row: u16, found: &KeyMatch) {
    let short = found.key.id.short();
    let typed = model.find.reads_as_key().map_or(0, KeyPrefix::heard).min(short.len());
    canvas.line(row, 5, &[(Role::Strong, &short[..typed]), (Role::Text, &short[typed..])]);
    canvas.put_in(row, 33, 11, Role::Text, found.key.volume.words());
    canvas.put_in(row, 45, 15, Role::Text, &age::date(found.key.escrowed, &model.setup.zone));
    let after = canvas.put(row, 61, Role::Text, &found.place.words());
    match &found.device {
        Some(device) if device.name.is_right_to_left() => {
            canvas.put(row, after + 2, Role::Text, &device.name.to_string());
        }
        Some(device) => {
            canvas.put_in(row, 15, 17, Role::Text, &device.name.to_string());
        }
        None => {
            canvas.put(row, 15, Role::Dim, "not listed");
        }
    }
}

fn device_table(model: &Model, canvas: &mut Canvas, row: u16, last: u16, devices: &[&DeviceMatch], before: usize) {
    for (col, word) in [(5, "Device"), (33, "Join"), (49, "Keys"), (57, "Found by")] {
        canvas.put(row, col, Role::Dim, word);
    }
    let selected = model.find.list.and_then(|line| line.checked_sub(before));
    let room = usize::from((last + 1).saturating_sub(row + 1));
    let most = if devices.len() > room { room.saturating_sub(1) } else { room };
    let range = Window { focus: selected, at: selected.unwrap_or(0), most }.lines(devices.len());
    let filling = model.listing.complete_since.is_none();
    let mut at = row + 1;
    for n in range.clone() {
        let found = devices[n];
        if selected == Some(n) {
            canvas.bar(at, Role::Accent);
        }
        number(model, canvas, at, before + n);
        canvas.put_in(at, 33, 15, Role::Text, found.device.join.words());
        // While the list fills, keys not seen yet are not missing ones.
        let keys = if filling && found.keys == 0 { "…".to_owned() } else { found.keys.to_string() };
        canvas.put(at, 49, Role::Text, &keys);
        let mut because = if found.because.is_empty() { "name".into() } else { printable(&found.because) };
        if devices.iter().filter(|other| other.device.name == found.device.name).count() > 1 {
            because = format!("id {}, {because}", &found.device.id.0.simple().to_string()[..6]);
        }
        let name = found.device.name.to_string();
        if found.device.name.is_right_to_left() {
            let after = canvas.put(at, 57, Role::Text, &because);
            canvas.put(at, after + 2, Role::Strong, &name);
        } else {
            canvas.put(at, 57, Role::Text, &because);
            canvas.put_in(at, 5, 27, Role::Strong, &name);
        }
        at += 1;
    }
    if devices.len() > range.len() {
        let first = if devices.len() >= MOST { "the first " } else { "" };
        canvas.put(at, 5, Role::Dim, &format!("{} to {} of {first}{}", range.start + 1, range.end, devices.len()));
    }
}

fn not_found(model: &Model, canvas: &mut Canvas) {
    let listing = &model.listing;
    let mut looked = match (listing.complete_since, listing.running) {
        (Some(at), _) => format!("in the whole list, {} old", age::short(since(at, model.now.wall))),
        (None, true) => format!("in {}, the list is still filling", age::count(listing.keys, "key")),
        (None, false) => "nowhere yet: there is no list".into(),
    };
    if model.find.looked_up.as_ref().is_some_and(|(query, _)| *query == model.find.query) {
        looked += "; Entra was asked just now";
    }
    canvas.fact(10, "Looked", Role::Text, &looked);
    if let Some((near, differs)) = model.find.near() {
        let on = near.device.as_ref().map(|device| format!(" on {}", device.name)).unwrap_or_default();
        let said =
            format!("{}{on} begins the same: was the {} character right?", near.key.id.short(), ordinal(differs));
        let row = canvas.facts(12, "But", Role::Strong, &said, 3);
        canvas.fact(row + 1, "Next", Role::Text, "Eight are enough: Backspace to the eighth character.");
        return;
    }
    if model.find.reads_as_key().is_none() {
        canvas.fact(12, "Next", Role::Text, "Type part of the name, the serial on the sticker, or the user.");
        return;
    }
    if listing.complete_since.is_none() {
        canvas.fact(12, "Next", Role::Text, "Wait for the list, or type the name, serial or user: Entra is asked.");
        return;
    }
    canvas.put(12, 3, Role::Dim, "Maybe");
    for ((row, n), line) in (12..).zip(1..).zip(MAYBE) {
        canvas.put(row, 13, Role::Text, &format!("{n} {line}"));
    }
    canvas.fact(18, "Next", Role::Text, "Type the name, serial or user: Entra is asked directly.");
}

/// "ninth"; a key ID has 32 characters.
fn ordinal(n: usize) -> String {
    match n {
        9 => "ninth".into(),
        10 => "tenth".into(),
        11 => "eleventh".into(),
        12 => "twelfth".into(),
        21 => "21st".into(),
        22 | 32 => format!("{n}nd"),
        23 => "23rd".into(),
        31 => "31st".into(),
        n => format!("{n}th"),
    }
}

/// The caller of the call that just ended could not be verified.
fn refused(model: &Model) -> Option<Prompt> {
    let closed = model.find.refused.as_ref()?;
    let mut lines = vec![format!("Say “{}”", model.runbook.aside.not_verified)];
    lines.push(format!("Call {} is closed, no key was read.", closed.call.number));
    Some(Prompt { label: "Refused".into(), lines, role: Role::Text })
}

pub fn hints(model: &Model, target: Option<&Target>) -> Vec<Hint> {
    let find = &model.find;
    if model.session.is_renewing() {
        return super::super::sign_in::hints(model);
    }
    let mut hints = Vec::new();
    if let Some(line) = find.list {
        let last = find.listed();
        hints.push(model.hint(Action::GoOn, "take it"));
        // Further down the numbered rows are out of sight.
        if line < 9 {
            hints.push(model.hint(Action::Choose, "choose").labelled(format!("1-{}", last.clamp(1, 9))));
        }
        hints.push(model.hint(Action::Down, "move").labelled("↑↓").unless(last < 2 && line == 0, "only one"));
        hints.push(model.hint(Action::Back, "back"));
    } else if target.is_some() {
        let missing = find.missing();
        let more = format!("{missing} more character{}", if missing == 1 { "" } else { "s" });
        let opening = find.target_card().is_none();
        let shut = opening && is_shut(model);
        let why = if shut { "not opened" } else { "opening the device" };
        hints.push(model.hint(Action::GoOn, "verify caller").unless(missing > 0, more).unless(opening, why));
        if shut {
            hints.push(model.hint(Action::LookAgain, "look again"));
        }
        if !shut {
            hints.push(model.hint(Action::NextPart, "duplicates, history").unless(opening, "opening"));
        }
        if missing == 0 && !shut {
            hints.push(model.hint(Action::Back, "back"));
            hints.push(model.hint(Action::LookAgain, "look again"));
        }
    } else if find.field.is_empty() && find.device.is_none() {
        hints.push(if may_unlock(model) {
            model.hint(Action::GoOn, "sign in")
        } else {
            model.hint(Action::GoOn, "open").unless(true, "nothing typed")
        });
        if find.refused.is_some() || find.failure.is_some() {
            hints.push(model.hint(Action::Back, "dismiss"));
        }
        hints.push(model.hint(Action::Debts, "debts"));
        hints.push(model.hint(Action::Calls, "calls"));
        hints.push(model.hint(Action::Permissions, "permissions"));
    } else {
        let listed = find.listed();
        let why = match listed {
            0 => "no match".into(),
            n => format!("{} match", find.totals().0.max(n)),
        };
        hints.push(model.hint(Action::GoOn, "open").unless(!only_device(find), why));
        if listed > 0 && shows_list(find) {
            hints.push(model.hint(Action::Down, "choose"));
        }
        hints.push(model.hint(Action::Back, "back"));
        hints.push(model.hint(Action::LookAgain, "look again"));
        if listed == 0 {
            hints.push(model.hint(Action::Runbook, "runbook"));
        }
    }
    hints.push(model.hint(Action::Help, "help"));
    hints
}

impl Find {
    /// What the box shows: a bare key ID in fours, anything else as typed; and the cursor in it.
    fn shown(&self) -> (String, usize) {
        let text = self.field.text();
        let at_end = self.field.cursor() == text.chars().count();
        let bare = !text.is_empty() && text.len() <= 8 && text.chars().all(|c| c.is_ascii_hexdigit());
        match self.reads_as_key() {
            Some(prefix) if bare && at_end => {
                let spoken = prefix.spoken();
                let end = spoken.len();
                (spoken, end)
            }
            _ => self.field.shown(),
        }
    }
}
