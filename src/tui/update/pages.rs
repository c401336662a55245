//! The keys that work everywhere.

use super::{
    super::{
        keymap::{Action, Place},
        model::Model,
        screens::{
            Page,
            audit::{self, AuditPage},
            calls::CallsPage,
            debts::DebtsPage,
            find,
            permissions::PermissionsPage,
            profiles::ProfilesPage,
            quit,
            runbook::RunbookPage,
            stage::{self, Why},
        },
    },
    park,
};
use crate::domain::work::{Request, open_device::Request as OpenDevice};

/// Does what `action` does everywhere; says whether it was such a one.
pub fn act(model: &mut Model, place: Place, action: Action) -> bool {
    if action == Action::Quit {
        quit::begin(model);
        return true;
    }
    if matches!(place, Place::Small | Place::Quit) {
        return place == Place::Small;
    }
    match action {
        Action::Help => open(model, Page::Help),
        Action::Debts => {
            open(model, Page::Debts(DebtsPage::default()));
            model.ask(Request::Debts);
        }
        Action::Calls => {
            open(model, Page::Calls(CallsPage::default()));
            model.ask(Request::Calls);
        }
        Action::Permissions => open(model, Page::Permissions(PermissionsPage::default())),
        Action::Profiles => {
            open(model, Page::Profiles(ProfilesPage::default()));
            model.ask(Request::Profiles);
        }
        Action::Audit => {
            open(model, Page::Audit(AuditPage::default()));
            audit::opened(model);
        }
        Action::Runbook => {
            let at = model.walk().now();
            open(model, Page::Runbook(RunbookPage { at }));
        }
        Action::Park => {
            if model.call.is_some() {
                model.pages.clear();
                park(model);
            }
        }
        Action::LookAgain => look_again(model),
        _ => return false,
    }
    true
}

/// Opens a page on top; one of its kind below goes. The stage is left, so it conceals.
fn open(model: &mut Model, page: Page) {
    stage::conceal(model, Why::Page);
    let place = page.place();
    model.pages.retain(|open| open.place() != place && !matches!((open, &page), (Page::Debts(_), Page::Debts(_))));
    model.pages.push(page);
}

/// F5. What it asks is remembered, so that the screen can say that it is looking.
fn look_again(model: &mut Model) {
    model.looking = match (model.pages.last(), &model.call) {
        (Some(Page::Debts(_)), _) => Some(model.ask(Request::Debts)),
        (Some(Page::Calls(_)), _) => Some(model.ask(Request::Calls)),
        (Some(Page::Audit(_)), _) => audit::look_again(model),
        (Some(Page::Duplicates(_)) | None, Some(desk)) => {
            let request = OpenDevice { device: desk.call.device, asked: Some(desk.call.key) };
            Some(model.ask(Request::OpenDevice(request)))
        }
        (Some(Page::Duplicates(_)) | None, None) if model.session.is_known() => Some(find::look_again(model)),
        _ => None,
    };
}
