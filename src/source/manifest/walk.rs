//! Compares a document with the schema of its kind, and reports every problem.

use super::schema::{Schema, Shape};
use super::tree::{Entry, Mark, Node, Value};
use super::words::{nearest, one_of, quoted, what};
use crate::api::{
    NotAPercentage, NotAPeriod, NotATimeOfDay, NotAWindowLength, NotAZone, Percent, Period, TimeOfDay,
    WindowLength, ZoneName, counted, pattern,
};
use crate::source::{Place, Problem};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::Path;

/// Collects the problems of one file.
pub(super) struct Report<'a> {
    pub file: &'a Path,
    pub problems: Vec<Problem>,
}

impl Report<'_> {
    /// A problem at a position of the file.
    pub fn add(&mut self, mark: Mark, path: &str, message: impl Into<String>) {
        let place = Place { file: self.file.to_owned(), line: mark.line, column: mark.column };
        self.problems.push(Problem { place, path: path.to_owned(), message: message.into() });
    }

    /// Compares `node` with its schema. `path` is empty for the document.
    pub fn walk(&mut self, node: &Node, schema: &Schema, path: &str) {
        if schema.format == "secret-source" {
            return self.secret_source(node, schema, path);
        }
        match (&node.value, schema.kind) {
            (Value::Null, _) => self.add(node.mark, path, "is empty: set a value, or remove it"),
            (Value::Map(fields), Shape::Object) => self.object(node, fields, schema, path),
            (Value::Map(entries), Shape::Map) => self.map(node, entries, schema, path),
            (Value::List(items), Shape::List) => self.list(node, items, schema, path),
            (Value::Text(text), Shape::Text | Shape::IntOrText) => self.text(node, text, schema, path),
            (Value::Number(number, raw), Shape::Integer | Shape::IntOrText) => match number.as_i64() {
                Some(_) if is_octal(raw) => {
                    let message = format!(
                        "{raw} is {number} here and a different number in other programs: remove the leading 0"
                    );
                    self.add(node.mark, path, message);
                }
                Some(number) => self.range(node, number, schema, path),
                None => self.add(node.mark, path, not_an_integer(number.as_f64(), raw, schema)),
            },
            (Value::Bool(_), Shape::Bool) => {}
            _ => self.add(node.mark, path, moved(node, path).unwrap_or_else(|| wrong_shape(node, schema))),
        }
    }

    fn object(&mut self, node: &Node, fields: &[Entry], schema: &Schema, path: &str) {
        self.twice(fields, path);
        let mut misspelt = Vec::new();
        for entry in fields {
            let path = join(path, &entry.key);
            let required = schema.required.contains(&entry.key);
            if let Some(field) = schema.fields.get(&entry.key) {
                if required && entry.node.value == Value::Null {
                    self.add(entry.node.mark, &path, "is empty: set a value");
                } else {
                    self.walk(&entry.node, field, &path);
                }
            } else if let Some(reason) = schema.refused.get(&entry.key) {
                self.add(entry.mark, &path, reason);
            } else {
                let meant = nearest(&entry.key, schema.fields.keys().map(String::as_str));
                misspelt.extend(meant);
                self.add(entry.mark, &path, unknown(&entry.key, meant, schema));
            }
        }
        let absent = |name: &&String| node.get(name).is_none() && !misspelt.contains(&name.as_str());
        for name in schema.required.iter().filter(absent) {
            self.add(node.mark, &join(path, name), missing(name, schema, fields));
        }
    }

    fn map(&mut self, node: &Node, entries: &[Entry], schema: &Schema, path: &str) {
        self.twice(entries, path);
        self.size(node, entries.len(), "entry", schema, path);
        for entry in entries {
            let path = join(path, &entry.key);
            if let Some(reason) = schema.refused.get(&entry.key) {
                self.add(entry.mark, &path, reason);
            } else if schema.keys.as_ref().is_some_and(|keys| !keys.is_match(&entry.key)) {
                let words = schema.keys.as_ref().and_then(|keys| pattern::words(keys.as_str()));
                self.add(entry.mark, &path, format!("{} {}", quoted(&entry.key), words.unwrap_or_default()));
            }
            if let Some(values) = &schema.values {
                self.walk(&entry.node, values, &path);
            }
        }
    }

    fn list(&mut self, node: &Node, items: &[Node], schema: &Schema, path: &str) {
        self.size(node, items.len(), "item", schema, path);
        let Some(schema) = &schema.items else { return };
        for (index, item) in items.iter().enumerate() {
            self.walk(item, schema, &format!("{path}[{index}]"));
        }
    }

    fn text(&mut self, node: &Node, text: &str, schema: &Schema, path: &str) {
        let problem = match schema.format.as_str() {
            "percent" => text.parse::<Percent>().err().map(|_| NotAPercentage(shown(text)).to_string()),
            "period" => text.parse::<Period>().err().map(|_| NotAPeriod(shown(text)).to_string()),
            "time-of-day" => text.parse::<TimeOfDay>().err().map(|_| NotATimeOfDay(shown(text)).to_string()),
            "window-length" => {
                text.parse::<WindowLength>().err().map(|_| NotAWindowLength(shown(text)).to_string())
            }
            "time-zone" => text.parse::<ZoneName>().err().map(|_| NotAZone(shown(text)).to_string()),
            "date-time" => not_a_time(text),
            _ if schema.pattern.as_ref().is_some_and(|known| known.as_str() == pattern::ADDRESS) => {
                text_problem(text, schema).or_else(|| not_an_address(text))
            }
            _ if !schema.options.is_empty() => not_an_option(text, &schema.options),
            _ => text_problem(text, schema),
        };
        if let Some(message) = problem {
            self.add(node.mark, path, message);
        }
    }

    /// The message never contains the value: it may be the secret itself.
    fn secret_source(&mut self, node: &Node, schema: &Schema, path: &str) {
        let fits = node.text().is_some_and(|text| text_problem(text, schema).is_none());
        if !fits {
            self.add(node.mark, path, "must not be a literal secret: use env:VAR, file:PATH or exec:CMD");
        }
    }

    fn range(&mut self, node: &Node, number: i64, schema: &Schema, path: &str) {
        let (least, most) = schema.range;
        if let Some(least) = least.filter(|least| number < *least) {
            self.add(node.mark, path, format!("is {number}, must be at least {least}"));
        } else if let Some(most) = most.filter(|most| number > *most) {
            self.add(node.mark, path, format!("is {number}, must be at most {most}"));
        }
    }

    fn size(&mut self, node: &Node, size: usize, noun: &str, schema: &Schema, path: &str) {
        let size = size as u64;
        let has = match (size, noun) {
            (1, _) => format!("has 1 {noun}"),
            (_, "entry") => format!("has {size} entries"),
            _ => format!("has {}", counted(size, noun)),
        };
        match schema.size {
            (Some(least), _) if size < least => {
                self.add(node.mark, path, format!("{has}, at least {least} required"));
            }
            (_, Some(most)) if size > most => {
                self.add(node.mark, path, format!("{has}, at most {most} allowed"));
            }
            _ => {}
        }
    }

    fn twice(&mut self, fields: &[Entry], path: &str) {
        let mut first = BTreeMap::new();
        for entry in fields {
            if let Some(before) = first.get(entry.key.as_str()) {
                let message = format!("duplicate field `{}`, first at {before}", entry.key);
                self.add(entry.mark, &join(path, &entry.key), message);
            } else {
                first.insert(entry.key.as_str(), entry.mark);
            }
        }
    }
}

