//! What handlers read: query, form and JSON fields, pages.

use super::codes;
use crate::simulator::refusal::Code;
pub use crate::simulator::{
    answer::Answer,
    refusal::Refusal,
    request::{Request, parse_time},
};
use serde_json::{Map, Value};

/// What a handler answers.
pub type Handled = Result<Answer, Refusal>;

impl Request<'_> {
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

    /// The body as a JSON object.
    ///
    /// # Errors
    /// It is not one.
    pub fn json_or(&self, code: &'static Code) -> Result<Map<String, Value>, Refusal> {
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

/// Pairs of a query or of a form, decoded; an empty pair is left out.
#[must_use]
pub fn pairs(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// 400 of device management.
pub fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal::new(&codes::BAD_INPUT, detail)
}
