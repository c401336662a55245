//! The stage as it is seen.

use super::{
    super::super::{canvas::Canvas, footer, keymap::Action, model::Model, theme::Role},
    super::digits,
    Sight, Stage,
};
use crate::domain::recovery_password::{BLOCKS, Fault};

/// Six digits and the gaps between them.
const WIDTH: u16 = 68;

pub fn view(model: &Model, canvas: &mut Canvas, stage: &Stage) {
    let left = (canvas.cols() - WIDTH) / 2 + 1;
    let top = (canvas.rows() - 24) / 2;
    if stage.is_shown() {
        for (c, col) in stage.digits(stage.block).chars().take(6).zip((left..).step_by(usize::from(digits::PITCH))) {
            digits::draw(canvas, top + 5, col, c);
        }
    } else if let Sight::Concealed(why) = stage.sight {
        canvas.put(top + 8, left, Role::Strong, why.words());
        let again = if model.session.is_locked() {
            "h asks you to sign in first. Entra is not asked for the key a second time.".to_owned()
        } else {
            format!("h shows block {} again. Entra is not asked a second time.", stage.block + 1)
        };
        canvas.put(top + 9, left, Role::Text, &again);
    }
    blocks(canvas, stage, top + 17, left);
    let clock = stage.clock(model.now);
    let width = u16::try_from(clock.len()).unwrap_or(0);
    canvas.put(top + 20, (canvas.cols() - width) / 2 + 1, Role::Text, &clock);
    notice(model, canvas, stage, left);
    footer::draw(canvas, &hints(model, stage));
}

/// All blocks in a row; the large one's place says which it is.
fn blocks(canvas: &mut Canvas, stage: &Stage, row: u16, left: u16) {
    for (n, col) in (0..stage.blocks).zip((left..).step_by(9)) {
        if col + 6 > canvas.cols() {
            break;
        }
        if n == stage.block {
            canvas.put(row, col, Role::Strong, &format!("{} of {}", n + 1, stage.blocks));
        } else if stage.is_shown() {
            canvas.secret(row, col, 6, Role::Dim, stage.digits(n));
        } else {
            canvas.put(row, col, Role::Mask, "••••••");
        }
    }
}

/// What is wrong with the key, and below it a toast.
fn notice(model: &Model, canvas: &mut Canvas, stage: &Stage, left: u16) {
    let row = canvas.rows() - 1;
    let faults = stage.disclosed.as_ref().map(|disclosed| disclosed.faults.as_slice()).unwrap_or_default();
    if !faults.is_empty() {
        canvas.wrapped(row - 2, left, left + WIDTH, Role::Warn, &fault_words(faults), 2);
    }
    if let Some(toast) = &model.toast {
        canvas.put(row, left, toast.role, &toast.text);
    }
}

fn fault_words(faults: &[Fault]) -> String {
    let blocks: Vec<String> = faults
        .iter()
        .filter_map(|fault| match fault {
            Fault::Block(n) => Some(n.to_string()),
            Fault::Length(_) => None,
        })
        .collect();
    let length = faults.iter().find_map(|fault| match fault {
        Fault::Length(n) => Some(*n),
        Fault::Block(_) => None,
    });
    match (length, blocks.as_slice()) {
        (Some(n), _) => {
            let are = if n == 1 { "There is 1 block" } else { &format!("There are {n} blocks") };
            format!("{are} instead of {BLOCKS}. Read what stands here: it is what Entra holds.")
        }
        (None, [one]) => {
            format!("Block {one} fails Microsoft's check. Read it as it stands: it is what Entra holds.")
        }
        (None, several) => format!(
            "Blocks {} fail Microsoft's check. Read them as they stand: it is what Entra holds.",
            several.join(", ")
        ),
    }
}

fn hints(model: &Model, stage: &Stage) -> Vec<footer::Hint> {
    if stage.is_shown() {
        vec![
            model.hint(Action::NextBlock, "next").unless(stage.block + 1 >= stage.blocks, "last"),
            model.hint(Action::BlockBefore, "before").unless(stage.block == 0, "first"),
            model.hint(Action::Conceal, "conceal"),
            model.hint(Action::InWindows, "Windows"),
            model.hint(Action::Help, "help"),
        ]
    } else {
        vec![
            model.hint(Action::Conceal, "show"),
            model.hint(Action::InWindows, "Windows"),
            model.hint(Action::Back, "back"),
            model.hint(Action::Help, "help"),
        ]
    }
}
