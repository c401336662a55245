//! Where copies of the ledger's rows go, and whether a key waits for them.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::domain::digest::fingerprint;

/// What RFC 5425 and RFC 5426 listen on.
const TLS_PORT: u16 = 6514;
const UDP_PORT: u16 = 514;

/// What the organisation wants of its copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    pub when: When,
    /// The collector that takes rows by POST.
    pub webhook: Option<Url>,
    /// The environment variable that holds its bearer token. Empty: none.
    pub token_env: String,
    /// The environment variable that holds the secret its signatures are made with. Empty: none.
    pub secret_env: String,
    pub syslog: Option<Syslog>,
    /// A PEM file of authorities that the syslog server's certificate may come from, beside those this machine trusts. Empty: none.
    pub syslog_ca: String,
    pub facility: Facility,
}

impl Forwarding {
    /// Whether rows go anywhere.
    pub fn is_on(&self) -> bool {
        self.webhook.is_some() || self.syslog.is_some()
    }

    /// Whether no key may be asked for before the webhook has taken the record.
    pub fn comes_before_key(&self) -> bool {
        self.when == When::BeforeKey
    }

    /// What the lines demand of each other; a sentence.
    pub fn check(&self) -> Result<(), String> {
        if self.when == When::BeforeKey && self.webhook.is_none() {
            return Err("\"before-key\" waits for forward.webhook, and none is named".into());
        }
        Ok(())
    }
}

/// A collector's address as others may see it. Many a webhook's path is the secret that lets one write there, so: where it is, and a
/// fingerprint that tells two of one host apart.
pub fn outwardly(webhook: &Url) -> String {
    format!("{} ({})", webhook.origin().ascii_serialization(), fingerprint(webhook.as_str()))
}

/// When a row has to have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// As soon as it can be: nothing waits for it.
    #[default]
    After,
    /// No key request leaves before the webhook has taken the intent, and every row before it.
    BeforeKey,
}

/// A syslog server, as RFC 5424 is spoken to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Syslog {
    /// RFC 5425. The name is what its certificate must be for.
    Tls { host: String, port: u16 },
    /// RFC 5426.
    Udp { host: String, port: u16 },
    /// The socket of this machine's own log, or another one.
    Local { path: Option<String> },
}

impl Syslog {
    /// As a policy writes it: `tls://host:6514`, `udp://host:514`, `local`, `unix:///run/log`.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence.
    pub fn read(text: &str) -> Result<Self, String> {
        const WRITE: &str = "write \"tls://host:6514\", \"udp://host:514\", \"local\" or \"unix:///path\"";
        if text == "local" {
            return Ok(Self::Local { path: None });
        }
        let wrong = || format!("{} is no syslog server; {WRITE}", super::super::foreign::printable(text));
        let url = Url::parse(text).map_err(|_| wrong())?;
        let is_bare = url.username().is_empty() && url.password().is_none();
        if !is_bare || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong());
        }
        if url.scheme() == "unix" {
            let path = url.path().to_owned();
            return if url.host().is_none() && path.len() > 1 {
                Ok(Self::Local { path: Some(path) })
            } else {
                Err(wrong())
            };
        }
        // For a scheme it does not know, `Url` keeps an address as a name.
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            _ => return Err(wrong()),
        };
        match (url.scheme(), url.path()) {
            ("tls", "" | "/") => Ok(Self::Tls { host, port: url.port().unwrap_or(TLS_PORT) }),
            ("udp", "" | "/") => Ok(Self::Udp { host, port: url.port().unwrap_or(UDP_PORT) }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Syslog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bracketed = |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        match self {
            Self::Tls { host, port } => write!(f, "tls://{}:{port}", bracketed(host)),
            Self::Udp { host, port } => write!(f, "udp://{}:{port}", bracketed(host)),
            Self::Local { path: None } => f.write_str("local"),
            Self::Local { path: Some(path) } => write!(f, "unix://{path}"),
        }
    }
}

/// The syslog facilities that a record of this kind may be filed under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Facility {
    User,
    Auth,
    Authpriv,
    /// "Log audit" in RFC 5424.
    #[default]
    Audit,
    Local0,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

impl Facility {
    /// Its number in RFC 5424.
    pub fn number(self) -> u8 {
        match self {
            Self::User => 1,
            Self::Auth => 4,
            Self::Authpriv => 10,
            Self::Audit => 13,
            Self::Local0 => 16,
            Self::Local1 => 17,
            Self::Local2 => 18,
            Self::Local3 => 19,
            Self::Local4 => 20,
            Self::Local5 => 21,
            Self::Local6 => 22,
            Self::Local7 => 23,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("tls://log.example", "tls://log.example:6514")]
    #[case("tls://log.example:10514", "tls://log.example:10514")]
    #[case("udp://192.0.2.7/", "udp://192.0.2.7:514")]
    #[case("udp://[2001:db8::7]:5140", "udp://[2001:db8::7]:5140")]
    #[case("local", "local")]
    #[case("unix:///run/systemd/journal/dev-log", "unix:///run/systemd/journal/dev-log")]
    fn a_syslog_server_is_read_and_written(#[case] text: &str, #[case] written: &str) {
        let read = Syslog::read(text).unwrap();
        assert_eq!(read.to_string(), written);
        assert_eq!(Syslog::read(written), Ok(read));
    }

    #[rstest]
    #[case("")]
    #[case("log.example")]
    #[case("tcp://log.example")]
    #[case("tls://")]
    #[case("tls://log.example/path")]
    #[case("tls://dana@log.example")]
    #[case("udp://log.example?x=1")]
    #[case("unix://log/socket")]
    #[case("unix:///")]
    fn what_is_no_syslog_server_is_told_how_one_is_written(#[case] text: &str) {
        assert!(Syslog::read(text).unwrap_err().contains("write \"tls://host:6514\""), "{text}");
    }

    #[test]
    fn waiting_for_a_collector_needs_one() {
        let mut forwarding = Forwarding { when: When::BeforeKey, ..Forwarding::default() };
        assert!(forwarding.check().is_err() && !forwarding.is_on());
        forwarding.webhook = Some("https://log.example/keydesk".parse().unwrap());
        assert!(forwarding.check().is_ok() && forwarding.is_on());
    }
}
