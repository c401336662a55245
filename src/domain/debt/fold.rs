//! What an event makes of a debt and of a rotation. The ledger's tables are folded with it, and so is any other reading of the rows.

use jiff::Timestamp;

use super::{Block, Busy, Debt, DebtState, Proof, Rotation, RotationState};
use crate::domain::event::{Event, Return};

impl Rotation {
    /// Applies an event that names this rotation, or a debt it pays; any other changes nothing.
    /// One that is over stays so: a late word of the laptop or of Intune has nothing left to be about.
    pub fn apply(&mut self, at: Timestamp, event: &Event) {
        if self.is_over() {
            return;
        }
        match event {
            Event::RotationHeld { until, .. } => self.hold(*until),
            Event::Served { held_until, .. }
            | Event::Unknown { held_until, .. }
            | Event::ReplacementRequested { held_until, .. } => self.hold(self.not_later(*held_until)),
            Event::ExternalDisclosure(external) => {
                if let Some(held) = external.rotation {
                    self.hold(self.not_later(held.until));
                }
            }
            Event::RotationTargeted { target, chosen, .. } => {
                self.target = Some(*target);
                self.chosen = *chosen;
            }
            Event::RotationJoined { .. } => self.state = RotationState::Over { at },
            Event::RotationSending { earlier, .. } => {
                self.earlier = *earlier;
                self.state = RotationState::Sending { since: at };
            }
            Event::RotationAccepted { .. } => self.state = RotationState::Accepted { at },
            Event::RotationReturned { until, why, .. } => {
                self.state = RotationState::Held { until: *until };
                match why {
                    Return::Busy { hresult } => {
                        let times = self.busy.map_or(0, |busy| busy.times) + 1;
                        self.busy = Some(Busy { hresult: *hresult, times });
                    }
                    Return::DoneTooEarly => self.busy = None,
                    Return::NotSent => {}
                }
            }
            Event::RotationReported { .. } => {
                self.state = RotationState::Reported { at };
                self.busy = None;
            }
            Event::CheckedIn { at, .. } => self.checked_in = Some(*at),
            Event::RotationBlocked { why, .. } => self.state = RotationState::Blocked { why: why.clone(), at },
            _ => {}
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, RotationState::Over { .. })
    }

    /// Nothing is left for it to pay.
    pub fn end(&mut self, at: Timestamp) {
        self.state = RotationState::Over { at };
    }

    /// Waits; its target is chosen when it is sent, unless a person chose it. One that is under way stays as it is.
    fn hold(&mut self, until: Timestamp) {
        if !matches!(self.state, RotationState::Held { .. } | RotationState::Blocked { .. }) {
            return;
        }
        let target_gone = matches!(self.state, RotationState::Blocked { why: Block::TargetGone, .. });
        if !self.chosen || target_gone {
            (self.target, self.chosen) = (None, false);
        }
        (self.state, self.busy) = (RotationState::Held { until }, None);
    }

    /// One more key of the same laptop must not put off what is due before.
    fn not_later(&self, until: Timestamp) -> Timestamp {
        match self.state {
            RotationState::Held { until: before } => before.min(until),
            _ => until,
        }
    }
}

impl Debt {
    /// Applies an event that names this debt; any other changes nothing.
    pub fn apply(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::Compromised { .. } => {
                self.compromised.get_or_insert(at);
                // Who waived it, or took somebody's word for it, did not know.
                if matches!(self.state, DebtState::Waived { .. } | DebtState::Proved { grade: Proof::ByHand, .. }) {
                    self.state = DebtState::Owed;
                }
            }
            Event::DebtProved { grade, new_key, .. } => {
                self.state = DebtState::Proved { grade: *grade, new_key: Some(*new_key), at };
            }
            Event::DebtConfirmed { new_key, .. } => {
                let grade =
                    if new_key.is_some() && *new_key == self.doubted() { Proof::Probable } else { Proof::ByHand };
                self.state = DebtState::Proved { grade, new_key: *new_key, at };
            }
            Event::DebtWaived { reason, .. } => self.state = DebtState::Waived { reason: reason.clone(), at },
            // Refused, said the answer; read, says Entra: the key is out after all.
            Event::EntraRecord { failed: false, .. } if matches!(self.state, DebtState::Cancelled { .. }) => {
                self.state = DebtState::Owed;
            }
            Event::KeyDeleted { at, .. } => {
                self.key_deleted.get_or_insert(*at);
                if let DebtState::Proved { grade: grade @ Proof::NewKeySeen, .. } = &mut self.state {
                    *grade = Proof::Confirmed;
                }
            }
            _ => {}
        }
    }

    /// The key was certainly never handed out.
    pub fn cancel(&mut self, at: Timestamp) {
        self.state = DebtState::Cancelled { at };
    }

    /// The new key a person is asked to compare, if that is what it waits for.
    pub fn doubted(&self) -> Option<super::KeyId> {
        match self.rotation.as_ref().map(|rotation| &rotation.state) {
            Some(RotationState::Blocked { why: Block::Unsure { key }, .. }) => Some(*key),
            _ => None,
        }
    }
}