/// `spec.stages`, or `metadata.labels["example.com/team"]` for a key that is not a plain name.
pub(super) fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    match (path, plain) {
        ("", _) => key.to_owned(),
        (_, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{}]", quoted(key)),
    }
}

/// An octal number in YAML 1.1, which API servers use, and a decimal one in YAML 1.2.
fn is_octal(raw: &str) -> bool {
    let digits = raw.trim_start_matches(['-', '+']);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn unknown(key: &str, meant: Option<&str>, schema: &Schema) -> String {
    match meant {
        Some(name) => format!("unknown field `{key}`: did you mean `{name}`?"),
        None => format!("unknown field `{key}`: use {}", one_of(schema.fields.keys().map(String::as_str))),
    }
}

/// An item of a list without a name often has an older form: the message shows the current one.
fn missing(field: &str, schema: &Schema, present: &[Entry]) -> String {
    let only_name = schema.required.len() < 2;
    let present = present.iter().map(|entry| entry.key.as_str());
    let present = present.filter(|key| only_name && schema.fields.contains_key(*key));
    let fields = schema.required.iter().map(String::as_str).chain(present);
    let fields: Vec<String> = fields.map(|field| format!("{field}: …")).collect();
    if field != "name" || fields.len() < 2 {
        return "is missing".to_owned();
    }
    format!("is missing: use {{{}}}", fields.join(", "))
}

/// Options that users may know from other systems, with one that stands in the same list, and what to use instead.
const ABSENT: [(&str, &str, &str); 2] = [
    ("Rollback", "Abort", "use Pause or Abort, then point spec.packageRef at the earlier package"),
    (
        "Consecutive",
        "EProcess",
        "no cloud reports in which order devices fail, so use EProcess: with maxFailure 5% it stops after 3 failures among the first 5 devices",
    ),
];

fn not_an_option(text: &str, options: &[String]) -> Option<String> {
    if options.iter().any(|option| option == text) {
        return None;
    }
    let names = || options.iter().map(String::as_str);
    let known =
        ABSENT.iter().find(|(option, beside, _)| *option == text && names().any(|name| name == *beside));
    if let Some((option, _, instead)) = known {
        return Some(format!("{option} is not supported: {instead}"));
    }
    Some(match nearest(text, names()) {
        Some(name) => format!("{} is not {}: did you mean {name}?", quoted(text), one_of(names())),
        None => format!("{} is not {}", quoted(text), one_of(names())),
    })
}

fn text_problem(text: &str, schema: &Schema) -> Option<String> {
    let characters = text.chars().count() as u64;
    let is = format!("has {}", counted(characters, "character"));
    match schema.size {
        (Some(_), _) if text.is_empty() => return Some("is empty: set a value".to_owned()),
        (Some(least), _) if characters < least => return Some(format!("{is}, at least {least} required")),
        (_, Some(most)) if characters > most => return Some(format!("{is}, at most {most} allowed")),
        _ => {}
    }
    let pattern = schema.pattern.as_ref().filter(|pattern| !pattern.is_match(text))?;
    let words = pattern::words(pattern.as_str());
    Some(words.map_or_else(
        || format!("{} does not match {pattern}", quoted(text)),
        |words| format!("{} {words}", quoted(text)),
    ))
}

fn not_an_integer(number: Option<f64>, raw: &str, schema: &Schema) -> String {
    #[allow(clippy::cast_precision_loss)] // Limits are far below 2^53.
    let excess = schema.range.1.filter(|most| number.is_some_and(|number| number > *most as f64));
    excess.map_or_else(
        || format!("{raw} is not a whole number"),
        |most| format!("is {raw}, must be at most {most}"),
    )
}

/// What no pattern detects: an invalid IPv4 or IPv6 address.
fn not_an_address(text: &str) -> Option<String> {
    let error = url::Url::parse(text).err()?;
    Some(format!("{} is not an address: {error}", quoted(text)))
}

fn not_a_time(text: &str) -> Option<String> {
    if text.parse::<Timestamp>().is_ok() {
        return None;
    }
    // A day that stands for "never" lies after the last moment of the calendar.
    let is_late = text.starts_with("9999-12-3")
        && text.get(..19).is_some_and(|text| text.parse::<jiff::civil::DateTime>().is_ok());
    Some(if is_late {
        format!("{} is later than {}, the latest supported time", quoted(text), Timestamp::MAX)
    } else {
        format!("{} is not a time with an offset from UTC (try 2026-01-06T01:00:00+08:00)", quoted(text))
    })
}

/// A text without its quotes, for an error type that sets its own.
fn shown(text: &str) -> String {
    let quoted = quoted(text);
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&quoted).to_owned()
}

