//! Filter expressions: comparisons of a property with a literal, `startswith` and `endswith`, `in`, `any` over a
//! collection, joined by `and`, `or` and `not`.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

/// A parsed `$filter`.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    /// `path op literal`
    Compare {
        path: String,
        op: Op,
        literal: Literal,
    },
    /// `path in (literal, …)`
    In {
        path: String,
        of: Vec<Literal>,
    },
    StartsWith {
        path: String,
        text: String,
    },
    EndsWith {
        path: String,
        text: String,
    },
    /// `path/any(v: filter)`; paths inside have lost their variable.
    Any {
        path: String,
        inner: Box<Filter>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Text(String),
    Time(Timestamp),
    Number(f64),
    Bool(bool),
    Null,
}

/// Where an expression could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Syntax error at position {at} in '{text}'.")]
pub struct Misunderstood {
    at: usize,
    text: String,
}

/// An expression nested deeper is refused: a filter is somebody else's text.
const DEEPEST: usize = 32;

impl Filter {
    pub fn parse(text: &str) -> Result<Self, Misunderstood> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        let filter = parser.either()?;
        parser.blanks();
        if parser.at == text.len() { Ok(filter) } else { Err(parser.misunderstood()) }
    }

    /// The literal of a filter that is nothing but `path eq 'text'`.
    pub fn only_eq(&self, path: &str) -> Option<&str> {
        match self {
            Self::Compare { path: named, op: Op::Eq, literal: Literal::Text(text) }
                if named.eq_ignore_ascii_case(path) =>
            {
                Some(text)
            }
            _ => None,
        }
    }

    /// Whether the expression needs Entra's advanced queries: `ne`, `not` and `endswith` do.
    pub fn is_advanced(&self) -> bool {
        match self {
            Self::And(a, b) | Self::Or(a, b) => a.is_advanced() || b.is_advanced(),
            Self::Not(_) | Self::EndsWith { .. } | Self::Compare { op: Op::Ne, .. } => true,
            Self::Compare { .. } | Self::In { .. } | Self::StartsWith { .. } => false,
            Self::Any { inner, .. } => inner.is_advanced(),
        }
    }

    /// Every property the expression looks at.
    pub fn paths(&self) -> Vec<&str> {
        match self {
            Self::And(a, b) | Self::Or(a, b) => a.paths().into_iter().chain(b.paths()).collect(),
            Self::Not(inner) => inner.paths(),
            Self::Compare { path, .. }
            | Self::In { path, .. }
            | Self::StartsWith { path, .. }
            | Self::EndsWith { path, .. }
            | Self::Any { path, .. } => vec![path],
        }
    }

    /// Whether an entity, as Graph prints it, passes. Text is compared without regard to case, as Entra does.
    pub fn passes(&self, entity: &Value) -> bool {
        match self {
            Self::And(a, b) => a.passes(entity) && b.passes(entity),
            Self::Or(a, b) => a.passes(entity) || b.passes(entity),
            Self::Not(inner) => !inner.passes(entity),
            Self::Compare { path, op, literal } => compare(at_path(entity, path), *op, literal),
            Self::In { path, of } => of.iter().any(|literal| compare(at_path(entity, path), Op::Eq, literal)),
            Self::StartsWith { path, text } => at_path(entity, path)
                .as_str()
                .is_some_and(|value| value.to_lowercase().starts_with(&text.to_lowercase())),
            Self::EndsWith { path, text } => {
                at_path(entity, path).as_str().is_some_and(|value| value.to_lowercase().ends_with(&text.to_lowercase()))
            }
            Self::Any { path, inner } => {
                at_path(entity, path).as_array().is_some_and(|items| items.iter().any(|item| inner.passes(item)))
            }
        }
    }
}

/// The property at `a/b/c`, or the entity itself at the empty path; null where there is none.
fn at_path<'a>(entity: &'a Value, path: &str) -> &'a Value {
    path.split('/').filter(|step| !step.is_empty()).fold(entity, |value, step| {
        let found = value.as_object().and_then(|map| map.iter().find(|(name, _)| name.eq_ignore_ascii_case(step)));
        found.map_or(&Value::Null, |(_, value)| value)
    })
}

