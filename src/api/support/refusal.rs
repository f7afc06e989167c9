//! What is refused of a manifest.

use serde_json::Value;

/// A field that a cloud cannot honor as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Path of the field: `spec.delivery.confirm`.
    pub path: String,
    /// Why, and what to write instead.
    pub message: String,
}

/// The value at a path of fields; none when it is absent or empty.
pub(super) fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let found = path.split('.').try_fold(value, |value, field| value.get(field))?;
    let is_empty = match found {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    (!is_empty).then_some(found)
}
