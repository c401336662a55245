//! Why there is no answer, and above all: whether the request certainly never arrived.

use std::{error::Error as _, fmt, io};

use url::Url;

use crate::domain::work::Report;

/// No answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Not sent: only this machine is spoken to without TLS.
    #[error("{host} is not on this machine, so it is spoken to over https only.")]
    PlainHttp { host: String },
    /// Not sent: there is no such address, or no such request.
    #[error("The request to {host} could not be put together.")]
    Malformed { host: String },
    /// Certainly never reached the server.
    #[error("{host} cannot be reached: {why}.")]
    NotReached { host: String, why: NoWay, report: Box<Report> },
    /// Sent, at least in part. Nobody here can say what the server did.
    #[error("{host} {why}.")]
    Uncertain {
        host: String,
        why: Lost,
        /// With status and request id, where the answer had begun.
        report: Box<Report>,
    },
}

impl HttpError {
    /// Whether the server certainly never saw the request.
    pub fn certainly_not_sent(&self) -> bool {
        !matches!(self, Self::Uncertain { .. })
    }

    /// The request, for Microsoft's support. `None` where there was none.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::NotReached { report, .. } | Self::Uncertain { report, .. } => Some(report),
            Self::PlainHttp { .. } | Self::Malformed { .. } => None,
        }
    }

    pub fn request_id(&self) -> Option<&str> {
        self.report()?.request_id.as_deref()
    }
}

/// Why a server cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoWay {
    /// The name is not known.
    Name,
    Refused,
    Timeout,
    /// The proxy wants to know who we are.
    ProxyAuth,
    /// The proxy is there, and leads nowhere.
    Proxy,
    /// A certificate from an issuer this machine does not know: mostly a proxy that looks into TLS.
    Untrusted,
    /// A certificate that is not valid at this machine's time.
    CertificateTime,
    /// Any other disagreement on TLS.
    Tls,
    /// This machine's trust store cannot be read.
    TrustStore,
    Other,
}

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "its name is not known here (DNS)",
            Self::Refused => "nothing answers there",
            Self::Timeout => "no connection in time",
            Self::ProxyAuth => "the proxy between asks for a sign-in of its own (407)",
            Self::Proxy => "the proxy between does not let it through",
            Self::Untrusted => {
                "its certificate comes from an issuer this machine does not know, such as a proxy that looks into TLS"
            }
            Self::CertificateTime => "its certificate is not valid at this machine's time",
            Self::Tls => "no secure connection (TLS)",
            Self::TrustStore => "this machine's trusted certificates cannot be read",
            Self::Other => "no connection",
        })
    }
}

/// How an answer was lost after the request left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    Timeout,
    /// The connection broke, before or within the answer.
    Broken,
    /// In bytes.
    TooLarge {
        limit: usize,
    },
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("did not answer in time"),
            Self::Broken => f.write_str("broke the connection off before its answer was complete"),
            Self::TooLarge { limit } => write!(f, "sent more than {} MB", limit / 1_000_000),
        }
    }
}

/// The host and port of an address, for words and logs.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What a connection failed at. `report` says whether an answer had begun.
pub(super) fn from_reqwest(error: &reqwest::Error, host: &str, report: Report) -> HttpError {
    let host = host.to_owned();
    if report.status.is_none() {
        if error.is_builder() {
            return HttpError::Malformed { host };
        }
        if error.is_connect() {
            return HttpError::NotReached { host, why: no_way(error), report: Box::new(report) };
        }
    }
    let why = if error.is_timeout() { Lost::Timeout } else { Lost::Broken };
    HttpError::Uncertain { host, why, report: Box::new(report) }
}

fn no_way(error: &reqwest::Error) -> NoWay {
    if error.is_dns() {
        return NoWay::Name;
    }
    if error.is_timeout() {
        return NoWay::Timeout;
    }
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(why) = tls(inner).or_else(|| proxy(inner)) {
            return why;
        }
        let io = inner.downcast_ref::<io::Error>();
        match io.map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => return NoWay::Refused,
            Some(io::ErrorKind::TimedOut) => return NoWay::Timeout,
            _ => {}
        }
        // An I/O error's source is that of what it wraps: the wrapped error itself would be stepped over.
        let wrapped = io.and_then(io::Error::get_ref).map(|wrapped| wrapped as &(dyn std::error::Error + 'static));
        source = wrapped.or_else(|| inner.source());
    }
    NoWay::Other
}

fn tls(error: &(dyn std::error::Error + 'static)) -> Option<NoWay> {
    use rustls::CertificateError as Bad;
    match error.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(
            Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. },
        ) => Some(NoWay::CertificateTime),
        rustls::Error::InvalidCertificate(_) => Some(NoWay::Untrusted),
        _ => Some(NoWay::Tls),
    }
}

/// hyper-util keeps the type of these errors to itself: its words are all there is. A test holds them.
fn proxy(error: &(dyn std::error::Error + 'static)) -> Option<NoWay> {
    let said = error.to_string();
    let why = said.strip_prefix("tunnel error: ")?;
    if why.contains("proxy authorization required") {
        return Some(NoWay::ProxyAuth);
    }
    // The others wrap what went wrong on the way to the proxy, which is looked at next.
    (why == "unsuccessful").then_some(NoWay::Proxy)
}
