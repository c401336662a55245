//! Who is calling: what the caller claims, compared with what is known, so that nobody is prompted with the answers.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

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

    fn is_known(self, devices: &[ManagedDevice]) -> bool {
        devices.iter().any(|device| !self.known(device).is_empty())
    }
}

/// How a claim compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compared {
    NotAsked,
    Match,
    Mismatch,
    /// Nothing is known to compare with, whether the caller said something or not.
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

/// What there is to compare a caller's claims with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// At least one fact of the laptop.
    Facts,
    /// Intune has no object of it, or one that says nothing.
    Nothing,
    /// Intune could not be asked: what it knows is not known here.
    NotAsked,
}

impl Knowledge {
    pub fn of(devices: &[ManagedDevice]) -> Self {
        if Fact::ALL.iter().any(|fact| fact.is_known(devices)) { Self::Facts } else { Self::Nothing }
    }
}

/// Compares what the caller `said` of each fact with what Intune knows, and returns one claim a fact, in the same order. Where several
/// Intune objects answer to the device, all claims are held against one and the same: the one that agrees best.
///
/// A claim may differ in case, spacing, punctuation and the marks on Latin letters ("Muller" or "Mueller" for Müller). A name takes two
/// of its words in any order, or the user name; a model its number alone, where that has three digits or letters in it; a serial at least
/// its last four characters.
pub fn compare(said: &[(Fact, &str)], devices: &[ManagedDevice]) -> Vec<Claim> {
    let held_against = |device: &ManagedDevice| -> Vec<Claim> {
        let one = |&(fact, text): &(Fact, &str)| Claim { fact, compared: compare_one(fact, text, device, devices) };
        said.iter().map(one).collect()
    };
    let count = |claims: &[Claim], what: Compared| claims.iter().filter(|claim| claim.compared == what).count();
    let differs =
        |claims: &Vec<Claim>| (count(claims, Compared::Mismatch), said.len() - count(claims, Compared::Match));
    let unknown = || said.iter().map(|&(fact, _)| Claim { fact, compared: Compared::Unknown }).collect();
    devices.iter().map(held_against).min_by_key(differs).unwrap_or_else(unknown)
}

fn compare_one(fact: Fact, text: &str, device: &ManagedDevice, all: &[ManagedDevice]) -> Compared {
    let said = words(text);
    if !fact.is_known(all) {
        return Compared::Unknown;
    }
    if said.is_empty() {
        return Compared::NotAsked;
    }
    // A fact that only another object has is no match with this one.
    let is_same = |known: &&Foreign| match fact {
        Fact::Name => is_same_name(&said, known.raw()),
        Fact::Model => is_same_model(&said, known.raw()),
        Fact::Serial => is_same_serial(text, known.raw()),
    };
    if fact.known(device).iter().any(is_same) { Compared::Match } else { Compared::Mismatch }
}

/// A word as it is compared: in small letters, in each of its two spellings without marks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    /// "muller"
    bare: String,
    /// "mueller"
    spelled: String,
}

impl Word {
    fn is(&self, other: &Self) -> bool {
        self.bare == other.bare || self.bare == other.spelled || self.spelled == other.bare
    }

    fn has_digit(&self) -> bool {
        self.bare.contains(|c: char| c.is_ascii_digit())
    }

    /// One letter, as in "Mara J. Voss". A sign that is a whole name, as in Chinese, is none.
    fn is_initial(&self) -> bool {
        self.bare.len() == 1
    }
}

/// The words of `text`, each once.
fn words(text: &str) -> Vec<Word> {
    // Composed first, so that a mark never ends a word.
    let text: String = text.nfc().collect();
    let mut found: Vec<Word> = Vec::new();
    for part in text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()) {
        let lower = part.to_lowercase();
        let word = Word { bare: without_marks(&lower), spelled: without_marks(&umlauts_spelled(&lower)) };
        if !found.iter().any(|known| known.is(&word)) {
            found.push(word);
        }
    }
    found
}

