//! A rotation taken further, with this tenant instead of Graph.

use jiff::{SignedDuration, Timestamp};
use keydesk::{
    domain::{
        debt::{Block, Debt, Next, Rotation, RotationId, RotationState, Sight, Situation, Target, Urgency, decide},
        device::ActionState,
        event::{Event, Return},
    },
    ops::{debts::rows as person, rotate::rows},
    store::debts,
};

use crate::{
    step::{Meanwhile, Post},
    tenant::{number, target},
    world::{Attempt, Stands, TIMES, World},
};

impl World {
    pub fn round(&mut self, desk: usize) {
        let tenant = self.desks[desk].stamp.tenant.unwrap();
        for rotation in self.read(|conn| debts::open_rotations(conn, Some(tenant))) {
            self.advance(desk, rotation.id, Urgency::WhenDue);
        }
    }

    /// `ops::rotate::advance`, with this tenant instead of Graph.
    pub fn advance(&mut self, desk: usize, id: RotationId, urgency: Urgency) {
        let (rotation, owed) = self.read(|conn| Ok((debts::rotation(conn, id)?, debts::of_rotation(conn, id)?)));
        let Some(mut rotation) = rotation.filter(|_| !owed.is_empty()) else { return };
        let before = rotation.clone();
        let device = number(owed[0].device);
        let (mut choice, mut sight) = (None, None);
        loop {
            let situation = Situation {
                rotation: &rotation,
                owed: &owed,
                now: self.now(),
                urgency,
                times: TIMES,
                choice: choice.clone(),
                sight: sight.clone(),
            };
            let decision = decide(&situation);
            if !decision.events.is_empty() {
                self.maybe_race(desk, id);
                let written = self.write(desk, |pen| rows::decided(pen, &rotation, &decision.events));
                if !matches!(written, Ok(true)) {
                    return;
                }
                self.note_joined(id);
            }
            match decision.next {
                Next::Rest => break,
                Next::Choose | Next::Look(_) if !self.reachable => return,
                Next::Choose => {
                    let gone = self.tenant.devices[device].gone;
                    choice = Some(if gone { Err(Block::NoManagedDevice) } else { Ok(target(device)) });
                }
                Next::Look(target) => {
                    rotation.target = Some(target);
                    sight = Some(self.tenant.see(target));
                }
                Next::Send { target, earlier } => {
                    self.maybe_race(desk, id);
                    let committed =
                        self.write(desk, |pen| rows::sending(pen, &rotation, target, earlier, TIMES.uncertain_pause));
                    if let Ok(Some(since)) = committed {
                        self.send(desk, id, target, since);
                    } else {
                        self.note_joined(id);
                    }
                    break;
                }
            }
        }
        if let Some(Sight::Seen(_)) = &sight
            && !self.disturbed
        {
            self.was_looked_at(&before, device, &owed);
        }
    }

    pub fn note_joined(&mut self, id: RotationId) {
        let last = self.read(keydesk::store::chain::head).seq;
        let rows = self.desks[0].ledger.as_ref().or(self.desks[1].ledger.as_ref()).unwrap().rows(last).unwrap();
        let is_joined = |event: &Event| matches!(event, Event::RotationJoined { rotation, .. } if *rotation == id);
        self.totals.joined += rows.iter().filter(|row| is_joined(&row.event)).count();
    }

    /// The other desk acts on the same rotation, once in a step.
    pub fn maybe_race(&mut self, desk: usize, id: RotationId) {
        match self.race {
            Some((0, meanwhile)) => {
                self.race = None;
                self.disturbed = true;
                self.totals.raced += 1;
                match meanwhile {
                    Meanwhile::Advances => self.advance(1 - desk, id, Urgency::Now),
                    Meanwhile::Waives => self.waive_one(1 - desk, id),
                }
            }
            Some((n, meanwhile)) => self.race = Some((n - 1, meanwhile)),
            None => {}
        }
    }

