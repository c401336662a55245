//! Reads the policy: the shipped one, the machine's over it, the user's tightening last.

use std::{path::Path, time::Duration};

use serde::Deserialize;
use url::Url;

use super::ConfigError;
use crate::domain::{
    connection::read_host,
    policy::{Allowance, Method, Pins, Policy, Proof, Reason},
    ticket::TicketRule,
    work::sign_in::Way,
};

/// The policy keydesk ships with.
pub const SHIPPED: &str = include_str!("../../assets/policy.toml");

/// A policy file. Every line may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyFile {
    ticket: TicketLines,
    limits: LimitLines,
    timers: TimerLines,
    caller: CallerLines,
    output: OutputLines,
    proof: ProofLines,
    pins: PinLines,
    sign_in: SignInLines,
    reason: Option<Vec<Reason>>,
    verification: Option<Vec<Method>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TicketLines {
    pattern: Option<String>,
    prefix: Option<String>,
    example: Option<String>,
    check: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitLines {
    per_hour: Option<u32>,
    per_day: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TimerLines {
    conceal: Option<Span>,
    drop: Option<Span>,
    rotation_delay: Option<Span>,
    uncertain_pause: Option<Span>,
    watch_first: Option<Span>,
    watch_longest: Option<Span>,
    lock: Option<Span>,
    index: Option<Span>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CallerLines {
    claims_required: Option<usize>,
    mask_facts: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OutputLines {
    print: Option<Allowance>,
    copy: Option<Allowance>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PinLines {
    tenants: Option<Vec<String>>,
    authorities: Option<Vec<Host>>,
    graphs: Option<Vec<Host>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SignInLines {
    ways: Option<Vec<WayWord>>,
}

/// A host's address.
#[derive(Clone, Debug, PartialEq)]
struct Host(Url);

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_host(&String::deserialize(deserializer)?).map(Self).map_err(serde::de::Error::custom)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct WayWord(Way);

impl<'de> Deserialize<'de> for WayWord {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = Way::ALL.into_iter().find(|way| way.word() == text).map(Self);
        known.ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is no way of signing in; write \"device-code\" or \"browser\""))
        })
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ProofLines {
    closes: Option<Proof>,
}

/// "3m", "90s", "1h 30m".
#[derive(Clone, Copy, Debug)]
struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let said = || serde::de::Error::custom(format!("{text:?} is no length of time; write 90s, 3m or 1h 30m"));
        let span: jiff::Span = text.parse().map_err(|_| said())?;
        let signed = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| said())?;
        Duration::try_from(signed).map(Self).map_err(|_| said())
    }
}

/// The effective policy: shipped, then `machine`'s lines in their place, then `user`'s where they are stricter.
pub fn effective(machine: Option<&Path>, user: Option<(&Path, &PolicyFile)>) -> Result<Policy, ConfigError> {
    let shipped = Path::new("the shipped policy");
    let mut lines = parse(SHIPPED, shipped)?;
    let mut named = shipped;
    if let Some(path) = machine
        && path.exists()
    {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        lines = lines.replaced_by(parse(&text, path)?);
        named = path;
    }
    let mut policy = lines.into_policy(named)?;
    if let Some((path, file)) = user {
        file.tighten(&mut policy, path)?;
    }
    Ok(policy)
}

/// The shipped policy with `lines` in place of its own: a scenario's, for the demo. `named` is who says so, for errors.
pub fn with_lines(lines: &str, named: &str) -> Result<Policy, ConfigError> {
    let named = Path::new(named);
    parse(SHIPPED, named)?.replaced_by(parse(lines, named)?).into_policy(named)
}

/// Parses a policy file; a typo is reported with its line.
pub fn parse(text: &str, path: &Path) -> Result<PolicyFile, ConfigError> {
    toml::from_str(text)
        .map_err(|e| ConfigError::Syntax { path: path.into(), said: e.to_string().trim_end().to_owned() })
}

impl PolicyFile {
    fn replaced_by(self, over: Self) -> Self {
        Self {
            ticket: TicketLines {
                pattern: over.ticket.pattern.or(self.ticket.pattern),
                prefix: over.ticket.prefix.or(self.ticket.prefix),
                example: over.ticket.example.or(self.ticket.example),
                check: over.ticket.check.or(self.ticket.check),
            },
            limits: LimitLines {
                per_hour: over.limits.per_hour.or(self.limits.per_hour),
                per_day: over.limits.per_day.or(self.limits.per_day),
            },
            timers: TimerLines {
                conceal: over.timers.conceal.or(self.timers.conceal),
                drop: over.timers.drop.or(self.timers.drop),
                rotation_delay: over.timers.rotation_delay.or(self.timers.rotation_delay),
                uncertain_pause: over.timers.uncertain_pause.or(self.timers.uncertain_pause),
                watch_first: over.timers.watch_first.or(self.timers.watch_first),
                watch_longest: over.timers.watch_longest.or(self.timers.watch_longest),
                lock: over.timers.lock.or(self.timers.lock),
                index: over.timers.index.or(self.timers.index),
            },
            caller: CallerLines {
                claims_required: over.caller.claims_required.or(self.caller.claims_required),
                mask_facts: over.caller.mask_facts.or(self.caller.mask_facts),
            },
            output: OutputLines {
                print: over.output.print.or(self.output.print),
                copy: over.output.copy.or(self.output.copy),
            },
            pins: PinLines {
                tenants: over.pins.tenants.or(self.pins.tenants),
                authorities: over.pins.authorities.or(self.pins.authorities),
                graphs: over.pins.graphs.or(self.pins.graphs),
            },
            sign_in: SignInLines { ways: over.sign_in.ways.or(self.sign_in.ways) },
            proof: ProofLines { closes: over.proof.closes.or(self.proof.closes) },
            reason: over.reason.or(self.reason),
            verification: over.verification.or(self.verification),
        }
    }

