//! How a line is read, how a user may tighten it, and how it is shown: one rule for each kind of line.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use toml::Value;
use url::Url;

use super::{
    Allowance, Method, Proof, Reason,
    forwarding::{Facility, Syslog, When},
};
use crate::domain::{connection::read_host, ticket::TicketRule, work::sign_in::Way};

/// At most so many lines: 1 to 9 choose.
const LONGEST_LIST: usize = 9;
/// To look more often than this is no strictness.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// The rule of a line that holds a `T`.
pub(super) trait Rule<T> {
    /// The organisation's word.
    fn set(place: &mut T, value: &Value) -> Result<(), String>;
    /// A user's word: narrows or changes nothing.
    fn tighten(place: &mut T, value: &Value) -> Result<(), String>;
    fn show(place: &T) -> Value;
}

/// Something that stands behind the `=` of a line.
pub(super) trait Written: Sized {
    fn read(value: &Value) -> Result<Self, String>;
    fn write(&self) -> Value;
}

/// Read and written as serde does.
macro_rules! written_by_serde {
    ($($kind:ty),+) => { $(
        impl Written for $kind {
            fn read(value: &Value) -> Result<Self, String> {
                by_serde(value)
            }

            fn write(&self) -> Value {
                to_value(self)
            }
        }
    )+ };
}
written_by_serde!(u32, usize, bool, String, Allowance, Reason, Method, When, Facility);

fn by_serde<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value.clone()).map_err(|error| error.message().to_owned())
}

/// A number too large for TOML is written in words: it stands in no file.
fn to_value(of: &impl Serialize) -> Value {
    Value::try_from(of).unwrap_or_else(|error| Value::String(error.to_string()))
}

/// Nothing would obey a line that lets the lowest grade close a debt.
impl Written for Proof {
    fn read(value: &Value) -> Result<Self, String> {
        match by_serde(value)? {
            Self::Probable | Self::ByHand => Err("what is only \"probable\" always waits for a person; \
                                   write \"new-key-seen\" or \"confirmed\""
                .into()),
            proof => Ok(proof),
        }
    }

    fn write(&self) -> Value {
        to_value(self)
    }
}

/// "90s", "3m", "1h 30m", "30d". In whole milliseconds.
impl Written for Duration {
    fn read(value: &Value) -> Result<Self, String> {
        let said = || format!("{value} is no length of time; write \"90s\", \"3m\", \"1h 30m\" or \"30d\"");
        let span: jiff::Span = value.as_str().and_then(|text| text.parse().ok()).ok_or_else(said)?;
        let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| said())?;
        Self::try_from(length).map_err(|_| said())
    }

    fn write(&self) -> Value {
        const UNITS: [(u128, &str); 5] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
        let mut left = self.as_millis();
        let mut parts = Vec::new();
        for (length, unit) in UNITS {
            if left >= length {
                parts.push(format!("{}{unit}", left / length));
                left %= length;
            }
        }
        Value::String(if parts.is_empty() { "0s".into() } else { parts.join(" ") })
    }
}

impl Written for Url {
    fn read(value: &Value) -> Result<Self, String> {
        read_host(&String::read(value)?).map_err(|error| error.to_string())
    }

    fn write(&self) -> Value {
        Value::String(self.as_str().trim_end_matches('/').to_owned())
    }
}

/// `""` is none.
impl<T: Written> Written for Option<T> {
    fn read(value: &Value) -> Result<Self, String> {
        if value.as_str() == Some("") { Ok(None) } else { T::read(value).map(Some) }
    }

    fn write(&self) -> Value {
        self.as_ref().map_or_else(|| Value::String(String::new()), T::write)
    }
}

impl Written for Syslog {
    fn read(value: &Value) -> Result<Self, String> {
        Self::read(&String::read(value)?)
    }

    fn write(&self) -> Value {
        Value::String(self.to_string())
    }
}

