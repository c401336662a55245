//! Where to sign in: `OpenID` discovery, believed only as far as it stays with the authority that was configured.

use serde::Deserialize;
use url::Url;

use super::{SignInError, refusal, refusal::Refusal};
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

/// Graph hosts that `msgraph_host` may not tell apart: nobody has published what it says in the US Government clouds.
const GRAPHS_ALIKE: [&str; 2] = ["graph.microsoft.us", "dod-graph.microsoft.us"];

/// Where each part of a sign-in goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoints {
    /// As its tokens name it; may hold `{tenantid}`.
    pub issuer: String,
    pub authorize: Option<Url>,
    pub device_code: Option<Url>,
    pub token: Url,
    pub keys: Url,
    /// Whether the page can be asked to let a person choose among accounts.
    pub selects_account: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<Url>,
    token_endpoint: Url,
    device_authorization_endpoint: Option<Url>,
    jwks_uri: Url,
    msgraph_host: Option<String>,
    /// Missing: whatever the standard names.
    prompt_values_supported: Option<Vec<String>>,
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
                what: format!("{} does not say where to sign in (HTTP {})", host(connection), answer.status),
                report,
            },
            |read| read.error,
        ));
    }
    serde_json::from_slice(&answer.body).map_err(|_| SignInError::Unexpected {
        what: format!("{} does not say where to sign in: its answer is no OpenID document", host(connection)),
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
    let odd = || SignInError::unexpected(format!("{} does not say who it is", host(connection)));
    let issuer = Url::parse(&document.issuer).map_err(|_| odd())?;
    let named = [Some(&issuer), Some(&document.token_endpoint), Some(&document.jwks_uri)].into_iter();
    let ways = [document.authorization_endpoint.as_ref(), document.device_authorization_endpoint.as_ref()];
    for url in named.chain(ways).flatten() {
        if !belongs(url, &connection.authority) {
            let elsewhere = url.host_str().unwrap_or_default();
            return Err(settings(
                format!("{} sends the sign-in to {}.", host(connection), printable(elsewhere)),
                "If that is right, make it the authority in the settings. If not, report it.".into(),
            ));
        }
    }
    if let Some(named) = document.msgraph_host.as_deref().filter(|named| !named.is_empty()) {
        check_graph(named, connection)?;
    }
    let prompts = document.prompt_values_supported;
    Ok(Endpoints {
        issuer: document.issuer,
        authorize: document.authorization_endpoint,
        device_code: document.device_authorization_endpoint,
        token: document.token_endpoint,
        keys: document.jwks_uri,
        selects_account: prompts.is_none_or(|known| known.iter().any(|prompt| prompt == "select_account")),
    })
}

/// The tenant's own Graph host against the settings': tokens are sent there.
fn check_graph(named: &str, connection: &Connection) -> Result<(), SignInError> {
    let of = |url: &Url| match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let ours = of(&connection.graph);
    let alike = GRAPHS_ALIKE.contains(&ours.as_str()) && GRAPHS_ALIKE.contains(&named.to_ascii_lowercase().as_str());
    // A front that stands before both hands on what the authority behind it says of itself.
    let one_front = !is_known(&connection.authority) && ours == of(&connection.authority);
    if named.eq_ignore_ascii_case(&ours) || alike || one_front {
        return Ok(());
    }
    let named = printable(named);
    Err(settings(
        format!("This tenant's Graph is at {named}, and the settings say {ours}."),
        format!("Set the cloud that the tenant lives in, or graph = \"https://{named}\", in the settings."),
    ))
}

/// Something in the settings is not right.
fn settings(happened: String, next: String) -> SignInError {
    SignInError::Refused(Box::new(Refusal { happened, next, ..Refusal::default() }))
}

/// Whether the authority is one of Microsoft's.
fn is_known(authority: &Url) -> bool {
    authority.host_str().is_some_and(|host| SAME.iter().any(|names| names.contains(&host)))
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
            issuer: issuer.into(),
            authorization_endpoint: None,
            token_endpoint: token.parse().unwrap(),
            device_authorization_endpoint: device.map(|url| url.parse().unwrap()),
            jwks_uri: format!("{}/keys", token.rsplit_once('/').unwrap().0).parse().unwrap(),
            msgraph_host: None,
            prompt_values_supported: None,
        }
    }

    /// What the settings are refused with, where the tenant names this Graph host.
    fn refused_graph(authority: &str, graph: &str, named: &str) -> Option<String> {
        let mut connection = connection(authority);
        connection.graph = graph.parse().unwrap();
        let mut said = document(authority, &format!("{authority}/t"), None);
        said.msgraph_host = Some(named.into());
        check(said, &connection).err().map(|error| error.to_string())
    }

    #[test]
    fn the_graph_of_another_cloud_is_refused_with_both_names() {
        let said =
            refused_graph("https://login.microsoftonline.com", "https://graph.microsoft.com", "graph.microsoft.us");
        let said = said.unwrap();
        assert!(said.contains("graph.microsoft.us, and the settings say graph.microsoft.com"), "{said}");
        assert!(said.contains("graph = \"https://graph.microsoft.us\""), "{said}");
    }

    #[rstest]
    #[case::the_same("https://login.microsoftonline.com", "https://graph.microsoft.com", "Graph.microsoft.com")]
    #[case::missing("https://login.microsoftonline.com", "https://graph.microsoft.com", "")]
    #[case::l5_behind_l4("https://login.microsoftonline.us", "https://dod-graph.microsoft.us", "graph.microsoft.us")]
    #[case::l4_behind_l5("https://login.microsoftonline.us", "https://graph.microsoft.us", "dod-graph.microsoft.us")]
    #[case::one_front_for_both("https://front.example", "https://front.example", "graph.microsoft.com")]
    #[case::with_a_port("http://127.0.0.1:4711", "http://127.0.0.1:4711", "127.0.0.1:4711")]
    fn the_tenants_own_graph_is_accepted(#[case] authority: &str, #[case] graph: &str, #[case] named: &str) {
        assert_eq!(refused_graph(authority, graph, named), None);
    }

    #[test]
    fn keys_from_elsewhere_are_refused() {
        let mut said = document("https://login.example/", "https://login.example/t", None);
        said.jwks_uri = "https://evil.example/keys".parse().unwrap();
        assert!(check(said, &connection("https://login.example")).is_err());
    }

    #[test]
    fn the_issuers_template_survives_as_it_was_written() {
        let issuer = "https://login.example/{tenantid}/v2.0";
        let endpoints = check(document(issuer, "https://login.example/t", None), &connection("https://login.example"));
        assert_eq!(endpoints.unwrap().issuer, issuer);
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
        assert_eq!((endpoints.token.path(), endpoints.device_code.unwrap().path()), ("/t", "/dc"));
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
    #[case::nobody("login", "https://login.example/t", None)]
    fn a_document_that_leads_elsewhere_is_refused(
        #[case] issuer: &str,
        #[case] token: &str,
        #[case] device: Option<&str>,
    ) {
        let refused = check(document(issuer, token, device), &connection("https://login.example"));
        assert!(refused.is_err());
    }
}
