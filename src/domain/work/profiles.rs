//! The tenants this desk is set up for.

use jiff::Timestamp;

use crate::domain::technician::Technician;

/// The profile of the lines above all tables.
pub const DEFAULT: &str = "default";

/// One of them, and what its own ledger knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileState {
    pub name: String,
    /// What its desk is called.
    pub label: String,
    /// Tenant id or domain, as configured.
    pub tenant: String,
    /// It is the one at which this desk sits.
    pub is_here: bool,
    /// Who signed in there last.
    pub last: Option<Technician>,
    /// They have signed out since.
    pub signed_out: bool,
    /// Debts that are open there.
    pub owed: usize,
    /// Since when the oldest of them is owed.
    pub oldest: Option<Timestamp>,
}
