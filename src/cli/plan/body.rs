//! Request bodies as text: short values are on one line, and long lists end with a count of the rest.

use serde_json::Value;

/// Items that are shown of a long list.
pub(super) const SHOWN: usize = 3;
/// Length of a line from which on a list or an object is spread over several.
const WIDTH: usize = 90;

/// The value as lines.
pub(super) fn lines(value: &Value) -> Vec<String> {
    spread(value).lines().map(str::to_owned).collect()
}

fn spread(value: &Value) -> String {
    let inner = |text: String| text.replace('\n', "\n  ");
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let (name, value) = (Value::from(name.as_str()), short_or_spread(value));
                format!("\n  {name}: {}", inner(value))
            });
            format!("{{{}\n}}", fields.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            let items = abridged(items, |item| format!("\n  {}", inner(short_or_spread(item))));
            format!("[{}\n]", items.join(","))
        }
        plain => plain.to_string(),
    }
}

fn short_or_spread(value: &Value) -> String {
    let short = short(value);
    if short.chars().count() > WIDTH { spread(value) } else { short }
}

fn short(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                format!("{}: {}", Value::from(name.as_str()), short(value))
            };
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", abridged(items, short).join(", ")),
        plain => plain.to_string(),
    }
}

fn abridged(items: &[Value], write: impl Fn(&Value) -> String) -> Vec<String> {
    if items.len() <= SHOWN + 1 {
        return items.iter().map(write).collect();
    }
    let more = Value::from(format!("… and {} more", items.len() - SHOWN));
    items.iter().take(SHOWN).chain([&more]).map(write).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_fits_stands_in_one_line_and_long_lists_are_cut() {
        let body = json!({
            "app": "a", "document": {"ids": ["x"]}, "targets": (0..9).collect::<Vec<_>>(),
            "notes": ["n".repeat(50), "m".repeat(50)]
        });
        let long = format!("    \"{}\",\n    \"{}\"", "n".repeat(50), "m".repeat(50));
        let expected = format!(
            "{{\n  \"app\": \"a\",\n  \"document\": {{\"ids\": [\"x\"]}},\n  \"notes\": [\n{long}\n  ],\n  \
             \"targets\": [0, 1, 2, \"… and 6 more\"]\n}}"
        );
        assert_eq!(lines(&body).join("\n"), expected);
    }
}
