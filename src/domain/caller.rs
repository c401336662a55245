//! Who is calling: what the caller claims, compared with what is known, so that nobody is prompted with the answers.

use serde::{Deserialize, Serialize};

use super::{device::ManagedDevice, foreign::Foreign};

/// A fact the caller can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    Name,
    Model,
    Serial,
}

impl Fact {
    pub const ALL: [Self; 3] = [Self::Name, Self::Model, Self::Serial];

    pub fn label(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::Model => "Model",
            Self::Serial => "Serial",
        }
    }

    /// What Intune knows of it.
    fn known(self, device: &ManagedDevice) -> Vec<&Foreign> {
        let values = match self {
            Self::Name => vec![&device.owner, &device.owner_upn],
            Self::Model => vec![&device.model],
            Self::Serial => vec![&device.serial],
        };
        values.into_iter().filter(|value| !value.is_empty()).collect()
    }
}

/// How a claim compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compared {
    NotAsked,
    Match,
    Mismatch,
    /// Nothing is known to compare with.
    Unknown,
}

impl Compared {
    /// The mark and words beside the claim.
    pub fn words(self, fact: Fact) -> &'static str {
        match (self, fact) {
            (Self::NotAsked, _) => "not asked",
            (Self::Match, Fact::Name) => "match: the owner",
            (Self::Match, _) => "match",
            (Self::Mismatch, _) => "mismatch",
            (Self::Unknown, _) => "nothing known to compare with",
        }
    }
}

/// One claim as recorded: what was compared and how, never what the caller said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub fact: Fact,
    pub compared: Compared,
}

/// Compares `said` with what Intune knows of the device. Case, accents of spacing and punctuation do not count; for a name, both parts in
/// either order or the user name will do; for a model, its number alone; for a serial, at least its last four characters.
pub fn compare(fact: Fact, said: &str, devices: &[ManagedDevice]) -> Compared {
    let said_words = words(said);
    if said_words.is_empty() {
        return Compared::NotAsked;
    }
    let known: Vec<&Foreign> = devices.iter().flat_map(|device| fact.known(device)).collect();
    if known.is_empty() {
        return Compared::Unknown;
    }
    let matches = known.iter().any(|value| match fact {
        Fact::Name => is_same_name(&said_words, value.raw()),
        Fact::Model => is_same_model(&said_words, value.raw()),
        Fact::Serial => is_same_serial(&said_words, value.raw()),
    });
    if matches { Compared::Match } else { Compared::Mismatch }
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

fn is_same_name(said: &[String], known: &str) -> bool {
    let user_name = known.split('@').next().unwrap_or_default();
    let known = words(user_name);
    // At least two words, or all there is: "Mara" alone proves nothing about Mara Voss.
    said.len() >= known.len().min(2) && said.iter().all(|word| known.contains(word))
}

fn is_same_model(said: &[String], known: &str) -> bool {
    let known = words(known);
    let distinctive = said.iter().any(|word| word.chars().any(|c| c.is_ascii_digit())) || said.len() >= known.len();
    distinctive && said.iter().all(|word| known.contains(word))
}

fn is_same_serial(said: &[String], known: &str) -> bool {
    let said = said.concat();
    let known = words(known).concat();
    said == known || (said.chars().count() >= 4 && known.ends_with(&said))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::domain::device::{Compliance, DeviceId, ManagedDeviceId};

    fn laptop() -> ManagedDevice {
        ManagedDevice {
            id: ManagedDeviceId(uuid::Uuid::from_u128(1)),
            device: DeviceId(uuid::Uuid::from_u128(2)),
            name: "HVC-LT-0421".into(),
            serial: "7KQ2M".into(),
            model: "Latitude 5440".into(),
            owner: "Mara Voss".into(),
            owner_upn: "mara.voss@harborview.example".into(),
            checked_in: None,
            enrolled: None,
            compliance: Compliance::Compliant,
            encrypted: Some(true),
            rotation: None,
        }
    }

    #[rstest]
    #[case(Fact::Name, "mara voss", Compared::Match)]
    #[case(Fact::Name, "Voss, Mara", Compared::Match)]
    #[case(Fact::Name, "mara.voss", Compared::Match)]
    #[case(Fact::Name, "mara", Compared::Mismatch)]
    #[case(Fact::Name, "omar voss", Compared::Mismatch)]
    #[case(Fact::Model, "5440", Compared::Match)]
    #[case(Fact::Model, "dell latitude 5440", Compared::Mismatch)]
    #[case(Fact::Model, "latitude", Compared::Mismatch)]
    #[case(Fact::Model, "hp elitebook", Compared::Mismatch)]
    #[case(Fact::Serial, "7kq 2m", Compared::Match)]
    #[case(Fact::Serial, "kq2m", Compared::Match)]
    #[case(Fact::Serial, "2m", Compared::Mismatch)]
    #[case(Fact::Serial, "  ", Compared::NotAsked)]
    fn claims_are_compared_with_what_is_known(#[case] fact: Fact, #[case] said: &str, #[case] expected: Compared) {
        assert_eq!(compare(fact, said, &[laptop()]), expected);
    }

    #[test]
    fn without_an_intune_object_nothing_can_be_compared() {
        assert_eq!(compare(Fact::Name, "mara voss", &[]), Compared::Unknown);
    }

    #[test]
    fn an_empty_fact_is_unknown_rather_than_a_mismatch() {
        let mut device = laptop();
        device.serial = Foreign::default();
        assert_eq!(compare(Fact::Serial, "7KQ2M", &[device]), Compared::Unknown);
    }
}
