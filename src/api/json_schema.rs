//! The kinds as JSON Schemas for editors and kubeconform: the same fields, patterns and limits as in the definitions, without the
//! CEL rules.

use super::{API_VERSION, Kind, VERSION, definition};
use serde_json::{Map, Value, json};

/// Name of the file with the JSON Schema of a kind, as kubeconform expects it.
#[must_use]
pub fn json_schema_file(kind: Kind) -> String {
    format!("{}_{VERSION}.json", kind.as_str().to_lowercase())
}

/// The JSON Schema (draft 7) of a kind.
#[must_use]
pub fn json_schema(kind: Kind) -> Value {
    let definition = definition(kind);
    let place = "/spec/versions/0/schema/openAPIV3Schema";
    let mut schema = definition.pointer(place).cloned().unwrap_or_default();
    in_json(&mut schema, false);
    if let Some(spec) = schema.pointer_mut("/properties/spec") {
        in_json(spec, true);
    }
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["properties"]["apiVersion"] = json!({"type": "string", "enum": [API_VERSION]});
    schema["properties"]["kind"] = json!({"type": "string", "enum": [kind.as_str()]});
    schema["properties"]["metadata"] = json!({"type": "object"});
    schema["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
    schema
}

/// Translates Kubernetes keywords to JSON Schema; `closed`: unknown fields are refused.
fn in_json(schema: &mut Value, closed: bool) {
    match schema {
        Value::Object(fields) => {
            if fields.remove("x-kubernetes-int-or-string").is_some() {
                fields.insert("type".to_owned(), json!(["integer", "string"]));
            }
            if let Some(Value::String(pattern)) = fields.get_mut("pattern") {
                *pattern = in_ecma(pattern);
            }
            fields.retain(|name, _| !name.starts_with("x-kubernetes-"));
            close(fields, closed);
            fields.values_mut().for_each(|value| in_json(value, closed));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| in_json(item, closed)),
        _ => {}
    }
}

/// An API server uses Go's regular expressions, JSON Schema those of ECMAScript: `\x{4e00}` becomes `\u4e00`.
fn in_ecma(pattern: &str) -> String {
    let mut parts = pattern.split("\\x{");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| match part.split_once('}') {
        Some((digits, rest)) => format!("{text}\\u{digits}{rest}"),
        None => text + "\\x{" + part,
    })
}

/// `properties` may also be the name of a field: only objects with a type are schemas.
fn close(fields: &mut Map<String, Value>, closed: bool) {
    let is_schema = fields.get("type").is_some_and(|of_type| of_type == "object");
    if closed && is_schema && fields.get("properties").is_some_and(Value::is_object) {
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_of_a_spec_are_refused_and_no_word_of_kubernetes_is_left() {
        for kind in Kind::ALL {
            let schema = json_schema(kind);
            assert_eq!(schema["properties"]["spec"]["additionalProperties"], false);
            assert_eq!(schema["properties"]["status"]["additionalProperties"], Value::Null);
            let text = schema.to_string();
            assert!(!text.contains("x-kubernetes-") && !text.contains("\\x{"), "{kind}");
        }
        let rollout = json_schema(Kind::OtaRollout);
        let rule = "/properties/spec/properties/stop/items/properties/maxFailure/type";
        assert_eq!(rollout.pointer(rule), Some(&json!(["integer", "string"])));
        assert_eq!(in_ecma(r"[\x{4e00}-\x{9fa5}a]{1}"), r"[\u4e00-\u9fa5a]{1}");
        assert_eq!(json_schema_file(Kind::OtaRollout), "otarollout_v1alpha1.json");
    }
}
