//! What every screen but the stage shares: status, answer, rail, the sentence for the caller, the side, the notice.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::{
    canvas::{Canvas, cut, wrap},
    footer::{self, Hint},
    keymap::Action,
    model::Model,
    screens::Stop,
    theme::Role,
    words,
};
use crate::{
    domain::{
        age,
        capability::{Feature, Light},
        debt::DebtSummary,
        moment::Deadline,
        work::sync_index::Listing,
    },
    runbook::Mark,
};

/// From here the user name and the lights have room.
const ROOMY: u16 = 100;
/// From here the rail becomes the side runbook.
const SIDE: u16 = 112;
/// From here the device's objects and keys stand beside the card, and the side still has its 32 columns after them.
const BESIDE: u16 = 186;
/// From here they stand open below it.
const TALL: u16 = 34;
const TENANT_WIDTH: usize = 21;

/// Where things go at this size.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The last column of the card.
    pub right: u16,
    /// The column of the side runbook, if it has room.
    pub side: Option<u16>,
    /// The column of the opened device card, if it stands beside.
    pub beside: Option<u16>,
    /// Whether the device card stands open below.
    pub below: bool,
    /// The last row of the card.
    pub last: u16,
}

impl Layout {
    pub fn of(cols: u16, rows: u16) -> Self {
        Self {
            right: if cols >= SIDE { 85 } else { cols },
            side: (cols >= SIDE).then_some(if cols >= BESIDE { 155 } else { 87 }),
            beside: (cols >= BESIDE).then_some(87),
            below: rows >= TALL && cols < BESIDE,
            last: rows - 2,
        }
    }
}

/// R1 and R2.
pub fn status(model: &Model, canvas: &mut Canvas) {
    let roomy = canvas.cols() >= ROOMY;
    tenant(model, canvas);
    let who = model.session.who(roomy);
    let lights_at = if roomy { 53 } else { 37 };
    canvas.put_in(1, 25, lights_at - 26, Role::Text, &who);
    lights(model, canvas, lights_at, roomy);
    debts(model, canvas, roomy);

    if !model.session.is_known() {
        return;
    }
    let running = model.is_listing();
    let listing = match (model.list_wait(), model.offline) {
        (Some(until), _) => asked_to_wait(until, model),
        (None, Some(since)) => format!("offline since {}", age::clock(since, &model.setup.zone)),
        (None, None) => words::listing(&Listing { running, ..model.listing.clone() }, model.now.wall),
    };
    let at = if running { canvas.put(2, 3, Role::Text, &format!("{} ", model.spinner())) } else { 3 };
    let stopped = !running && model.listing.stopped.is_some();
    let role = if stopped || model.offline.is_some() { Role::Warn } else { Role::Text };
    canvas.put_in(2, at, lights_at - at - 1, role, &listing);
    canvas.put(2, lights_at, Role::Text, &calls(model));
}

fn tenant(model: &Model, canvas: &mut Canvas) {
    let mut col = 3;
    let mut room = TENANT_WIDTH;
    if model.setup.simulation {
        col = canvas.put(1, col, Role::Demo, "DEMO");
        col += 1;
        room -= 5;
    }
    let name = match &model.setup.profile {
        // A label of its own; else the tenant's name, once it is known.
        Some((number, label)) if *label != model.setup.tenant => format!("{number} {label}"),
        Some((number, _)) => format!("{number} {}", model.session.tenant_name()),
        None => model.session.tenant_name(),
    };
    let whole_words = name.split(' ').scan(0, |used, word| {
        *used += word.width() + usize::from(*used > 0);
        Some((*used, word))
    });
    let fitting: Vec<&str> = whole_words.take_while(|(used, _)| *used <= room).map(|(_, word)| word).collect();
    let shown = if fitting.is_empty() { cut(&name, room) } else { fitting.join(" ") };
    canvas.put(1, col, Role::Tenant, &shown);
}

fn lights(model: &Model, canvas: &mut Canvas, at: u16, roomy: bool) {
    let mut col = at;
    for feature in Feature::ALL {
        let (mark, role) = match model.lights.of(feature) {
            Light::Yes(_) => ("●", Role::Text),
            Light::No(_) => ("×", Role::Warn),
            Light::NotAsked => ("○", Role::Text),
            Light::Unknown => ("?", Role::Text),
        };
        let gap = if roomy { " " } else { "" };
        col = canvas.line(1, col, &[(role, mark), (role, gap), (role, feature.word())]);
        col += if roomy { 2 } else { 1 };
    }
}

