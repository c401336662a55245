//! Claims challenges: what Graph or Entra wants a token to say that ours does not (Continuous Access Evaluation, authentication contexts).
//!
//! Source: Entra `claims-challenge` and `app-resilience-continuous-access-evaluation`. A client that declares the capability `cp1` gets tokens
//! that live for up to 28 hours and, in exchange, `401` with the claims the next token must be asked for with.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Map, Value, json};

/// More than any challenge has; it goes into the next token request. In bytes.
const LONGEST: usize = 8 * 1024;
/// Deeper than any claims request; the merge walks it.
const DEEPEST: usize = 16;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// What the next token must be asked for with: the claims request of `OpenID` Connect Core 5.5, a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(Map<String, Value>);

impl Challenge {
    /// Reads the `WWW-Authenticate` header of a refusal. `None`: it demands no claims, or nothing that can be read.
    pub fn read(header: &str) -> Option<Self> {
        let mut claims = None;
        let mut demanded = false;
        let mut bearer = false;
        for part in Parts(header) {
            match part {
                Part::Scheme(scheme) => {
                    if demanded && claims.is_some() {
                        break;
                    }
                    bearer = scheme.eq_ignore_ascii_case("bearer");
                    (claims, demanded) = (None, false);
                }
                Part::Param(name, value) if bearer && name.eq_ignore_ascii_case("claims") => claims = Some(value),
                Part::Param(name, value) if bearer && name.eq_ignore_ascii_case("error") => {
                    demanded = value.eq_ignore_ascii_case("insufficient_claims");
                }
                Part::Param(..) => {}
            }
        }
        let text = claims.filter(|text| demanded && text.len() <= LONGEST * 2)?;
        Self::decode(&text)
    }

    /// Base64 with or without padding, in either alphabet, or the JSON itself.
    fn decode(text: &str) -> Option<Self> {
        if text.trim_start().starts_with('{') {
            return Self::from_json(text);
        }
        let plain = text.trim().trim_end_matches('=').replace('-', "+").replace('_', "/");
        Self::from_json(std::str::from_utf8(&BASE64.decode(plain).ok()?).ok()?)
    }

    /// The JSON as a refusal's body holds it.
    pub(super) fn from_json(json: &str) -> Option<Self> {
        if json.len() > LONGEST {
            return None;
        }
        match serde_json::from_str(json).ok()? {
            Value::Object(claims) if depth(&claims) <= DEEPEST => Some(Self(claims)),
            _ => None,
        }
    }

    pub(super) fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

/// The `claims` parameter of every token request: what this client can bear (`cp1`), and what was demanded. `fresh`: the id token is to say
/// when credentials were asked for, which nobody can take out of the page's address unseen.
pub(super) fn parameter(demanded: Option<&Challenge>, fresh: bool) -> String {
    let mut claims = json!({ "access_token": { "xms_cc": { "values": ["cp1"] } } });
    if fresh {
        claims["id_token"] = json!({ "auth_time": { "essential": true } });
    }
    if let Some(Challenge(demanded)) = demanded {
        merge(&mut claims, &Value::Object(demanded.clone()));
    }
    claims.to_string()
}

/// Objects are merged, lists united; anything else is as `demanded` says. `null`, "as you like" in a claims request, takes nothing away.
fn merge(ours: &mut Value, demanded: &Value) {
    match (ours, demanded) {
        (Value::Object(ours), Value::Object(demanded)) => {
            for (name, value) in demanded {
                merge(ours.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(ours), Value::Array(demanded)) => {
            let more = demanded.iter().filter(|value| !ours.contains(value)).cloned().collect::<Vec<_>>();
            ours.extend(more);
        }
        (_, Value::Null) => {}
        (ours, demanded) => demanded.clone_into(ours),
    }
}

fn depth(object: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Object(object) => depth(object),
            Value::Array(values) => 1 + values.iter().map(of).max().unwrap_or(0),
            _ => 0,
        }
    }
    1 + object.values().map(of).max().unwrap_or(0)
}

/// A piece of a `WWW-Authenticate` header (RFC 9110, 11.6.1): several challenges may stand in one.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Scheme(String),
    Param(String, String),
}

struct Parts<'a>(&'a str);

