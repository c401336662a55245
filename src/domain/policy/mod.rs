//! What the organisation requires. The shipped policy stands in `assets/policy.toml`; a machine-wide file replaces lines of it; everything
//! else may only tighten.

pub mod forwarding;
mod lines;
mod rules;

use std::time::Duration;

use super::{
    caller::{Claim, Compared, Fact, Knowledge},
    ticket::TicketRule,
    work::sign_in::Way,
};
use serde::{Deserialize, Serialize};
use url::Url;

pub use forwarding::Forwarding;
pub use lines::{LINES, Line, LineError};

/// Why a key may be needed: one line of the policy's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// For the ledger and the command line: `windows-update`.
    pub id: String,
    /// For the screen: "Windows update".
    pub label: String,
}

/// How a caller may be verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// `called-back`
    pub id: String,
    /// "called back on the number on record"
    pub label: String,
    /// For notes and the side: "called back".
    pub short: String,
}

/// Where something may be printed or copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Allowance {
    Never,
    /// On the simulated tenant alone.
    Simulation,
    Always,
}

impl Allowance {
    pub fn holds(self, simulation: bool) -> bool {
        match self {
            Self::Never => false,
            Self::Simulation => simulation,
            Self::Always => true,
        }
    }
}

/// How well it is proved that a key was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// A person says so, and Entra shows nothing: a key it never held, or a laptop that is gone.
    ByHand,
    /// The volume kind is missing, or several volumes share it. Closes nothing: a person compares it with the laptop and confirms it.
    Probable,
    /// A key ID outside the recorded set, same volume kind.
    NewKeySeen,
    /// Besides, the laptop reported to Intune that its rotation succeeded, or Entra logged that the disclosed key was deleted.
    Confirmed,
}

impl Proof {
    pub fn words(self) -> &'static str {
        match self {
            Self::ByHand => "replaced, as a person says",
            Self::Probable => "probably replaced",
            Self::NewKeySeen => "new key seen",
            Self::Confirmed => "replaced and confirmed",
        }
    }
}

/// Which tenants and hosts may be used. An empty list pins nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    /// Tenant ids or domains, as the settings write them.
    pub tenants: Vec<String>,
    /// Where to sign in.
    pub authorities: Vec<Url>,
    /// Where Graph is.
    pub graphs: Vec<Url>,
}

/// The effective policy.
#[derive(Clone, Debug)]
pub struct Policy {
    pub ticket: TicketRule,
    /// The organisation's own check of a ticket: a program and its arguments, `{ticket}` replaced. Empty: none.
    pub ticket_check: Vec<String>,
    pub reasons: Vec<Reason>,
    pub methods: Vec<Method>,
    /// How many claims must match, or as many as there are facts known to compare with.
    pub claims_required: usize,
    pub per_hour: u32,
    pub per_day: u32,
    /// A shown key is concealed after this long.
    pub conceal_after: Duration,
    /// A disclosed key is dropped from memory after this long.
    pub drop_after: Duration,
    /// A held rotation goes out after this long, whatever the technician does.
    pub rotation_delay: Duration,
    /// The pause before an uncertain rotation is looked at and sent again.
    pub uncertain_pause: Duration,
    /// The first pause between two looks at an open rotation; it grows from there.
    pub watch_first: Duration,
    /// The longest such pause.
    pub watch_longest: Duration,
    /// A desk nobody touched for this long asks who is there before the next reveal.
    pub lock_after: Duration,
    /// An index nobody used for this long is wiped.
    pub index_expires: Duration,
    pub mask_facts: bool,
    /// Recovery passwords on stdout.
    pub print: Allowance,
    /// Texts without secrets into the clipboard: notes, codes, failures.
    pub copy: Allowance,
    pub pins: Pins,
    /// How a person may sign in. Never empty.
    pub ways: Vec<Way>,
    /// The lowest grade that closes a debt without a person; above [`Proof::Probable`].
    pub closes: Proof,
    /// Where copies of the ledger's rows go.
    pub forward: Forwarding,
}

/// Why a caller does not count as verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerificationError {
    #[error("One claim differs. Ask again, or n: not verified.")]
    Mismatch,
    #[error("Compare what the caller says first: type it and press Enter.")]
    NothingCompared,
    #[error("{} must match: compare another.", more_claims(*.0))]
    MoreWanted(usize),
    #[error("Intune could not be asked: nothing can be compared. F5 looks again; or n.")]
    NotAsked,
    #[error("{0} is no way of verifying a caller here. Known: {1}.")]
    Method(String, String),
}

fn more_claims(missing: usize) -> String {
    if missing == 1 { "One more claim".into() } else { format!("{missing} more claims") }
}

