//! The way to a host, looked at step by step: which proxy, which addresses, whether they answer, whose certificate. For whoever has to find
//! out why a desk cannot reach Microsoft; what the program itself sends goes through [`Http`](super::Http).

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hyper_util::client::proxy::matcher::Matcher;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, DATE};
use rustls::{
    DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::Verifier;
use url::Url;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Name};

use super::{HttpError, NoWay, USER_AGENT, answer::http_date, error};
use crate::domain::{foreign::printable, work::Report};

/// No client can be built: for the log.
type NoClient = Box<dyn std::error::Error + Send + Sync>;

/// A proxy that stands between this machine and a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// `http://proxy.example:8080`; a name and password in it are left out.
    pub address: String,
    /// Whether the settings hold a name and password for it.
    pub has_credentials: bool,
    pub host: String,
    pub port: u16,
    /// Named by an environment variable; else by the system's settings.
    pub from_environment: bool,
}

/// The proxy that requests to `url` go through, by the same rules as the client's own.
pub fn proxy_for(url: &Url) -> Option<Proxy> {
    let uri: http::Uri = url.as_str().parse().ok()?;
    let through = Matcher::from_system().intercept(&uri)?;
    let host = through.uri().host()?.to_owned();
    let scheme = through.uri().scheme_str().unwrap_or("http");
    let port = through.uri().port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some(Proxy {
        address: printable(&format!("{scheme}://{host}:{port}")),
        has_credentials: through.basic_auth().is_some() || through.raw_auth().is_some(),
        host,
        port,
        from_environment: Matcher::from_env().intercept(&uri).is_some(),
    })
}

/// The addresses behind a name, by the system's own resolver.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    Ok(tokio::net::lookup_host((bare, port)).await?.collect())
}

/// Connects to the first of these that answers.
pub async fn connect(addresses: &[SocketAddr]) -> io::Result<SocketAddr> {
    tokio::net::TcpStream::connect(addresses).await?.peer_addr()
}

/// What a host said to a request that needs no token.
#[derive(Clone, Debug)]
pub struct Greeting {
    pub answer: Result<Heard, HttpError>,
    /// As presented, trusted or not. None over plain http, or where no certificate came.
    pub certificate: Option<Certificate>,
    pub took: Duration,
}

/// An answer, whatever its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    pub status: u16,
    /// The host's clock minus ours, in seconds; the header counts whole ones.
    pub ahead: Option<i64>,
    /// A web page, where a service was asked.
    pub is_page: bool,
}

/// Who vouches for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Organisation and common name: "Contoso, Contoso Issuing CA 2".
    pub issuer: String,
    pub expires: Option<Timestamp>,
    /// This machine's trust store vouches for it.
    pub trusted: bool,
    /// So do the public authorities that browsers ship with. A trusted one that is not public is an organisation's own: something on the
    /// way reads along.
    pub public: bool,
    /// What is wrong with it, where it is not trusted.
    pub refused: Option<String>,
}

