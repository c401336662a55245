//! An evidence pack, asked for by one key on several screens: what it is about, that it is being written, where it lies.

use super::super::{footer::Hint, keymap::Action, model::Model, theme::Role};
use crate::domain::{
    evidence::Subject,
    foreign::printable,
    work::{Failure, Request, evidence::Written},
};

/// Asks for a pack; one at a time.
pub fn ask(model: &mut Model, subject: Subject) {
    if !is_writing(model) {
        model.ask(Request::Evidence(subject));
        model.toast(Role::Text, "Writing the evidence.");
    }
}

pub fn hint(model: &Model) -> Hint {
    model.hint(Action::Evidence, "evidence").unless(is_writing(model), "writing")
}

fn is_writing(model: &Model) -> bool {
    model.asks.any(|request| matches!(request, Request::Evidence(_)))
}

/// The file's name first: what a narrow screen cuts off is where it lies.
pub fn written(model: &mut Model, written: &Written) {
    let name = written.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = written.file.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let said = format!("{} in {}", printable(&name), printable(&folder));
    match written.broken {
        None => model.toast(Role::Ok, format!("√ Evidence: {said}")),
        Some(_) => model.toast(Role::Warn, format!("× The ledger's chain is broken; the evidence says so: {said}")),
    }
}

pub fn failed(model: &mut Model, failure: &Failure) {
    model.toast(Role::Warn, format!("× No evidence: {}", printable(&failure.happened)));
}
