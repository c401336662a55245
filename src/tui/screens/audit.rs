//! Audit (F7): what this desk recorded against what Entra recorded.

use jiff::Timestamp;

use super::{
    super::{
        canvas::Canvas,
        footer::Hint,
        keymap::Action,
        model::Model,
        skeleton::{self, Layout},
        theme::Role,
    },
    Page, card, sign_in,
};
use crate::domain::{
    age,
    capability::Feature,
    reconcile::{Absence, Elsewhere, Matched, Missing, words},
    work::{
        Failure, Request,
        reconcile::{Answer, By, CouldNot, Report, Request as Reconcile},
    },
};

/// The list, and below it what the chosen line means.
const HEAD: u16 = 8;
const MEANS: u16 = 6;

#[derive(Debug, Default)]
pub struct AuditPage {
    at: usize,
    /// All reads in the tenant, not only one's own.
    everyone: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// So many records have come.
    Reading(usize),
    Report(Box<Report>),
    CouldNot(Box<CouldNot>),
    /// Entra has not been asked for permission yet, or wants to be asked again.
    Lacks,
    Failed(Failure),
}

impl Default for State {
    fn default() -> Self {
        Self::Reading(0)
    }
}

impl AuditPage {
    pub fn failure(&self) -> Option<&Failure> {
        match &self.state {
            State::Failed(failure) => Some(failure),
            State::CouldNot(could_not) => Some(&could_not.failure),
            State::Reading(_) | State::Report(_) | State::Lacks => None,
        }
    }

    fn question(&self) -> Request {
        let by = if self.everyone { By::Everyone } else { By::Me };
        Request::Reconcile(Reconcile { by, ..Reconcile::default() })
    }
}

fn page(model: &mut Model) -> Option<&mut AuditPage> {
    model.pages.iter_mut().rev().find_map(|page| match page {
        Page::Audit(page) => Some(page),
        _ => None,
    })
}

/// The page was opened: Entra is asked, where somebody is signed in.
pub fn opened(model: &mut Model) {
    if model.session.is_known() {
        let question = page(model).map(|page| page.question());
        question.map(|question| model.ask(question));
    }
}

/// F5: asks again what was asked.
pub fn look_again(model: &mut Model) -> Option<crate::domain::work::AskId> {
    if !model.session.is_known() {
        return None;
    }
    let question = page(model)?.question();
    Some(model.ask(question))
}

pub fn records_came(model: &mut Model, records: usize) {
    if let Some(AuditPage { state: State::Reading(known), .. }) = page(model) {
        *known = records;
    }
}

/// The answer. Where the page was put aside for a sign-in it comes back with it, and never over a call.
pub fn answered(model: &mut Model, asked: &Reconcile, answer: Answer) {
    let state = match answer {
        Answer::Checked(report) => State::Report(report),
        Answer::CouldNot(could_not) => State::CouldNot(could_not),
    };
    let everyone = asked.by == By::Everyone;
    if let Some(page) = page(model) {
        (page.state, page.everyone) = (state, everyone);
        return;
    }
    if model.call.is_none() && model.pages.is_empty() {
        model.pages.push(Page::Audit(AuditPage { at: 0, everyone, state }));
    }
}

/// There is no token for it.
pub fn lacks(model: &mut Model) {
    if let Some(page) = page(model) {
        page.state = State::Lacks;
    }
}

pub fn failed(model: &mut Model, failure: Failure) {
    match page(model) {
        // What was read stays, with a word.
        Some(AuditPage { state: State::Report(_), .. }) | None => {
            model.toast(Role::Warn, format!("× {failure}"));
        }
        Some(page) => page.state = State::Failed(failure),
    }
}

pub fn act(model: &mut Model, action: Action) {
    let reads = is_reading(model);
    let Some(Page::Audit(page)) = model.pages.last_mut() else { return };
    let last = match &page.state {
        State::Report(report) => count(report).saturating_sub(1),
        _ => 0,
    };
    match action {
        Action::Up => page.at = page.at.saturating_sub(1),
        Action::Down => page.at = (page.at + 1).min(last),
        Action::Number(n) if n <= last + 1 => page.at = n - 1,
        moves if let Some(line) = card::moved(moves, page.at, last) => page.at = line,
        Action::Whose if !reads => {
            page.everyone = !page.everyone;
            (page.at, page.state) = (0, State::Reading(0));
            opened(model);
        }
        Action::AskForAudit if matches!(page.state, State::Lacks) => {
            let question = page.question();
            sign_in::ask_consent(model, Feature::Audit, question);
        }
        Action::Back => {
            model.pages.pop();
            // Nobody waits for it any more, and it would come back with its page.
            model.forget_those(|request| matches!(request, Request::Reconcile(_)));
        }
        _ => {}
    }
}

