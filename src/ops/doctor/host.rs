//! One host: proxy, name, connection, certificate, clock. A step that fails does not hide the next one where that can still be asked.

use std::{io, net::SocketAddr, time::Instant};

use jiff::Timestamp;
use url::Url;

use super::{LIMIT, within};
use crate::{
    domain::{
        foreign::printable,
        work::doctor::{Check, Finding, Grade, Who},
    },
    http::{
        HttpError, NoWay,
        route::{self, Certificate, Greeting, Heard, Proxy},
    },
};

pub(super) const LET_THROUGH: &str = "Let this machine reach the host over https. See docs/network.md.";
const CORRECT_PROXY: &str =
    "Check the proxy's address (HTTPS_PROXY, or the system's settings), and that this machine may use it.";
/// Said once, below the check that says why.
pub(super) const NOT_REACHED: &str = "The host was not reached.";
/// Further apart than this, in seconds, and it is said.
const CLOSE_ENOUGH: u64 = 120;
/// A certificate that ends within this many seconds is said to.
const SOON: i64 = 7 * 24 * 3600;

/// One of the two hosts, and the ids of its checks.
pub(super) struct Side {
    proxy: &'static str,
    dns: &'static str,
    connect: &'static str,
    tls: &'static str,
    clock: &'static str,
    /// An address on it that answers without a token, whatever the answer is.
    path: &'static str,
}

pub(super) const AUTHORITY: Side = Side {
    proxy: "proxy.authority",
    dns: "dns.authority",
    connect: "connect.authority",
    tls: "tls.authority",
    clock: "clock.authority",
    path: "common/v2.0/.well-known/openid-configuration",
};
pub(super) const GRAPH: Side = Side {
    proxy: "proxy.graph",
    dns: "dns.graph",
    connect: "connect.graph",
    tls: "tls.graph",
    clock: "clock.graph",
    path: "v1.0/me",
};

pub(super) async fn examine(side: &Side, base: &Url) -> Vec<Check> {
    let host = printable(base.host_str().unwrap_or_default());
    // Plain http is for this machine alone, and never goes through a proxy.
    let proxy = if base.scheme() == "https" { route::proxy_for(base) } else { None };
    let reached = async {
        match &proxy {
            Some(proxy) => named_and_connected(&proxy.host, proxy.port, Some(&proxy.address)).await,
            None => named_and_connected(&host, base.port_or_known_default().unwrap_or(443), None).await,
        }
    };
    let address = below(base, side.path);
    let ((dns, connect), greeting) = tokio::join!(reached, route::greet(&address, LIMIT));
    let connects = connect.grade == Grade::Well;
    let certificate = certificate(base, &greeting, connects);
    vec![
        Check::new(side.proxy, format!("proxy to {host}"), said_of_proxy(proxy.as_ref(), base)),
        Check::new(side.dns, format!("name {host}"), dns),
        Check::new(side.connect, format!("connection to {host}"), connect),
        Check::new(side.tls, format!("certificate of {host}"), certificate),
        Check::new(side.clock, format!("clock of {host}"), clock(&greeting.answer, connects)),
    ]
}

fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/'));
    }
    url
}

fn said_of_proxy(proxy: Option<&Proxy>, base: &Url) -> Finding {
    let Some(proxy) = proxy else {
        let why = if base.scheme() == "https" {
            "None: the host is reached directly."
        } else {
            "None is used for this machine."
        };
        return Finding::well(why);
    };
    let from = if proxy.from_environment { "named in the environment" } else { "from the system's settings" };
    let credentials = if proxy.has_credentials { ", with a name and password that are not shown" } else { "" };
    Finding::well(format!("{}, {from}{credentials}", proxy.address))
}

/// The name and the connection: of the host, or of the proxy that stands before it.
async fn named_and_connected(host: &str, port: u16, proxy: Option<&str>) -> (Finding, Finding) {
    let begun = Instant::now();
    let resolved = tokio::time::timeout(LIMIT, route::resolve(host, port)).await.unwrap_or_else(|_| late());
    let took = begun.elapsed();
    let what = proxy.map_or_else(|| host.to_owned(), |address| format!("the proxy {address}"));
    let addresses = match resolved {
        Ok(addresses) if !addresses.is_empty() => addresses,
        Ok(_) | Err(_) => {
            let named = Finding::fix(format!("The name of {what} is not known here (DNS).")).took(took).by(
                Who::NetworkTeam,
                "Check the spelling in the settings first; then let this machine's name server resolve it.",
            );
            return (named, Finding::not_checked("It has no address."));
        }
    };
    let named = Finding::well(match proxy {
        Some(address) => format!("The proxy looks it up. {address} is {}.", listed(&addresses)),
        None => format!("{}.", listed(&addresses)),
    });
    (named.took(took), within(connected(&what, &addresses, proxy.is_some())).await)
}

