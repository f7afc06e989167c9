//! The expressions that searches filter with: `and`, `or`, `=`, `!=`, `in`, `like`, `exists`, parentheses.
//!
//! Document: "Search expression". *Assumed*: `and` binds before `or`; `like` means "holds", `%` at either end is allowed;
//! nothing is an escape character, so a text ends at the next quote of its kind.

use super::request::{Refusal, invalid};
use std::iter::Peekable;

/// How a field may be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// `=`
    Equal,
    /// `=` and `in`
    In,
    /// `like`
    Like,
}

/// The fields of a search. A name that ends in a dot stands for all that begin with it.
pub type Allowed = &'static [(&'static str, Use)];

/// A parsed expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Both.
    And(Box<Self>, Box<Self>),
    /// Either.
    Or(Box<Self>, Box<Self>),
    /// The field is one of these.
    In(String, Vec<String>),
    /// The field is another, or absent.
    Not(String, String),
    /// The field holds this.
    Like(String, String),
    /// The field is there.
    Exists(String),
    /// Anything.
    All,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Symbol(&'static str),
}

const SYMBOLS: [&str; 5] = ["!=", "=", "(", ")", ","];
/// More terms, or deeper nesting, than anybody writes.
const MOST_TERMS: usize = 256;

impl Expression {
    /// Reads an expression; none at all lets everything through.
    ///
    /// # Errors
    /// It cannot be read, or compares a field in a way that the search does not support.
    pub fn parse(text: Option<&str>, allowed: Allowed) -> Result<Self, Refusal> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(Self::All) };
        let wrong = |why: String| invalid("expression", &why);
        let tokens = tokens(text).map_err(wrong)?;
        let mut parser = Parser { tokens: tokens.into_iter().peekable(), allowed, terms: 0 };
        let expression = parser.either().map_err(wrong)?;
        match parser.tokens.next() {
            None => Ok(expression),
            Some(token) => Err(wrong(format!("has {token:?} where nothing can follow"))),
        }
    }

    /// Whether a row passes, whose fields `get` gives.
    pub fn holds(&self, get: &dyn Fn(&str) -> Option<String>) -> bool {
        match self {
            Self::All => true,
            Self::And(left, right) => left.holds(get) && right.holds(get),
            Self::Or(left, right) => left.holds(get) || right.holds(get),
            Self::In(field, values) => get(field).is_some_and(|found| values.contains(&found)),
            Self::Not(field, value) => get(field).as_ref() != Some(value),
            Self::Like(field, value) => {
                get(field).is_some_and(|found| found.contains(value.trim_matches('%')))
            }
            Self::Exists(field) => get(field).is_some(),
        }
    }

    /// The one value that every row must have in this field, if the expression requires one.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<&str> {
        match self {
            Self::In(field, values) if field == name && values.len() == 1 => {
                values.first().map(String::as_str)
            }
            Self::And(left, right) => left.only(name).or_else(|| right.only(name)),
            _ => None,
        }
    }

    /// True when the expression has nothing but [`Self::only`] of this field.
    #[must_use]
    pub fn is_only(&self, name: &str) -> bool {
        matches!(self, Self::In(field, values) if field == name && values.len() == 1)
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = if first == '\'' || first == '"' {
            let (inner, after) = rest[1..].split_once(first).ok_or("has a text without an end")?;
            (Token::Text(inner.to_owned()), after)
        } else if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            (Token::Symbol(symbol), &rest[symbol.len()..])
        } else {
            let is_word = |c: char| c.is_alphanumeric() || "_.-".contains(c);
            let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            if end == 0 {
                return Err(format!("has {first:?} outside a text"));
            }
            (Token::Word(rest[..end].to_owned()), &rest[end..])
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

struct Parser<I: Iterator<Item = Token>> {
    tokens: Peekable<I>,
    allowed: Allowed,
    terms: usize,
}

impl<I: Iterator<Item = Token>> Parser<I> {
    fn either(&mut self) -> Result<Expression, String> {
        let mut left = self.both()?;
        while self.takes_word("or") {
            left = Expression::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Expression, String> {
        let mut left = self.one()?;
        while self.takes_word("and") {
            left = Expression::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Expression, String> {
        self.terms += 1;
        if self.terms > MOST_TERMS {
            return Err("has too many terms".to_owned());
        }
        match self.tokens.next() {
            Some(Token::Symbol("(")) => {
                let inner = self.either()?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("exists") => {
                self.expect("(")?;
                let field = self.word()?;
                self.kind_of(&field)?;
                self.expect(")")?;
                Ok(Expression::Exists(field))
            }
            Some(Token::Word(field)) => self.comparison(field),
            other => Err(format!("has {other:?} where a field must stand")),
        }
    }

    fn comparison(&mut self, field: String) -> Result<Expression, String> {
        let kind = self.kind_of(&field)?;
        match (self.tokens.next(), kind) {
            (Some(Token::Symbol("=")), Use::Equal | Use::In) => {
                Ok(Expression::In(field, vec![self.value()?]))
            }
            (Some(Token::Symbol("!=")), Use::Equal | Use::In) => Ok(Expression::Not(field, self.value()?)),
            (Some(Token::Word(word)), Use::In) if word.eq_ignore_ascii_case("in") => {
                self.expect("(")?;
                let mut values = vec![self.value()?];
                while self.tokens.next_if_eq(&Token::Symbol(",")).is_some() {
                    values.push(self.value()?);
                }
                self.expect(")")?;
                Ok(Expression::In(field, values))
            }
            (Some(Token::Word(word)), Use::Like) if word.eq_ignore_ascii_case("like") => {
                Ok(Expression::Like(field, self.value()?))
            }
            (other, _) => Err(format!("has {other:?} after {field}, which does not take it")),
        }
    }

    fn kind_of(&self, field: &str) -> Result<Use, String> {
        let fits = |name: &str| field == name || (name.ends_with('.') && field.starts_with(name));
        let found = self.allowed.iter().find(|(name, _)| fits(name));
        found.map(|(_, kind)| *kind).ok_or_else(|| format!("names {field}, which cannot be searched"))
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let is_it = |token: &Token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(wanted));
        self.tokens.next_if(is_it).is_some()
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), String> {
        let found = self.tokens.next();
        if found == Some(Token::Symbol(symbol)) {
            Ok(())
        } else {
            Err(format!("has {found:?}, not {symbol}"))
        }
    }

    fn word(&mut self) -> Result<String, String> {
        match self.tokens.next() {
            Some(Token::Word(word)) => Ok(word),
            other => Err(format!("has {other:?} where a field must stand")),
        }
    }

    fn value(&mut self) -> Result<String, String> {
        match self.tokens.next() {
            Some(Token::Word(text) | Token::Text(text)) => Ok(text),
            other => Err(format!("has {other:?} where a value must stand")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Allowed =
        &[("jobId", Use::In), ("type", Use::Equal), ("name", Use::Like), ("tags.", Use::Equal)];

    fn row(name: &str) -> Option<String> {
        [("jobId", "j1"), ("type", "verify"), ("name", "rollwave x"), ("tags.site", "north")]
            .into_iter()
            .find_map(|(field, value)| (field == name).then(|| value.to_owned()))
    }

    #[test]
    fn expressions_are_read_as_documented() {
        for (text, holds) in [
            ("jobId = 'j1'", true),
            ("jobId = \"j1\" AND type='upgrade'", false),
            ("type = upgrade or jobId in ('j0', 'j1')", true),
            ("(type = upgrade or jobId = 'j1') and name like 'wave'", true),
            ("type = 'verify' or jobId = 'j9' and name like 'nothing'", true),
            ("exists(tags.site) and tags.site = 'north'", true),
            ("exists(tags.none)", false),
            ("type != 'verify'", false),
        ] {
            let parsed = Expression::parse(Some(text), FIELDS).unwrap();
            assert_eq!(parsed.holds(&row), holds, "{text}");
        }
        assert!(Expression::parse(None, FIELDS).unwrap().holds(&row));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "jobId",
            "jobId = 'j1",
            "jobId = 'it's'",
            "jobId like 'j'",
            "name = 'x'",
            "type in ('a')",
            "other = 'x'",
            "jobId = 'a' jobId = 'b'",
            "jobId in ()",
            "jobId = ; ",
            "(jobId = 'a'",
            &format!("{}jobId = 'a'{}", "(".repeat(300), ")".repeat(300)),
        ] {
            assert!(Expression::parse(Some(text), FIELDS).is_err(), "{text}");
        }
    }
}
