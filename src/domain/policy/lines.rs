//! The table of the policy's lines. Each is declared here once, with the rule that says how it is read, what a user may do to it and how it
//! is shown. The files, their merging, `keydesk config policy`, the digest and the tests all walk this table.

use std::{collections::BTreeMap, time::Duration};

use toml::Value;

use super::{
    Forwarding, Pins, Policy, forwarding,
    rules::{Among, AtLeast, AtMost, Demand, Example, Fixed, Pattern, Pause, Pinned, Prefix, Rule},
};
use crate::domain::{digest::fingerprint, ticket::TicketRule};

/// One line of a policy.
#[derive(Clone, Copy)]
pub struct Line {
    /// As a file writes it: `limits.per_hour` stands in `[limits]`, `reason` is a list of `[[reason]]`.
    pub name: &'static str,
    /// What a user may do to the organisation's value: "lower it".
    pub user_may: &'static str,
    set: fn(&mut Policy, &Value) -> Result<(), String>,
    tighten: fn(&mut Policy, &Value) -> Result<(), String>,
    show: fn(&Policy) -> Value,
}

/// Why a value cannot stand in its line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {said}")]
pub struct LineError {
    pub line: &'static str,
    pub said: String,
}

macro_rules! lines {
    ($( $field:ident { $( $name:literal $(in $part:ident)? by $rule:ty ),+ } )+) => {
        /// Every line, in the order of the shipped file.
        pub const LINES: &[Line] = &[$($( Line {
            name: $name,
            user_may: <$rule>::USER_MAY,
            set: |policy, value| <$rule as Rule<_>>::set(&mut policy.$field $(.$part)?, value),
            tighten: |policy, value| <$rule as Rule<_>>::tighten(&mut policy.$field $(.$part)?, value),
            show: |policy| <$rule as Rule<_>>::show(&policy.$field $(.$part)?),
        } ),+),+];

        // A field of the policy that has no line does not compile.
        const _: fn(&Policy) = |policy| {
            let Policy { $($field: _),+ } = policy;
        };
    };
}

lines! {
    ticket { "ticket.pattern" by Pattern, "ticket.prefix" by Prefix, "ticket.example" by Example }
    ticket_check { "ticket.check" by Demand }
    per_hour { "limits.per_hour" by AtMost }
    per_day { "limits.per_day" by AtMost }
    conceal_after { "timers.conceal" by AtMost }
    drop_after { "timers.drop" by AtMost }
    rotation_delay { "timers.rotation_delay" by AtMost }
    uncertain_pause { "timers.uncertain_pause" by Fixed }
    watch_first { "timers.watch_first" by Pause }
    watch_longest { "timers.watch_longest" by Pause }
    lock_after { "timers.lock" by AtMost }
    index_expires { "timers.index" by AtMost }
    claims_required { "caller.claims_required" by AtLeast }
    mask_facts { "caller.mask_facts" by AtLeast }
    print { "output.print" by AtMost }
    copy { "output.copy" by AtMost }
    closes { "proof.closes" by AtLeast }
    ways { "sign_in.ways" by Among }
    pins { "pins.tenants" in tenants by Pinned, "pins.authorities" in authorities by Pinned, "pins.graphs" in graphs by Pinned }
    forward {
        "forward.when" in when by AtLeast, "forward.webhook" in webhook by Fixed, "forward.token_env" in token_env by Fixed,
        "forward.secret_env" in secret_env by Fixed, "forward.syslog" in syslog by Fixed, "forward.syslog_ca" in syslog_ca by Fixed,
        "forward.facility" in facility by Fixed
    }
    reasons { "reason" by Among }
    methods { "verification" by Among }
}

impl Line {
    /// The line a file writes so.
    pub fn named(name: &str) -> Option<&'static Self> {
        LINES.iter().find(|line| line.name == name)
    }

    /// Whether `value` can stand in this line.
    pub fn check(&self, value: &Value) -> Result<(), LineError> {
        self.set(&mut Policy::blank(), value)
    }

    /// The organisation's word: `value`, whatever stood there.
    pub fn set(&self, policy: &mut Policy, value: &Value) -> Result<(), LineError> {
        (self.set)(policy, value).map_err(|said| LineError { line: self.name, said })
    }

    /// A user's word: it narrows what stands there, or changes nothing.
    ///
    /// # Errors
    /// `value` cannot stand there, or nothing would be left.
    pub fn tighten(&self, policy: &mut Policy, value: &Value) -> Result<(), LineError> {
        (self.tighten)(policy, value).map_err(|said| LineError { line: self.name, said })
    }

    /// What stands there, as a file would write it. Of several patterns, a list.
    pub fn show(&self, policy: &Policy) -> Value {
        (self.show)(policy)
    }

    /// `value` as others may see it.
    pub fn tell(&self, value: &Value) -> Value {
        let webhook = value.as_str().filter(|_| self.name == "forward.webhook").and_then(|text| text.parse().ok());
        webhook.map_or_else(|| value.clone(), |url| Value::String(forwarding::outwardly(&url)))
    }

    /// `value` as [`Line::show`] would write it: comparable, however it was written.
    pub fn canonical(&self, value: &Value) -> Result<Value, LineError> {
        let mut policy = Policy::blank();
        self.set(&mut policy, value)?;
        Ok(self.show(&policy))
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Policy {
    /// A policy of the values `value_of` knows; each line needs one.
    pub fn of<'a>(value_of: impl Fn(&'static Line) -> Option<&'a Value>) -> Result<Self, LineError> {
        let mut policy = Self::blank();
        for line in LINES {
            let missing = || LineError { line: line.name, said: "this line is missing".into() };
            line.set(&mut policy, value_of(line).ok_or_else(missing)?)?;
        }
        Ok(policy)
    }

    /// A short fingerprint of every line, recorded with every ledger row.
    pub fn digest(&self) -> String {
        let lines: Vec<String> = LINES.iter().map(|line| format!("{} = {}\n", line.name, line.show(self))).collect();
        fingerprint(lines.concat())
    }

    /// Every line as a file would write it, but for the webhook's path: what the fingerprint stands for.
    pub fn lines(&self) -> BTreeMap<String, String> {
        LINES.iter().map(|line| (line.name.to_owned(), line.tell(&line.show(self)).to_string())).collect()
    }

    /// Nothing is allowed yet; every line is set before a policy leaves this file.
    pub(super) fn blank() -> Self {
        Self {
            ticket: TicketRule::blank(),
            ticket_check: Vec::new(),
            reasons: Vec::new(),
            methods: Vec::new(),
            claims_required: usize::MAX,
            per_hour: 0,
            per_day: 0,
            conceal_after: Duration::ZERO,
            drop_after: Duration::ZERO,
            rotation_delay: Duration::ZERO,
            uncertain_pause: Duration::ZERO,
            watch_first: Duration::ZERO,
            watch_longest: Duration::ZERO,
            lock_after: Duration::ZERO,
            index_expires: Duration::ZERO,
            mask_facts: true,
            print: super::Allowance::Never,
            copy: super::Allowance::Never,
            pins: Pins::default(),
            ways: Vec::new(),
            closes: super::Proof::Confirmed,
            forward: Forwarding::default(),
        }
    }
}