async fn connected(what: &str, addresses: &[SocketAddr], is_proxy: bool) -> Finding {
    let begun = Instant::now();
    let result = route::connect(addresses).await;
    let took = begun.elapsed();
    match result {
        Ok(peer) => Finding::well(format!("{peer} answers.")).took(took),
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::ConnectionRefused => "nothing answers there".to_owned(),
                io::ErrorKind::TimedOut => "no connection in time".to_owned(),
                _ => printable(&error.to_string()),
            };
            let mend = if is_proxy { CORRECT_PROXY } else { LET_THROUGH };
            Finding::fix(format!("{what} cannot be reached: {why}.")).took(took).by(Who::NetworkTeam, mend)
        }
    }
}

fn late() -> io::Result<Vec<SocketAddr>> {
    Err(io::ErrorKind::TimedOut.into())
}

/// Three addresses at most.
fn listed(addresses: &[SocketAddr]) -> String {
    let mut ips: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    ips.sort();
    ips.dedup();
    let more = ips.len().saturating_sub(3);
    ips.truncate(3);
    let shown = ips.join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// `connects`: the host, or the proxy before it, takes connections; then no answer is a finding of its own.
fn certificate(base: &Url, greeting: &Greeting, connects: bool) -> Finding {
    if base.scheme() != "https" {
        return Finding::not_checked("Plain http, which is taken for this machine alone.");
    }
    let finding = match (&greeting.certificate, &greeting.answer) {
        (Some(certificate), answer) => vouched(certificate, answer),
        (None, Err(HttpError::NotReached { why: NoWay::TrustStore, .. })) => Finding::fix(
            "This machine's trusted certificates cannot be read.",
        )
        .by(Who::MachineAdministrator, "Install the system's certificates (on Linux the package ca-certificates)."),
        (None, Err(HttpError::NotReached { why: NoWay::Tls, .. })) => {
            Finding::fix("There was no agreement on TLS, and no certificate came.")
                .by(Who::NetworkTeam, "Find out what answers on this port, and let TLS 1.2 or 1.3 through.")
        }
        (None, Err(error)) if connects => {
            Finding::fix(format!("A connection is taken, and no certificate comes: {error}")).by(
                Who::NetworkTeam,
                "A firewall or a proxy stops it there; one that wants a sign-in of its own does the same.",
            )
        }
        (None, Err(_)) => return Finding::not_checked(NOT_REACHED),
        (None, Ok(_)) => Finding::not_checked("No certificate was seen."),
    };
    finding.took(greeting.took)
}

fn vouched(certificate: &Certificate, answer: &Result<Heard, HttpError>) -> Finding {
    let issuer = &certificate.issuer;
    if !certificate.trusted {
        let why = certificate.refused.as_deref().unwrap_or("unknown issuer");
        return Finding::fix(format!("This machine does not trust it ({why}). It was issued by {issuer}.")).by(
            Who::MachineAdministrator,
            "If that is your organisation's own authority, put its certificate into the system's trust store. If it is not, do not sign in here.",
        );
    }
    if answer.as_ref().is_ok_and(|heard| heard.is_page) {
        return Finding::fix(format!("Issued by {issuer}; what answers is a web page, not the service.")).by(
            Who::NetworkTeam,
            "Something on the way answers in its place (a sign-in page of the network, a block page): let the host through.",
        );
    }
    if !certificate.public {
        return Finding::notice(format!(
            "Issued by {issuer}, which is no public authority: something on the way opens the connection and reads along, tokens and recovery keys included."
        ))
        .by(Who::NetworkTeam, "Take the sign-in host and the Graph host out of TLS inspection. See docs/network.md.");
    }
    match certificate.expires {
        Some(end) if end.as_second() - Timestamp::now().as_second() < SOON => {
            Finding::notice(format!("Issued by {issuer}; it ends on {}.", end.strftime("%Y-%m-%d")))
                .by(Who::NetworkTeam, "Whoever runs that host renews it; a clock that is off looks the same.")
        }
        _ => Finding::well(format!("Issued by {issuer}.")),
    }
}

fn clock(answer: &Result<Heard, HttpError>, connects: bool) -> Finding {
    let heard = match answer {
        Ok(heard) => heard,
        Err(error) if connects => return Finding::not_checked(format!("No answer came: {error}")),
        Err(_) => return Finding::not_checked(NOT_REACHED),
    };
    let Some(ahead) = heard.ahead else {
        return Finding::not_checked(format!("It answered {} and did not tell its time.", heard.status));
    };
    if ahead.unsigned_abs() <= CLOSE_ENOUGH {
        return Finding::well(format!("{} s apart.", ahead.unsigned_abs()));
    }
    let off = crate::domain::age::short(std::time::Duration::from_secs(ahead.unsigned_abs()));
    let which = if ahead > 0 { "behind" } else { "ahead of" };
    Finding::notice(format!(
        "This machine's clock is {off} {which} the host's. Sign-ins can be refused as expired or not yet valid, certificates too, and the \
         ledger's times are off by as much."
    ))
    .by(Who::MachineAdministrator, "Set the clock by a time server.")
}
