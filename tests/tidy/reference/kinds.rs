//! The page of a kind: every field of `spec` and `status` with its type, default, limits and support by cloud.

use rollwave::api::{
    CloudKind, Kind, definition,
    support::{self, Support},
};
use serde_json::Value;
use std::fmt::Write as _;

/// Defaults that are not in the schema, because an API server would write them into every object. A test compares them with the types.
pub const DEFAULTS: &[(Kind, &str, &str)] = &[
    (Kind::OtaCloud, "spec.allowInsecure", "false"),
    (Kind::OtaRollout, "spec.newDevices", "Include"),
    (Kind::OtaRollout, "spec.priority", "0"),
    (Kind::OtaRollout, "spec.readyWhen", "Completed"),
];

/// The page of a kind.
pub fn page(kind: Kind) -> String {
    let definition = definition(kind);
    let names = &definition["spec"]["names"];
    let version = &definition["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let mut page = format!(
        "# {kind}\n\n<!-- Written by `make docs` from the schema of the kind: do not edit. -->\n\n{}\n\n\
         API version `{}/{}`, namespaced, short name `{}`. [Clouds](../clouds.md) lists how each cloud implements each field.\n\n\
         A field that is neither marked *required* nor has a default is not set when it is left out.\n",
        text(&schema["description"]).unwrap_or_default(),
        text(&definition["spec"]["group"]).unwrap_or_default(),
        text(&version["name"]).unwrap_or_default(),
        text(&names["shortNames"][0]).unwrap_or_default(),
    );
    for part in ["spec", "status"] {
        section(&mut page, kind, part, &schema["properties"][part]);
    }
    page
}

/// The table of an object's fields, and then those of the objects in it.
fn section(page: &mut String, kind: Kind, path: &str, schema: &Value) {
    // Writing to a String cannot fail.
    let _ = write!(page, "\n## `{path}`\n");
    if let Some(about) = text(&schema["description"]) {
        let _ = write!(page, "\n{}\n", one_line(about));
    }
    let _ = writeln!(page, "\n| field | type | description |\n|---|---|---|");
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(text).collect();
    let fields: Vec<(&String, &Value)> = schema["properties"].as_object().into_iter().flatten().collect();
    for (name, field) in &fields {
        let details = details(kind, &format!("{path}.{name}"), field, required.contains(&name.as_str()));
        let _ = writeln!(page, "| `{name}` | {} | {details} |", type_of(field));
    }
    let rules = rules(schema);
    if !rules.is_empty() {
        let _ = write!(page, "\nRules:\n\n{}\n", bullets(&rules));
    }
    for (name, field) in fields {
        if field["properties"].is_object() {
            section(page, kind, &format!("{path}.{name}"), field);
        } else if field["items"]["properties"].is_object() {
            section(page, kind, &format!("{path}.{name}[]"), &field["items"]);
        }
    }
}

fn bullets(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n")
}

/// The description of a field, with its default, limits and rules.
fn details(kind: Kind, path: &str, field: &Value, is_required: bool) -> String {
    let mut parts: Vec<String> = text(&field["description"]).map(one_line).into_iter().collect();
    let mut facts: Vec<String> = Vec::new();
    if is_required {
        facts.push("required".to_owned());
    }
    if is_immutable(field) {
        facts.push("immutable".to_owned());
    }
    if let Some(default) = default_of(kind, path, field).filter(|_| !path.starts_with("status")) {
        facts.push(format!("default `{default}`"));
    }
    facts.extend(limits(field));
    facts.extend(clouds(kind, path));
    if !facts.is_empty() {
        let facts = facts.join("; ");
        parts.push(format!("*{facts}*"));
    }
    // The rules of an object stand below its own table.
    if !field["properties"].is_object() {
        parts.extend(rules(field).iter().map(|rule| format!("Rule: {rule}.")));
    }
    parts.join(" ").replace('|', "\\|")
}

