//! Who sits here, and how signing in stands: what the first screen and the prompt are drawn from.

use uuid::Uuid;

use super::super::super::model::Setup;
use crate::domain::{
    attendance::Attendance,
    capability::Feature,
    foreign::Foreign,
    moment::{Deadline, Moment},
    technician::Technician,
    work::{
        Failure, Request,
        sign_in::{AnotherName, BrowserPage, DeviceCode, Way},
    },
};

/// Who sits here, and how signing in stands.
#[derive(Debug)]
pub struct Session {
    pub(super) tenant: Foreign,
    pub(super) tenant_id: Option<Uuid>,
    pub(super) technician: Option<Technician>,
    pub(super) state: State,
    pub(super) why: Why,
    /// The ways that are offered, the one to begin with first.
    pub(super) ways: Vec<Way>,
    pub(super) way: Way,
    /// The remembered session could not be tried: trying again tries that.
    pub(super) resumes_again: bool,
    /// Since when the prompt stands there.
    pub(super) since: Moment,
    pub(super) signed_out: bool,
    /// `None` before anybody was there.
    pub(super) attendance: Option<Attendance>,
    /// What the technician put off when it was to be asked for.
    pub(super) put_off: Vec<Feature>,
    /// Reads that failed for want of a session: asked again after sign-in.
    pub(super) after: Vec<Request>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// Nothing is asked of the technician.
    Idle,
    /// The remembered session is tried.
    Resuming,
    Starting,
    Code {
        code: DeviceCode,
        until: Deadline,
    },
    Page {
        page: BrowserPage,
        until: Deadline,
        /// Why it did not open by itself.
        shut: Option<String>,
    },
    /// Somebody else than last time.
    Another(AnotherName),
    /// The other name was confirmed, or sent away, and that is under way.
    Settling,
    Failed(Failure),
}

/// Why somebody has to sign in.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// There is no session, or Entra no longer takes it. These were just needed.
    Session(Vec<Feature>),
    /// Entra has never asked for these.
    Consent(Vec<Feature>),
    /// Nobody was at the desk for a while.
    Locked,
}

impl Session {
    pub fn new(setup: &Setup) -> Self {
        let ways = setup.ways.within(&setup.policy.ways);
        let tenant = setup.profile.as_ref().map_or(&setup.tenant, |(_, label)| label);
        // An id says little, and is long: its beginning tells tenants apart until Entra says the name.
        let tenant = match Uuid::parse_str(tenant) {
            Ok(id) => format!("tenant {:06x}", id.as_fields().0 >> 8),
            Err(_) => tenant.clone(),
        };
        Self {
            tenant: Foreign::new(tenant),
            tenant_id: None,
            technician: None,
            state: State::Resuming,
            why: Why::Session(Vec::new()),
            way: ways.first().copied().unwrap_or(Way::DeviceCode),
            ways,
            resumes_again: false,
            since: setup.now,
            signed_out: true,
            attendance: None,
            put_off: Vec::new(),
            after: Vec::new(),
        }
    }

    /// Somebody has signed in since the program started, and not out again.
    pub fn is_known(&self) -> bool {
        self.technician.is_some()
    }

    /// Somebody has, and must again.
    pub fn is_renewing(&self) -> bool {
        self.is_known() && self.state != State::Idle
    }

    pub fn tenant_name(&self) -> String {
        self.tenant.to_string()
    }

    /// Whether what is owed in `tenant` is followed here: so it is in this one, and wherever that is not known.
    pub fn follows(&self, tenant: Option<Uuid>) -> bool {
        tenant.is_none() || self.tenant_id.is_none() || tenant == self.tenant_id
    }

    pub fn technician(&self) -> Option<&Technician> {
        self.technician.as_ref()
    }

    pub fn who(&self, full: bool) -> String {
        match &self.technician {
            Some(_) if !self.signed_out && self.is_locked() => "locked".into(),
            Some(technician) if !self.signed_out && full => technician.upn.to_string(),
            Some(technician) if !self.signed_out => technician.short_name().to_string(),
            _ => "signed out".into(),
        }
    }

    /// When the code or the page shown runs out, while one is.
    pub fn countdown(&self) -> Option<Deadline> {
        match &self.state {
            State::Code { until, .. } | State::Page { until, .. } => Some(*until),
            _ => None,
        }
    }

    pub fn is_waiting(&self) -> bool {
        match self.state {
            State::Resuming | State::Starting | State::Code { .. } | State::Page { .. } | State::Settling => true,
            State::Idle | State::Another(_) | State::Failed(_) => false,
        }
    }

    /// Somebody else has signed in than sat here, and whose the desk is has not been settled.
    pub fn is_changing_hands(&self) -> bool {
        matches!(self.state, State::Another(_) | State::Settling)
    }

    pub fn signed_out(&mut self) {
        self.signed_out = true;
    }

    /// Why the last attempt failed, while that stands on the screen.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.state {
            State::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// The way that may succeed where this one was refused, if it is offered.
    pub(super) fn instead(&self) -> Option<Way> {
        let instead = self.failure()?.instead?;
        (instead != self.way && self.offers(instead)).then_some(instead)
    }

    /// A key was pressed.
    pub fn touch(&mut self, now: Moment) {
        if let Some(attendance) = &mut self.attendance {
            attendance.touch(now);
        }
    }

    /// Nobody was there for so long that a reveal wants a fresh sign-in.
    pub fn is_locked(&self) -> bool {
        self.attendance.is_some_and(|attendance| attendance.locks_at().is_none())
    }

    /// Whether a prompt has to have Entra ask for credentials again: it is to open a locked desk.
    pub(super) fn wants_fresh(&self) -> bool {
        self.is_locked() || self.why == Why::Locked
    }

    /// When the desk locks by itself.
    pub fn locks_at(&self) -> Option<Deadline> {
        self.attendance.filter(|_| self.is_known()).and_then(|attendance| attendance.locks_at())
    }

    pub(super) fn code(&self) -> Option<&DeviceCode> {
        match &self.state {
            State::Code { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Where to sign in, while that stands on the screen.
    pub(super) fn address(&self) -> Option<&str> {
        match &self.state {
            State::Code { code, .. } => Some(&code.address),
            State::Page { page, .. } => Some(&page.address),
            _ => None,
        }
    }

    pub(super) fn offers(&self, way: Way) -> bool {
        self.ways.contains(&way)
    }
}