fn is_reading(model: &Model) -> bool {
    model.asks.any(|request| matches!(request, Request::Reconcile(_)))
}

/// One line of the list, and what stands behind it.
struct Line {
    at: Option<Timestamp>,
    key: String,
    device: String,
    word: &'static str,
    mark: &'static str,
    role: Role,
    who: String,
    sentence: String,
}

fn count(report: &Report) -> usize {
    let result = &report.result;
    result.elsewhere.len() + result.missing.len() + result.unclear.len() + result.matched.len()
}

/// What wants an explanation first, what is in order last.
fn lines(model: &Model, report: &Report) -> Vec<Line> {
    let (result, zone) = (&report.result, &model.setup.zone);
    let (open, explained): (Vec<&Elsewhere>, Vec<&Elsewhere>) =
        result.elsewhere.iter().partition(|read| read.is_unjustified());
    let elsewhere = |read: &Elsewhere| {
        let name = read.first.device.and_then(|device| report.names.get(&device));
        let (mark, role) = if read.is_unjustified() { ("× ", Role::Warn) } else { ("", Role::Text) };
        Line {
            at: Some(read.first.at),
            key: read.first.key.short(),
            device: name.map_or_else(|| "not in the list here".into(), ToString::to_string),
            word: read.word(),
            mark,
            role,
            who: words::actor(&read.first.actor),
            sentence: read.sentence(zone),
        }
    };
    let missing = |missing: &Missing| {
        let own = &missing.disclosure;
        let (mark, role) = match (missing.is_unexplained(), missing.why) {
            (true, _) => ("× ", Role::Warn),
            (false, Absence::MayCome { .. }) => ("… ", Role::Text),
            _ => ("", Role::Text),
        };
        Line {
            at: Some(own.expected()),
            key: own.key.short(),
            device: own.device_name.to_string(),
            word: missing.word(),
            mark,
            role,
            who: who(own),
            sentence: missing.sentence(zone),
        }
    };
    let matched = |one: &Matched| Line {
        at: Some(one.at()),
        key: one.disclosure.key.short(),
        device: one.disclosure.device_name.to_string(),
        word: one.word(),
        mark: if one.is_contradicted() { "× " } else { "√ " },
        role: if one.is_contradicted() { Role::Warn } else { Role::Ok },
        who: who(&one.disclosure),
        sentence: one.sentence(zone),
    };
    let unclear = result.unclear.iter().map(|unreadable| Line {
        at: unreadable.at,
        key: String::new(),
        device: String::new(),
        word: "unclear",
        mark: "× ",
        role: Role::Warn,
        who: String::new(),
        sentence: unreadable.sentence(zone),
    });
    let mut all: Vec<Line> = open.into_iter().map(elsewhere).collect();
    let (unexplained, expected): (Vec<&Missing>, Vec<&Missing>) =
        result.missing.iter().partition(|missing| missing.is_unexplained());
    all.extend(unexplained.into_iter().map(missing));
    let (contradicted, agreed): (Vec<&Matched>, Vec<&Matched>) =
        result.matched.iter().partition(|one| one.is_contradicted());
    all.extend(contradicted.into_iter().map(matched));
    all.extend(unclear);
    all.extend(expected.into_iter().map(missing));
    all.extend(explained.into_iter().map(elsewhere));
    all.extend(agreed.into_iter().map(matched));
    all
}

/// "dana@harborview.example for INC0048213"
fn who(own: &crate::domain::reconcile::Disclosure) -> String {
    let upn = own.technician.as_ref().map(|technician| technician.upn.to_string());
    format!("{} for {}", upn.unwrap_or_else(|| "nobody named".into()), own.ticket)
}

pub fn view(model: &Model, canvas: &mut Canvas, page: &AuditPage) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    skeleton::title(canvas, "Audit: this desk's record and Entra's", "");
    canvas.wrapped(5, 3, canvas.edge(), Role::Text, &summary(model, page), 2);
    canvas.within(layout.right, |canvas| match &page.state {
        State::Reading(records) if is_reading(model) => {
            let so_far =
                if *records > 0 { format!(" {} so far.", age::count(*records, "record")) } else { String::new() };
            canvas.put(HEAD, 3, Role::Text, &format!("{} Reading Entra's log.{so_far}", model.spinner()));
            canvas.put(HEAD + 1, 3, Role::Dim, "It serves few requests at a time. Esc goes back to the desk at once.");
        }
        State::Reading(_) => {
            canvas.put(HEAD, 3, Role::Text, "Sign in, then F5.");
        }
        State::Report(report) => table(model, canvas, page, &lines(model, report), layout),
        State::CouldNot(could_not) => closed(canvas, could_not),
        State::Lacks => consent(model, canvas),
        State::Failed(failure) => {
            let row = canvas.facts(HEAD, "Happened", Role::Warn, &failure.happened, 4);
            let row = canvas.facts(row, "Means", Role::Text, &failure.means, 3);
            canvas.facts(row, "Next", Role::Text, &failure.next, 3);
        }
    });
    skeleton::foot(model, canvas, notice(page), &hints(model, page));
}

