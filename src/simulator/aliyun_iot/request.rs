//! What a handler is given and what it answers: parameters and their rules, refusals.

use super::codes;
pub use crate::simulator::refusal::Refusal;
use crate::simulator::{clock::Times, request::shows};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

impl Refusal {
    /// The gateway misses a parameter.
    #[must_use]
    pub fn missing(name: &str) -> Self {
        let code = format!("Missing{}", name.replace(['-', '.'], ""));
        Self::other(400, code, format!("{name} is mandatory for this action."))
    }

    /// The gateway cannot read a parameter.
    #[must_use]
    pub fn unreadable(name: &str, wanted: &str) -> Self {
        let code = format!("Invalid{}", name.replace('.', ""));
        Self::other(400, code, format!("Specified parameter {name} is not valid: {wanted}."))
    }
}

/// A value against a documented rule.
pub fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal::new(&codes::INVALID, detail)
}

/// What a handler answers: members beside `RequestId` and `Success`.
pub type Handled = Result<Map<String, Value>, Refusal>;

/// The members of an answer.
#[must_use]
pub fn members<const N: usize>(of: [(&str, Value); N]) -> Map<String, Value> {
    of.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// One call, authenticated.
#[derive(Debug)]
pub struct Request<'a> {
    /// Parameters of query and form.
    pub parameters: BTreeMap<String, String>,
    /// Host and port of the request.
    pub host: &'a str,
    /// The two times.
    pub times: Times,
    /// Lists leave out what was created less than this long ago (wall time): an injected fault.
    pub lag: Option<SignedDuration>,
}

/// What a text may contain.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Most characters; one is the least.
    pub max: usize,
    /// Characters that it may hold.
    pub allowed: fn(char) -> bool,
}

impl Rule {
    /// Up to so many of these characters.
    #[must_use]
    pub const fn new(max: usize, allowed: fn(char) -> bool) -> Self {
        Self { max, allowed }
    }

    /// Up to so many characters of any kind.
    #[must_use]
    pub const fn any(max: usize) -> Self {
        Self { max, allowed: |_| true }
    }

    /// # Errors
    /// The value breaks the rule.
    pub fn check(&self, name: &str, value: &str) -> Result<(), Refusal> {
        let length = value.chars().count();
        if length > self.max {
            return Err(invalid(format!("{name}: {length} characters are more than {}.", self.max)));
        }
        match value.chars().find(|c| !(self.allowed)(*c)) {
            Some(wrong) => Err(invalid(format!("{name}: the character {wrong:?} is not allowed."))),
            None => Ok(()),
        }
    }
}

/// Letters, digits, `.`, `-` and `_`: versions, modules.
#[must_use]
pub const fn version_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

/// Chinese and Japanese characters, letters and digits.
#[must_use]
pub const fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

/// `DestVersion`, `SrcVersion`.
pub const VERSION: Rule = Rule::new(64, version_char);
/// `ModuleName`, `AliasName`.
pub const MODULE: Rule = Rule::new(64, version_char);
/// `FirmwareId`, `JobId`, `ProductKey`, …
pub const ID: Rule = Rule::any(64);
/// `DeviceName`: 4 to 32 letters, digits and `-_@.:` of the console; the length is not checked here.
pub const DEVICE_NAME: Rule = Rule::new(64, |c| c.is_ascii_alphanumeric() || "-_@.:".contains(c));

