//! Projections of searches: the fields that rows are answered with (document: projection). *Assumed*: a path that a row does not
//! have is left out. Paths into lists (`b[*].c`) are not simulated: no row has a list.

use super::request::{Fields, Refusal};
use serde_json::{Map, Value, json};

/// The paths of a projection.
#[derive(Debug)]
pub struct Projection(Option<Vec<String>>);

impl Projection {
    /// Reads it; all fields when absent.
    ///
    /// # Errors
    /// It is no list of paths.
    pub fn read(fields: Fields<'_>) -> Result<Self, Refusal> {
        Ok(Self(fields.texts("projection")?.filter(|paths| !paths.is_empty())))
    }

    /// The fields of a row at these paths.
    #[must_use]
    pub fn of(&self, row: Value) -> Value {
        let Some(paths) = &self.0 else { return row };
        let mut kept = Map::new();
        for path in paths {
            let found = path.split('.').try_fold(&row, |value, name| value.get(name));
            if let Some(found) = found {
                put(&mut kept, path, found.clone());
            }
        }
        Value::Object(kept)
    }
}

fn put(into: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            into.insert(path.to_owned(), value);
        }
        Some((name, rest)) => {
            let inner = into.entry(name).or_insert_with(|| json!({}));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_keeps_the_paths_that_the_row_has_and_nothing_else() {
        let row = json!({"deviceKey": "m-1", "deviceSecret": "s", "deviceName": {"defaultValue": "n", "i18nValue": {}}});
        let kept = |paths: Value| {
            let body = Map::from_iter([("projection".to_owned(), paths)]);
            Projection::read(Fields { map: &body, path: "" }).unwrap().of(row.clone())
        };
        assert_eq!(kept(json!(null)), row);
        assert_eq!(kept(json!(["deviceKey", "none", "deviceKey.none"])), json!({"deviceKey": "m-1"}));
        assert_eq!(kept(json!(["deviceName.defaultValue"])), json!({"deviceName": {"defaultValue": "n"}}));
    }
}