impl Iterator for Parts<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        let text = self.0.trim_start_matches([' ', '\t', ',']);
        let end = text.find([' ', '\t', ',', '=']).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        let value =
            rest.trim_start_matches([' ', '\t']).strip_prefix('=').map(|value| value.trim_start_matches([' ', '\t']));
        let Some(value) = value else {
            self.0 = rest;
            return (!word.is_empty()).then(|| Part::Scheme(word.to_owned()));
        };
        let end = value.find([' ', '\t', ',']).unwrap_or(value.len());
        let bare = || (value[..end].to_owned(), &value[end..]);
        let (value, rest) = value.strip_prefix('"').map_or_else(bare, unquote);
        self.0 = rest;
        Some(Part::Param(word.to_owned(), value))
    }
}

/// The text up to the closing quote, its escapes undone, and what follows.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// As the documentation shows it.
    const NBF: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#;

    fn header(claims: &str) -> String {
        format!(
            r#"Bearer realm="", authorization_uri="https://login.example/common/oauth2/authorize", error="insufficient_claims", claims="{claims}""#
        )
    }

    #[rstest]
    #[case::padded(STANDARD.encode(NBF))]
    #[case::unpadded(STANDARD_NO_PAD.encode(NBF))]
    #[case::url_safe(URL_SAFE.encode(NBF))]
    #[case::url_safe_unpadded(URL_SAFE_NO_PAD.encode(NBF))]
    #[case::plain(NBF.replace('"', "\\\""))]
    fn a_challenge_is_read_however_it_is_encoded(#[case] claims: String) {
        assert_eq!(Challenge::read(&header(&claims)).unwrap().to_json(), NBF);
    }

    #[test]
    fn a_challenge_is_found_among_others_and_however_it_is_spelled() {
        let claims = STANDARD.encode(NBF);
        for header in [
            format!("Negotiate, Basic realm=\"a, b\", {}", header(&claims)),
            format!("{}, PoP nonce=\"x\", error=\"invalid_token\"", header(&claims)),
            format!("bearer claims={claims},error=Insufficient_Claims"),
        ] {
            assert!(Challenge::read(&header).is_some(), "{header}");
        }
    }

    #[rstest]
    #[case::expired(r#"Bearer error="invalid_token", error_description="expired""#.to_owned())]
    #[case::another_error(format!(r#"Bearer error="invalid_token", claims="{}""#, STANDARD.encode(NBF)))]
    #[case::another_scheme(header(&STANDARD.encode(NBF)).replace("Bearer", "PoP"))]
    #[case::no_json(header(&STANDARD.encode("hello")))]
    #[case::no_object(header(&STANDARD.encode("[1]")))]
    #[case::no_base64(header("%%%"))]
    #[case::too_long(header(&STANDARD.encode(format!("{{\"a\":\"{}\"}}", "x".repeat(LONGEST)))))]
    #[case::too_deep(header(&STANDARD.encode(format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40)))))]
    fn what_demands_no_claims_is_none(#[case] header: String) {
        assert_eq!(Challenge::read(&header), None);
    }

    #[test]
    fn what_is_demanded_joins_what_this_client_can_bear() {
        let merged = |json: &str| -> Value {
            serde_json::from_str(&parameter(Challenge::from_json(json).as_ref(), false)).unwrap()
        };
        assert_eq!(parameter(None, false), r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#);
        let context = merged(r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}},"id_token":{"x":null}}"#);
        assert_eq!(context["access_token"]["acrs"]["value"], "c1");
        assert_eq!(context["access_token"]["xms_cc"]["values"], json!(["cp1"]));
        let both = merged(r#"{"access_token":{"xms_cc":{"values":["cp1","other"]}}}"#);
        assert_eq!(both["access_token"]["xms_cc"]["values"], json!(["cp1", "other"]));
        assert_eq!(merged(r#"{"access_token":null}"#)["access_token"]["xms_cc"]["values"], json!(["cp1"]));
    }

    proptest! {
        #[test]
        fn no_header_brings_it_down(header in ".{0,300}", claims in "[ -~]{0,80}") {
            let _ = Challenge::read(&header);
            let _ = Challenge::read(&self::header(&claims));
        }

        #[test]
        fn every_demanded_leaf_is_asked_for(name in "[a-z]{1,6}", value in "[a-z0-9]{0,8}") {
            let json = json!({ "access_token": { name.clone(): { "value": value.clone() } } }).to_string();
            let header = header(&URL_SAFE_NO_PAD.encode(json));
            let asked: Value = serde_json::from_str(&parameter(Challenge::read(&header).as_ref(), true)).unwrap();
            prop_assert_eq!(&asked["access_token"][name]["value"], &Value::String(value));
            prop_assert!(asked["access_token"]["xms_cc"]["values"][0] == "cp1");
            prop_assert!(asked["id_token"]["auth_time"]["essential"] == true);
        }
    }
}
