//! Who signed in, from the id token. It comes straight from the token endpoint over TLS, which is what vouches for it (`OpenID` Connect Core
//! 3.1.3.7); what is checked here is that it speaks of this app and this tenant.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use uuid::Uuid;

use super::SignInError;
use crate::domain::{
    connection::Connection,
    foreign::Foreign,
    technician::{Technician, UserId},
};

/// Whom the session belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub technician: Option<Technician>,
    pub tenant: Option<Uuid>,
}

#[derive(Debug, Deserialize)]
struct Claims {
    aud: String,
    exp: i64,
    iat: Option<i64>,
    tid: Option<Uuid>,
    oid: Option<Uuid>,
    upn: Option<String>,
    preferred_username: Option<String>,
    name: Option<String>,
}

/// Reads the id token's claims.
pub(super) fn read(id_token: &str, connection: &Connection) -> Result<Identity, SignInError> {
    let odd = |what: &str| SignInError::unexpected(format!("The sign-in answer is odd: its id token {what}."));
    let mut parts = id_token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(odd("is no signed token"));
    };
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).map_err(|_| odd("cannot be decoded"))?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| odd("lacks what it must say"))?;
    if !claims.aud.eq_ignore_ascii_case(&connection.client_id) {
        return Err(odd("is meant for another app"));
    }
    if claims.iat.is_some_and(|issued| claims.exp <= issued) {
        return Err(odd("expires before it begins"));
    }
    let asked: Option<Uuid> = connection.tenant.parse().ok();
    if let (Some(asked), Some(said)) = (asked, claims.tid)
        && asked != said
    {
        return Err(odd("comes from another tenant"));
    }
    let upn = claims.upn.or(claims.preferred_username).unwrap_or_default();
    let technician = claims.oid.map(|oid| Technician {
        id: UserId(oid),
        name: Foreign::new(claims.name.unwrap_or_else(|| upn.clone())),
        upn: Foreign::new(upn),
    });
    Ok(Identity { technician, tenant: claims.tid.or(asked) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "11111111-2222-4333-8444-555555555555";

    fn connection() -> Connection {
        Connection {
            authority: "https://login.example".parse().unwrap(),
            graph: "https://graph.example".parse().unwrap(),
            tenant: TENANT.into(),
            client_id: "the-app".into(),
        }
    }

    fn token(claims: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims))
    }

    fn said(aud: &str, tid: &str, exp: i64) -> String {
        token(&format!(
            r#"{{"aud":"{aud}","tid":"{tid}","exp":{exp},"iat":1000,"oid":"22222222-2222-4333-8444-555555555555",
                "preferred_username":"dana@example.org","name":"Dana"}}"#
        ))
    }

    #[test]
    fn the_technician_is_read_from_the_id_token() {
        let identity = read(&said("the-app", TENANT, 2000), &connection()).unwrap();
        let technician = identity.technician.unwrap();
        assert_eq!((technician.upn.raw(), technician.name.raw()), ("dana@example.org", "Dana"));
        assert_eq!(identity.tenant.unwrap().to_string(), TENANT);
    }

    #[test]
    fn a_token_for_another_app_or_tenant_or_of_odd_shape_is_refused() {
        let other = "99999999-2222-4333-8444-555555555555";
        let odd = [
            said("another-app", TENANT, 2000),
            said("the-app", other, 2000),
            said("the-app", TENANT, 1000),
            token("{}"),
            token("[1,2]"),
            "a.b".into(),
            "a.!!!.c".into(),
            "....".into(),
            String::new(),
        ];
        for token in odd {
            assert!(matches!(read(&token, &connection()), Err(SignInError::Unexpected { .. })), "{token}");
        }
    }
}