/// Values that are written as text, without quotes.
fn default_of(kind: Kind, path: &str, field: &Value) -> Option<String> {
    match &field["default"] {
        Value::Null => {
            let listed = DEFAULTS.iter().find(|(of, at, _)| *of == kind && *at == path);
            listed.map(|(_, _, default)| (*default).to_owned())
        }
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn type_of(field: &Value) -> String {
    if let Some(values) = field["enum"].as_array() {
        let names: Vec<String> = values.iter().filter_map(text).map(|name| format!("`{name}`")).collect();
        return names.join(", ");
    }
    if field["x-kubernetes-int-or-string"] == Value::Bool(true) {
        return "integer or string".to_owned();
    }
    match text(&field["type"]) {
        Some("array") => format!("list of {}", type_of(&field["items"])),
        Some("object") if field["additionalProperties"].is_object() => {
            format!("map of {}", type_of(&field["additionalProperties"]))
        }
        Some("string") if field["format"] == "date-time" => "time (RFC 3339)".to_owned(),
        other => other.unwrap_or("any").to_owned(),
    }
}

/// Limits of a value, and of the values in it.
fn limits(field: &Value) -> Vec<String> {
    let mut limits: Vec<String> = [
        range(field, "minimum", "maximum", ""),
        range(field, "minLength", "maxLength", " characters"),
        range(field, "minItems", "maxItems", " items"),
        range(field, "minProperties", "maxProperties", " entries"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(pattern) = text(&field["pattern"]) {
        limits.push(format!("pattern `{pattern}`"));
    }
    for inner in ["items", "additionalProperties"] {
        if field[inner].is_object() && !field[inner]["properties"].is_object() {
            limits.extend(self::limits(&field[inner]).into_iter().map(|limit| format!("each: {limit}")));
        }
    }
    limits
}

fn range(field: &Value, least: &str, most: &str, unit: &str) -> Option<String> {
    let number = |name: &str| field[name].as_i64().map(grouped);
    match (number(least), number(most)) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
        (Some(least), None) => Some(format!("at least {least}{unit}")),
        (None, Some(most)) => Some(format!("at most {most}{unit}")),
        (None, None) => None,
    }
}

/// `1234567` as `1,234,567`.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut groups = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            groups.push(',');
        }
        groups.push(digit);
    }
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{groups}")
}

/// The clouds that refuse a field.
fn clouds(kind: Kind, path: &str) -> Option<String> {
    let row = support::rows(kind).iter().find(|row| row.field == path)?;
    let refuses = |cloud: &CloudKind| matches!(row.of(*cloud), Support::Refused(_));
    let refusing: Vec<&str> =
        CloudKind::ALL.into_iter().filter(|cloud| refuses(cloud)).map(CloudKind::as_str).collect();
    (!refusing.is_empty()).then(|| format!("refused on {}", refusing.join(", ")))
}

/// A rule that compares with the value before forbids a change.
fn is_immutable(field: &Value) -> bool {
    validations(field).any(|rule| text(&rule["rule"]) == Some("self == oldSelf"))
}

/// The rules of a value in words, without those that only make it immutable.
fn rules(schema: &Value) -> Vec<String> {
    let other = validations(schema).filter(|rule| text(&rule["rule"]) != Some("self == oldSelf"));
    let mut messages: Vec<String> = Vec::new();
    for message in other.filter_map(|rule| text(&rule["message"])) {
        if !messages.iter().any(|known| known == message) {
            messages.push(message.to_owned());
        }
    }
    messages
}

fn validations(schema: &Value) -> impl Iterator<Item = &Value> {
    schema["x-kubernetes-validations"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn numbers_are_grouped_by_thousands() {
    let grouped = [7, 1000, -1_000_000, 123_456].map(grouped);
    assert_eq!(grouped, ["7", "1,000", "-1,000,000", "123,456"]);
}
