//! Why there is no answer, and above all: whether the request certainly never arrived.

use std::{error::Error as _, fmt, io};

use url::Url;

/// No answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Not sent: only this machine is spoken to without TLS.
    #[error("{host} is not on this machine, so it is spoken to over https only.")]
    PlainHttp { host: String },
    /// Certainly never reached the server.
    #[error("{host} cannot be reached: {why}.")]
    NotReached { host: String, why: NoWay },
    /// Sent, at least in part. Nobody here can say what the server did.
    #[error("{host} {why}.")]
    Uncertain {
        host: String,
        why: Lost,
        /// The status, where the answer had begun.
        status: Option<u16>,
        request_id: Option<String>,
    },
}

impl HttpError {
    /// Whether the server certainly never saw the request.
    pub fn certainly_not_sent(&self) -> bool {
        !matches!(self, Self::Uncertain { .. })
    }

    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Uncertain { request_id, .. } => request_id.as_deref(),
            Self::PlainHttp { .. } | Self::NotReached { .. } => None,
        }
    }
}

/// Why a server cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoWay {
    /// The name is not known.
    Name,
    Refused,
    Timeout,
    /// No agreement on TLS, or a certificate this machine does not trust.
    Tls,
    /// This machine's trust store cannot be read.
    TrustStore,
    /// The request itself could not be put together.
    Malformed,
    Other,
}

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "its name is not known here (DNS)",
            Self::Refused => "nothing answers there",
            Self::Timeout => "no connection in time",
            Self::Tls => "this machine does not trust the connection (TLS)",
            Self::TrustStore => "this machine's trusted certificates cannot be read",
            Self::Malformed => "the request could not be put together",
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

pub(super) fn lost(why: Lost, host: &str, seen: Option<(u16, Option<String>)>) -> HttpError {
    let (status, request_id) = seen.map_or((None, None), |(status, id)| (Some(status), id));
    HttpError::Uncertain { host: host.to_owned(), why, status, request_id }
}

pub(super) fn from_reqwest(error: &reqwest::Error, host: &str, seen: Option<(u16, Option<String>)>) -> HttpError {
    let not_reached = |why| HttpError::NotReached { host: host.to_owned(), why };
    if seen.is_none() {
        if error.is_builder() {
            return not_reached(NoWay::Malformed);
        }
        if error.is_connect() {
            return not_reached(no_way(error));
        }
    }
    lost(if error.is_timeout() { Lost::Timeout } else { Lost::Broken }, host, seen)
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
        let io = inner.downcast_ref::<io::Error>();
        match io.map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => return NoWay::Refused,
            Some(io::ErrorKind::TimedOut) => return NoWay::Timeout,
            // What rustls objects to arrives as invalid data.
            Some(io::ErrorKind::InvalidData) => return NoWay::Tls,
            _ => {}
        }
        // An I/O error's source is that of what it wraps: the wrapped error itself would be stepped over.
        let wrapped = io.and_then(io::Error::get_ref).map(|wrapped| wrapped as &(dyn std::error::Error + 'static));
        source = wrapped.or_else(|| inner.source());
    }
    NoWay::Other
}
