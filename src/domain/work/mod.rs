//! What can be asked and answered: plain data between the screens and the ops, one file a verb.
//!
//! A [`Request`] goes out under an [`AskId`]; any number of [`Progress`] and exactly one answer, an [`Outcome`] or a [`Failure`], come
//! back. [`News`] comes unasked.

pub mod call;
pub mod debts;
pub mod disclose;
pub mod doctor;
pub mod evidence;
pub mod external;
pub mod failure;
pub mod find;
pub mod forward;
pub mod open_device;
pub mod profiles;
pub mod reconcile;
pub mod sign_in;
pub mod sync_index;

pub use failure::{Failure, Kind, Report};

use super::{
    capability::{Feature, Lights},
    debt::{Debt, DebtId},
    timeline::Step,
    watch::Watch,
};

/// The handle of a question, so that an answer nobody waits for any more can be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// Everything the screens can ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Go on with the remembered session, asking nobody.
    Resume,
    /// Have a person sign in.
    SignIn(sign_in::Prompt),
    /// Whoever signed in under another name than last time means it: the desk is theirs.
    ConfirmName,
    /// They do not: their session ends.
    SendAway,
    /// Get tokens ahead of need, asking nobody.
    Redeem(Vec<Feature>),
    SignOut,
    /// What is owed at which tenant.
    Profiles,
    /// What the ledger knows from before: open calls, debts. Needs no sign-in.
    CatchUp,
    /// Fill or refresh the index, behind the desk.
    SyncIndex,
    Find(find::Request),
    /// Ask Entra and Intune themselves, by name, serial, user or whole GUID.
    LookUp(find::LookUp),
    OpenDevice(open_device::Request),
    OpenCall(call::Open),
    Verify(call::Verify),
    Disclose(disclose::Request),
    /// The call's note as of now: its debts have changed.
    CallNote(super::call::CallId),
    /// What happened on the stage.
    Stage(disclose::OnStage),
    InWindows(call::InWindows),
    ParkCall(call::Park),
    ResumeCall(call::Resume),
    CloseCall(call::Close),
    Calls,
    Debts,
    SettleDebt(debts::Settle),
    /// The digits on the stage were read to the wrong person.
    WrongPerson(debts::WrongPerson),
    /// Compare the ledger with Entra's own record.
    Reconcile(reconcile::Request),
    /// Write an evidence pack.
    Evidence(super::evidence::Subject),
    /// Every step of a debt, from the ledger.
    History(DebtId),
    /// Send what is held before the program ends.
    WrapUp,
    /// Text without secrets, to the clipboard.
    Copy(String),
    /// Open this address in the technician's browser.
    Browse(String),
    /// The demo's next caller.
    NextCaller,
}

impl Request {
    /// Whether it writes: the program may not end before it is answered.
    pub fn must_finish(&self) -> bool {
        match self {
            Self::OpenCall(_)
            | Self::Verify(_)
            | Self::Disclose(_)
            | Self::Stage(_)
            | Self::InWindows(_)
            | Self::ParkCall(_)
            | Self::ResumeCall(_)
            | Self::CloseCall(_)
            | Self::SettleDebt(_)
            | Self::WrongPerson(_)
            | Self::Evidence(_)
            | Self::ConfirmName
            | Self::SendAway
            | Self::SignOut
            | Self::WrapUp => true,
            Self::Resume
            | Self::SignIn(_)
            | Self::Redeem(_)
            | Self::Profiles
            | Self::CatchUp
            | Self::SyncIndex
            | Self::Find(_)
            | Self::LookUp(_)
            | Self::OpenDevice(_)
            | Self::CallNote(_)
            | Self::Calls
            | Self::Debts
            | Self::Reconcile(_)
            | Self::History(_)
            | Self::Copy(_)
            | Self::Browse(_)
            | Self::NextCaller => false,
        }
    }
}

/// A word in between.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// The code to type at the address.
    DeviceCode(sign_in::DeviceCode),
    /// The page on which to sign in.
    BrowserPage(sign_in::BrowserPage),
    Listing(sync_index::Listing),
    /// So many records of Entra's log have come.
    Records(usize),
    /// The service asked us to wait; nothing was handed out.
    Waiting(Waiting),
    /// The intent is on disk; the security team's collector has to take it before the key request leaves.
    Forwarding,
    /// The intent is on disk; the key request leaves now.
    Recorded,
}

/// Entra asks us to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub for_: std::time::Duration,
}

/// The one answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    SignedIn(sign_in::SignedIn),
    /// Signed in, but not as last time: nothing is theirs before [`Request::ConfirmName`].
    AnotherName(sign_in::AnotherName),
    SentAway,
    Redeemed(sign_in::Redeemed),
    SignedOut(sign_in::SignedOut),
    Profiles(Vec<profiles::ProfileState>),
    CaughtUp(call::CaughtUp),
    Listed(sync_index::Listing),
    Found(find::Found),
    LookedUp(find::Found),
    Device(Box<open_device::Card>),
    CallOpened(super::call::Call),
    Verified(super::call::Call),
    /// The caller was refused and the call is closed.
    CallerRefused(call::Closed),
    Disclosed(disclose::Disclosed),
    Recorded,
    CallNote(call::Note),
    InWindows(call::Note),
    Parked(Vec<super::call::Call>),
    Resumed(super::call::Call),
    Closed(call::Closed),
    Calls(Vec<super::call::Call>),
    Debts(Vec<Debt>),
    Reconciled(reconcile::Answer),
    Evidence(evidence::Written),
    History(Vec<Step>),
    WrappedUp,
    Copied,
    Browsed,
    NextCaller(Option<call::IncomingCaller>),
}

/// Comes unasked, from behind the desk.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    Debts(Vec<Debt>),
    /// A replacement was seen, or a rotation needs a person: one sentence for the notice.
    Debt(String),
    Listing(sync_index::Listing),
    Lights(Lights),
    /// Who follows what is owed.
    Watch(Watch),
    /// What runs behind the desk was asked to wait.
    Waiting(Waiting),
    /// Rows wait for a collector, and have for a while.
    RowsWait(forward::SinkState),
    /// The session ended; the next request will ask for a new sign-in.
    SignedOut,
}
