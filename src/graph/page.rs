//! Long lists, one page at a time, resumable from any page's link.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::{Ask, Graph, GraphError, wire};
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
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

/// Reads one page of rows; a row that `keep` gives back as `None` is skipped and counted.
fn read<R: DeserializeOwned, T>(answer: &Answer, keep: impl Fn(R) -> Option<T>) -> Result<Page<T>, GraphError> {
    let body: Body<R> = serde_json::from_slice(&answer.body).map_err(|_| GraphError::odd(answer, "it is no list"))?;
    let rows = body.value.ok_or_else(|| GraphError::odd(answer, "it holds no list"))?;
    let count = rows.len();
    let items: Vec<T> = rows.into_iter().filter_map(keep).collect();
    let skipped = count - items.len();
    if skipped > 0 {
        tracing::warn!(skipped, "rows without what they need");
    }
    let next = body.next.filter(|link| !link.is_empty()).map(Link);
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
                return Err(endless());
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

fn endless() -> GraphError {
    GraphError::Unexpected { status: None, code: String::new(), what: "its list does not end".into(), report: None }
}

/// The fields to ask for, as `$select` wants them.
pub(super) fn select(url: Url, fields: &str, more: &[(&str, &str)]) -> Url {
    let options: Vec<(&str, &str)> = more.iter().copied().chain([("$select", fields)]).collect();
    wire::with_query(url, &options)
}
