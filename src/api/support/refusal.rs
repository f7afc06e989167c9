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

/// The values at a path of fields, where `[]` stands for each item of a list, with the place of each: `spec.stages[1].select`.
pub(super) fn each<'v>(value: &'v Value, path: &str) -> Vec<(String, &'v Value)> {
    let Some((list, below)) = path.split_once("[].") else {
        return at(value, path).map(|found| (path.to_owned(), found)).into_iter().collect();
    };
    let items = at(value, list).and_then(Value::as_array).into_iter().flatten().enumerate();
    let found = items.flat_map(|(index, item)| {
        let places = each(item, below).into_iter();
        places.map(move |(place, found)| (format!("{list}[{index}].{place}"), found))
    });
    found.collect()
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
