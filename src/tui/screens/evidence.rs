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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::tests::{Desk, World, asked};

    #[test]
    fn on_the_debts_page_it_is_about_the_chosen_debt() {
        let mut desk = Desk::open();
        let now = desk.now.wall;
        let held = crate::domain::debt::RotationState::Held { until: now };
        let debt = crate::tui::tests::debt(0x4F2B_91C0, "HVC-LT-0421", "0048213", std::time::Duration::ZERO, now, held);
        desk.world.debts = vec![debt.clone()];
        let effects = desk.press("f2 e");
        assert!(asked(&effects).contains(&&Request::Evidence(Subject::Debt(debt.id))), "{effects:?}");
        assert!(desk.shows("e evidence"));
    }

    #[test]
    fn on_the_calls_page_it_is_about_the_chosen_call_and_without_one_nothing_is_asked() {
        let mut desk = Desk::open();
        assert!(!asked(&desk.press("f3 e")).iter().any(|request| matches!(request, Request::Evidence(_))));
        desk.press("esc");
        desk.reach_ticket();
        desk.press("f4");
        let call = desk.model.calls[0].id;
        let effects = desk.press("f3 e");
        assert!(asked(&effects).contains(&&Request::Evidence(Subject::Call(call))), "{effects:?}");
    }

    #[test]
    fn a_broken_chain_is_said_with_it() {
        let mut desk = Desk::open();
        let broken = Written { broken: Some("row 4".into()), ..World::written() };
        super::written(&mut desk.model, &broken);
        assert!(desk.row(22).contains("× The ledger's chain is broken; the evidence says so:"), "{:#?}", desk.rows());
    }
}