fn summary(model: &Model, page: &AuditPage) -> String {
    let whose = if page.everyone { "Everyone's reads" } else { "Your reads" };
    match &page.state {
        State::Report(report) => {
            format!("{whose} since {}: {}.", age::day(report.terms.from, &model.setup.zone), report.result.summary())
        }
        State::CouldNot(_) | State::Lacks => "Could not check.".into(),
        State::Reading(_) | State::Failed(_) => format!("{whose}, as far back as Entra's log reaches."),
    }
}

fn notice(page: &AuditPage) -> Option<(Role, String)> {
    let State::Report(report) = &page.state else { return None };
    if report.unrecorded.is_some() {
        return Some((Role::Warn, "× Not all of it is in the ledger; F5 finds it again.".into()));
    }
    if let Some(key) = report.deleted.last() {
        return Some((Role::Ok, format!("√ Entra has logged that {} was deleted.", key.short())));
    }
    let soon = report.result.forgotten_soon();
    (soon > 0)
        .then(|| (Role::Warn, format!("Entra soon forgets the time of {} without a record.", age::count(soon, "read"))))
}

fn table(model: &Model, canvas: &mut Canvas, page: &AuditPage, lines: &[Line], layout: Layout) {
    if lines.is_empty() {
        canvas.put(HEAD, 3, Role::Text, "No key was read, here or elsewhere.");
        return;
    }
    for (col, word) in [(6, "When"), (20, "Key ID"), (30, "Device"), (58, "What")] {
        canvas.put(HEAD, col, Role::Dim, word);
    }
    let at = page.at.min(lines.len() - 1);
    let room = usize::from(layout.last - MEANS - HEAD - 2);
    let first = (at + 1).saturating_sub(room);
    for ((n, line), row) in lines.iter().enumerate().skip(first).take(room).zip(HEAD + 1..) {
        if n == at {
            canvas.bar(row, Role::Accent);
        }
        canvas.put_in(row, 3, 3, Role::Text, &(n + 1).to_string());
        let moment = line.at.map(|at| words::short_moment(at, &model.setup.zone)).unwrap_or_default();
        canvas.put_in(row, 6, 13, Role::Text, &moment);
        canvas.put_in(row, 20, 9, Role::Strong, &line.key);
        canvas.put_in(row, 30, 27, Role::Text, &line.device);
        canvas.line(row, 58, &[(line.role, line.mark), (line.role, line.word)]);
    }
    // Close below a short list; a long one leaves it its rows.
    let means = HEAD + 2 + u16::try_from(lines.len().min(room)).unwrap_or(0);
    if lines.len() > first + room {
        canvas.put(means - 1, 6, Role::Dim, &format!("{} more below", lines.len() - first - room));
    }
    let chosen = &lines[at];
    let row = if chosen.who.is_empty() { means } else { canvas.facts(means, "Who", Role::Text, &chosen.who, 1) };
    canvas.facts(row, "Means", chosen.role, &chosen.sentence, layout.last + 1 - row);
}

fn closed(canvas: &mut Canvas, could_not: &CouldNot) {
    let CouldNot { failure, unchecked, forgotten_soon } = could_not;
    canvas.put(HEAD, 3, Role::Text, &failure.happened);
    let row = canvas.facts(HEAD + 2, "Means", Role::Text, &failure.means, 3);
    let row = canvas.facts(row, "Next", Role::Text, &failure.next, 4);
    if *unchecked > 0 {
        let soon =
            if *forgotten_soon > 0 { format!("; Entra soon forgets {forgotten_soon} of them") } else { String::new() };
        let said = format!("{} never found in Entra's log{soon}.", age::count(*unchecked, "disclosure"));
        canvas.facts(row, "Open", Role::Text, &said, 2);
    }
}

fn consent(model: &Model, canvas: &mut Canvas) {
    let capability = Feature::Audit.capability();
    let ask = model.keymap.label(model.place(), Action::AskForAudit);
    canvas.put(HEAD, 3, Role::Text, "Entra gives its log to nobody who has not asked for it.");
    let next = format!("{ask} asks for {} with a sign-in, once.", capability.permission_names());
    let row = canvas.facts(HEAD + 2, "Next", Role::Text, &next, 2);
    let row = canvas.facts(row, "Role", Role::Text, &capability.entra_roles.join(", "), 2);
    canvas.facts(row, "Without", Role::Text, capability.without, 3);
}

