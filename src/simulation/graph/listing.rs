//! Collections in pages: an opaque absolute link leads from one to the next.

use serde_json::{Value, json};

use super::{Asking, failure::Failure};
use crate::simulation::{odata, web};

/// The option whose value says where a listing goes on.
const SKIP_TOKEN: &str = "$skiptoken";

/// Where a listing stands: after which entry, and on which page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Id of the last entry handed out; empty at the start.
    pub after: String,
    pub page: usize,
}

impl Place {
    /// As it stands in a link: a quoted hexadecimal text, which nobody should look into.
    fn token(&self) -> String {
        let plain = format!("{}|{}", self.page, self.after);
        web::hex(plain.bytes().map(|byte| byte ^ 0x5A).collect::<Vec<_>>().as_slice(), "X'") + "'"
    }

    fn parse(token: &str) -> Option<Self> {
        let hex = token.strip_prefix("X'")?.strip_suffix('\'')?;
        let digits: Option<Vec<u8>> = hex.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
        let bytes =
            digits?.chunks(2).map(|pair| (pair.iter().fold(0, |byte, digit| byte << 4 | digit)) ^ 0x5A).collect();
        let plain = String::from_utf8(bytes).ok()?;
        let (page, after) = plain.split_once('|')?;
        Some(Self { after: after.to_owned(), page: page.parse().ok()? })
    }
}

/// How a collection is cut into pages.
#[derive(Debug, Clone, Copy)]
pub struct Paging {
    pub size: usize,
    /// Every n-th page is empty; 0 for never.
    pub empty_every: usize,
}

impl Asking {
    /// Where this request wants the listing to go on.
    pub fn place(&self) -> Result<Place, Failure> {
        match self.query.get(SKIP_TOKEN) {
            None => Ok(Place::default()),
            Some(token) => Place::parse(token)
                .ok_or_else(|| Failure::bad_filter("Specified page token value is expired or invalid.")),
        }
    }

    /// One page of `entries`, which come in a fixed order, each with the id that tells its place. Only those of the
    /// page are printed.
    pub fn page<T>(
        &self,
        context: &str,
        paging: Paging,
        entries: impl Iterator<Item = (String, T)>,
        print: impl Fn(T) -> Value,
    ) -> Result<Value, Failure> {
        let place = self.place()?;
        let empty = paging.empty_every != 0 && (place.page + 1).is_multiple_of(paging.empty_every);
        let size = if empty { 0 } else { paging.size };
        let mut rest = entries.skip_while(|(id, _)| !place.after.is_empty() && *id <= place.after).peekable();
        let mut value = Vec::new();
        let mut last = place.after.clone();
        while value.len() < size {
            let Some((id, entry)) = rest.next() else { break };
            last = id;
            value.push(print(entry));
        }
        let mut body = json!({ "@odata.context": self.context(context), "value": value });
        if rest.peek().is_some() {
            let next = Place { after: last, page: place.page + 1 };
            body["@odata.nextLink"] = self.link(&next).into();
        }
        Ok(body)
    }

    fn link(&self, place: &Place) -> String {
        let options = self.query.without(&[SKIP_TOKEN]);
        let joint = if options.is_empty() { "" } else { "&" };
        format!("{}{}?{options}{joint}{SKIP_TOKEN}={}", self.base, self.path, odata::encode(&place.token()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again_from_its_token() {
        let place = Place { after: "4f2b91c0-…".to_owned(), page: 12 };
        assert_eq!(Place::parse(&place.token()), Some(place));
        assert_eq!(Place::parse("X'zz'"), None);
        assert_eq!(Place::parse("page-2"), None);
    }
}