    fn into_policy(self, path: &Path) -> Result<Policy, ConfigError> {
        self.check_proof(path)?;
        let missing = |line: &str| ConfigError::Value { path: path.into(), said: format!("{line} is missing") };
        let span = |line: Option<Span>, name: &str| line.map(|span| span.0).ok_or_else(|| missing(name));
        let pattern = self.ticket.pattern.ok_or_else(|| missing("ticket.pattern"))?;
        let prefix = self.ticket.prefix.unwrap_or_default();
        let example = self.ticket.example.unwrap_or_default();
        let ticket = TicketRule::new(&pattern, &prefix, &example)
            .map_err(|e| ConfigError::Value { path: path.into(), said: format!("ticket.pattern: {e}") })?;
        let reasons = self.reason.filter(|list| !list.is_empty()).ok_or_else(|| missing("[[reason]]"))?;
        let methods = self.verification.filter(|list| !list.is_empty()).ok_or_else(|| missing("[[verification]]"))?;
        if reasons.len().max(methods.len()) > 9 {
            return Err(ConfigError::Value {
                path: path.into(),
                said: "a list has at most nine lines: 1 to 9 choose".into(),
            });
        }
        Ok(Policy {
            ticket,
            ticket_check: self.ticket.check.unwrap_or_default(),
            reasons,
            methods,
            claims_required: self.caller.claims_required.unwrap_or(1),
            per_hour: self.limits.per_hour.ok_or_else(|| missing("limits.per_hour"))?,
            per_day: self.limits.per_day.ok_or_else(|| missing("limits.per_day"))?,
            conceal_after: span(self.timers.conceal, "timers.conceal")?,
            drop_after: span(self.timers.drop, "timers.drop")?,
            rotation_delay: span(self.timers.rotation_delay, "timers.rotation_delay")?,
            uncertain_pause: span(self.timers.uncertain_pause, "timers.uncertain_pause")?,
            watch_first: span(self.timers.watch_first, "timers.watch_first")?,
            watch_longest: span(self.timers.watch_longest, "timers.watch_longest")?,
            lock_after: span(self.timers.lock, "timers.lock")?,
            index_expires: span(self.timers.index, "timers.index")?,
            mask_facts: self.caller.mask_facts.unwrap_or(true),
            print: self.output.print.unwrap_or(Allowance::Never),
            copy: self.output.copy.unwrap_or(Allowance::Always),
            pins: Pins {
                tenants: self.pins.tenants.unwrap_or_default(),
                authorities: self.pins.authorities.unwrap_or_default().into_iter().map(|host| host.0).collect(),
                graphs: self.pins.graphs.unwrap_or_default().into_iter().map(|host| host.0).collect(),
            },
            ways: self
                .sign_in
                .ways
                .filter(|ways| !ways.is_empty())
                .ok_or_else(|| missing("sign_in.ways"))?
                .into_iter()
                .map(|way| way.0)
                .collect(),
            closes: self.proof.closes.unwrap_or(Proof::NewKeySeen),
        })
    }

    /// Nothing would obey a line that lets the lowest grade close a debt.
    fn check_proof(&self, path: &Path) -> Result<(), ConfigError> {
        if self.proof.closes == Some(Proof::Probable) {
            let said = "proof.closes: what is only \"probable\" always waits for a person; \
                        write \"new-key-seen\" or \"confirmed\"";
            return Err(ConfigError::Value { path: path.into(), said: said.into() });
        }
        Ok(())
    }

