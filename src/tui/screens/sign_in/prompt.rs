//! The prompt over a call, or over the desk: why, what is kept, and what to do.

use super::{
    super::super::{model::Model, prompt::Prompt, theme::Role},
    Session, State, Why,
    code::spoken_address,
};
use crate::domain::{
    age,
    capability::Feature,
    foreign::printable,
    work::sign_in::{AnotherName, Way},
};

/// The prompt in a call or on the desk.
pub fn prompt(model: &Model) -> Option<Prompt> {
    let session = &model.session;
    if !session.is_renewing() {
        return None;
    }
    let label = if session.is_locked() { "Locked" } else { "Sign in" };
    let lines = match &session.state {
        State::Another(another) => name(model, another),
        _ => lines(model, session),
    };
    Some(Prompt { label: label.into(), lines, role: Role::Text })
}

fn lines(model: &Model, session: &Session) -> Vec<String> {
    let kept =
        if model.call.is_some() { "The call is kept, and so is what you typed." } else { "What you typed is kept." };
    let left = session.countdown().map(|until| age::countdown(until.left(model.now))).unwrap_or_default();
    let mut lines = vec![why(model, session), kept.to_owned()];
    match &session.state {
        State::Code { code, .. } => {
            lines.push(format!("{} at {}, {left} left", printable(&code.user_code), spoken_address(&code.address)));
            // No code can have Entra ask again; whether it did is looked at where the answer tells.
            let unasked = if session.wants_fresh() { " No password asked? Sign out there first." } else { "" };
            lines.push(format!("Approve only this code.{unasked}"));
        }
        State::Page { shut: None, .. } => {
            lines.push(format!("The page has opened in your browser, {left} left."));
            lines.push("Sign in on that page only.".into());
        }
        State::Page { shut: Some(why), .. } => {
            lines.push(printable(why));
            lines.push(format!("Copy its address and open it on this machine, {left} left."));
        }
        State::Failed(failure) => return vec![failure.to_string()],
        State::Starting if session.way == Way::Browser => {
            lines.push(format!("{} Asking for the page.", model.spinner()));
        }
        State::Starting => lines.push(format!("{} Asking for a code.", model.spinner())),
        State::Resuming | State::Settling | State::Idle | State::Another(_) => {
            lines.push(format!("{} One moment.", model.spinner()));
        }
    }
    lines
}

fn why(model: &Model, session: &Session) -> String {
    match &session.why {
        Why::Session(features) if features.contains(&Feature::Reveal) => {
            "Entra wants you to sign in again before it gives out a key.".into()
        }
        Why::Session(_) => "Entra wants you to sign in again before it answers.".into(),
        Why::Consent(features) => {
            let words: Vec<&str> = features.iter().map(|feature| feature.word()).collect();
            let all = words.join(", ");
            let all = all.rsplit_once(", ").map_or(all.clone(), |(most, last)| format!("{most} and {last}"));
            format!("Entra needs your consent, once, to {all}.")
        }
        Why::Locked => {
            let after = age::short(model.setup.policy.lock_after);
            format!("Nobody was at this desk for {after}. Sign in before a key is read.")
        }
    }
}

fn name(model: &Model, another: &AnotherName) -> Vec<String> {
    let AnotherName { now, before } = another;
    let mut lines = vec![
        format!("Signed in as {}, {}.", now.name, now.upn),
        format!("Last time it was {}, {}.", before.name, before.upn),
    ];
    let name = now.short_name();
    lines.push(if model.call.is_some() {
        format!("Enter goes on as {name}; the caller is then verified again.")
    } else {
        format!("Enter goes on as {name}.")
    });
    lines.push("Esc signs that account out.".into());
    lines
}