/// Latin letters without their marks; marks on other scripts stay, where they make another letter.
fn without_marks(lower: &str) -> String {
    let mut out = String::with_capacity(lower.len());
    for c in lower.nfd() {
        match c {
            '\u{300}'..='\u{36f}' if out.ends_with(|base: char| base.is_ascii_alphabetic()) => {}
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'þ' => out.push_str("th"),
            'ø' => out.push('o'),
            'ł' => out.push('l'),
            'đ' | 'ð' => out.push('d'),
            'ı' => out.push('i'),
            _ => out.push(c),
        }
    }
    out
}

fn umlauts_spelled(lower: &str) -> String {
    lower.replace('ä', "ae").replace(['ö', 'ø'], "oe").replace('ü', "ue").replace('å', "aa")
}

fn all_in(said: &[Word], known: &[Word]) -> bool {
    said.iter().all(|word| known.iter().any(|other| other.is(word)))
}

fn is_same_name(said: &[Word], known: &str) -> bool {
    let user_name = known.split('@').next().unwrap_or_default();
    let known = words(user_name);
    let is_said = |word: &&Word| !word.is_initial() && said.iter().any(|other| other.is(word));
    // At least two words, or all there is: "Mara" alone proves nothing about Mara Voss.
    all_in(said, &known) && (known.iter().filter(is_said).count() >= 2 || all_in(&known, said))
}

fn is_same_model(said: &[Word], known: &str) -> bool {
    let known = words(known);
    // "5440" or "T14" tells a model; the 3 of "Gen 3" does not.
    let tells = |word: &Word| {
        let bare_number = word.bare.chars().all(|c| c.is_ascii_digit());
        word.has_digit() && (!bare_number || word.bare.len() >= 3)
    };
    all_in(said, &known) && (said.iter().any(tells) || all_in(&known, said))
}

