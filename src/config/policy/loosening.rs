//! No user loosens any line: the order of each line is written here a second time, apart from the rules, and held against files of every kind.

use std::collections::HashSet;

use proptest::{prelude::*, sample::subsequence, test_runner::TestRunner};

use super::{tests::MACHINE, *};

/// Whether a line that stood at the first value is no looser at the second.
type NoLooser = fn(&Value, &Value) -> bool;

/// What a file may say in a line, and its order. A line without one fails every test here.
fn line(name: &str) -> (BoxedStrategy<Value>, NoLooser) {
    match name {
        "limits.per_hour" | "limits.per_day" => (number(0..=60), at_most),
        "caller.claims_required" => (number(0..=4), |before, after| after.as_integer() >= before.as_integer()),
        "caller.mask_facts" => (any::<bool>().prop_map(Value::from).boxed(), |before, after| {
            before.as_bool() == Some(false) || after.as_bool() == Some(true)
        }),
        "timers.conceal"
        | "timers.drop"
        | "timers.rotation_delay"
        | "timers.lock"
        | "timers.index"
        | "timers.watch_first"
        | "timers.watch_longest" => (span(), |before, after| milliseconds(after) <= milliseconds(before)),
        "timers.uncertain_pause" => (span(), same),
        "output.print" | "output.copy" => (word(&["never", "simulation", "always"]), |before, after| {
            let rank = |value: &Value| ["never", "simulation", "always"].iter().position(|w| is(value, w)).unwrap();
            rank(after) <= rank(before)
        }),
        "proof.closes" => {
            (word(&["new-key-seen", "confirmed"]), |before, after| is(before, "new-key-seen") || is(after, "confirmed"))
        }
        "ticket.pattern" => (word(&["INC[0-9]{7}", "INC.*", ".*", "REQ-[0-9]+", "|.*", ")|(.*"]), |before, after| {
            let after = patterns(after);
            patterns(before).iter().all(|pattern| after.contains(pattern))
        }),
        "ticket.prefix" | "ticket.example" => (word(&["", "INC", "REQ-"]), same),
        "ticket.check" => (
            prop_oneof![Just(strings(&[])), Just(strings(&["true"])), Just(strings(&["check", "{ticket}"]))].boxed(),
            { |before, after| before.as_array().unwrap().is_empty() || before == after },
        ),
        "sign_in.ways" => (some_of(&["device-code", "browser"]).boxed(), fewer),
        "pins.tenants" => (some_of(&["a.example", "b.example", "c.example"]).boxed(), pinned),
        "pins.authorities" | "pins.graphs" => {
            (some_of(&["https://a", "https://b", "http://localhost:1"]).boxed(), pinned)
        }
        "forward.when" => {
            (word(&["after", "before-key"]), |before, after| is(before, "after") || is(after, "before-key"))
        }
        "forward.webhook" => (word(&["", "https://a/b", "http://localhost:1"]), same),
        "forward.token_env" | "forward.secret_env" | "forward.syslog_ca" => (word(&["", "A", "/b"]), same),
        "forward.syslog" => (word(&["", "local", "tls://a", "udp://b:1", "unix:///c"]), same),
        "forward.facility" => (word(&["audit", "auth", "local7"]), same),
        "reason" => (tables(&["id", "label"]), fewer),
        "verification" => (tables(&["id", "label", "short"]), fewer),
        other => panic!("{other} has no order here: say what is looser in this line"),
    }
}

fn number(range: std::ops::RangeInclusive<i64>) -> BoxedStrategy<Value> {
    range.prop_map(Value::from).boxed()
}

fn span() -> BoxedStrategy<Value> {
    word(&["0s", "1ms", "900ms", "1s", "90s", "2m", "30m", "1h 30m", "1d", "400d"])
}

fn word(words: &'static [&'static str]) -> BoxedStrategy<Value> {
    proptest::sample::select(words).prop_map(Value::from).boxed()
}

fn some_of(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    subsequence(words, 0..=words.len()).prop_shuffle().prop_map(|words| strings(&words))
}

fn strings(words: &[&str]) -> Value {
    Value::Array(words.iter().map(|word| Value::from(*word)).collect())
}

