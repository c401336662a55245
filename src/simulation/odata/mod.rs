//! The part of `OData` that requests to the tenant use: system query options and filter expressions.

pub mod filter;

use serde_json::{Map, Value};

use super::web;

/// The options of one request. Names are compared without their dollar sign being encoded or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(query: Option<&str>) -> Self {
        Self(web::pairs(query.unwrap_or_default()))
    }

    /// The value of an option such as `$filter`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(named, _)| named.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The first of these options that is there.
    pub fn first_of<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.get(name).is_some())
    }

    /// The names in `$select`; `None` where everything is wanted.
    pub fn select(&self) -> Option<Vec<&str>> {
        let names = self.get("$select")?.split(',').map(str::trim).filter(|name| !name.is_empty());
        Some(names.collect::<Vec<_>>()).filter(|names| !names.is_empty())
    }

    pub fn counts(&self) -> bool {
        self.get("$count").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// `$top` as a number; `Err` with its text where it is none.
    pub fn top(&self) -> Result<Option<usize>, String> {
        self.get("$top").map(|text| text.parse().map_err(|_| text.to_owned())).transpose()
    }

    /// The options as a query string again, without those named.
    pub fn without(&self, names: &[&str]) -> String {
        let kept = self.0.iter().filter(|(name, _)| !names.iter().any(|gone| gone.eq_ignore_ascii_case(name)));
        kept.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
    }
}

/// Percent-encoding as Graph's next links have it: the dollar sign and quotes stay readable.
pub fn encode(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'$').remove(b'\'');
    utf8_percent_encode(text, KEPT).to_string()
}

/// Keep the selected properties of an entity, and whatever is annotation. Unknown names select nothing.
pub fn project(entity: Value, select: Option<&[&str]>) -> Value {
    let (Value::Object(properties), Some(names)) = (&entity, select) else { return entity };
    let wanted = |name: &str| name.starts_with('@') || names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
    Value::Object(
        properties.iter().filter(|(name, _)| wanted(name)).map(|(n, v)| (n.clone(), v.clone())).collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_found_encoded_or_not() {
        for query in ["%24select=key", "$select=key", "a=b&$SELECT=key"] {
            assert_eq!(Query::parse(Some(query)).select(), Some(vec!["key"]), "{query}");
        }
        assert_eq!(Query::parse(Some("$select=")).select(), None);
    }

    #[test]
    fn a_query_survives_being_put_into_a_link() {
        let query = Query::parse(Some("$filter=displayName eq 'O''B & C'&$top=5&$skiptoken=x"));
        let again = Query::parse(Some(&query.without(&["$skiptoken"])));
        assert_eq!(again.get("$filter"), query.get("$filter"));
        assert_eq!(again.get("$skiptoken"), None);
    }
}
