//! The key with which the tenant signs its tokens. It is made at each start: tokens of an earlier run do not hold,
//! and their owners refresh.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::simulation::Error;

/// Length of the PKCS#8 wrapping before the PKCS#1 key of a 2048-bit RSA key (RFC 5208 around RFC 8017): the two long
/// sequence headers, version, algorithm and octet-string header have a fixed size.
const PKCS8_PREFIX: usize = 26;

pub struct SigningKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
    kid: String,
    modulus: String,
    exponent: String,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl SigningKey {
    pub fn generate() -> Result<Self, Error> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| Error::Signing)?;
        let modulus = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
        let exponent = pair.public_key().exponent().big_endian_without_leading_zero().to_vec();
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| Error::Signing)?;
        let private = pkcs8.as_ref().get(PKCS8_PREFIX..).ok_or(Error::Signing)?;
        let kid = URL_SAFE_NO_PAD.encode(&Sha256::digest(&modulus)[..20]);
        Ok(Self {
            encoding: EncodingKey::from_rsa_der(private),
            decoding: DecodingKey::from_rsa_raw_components(&modulus, &exponent),
            kid,
            modulus: URL_SAFE_NO_PAD.encode(&modulus),
            exponent: URL_SAFE_NO_PAD.encode(&exponent),
        })
    }

    /// The JSON Web Key Set that clients check signatures with.
    pub fn jwks(&self, issuer: &str) -> Value {
        json!({ "keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "x5t": self.kid,
            "n": self.modulus, "e": self.exponent, "issuer": issuer,
        }] })
    }

    /// Sign claims as a JWT (RS256).
    pub fn sign(&self, claims: &Value) -> Result<String, Error> {
        let header = Header {
            kid: Some(self.kid.clone()),
            x5t: Some(self.kid.clone()),
            typ: Some("JWT".to_owned()),
            ..Header::new(Algorithm::RS256)
        };
        encode(&header, claims, &self.encoding).map_err(|_| Error::Signing)
    }

    /// The claims of a token that this key signed. Time and audience are the caller's to check: they follow the
    /// simulated clock.
    pub fn claims(&self, token: &str) -> Option<Value> {
        let mut rules = Validation::new(Algorithm::RS256);
        rules.validate_exp = false;
        rules.validate_aud = false;
        decode::<Value>(token, &self.decoding, &rules).ok().map(|data| data.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_token_is_recognised_and_a_changed_one_is_not() {
        let key = SigningKey::generate().unwrap();
        let token = key.sign(&json!({ "exp": 5, "upn": "dana" })).unwrap();
        assert_eq!(key.claims(&token).unwrap()["upn"], "dana");
        let (rest, signature) = token.rsplit_once('.').unwrap();
        let other = SigningKey::generate().unwrap().sign(&json!({ "exp": 5, "upn": "dana" })).unwrap();
        let foreign = other.rsplit_once('.').unwrap().1;
        assert_ne!(signature, foreign);
        assert!(key.claims(&format!("{rest}.{foreign}")).is_none());
    }
}
