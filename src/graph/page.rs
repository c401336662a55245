//! Long lists, one page at a time, resumable from any page's link.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::{
    Ask, Graph, GraphError,
    wire::{self, Scalar},
};
use crate::http::Answer;

/// No listing that is read in one go has more pages; a service that ignores a filter sends its whole tenant.
const MOST_PAGES: usize = 200;

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page is. A page may be empty and still have one.
    pub next: Option<Link>,
    /// The service's clock when it answered.
    pub entra_time: Option<Timestamp>,
    /// Rows that lack what they need to be of use.
    pub skipped: usize,
}

/// Where a listing goes on: opaque, and good for as long as the service likes. Followed only on Graph's own scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link(String);

impl Link {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Deserialize)]
struct Body<R> {
    value: Option<Vec<R>>,
    #[serde(default, rename = "@odata.nextLink")]
    next: Scalar,
}

/// The rows of a body, `None` for one that is none, and what stands where the link would. `None`: it is no list.
fn rows<R: DeserializeOwned>(body: &[u8]) -> Option<(Option<Vec<Option<R>>>, Scalar)> {
    if let Ok(body) = serde_json::from_slice::<Body<R>>(body) {
        return Some((body.value.map(|rows| rows.into_iter().map(Some).collect()), body.next));
    }
    // One row that cannot be read must not hide the others. This makes a tree of the whole page, and is rare.
    let body: Body<serde_json::Value> = serde_json::from_slice(body).ok()?;
    let read = |row| serde_json::from_value::<R>(row).ok();
    Some((body.value.map(|rows| rows.into_iter().map(read).collect()), body.next))
}

/// Reads one page of rows; a row that is none, or that `keep` gives back as `None`, is skipped and counted, as long as
/// one remains.
fn read<R: DeserializeOwned, T>(answer: &Answer, keep: impl Fn(R) -> Option<T>) -> Result<Page<T>, GraphError> {
    let (rows, next) = rows(&answer.body).ok_or_else(|| GraphError::odd(answer, "it is no list"))?;
    let rows = rows.ok_or_else(|| GraphError::odd(answer, "it holds no list"))?;
    let count = rows.len();
    let items: Vec<T> = rows.into_iter().flatten().filter_map(keep).collect();
    if items.is_empty() && count > 0 {
        // Nobody may be told that there is nothing.
        return Err(GraphError::odd(answer, "no row of its list can be read"));
    }
    let skipped = count - items.len();
    if skipped > 0 {
        tracing::warn!(skipped, "rows without what they need");
    }
    let next = next.text().filter(|link| !link.is_empty()).map(Link::new);
    Ok(Page { items, next, entra_time: answer.date, skipped })
}

impl Graph {
    /// The first page of `first`, or the one `link` leads to. The headers of `first` go with every page: a link does not carry them.
    pub(super) async fn page<R: DeserializeOwned, T>(
        &self,
        mut first: Ask,
        link: Option<&Link>,
        keep: impl Fn(R) -> Option<T>,
    ) -> Result<Page<T>, GraphError> {
        if let Some(link) = link {
            first.request.url = self.follow(link)?;
        }
        let answer = self.ask(first).await?;
        read(&answer, keep)
    }

    /// All pages of a list that is expected to be short.
    pub(super) async fn all<R: DeserializeOwned, T>(
        &self,
        first: impl Fn() -> Ask,
        keep: impl Fn(R) -> Option<T>,
    ) -> Result<Page<T>, GraphError> {
        let mut whole = self.page(first(), None, &keep).await?;
        let mut seen = HashSet::new();
        while let Some(link) = whole.next.take() {
            if seen.len() == MOST_PAGES || !seen.insert(link.0.clone()) {
                return Err(GraphError::endless());
            }
            let page = self.page(first(), Some(&link), &keep).await?;
            whole.items.extend(page.items);
            whole.skipped += page.skipped;
            whole.next = page.next;
        }
        Ok(whole)
    }

    /// The address behind a link, if it stays with the Graph in use: anywhere else it would take the token along.
    fn follow(&self, link: &Link) -> Result<Url, GraphError> {
        let stray = |what: &str| GraphError::Unexpected {
            status: None,
            code: String::new(),
            what: what.to_owned(),
            report: None,
        };
        let url = Url::parse(&link.0).map_err(|_| stray("its link to the next page is no address"))?;
        if url.origin() != self.base.origin() || !url.username().is_empty() || url.password().is_some() {
            return Err(stray("its link to the next page leads to another host"));
        }
        Ok(url)
    }
}

impl GraphError {
    /// A list whose links lead on and on.
    pub(super) fn endless() -> Self {
        Self::Unexpected { status: None, code: String::new(), what: "its list does not end".into(), report: None }
    }
}

/// The fields to ask for, as `$select` wants them.
pub(super) fn select(url: Url, fields: &str, more: &[(&str, &str)]) -> Url {
    let options: Vec<(&str, &str)> = more.iter().copied().chain([("$select", fields)]).collect();
    wire::with_query(url, &options)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Deserialize)]
    struct Row {
        id: Scalar,
        #[serde(default, deserialize_with = "wire::list")]
        parts: Vec<Scalar>,
    }

    fn page_of(body: &str) -> Result<Page<String>, GraphError> {
        read(&Answer::of_test(200, body), |row: Row| {
            let id = row.id.text()?.to_owned();
            Some(format!("{id} {}", row.parts.len()))
        })
    }

    #[test]
    fn a_row_that_cannot_be_read_hides_no_other_and_the_link_leads_on() {
        let rows = r#"[null, 7, {"id":"a","parts":"none"}, {"id":"b","parts":["x"]}, {"parts":[]}, {"id":["c"]}]"#;
        let page = page_of(&format!(r#"{{"value":{rows},"@odata.nextLink":"https://graph.example/next"}}"#)).unwrap();
        assert_eq!((page.items, page.skipped), (vec!["b 1".to_owned()], 5));
        assert_eq!(page.next.unwrap().as_str(), "https://graph.example/next");
    }

    #[test]
    fn a_link_that_is_none_is_the_end() {
        for link in ["null", "\"\"", "{}", "[7]"] {
            assert_eq!(page_of(&format!(r#"{{"value":[],"@odata.nextLink":{link}}}"#)).unwrap().next, None, "{link}");
        }
    }

    /// Any JSON, some levels deep.
    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map("id|parts|value|.{0,4}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_bytes_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = page_of(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn a_good_row_is_found_among_any_others(before in proptest::collection::vec(anything(), 0..4), after in proptest::collection::vec(anything(), 0..4)) {
            let good = json!({"id": "the good one", "parts": null});
            let rows: Vec<Value> = before.into_iter().chain([good]).chain(after).collect();
            let page = page_of(&json!({"value": rows}).to_string()).unwrap();
            prop_assert!(page.items.contains(&"the good one 0".to_owned()));
            prop_assert_eq!(page.items.len() + page.skipped, rows.len());
        }

        #[test]
        fn any_error_body_is_read_without_harm(body in anything(), status in 400_u16..600) {
            let error = GraphError::from_answer(&Answer::of_test(status, &json!({"error": body}).to_string()));
            let said = format!("{error} {}", error.report().unwrap());
            prop_assert!(!said.contains(char::is_control), "{}", said);
        }
    }
}
