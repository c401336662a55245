//! What a person does about a debt.

use crate::domain::debt::DebtId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    pub debt: DebtId,
    pub how: How,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Send it now, or again.
    Retry,
    /// Do not send it before `Retry`.
    Hold,
    Waive {
        reason: String,
    },
}