fn debts(model: &Model, canvas: &mut Canvas, roomy: bool) {
    if model.stop.as_ref().is_some_and(Stop::knows_nothing) {
        return;
    }
    let summary = DebtSummary::of(&model.debts);
    // The lights end two columns before `first`.
    let (first, wanted) = if roomy { (89, 93) } else { (67, 67) };
    let said = words::debts(summary, model.now.wall, canvas.cols() >= SIDE, canvas.room(first));
    let width = u16::try_from(said.width()).unwrap_or(u16::MAX);
    let col = wanted.min((canvas.cols() + 1).saturating_sub(width)).max(first);
    canvas.put(1, col, if summary.blocked || summary.urgent { Role::Warn } else { Role::Text }, &said);
}

fn calls(model: &Model) -> String {
    let current = model.call.as_ref().map(|call| format!("call {}", call.call.number));
    let others = model.calls.len();
    let parked = (others > 0).then(|| format!("{others} parked"));
    current.into_iter().chain(parked).collect::<Vec<_>>().join(", ")
}

/// R4 and R5 outside the box: title and summary.
pub fn title(canvas: &mut Canvas, title: &str, summary: &str) {
    canvas.put(4, 3, Role::Strong, title);
    canvas.put(5, 3, Role::Text, summary);
}

/// R4 and R5 in a call: the key ID and its device.
pub fn call_title(model: &Model, canvas: &mut Canvas) {
    let Some(desk) = &model.call else { return };
    let unmasked = desk.is_unmasked(model.setup.policy.mask_facts);
    title(canvas, &desk.call.key.spoken(), &desk.device_line(unmasked));
}

/// R7 and R8, and the side where it has room.
pub fn rail(model: &Model, canvas: &mut Canvas, say: Option<&str>) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    let walk = model.walk();
    if let Some(col) = layout.side {
        let step = walk.step();
        let number = walk.now() + 1;
        let of = model.runbook.steps.len();
        canvas.put(7, 3, Role::Strong, &format!("Step {number} of {of}: {}", lowered(&step.title)));
        side(model, canvas, col);
    } else {
        let mut col = 3;
        for (mark, step) in walk.steps() {
            let (sign, role) = mark_of(mark);
            col = canvas.line(7, col, &[(role, sign), (Role::Text, " ")]);
            let word = if mark == Mark::ToCome { Role::Dim } else { Role::Text };
            col = canvas.put(7, col, if mark == Mark::Now { Role::Strong } else { word }, &step.rail) + 3;
        }
    }
    let said = say.unwrap_or(&walk.step().say).to_owned();
    canvas.within(layout.right, |canvas| {
        canvas.fact(8, "Say", Role::Strong, &format!("“{said}”"));
    });
}

pub fn mark_of(mark: Mark) -> (&'static str, Role) {
    match mark {
        Mark::Done => ("√", Role::Ok),
        Mark::Now => ("►", Role::Accent),
        Mark::ToCome => ("·", Role::Dim),
    }
}

fn side(model: &Model, canvas: &mut Canvas, col: u16) {
    let last = (col + 31).min(canvas.cols());
    canvas.put(7, col, Role::Strong, &model.runbook.title);
    let mut row = 9;
    let walk = model.walk();
    for (mark, step) in walk.steps() {
        let (sign, role) = mark_of(mark);
        canvas.put(row, col, role, sign);
        let word = if mark == Mark::ToCome { Role::Dim } else { Role::Text };
        canvas.put(row, col + 2, if mark == Mark::Now { Role::Strong } else { word }, &step.title);
        row += 1;
        if mark == Mark::Now {
            row = canvas.wrapped(row, col + 4, last, Role::Text, &step.act, 5);
        } else if mark == Mark::Done
            && let Some(note) = side_note(model, &step.id)
        {
            row = canvas.wrapped(row, col + 4, last, Role::Dim, &note, 1);
        }
    }
}

/// How a step was done: "called back, 09:39".
fn side_note(model: &Model, step: &str) -> Option<String> {
    let call = &model.call.as_ref()?.call;
    match step {
        "caller" => call.verification.as_ref().map(|v| format!("{}, {}", v.words, age::clock(v.at, &model.setup.zone))),
        "ticket" => call.ticket.as_ref().map(ToString::to_string),
        "windows" => call.in_windows.map(|at| age::clock(at, &model.setup.zone)),
        _ => None,
    }
}

fn lowered(title: &str) -> String {
    // "BitLocker" and "Key ID" keep their capitals.
    let ordinary = title.chars().nth(1).is_some_and(char::is_lowercase)
        && !title.split_whitespace().next().is_some_and(|word| word.chars().skip(1).any(char::is_uppercase));
    let mut chars = title.chars();
    match chars.next() {
        Some(first) if ordinary => first.to_lowercase().chain(chars).collect(),
        _ => title.to_owned(),
    }
}