impl Policy {
    /// The reason meant by an id, a label or its number in the list, from 1.
    pub fn reason(&self, said: &str) -> Option<&Reason> {
        let by_number = said.trim().parse::<usize>().ok().and_then(|n| self.reasons.get(n.checked_sub(1)?));
        by_number.or_else(|| {
            self.reasons.iter().find(|r| r.id.eq_ignore_ascii_case(said) || r.label.eq_ignore_ascii_case(said))
        })
    }

    /// The method meant by an id, a label, its short form or its number, from 1.
    pub fn method(&self, said: &str) -> Option<&Method> {
        let by_number = said.trim().parse::<usize>().ok().and_then(|n| self.methods.get(n.checked_sub(1)?));
        by_number.or_else(|| {
            let is = |text: &str| text.eq_ignore_ascii_case(said.trim());
            self.methods.iter().find(|m| is(&m.id) || is(&m.label) || is(&m.short))
        })
    }

    /// Whether these claims allow a verification, given what there was to compare them with. Where Intune could not be asked, a policy
    /// that requires claims allows none: that nothing is known must be Intune's word.
    ///
    /// None may differ, and where anything is known enough must match; enough are never more than there are facts known: those whose
    /// claim is not [`Compared::Unknown`].
    pub fn allows_verification(&self, claims: &[Claim], known: Knowledge) -> Result<(), VerificationError> {
        if known == Knowledge::NotAsked && self.claims_required > 0 {
            return Err(VerificationError::NotAsked);
        }
        let count = |wanted: Compared| {
            Fact::ALL.iter().filter(|&&fact| claims.contains(&Claim { fact, compared: wanted })).count()
        };
        if count(Compared::Mismatch) > 0 {
            return Err(VerificationError::Mismatch);
        }
        let facts = Fact::ALL.len() - count(Compared::Unknown);
        let required = if known == Knowledge::Facts { self.claims_required.min(facts.max(1)) } else { 0 };
        match (count(Compared::Match), required) {
            (matched, required) if matched >= required => Ok(()),
            (0, _) => Err(VerificationError::NothingCompared),
            (matched, required) => Err(VerificationError::MoreWanted(required - matched)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{
        Compared::{Match, Mismatch, NotAsked, Unknown},
        *,
    };

    fn policy(claims_required: usize) -> Policy {
        Policy {
            ticket: TicketRule::new("INC[0-9]{7}", "INC", "INC0048213").unwrap(),
            claims_required,
            ways: vec![Way::DeviceCode],
            ..Policy::blank()
        }
    }

    fn claims(name: Compared, model: Compared, serial: Compared) -> Vec<Claim> {
        let compared = [name, model, serial];
        Fact::ALL.into_iter().zip(compared).map(|(fact, compared)| Claim { fact, compared }).collect()
    }

    #[rstest]
    #[case::enough(1, claims(Match, NotAsked, NotAsked), Ok(()))]
    #[case::none(1, claims(NotAsked, NotAsked, NotAsked), Err(VerificationError::NothingCompared))]
    #[case::one_differs(1, claims(Match, Mismatch, NotAsked), Err(VerificationError::Mismatch))]
    #[case::one_of_two(2, claims(Match, NotAsked, NotAsked), Err(VerificationError::MoreWanted(1)))]
    #[case::only_a_model_is_known(2, claims(Unknown, Match, Unknown), Ok(()))]
    #[case::the_known_model_was_not_said(
        2,
        claims(Unknown, NotAsked, Unknown),
        Err(VerificationError::NothingCompared)
    )]
    #[case::two_are_known(3, claims(Match, Unknown, NotAsked), Err(VerificationError::MoreWanted(1)))]
    #[case::no_claims_at_all(2, Vec::new(), Err(VerificationError::NothingCompared))]
    #[case::one_claim_thrice(3, claims(Match, NotAsked, NotAsked).repeat(3), Err(VerificationError::MoreWanted(2)))]
    #[case::none_wanted(0, Vec::new(), Ok(()))]
    fn as_many_claims_must_match_as_are_required_and_can(
        #[case] required: usize,
        #[case] claims: Vec<Claim>,
        #[case] expected: Result<(), VerificationError>,
    ) {
        assert_eq!(policy(required).allows_verification(&claims, Knowledge::Facts), expected);
    }

    #[test]
    fn where_intune_could_not_be_asked_no_method_verifies_and_where_it_knows_nothing_one_does() {
        let nothing = claims(Unknown, Unknown, Unknown);
        assert_eq!(policy(1).allows_verification(&nothing, Knowledge::NotAsked), Err(VerificationError::NotAsked));
        assert_eq!(policy(1).allows_verification(&nothing, Knowledge::Nothing), Ok(()));
        assert_eq!(policy(0).allows_verification(&nothing, Knowledge::NotAsked), Ok(()));
    }

    #[test]
    fn what_is_wanted_is_said_in_number() {
        assert_eq!(VerificationError::MoreWanted(1).to_string(), "One more claim must match: compare another.");
        assert_eq!(VerificationError::MoreWanted(2).to_string(), "2 more claims must match: compare another.");
    }
}
