//! How hosts, lengths of time and choices are written in the files. Each error is raised where the value stands, so that it is told
//! with its line.

use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

use crate::domain::{
    connection::{Cloud, read_host},
    work::sign_in::Ways,
};

/// `https://login.microsoftonline.com`; see [`read_host`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host(pub Url);

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_host(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

/// One of a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<T>(pub T);

/// What a [`Word`] may stand for.
pub(super) trait Choice: Copy + 'static {
    const WHAT: &'static str;
    const ALL: &'static [Self];
    fn word(self) -> &'static str;
}

impl Choice for Cloud {
    const WHAT: &'static str = "cloud";
    const ALL: &'static [Self] = &Cloud::NAMED;
    fn word(self) -> &'static str {
        Cloud::word(self)
    }
}

impl Choice for Ways {
    const WHAT: &'static str = "way of signing in";
    const ALL: &'static [Self] = &Ways::ALL;
    fn word(self) -> &'static str {
        Ways::word(self)
    }
}

impl<'de, T: Choice> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::ALL.iter().find(|choice| choice.word() == text).copied().map(Self).ok_or_else(|| {
            let known: Vec<String> = T::ALL.iter().map(|choice| format!("{:?}", choice.word())).collect();
            D::Error::custom(format!("{text:?} is no {}; write {}", T::WHAT, known.join(" or ")))
        })
    }
}