impl Written for Way {
    fn read(value: &Value) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|way| value.as_str() == Some(way.word()));
        known.ok_or_else(|| format!("{value} is no way of signing in; write \"device-code\" or \"browser\""))
    }

    fn write(&self) -> Value {
        Value::String(self.word().into())
    }
}

impl<T: Written> Written for Vec<T> {
    fn read(value: &Value) -> Result<Self, String> {
        let list = value.as_array().ok_or_else(|| format!("{value} is no list; write [ … ]"))?;
        list.iter().map(T::read).collect()
    }

    fn write(&self) -> Value {
        Value::Array(self.iter().map(T::write).collect())
    }
}

/// One of a list that a user may shorten.
pub(super) trait Listed: Written {
    fn is(&self, other: &Self) -> bool;
}

impl Listed for Reason {
    fn is(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Listed for Method {
    fn is(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Listed for Way {
    fn is(&self, other: &Self) -> bool {
        self == other
    }
}

impl Listed for Url {
    fn is(&self, other: &Self) -> bool {
        self.write() == other.write()
    }
}

impl Listed for String {
    fn is(&self, other: &Self) -> bool {
        self.eq_ignore_ascii_case(other)
    }
}

/// The smaller is the stricter.
pub(super) struct AtMost;

impl AtMost {
    pub const USER_MAY: &str = "lower it";
}

impl<T: Written + Ord> Rule<T> for AtMost {
    fn set(place: &mut T, value: &Value) -> Result<(), String> {
        *place = T::read(value)?;
        Ok(())
    }

    fn tighten(place: &mut T, value: &Value) -> Result<(), String> {
        let wanted = T::read(value)?;
        if wanted < *place {
            *place = wanted;
        }
        Ok(())
    }

    fn show(place: &T) -> Value {
        place.write()
    }
}

/// The larger is the stricter.
pub(super) struct AtLeast;

impl AtLeast {
    pub const USER_MAY: &str = "raise it";
}

impl<T: Written + Ord> Rule<T> for AtLeast {
    fn set(place: &mut T, value: &Value) -> Result<(), String> {
        *place = T::read(value)?;
        Ok(())
    }

    fn tighten(place: &mut T, value: &Value) -> Result<(), String> {
        let wanted = T::read(value)?;
        if wanted > *place {
            *place = wanted;
        }
        Ok(())
    }

    fn show(place: &T) -> Value {
        place.write()
    }
}

/// A pause between two looks at Intune: the shorter, the sooner a debt is seen paid; never so short that it hammers.
pub(super) struct Pause;

impl Pause {
    pub const USER_MAY: &str = "lower it, to a second";
}

impl Rule<Duration> for Pause {
    fn set(place: &mut Duration, value: &Value) -> Result<(), String> {
        AtMost::set(place, value)
    }

    fn tighten(place: &mut Duration, value: &Value) -> Result<(), String> {
        let wanted = Duration::read(value)?.max(SHORTEST_PAUSE);
        *place = wanted.min(*place);
        Ok(())
    }

    fn show(place: &Duration) -> Value {
        place.write()
    }
}

/// What is neither strict nor loose: the organisation's alone.
pub(super) struct Fixed;

impl Fixed {
    pub const USER_MAY: &str = "not change it";
}

impl<T: Written> Rule<T> for Fixed {
    fn set(place: &mut T, value: &Value) -> Result<(), String> {
        *place = T::read(value)?;
        Ok(())
    }

    fn tighten(_: &mut T, value: &Value) -> Result<(), String> {
        T::read(value).map(drop)
    }

    fn show(place: &T) -> Value {
        place.write()
    }
}

/// Some of a list, never none. The organisation's words and order stand.
pub(super) struct Among;

impl Among {
    pub const USER_MAY: &str = "leave some out";
}

impl<T: Listed> Rule<Vec<T>> for Among {
    fn set(place: &mut Vec<T>, value: &Value) -> Result<(), String> {
        let list: Vec<T> = Vec::read(value)?;
        if list.is_empty() {
            return Err("the list is empty; without any, no key could be read".into());
        }
        if list.len() > LONGEST_LIST {
            return Err("the list has more than nine; 1 to 9 choose".into());
        }
        if list.iter().enumerate().any(|(n, one)| list[..n].iter().any(|other| other.is(one))) {
            return Err("one stands in the list twice".into());
        }
        *place = list;
        Ok(())
    }

    fn tighten(place: &mut Vec<T>, value: &Value) -> Result<(), String> {
        keep(place, &Vec::read(value)?)
    }

    fn show(place: &Vec<T>) -> Value {
        place.write()
    }
}

/// Of a list those that `wanted` names too.
fn keep<T: Listed>(list: &mut Vec<T>, wanted: &[T]) -> Result<(), String> {
    list.retain(|known| wanted.iter().any(|one| one.is(known)));
    if list.is_empty() {
        return Err("none of the organisation's is left; leave at least one".into());
    }
    Ok(())
}

/// What alone may be used; an empty list pins nothing.
pub(super) struct Pinned;

impl Pinned {
    pub const USER_MAY: &str = "pin what is not pinned, or leave some out";
}

impl<T: Listed> Rule<Vec<T>> for Pinned {
    fn set(place: &mut Vec<T>, value: &Value) -> Result<(), String> {
        *place = Vec::read(value)?;
        Ok(())
    }

    fn tighten(place: &mut Vec<T>, value: &Value) -> Result<(), String> {
        let kept: Vec<T> = Vec::read(value)?;
        match (place.is_empty(), kept.is_empty()) {
            (true, _) => *place = kept,
            (false, true) => {}
            (false, false) => keep(place, &kept)?,
        }
        Ok(())
    }

    fn show(place: &Vec<T>) -> Value {
        place.write()
    }
}

/// A program that must agree; a user may add one where the organisation has none.
pub(super) struct Demand;

impl Demand {
    pub const USER_MAY: &str = "add one where there is none";
}

impl Rule<Vec<String>> for Demand {
    fn set(place: &mut Vec<String>, value: &Value) -> Result<(), String> {
        *place = Vec::read(value)?;
        Ok(())
    }

    fn tighten(place: &mut Vec<String>, value: &Value) -> Result<(), String> {
        let wanted = Vec::read(value)?;
        if place.is_empty() {
            *place = wanted;
        }
        Ok(())
    }

    fn show(place: &Vec<String>) -> Value {
        place.write()
    }
}

/// What a ticket must match; a user's pattern must match besides.
pub(super) struct Pattern;

impl Pattern {
    pub const USER_MAY: &str = "demand a further one";
}

impl Rule<TicketRule> for Pattern {
    fn set(place: &mut TicketRule, value: &Value) -> Result<(), String> {
        let pattern = String::read(value)?;
        *place = TicketRule::new(&pattern, &place.prefix, &place.example).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn tighten(place: &mut TicketRule, value: &Value) -> Result<(), String> {
        place.also(&String::read(value)?).map_err(|error| error.to_string())
    }

    fn show(place: &TicketRule) -> Value {
        let mut patterns: Vec<Value> = place.patterns().map(|pattern| Value::String(pattern.to_owned())).collect();
        if patterns.len() == 1 { patterns.remove(0) } else { Value::Array(patterns) }
    }
}

/// Two texts that help with typing.
macro_rules! ticket_text {
    ($rule:ident, $field:ident) => {
        pub(super) struct $rule;

        impl $rule {
            pub const USER_MAY: &str = Fixed::USER_MAY;
        }

        impl Rule<TicketRule> for $rule {
            fn set(place: &mut TicketRule, value: &Value) -> Result<(), String> {
                Fixed::set(&mut place.$field, value)
            }

            fn tighten(place: &mut TicketRule, value: &Value) -> Result<(), String> {
                Fixed::tighten(&mut place.$field, value)
            }

            fn show(place: &TicketRule) -> Value {
                place.$field.write()
            }
        }
    };
}
ticket_text!(Prefix, prefix);
ticket_text!(Example, example);