fn compare(value: &Value, op: Op, literal: &Literal) -> bool {
    let order = match (value, literal) {
        (Value::Null, Literal::Null) => Some(Ordering::Equal),
        (Value::String(value), Literal::Text(text)) => Some(value.to_lowercase().cmp(&text.to_lowercase())),
        (Value::String(value), Literal::Time(time)) => value.parse::<Timestamp>().ok().map(|value| value.cmp(time)),
        (Value::Bool(value), Literal::Bool(wanted)) => Some(value.cmp(wanted)),
        (Value::Number(value), Literal::Number(wanted)) => value.as_f64().and_then(|value| value.partial_cmp(wanted)),
        _ => None,
    };
    match op {
        Op::Eq => order == Some(Ordering::Equal),
        Op::Ne => order != Some(Ordering::Equal),
        Op::Gt => order == Some(Ordering::Greater),
        Op::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Op::Lt => order == Some(Ordering::Less),
        Op::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn misunderstood(&self) -> Misunderstood {
        Misunderstood { at: self.at, text: self.text.to_owned() }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Take a sign such as `(`.
    fn sign(&mut self, sign: char) -> bool {
        self.blanks();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len_utf8();
        }
        found
    }

    fn need(&mut self, sign: char) -> Result<(), Misunderstood> {
        if self.sign(sign) { Ok(()) } else { Err(self.misunderstood()) }
    }

    /// Take a word such as `and`, if it stands here as a whole.
    fn word(&mut self, word: &str) -> bool {
        self.blanks();
        let Some(start) = self.rest().get(..word.len()) else { return false };
        let ends = self.rest()[word.len()..].chars().next().is_none_or(|c| !c.is_alphanumeric() && c != '/');
        let found = ends && start.eq_ignore_ascii_case(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn either(&mut self) -> Result<Filter, Misunderstood> {
        let mut left = self.both()?;
        while self.word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Filter, Misunderstood> {
        let mut left = self.one()?;
        while self.word("and") {
            left = Filter::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Filter, Misunderstood> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.misunderstood());
        }
        let filter = if self.word("not") {
            Filter::Not(Box::new(self.one()?))
        } else if self.sign('(') {
            let inner = self.either()?;
            self.need(')')?;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn comparison(&mut self) -> Result<Filter, Misunderstood> {
        let name = self.path()?;
        if self.sign('(') {
            return self.call(&name);
        }
        if self.word("in") {
            self.need('(')?;
            let mut of = vec![self.literal()?];
            while self.sign(',') {
                of.push(self.literal()?);
            }
            self.need(')')?;
            return Ok(Filter::In { path: name, of });
        }
        let ops = [("eq", Op::Eq), ("ne", Op::Ne), ("gt", Op::Gt), ("ge", Op::Ge), ("lt", Op::Lt), ("le", Op::Le)];
        for (word, op) in ops {
            if self.word(word) {
                return Ok(Filter::Compare { path: name, op, literal: self.literal()? });
            }
        }
        Err(self.misunderstood())
    }

    /// What stands in the brackets of `startswith(…)`, `endswith(…)` or `path/any(…)`.
    fn call(&mut self, name: &str) -> Result<Filter, Misunderstood> {
        let lower = name.to_ascii_lowercase();
        if lower == "startswith" || lower == "endswith" {
            let path = self.path()?;
            self.need(',')?;
            let Literal::Text(text) = self.literal()? else { return Err(self.misunderstood()) };
            self.need(')')?;
            return Ok(if lower == "startswith" {
                Filter::StartsWith { path, text }
            } else {
                Filter::EndsWith { path, text }
            });
        }
        let Some(path) = lower.ends_with("/any").then(|| name[..name.len() - 4].to_owned()) else {
            return Err(self.misunderstood());
        };
        let variable = self.path()?;
        self.need(':')?;
        let mut inner = self.either()?;
        self.need(')')?;
        inner.forget_variable(&variable);
        Ok(Filter::Any { path, inner: Box::new(inner) })
    }

    fn path(&mut self) -> Result<String, Misunderstood> {
        self.blanks();
        let rest = self.rest();
        let end =
            rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '@'))).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.misunderstood());
        }
        self.at += end;
        Ok(rest[..end].to_owned())
    }

    fn literal(&mut self) -> Result<Literal, Misunderstood> {
        self.blanks();
        if self.rest().starts_with('\'') {
            return self.quoted().map(Literal::Text);
        }
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ')' | ',' | '(')).unwrap_or(rest.len());
        let word = &rest[..end];
        let literal = match word {
            "true" => Literal::Bool(true),
            "false" => Literal::Bool(false),
            "null" => Literal::Null,
            _ => match (word.parse(), word.parse()) {
                (Ok(time), _) => Literal::Time(time),
                (_, Ok(number)) => Literal::Number(number),
                // A GUID may stand without quotes.
                _ if word.parse::<uuid::Uuid>().is_ok() => Literal::Text(word.to_owned()),
                _ => return Err(self.misunderstood()),
            },
        };
        self.at += end;
        Ok(literal)
    }

    /// A text in quotes; a quote inside is doubled.
    fn quoted(&mut self) -> Result<String, Misunderstood> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' if chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                    chars.next();
                    text.push('\'');
                }
                '\'' => {
                    self.at += at + 1;
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        Err(self.misunderstood())
    }
}

