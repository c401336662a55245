//! A debt's story, folded from its rows.

use std::collections::BTreeSet;

use super::{DebtStanding, DebtStory, DeviceFacts, row::Row, words};
use crate::domain::{
    call::DisclosureId,
    debt::{DebtId, RotationId},
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
    let mut open_reads = BTreeSet::new();
    let mut requested = false;
    for row in own.iter().copied() {
        if story.key.is_none() {
            story.key = row.key();
            story.since = row.when("since").or_else(|| row.at());
            story.compromised = row.what("compromised").is_string();
            story.device = row.text("device").map(|id| DeviceFacts {
                id,
                name: row.text("device_name").unwrap_or_default(),
                why: None,
            });
        }
        apply(&mut story, row, &mut open_reads, &mut requested);
    }
    story.said = said(&story);
    story
}

fn apply(story: &mut DebtStory, row: &Row<'_>, reads: &mut BTreeSet<DisclosureId>, requested: &mut bool) {
    match row.event() {
        "intended" => reads.extend(row.disclosure()),
        // Owed whatever becomes of a request to Entra.
        "replacement-requested" | "external-disclosure" | "debt-carried" => *requested = true,
        "refused" => {
            if let Some(disclosure) = row.disclosure() {
                reads.remove(&disclosure);
            }
            // Another read of the same key leaves it owed.
            if reads.is_empty() && !*requested && story.state == DebtStanding::Owed {
                end(story, row, DebtStanding::Cancelled);
            }
        }
        // The key is out, again or after all.
        "served" | "unknown" if story.state != DebtStanding::Owed => {
            (story.state, story.ended, story.grade, story.new_key) = (DebtStanding::Owed, None, None, None);
        }
        "debt-proved" => {
            story.grade = row.text("grade");
            story.new_key = words::key_id(row.what("new_key"));
            end(story, row, DebtStanding::Proved);
        }
        "debt-confirmed" => {
            story.new_key = words::key_id(row.what("new_key"));
            let compared = story.new_key.is_some() && story.new_key == doubted(story, row.seq());
            story.grade = Some(if compared { "probable" } else { "by-hand" }.to_owned());
            end(story, row, DebtStanding::Proved);
        }
        "key-deleted" if story.grade.as_deref() == Some("new-key-seen") => story.grade = Some("confirmed".into()),
        "debt-waived" => end(story, row, DebtStanding::Waived),
        "compromised" => {
            story.compromised = true;
            // Who waived it did not know.
            if story.state == DebtStanding::Waived {
                (story.state, story.ended) = (DebtStanding::Owed, None);
            }
        }
        _ => {}
    }
    story.grade_words = story.grade.as_deref().map(grade_words);
}

/// The new key a person was asked to compare before this row, if its replacement stood still for that.
fn doubted(story: &DebtStory, seq: u64) -> Option<String> {
    let is_step = |event: &str| event.starts_with("rotation-") && event != "rotation-targeted";
    let last = story.timeline.iter().rev().find(|happened| happened.seq < seq && is_step(&happened.event))?;
    words::key_id(&last.fields["why"]["key"])
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
