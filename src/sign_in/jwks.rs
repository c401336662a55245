//! The keys that sign id tokens, as the authority publishes them (RFC 7517).

use jsonwebtoken::{
    Algorithm,
    jwk::{AlgorithmParameters, Jwk, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::SignInError;
use crate::http::{Http, Request};

/// Entra's key set is some twenty kilobytes. In bytes.
const LONGEST: usize = 512 * 1024;

/// A key set. Keys of kinds that nobody here can use are left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(Vec<Jwk>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl Keys {
    pub async fn fetch(http: &Http, url: &Url) -> Result<Self, SignInError> {
        let answer = http.send(&Request::get(url.clone()).limit(LONGEST)).await.map_err(SignInError::Unreachable)?;
        let odd = || SignInError::unexpected("it does not publish the keys that its answers are signed with");
        if !answer.is_success() {
            return Err(odd());
        }
        Self::read(&answer.body).ok_or_else(odd)
    }

    pub fn read(json: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(json).ok()?;
        let keys = document.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        Some(Self(keys.filter(signs).collect()))
    }

    /// The key a token names; where it names none, the only one there is.
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&Jwk> {
        let mut fitting = self.0.iter().filter(|key| fits(key, algorithm));
        match kid {
            Some(kid) => fitting.find(|key| key.common.key_id.as_deref() == Some(kid)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }
}

/// Whether the key is a public one, and not for encryption. A shared secret has no place in a published set.
fn signs(key: &Jwk) -> bool {
    let public = matches!(key.algorithm, AlgorithmParameters::RSA(_) | AlgorithmParameters::EllipticCurve(_));
    public && !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption))
}

fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    key.common.key_algorithm.is_none_or(|named| named.to_string() == format!("{algorithm:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &[u8] = br#"{"keys":[
        {"kty":"oct","kid":"secret","k":"c2VjcmV0"},
        {"kty":"AKP","kid":"newer","alg":"ML-DSA-65","pub":"x"},
        {"kty":"RSA","kid":"enc","use":"enc","n":"AQAB","e":"AQAB"},
        {"kty":"RSA","kid":"one","use":"sig","alg":"RS256","n":"AQAB","e":"AQAB","x5c":["x"],"issuer":"https://login.example/{tenantid}/v2.0"},
        {"kty":"RSA","kid":"two","n":"AQAB","e":"AQAB"},
        17]}"#;

    #[test]
    fn only_published_keys_that_sign_this_way_are_found() {
        let keys = Keys::read(SET).unwrap();
        let found = |kid, algorithm| keys.find(Some(kid), algorithm).is_some();
        assert!(found("one", Algorithm::RS256) && found("two", Algorithm::RS256) && found("two", Algorithm::PS256));
        assert!(
            !found("one", Algorithm::RS512) && !found("enc", Algorithm::RS256) && !found("secret", Algorithm::HS256)
        );
        assert!(keys.find(None, Algorithm::RS256).is_none(), "two could be meant");
        assert!(keys.find(None, Algorithm::RS512).is_some(), "only one can be meant");
    }

    #[test]
    fn what_is_no_key_set_is_none() {
        for odd in [&b""[..], b"[]", b"{}", b"{\"keys\":1}", b"<html>"] {
            assert!(Keys::read(odd).is_none());
        }
    }
}
