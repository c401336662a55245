//! What came back: the status, the few headers anyone asks for, and a body that is wiped when dropped.

use std::{fmt, time::Duration};

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use reqwest::{
    Response,
    header::{DATE, HeaderMap, RETRY_AFTER},
};
use zeroize::Zeroizing;

use super::error::{self, HttpError, Lost};
use crate::domain::foreign::printable;

/// No service is obeyed for longer than this.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// The longest request id that is kept: Microsoft's are GUIDs.
const LONGEST_ID: usize = 64;
static HTTP_DATE: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// A whole answer, whatever its status.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    /// The service's own id of the request.
    pub request_id: Option<String>,
    /// Ours, echoed.
    pub client_request_id: Option<String>,
    /// The service's clock (`Date`).
    pub date: Option<Timestamp>,
    /// How long the service asks us to wait, whichever way it said so.
    pub retry_after: Option<Duration>,
    /// May hold a secret: wiped when dropped, never printed.
    pub body: Zeroizing<Vec<u8>>,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("request_id", &self.request_id)
            .field("client_request_id", &self.client_request_id)
            .field("date", &self.date)
            .field("retry_after", &self.retry_after)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// Reads the answer to its end, or to `limit` bytes of body.
pub(super) async fn read(mut response: Response, limit: usize, host: &str) -> Result<Answer, HttpError> {
    let status = response.status().as_u16();
    let headers = response.headers();
    let date = text(headers, DATE.as_str()).and_then(http_date);
    let mut answer = Answer {
        status,
        request_id: id(headers, "request-id").or_else(|| id(headers, "x-ms-request-id")),
        client_request_id: id(headers, "client-request-id"),
        date,
        retry_after: text(headers, RETRY_AFTER.as_str())
            .and_then(|said| retry_after(said, date.unwrap_or_else(Timestamp::now))),
        body: Zeroizing::default(),
    };
    let seen = Some((status, answer.request_id.clone()));
    let announced = response.content_length().unwrap_or(0);
    if announced > limit as u64 {
        return Err(error::lost(Lost::TooLarge { limit }, host, seen));
    }
    answer.body = Zeroizing::new(Vec::with_capacity(usize::try_from(announced).unwrap_or(0)));
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(answer),
            Ok(Some(chunk)) if answer.body.len() + chunk.len() > limit => {
                return Err(error::lost(Lost::TooLarge { limit }, host, seen));
            }
            Ok(Some(chunk)) => append(&mut answer.body, &chunk),
            Err(failure) => return Err(error::from_reqwest(&failure, host, seen)),
        }
    }
}

/// Appends without leaving a copy behind: where the buffer is too small, the old one is wiped.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    let needed = body.len() + chunk.len();
    if needed > body.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(body.capacity() * 2)));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(chunk);
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn id(headers: &HeaderMap, name: &str) -> Option<String> {
    read_id(text(headers, name)?)
}

/// A request id as somebody else wrote it, fit for a screen: cut to a GUID's length and more, controls written out.
pub fn read_id(said: &str) -> Option<String> {
    let short: String = printable(said).chars().take(LONGEST_ID).collect();
    (!short.is_empty()).then_some(short)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110).
pub(super) fn http_date(said: &str) -> Option<Timestamp> {
    HTTP_DATE.parse_timestamp(said).ok()
}

/// Seconds, or a date on the service's clock. What cannot be read counts as not said.
fn retry_after(said: &str, now: Timestamp) -> Option<Duration> {
    let wait = match said.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => crate::domain::moment::since(now, http_date(said)?),
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::seconds("17", Some(17))]
    #[case::a_date_ahead("Sun, 06 Nov 1994 08:50:37 GMT", Some(60))]
    #[case::a_date_behind("Sun, 06 Nov 1994 08:40:37 GMT", Some(0))]
    #[case::a_date_with_the_wrong_weekday("Mon, 06 Nov 1994 08:50:37 GMT", Some(60))]
    #[case::more_than_a_day("999999999999", Some(24 * 3600))]
    #[case::negative("-3", None)]
    #[case::fraction("1.5", None)]
    #[case::words("soon", None)]
    fn retry_after_is_read_as_seconds_or_as_a_date(#[case] said: &str, #[case] seconds: Option<u64>) {
        let now = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(retry_after(said, now), seconds.map(Duration::from_secs));
    }

    #[test]
    fn debug_shows_no_byte_of_the_body() {
        let answer = Answer {
            status: 200,
            request_id: None,
            client_request_id: None,
            date: None,
            retry_after: None,
            body: Zeroizing::new(b"496298-461032".to_vec()),
        };
        let shown = format!("{answer:?}");
        assert!(!shown.contains("496298") && !shown.contains("52, 57"), "{shown}");
    }

    #[test]
    fn a_request_id_from_outside_is_cut_and_written_out() {
        assert_eq!(read_id("a\u{1b}[2J").as_deref(), Some("a\\u{1b}[2J"));
        assert_eq!(read_id(&"x".repeat(9_000)).unwrap().len(), LONGEST_ID);
        assert_eq!(read_id(""), None);
    }
}