/// Asks `url` once, by the machine's trust store and proxies, within `limit`.
pub async fn greet(url: &Url, limit: Duration) -> Greeting {
    let host = error::host_of(url);
    let begun = Instant::now();
    let sent = Timestamp::now();
    let report = Report {
        method: "GET".into(),
        path: url.path().to_owned(),
        status: None,
        code: String::new(),
        request_id: None,
        client_request_id: None,
        at: sent,
    };
    let (client, witness) = match client(url) {
        Ok(built) => built,
        Err(error) => {
            tracing::warn!(%error, "no HTTP client can be built");
            let answer = Err(HttpError::NotReached { host, why: NoWay::TrustStore, report: Box::new(report) });
            return Greeting { answer, certificate: None, took: begun.elapsed() };
        }
    };
    let answer = match client.get(url.clone()).timeout(limit).send().await {
        Ok(response) => Ok(Heard {
            status: response.status().as_u16(),
            ahead: header(&response, &DATE).and_then(http_date).map(|theirs| ahead(theirs, sent, Timestamp::now())),
            is_page: header(&response, &CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html")),
        }),
        Err(failure) => Err(error::from_reqwest(&failure, &host, report)),
    };
    Greeting { answer, certificate: witness.and_then(|witness| witness.seen()), took: begun.elapsed() }
}

fn header<'a>(response: &'a reqwest::Response, name: &reqwest::header::HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// How far `theirs` is from the middle of the exchange, in whole seconds. The header is cut to seconds: half of one is added back.
fn ahead(theirs: Timestamp, sent: Timestamp, heard: Timestamp) -> i64 {
    let middle = i64::midpoint(sent.as_millisecond(), heard.as_millisecond());
    (theirs.as_millisecond() + 500 - middle) / 1_000
}

fn client(url: &Url) -> Result<(reqwest::Client, Option<Arc<Witness>>), NoClient> {
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never());
    if url.scheme() != "https" {
        return Ok((builder.no_proxy().tls_certs_only([]).build()?, None));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let witness = Arc::new(Witness::new(url.host_str().unwrap_or_default(), &provider)?);
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    Ok((builder.tls_backend_preconfigured(tls).build()?, Some(witness)))
}

/// Judges as the machine's own verifier does, and remembers what it was shown.
#[derive(Debug)]
struct Witness {
    host: String,
    machine: Verifier,
    public: Arc<WebPkiServerVerifier>,
    seen: Mutex<Option<Certificate>>,
}

impl Witness {
    fn new(host: &str, provider: &Arc<CryptoProvider>) -> Result<Self, NoClient> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Ok(Self {
            host: host.to_owned(),
            machine: Verifier::new(Arc::clone(provider))?,
            public: WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()?,
            seen: Mutex::default(),
        })
    }

    fn seen(&self) -> Option<Certificate> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.machine.verify_server_cert(end, between, name, ocsp, now);
        // A proxy spoken to over TLS shows one of its own first.
        if name.to_str().eq_ignore_ascii_case(&self.host) {
            let public = self.public.verify_server_cert(end, between, name, ocsp, now).is_ok();
            let read = read(end, public, verdict.as_ref().err());
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.machine.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.machine.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.machine.supported_verify_schemes()
    }
}

fn read(certificate: &CertificateDer<'_>, public: bool, refused: Option<&rustls::Error>) -> Certificate {
    let parsed = X509Certificate::from_der(certificate).ok().map(|(_, parsed)| parsed);
    Certificate {
        issuer: parsed.as_ref().map_or_else(|| "nobody whose name can be read".into(), |c| name_of(c.issuer())),
        expires: parsed.and_then(|c| Timestamp::from_second(c.validity().not_after.timestamp()).ok()),
        trusted: refused.is_none(),
        public,
        refused: refused.map(|error| printable(&error.to_string())),
    }
}

/// Organisation and common name; written by whoever made the certificate.
fn name_of(name: &X509Name<'_>) -> String {
    let parts = name.iter_organization().chain(name.iter_common_name());
    let mut words: Vec<&str> = parts.filter_map(|part| part.as_str().ok()).collect();
    words.dedup();
    if words.is_empty() { printable(&name.to_string()) } else { printable(&words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::together("2026-11-20T09:00:00.5Z", 0)]
    #[case::ahead("2026-11-20T09:02:01Z", 121)]
    #[case::behind("2026-11-20T07:00:00Z", -7_200)]
    fn a_clock_is_compared_with_the_middle_of_the_exchange(#[case] theirs: Timestamp, #[case] seconds: i64) {
        let (sent, heard) = ("2026-11-20T08:59:59Z".parse().unwrap(), "2026-11-20T09:00:02Z".parse().unwrap());
        assert_eq!(ahead(theirs, sent, heard), seconds);
    }

    #[tokio::test]
    async fn a_name_in_brackets_is_an_address() {
        let found = resolve("[::1]", 443).await.unwrap();
        assert_eq!(found[0].to_string(), "[::1]:443");
    }
}