impl Request<'_> {
    /// A parameter; an empty one counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A text that keeps a rule.
    ///
    /// # Errors
    /// It does not.
    pub fn text(&self, name: &str, rule: &Rule) -> Result<Option<&str>, Refusal> {
        self.get(name).map(|value| rule.check(name, value).map(|()| value)).transpose()
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// Absent, or against the rule.
    pub fn required(&self, name: &str, rule: &Rule) -> Result<&str, Refusal> {
        self.text(name, rule)?.ok_or_else(|| Refusal::missing(name))
    }

    /// A text that is one of these.
    ///
    /// # Errors
    /// Another one.
    pub fn one_of(&self, name: &str, choices: &[&str]) -> Result<Option<&str>, Refusal> {
        match self.get(name) {
            Some(value) if !choices.contains(&value) => {
                Err(invalid(format!("{name} must be one of {}.", choices.join(", "))))
            }
            value => Ok(value),
        }
    }

    /// An integer within bounds.
    ///
    /// # Errors
    /// Not an integer (the gateway's refusal), or out of bounds (the product's).
    pub fn integer(&self, name: &str, min: i64, max: i64) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number: i64 = text.parse().map_err(|_| Refusal::unreadable(name, "an integer is wanted"))?;
        if (min..=max).contains(&number) {
            Ok(Some(number))
        } else {
            Err(invalid(format!("{name} must be from {min} to {max}.")))
        }
    }

    /// An integer that is one of these.
    ///
    /// # Errors
    /// Not an integer, or another one.
    pub fn integer_of(&self, name: &str, choices: &[i64]) -> Result<Option<i64>, Refusal> {
        match self.integer(name, i64::MIN, i64::MAX)? {
            Some(number) if !choices.contains(&number) => {
                Err(invalid(format!("{name} must be one of {choices:?}.")))
            }
            number => Ok(number),
        }
    }

    /// A boolean, in any case of letters.
    ///
    /// # Errors
    /// Something else.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Refusal::unreadable(name, "true or false is wanted")),
        }
    }

    /// A list `Name.1`, `Name.2`, … of at most `most` different texts.
    ///
    /// # Errors
    /// Too many, one twice, or one against the rule.
    pub fn list(&self, name: &str, most: usize, rule: &Rule) -> Result<Vec<String>, Refusal> {
        let mut numbered: BTreeMap<u32, &str> = BTreeMap::new();
        for (key, value) in self.parameters.range(format!("{name}.")..format!("{name}/")) {
            let number = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
            if let Some(number) = number.and_then(|number| number.parse().ok()) {
                numbered.insert(number, value);
            }
        }
        if numbered.len() > most {
            return Err(invalid(format!("{name}: {} entries are more than {most}.", numbered.len())));
        }
        let mut seen = BTreeSet::new();
        for value in numbered.values() {
            rule.check(name, value)?;
            if !seen.insert(*value) {
                return Err(invalid(format!("{name}: {value} is given twice.")));
            }
        }
        Ok(numbered.into_values().map(str::to_owned).collect())
    }

    /// A list of structs `Name.1.Member`, …: the members of each.
    #[must_use]
    pub fn structs(&self, name: &str) -> Vec<BTreeMap<String, String>> {
        let mut numbered: BTreeMap<u32, BTreeMap<String, String>> = BTreeMap::new();
        for (key, value) in self.parameters.range(format!("{name}.")..format!("{name}/")) {
            let rest = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
            if let Some((number, member)) = rest.and_then(|rest| rest.split_once('.'))
                && let Ok(number) = number.parse()
            {
                numbered.entry(number).or_default().insert(member.to_owned(), value.clone());
            }
        }
        numbered.into_values().collect()
    }

    /// Whether a list shows what was created at this wall time.
    #[must_use]
    pub fn shows(&self, created: Timestamp) -> bool {
        shows(self.times, self.lag, created)
    }
}

/// `CurrentPage` and `PageSize`.
#[derive(Clone, Copy, Debug)]
pub struct Paging {
    current: usize,
    size: usize,
}

impl Paging {
    /// Reads both, with 1 and `default` for what is absent.
    ///
    /// # Errors
    /// A page below 1, or a size above `most`.
    pub fn read(request: &Request<'_>, default: usize, most: usize) -> Result<Self, Refusal> {
        let number = |name: &str, default: usize| match request.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| Refusal::unreadable(name, "an integer is wanted")),
        };
        let (current, size) = (number("CurrentPage", 1)?, number("PageSize", default)?);
        if current == 0 || size == 0 || size > most {
            let detail = format!("CurrentPage must be from 1 on, PageSize from 1 to {most}.");
            return Err(Refusal::new(&codes::PAGE, detail));
        }
        Ok(Self { current, size })
    }

    /// One page that has all of so many rows.
    #[must_use]
    pub const fn all_of(rows: usize) -> Self {
        Self { current: 1, size: if rows == 0 { 1 } else { rows } }
    }

    /// How far into the list the page ends.
    #[must_use]
    pub const fn reach(self) -> usize {
        self.current.saturating_mul(self.size)
    }

    /// Rows of a page.
    #[must_use]
    pub const fn size(self) -> usize {
        self.size
    }

    /// The rows of the page, and the members that locate it; `number` is the name of the current page.
    pub fn of<T>(self, rows: Vec<T>, number: &str) -> (Vec<T>, Map<String, Value>) {
        let total = rows.len();
        let skipped = (self.current - 1).saturating_mul(self.size);
        let page = rows.into_iter().skip(skipped).take(self.size).collect();
        let about = members([
            (number, Value::from(self.current)),
            ("PageSize", Value::from(self.size)),
            ("PageCount", Value::from(total.div_ceil(self.size))),
            ("Total", Value::from(total)),
        ]);
        (page, about)
    }
}
