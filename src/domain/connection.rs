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

/// Which cloud of Microsoft's a connection belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cloud {
    Global,
    /// GCC High, L4.
    UsGov,
    /// `DoD`, L5. It signs in where L4 does; only Graph tells them apart.
    UsGovDod,
    China,
    /// Hosts that are none of Microsoft's: the simulation, or an authority behind a gateway.
    Own,
}

/// The clouds with their words, authorities (the first is meant when none is named) and Graph. Source: Microsoft's
/// "National cloud deployments" and "Entra authentication & national clouds".
const CLOUDS: [(Cloud, &str, &[&str], &str); 4] = [
    (
        Cloud::Global,
        "global",
        &["https://login.microsoftonline.com", "https://login.microsoft.com", "https://login.windows.net"],
        "https://graph.microsoft.com",
    ),
    (Cloud::UsGov, "us-gov", &["https://login.microsoftonline.us"], "https://graph.microsoft.us"),
    (Cloud::UsGovDod, "us-gov-dod", &["https://login.microsoftonline.us"], "https://dod-graph.microsoft.us"),
    (
        Cloud::China,
        "china",
        &["https://login.partner.microsoftonline.cn", "https://login.chinacloudapi.cn"],
        "https://microsoftgraph.chinacloudapi.cn",
    ),
];

impl Cloud {
    /// Those that have a word in the settings.
    pub const NAMED: [Self; 4] = [Self::Global, Self::UsGov, Self::UsGovDod, Self::China];

    /// Told by both hosts: where they fit no cloud's pair it is `Own`.
    pub fn of(connection: &Connection) -> Self {
        let pair = Self::with_graph(&connection.graph).filter(|cloud| cloud.has_authority(&connection.authority));
        pair.unwrap_or(Self::Own)
    }

    /// As the settings write it; `Own` has no word there.
    pub fn word(self) -> &'static str {
        self.row().map_or("own", |row| row.1)
    }

    /// Where to sign in: the first is meant when none is named. None for `Own`.
    pub fn authorities(self) -> &'static [&'static str] {
        self.row().map_or(&[], |row| row.2)
    }

    /// Where to sign in when nothing else is said; `None` for `Own`.
    pub fn authority(self) -> Option<&'static str> {
        self.authorities().first().copied()
    }

    /// Where Graph is; `None` for `Own`.
    pub fn graph(self) -> Option<&'static str> {
        self.row().map(|row| row.3)
    }

    /// Whether one signs in to this cloud there.
    pub fn has_authority(self, authority: &Url) -> bool {
        self.authorities().iter().any(|host| is_host(authority, host))
    }

    /// The cloud an authority belongs to: the first, where it serves two. `None` for one that is none of Microsoft's.
    pub fn with_authority(authority: &Url) -> Option<Self> {
        Self::NAMED.into_iter().find(|cloud| cloud.has_authority(authority))
    }

    /// The cloud a Graph host belongs to. `None` for one that is none of Microsoft's.
    pub fn with_graph(graph: &Url) -> Option<Self> {
        Self::NAMED.into_iter().find(|cloud| cloud.graph().is_some_and(|host| is_host(graph, host)))
    }

    fn row(self) -> Option<&'static (Self, &'static str, &'static [&'static str], &'static str)> {
        CLOUDS.iter().find(|row| row.0 == self)
    }
}

fn is_host(url: &Url, host: &str) -> bool {
    Url::parse(host).is_ok_and(|host| host.origin() == url.origin())
}

/// Why a host cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    #[error("{0} is no web address: {1}")]
    Url(String, String),
    #[error("{0}: plain http is accepted for this machine (127.0.0.1, ::1, localhost) only")]
    PlainHttp(Url),
    /// Without what it should not hold: it may be a secret.
    #[error("{0}: an address needs a host and no user name, password, query or fragment")]
    Odd(Url),
    /// What is missing, and the host it does not follow from.
    #[error("{0} is missing: {1} is none of Microsoft's own addresses, so nothing else follows from it")]
    Nowhere(&'static str, String),
    #[error(
        "{0} and {1} belong to different clouds; name both of one cloud, or write cloud = \"global\", \"us-gov\", \"us-gov-dod\" or \"china\" and neither"
    )]
    Clouds(String, String),
}

impl Connection {
    /// Both hosts on this machine: the simulated tenant. Some things the policy allows there alone.
    pub fn is_simulation(&self) -> bool {
        is_loopback(&self.authority) && is_loopback(&self.graph)
    }
}

/// Reads a host's address: https, or plain http on loopback.
pub fn read_host(text: &str) -> Result<Url, ConnectionError> {
    let mut url =
        Url::parse(text.trim()).map_err(|e| ConnectionError::Url(super::foreign::printable(text), e.to_string()))?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    let odd = url.host().is_none() || has_user || url.query().is_some() || url.fragment().is_some();
    if odd {
        // Fails where there is no host: then there is no password either.
        let _ = url.set_password(None);
        url.set_query(None);
        url.set_fragment(None);
    }
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
        for secret in
            ["https://:hush@login.example", "https://dana:hush@login.example/", "https://login.example/?k=hush"]
        {
            let said = read_host(secret).unwrap_err().to_string();
            assert!(said.contains("login.example") && !said.contains("hush"), "{said}");
        }
    }
}
