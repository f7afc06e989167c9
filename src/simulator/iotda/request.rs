//! What handlers read: query, JSON fields and their rules.

use super::codes;
use crate::simulator::request::parse_time as read_time;
pub use crate::simulator::{answer::Answer, refusal::Refusal, request::Request};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// An invalid field.
pub fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal::new(&codes::INVALID_INPUT, detail)
}

/// What a handler answers.
pub type Handled = Result<Answer, Refusal>;

impl Request<'_> {
    /// A query parameter that must keep a rule.
    ///
    /// # Errors
    /// It does not.
    pub fn checked_param(&self, name: &str, rule: &Rule) -> Result<Option<&str>, Refusal> {
        self.param(name).map(|value| rule.check(name, value).map(|()| value)).transpose()
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// It is not one, or another media type is declared.
    pub fn json_object(&self) -> Result<Map<String, Value>, Refusal> {
        let kind = self.content_type.trim_start();
        if !kind.is_empty() && !kind.starts_with("application/json") {
            return Err(Refusal::new(&codes::BAD_FORMAT, "Content-Type must be application/json."));
        }
        match serde_json::from_slice(self.body) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err(Refusal::new(&codes::BAD_FORMAT, "The body must be a JSON object.")),
            Err(error) => Err(Refusal::new(&codes::BAD_FORMAT, format!("The body is not JSON: {error}."))),
        }
    }
}

/// What a text may contain.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Fewest characters.
    pub min: usize,
    /// Most characters.
    pub max: usize,
    /// Characters that it may hold.
    pub allowed: fn(char) -> bool,
}

impl Rule {
    /// Up to `max` (at least one) of these characters.
    #[must_use]
    pub const fn new(max: usize, allowed: fn(char) -> bool) -> Self {
        Self { min: 1, max, allowed }
    }

    /// Up to `max` characters of any kind; may be empty.
    #[must_use]
    pub const fn any(max: usize) -> Self {
        Self { min: 0, max, allowed: |_| true }
    }

    /// # Errors
    /// The value breaks the rule.
    pub fn check(&self, name: &str, value: &str) -> Result<(), Refusal> {
        let length = value.chars().count();
        if length < self.min || length > self.max {
            return Err(invalid(format!(
                "{name}: length {length} is not within {} to {}.",
                self.min, self.max
            )));
        }
        match value.chars().find(|c| !(self.allowed)(*c)) {
            Some(wrong) => Err(invalid(format!("{name}: the character {wrong:?} is not allowed."))),
            None => Ok(()),
        }
    }
}

/// Letters, digits, `_` and `-`.
#[must_use]
pub const fn id_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// Letters, digits, `_`, `-` and `.`.
#[must_use]
pub const fn version_char(c: char) -> bool {
    id_char(c) || c == '.'
}

/// Hex digits and `-`.
#[must_use]
pub const fn hex_or_hyphen(c: char) -> bool {
    c.is_ascii_hexdigit() || c == '-'
}

/// A Chinese character.
#[must_use]
pub const fn is_chinese(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{323af}')
}

/// Characters of names of devices and groups.
#[must_use]
pub fn name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || is_chinese(c) || "_? '#().,&%@!-".contains(c)
}

/// `app_id`, `product_id`.
pub const ID: Rule = Rule::new(36, id_char);
/// `device_id`.
pub const DEVICE_ID: Rule = Rule::new(128, id_char);
/// `node_id`.
pub const NODE_ID: Rule = Rule::new(64, id_char);
/// `version`.
pub const VERSION: Rule = Rule::new(256, version_char);
/// `group_id`.
pub const GROUP_ID: Rule = Rule::new(36, hex_or_hyphen);

/// The fields of a JSON object, read by name. `null` counts as absent.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// The object.
    pub map: &'a Map<String, Value>,
    /// Path of the object, with a dot at the end; empty for the body.
    pub path: &'a str,
}

impl<'a> Fields<'a> {
    /// Fields of a body.
    #[must_use]
    pub const fn new(map: &'a Map<String, Value>) -> Self {
        Self { map, path: "" }
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str, wanted: &str) -> Refusal {
        invalid(format!("{}{name} must be {wanted}.", self.path))
    }

    fn missing(&self, name: &str) -> Refusal {
        invalid(format!("{}{name} is mandatory.", self.path))
    }

    /// A text that keeps a rule.
    ///
    /// # Errors
    /// Not a text, or against the rule.
    pub fn text(&self, name: &str, rule: &Rule) -> Result<Option<&'a str>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.wrong(name, "a string"))?;
        rule.check(&format!("{}{name}", self.path), text)?;
        Ok(Some(text))
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// Absent, not a text, or against the rule.
    pub fn required(&self, name: &str, rule: &Rule) -> Result<&'a str, Refusal> {
        self.text(name, rule)?.ok_or_else(|| self.missing(name))
    }

    /// A text that is one of these.
    ///
    /// # Errors
    /// Not a text, or another one.
    pub fn one_of(&self, name: &str, choices: &[&str]) -> Result<Option<&'a str>, Refusal> {
        match self.text(name, &Rule::any(usize::MAX))? {
            Some(text) if !choices.contains(&text) => {
                Err(self.wrong(name, &format!("one of {}", choices.join(", "))))
            }
            text => Ok(text),
        }
    }

    /// An integer within bounds.
    ///
    /// # Errors
    /// Not an integer, or out of bounds.
    pub fn integer(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_u64() {
            Some(number) if (min..=max).contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(name, &format!("an integer from {min} to {max}"))),
        }
    }

    /// A boolean.
    ///
    /// # Errors
    /// Something else.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Refusal> {
        self.get(name).map(|value| value.as_bool().ok_or_else(|| self.wrong(name, "a boolean"))).transpose()
    }

    /// An object.
    ///
    /// # Errors
    /// Something else.
    pub fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, Refusal> {
        self.get(name).map(|value| value.as_object().ok_or_else(|| self.wrong(name, "an object"))).transpose()
    }

    /// A list of at most `most` texts that keep a rule.
    ///
    /// # Errors
    /// Not such a list.
    pub fn texts(&self, name: &str, most: usize, rule: &Rule) -> Result<Option<Vec<String>>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| self.wrong(name, "a list"))?;
        if items.len() > most {
            return Err(invalid(format!("{}{name}: {} items are more than {most}.", self.path, items.len())));
        }
        let text = |(i, item): (usize, &Value)| {
            let text = item.as_str().ok_or_else(|| self.wrong(name, "a list of strings"))?;
            rule.check(&format!("{}{name}[{i}]", self.path), text)?;
            Ok(text.to_owned())
        };
        items.iter().enumerate().map(text).collect::<Result<_, _>>().map(Some)
    }
}

/// Reads `20240305T060708Z`.
///
/// # Errors
/// Another form.
pub fn parse_time(name: &str, text: &str) -> Result<Timestamp, Refusal> {
    read_time(text).ok_or_else(|| {
        Refusal::new(&codes::INVALID_TIME, format!("{name} must be of the form yyyyMMdd'T'HHmmss'Z'."))
    })
}
