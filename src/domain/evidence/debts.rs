//! A debt's story, folded from its rows.

use std::collections::BTreeSet;

use super::{DebtStanding, DebtStory, DeviceFacts, fold::Fold, row::Row, words};
use crate::domain::{
    call::DisclosureId,
    debt::{Debt, DebtId, DebtState, RotationId},
    policy::Proof,
};

/// The debt's rows, told, and how it stands.
pub(super) fn story(debt: DebtId, rows: &[Row<'_>]) -> DebtStory {
    let own = of_debt(debt, rows);
    let mut story = DebtStory {
        id: debt.to_string(),
        key: None,
        device: None,
        since: None,
        state: DebtStanding::Owed,
        ended: None,
        grade: None,
        grade_words: None,
        new_key: None,
        compromised: false,
        said: String::new(),
        timeline: own.iter().map(|row| row.told()).collect(),
    };
    let mut fold = Fold::new(debt);
    for row in own.iter().copied() {
        if story.key.is_none() {
            begin(&mut story, row);
        }
        let known = fold.debt();
        let read = row.at().zip(row.read()).is_some_and(|(at, event)| fold.take(at.utc, row.call(), &event));
        match fold.debt().filter(|_| read) {
            Some(now) => follow(&mut story, row, known.as_ref(), &now),
            None => guess(&mut story, row),
        }
    }
    story.grade_words = story.grade.as_deref().map(grade_words);
    story.said = said(&story);
    story
}

fn begin(story: &mut DebtStory, row: &Row<'_>) {
    story.key = row.key();
    story.since = row.when("since").or_else(|| row.at());
    story.device =
        row.text("device").map(|id| DeviceFacts { id, name: row.text("device_name").unwrap_or_default(), why: None });
}

/// What a row that can be read has made of the debt.
fn follow(story: &mut DebtStory, row: &Row<'_>, before: Option<&Debt>, now: &Debt) {
    story.since = Some(row.moment(now.since));
    story.compromised |= now.compromised.is_some();
    // What a row that cannot be read has changed stays so until a readable one changes it.
    if before.is_some_and(|before| before.state == now.state) {
        return;
    }
    let grade_word = |grade: &Proof| serde_json::to_value(grade).ok()?.as_str().map(str::to_owned);
    let (standing, grade, new_key) = match &now.state {
        DebtState::Owed => (DebtStanding::Owed, None, None),
        DebtState::Proved { grade, new_key, .. } => (DebtStanding::Proved, grade_word(grade), *new_key),
        DebtState::Waived { .. } => (DebtStanding::Waived, None, None),
        DebtState::Cancelled { .. } => (DebtStanding::Cancelled, None, None),
    };
    (story.state, story.grade, story.new_key) = (standing, grade, new_key.map(|key| key.to_string()));
    story.ended = now.ended().map(|at| row.moment(at));
}

/// What the name of a row says that this version cannot read: one of a newer version, or one that stands on such a row.
fn guess(story: &mut DebtStory, row: &Row<'_>) {
    match row.event() {
        // The key is out, again or after all.
        "served" | "unknown" => {
            (story.state, story.ended, story.grade, story.new_key) = (DebtStanding::Owed, None, None, None);
        }
        "debt-proved" | "debt-confirmed" => {
            story.grade = row.text("grade");
            story.new_key = words::key_id(row.what("new_key"));
            end(story, row, DebtStanding::Proved);
        }
        "debt-waived" => end(story, row, DebtStanding::Waived),
        "debt-carried" => story.compromised |= row.what("compromised").is_string(),
        "compromised" => {
            story.compromised = true;
            if story.state == DebtStanding::Waived {
                (story.state, story.ended) = (DebtStanding::Owed, None);
            }
        }
        _ => {}
    }
}

fn end(story: &mut DebtStory, row: &Row<'_>, state: DebtStanding) {
    (story.state, story.ended) = (state, row.at());
}

/// Every row that is about this debt: by its own id, its disclosures', its rotations'.
fn of_debt<'a, 'b>(debt: DebtId, rows: &'a [Row<'b>]) -> Vec<&'a Row<'b>> {
    let (mut disclosures, mut rotations) = (BTreeSet::<DisclosureId>::new(), BTreeSet::<RotationId>::new());
    let mut own = Vec::new();
    for row in rows {
        let read = row.disclosure().is_some_and(|id| disclosures.contains(&id));
        let named = row.debts().contains(&debt);
        let sent = row.call().is_none() && row.rotations().iter().any(|id| rotations.contains(id));
        if !(named || read || sent) || row.event() == "stage" {
            continue;
        }
        if row.event() == "intended" {
            disclosures.extend(row.disclosure());
        }
        rotations.extend(row.rotations());
        own.push(row);
    }
    own
}

fn said(story: &DebtStory) -> String {
    let ended = story.ended.as_ref().map(|at| at.words.clone()).unwrap_or_default();
    match story.state {
        DebtStanding::Proved => {
            let new_key = story.new_key.as_ref().map_or_else(String::new, |key| {
                format!(" by key {}", words::short(&serde_json::Value::String(key.clone())))
            });
            let grade = story.grade_words.as_deref().unwrap_or("No grade of proof is recorded.");
            format!("Replaced{new_key}, {ended}. {grade}")
        }
        DebtStanding::Waived => {
            let last = story.timeline.iter().rev().find(|happened| happened.event == "debt-waived");
            let by = last.and_then(|happened| happened.by.clone()).map(|by| format!(" by {by}")).unwrap_or_default();
            let why = last.and_then(|happened| happened.fields["reason"].as_str()).unwrap_or_default();
            format!("Not replaced: waived{by}, {ended}: {why}.")
        }
        DebtStanding::Cancelled => "Nothing to replace: Entra certainly handed nothing out.".into(),
        DebtStanding::Owed => {
            let last = story.timeline.last().map(|happened| format!(" Last: {}", happened.said)).unwrap_or_default();
            format!("Still owed when this was made: no replacement is proved.{last}")
        }
    }
}

/// What a grade of proof means.
fn grade_words(grade: &str) -> String {
    let meaning = match grade {
        "confirmed" => {
            "Replaced and confirmed: Entra holds a key of the same kind of drive that was not there before, and the laptop reported \
             success or Entra logged that the disclosed key was deleted."
        }
        "new-key-seen" => {
            "New key seen: Entra holds a key of the same kind of drive that was not there before the disclosure. The laptop's own report \
             is not on record."
        }
        "probable" => {
            "Probably replaced: a new key is there, but the kind of drive is missing or several drives share it. A person compared it."
        }
        "by-hand" => "Replaced, as a person says: Entra shows nothing of it.",
        _ => return format!("Grade of proof: {}.", grade.replace('-', " ")),
    };
    meaning.into()
}