fn is_same_serial(said: &str, known: &str) -> bool {
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let (said, known): (String, String) = (letters(said), letters(known));
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
    #[case::said_twice(Fact::Name, "mara mara", Compared::Mismatch)]
    fn claims_are_compared_with_what_is_known(#[case] fact: Fact, #[case] said: &str, #[case] expected: Compared) {
        assert_eq!(compare_with(fact, said, &[laptop()]), expected);
    }

    fn compare_with(fact: Fact, said: &str, devices: &[ManagedDevice]) -> Compared {
        compare(&[(fact, said)], devices)[0].compared
    }

    #[rstest]
    #[case("ThinkPad T14 Gen 3", "3", Compared::Mismatch)]
    #[case("ThinkPad T14 Gen 3", "gen 3", Compared::Mismatch)]
    #[case("ThinkPad T14 Gen 3", "t14", Compared::Match)]
    #[case("ThinkPad T14 Gen 3", "t14 gen 3", Compared::Match)]
    #[case("Surface Laptop 5", "5", Compared::Mismatch)]
    #[case("Surface Laptop 5", "surface laptop 5", Compared::Match)]
    #[case("EliteBook 840 G8", "840", Compared::Match)]
    fn a_bare_number_tells_a_model_only_with_three_digits(
        #[case] model: &str,
        #[case] said: &str,
        #[case] expected: Compared,
    ) {
        let device = ManagedDevice { model: model.into(), ..laptop() };
        assert_eq!(compare_with(Fact::Model, said, &[device]), expected);
    }

    #[rstest]
    #[case("Jörg Müller", "jorg muller", Compared::Match)]
    #[case("Jörg Müller", "Joerg Mueller", Compared::Match)]
    #[case("Joerg Mueller", "Jörg Müller", Compared::Match)]
    #[case("Jo\u{308}rg Mu\u{308}ller", "jörg müller", Compared::Match)]
    #[case("Jörg Müller", "muller mueller", Compared::Mismatch)]
    #[case("Renée Großmann", "renee grossmann", Compared::Match)]
    #[case("Søren Łukasz", "soren lukasz", Compared::Match)]
    #[case("Jörg Müller", "jorg miller", Compared::Mismatch)]
    #[case("がん 太郎", "かん 太郎", Compared::Mismatch)]
    fn marks_on_latin_letters_do_not_count(#[case] owner: &str, #[case] said: &str, #[case] expected: Compared) {
        let device = ManagedDevice { owner: owner.into(), owner_upn: "u7@x.example".into(), ..laptop() };
        assert_eq!(compare_with(Fact::Name, said, &[device]), expected);
    }

    #[rstest]
    #[case("mara voss", Compared::Match)]
    #[case("mara ellen", Compared::Match)]
    #[case("mara ellen voss", Compared::Match)]
    #[case("mara j", Compared::Mismatch)]
    #[case("mara ellen moss", Compared::Mismatch)]
    fn of_a_long_name_two_words_will_do(#[case] said: &str, #[case] expected: Compared) {
        let device = ManagedDevice { owner: "Mara Ellen J. Voss".into(), owner_upn: "".into(), ..laptop() };
        assert_eq!(compare_with(Fact::Name, said, &[device]), expected);
    }

    #[test]
    fn a_serial_is_compared_sign_by_sign_although_its_parts_repeat() {
        let device = ManagedDevice { serial: "1212-1212".into(), ..laptop() };
        assert_eq!(compare_with(Fact::Serial, "12 12 12 12", std::slice::from_ref(&device)), Compared::Match);
        assert_eq!(compare_with(Fact::Serial, "12", &[device]), Compared::Mismatch);
    }

    #[test]
    fn a_name_of_one_object_and_the_serial_of_another_are_a_mismatch() {
        let other = ManagedDevice {
            serial: "9ZZ9Z".into(),
            owner: "Omar Reyes".into(),
            owner_upn: "omar.reyes@harborview.example".into(),
            ..laptop()
        };
        let devices = [laptop(), other];
        let compared = |name: &str, serial: &str| -> Vec<Compared> {
            let claims = compare(&[(Fact::Name, name), (Fact::Serial, serial)], &devices);
            claims.into_iter().map(|claim| claim.compared).collect()
        };
        let mixed = compared("mara voss", "9zz9z");
        assert_eq!(mixed.iter().filter(|c| **c == Compared::Mismatch).count(), 1, "{mixed:?}");
        assert_eq!(compared("omar reyes", "9zz9z"), [Compared::Match, Compared::Match]);
        assert_eq!(compared("omar reyes", ""), [Compared::Match, Compared::NotAsked]);
    }

    #[test]
    fn a_fact_that_only_another_object_has_is_no_match_and_lowers_no_bar() {
        let nameless = ManagedDevice { owner: "".into(), owner_upn: "".into(), serial: "9ZZ9Z".into(), ..laptop() };
        let claims = compare(&[(Fact::Name, "mara voss"), (Fact::Serial, "9ZZ9Z")], &[nameless.clone(), laptop()]);
        assert!(claims.iter().any(|claim| claim.compared == Compared::Mismatch), "{claims:?}");
        let claims = compare(&[(Fact::Name, ""), (Fact::Serial, "9ZZ9Z")], &[nameless, laptop()]);
        assert_eq!(claims[0].compared, Compared::NotAsked);
    }

    #[test]
    fn without_an_intune_object_nothing_can_be_compared() {
        assert_eq!(compare_with(Fact::Name, "mara voss", &[]), Compared::Unknown);
        assert_eq!(Knowledge::of(&[]), Knowledge::Nothing);
        assert_eq!(Knowledge::of(&[laptop()]), Knowledge::Facts);
    }

    #[test]
    fn an_empty_fact_is_unknown_rather_than_a_mismatch() {
        let mut device = laptop();
        device.serial = Foreign::default();
        assert_eq!(compare_with(Fact::Serial, "7KQ2M", std::slice::from_ref(&device)), Compared::Unknown);
        assert_eq!(compare_with(Fact::Serial, "", &[device]), Compared::Unknown);
    }
}
