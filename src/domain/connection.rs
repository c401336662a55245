//! Which tenant, through which hosts.

use std::net::IpAddr;

use url::{Host, Url};

/// Where to sign in and where Graph is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `https://login.microsoftonline.com`; the tenant is appended.
    pub authority: Url,
    /// `https://graph.microsoft.com`; version and path are appended.
    pub graph: Url,
    /// Tenant id or domain.
    pub tenant: String,
    /// The app registration's client id.
    pub client_id: String,
}

/// Why a host cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    #[error("{0} is no web address: {1}")]
    Url(String, String),
    #[error("{0}: plain http is accepted for this machine (127.0.0.1, ::1, localhost) only")]
    PlainHttp(Url),
    #[error("{0}: an address needs a host and no user name, query or fragment")]
    Odd(Url),
}

impl Connection {
    /// Both hosts on this machine: the simulated tenant. Some things the policy allows there alone.
    pub fn is_simulation(&self) -> bool {
        is_loopback(&self.authority) && is_loopback(&self.graph)
    }
}

/// Reads a host's address: https, or plain http on loopback.
pub fn read_host(text: &str) -> Result<Url, ConnectionError> {
    let url =
        Url::parse(text.trim()).map_err(|e| ConnectionError::Url(super::foreign::printable(text), e.to_string()))?;
    let odd = url.host().is_none() || !url.username().is_empty() || url.query().is_some() || url.fragment().is_some();
    match url.scheme() {
        _ if odd => Err(ConnectionError::Odd(url)),
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(ConnectionError::PlainHttp(url)),
        _ => Err(ConnectionError::Odd(url)),
    }
}

/// Whether the address is this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        assert!(read_host("http://127.0.0.1:4000").is_ok());
        assert!(read_host("http://localhost").is_ok());
        assert!(matches!(read_host("http://login.example"), Err(ConnectionError::PlainHttp(_))));
        assert!(matches!(read_host("http://localhost.example"), Err(ConnectionError::PlainHttp(_))));
        assert!(read_host("https://login.microsoftonline.com").is_ok());
    }

    #[test]
    fn what_is_no_host_is_refused_with_words() {
        assert!(read_host("login.example").is_err());
        assert!(matches!(read_host("ftp://login.example"), Err(ConnectionError::Odd(_))));
        assert!(matches!(read_host("https://dana@login.example"), Err(ConnectionError::Odd(_))));
    }
}