/// R23 and R24: a toast before the screen's own notice, then the keys.
pub fn foot(model: &Model, canvas: &mut Canvas, notice: Option<(Role, String)>, hints: &[Hint]) {
    foot_from(model, canvas, 3, notice, hints);
}

/// Like [`foot`], the notice beginning at `col`.
pub fn foot_from(model: &Model, canvas: &mut Canvas, col: u16, notice: Option<(Role, String)>, hints: &[Hint]) {
    let waiting = model.shown_wait().map(|until| (Role::Text, format!("{}.", asked_to_wait(until, model))));
    let looking = model.is_looking().then(|| (Role::Text, format!("{} Looking again", model.spinner())));
    let toast = model.toast.as_ref().map(|toast| (toast.role, toast.text.clone()));
    if let Some((role, text)) = waiting.or(looking).or(toast).or(notice) {
        // Beside a QR it takes two rows, and so does one with a path in it.
        let mut lines = wrap(&text, canvas.room(col));
        let first = canvas.rows() - if lines.len() > 1 { 2 } else { 1 };
        if col == 3 && lines.len() > 1 {
            canvas.clear(first..=canvas.rows() - 1);
            lines = cut_to_two(lines);
        }
        for (row, line) in (first..canvas.rows()).zip(&lines) {
            canvas.put(row, col, role, line);
        }
    }
    let mut hints = hints.to_vec();
    if model.shown_failure().is_some_and(|failure| failure.report.is_some()) {
        let copy = model.hint(Action::CopyReport, "copy for Microsoft").unless(!model.may_copy(), "policy forbids");
        // After what Enter does, and the key that matters next.
        hints.insert(hints.len().min(2), copy);
    }
    footer::draw(canvas, &hints);
}

/// What two rows do not hold is cut off where the second ends.
fn cut_to_two(lines: Vec<String>) -> Vec<String> {
    let mut lines = lines.into_iter();
    let first = lines.next().unwrap_or_default();
    vec![first, lines.collect::<Vec<_>>().join(" ")]
}

/// "Entra asks us to wait 12 s"
fn asked_to_wait(until: Deadline, model: &Model) -> String {
    let left = until.left(model.now);
    format!(
        "Entra asks us to wait {}",
        age::short(Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0)))
    )
}

impl Model {
    /// The one moving thing.
    pub(super) fn spinner(&self) -> char {
        const FRAMES: [char; 4] = ['|', '/', '-', '\\'];
        let frame = self.now.up.as_millis() / super::expire::SPINNER.as_millis();
        FRAMES[usize::try_from(frame % 4).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        domain::work::{News, Outcome, Progress, Request, Waiting, sync_index::Listing},
        tui::tests::Desk,
    };
    use std::time::Duration;

    fn opens(request: &Request) -> bool {
        matches!(request, Request::OpenDevice(_))
    }

    const WAIT: Waiting = Waiting { for_: Duration::from_secs(12) };

    #[test]
    fn a_wait_of_what_the_technician_asked_counts_down_in_the_notice_and_ends_with_the_answer() {
        let mut desk = Desk::in_call();
        desk.hold(opens);
        desk.press("f5");
        desk.progress(opens, Progress::Waiting(WAIT));
        assert!(desk.row(23).contains("Entra asks us to wait 12 s."), "{}", desk.row(23));
        desk.wait(5000);
        assert!(desk.row(23).contains("Entra asks us to wait 7 s."), "{}", desk.row(23));
        desk.release();
        assert!(!desk.shows("asks us to wait"), "{:#?}", desk.rows());
    }

    #[test]
    fn a_wait_of_the_listing_stands_in_the_line_of_the_list() {
        let mut desk = Desk::fresh(false, 80, 24);
        let lists: fn(&Request) -> bool = |request| *request == Request::SyncIndex;
        desk.hold(lists).start();
        desk.progress(lists, Progress::Waiting(WAIT));
        assert!(desk.row(2).contains("Entra asks us to wait 12 s"), "{}", desk.row(2));
        desk.answer(lists, Ok(Outcome::Listed(Listing::default())));
        assert!(!desk.shows("asks us to wait"));
        desk.news(News::Waiting(WAIT));
        assert!(desk.row(2).contains("Entra asks us to wait 12 s"), "{}", desk.row(2));
        desk.wait(12_000);
        assert!(!desk.shows("asks us to wait"));
    }
}
