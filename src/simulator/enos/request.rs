//! What handlers read and answer: query, JSON fields and their rules, pages.

use super::codes;
use crate::simulator::clock::Times;
pub use crate::simulator::{refusal::Refusal, request::Request};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// An invalid argument, in the words of the platform: `Invalid Argument action:action is missing`.
#[must_use]
pub fn invalid(field: &str, why: &str) -> Refusal {
    Refusal::new(&codes::INVALID, format!("{field}:{field} {why}"))
}

/// An answer: `data`, and `pagination` of a search.
#[derive(Debug, Default)]
pub struct Answer {
    /// `data`.
    pub data: Value,
    /// `pagination`.
    pub pagination: Option<Value>,
}

impl Answer {
    /// An answer with data.
    #[must_use]
    pub const fn data(data: Value) -> Self {
        Self { data, pagination: None }
    }
}

/// What a handler answers.
pub type Handled = Result<Answer, Refusal>;

impl Request<'_> {
    /// A query parameter that must be there.
    ///
    /// # Errors
    /// It is not.
    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.param(name).ok_or_else(|| invalid(name, "is missing"))
    }

    /// The body as a JSON object; none at all counts as an empty one.
    ///
    /// # Errors
    /// It is not one.
    pub fn json_or_empty(&self) -> Result<Map<String, Value>, Refusal> {
        if self.body.is_empty() {
            return Ok(Map::new());
        }
        match serde_json::from_slice(self.body) {
            Ok(Value::Object(fields)) => Ok(fields),
            _ => Err(invalid("body", "is not a JSON object")),
        }
    }

    /// Whether a search shows what happened at these times; it settles after so long in fleet time (document).
    #[must_use]
    pub fn has_settled(&self, settle: SignedDuration, happened: Times) -> bool {
        self.times.fleet.duration_since(happened.fleet) >= settle && self.shows(happened.wall)
    }
}

/// The fields of a JSON object. `null` counts as absent; numbers and booleans may be strings, as official samples send.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// The object.
    pub map: &'a Map<String, Value>,
    /// Path of the object, with a dot at the end; empty for the body.
    pub path: &'a str,
}

impl<'a> Fields<'a> {
    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A field that is not as it must be.
    #[must_use]
    pub fn wrong(&self, name: &str, why: &str) -> Refusal {
        invalid(&format!("{}{name}", self.path), why)
    }

    /// What was read of a field, which must be there.
    ///
    /// # Errors
    /// It is missing.
    pub fn need<T>(&self, name: &str, found: Option<T>) -> Result<T, Refusal> {
        found.ok_or_else(|| self.wrong(name, "is missing"))
    }

    /// A text that is not empty.
    ///
    /// # Errors
    /// Something else.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let read = |value: &'a Value| value.as_str().filter(|text| !text.is_empty());
        let Some(value) = self.get(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.wrong(name, "must be a string"))
    }

    /// A text that is one of these.
    ///
    /// # Errors
    /// Something else.
    pub fn one_of(&self, name: &str, choices: &[&str]) -> Result<Option<&'a str>, Refusal> {
        let wrong = || self.wrong(name, &format!("must be one of {}", choices.join(", ")));
        let text = self.text(name)?;
        if text.is_none_or(|text| choices.contains(&text)) { Ok(text) } else { Err(wrong()) }
    }

    /// An integer within bounds.
    ///
    /// # Errors
    /// Something else.
    pub fn integer(&self, name: &str, min: i64, max: i64) -> Result<Option<i64>, Refusal> {
        let read = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = read(value).filter(|number| (min..=max).contains(number));
        number.map(Some).ok_or_else(|| self.wrong(name, &format!("must be from {min} to {max}")))
    }

    /// A boolean.
    ///
    /// # Errors
    /// Something else.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Refusal> {
        let read = |value: &Value| value.as_bool().or_else(|| value.as_str()?.parse().ok());
        let Some(value) = self.get(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.wrong(name, "must be a boolean"))
    }

    /// An object.
    ///
    /// # Errors
    /// Something else.
    pub fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_object().map(Some).ok_or_else(|| self.wrong(name, "must be an object"))
    }

    /// A list of texts.
    ///
    /// # Errors
    /// Something else.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let texts = |items: &Vec<Value>| {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        };
        let read = value.as_array().and_then(texts);
        read.map(Some).ok_or_else(|| self.wrong(name, "must be a list of strings"))
    }

    /// A `StringI18n`: its `defaultValue`, which must be there.
    ///
    /// # Errors
    /// Something else.
    pub fn name(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, Refusal> {
        let Some(map) = self.object(name)? else { return Ok(None) };
        let inner = Fields { map, path: &format!("{}{name}.", self.path) };
        inner.need("defaultValue", inner.text("defaultValue")?)?;
        inner.object("i18nValue")?;
        Ok(Some(map))
    }
}

/// Most rows of a page (document: pagination; at most 50 are advised).
const MOST_ROWS: i64 = 200;

/// `pagination` of a search.
#[derive(Clone, Copy, Debug)]
pub struct PageQuery {
    number: usize,
    size: usize,
}

impl PageQuery {
    /// Reads it; page 1 with 10 rows when absent.
    ///
    /// # Errors
    /// Out of range, or with `sorters`, which no search of this service takes.
    pub fn read(body: Fields<'_>) -> Result<Self, Refusal> {
        let empty = Map::new();
        let map = body.object("pagination")?.unwrap_or(&empty);
        let fields = Fields { map, path: "pagination." };
        if fields.get("sorters").is_some_and(|sorters| sorters.as_array().is_none_or(|list| !list.is_empty()))
        {
            return Err(fields.wrong("sorters", "is not supported"));
        }
        let number = fields.integer("pageNo", 1, i64::from(i32::MAX))?.unwrap_or(1);
        let size = fields.integer("pageSize", 1, MOST_ROWS)?.unwrap_or(10);
        Ok(Self { number: number as usize, size: size as usize })
    }

    /// The answer with one page of rows that are all there.
    #[must_use]
    pub fn answer(self, rows: &[impl Fn() -> Value]) -> Answer {
        let page = rows.iter().skip(self.skip()).take(self.size).map(|row| row()).collect();
        self.answer_with(page, rows.len())
    }

    /// Rows before the page.
    #[must_use]
    pub const fn skip(self) -> usize {
        (self.number - 1).saturating_mul(self.size)
    }

    /// Rows of the page.
    #[must_use]
    pub const fn size(self) -> usize {
        self.size
    }

    /// The answer with the rows of a page, when `total` match in all.
    #[must_use]
    pub fn answer_with(self, page: Vec<Value>, total: usize) -> Answer {
        let pagination =
            json!({"sortedBy": null, "pageNo": self.number, "pageSize": self.size, "totalSize": total});
        Answer { data: Value::Array(page), pagination: Some(pagination) }
    }
}

/// A time as the API writes it.
#[must_use]
pub fn millis(at: Timestamp) -> Value {
    json!(at.as_millisecond())
}
