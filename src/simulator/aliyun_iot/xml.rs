//! Answers as XML, which the API gives when JSON is not requested.

use serde_json::Value;

/// An answer as a document with this root.
#[must_use]
pub fn document(root: &str, body: &Value) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    element(&mut text, root, body);
    text
}

/// A list is its element, once for each item.
fn element(text: &mut String, name: &str, value: &Value) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| element(text, name, item)),
        Value::Null => {}
        Value::Object(fields) => {
            text.push_str(&format!("<{name}>"));
            fields.iter().for_each(|(name, value)| element(text, name, value));
            text.push_str(&format!("</{name}>"));
        }
        Value::String(value) => text.push_str(&format!("<{name}>{}</{name}>", escape(value))),
        other => text.push_str(&format!("<{name}>{other}</{name}>")),
    }
}

/// A text as it stands between tags.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
