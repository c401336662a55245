//! The device's other objects and its key history, in full.

use super::{
    super::{
        canvas::Canvas,
        keymap::Action,
        model::Model,
        skeleton::{self, Layout},
        theme::Role,
        words,
    },
    Page,
    card::{self, Window},
};
use crate::domain::{age, device::Device, key::place, work::open_device::Card};

/// Objects shown at once; a device seldom has more.
const OBJECTS: usize = 5;

#[derive(Clone, Copy, Debug, Default)]
pub struct Duplicates {
    part: Part,
    object: usize,
    key: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Objects,
    Keys,
}

/// The device whose page this is.
fn card(model: &Model) -> Option<&Card> {
    match &model.call {
        Some(call) => call.card.as_ref(),
        None => model.find.target_card(),
    }
}

pub fn act(model: &mut Model, action: Action) {
    let Some((objects, keys)) = card(model).map(|card| {
        let objects = card.verdict.as_ref().map_or(0, |verdict| verdict.objects.len());
        (objects, card.keys.len())
    }) else {
        model.pages.pop();
        return;
    };
    let Some(Page::Duplicates(page)) = model.pages.last_mut() else { return };
    let (at, last) = match page.part {
        Part::Objects => (&mut page.object, objects.saturating_sub(1)),
        Part::Keys => (&mut page.key, keys.saturating_sub(1)),
    };
    match action {
        Action::Up => *at = at.saturating_sub(1),
        Action::Down => *at = (*at + 1).min(last),
        moves if let Some(line) = card::moved(moves, *at, last) => *at = line,
        Action::NextPart => {
            page.part = if page.part == Part::Objects { Part::Keys } else { Part::Objects };
        }
        Action::Back => {
            model.pages.pop();
        }
        _ => {}
    }
}

pub fn view(model: &Model, canvas: &mut Canvas, page: &Duplicates) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    skeleton::rail(model, canvas, None);
    if let Some(card) = card(model) {
        title(model, canvas, card);
        canvas.within(layout.right, |canvas| body(model, canvas, card, page, layout));
    }
    let hints = [
        model.hint(Action::NextPart, "next part"),
        model.hint(Action::Down, "move").labelled("↑↓"),
        model.hint(Action::Back, "back"),
        model.hint(Action::LookAgain, "look again"),
        model.hint(Action::Help, "help"),
    ];
    skeleton::foot(model, canvas, None, &hints);
}

fn title(model: &Model, canvas: &mut Canvas, open: &Card) {
    if model.call.is_some() {
        skeleton::call_title(model, canvas);
    } else if let Some(target) = model.find.target() {
        let rank = place(&open.keys, target.key.id).unwrap_or(target.rank).words();
        let rest = format!("{}, {rank}", target.key.volume.words());
        let line =
            open.device.as_ref().map_or(rest.clone(), |device| words::named(&device.name, &rest, canvas.room(3)));
        skeleton::title(canvas, &target.key.id.spoken(), &line);
    }
}

fn body(model: &Model, canvas: &mut Canvas, open: &Card, page: &Duplicates, layout: Layout) {
    let window = Window { focus: (page.part == Part::Objects).then_some(page.object), at: page.object, most: OBJECTS };
    let mut row = card::objects(model, canvas, 10, 0, open, window);
    if let Some(verdict) = open.verdict.as_ref().filter(|_| !open.duplicates.is_empty()) {
        row = canvas.facts(row, "Because", Role::Text, &reason(model, open, &verdict.sentence), 2);
    }
    row += 1;
    let room = usize::from((layout.last + 1).saturating_sub(row + 2));
    // A list too long for the screen leaves a row to its count.
    let most = if open.keys.len() > room { room.saturating_sub(1) } else { room };
    let window = Window { focus: (page.part == Part::Keys).then_some(page.key), at: page.key, most };
    row = card::keys(model, canvas, row, 0, open, window);
    canvas.fact(row, "Escrow", Role::Text, open.escrow.words());
    if let Some(key) = open.asked_key().filter(|_| row < layout.last) {
        let when = words::drive_and_date(model, key.volume, key.escrowed);
        canvas.fact(row + 1, "Asked", Role::Dim, &format!("{}, {when}", key.id));
    }
}

/// Why, in one sentence: an object of the same hardware, else what the verdict says after its colon.
fn reason(model: &Model, open: &Card, sentence: &str) -> String {
    let hardware = open.device.as_ref().and_then(|device| device.hardware);
    let same = |device: &Device| hardware.is_some() && device.hardware == hardware;
    if let Some(n) = open.duplicates.iter().position(|other| same(&other.device)) {
        let registered = open.duplicates[n].device.registered;
        let when = registered.map(|at| format!(", registered {}", age::ago(at, model.now.wall))).unwrap_or_default();
        return format!("{} shares the hardware identity of 1: the same laptop{when}.", n + 2);
    }
    let why = sentence.split_once(": ").map_or(sentence, |(_, why)| why);
    let mut chars = why.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::{
        domain::key::Key,
        tui::tests::{Desk, assert_screen},
    };

    fn open() -> Desk {
        let mut desk = Desk::open();
        desk.type_text("4F2B91C0");
        desk.wait(200);
        desk.press("tab");
        desk
    }

    #[test]
    fn duplicates_with_their_verdicts_and_the_key_history() {
        assert_screen!(open());
    }

    #[test]
    fn an_object_of_the_same_hardware_is_the_reason() {
        let mut desk = Desk::open();
        let hardware = Some(crate::domain::device::ZtdId(uuid::Uuid::from_u128(7)));
        desk.world.card.device.as_mut().unwrap().hardware = hardware;
        desk.world.card.duplicates[0].device.hardware = hardware;
        desk.type_text("4F2B91C0");
        desk.wait(200);
        desk.press("tab");
        assert!(desk.shows("Because   2 shares the hardware identity of 1: the same"));
    }

    #[test]
    fn tab_goes_on_to_the_keys_and_esc_back_to_the_box() {
        let mut desk = open();
        desk.press("tab down");
        assert_screen!(desk);
        desk.press("esc");
        assert!(desk.shows("One key on one device"));
    }

    #[test]
    fn a_device_with_190_keys_scrolls() {
        let mut desk = Desk::open();
        let first = desk.world.card.keys[0].clone();
        let more = (1..190_u128).map(|n| Key {
            id: crate::domain::key_id::KeyId(uuid::Uuid::from_u128(n << 96)),
            escrowed: first.escrowed - jiff::SignedDuration::from_hours(24 * i64::try_from(n).unwrap()),
            ..first.clone()
        });
        desk.world.card.keys = std::iter::once(first.clone()).chain(more).collect();
        desk.type_text("4F2B91C0");
        desk.wait(200);
        desk.press("tab tab");
        assert!(desk.shows("1 to 4 of 190 keys"), "{:#?}", desk.rows());
        for _ in 0..300 {
            desk.press("down");
        }
        assert_screen!(desk);
        desk.press("home");
        assert!(desk.shows("1 to 4 of 190 keys"));
        desk.press("pagedown");
        assert!(desk.shows("8 to 11 of 190 keys"), "{:#?}", desk.rows());
        desk.press("end");
        assert!(desk.shows("187 to 190 of 190 keys"));
    }
}
