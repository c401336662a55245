//! Who signed in: the id token, believed once its signature, issuer, audience, times and nonce are (`OpenID` Connect Core 3.1.3.7).
//!
//! Times are compared with the token answer's own `Date`, and with this machine's clock only where the answer has none: the same service
//! stamped both, so a technician whose clock is two hours off still signs in, while a token that is old or not valid yet on the service's own
//! clock is refused. What is on the line is vouched for by TLS all the same; the signature is what a proxy that opens TLS cannot make.

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use uuid::Uuid;

use super::{SignInError, jwks::Keys};
use crate::domain::{
    connection::Connection,
    foreign::Foreign,
    technician::{Technician, UserId},
    work::sign_in::Way,
};

/// How far the clocks of a service may be apart.
const LEEWAY: SignedDuration = SignedDuration::from_mins(5);
/// More than any id token has, in bytes: what is measured before it is decoded.
const LONGEST: usize = 64 * 1024;
/// What a published key can sign with. Neither `none` nor a shared secret is among them.
const ALGORITHMS: [Algorithm; 8] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
];

/// "User", which everybody's token carries: no role.
const EVERY_USER: Uuid = Uuid::from_u128(0xb79f_bf4d_3ef9_4689_8143_76b1_94e8_5509);

/// Whom the session belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The issuer's own name for the person.
    pub subject: String,
    pub technician: Option<Technician>,
    pub tenant: Option<Uuid>,
    /// Template ids of the person's Entra directory roles, where the app registration has Entra say them.
    pub roles: Option<Vec<Uuid>>,
}

/// What the token must say.
#[derive(Clone, Debug)]
pub(super) struct Expected<'a> {
    pub connection: &'a Connection,
    /// As discovery names it; `{tenantid}` stands for the tenant of whoever signs in.
    pub issuer: &'a str,
    pub nonce: Option<&'a str>,
    /// On the service's clock.
    pub now: Timestamp,
    /// Credentials must have been asked for.
    pub fresh: Option<Fresh>,
    /// Whose session is renewed.
    pub subject: Option<&'a str>,
}

/// That credentials were asked for, and not taken over from an earlier sign-in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh {
    /// On the service's clock.
    pub since: Timestamp,
    /// How the person signed in.
    pub way: Way,
    /// A token that does not say when is not believed: whoever keeps to `OpenID` Connect says it where `max_age` was asked for. Entra
    /// documents it as a claim that an app registration may add, and a device code has nothing to ask with.
    pub must_say: bool,
}

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The key set is older than the key, perhaps.
    UnknownKey,
    /// Nobody was asked for credentials, or it does not say so, at a sign-in of this way that was to ask.
    NotFresh(Way),
    /// What is wrong with it: "is meant for another app".
    Odd(&'static str),
}