fn hints(model: &Model, page: &AuditPage) -> Vec<Hint> {
    let mut hints = Vec::new();
    if matches!(page.state, State::Lacks) {
        hints.push(model.hint(Action::AskForAudit, "ask for permission"));
    }
    let other = if page.everyone { "only yours" } else { "everyone's" };
    hints.push(model.hint(Action::Whose, other).unless(is_reading(model), "reading"));
    hints.push(model.hint(Action::LookAgain, "look again"));
    hints.push(model.hint(Action::Back, "back"));
    hints.push(model.hint(Action::Permissions, "permissions"));
    hints.push(model.hint(Action::Help, "help"));
    hints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::work::{Kind, Progress, sign_in::Prompt},
        tui::tests::{Desk, asked, assert_screen, failure, reconciled},
    };

    fn reads(request: &Request) -> bool {
        matches!(request, Request::Reconcile(_))
    }

    fn open(cols: u16, rows: u16) -> Desk {
        let mut desk = Desk::sized(cols, rows);
        desk.world.reconciled = Ok(reconciled(desk.now.wall));
        desk.press("f7");
        desk
    }

    #[test]
    fn what_wants_an_explanation_stands_first_and_says_what_to_do() {
        let desk = open(80, 24);
        assert_screen!(desk);
    }

    #[test]
    fn at_120_by_40_more_lines_have_room() {
        let mut desk = open(120, 40);
        desk.press("down down");
        assert_screen!(desk);
    }

    #[test]
    fn each_line_explains_itself_when_it_is_chosen() {
        let mut desk = open(80, 24);
        for said in
            ["portal or with another tool", "has logged no read", "may still come", "self-service", "logged this read"]
        {
            let is_shown = |desk: &Desk| {
                desk.rows()[14..].join(" ").split_whitespace().collect::<Vec<_>>().join(" ").contains(said)
            };
            let mut left = 12;
            while !is_shown(&desk) && left > 0 {
                desk.press("down");
                left -= 1;
            }
            assert!(is_shown(&desk), "{said}: {:#?}", desk.rows());
        }
    }

    #[test]
    fn while_it_reads_it_says_so_and_esc_goes_back_at_once() {
        let mut desk = Desk::open();
        desk.hold(reads);
        desk.press("f7");
        desk.progress(reads, Progress::Records(999));
        assert!(desk.shows("Reading Entra's log. 999 records so far."), "{:#?}", desk.rows());
        desk.press("esc");
        assert!(!desk.shows("Audit:"));
    }

    #[test]
    fn a_role_that_is_missing_is_said_calmly_with_who_can_help() {
        let mut desk = Desk::open();
        let refused = failure(Kind::Refused, "Could not check: your role may not read Entra's audit log.")
            .meaning("Calls work as ever. Helpdesk Administrator alone is not enough for the log.")
            .next(Feature::Audit.capability().role_help());
        let could_not = CouldNot { failure: refused, unchecked: 3, forgotten_soon: 1 };
        desk.world.reconciled = Ok(Answer::CouldNot(Box::new(could_not)));
        desk.press("f7");
        assert_screen!(desk);
    }

    #[test]
    fn the_permission_is_asked_for_by_a_key_and_the_page_comes_back_with_the_answer() {
        let mut desk = Desk::open();
        desk.world.reconciled = Err(failure(Kind::SignIn, "Nobody has consented to AuditLog.Read.All."));
        desk.press("f7");
        assert_screen!(desk);
        desk.world.reconciled = Ok(reconciled(desk.now.wall));
        desk.hold(|request| matches!(request, Request::SignIn(_)));
        let effects = desk.press("a");
        let [Request::SignIn(Prompt { features, .. })] = asked(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!(features[..], [Feature::Audit]);
        assert!(desk.shows("Entra needs your consent, once, to audit."), "{:#?}", desk.rows());
        desk.release();
        assert!(desk.shows("1 matched"), "{:#?}", desk.rows());
    }

    #[test]
    fn one_key_turns_from_ones_own_reads_to_everyones() {
        let mut desk = open(80, 24);
        let effects = desk.press("m");
        let [Request::Reconcile(asked_again)] = asked(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!(asked_again.by, By::Everyone);
        assert!(desk.shows("Everyone's reads since"), "{:#?}", desk.rows());
    }

    #[test]
    fn a_failure_keeps_what_was_read() {
        let mut desk = open(80, 24);
        desk.world.reconciled = Err(failure(Kind::Unreachable, "Entra cannot be reached."));
        desk.press("f5");
        assert!(desk.shows("1 matched") && desk.shows("× Entra cannot be reached."), "{:#?}", desk.rows());
    }

    #[test]
    fn somebody_elses_answer_is_not_shown_to_who_took_the_desk_over() {
        let mut desk = open(80, 24);
        desk.press("esc f6 s");
        desk.wait(1500);
        desk.press("enter f7");
        assert!(desk.shows("Sign in, then F5."), "{:#?}", desk.rows());
    }
}
