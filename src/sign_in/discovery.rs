//! Where to sign in: `OpenID` discovery, believed only as far as it stays with the authority that was configured.

use serde::Deserialize;
use url::Url;

use super::{SignInError, refusal};
use crate::{
    domain::{
        connection::{Connection, is_loopback},
        foreign::printable,
    },
    http::{Http, Request},
};

/// A discovery document is a few kilobytes. In bytes.
const LONGEST: usize = 256 * 1024;

/// Hosts that are one authority under several names. Source: Entra's national clouds and instance metadata.
const SAME: [&[&str]; 3] = [
    &["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
    &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    &["login.microsoftonline.us", "login.usgovcloudapi.net"],
];

/// The two endpoints a sign-in by code needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoints {
    pub device_code: Url,
    pub token: Url,
}

#[derive(Deserialize)]
struct Document {
    issuer: Url,
    token_endpoint: Url,
    device_authorization_endpoint: Option<Url>,
    msgraph_host: Option<String>,
}

/// What an authority says of itself, for whoever checks a desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// The Graph host of its cloud (`msgraph_host`), where it names one.
    pub graph_host: Option<String>,
}

/// Reads the discovery document and believes it as far as a sign-in would.
pub async fn discovered(http: &Http, connection: &Connection) -> Result<Discovered, SignInError> {
    let document = read(http, connection).await?;
    let graph_host = document.msgraph_host.as_deref().map(printable);
    check(document, connection)?;
    Ok(Discovered { graph_host })
}

pub(super) async fn discover(http: &Http, connection: &Connection) -> Result<Endpoints, SignInError> {
    check(read(http, connection).await?, connection)
}

async fn read(http: &Http, connection: &Connection) -> Result<Document, SignInError> {
    let answer = http.send(&Request::get(address(connection)).limit(LONGEST)).await;
    let answer = answer.map_err(SignInError::Unreachable)?;
    let report = Some(answer.report.clone());
    if !answer.is_success() {
        return Err(refusal::read(&answer.body, report.clone(), None).map_or_else(
            || SignInError::Unexpected {
                what: format!("{} does not say where to sign in (HTTP {}).", host(connection), answer.status),
                report,
            },
            |read| read.error,
        ));
    }
    serde_json::from_slice(&answer.body).map_err(|_| SignInError::Unexpected {
        what: format!("{} does not say where to sign in: its answer is no OpenID document.", host(connection)),
        report,
    })
}

fn address(connection: &Connection) -> Url {
    let mut url = connection.authority.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend([connection.tenant.as_str(), "v2.0", ".well-known", "openid-configuration"]);
    }
    url
}

fn check(document: Document, connection: &Connection) -> Result<Endpoints, SignInError> {
    let Some(device_code) = document.device_authorization_endpoint else {
        return Err(SignInError::unexpected(format!("{} offers no sign-in by code.", host(connection))));
    };
    for url in [&document.issuer, &document.token_endpoint, &device_code] {
        if !belongs(url, &connection.authority) {
            let elsewhere = url.host_str().unwrap_or_default();
            return Err(SignInError::unexpected(format!(
                "{} sends the sign-in to {elsewhere}. If that is right, make it the authority in the settings.",
                host(connection)
            )));
        }
    }
    Ok(Endpoints { device_code, token: document.token_endpoint })
}

fn belongs(url: &Url, authority: &Url) -> bool {
    if url.origin() == authority.origin() {
        return url.scheme() == "https" || is_loopback(url);
    }
    let known = |of: &Url, names: &[&str]| of.host_str().is_some_and(|host| names.contains(&host));
    url.scheme() == "https"
        && url.port().is_none()
        && SAME.iter().any(|names| known(url, names) && known(authority, names))
}

fn host(connection: &Connection) -> &str {
    connection.authority.host_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn connection(authority: &str) -> Connection {
        Connection {
            authority: authority.parse().unwrap(),
            graph: "https://graph.example".parse().unwrap(),
            tenant: "contoso.example".into(),
            client_id: "the-app".into(),
        }
    }

    fn document(issuer: &str, token: &str, device: Option<&str>) -> Document {
        Document {
            issuer: issuer.parse().unwrap(),
            token_endpoint: token.parse().unwrap(),
            device_authorization_endpoint: device.map(|url| url.parse().unwrap()),
            msgraph_host: None,
        }
    }

    #[rstest]
    #[case("https://login.example", "https://login.example/contoso.example/v2.0/.well-known/openid-configuration")]
    #[case("https://login.example/", "https://login.example/contoso.example/v2.0/.well-known/openid-configuration")]
    #[case("https://front.example/x", "https://front.example/x/contoso.example/v2.0/.well-known/openid-configuration")]
    fn discovery_stands_below_authority_and_tenant(#[case] authority: &str, #[case] url: &str) {
        assert_eq!(address(&connection(authority)).as_str(), url);
    }

    #[test]
    fn endpoints_with_paths_of_their_own_are_taken_as_named() {
        let said = document("https://login.example/x", "https://login.example/t", Some("https://login.example/dc"));
        let endpoints = check(said, &connection("https://login.example")).unwrap();
        assert_eq!((endpoints.token.path(), endpoints.device_code.path()), ("/t", "/dc"));
    }

    #[test]
    fn an_alias_of_the_same_cloud_is_accepted() {
        let there = "https://login.chinacloudapi.cn/t";
        let said = document("https://login.partner.microsoftonline.cn/x/v2.0", there, Some(there));
        assert!(check(said, &connection("https://login.chinacloudapi.cn")).is_ok());
    }

    #[rstest]
    #[case::token_elsewhere("https://login.example/", "https://evil.example/t", Some("https://login.example/dc"))]
    #[case::codes_elsewhere("https://login.example/", "https://login.example/t", Some("https://evil.example/dc"))]
    #[case::issuer_elsewhere("https://evil.example/", "https://login.example/t", Some("https://login.example/dc"))]
    #[case::in_the_clear("https://login.example/", "http://login.example/t", Some("https://login.example/dc"))]
    #[case::another_port("https://login.example/", "https://login.example:444/t", Some("https://login.example/dc"))]
    #[case::no_codes("https://login.example/", "https://login.example/t", None)]
    fn a_document_that_leads_elsewhere_is_refused(
        #[case] issuer: &str,
        #[case] token: &str,
        #[case] device: Option<&str>,
    ) {
        let refused = check(document(issuer, token, device), &connection("https://login.example"));
        assert!(matches!(refused, Err(SignInError::Unexpected { .. })));
    }
}