impl From<Doubt> for SignInError {
    fn from(doubt: Doubt) -> Self {
        let what = match doubt {
            Doubt::UnknownKey => "is signed with a key that the sign-in service does not publish",
            Doubt::Odd(what) => what,
            Doubt::NotFresh(way) => return Self::not_fresh(way),
        };
        Self::unexpected(format!("its id token {what}"))
    }
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    auth_time: Option<i64>,
    nonce: Option<String>,
    tid: Option<Uuid>,
    oid: Option<Uuid>,
    upn: Option<String>,
    preferred_username: Option<String>,
    name: Option<String>,
    /// Taken one by one: what is no GUID here is no reason to refuse a sign-in.
    wids: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Believes the token, or says why not.
pub(super) fn read(token: &str, keys: &Keys, expected: &Expected<'_>) -> Result<Identity, Doubt> {
    let claims = verified(token, keys)?;
    check_parties(&claims, expected)?;
    check_times(&claims, expected)?;
    if expected.nonce.is_some() && claims.nonce.as_deref() != expected.nonce {
        return Err(Doubt::Odd("answers another sign-in than this one"));
    }
    if expected.subject.is_some_and(|subject| subject != claims.sub) {
        return Err(Doubt::Odd("belongs to somebody else than this session"));
    }
    let tenant = claims.tid.or_else(|| expected.connection.tenant.parse().ok());
    let upn = claims.upn.or(claims.preferred_username).unwrap_or_default();
    let technician = claims.oid.map(|oid| Technician {
        id: UserId(oid),
        name: Foreign::new(claims.name.unwrap_or_else(|| upn.clone())),
        upn: Foreign::new(upn),
    });
    let roles = claims.wids.as_ref().and_then(serde_json::Value::as_array).map(|roles| {
        roles.iter().filter_map(|role| role.as_str()?.parse().ok()).filter(|role| *role != EVERY_USER).collect()
    });
    Ok(Identity { subject: claims.sub, technician, tenant, roles })
}

/// The claims, once the signature holds.
fn verified(token: &str, keys: &Keys) -> Result<Claims, Doubt> {
    if token.len() > LONGEST {
        return Err(Doubt::Odd("is longer than any"));
    }
    let header = decode_header(token).map_err(|_| Doubt::Odd("is no signed token"))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Doubt::Odd("is signed in a way that proves nothing"));
    }
    let key = keys.find(header.kid.as_deref(), header.alg).ok_or(Doubt::UnknownKey)?;
    let key = DecodingKey::from_jwk(key).map_err(|_| Doubt::Odd("is signed with a key that cannot be read"))?;
    let mut rules = Validation::new(header.alg);
    // The crate knows this machine's clock only, and takes each claim by itself: they are checked here.
    (rules.validate_exp, rules.validate_nbf, rules.validate_aud) = (false, false, false);
    rules.required_spec_claims.clear();
    decode::<Claims>(token, &key, &rules).map(|data| data.claims).map_err(|error| {
        Doubt::Odd(match error.kind() {
            jsonwebtoken::errors::ErrorKind::Json(_) => "lacks what it must say",
            _ => "has a signature that does not hold",
        })
    })
}

/// From whom and for whom it is.
fn check_parties(claims: &Claims, expected: &Expected<'_>) -> Result<(), Doubt> {
    let app = expected.connection.client_id.as_str();
    let for_us = match &claims.aud {
        Audience::One(audience) => audience.eq_ignore_ascii_case(app),
        Audience::Several(all) => {
            let party = claims.azp.as_deref().or_else(|| all.first().map(String::as_str).filter(|_| all.len() == 1));
            all.iter().any(|audience| audience.eq_ignore_ascii_case(app))
                && party.is_some_and(|party| party.eq_ignore_ascii_case(app))
        }
    };
    if !for_us {
        return Err(Doubt::Odd("is meant for another app"));
    }
    let issuer = match claims.tid {
        Some(tenant) => expected.issuer.replace("{tenantid}", &tenant.to_string()),
        None => expected.issuer.to_owned(),
    };
    if claims.iss != issuer {
        return Err(Doubt::Odd("comes from another issuer"));
    }
    let asked: Option<Uuid> = expected.connection.tenant.parse().ok();
    if let (Some(asked), Some(said)) = (asked, claims.tid)
        && asked != said
    {
        return Err(Doubt::Odd("comes from another tenant"));
    }
    Ok(())
}