impl Filter {
    /// Make the paths inside an `any` relative to its item.
    fn forget_variable(&mut self, variable: &str) {
        match self {
            Self::And(a, b) | Self::Or(a, b) => {
                a.forget_variable(variable);
                b.forget_variable(variable);
            }
            Self::Not(inner) => inner.forget_variable(variable),
            Self::Compare { path, .. }
            | Self::In { path, .. }
            | Self::StartsWith { path, .. }
            | Self::EndsWith { path, .. }
            | Self::Any { path, .. } => {
                if let Some(rest) = path.strip_prefix(variable) {
                    *path = rest.trim_start_matches('/').to_owned();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("displayName eq 'O''BRIEN'", true)]
    #[case("displayName eq 'O'", false)]
    #[case("startswith(displayName,'o''')", true)]
    #[case("startsWith(displayName, 'x') or enabled eq true", true)]
    #[case("enabled eq false and displayName ne null", false)]
    #[case("not (enabled eq false)", true)]
    #[case("displayName in ('a', 'o''brien')", true)]
    #[case("seen ge 2026-11-20T08:00:00Z and seen le 2026-11-20T10:00:00.5Z", true)]
    #[case("seen gt 2026-11-20T09:00:00Z", false)]
    #[case("by/user/id eq '7'", true)]
    #[case("tags/any(t: t/name eq 'two' and t/n eq 2)", true)]
    #[case("tags/any(t:t/name eq 'two' and t/n eq 1)", false)]
    #[case("ids/any(i:startswith(i,'[ZTDId]:'))", true)]
    fn an_expression_selects_what_it_says(#[case] text: &str, #[case] passes: bool) {
        let entity = json!({
            "displayName": "O'Brien", "enabled": true, "seen": "2026-11-20T09:00:00Z", "by": {"user": {"id": "7"}},
            "tags": [{"name": "one", "n": 1}, {"name": "two", "n": 2}], "ids": ["[GID]:g:1", "[ZTDId]:abc"],
        });
        assert_eq!(Filter::parse(text).unwrap().passes(&entity), passes);
    }

    #[rstest]
    #[case("")]
    #[case("displayName")]
    #[case("displayName eq 'open")]
    #[case("displayName eq 'a' and")]
    #[case("(a eq 1")]
    #[case("a eq 1 b")]
    #[case("contains(a,'b')")]
    fn what_is_no_expression_is_refused(#[case] text: &str) {
        assert!(Filter::parse(text).is_err());
    }

    #[test]
    fn a_deeply_nested_expression_is_refused_and_not_followed() {
        assert!(Filter::parse(&"(".repeat(100_000)).is_err());
        assert!(Filter::parse(&"not ".repeat(100_000)).is_err());
    }
}