    pub fn waive_one(&mut self, desk: usize, id: RotationId) {
        let Some(debt) = self.read(|conn| debts::of_rotation(conn, id)).first().map(|debt| debt.id) else { return };
        if self.write(desk, |pen| person::waive(pen, debt, "scrapped".into())).is_ok() {
            self.expected.get_mut(&debt).unwrap().stands = Stands::Waived;
            self.totals.waived_between += 1;
        }
    }

    pub fn send(&mut self, desk: usize, id: RotationId, target: Target, since: Timestamp) {
        let (device, at) = (number(target.device), self.tenant.now);
        assert!(!self.tenant.is_pending(device), "sent although one is under way");
        if let Some(last) = self.attempts.iter().rev().find(|attempt| attempt.device == device) {
            let clock_held = self.jumped.is_none_or(|jumped| jumped < last.at);
            let paused = at.duration_since(last.at) >= SignedDuration::from_mins(2);
            assert!(!last.uncertain || !clock_held || paused, "sent again before the pause was over");
        }
        let post = std::mem::replace(&mut self.post, Post::Taken);
        self.totals.sent += 1;
        if matches!(post, Post::Taken | Post::LostAfter | Post::Death) {
            self.tenant.post(device);
        }
        let event = match post {
            Post::Taken => Some(Event::RotationAccepted { rotation: id, request_id: None, found: false }),
            Post::Refused => Some(Event::RotationBlocked { rotation: id, why: Block::NotPermitted }),
            Post::NotSent => {
                let until = self.now() + SignedDuration::from_secs(20);
                Some(Event::RotationReturned { rotation: id, until, why: Return::NotSent })
            }
            Post::LostAfter | Post::LostBefore | Post::Death => None,
        };
        // One that was taken is seen: it is pending.
        let taken = self.tenant.is_pending(device);
        let uncertain = event.is_none() && !taken;
        self.totals.uncertain += usize::from(event.is_none());
        self.attempts.push(Attempt { device, at, uncertain });
        if let Some(event) = event {
            let sending = Rotation::new(id, RotationState::Sending { since });
            if self.write(desk, |pen| rows::decided(pen, &sending, &[event])).is_err()
                && let Some(last) = self.attempts.last_mut()
            {
                last.uncertain = !taken;
            }
        }
        if post == Post::Death {
            self.mend();
            self.restart(desk);
        }
    }

    /// After a look that nothing stood in the way of: every debt with a new key is proved, and the rotation says what the tenant knows.
    pub fn was_looked_at(&mut self, before: &Rotation, device: usize, owed: &[Debt]) {
        for debt in owed {
            let now = self.read(|conn| debts::get(conn, debt.id)).unwrap();
            let replaced = self.is_replaced(&self.expected[&debt.id]);
            assert_eq!(!now.is_open(), replaced, "{now:#?}");
        }
        let now = self.read(|conn| debts::rotation(conn, before.id)).unwrap();
        let left = self.read(|conn| debts::of_rotation(conn, before.id)).len();
        let asked = self.tenant.devices[device].action.clone().filter(|action| action.started > before.earlier);
        let sent = matches!(
            before.state,
            RotationState::Sending { .. } | RotationState::Accepted { .. } | RotationState::Reported { .. }
        );
        let fits = match (&now.state, asked.map(|action| action.state)) {
            (RotationState::Over { .. }, _) => left == 0,
            (_, Some(ActionState::Pending)) => matches!(
                now.state,
                RotationState::Accepted { .. } | RotationState::Sending { .. } | RotationState::Reported { .. }
            ),
            (state, Some(ActionState::Failed)) if sent => matches!(
                state,
                RotationState::Blocked { why: Block::Reported { .. } | Block::NotPermitted, .. }
                    | RotationState::Held { .. }
                    | RotationState::Sending { .. }
                    | RotationState::Accepted { .. }
            ),
            _ => left > 0,
        };
        assert!(fits, "{before:#?} became {now:#?}; Intune says {:?}", self.tenant.devices[device].action);
        self.totals.busy += usize::from(now.busy.is_some() && now.busy != before.busy);
    }
}