/// What to use instead of an older form.
fn moved(node: &Node, path: &str) -> Option<String> {
    let text = node.text().filter(|_| path.ends_with("delivery.timeout"))?;
    let period = text.parse::<Period>().ok()?;
    Some(format!(
        "must be a map with queued and inProgress: use delivery.timeout.inProgress (`timeout: {{inProgress: {period}}}`)"
    ))
}

fn wrong_shape(node: &Node, schema: &Schema) -> String {
    let is = what(node);
    match (schema.kind, &node.value) {
        (Shape::Text, Value::Number(_, raw)) => match schema.format.as_str() {
            "percent" => NotAPercentage(raw.clone()).to_string(),
            "period" => NotAPeriod(raw.clone()).to_string(),
            _ => format!("expected text, found {is}: quote it (\"{raw}\")"),
        },
        (Shape::Text, Value::Bool(truth)) if schema.format.is_empty() => {
            format!("expected text, found {truth}: quote it (\"{truth}\")")
        }
        (Shape::Integer, Value::Text(text)) if text.parse::<i64>().is_ok() => {
            format!("expected a whole number, found {is}: remove the quotes")
        }
        (Shape::Text, _) => format!("expected text, found {is}"),
        (Shape::Integer, _) => format!("expected a whole number, found {is}"),
        (Shape::IntOrText, _) => format!("expected a whole number or a percentage, found {is}"),
        (Shape::Bool, _) => format!("expected true or false, found {is}"),
        (Shape::List, _) => format!("expected a list (`- …` for each item), found {is}"),
        // Without the value: it may be a secret in the place of its source.
        (Shape::Object, _) => format!("expected {}", fields_of(schema)),
        (Shape::Map, _) => "expected a map (`key: …` for each entry)".to_owned(),
    }
}

fn fields_of(schema: &Schema) -> String {
    let required = schema.required.first().or_else(|| schema.fields.keys().next());
    format!("a map of fields (`{}: …`)", required.map_or("name", String::as_str))
}
