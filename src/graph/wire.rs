//! Reading what Graph writes. Tolerant: a field of another type, or missing, is not said; a date of the year one is none.

use std::fmt;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use url::Url;
use uuid::Uuid;

use crate::{
    domain::{
        foreign::{Foreign, printable},
        recovery_password::withheld,
        work::Report,
    },
    http::{Answer, read_id},
};

/// The longest error code that is kept.
const LONGEST_CODE: usize = 64;

/// One value of a row: text, number or truth, kept as text; anything else is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scalar(Option<String>);

impl Scalar {
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub fn foreign(self) -> Foreign {
        Foreign::new(self.0.unwrap_or_default())
    }

    pub fn guid(&self) -> Option<Uuid> {
        self.text()?.trim().parse().ok()
    }

    /// The zero GUID is Intune's and Entra's way of saying nothing.
    pub fn real_guid(&self) -> Option<Uuid> {
        self.guid().filter(|guid| !guid.is_nil())
    }

    pub fn truth(&self) -> Option<bool> {
        self.text()?.to_ascii_lowercase().parse().ok()
    }

    /// `None` for `0001-01-01` and `1601-01-01` too: both services write them where they know no time.
    pub fn time(&self) -> Option<Timestamp> {
        let time: Timestamp = self.text()?.trim().parse().ok()?;
        (time > Timestamp::UNIX_EPOCH).then_some(time)
    }

    pub fn int(&self) -> Option<i32> {
        self.text()?.trim().parse().ok()
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(Some(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar(Some(text)))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Scalar, E> {
        Ok(Scalar(Some(truth.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar(Some(number.to_string())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar(Some(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar(Some(number.to_string())))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar(None))
    }
}

/// A list that may be missing or `null`.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<Vec<T>>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// What is used of a refusal, whatever its body is: Graph's JSON, a proxy's page, nothing. The code may be empty and is fit for a
/// screen; the message is not used.
pub(super) fn refusal(answer: &Answer) -> Report {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let error = &body["error"];
    let code = error["code"].as_str().or(error.as_str()).unwrap_or_default();
    let inner = ["innerError", "innererror"].map(|name| error[name]["request-id"].as_str());
    let request_id = answer.request_id.clone().or_else(|| inner.into_iter().flatten().find_map(read_id));
    let code = printable(code);
    Report { code: withheld(&code).chars().take(LONGEST_CODE).collect(), request_id, ..(*answer.report).clone() }
}

/// What a query value may keep of punctuation: what `OData` needs read as it stands.
const QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The address with a query of these options, spaces as `%20`.
pub(super) fn with_query(mut url: Url, options: &[(&str, &str)]) -> Url {
    let query: Vec<String> =
        options.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, QUERY))).collect();
    url.set_query(Some(&query.join("&")));
    url
}

/// A string literal of `OData`: in single quotes, a single quote inside doubled.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn scalar(json: &str) -> Scalar {
        serde_json::from_str(json).unwrap()
    }

    #[rstest]
    #[case(r#""2020-06-15T13:45:30.0000000Z""#, true)]
    #[case(r#""2016-12-31T23:59:43.797191-08:00""#, true)]
    #[case(r#""0001-01-01T00:00:00Z""#, false)]
    #[case(r#""1601-01-01T00:00:00Z""#, false)]
    #[case(r#""String (timestamp)""#, false)]
    #[case(r#""99999-01-01T00:00:00Z""#, false)]
    #[case("17", false)]
    #[case("null", false)]
    #[case(r#"{"a":[1,{"b":null}]}"#, false)]
    fn a_time_that_says_nothing_is_none(#[case] json: &str, #[case] is_time: bool) {
        assert_eq!(scalar(json).time().is_some(), is_time);
    }

    #[test]
    fn a_field_of_another_type_is_not_said() {
        assert_eq!(scalar("[[[{}]]]"), Scalar(None));
        assert_eq!(scalar("-2144272166").int(), Some(-2_144_272_166));
        assert_eq!(scalar("99999999999").int(), None);
        assert_eq!(
            (scalar("true").truth(), scalar(r#""False""#).truth(), scalar("7").truth()),
            (Some(true), Some(false), None)
        );
        assert_eq!(scalar(r#""00000000-0000-0000-0000-000000000000""#).real_guid(), None);
    }

    fn answer(body: &str) -> Answer {
        Answer { request_id: None, ..Answer::of_test(500, body) }
    }

    #[rstest]
    #[case::both_spellings(r#"{"error":{"code":"A","innererror":{"request-id":"r"}}}"#, "A", Some("r"))]
    #[case::inner_error(r#"{"error":{"code":"","innerError":{"request-id":"r"}}}"#, "", Some("r"))]
    #[case::oauth(r#"{"error":"invalid_token"}"#, "invalid_token", None)]
    #[case::page("<html>proxy</html>", "", None)]
    #[case::empty("", "", None)]
    #[case::numbers(r#"{"error":{"code":7,"innerError":[]}}"#, "", None)]
    #[case::json_in_the_message(r#"{"error":{"code":"X","message":"{ \"_version\": 3 }"}}"#, "X", None)]
    fn an_error_body_of_any_kind_is_read(#[case] body: &str, #[case] code: &str, #[case] id: Option<&str>) {
        let refusal = refusal(&answer(body));
        assert_eq!((refusal.code.as_str(), refusal.request_id.as_deref()), (code, id));
    }

    #[test]
    fn a_code_from_outside_is_cut_and_written_out() {
        let body = format!(r#"{{"error":{{"code":"\u001b[2J{}"}}}}"#, "x".repeat(10_000));
        let code = refusal(&answer(&body)).code;
        assert!(code.starts_with("\\u{1b}") && code.chars().count() == LONGEST_CODE);
    }

    #[test]
    fn quotes_and_reserved_characters_stay_inside_their_literal() {
        let url: Url = "https://graph.example/v1.0/devices".parse().unwrap();
        let filter = format!("displayName eq {}", literal("O'Brien & Söhne #1+"));
        let url = with_query(url, &[("$filter", &filter), ("$count", "true")]);
        assert_eq!(
            url.query(),
            Some("$filter=displayName%20eq%20%27O%27%27Brien%20%26%20S%C3%B6hne%20%231%2B%27&$count=true")
        );
    }
}
