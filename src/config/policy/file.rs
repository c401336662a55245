//! A policy as a file writes it: lines of the table with their values, each checked where it stands.

use std::{collections::BTreeMap, fmt, path::Path};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use toml::Value;

use crate::{
    config::ConfigError,
    domain::policy::{LINES, Line},
};

/// The lines of a policy file, or of a `[policy]` table. Every line may be missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyFile(BTreeMap<&'static str, Value>);

impl PolicyFile {
    /// Parses a policy file; a typo is reported with its line.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::syntax(path, &error))
    }

    pub fn get(&self, line: &Line) -> Option<&Value> {
        self.0.get(line.name)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for PolicyFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut lines = BTreeMap::new();
        Table { before: "", lines: &mut lines }.deserialize(deserializer)?;
        Ok(Self(lines))
    }
}

/// A table of lines: the whole file, or the lines whose names begin with `before`.
struct Table<'a> {
    before: &'static str,
    lines: &'a mut BTreeMap<&'static str, Value>,
}

impl<'de> DeserializeSeed<'de> for Table<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Table<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of policy lines")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key { before: self.before })? {
            match key {
                Found::Line(line) => {
                    let value = map.next_value_seed(Checked(line))?;
                    self.lines.insert(line.name, value);
                }
                Found::Table(before) => map.next_value_seed(Table { before, lines: &mut *self.lines })?,
            }
        }
        Ok(())
    }
}

/// What a key names.
enum Found {
    Line(&'static Line),
    Table(&'static str),
}

struct Key {
    before: &'static str,
}

impl Key {
    /// The keys that may stand here.
    fn known(&self) -> impl Iterator<Item = (&'static str, Found)> {
        let before = self.before;
        LINES.iter().filter_map(move |line| match line.name.split_once('.') {
            Some((table, key)) if table == before => Some((key, Found::Line(line))),
            Some((table, _)) if before.is_empty() => Some((table, Found::Table(table))),
            None if before.is_empty() => Some((line.name, Found::Line(line))),
            _ => None,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        let written = String::deserialize(deserializer)?;
        self.known().find(|(key, _)| *key == written).map(|(_, found)| found).ok_or_else(|| {
            let mut known: Vec<String> = self.known().map(|(key, _)| format!("`{key}`")).collect();
            known.dedup();
            D::Error::custom(format!("unknown line `{written}`, expected {}", known.join(", ")))
        })
    }
}

/// A value that can stand in its line.
struct Checked(&'static Line);

impl<'de> DeserializeSeed<'de> for Checked {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let value = Value::deserialize(deserializer)?;
        self.0.check(&value).map_err(D::Error::custom)?;
        Ok(value)
    }
}
