//! What stands over the card at R17 to R20: a question, a wait or a refusal. What was typed stays.

use super::{
    canvas::{Canvas, wrap},
    model::Model,
    screens::sign_in,
    theme::Role,
};
use crate::domain::work::{Failure, Kind};

const FIRST: u16 = 17;
const ROWS: u16 = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    pub label: String,
    pub lines: Vec<String>,
    pub role: Role,
}

impl Prompt {
    pub fn of(failure: &Failure) -> Self {
        let label = match failure.kind {
            Kind::Confirm => "Sure",
            Kind::Refused => "Refused",
            Kind::Uncertain => "Unknown",
            Kind::NotFound => "Not found",
            Kind::SignIn => "Sign in",
            Kind::Locked => "Locked",
            Kind::Unreachable => "Offline",
            Kind::Cancelled => "Stopped",
            Kind::Usage => "Check",
            Kind::Failed | Kind::Record => "Failed",
        };
        let mut lines = vec![failure.to_string()];
        if let Some(id) = &failure.request_id {
            lines.push(format!("Request {}", crate::domain::foreign::printable(id)));
        }
        Self { label: label.into(), lines, role: Role::Warn }
    }
}

/// Draws the prompt of this moment over the card, if there is one.
pub fn draw(model: &Model, canvas: &mut Canvas, own: Option<Prompt>) {
    let Some(prompt) = sign_in::prompt(model).or(own) else { return };
    // Between calls the box keeps the focus, and the bar.
    let barred = model.call.is_some() || model.session.is_renewing();
    // What stands open below the card on a tall screen would lose its head: it goes too.
    let tall = canvas.rows() > FIRST + ROWS + 3;
    canvas.clear(FIRST..=if tall { canvas.rows() - 2 } else { FIRST + ROWS });
    let width = usize::from(canvas.edge().saturating_sub(12));
    let lines: Vec<String> = prompt.lines.iter().flat_map(|line| wrap(line, width)).take(usize::from(ROWS)).collect();
    for (row, line) in (FIRST..).zip(&lines) {
        if barred {
            canvas.bar(row, Role::Warn);
        }
        canvas.put(row, 13, prompt.role, line);
    }
    canvas.put(FIRST, 3, Role::Warn, &prompt.label);
}
