//! What came back: the status, the few headers anyone asks for, and a body that is wiped when dropped.

use std::{fmt, time::Duration};

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use reqwest::{
    Response,
    header::{DATE, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE},
};
use zeroize::Zeroizing;

use super::{
    Request,
    error::{self, HttpError, Lost},
};
use crate::domain::{foreign::printable, recovery_password::withheld, work::Report};

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
    /// The request and this answer, as Microsoft's support would want to hear of them.
    pub report: Box<Report>,
    /// The service's clock (`Date`).
    pub date: Option<Timestamp>,
    /// How long the service asks us to wait, whichever way it said so.
    pub retry_after: Option<Duration>,
    /// What a refusal demands (`WWW-Authenticate`), several joined by commas.
    pub challenge: Option<String>,
    /// May hold a secret: wiped when dropped, never printed.
    pub body: Zeroizing<Vec<u8>>,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

#[cfg(test)]
impl Answer {
    /// An answer of this status and body to a request nobody sent.
    pub(crate) fn of_test(status: u16, body: &str) -> Self {
        let url = "https://graph.example/v1.0/x?$select=key".parse().unwrap();
        let report = Report { status: Some(status), request_id: Some("r-1".into()), ..Request::get(url).report() };
        Self {
            status,
            request_id: report.request_id.clone(),
            report: Box::new(report),
            date: None,
            retry_after: None,
            challenge: None,
            body: Zeroizing::new(body.as_bytes().to_vec()),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("request_id", &self.request_id)
            .field("client_request_id", &self.report.client_request_id)
            .field("date", &self.date)
            .field("retry_after", &self.retry_after)
            .field("challenge", &self.challenge.is_some())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// Reads the answer to its end, or to `limit` bytes of body.
pub(super) async fn read(mut response: Response, request: &Request, host: &str) -> Result<Answer, HttpError> {
    let (status, limit) = (response.status().as_u16(), request.limit);
    let headers = response.headers();
    let date = text(headers, DATE.as_str()).and_then(http_date);
    let request_id = id(headers, "request-id").or_else(|| id(headers, "x-ms-request-id"));
    let before = request.report();
    let at = date.unwrap_or(before.at);
    let report = Report { status: Some(status), request_id: request_id.clone(), at, ..before };
    let mut answer = Answer {
        status,
        request_id,
        report: Box::new(report),
        date,
        retry_after: text(headers, RETRY_AFTER.as_str())
            .and_then(|said| retry_after(said, date.unwrap_or_else(Timestamp::now))),
        challenge: all(headers, WWW_AUTHENTICATE.as_str()),
        body: Zeroizing::default(),
    };
    let too_large = |answer: &Answer| HttpError::Uncertain {
        host: host.to_owned(),
        why: Lost::TooLarge { limit },
        report: answer.report.clone(),
    };
    let announced = response.content_length().unwrap_or(0);
    if announced > limit as u64 {
        return Err(too_large(&answer));
    }
    answer.body = Zeroizing::new(Vec::with_capacity(usize::try_from(announced).unwrap_or(0)));
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(answer),
            Ok(Some(chunk)) if answer.body.len() + chunk.len() > limit => {
                return Err(too_large(&answer));
            }
            Ok(Some(chunk)) => append(&mut answer.body, &chunk),
            Err(failure) => return Err(error::from_reqwest(&failure, host, *answer.report)),
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

fn all(headers: &HeaderMap, name: &str) -> Option<String> {
    let said: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn id(headers: &HeaderMap, name: &str) -> Option<String> {
    read_id(text(headers, name)?)
}

/// A request id as somebody else wrote it, fit for a screen and for the ledger: cut to a GUID's length and more, controls
/// written out, digits of a key withheld.
pub fn read_id(said: &str) -> Option<String> {
    let short: String = withheld(&printable(said)).chars().take(LONGEST_ID).collect();
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
        let answer = Answer { body: Zeroizing::new(b"496298-461032".to_vec()), ..Answer::of_test(200, "") };
        let shown = format!("{answer:?}");
        assert!(!shown.contains("496298") && !shown.contains("52, 57"), "{shown}");
    }

    #[test]
    fn a_request_id_from_outside_is_cut_and_written_out() {
        assert_eq!(read_id("a\u{1b}[2J").as_deref(), Some("a\\u{1b}[2J"));
        assert_eq!(read_id(&"x".repeat(9_000)).unwrap().len(), LONGEST_ID);
        assert_eq!(read_id("496298-461032-321464").as_deref(), Some("[digits withheld]"));
        assert_eq!(read_id(""), None);
    }
}
