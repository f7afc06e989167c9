//! What a handler is given and what it answers: query, form and JSON fields, paging, refusals.

use super::codes::{self, Code};
use crate::simulator::clock::Times;
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::{Map, Value};

/// A refused request.
#[derive(Debug)]
pub struct Refusal {
    /// Which error.
    pub code: &'static Code,
    /// What exactly; follows the code's text.
    pub detail: String,
}

impl Refusal {
    /// A refusal with a detail.
    pub fn new(code: &'static Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// `error_desc`.
    #[must_use]
    pub fn message(&self) -> String {
        if self.detail.is_empty() {
            self.code.text.to_owned()
        } else {
            format!("{} {}", self.code.text, self.detail)
        }
    }
}

impl From<&'static Code> for Refusal {
    fn from(code: &'static Code) -> Self {
        Self { code, detail: String::new() }
    }
}

/// An answer: status, and a body when there is one.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: Option<Value>,
}

impl Answer {
    /// 200 with a body.
    #[must_use]
    pub const fn ok(body: Value) -> Self {
        Self { status: 200, body: Some(body) }
    }

    /// No body.
    #[must_use]
    pub const fn empty(status: u16) -> Self {
        Self { status, body: None }
    }
}

/// What a handler answers.
pub type Handled = Result<Answer, Refusal>;

/// One request, authenticated and routed.
#[derive(Debug)]
pub struct Request<'a> {
    /// Query pairs, decoded. An empty pair (`?&a=b`), as an SDK sends it, is left out.
    pub query: Vec<(String, String)>,
    /// Body.
    pub body: &'a [u8],
    /// The two times.
    pub times: Times,
    /// Lists leave out what was created less than this long ago (wall time): an injected fault.
    pub stale: Option<SignedDuration>,
}

impl Request<'_> {
    /// The first value of a query parameter; an empty one counts as absent.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.iter().filter(|(key, value)| key == name && !value.is_empty());
        pairs.next().map(|(_, value)| value.as_str())
    }

    /// A query parameter that must be one of these.
    ///
    /// # Errors
    /// It is another one.
    pub fn choice(&self, name: &str, choices: &[&str], code: &'static Code) -> Result<Option<&str>, Refusal> {
        match self.param(name) {
            Some(text) if !choices.contains(&text) => {
                Err(Refusal::new(code, format!("{name} must be one of {}.", choices.join(", "))))
            }
            text => Ok(text),
        }
    }

    /// Whether a list shows what was created at this wall time.
    #[must_use]
    pub fn shows(&self, created: Timestamp) -> bool {
        // What is ahead of the clock was created before that was set back.
        let age = self.times.wall.duration_since(created);
        self.stale.is_none_or(|lag| age >= lag || age.is_negative())
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// It is not one.
    pub fn json(&self, code: &'static Code) -> Result<Map<String, Value>, Refusal> {
        match serde_json::from_slice(self.body) {
            Ok(Value::Object(fields)) => Ok(fields),
            _ => Err(Refusal::new(code, "The body must be a JSON object.")),
        }
    }

    /// `pageNo` (from 0) and `pageSize`.
    ///
    /// # Errors
    /// Not numbers, or out of range.
    pub fn page(&self, default: usize, most: usize, code: &'static Code) -> Result<PageQuery, Refusal> {
        let number = |name: &str, default: usize| match self.param(name) {
            None => Ok(default),
            Some(text) => text.parse::<usize>().map_err(|_| Refusal::new(code, format!("{name}: {text}."))),
        };
        let (number, size) = (number("pageNo", 0)?, number("pageSize", default)?);
        if !(1..=most).contains(&size) || number.checked_mul(size).is_none() {
            return Err(Refusal::new(code, format!("pageSize must be from 1 to {most}.")));
        }
        Ok(PageQuery { number, size })
    }
}

/// Which page of a list.
#[derive(Clone, Copy, Debug)]
pub struct PageQuery {
    /// `pageNo`, from 0.
    pub number: usize,
    /// `pageSize`.
    pub size: usize,
}

impl PageQuery {
    /// The rows of this page, and how many the whole list has.
    pub fn of<T>(&self, rows: impl Iterator<Item = T>) -> (Vec<T>, usize) {
        let (first, mut total, mut page) = (self.number * self.size, 0, Vec::new());
        for row in rows {
            if total >= first && page.len() < self.size {
                page.push(row);
            }
            total += 1;
        }
        (page, total)
    }
}

/// A text field of a JSON object; `null`, an empty text and another type count as absent.
#[must_use]
pub fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// A list of texts; none when it is absent or `null`.
///
/// # Errors
/// Something else.
pub fn texts(
    fields: &Map<String, Value>,
    name: &str,
    code: &'static Code,
) -> Result<Option<Vec<String>>, Refusal> {
    let wrong = || Refusal::new(code, format!("{name} must be a list of strings."));
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => {
            let text = |item: &Value| item.as_str().map(str::to_owned).ok_or_else(wrong);
            items.iter().map(text).collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(wrong()),
    }
}

/// Reads `20151212T121212Z`.
#[must_use]
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let civil = (text.len() == 16).then(|| DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok())??;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Pairs of a query or of a form, decoded; an empty pair is left out.
#[must_use]
pub fn pairs(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// 400 of device management.
pub fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal::new(&codes::BAD_INPUT, detail)
}