fn check_times(claims: &Claims, expected: &Expected<'_>) -> Result<(), Doubt> {
    let at = |seconds: i64| Timestamp::from_second(seconds).map_err(|_| Doubt::Odd("has a time that no calendar has"));
    if expected.now.duration_since(at(claims.exp)?) > LEEWAY {
        return Err(Doubt::Odd("has expired"));
    }
    for begins in [claims.nbf, claims.iat].into_iter().flatten() {
        if at(begins)?.duration_since(expected.now) > LEEWAY {
            return Err(Doubt::Odd("is not valid yet"));
        }
    }
    match (expected.fresh, claims.auth_time) {
        (Some(fresh), Some(asked)) if fresh.since.duration_since(at(asked)?) > LEEWAY => {
            Err(Doubt::NotFresh(fresh.way))
        }
        (Some(Fresh { must_say: true, way, .. }), None) => Err(Doubt::NotFresh(way)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{super::test_tenant::Signer, *};

    const TENANT: &str = "11111111-2222-4333-8444-555555555555";
    const NOW: i64 = 1_800_000_000;

    fn connection(tenant: &str) -> Connection {
        Connection {
            authority: "https://login.example".parse().unwrap(),
            graph: "https://graph.example".parse().unwrap(),
            tenant: tenant.into(),
            client_id: "the-app".into(),
        }
    }

    fn claims() -> Value {
        json!({
            "iss": format!("https://login.example/{TENANT}/v2.0"), "sub": "dana-here", "aud": "the-app", "tid": TENANT,
            "iat": NOW, "nbf": NOW, "exp": NOW + 3600, "nonce": "n-1",
            "oid": "22222222-2222-4333-8444-555555555555", "preferred_username": "dana@example.org", "name": "Dana"
        })
    }

    fn read_at(token: &str, now: i64, tenant: &str) -> Result<Identity, Doubt> {
        let expected = Expected {
            connection: &connection(tenant),
            issuer: "https://login.example/{tenantid}/v2.0",
            nonce: Some("n-1"),
            now: Timestamp::from_second(now).unwrap(),
            fresh: None,
            subject: None,
        };
        read(token, &Signer::of_test().keys(), &expected)
    }

    fn signed(claims: &Value) -> String {
        Signer::of_test().sign(claims)
    }

    #[test]
    fn the_technician_is_read_from_the_id_token() {
        let identity = read_at(&signed(&claims()), NOW, TENANT).unwrap();
        let technician = identity.technician.unwrap();
        assert_eq!((technician.upn.raw(), technician.name.raw()), ("dana@example.org", "Dana"));
        assert_eq!((identity.tenant.unwrap().to_string().as_str(), identity.subject.as_str()), (TENANT, "dana-here"));
    }

    #[rstest]
    #[case::not_said(Value::Null, None)]
    #[case::a_user_without_a_role(json!(["b79fbf4d-3ef9-4689-8143-76b194e85509"]), Some(vec![]))]
    #[case::a_helpdesk(
        json!(["729827e3-9c14-49f7-bb1b-9608f156bbb8", "b79fbf4d-3ef9-4689-8143-76b194e85509", "odd", 7]),
        Some(vec!["729827e3-9c14-49f7-bb1b-9608f156bbb8"])
    )]
    #[case::something_else(json!("odd"), None)]
    fn roles_are_taken_where_the_token_says_them_and_refuse_nobody(
        #[case] wids: Value,
        #[case] expected: Option<Vec<&str>>,
    ) {
        let mut claims = claims();
        claims["wids"] = wids;
        let identity = read_at(&signed(&claims), NOW, TENANT).unwrap();
        let expected = expected.map(|ids| ids.into_iter().map(|id| id.parse().unwrap()).collect());
        assert_eq!(identity.roles, expected);
    }

    #[rstest]
    #[case::another_app("aud", json!("another-app"), "another app")]
    #[case::several_apps("aud", json!(["the-app", "another"]), "another app")]
    #[case::another_tenant_of_ours("tid", json!("99999999-2222-4333-8444-555555555555"), "another issuer")]
    #[case::no_tenant("tid", Value::Null, "another issuer")]
    #[case::another_issuer("iss", json!("https://login.example/v2.0"), "another issuer")]
    #[case::expired("exp", json!(NOW - 301), "expired")]
    #[case::not_yet("nbf", json!(NOW + 301), "not valid yet")]
    #[case::issued_tomorrow("iat", json!(NOW + 86_400), "not valid yet")]
    #[case::no_such_time("exp", json!(i64::MAX), "no calendar")]
    #[case::another_nonce("nonce", json!("n-2"), "another sign-in")]
    #[case::no_nonce("nonce", Value::Null, "another sign-in")]
    #[case::nobody("sub", Value::Null, "lacks")]
    fn a_token_that_says_something_else_is_refused(#[case] claim: &str, #[case] value: Value, #[case] why: &str) {
        let mut claims = claims();
        claims[claim] = value;
        let Err(Doubt::Odd(said)) = read_at(&signed(&claims), NOW, TENANT) else { panic!("believed") };
        assert!(said.contains(why), "{said}");
    }

    #[test]
    fn several_audiences_are_fine_where_the_token_was_issued_to_us() {
        let mut claims = claims();
        claims["aud"] = json!(["another", "the-app"]);
        claims["azp"] = json!("the-app");
        assert!(read_at(&signed(&claims), NOW, TENANT).is_ok());
    }

    #[test]
    fn through_a_common_address_any_tenant_may_come_and_a_named_one_only_itself() {
        let mut claims = claims();
        let other = "99999999-2222-4333-8444-555555555555";
        (claims["tid"], claims["iss"]) = (json!(other), json!(format!("https://login.example/{other}/v2.0")));
        assert!(read_at(&signed(&claims), NOW, "organizations").is_ok());
        assert_eq!(read_at(&signed(&claims), NOW, TENANT), Err(Doubt::Odd("comes from another tenant")));
    }

    #[test]
    fn a_session_that_is_renewed_stays_its_owners() {
        let connection = connection(TENANT);
        let expected = |subject| Expected {
            connection: &connection,
            issuer: "https://login.example/{tenantid}/v2.0",
            nonce: None,
            now: Timestamp::from_second(NOW).unwrap(),
            fresh: None,
            subject: Some(subject),
        };
        let (token, keys) = (signed(&claims()), Signer::of_test().keys());
        assert!(read(&token, &keys, &expected("dana-here")).is_ok());
        assert!(read(&token, &keys, &expected("somebody")).is_err());
    }

    #[test]
    fn a_sign_in_that_was_to_ask_for_a_password_did_so() {
        let fresh = |auth_time: Value, must_say: bool| {
            let mut claims = claims();
            claims["auth_time"] = auth_time;
            let now = Timestamp::from_second(NOW).unwrap();
            let expected = Expected {
                connection: &connection(TENANT),
                issuer: "https://login.example/{tenantid}/v2.0",
                nonce: None,
                now,
                fresh: Some(Fresh { since: now, way: Way::Browser, must_say }),
                subject: None,
            };
            read(&signed(&claims), &Signer::of_test().keys(), &expected)
        };
        assert!(fresh(json!(NOW), true).is_ok() && fresh(Value::Null, false).is_ok());
        assert!(fresh(Value::Null, true).is_err());
        assert!(fresh(json!(NOW - 3600), true).is_err() && fresh(json!(NOW - 3600), false).is_err());
    }

    #[test]
    fn a_signature_that_does_not_hold_is_refused_however_it_came_about() {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
        let token = signed(&claims());
        let parts: Vec<&str> = token.split('.').collect();
        let odd = |text: &str| matches!(read_at(text, NOW, TENANT), Err(Doubt::Odd(_)));
        let mut forged = claims();
        forged["oid"] = json!("33333333-2222-4333-8444-555555555555");
        let forged = BASE64.encode(forged.to_string());
        assert!(odd(&format!("{}.{forged}.{}", parts[0], parts[2])), "other claims under the signature");
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"none","kid":"test"}"#, r#"{"alg":"None","kid":"test"}"#] {
            assert!(odd(&format!("{}.{}.", BASE64.encode(header), parts[1])), "{header}");
        }
        let secret = jsonwebtoken::EncodingKey::from_secret(Signer::of_test().public().as_bytes());
        let header = jsonwebtoken::Header { kid: Some("test".into()), ..jsonwebtoken::Header::new(Algorithm::HS256) };
        assert!(odd(&jsonwebtoken::encode(&header, &claims(), &secret).unwrap()), "the public key as a secret");
        assert!(odd("") && odd("...") && odd("a.b.c") && odd(&"x".repeat(LONGEST + 1)));
        let stranger = Signer::named("stranger").sign(&claims());
        assert_eq!(read_at(&stranger, NOW, TENANT), Err(Doubt::UnknownKey));
        let namesake = Signer::named("test").sign(&claims());
        assert!(odd(&namesake), "another key under a known name");
    }

    proptest! {
        #[test]
        fn no_text_brings_it_down(text in ".{0,200}", payload in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(read_at(&text, NOW, TENANT).is_err());
            let claims = String::from_utf8_lossy(&payload).into_owned();
            prop_assert!(read_at(&signed(&json!(claims)), NOW, TENANT).is_err());
        }

        #[test]
        fn a_token_holds_from_its_beginning_to_its_end_and_a_little_around(ago in -4_000_i64..8_000) {
            let believed = read_at(&signed(&claims()), NOW + ago, TENANT).is_ok();
            prop_assert_eq!(believed, (-300..=3_900).contains(&ago));
        }
    }
}
