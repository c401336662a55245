//! One screen a file: its state, what its keys do, what it draws, its tests.

pub mod audit;
pub mod caller;
pub mod calls;
pub mod card;
pub mod close;
pub mod debts;
pub mod digits;
pub mod duplicates;
pub mod evidence;
pub mod find;
pub mod help;
pub mod permissions;
pub mod profiles;
pub mod quit;
pub mod read;
pub mod runbook;
pub mod sign_in;
pub mod small;
pub mod stage;
pub mod stop;
pub mod ticket;

use super::keymap::Place;

pub use quit::Quit;
pub use sign_in::Session;
pub use stop::Stop;

/// A page over the desk. Esc takes it away.
#[derive(Debug)]
pub enum Page {
    Duplicates(duplicates::Duplicates),
    Debts(debts::DebtsPage),
    Calls(calls::CallsPage),
    Permissions(permissions::PermissionsPage),
    Profiles(profiles::ProfilesPage),
    Audit(audit::AuditPage),
    Help,
    Runbook(runbook::RunbookPage),
}

impl Page {
    pub fn place(&self) -> Place {
        match self {
            Self::Duplicates(_) => Place::Duplicates,
            Self::Debts(page) => page.place(),
            Self::Calls(_) => Place::Calls,
            Self::Permissions(_) => Place::Permissions,
            Self::Profiles(_) => Place::Profiles,
            Self::Audit(_) => Place::Audit,
            Self::Help => Place::Help,
            Self::Runbook(_) => Place::Runbook,
        }
    }
}