/// Some of three entries, under the organisation's words or others.
fn tables(keys: &'static [&'static str]) -> BoxedStrategy<Value> {
    let entry = move |(id, words): (&str, &str)| {
        let text = |key: &str| Value::from(if key == "id" { id } else { words });
        Value::Table(keys.iter().map(|key| ((*key).to_owned(), text(key))).collect())
    };
    let words = proptest::sample::select(&["its words", "their words"][..]);
    (subsequence(&["one", "two", "three"][..], 0..=3), words)
        .prop_map(move |(ids, words)| Value::Array(ids.into_iter().map(|id| entry((id, words))).collect()))
        .boxed()
}

fn at_most(before: &Value, after: &Value) -> bool {
    after.as_integer() <= before.as_integer()
}

fn same(before: &Value, after: &Value) -> bool {
    before == after
}

fn is(value: &Value, word: &str) -> bool {
    value.as_str() == Some(word)
}

/// Not empty, and nothing that was not there, word for word.
fn fewer(before: &Value, after: &Value) -> bool {
    let (before, after) = (before.as_array().unwrap(), after.as_array().unwrap());
    !after.is_empty() && after.iter().all(|one| before.contains(one))
}

fn pinned(before: &Value, after: &Value) -> bool {
    before.as_array().unwrap().is_empty() || fewer(before, after)
}

fn patterns(value: &Value) -> HashSet<&str> {
    value
        .as_array()
        .map_or_else(|| value.as_str().into_iter().collect(), |all| all.iter().filter_map(Value::as_str).collect())
}

/// Of "1d 2h 3m 4s 5ms".
fn milliseconds(value: &Value) -> u64 {
    let part = |part: &str| {
        let (digits, unit) = part.split_at(part.find(|c: char| c.is_ascii_alphabetic()).unwrap());
        let length = match unit {
            "d" => 86_400_000,
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1000,
            "ms" => 1,
            other => panic!("{other}"),
        };
        digits.parse::<u64>().unwrap() * length
    };
    value.as_str().unwrap().split(' ').map(part).sum()
}

/// Any file: each line there or not.
fn file() -> impl Strategy<Value = String> {
    let lines: Vec<_> = LINES.iter().map(|l| (Just(l.name), proptest::option::of(line(l.name).0))).collect();
    lines.prop_map(|lines| {
        let said = lines.into_iter().filter_map(|(name, value)| Some(format!("{name} = {}\n", value?)));
        said.collect::<String>()
    })
}

fn read(text: &str, path: &str) -> Option<PolicyFile> {
    PolicyFile::parse(text, Path::new(path)).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_user_loosens_any_line_whatever_the_organisation_says(organisation in file(), user in file()) {
        let (Some(organisation), Some(user)) = (read(&organisation, MACHINE), read(&user, "config.toml")) else {
            // An empty list is no file of either.
            return Ok(());
        };
        let machine = Some((Path::new(MACHINE), &organisation));
        // What waits for a collector that is not named is no policy.
        let Ok(before) = combine(machine, None) else { return Ok(()) };
        let Ok(after) = combine(machine, Some((Path::new("config.toml"), &user))) else { return Ok(()) };
        let after_policy = &after.policy;
        for (before, after) in before.lines.iter().zip(&after.lines) {
            let name = before.line.name;
            prop_assert!(line(name).1(&before.value, &after.value), "{name}: {} became {}", before.value, after.value);
            // What is in force is what is shown.
            prop_assert_eq!(after.line.show(after_policy), after.value.clone());
            if before.value == after.value {
                prop_assert_eq!(&before.from, &after.from);
            }
        }
    }
}

/// Else the test above would hold of a user who can do nothing at all.
#[test]
fn every_line_a_user_may_tighten_can_be_tightened() {
    let mut runner = TestRunner::deterministic();
    for line_of in LINES {
        let mut drawn = || line(line_of.name).0.new_tree(&mut runner).unwrap().current();
        let tightens = |organisation: Value, user: &Value| {
            // Only where there is a collector can anything wait for it.
            let more = if line_of.name == "forward.when" { "forward.webhook = \"https://a\"\n" } else { "" };
            let organisation = format!("{more}{} = {organisation}", line_of.name);
            let user = format!("{} = {user}", line_of.name);
            let (Some(organisation), Some(user)) = (read(&organisation, MACHINE), read(&user, "u")) else {
                return false;
            };
            let combined = combine(Some((Path::new(MACHINE), &organisation)), Some((Path::new("u"), &user)));
            combined.is_ok_and(|effective| effective.lines.iter().any(|entry| matches!(entry.from, Source::User(_))))
        };
        let is_fixed = line_of.user_may == "not change it";
        assert_ne!((0..200).any(|_| tightens(drawn(), &drawn())), is_fixed, "{line_of:?}");
    }
}
