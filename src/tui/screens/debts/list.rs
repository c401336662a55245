//! The list: a row a debt, and its sentence.

use super::{
    super::super::{
        canvas::{Canvas, wrap},
        footer::Hint,
        keymap::Action,
        model::Model,
        prompt::Prompt,
        skeleton::{self, Layout},
        theme::Role,
    },
    super::evidence,
    About, DebtsPage, Typing, line, listed, selected, why_not,
};
use crate::domain::{
    age,
    debt::{Debt, DebtState},
    moment::since,
    recovery_password::blocks_in,
};

pub(super) fn view(model: &Model, canvas: &mut Canvas, page: &DebtsPage) {
    let layout = Layout::of(canvas.cols(), canvas.rows());
    skeleton::status(model, canvas);
    let debts = listed(model);
    skeleton::title(canvas, "Debts", &summary(model));
    if debts.is_empty() {
        canvas.put(7, 3, Role::Text, "Every key read here has been replaced, or none was read.");
    } else {
        canvas.within(layout.right, |canvas| table(model, canvas, page, &debts, layout));
    }
    canvas.within(layout.right, |canvas| prompt(canvas, page));
    let who = model.watch.elsewhere().map(|sentence| (Role::Text, sentence));
    skeleton::foot(model, canvas, who.filter(|_| page.typing.is_none()), &hints(model, page));
}

fn summary(model: &Model) -> String {
    let open = model.debts.iter().filter(|debt| debt.is_open()).count();
    let today = model.debts.iter().filter(|debt| match debt.state {
        DebtState::Proved { at, .. } => {
            let date = |at: jiff::Timestamp| at.to_zoned(model.setup.zone.clone()).date();
            date(at) == date(model.now.wall)
        }
        _ => false,
    });
    let proved = match today.count() {
        0 => String::new(),
        n => format!(", {n} proved today"),
    };
    let order = match (open, model.debts.iter().any(Debt::is_urgent)) {
        (0 | 1, _) => "",
        (_, true) => " The urgent first.",
        (_, false) => " The oldest first.",
    };
    format!("{open} open{proved}.{order}")
}

pub(super) fn sentence(model: &Model, debt: &Debt) -> String {
    if debt.is_open() && !model.session.follows(debt.tenant) {
        return "Owed in another tenant: it goes on when somebody signs in there.".into();
    }
    debt.sentence(model.now.wall, &model.setup.zone)
}

/// How a debt's state is drawn: its mark, its words, and in which role.
pub(super) fn state(debt: &Debt) -> (Role, String) {
    match &debt.state {
        DebtState::Proved { .. } => (Role::Ok, "√ proved".into()),
        _ if debt.is_urgent() => (Role::Warn, format!("× urgent, {}", debt.word())),
        _ if debt.is_blocked() => (Role::Warn, format!("× {}", debt.word())),
        _ => (Role::Text, debt.word().into()),
    }
}

/// The role of its sentence.
pub(super) fn role(debt: &Debt) -> Role {
    if debt.is_blocked() || debt.is_urgent() { Role::Warn } else { Role::Text }
}

fn table(model: &Model, canvas: &mut Canvas, page: &DebtsPage, debts: &[&Debt], layout: Layout) {
    for (col, word) in [(5, "Key ID"), (15, "Device"), (29, "Ticket"), (43, "Owed"), (51, "State")] {
        canvas.put(7, col, Role::Dim, word);
    }
    let at = line(page, debts);
    let width = usize::from(canvas.edge() - 7);
    let lines: Vec<Vec<String>> = debts.iter().map(|debt| wrap(&sentence(model, debt), width)).collect();
    let height = |n: usize| lines[n].len() + 2;
    // As many before the selected one as leave it in view.
    let room = usize::from(layout.last - 7);
    let first = (0..=at).find(|&first| (first..=at).map(height).sum::<usize>() <= room + 1).unwrap_or(at);
    let mut row = 8;
    for n in first..debts.len() {
        if usize::from(row) + height(n) > usize::from(layout.last) + 2 {
            canvas.put(row, 5, Role::Dim, &format!("{} more below", debts.len() - n));
            break;
        }
        let after = entry(model, canvas, row, n, debts[n], &lines[n]);
        if n == at && page.typing.is_none() {
            (row..after).for_each(|row| canvas.bar(row, Role::Accent));
        }
        row = after + 1;
    }
}

