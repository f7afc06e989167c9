//! Checks that the installed CustomResourceDefinitions are as new as this controller: an API server drops fields that they lack,
//! and with them the journal.

use crate::api::{Kind, VERSION, definition, definition_file};
use kube::Client;
use serde_json::{Map, Value};

/// Where an API server publishes the schemas of our kinds; every authenticated client may read it.
const DOCUMENT: &str = "/openapi/v3/apis/ota.rollwave.dev/v1alpha1";
/// Prefix of our schemas in that document: the group, reversed.
const SCHEMAS: &str = "dev.rollwave.ota";
/// How to update them.
const APPLY: &str = "apply those of this version with `rollwave crds | kubectl apply --server-side -f -`";
/// Number of missing fields that are named.
const NAMED: usize = 3;

/// Why a controller must not work with the installed CustomResourceDefinitions; none when they have every field that it writes.
///
/// # Errors
/// The API server does not answer, or does not return the document.
pub async fn problem(client: &Client) -> Result<Option<String>, kube::Error> {
    let request = http::Request::get(DOCUMENT).body(Vec::new()).map_err(kube::Error::HttpError)?;
    let document: Value = match client.request(request).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Value::Null,
        document => document?,
    };
    if document.is_null() {
        return Ok(Some(format!("the CustomResourceDefinitions are not installed: {APPLY}")));
    }
    let outdated: Vec<String> = Kind::ALL.into_iter().filter_map(|kind| outdated(kind, &document)).collect();
    Ok((!outdated.is_empty()).then(|| {
        format!(
            "the installed CustomResourceDefinitions are older than this controller: {}: {APPLY}",
            outdated.join("; ")
        )
    }))
}

fn outdated(kind: Kind, document: &Value) -> Option<String> {
    let name = format!("{SCHEMAS}.{VERSION}.{}", kind.as_str());
    let Some(installed) = document.pointer("/components/schemas").and_then(|schemas| schemas.get(&name))
    else {
        return Some(format!("{} is not installed ({})", kind.as_str(), definition_file(kind)));
    };
    let built_in = definition(kind);
    let built_in = built_in.pointer("/spec/versions/0/schema/openAPIV3Schema")?;
    let mut missing = Vec::new();
    for part in ["spec", "status"] {
        let of = |schema: &Value| schema.pointer(&format!("/properties/{part}")).cloned().unwrap_or_default();
        note_missing(part, &of(built_in), &of(installed), &mut missing);
    }
    let (count, first) = (missing.len(), missing.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "));
    match count {
        0 => None,
        1..=NAMED => Some(format!("{} lacks {first}", kind.as_str())),
        _ => Some(format!("{} lacks {first} and {} more fields", kind.as_str(), count - NAMED)),
    }
}

/// Collects the fields that one schema has and the other one lacks.
fn note_missing(path: &str, wanted: &Value, found: &Value, missing: &mut Vec<String>) {
    if found.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
        return;
    }
    let none = Map::new();
    let fields = |schema: &Value| schema.get("properties").and_then(Value::as_object).cloned();
    let found_fields = fields(found).unwrap_or_default();
    for (name, wanted) in fields(wanted).as_ref().unwrap_or(&none) {
        let path = format!("{path}.{name}");
        match found_fields.get(name) {
            Some(found) => note_missing(&path, wanted, found, missing),
            None => missing.push(path),
        }
    }
    for (within, name) in [("items", "[]"), ("additionalProperties", ".*")] {
        if let (Some(wanted), Some(found)) = (wanted.get(within), found.get(within)) {
            note_missing(&format!("{path}{name}"), wanted, found, missing);
        }
    }
}

/// The first field that was sent and not returned.
pub(super) fn first_dropped(path: &str, sent: &Value, kept: Option<&Value>) -> Option<String> {
    match (sent, kept) {
        (Value::Object(fields), Some(Value::Object(kept))) => fields
            .iter()
            .find_map(|(name, sent)| first_dropped(&format!("{path}.{name}"), sent, kept.get(name))),
        (Value::Array(items), Some(Value::Array(kept))) => items
            .iter()
            .enumerate()
            .find_map(|(index, sent)| first_dropped(&format!("{path}[{index}]"), sent, kept.get(index))),
        (_, Some(_)) => None,
        (_, None) => Some(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(edit: impl FnOnce(&mut Value)) -> Value {
        let schemas = Kind::ALL.into_iter().map(|kind| {
            let schema = definition(kind).pointer("/spec/versions/0/schema/openAPIV3Schema").cloned();
            (format!("{SCHEMAS}.{VERSION}.{}", kind.as_str()), schema.unwrap())
        });
        let mut document = json!({"components": {"schemas": schemas.collect::<Map<_, _>>()}});
        edit(&mut document);
        document
    }

    fn said(edit: impl FnOnce(&mut Value)) -> String {
        let document = document(edit);
        let said: Vec<String> = Kind::ALL.into_iter().filter_map(|kind| outdated(kind, &document)).collect();
        said.join("; ")
    }

    fn remove(document: &mut Value, pointer: &str, field: &str) {
        let place = document.pointer_mut(&format!("/components/schemas/{pointer}")).unwrap();
        assert!(place.as_object_mut().unwrap().remove(field).is_some(), "{pointer} has no {field}");
    }

    #[test]
    fn fields_that_an_older_definition_lacks_are_named() {
        assert_eq!(said(|_| {}), "");
        let status = "dev.rollwave.ota.v1alpha1.OtaRollout/properties/status/properties";
        let pending = format!("{status}/pending/items/properties");
        assert_eq!(said(|d| remove(d, &pending, "token")), "OtaRollout lacks status.pending[].token");
        assert_eq!(said(|d| remove(d, status, "pending")), "OtaRollout lacks status.pending");
        let all = said(|d| remove(d, "dev.rollwave.ota.v1alpha1.OtaRollout/properties", "status"));
        assert!(all.contains("and") && all.contains("more fields"), "{all}");
        let gone = said(|d| *d = Value::Null);
        assert!(gone.contains("OtaCloud is not installed (otaclouds.yaml)"), "{gone}");
    }

    #[test]
    fn what_an_api_server_dropped_is_found_and_what_it_added_is_not() {
        let sent = json!({"a": 1, "list": [{"x": 1, "y": 2}], "map": {}});
        let kept = json!({"a": 1, "list": [{"x": 1, "y": 2, "z": 3}], "map": {}, "more": true});
        assert_eq!(first_dropped("status", &sent, Some(&kept)), None);
        let kept = json!({"a": 1, "list": [{"x": 1}], "map": {}});
        assert_eq!(first_dropped("status", &sent, Some(&kept)).as_deref(), Some("status.list[0].y"));
        assert_eq!(first_dropped("status", &sent, None).as_deref(), Some("status"));
    }
}