    /// Narrows `policy` by every line that is stricter here; a looser line changes nothing.
    fn tighten(&self, policy: &mut Policy, path: &Path) -> Result<(), ConfigError> {
        self.check_proof(path)?;
        if let Some(check) = &self.ticket.check
            && policy.ticket_check.is_empty()
        {
            policy.ticket_check.clone_from(check);
        }
        if let Some(pattern) = &self.ticket.pattern {
            policy
                .ticket
                .also(pattern)
                .map_err(|e| ConfigError::Value { path: path.into(), said: format!("policy.ticket.pattern: {e}") })?;
        }
        lower(&mut policy.per_hour, self.limits.per_hour);
        lower(&mut policy.per_day, self.limits.per_day);
        let timers = &self.timers;
        for (line, narrowed) in [
            (&mut policy.conceal_after, timers.conceal),
            (&mut policy.drop_after, timers.drop),
            (&mut policy.rotation_delay, timers.rotation_delay),
            (&mut policy.lock_after, timers.lock),
            (&mut policy.index_expires, timers.index),
            // To look more often is no freedom; a second is often enough.
            (&mut policy.watch_first, timers.watch_first.map(|span| Span(span.0.max(Duration::from_secs(1))))),
            (&mut policy.watch_longest, timers.watch_longest.map(|span| Span(span.0.max(Duration::from_secs(1))))),
        ] {
            lower(line, narrowed.map(|span| span.0));
        }
        policy.claims_required = policy.claims_required.max(self.caller.claims_required.unwrap_or(0));
        policy.mask_facts |= self.caller.mask_facts.unwrap_or(false);
        lower(&mut policy.print, self.output.print);
        lower(&mut policy.copy, self.output.copy);
        policy.closes = policy.closes.max(self.proof.closes.unwrap_or(policy.closes));
        if let Some(reasons) = &self.reason {
            policy.reasons.retain(|known| reasons.iter().any(|kept| kept.id == known.id));
        }
        if let Some(methods) = &self.verification {
            policy.methods.retain(|known| methods.iter().any(|kept| kept.id == known.id));
        }
        if policy.reasons.is_empty() || policy.methods.is_empty() {
            return Err(ConfigError::Value {
                path: path.into(),
                said: "the [policy] table leaves no reason or no way of verifying a caller".into(),
            });
        }
        Ok(())
    }
}

fn lower<T: Ord>(line: &mut T, narrowed: Option<T>) {
    if let Some(value) = narrowed
        && value < *line
    {
        *line = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_user(text: &str) -> Result<Policy, ConfigError> {
        let file = parse(text, Path::new("config.toml"))?;
        effective(None, Some((Path::new("config.toml"), &file)))
    }

    fn with_machine(text: &str) -> Result<Policy, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        std::fs::write(&path, text).unwrap();
        effective(Some(&path), None)
    }

    #[test]
    fn the_shipped_policy_stands_by_itself() {
        let policy = effective(None, None).unwrap();
        assert_eq!((policy.reasons.len(), policy.methods.len()), (8, 3));
        assert!(policy.print.holds(true) && !policy.print.holds(false));
    }

    #[test]
    fn a_machine_line_replaces_the_shipped_one_and_the_rest_stands() {
        let policy = with_machine("[limits]\nper_hour = 30\n").unwrap();
        assert_eq!((policy.per_hour, policy.per_day), (30, 40));
    }

    #[test]
    fn a_user_may_tighten_and_never_loosen() {
        let shipped = effective(None, None).unwrap();
        let loose = with_user(
            "[limits]\nper_hour = 99\n[timers]\nconceal = \"1h\"\n[output]\nprint = \"always\"\n[caller]\nclaims_required = 0\nmask_facts = false\n\
             [proof]\ncloses = \"new-key-seen\"",
        )
        .unwrap();
        assert_eq!(loose.digest(), shipped.digest());
        let strict =
            with_user("[limits]\nper_hour = 2\n[timers]\nconceal = \"30s\"\n[output]\nprint = \"never\"").unwrap();
        assert_eq!(
            (strict.per_hour, strict.conceal_after, strict.print),
            (2, Duration::from_secs(30), Allowance::Never)
        );
        assert_ne!(strict.digest(), shipped.digest());
    }

    #[test]
    fn a_typo_is_named_with_its_line() {
        let said = with_machine("[limits]\nper_huor = 3\n").unwrap_err().to_string();
        assert!(said.contains("line 2") && said.contains("per_huor"), "{said}");
        let said = with_machine("[timers]\nconceal = \"soon\"\n").unwrap_err().to_string();
        assert!(said.contains("line 2") && said.contains("soon"), "{said}");
    }

    #[test]
    fn what_is_only_probable_closes_no_debt_whoever_writes_it() {
        let line = "[proof]\ncloses = \"probable\"\n";
        for said in [with_machine(line).unwrap_err(), with_user(line).unwrap_err()].map(|error| error.to_string()) {
            assert!(said.ends_with("always waits for a person; write \"new-key-seen\" or \"confirmed\""), "{said}");
        }
        assert_eq!(with_machine("[proof]\ncloses = \"confirmed\"").unwrap().closes, Proof::Confirmed);
    }

    #[test]
    fn a_user_cannot_leave_the_desk_without_a_reason() {
        let said = with_user("[[reason]]\nid = \"other\"\nlabel = \"other\"").unwrap_err().to_string();
        assert!(said.contains("leaves no reason"), "{said}");
    }
}