fn entry(model: &Model, canvas: &mut Canvas, row: u16, n: usize, debt: &Debt, sentence: &[String]) -> u16 {
    canvas.put(row, 3, Role::Text, &(n + 1).to_string());
    canvas.put(row, 5 + u16::from(n >= 9), Role::Strong, &debt.key.short());
    canvas.put_in(row, 29, 13, Role::Text, debt.ticket.as_str());
    canvas.put_in(row, 43, 7, Role::Text, &age::coarse(since(debt.since, model.now.wall)));
    let (drawn, words) = state(debt);
    let after = canvas.put(row, 51, drawn, &words);
    if debt.device_name.is_right_to_left() {
        canvas.put(row, after + 2, Role::Text, &debt.device_name.to_string());
    } else {
        canvas.put_in(row, 15, 13, Role::Text, &debt.device_name.to_string());
    }
    let mut at = row + 1;
    for line in sentence {
        canvas.put(at, 5, role(debt), line);
        at += 1;
    }
    at
}

/// What is being typed about a debt, or why the last key refused.
pub(super) fn prompt(canvas: &mut Canvas, page: &DebtsPage) {
    if let Some(Typing { about, field, .. }) = &page.typing {
        let (label, why) = match about {
            About::Waive => ("Waive", "Why this key will not be replaced. It is written down."),
            About::Confirm => ("Confirm", "How you know that this key was replaced. It is written down."),
        };
        canvas.clear(19..=22);
        canvas.bar(20, Role::Accent);
        canvas.put(20, 3, Role::Text, label);
        let (text, cursor) = field.shown();
        canvas.typed(20, 13, 60, Role::Field, &text, Some(cursor));
        if blocks_in(field.text()).is_empty() {
            canvas.put(21, 13, Role::Text, why);
        } else {
            canvas.put(21, 13, Role::Warn, "It holds digits of a recovery password: say it without them.");
        }
    } else if let Some(failure) = &page.failure {
        canvas.clear(19..=22);
        let prompt = Prompt::of(failure);
        canvas.facts(20, &prompt.label, Role::Warn, &prompt.lines.join(" "), 3);
    }
}

fn hints(model: &Model, page: &DebtsPage) -> Vec<Hint> {
    if let Some(typing) = &page.typing {
        return words_hints(model, typing);
    }
    let mut hints = Vec::new();
    if let Some(debt) = selected(model) {
        let opens = if super::detail::candidates(debt).is_empty() { "steps" } else { "choose the laptop" };
        hints.push(model.hint(Action::GoOn, opens));
        hints.extend(deeds(model, debt));
    }
    hints.push(model.hint(Action::Back, "back"));
    hints.push(model.hint(Action::LookAgain, "look again"));
    hints.push(model.hint(Action::Help, "help"));
    hints
}

pub(super) fn words_hints(model: &Model, typing: &Typing) -> Vec<Hint> {
    let (does, lacks) = match typing.about {
        About::Waive => ("waive", "no reason"),
        About::Confirm => ("confirm", "nothing said"),
    };
    let goes_on = model.hint(Action::GoOn, does).unless(typing.field.text().trim().is_empty(), lacks);
    vec![
        goes_on.unless(!blocks_in(typing.field.text()).is_empty(), "digits of a key"),
        model.hint(Action::Back, "back"),
        model.hint(Action::Help, "help"),
    ]
}

/// What can be done about a debt. To confirm is offered where there is something to compare: elsewhere the row has no room for it.
pub(super) fn deeds(model: &Model, debt: &Debt) -> Vec<Hint> {
    let all = [
        (Action::TryAgain, "try again"),
        (Action::Hold, "hold"),
        (Action::Waive, "waive"),
        (Action::Confirm, "confirm"),
    ];
    let offered = all.into_iter().filter(|(action, _)| {
        *action != Action::Confirm || why_not(model, debt, *action) != Some("nothing to compare")
    });
    let hint = |(action, words)| {
        let why = why_not(model, debt, action);
        model.hint(action, words).unless(why.is_some(), why.unwrap_or_default())
    };
    let (deeds, evidence) = (offered.map(hint), evidence::hint(model));
    // Of what has ended only the evidence is left to ask for: it keeps its place where the row is too narrow for all.
    if debt.is_open() { deeds.chain([evidence]).collect() } else { [evidence].into_iter().chain(deeds).collect() }
}
