//! The schema of a kind, compiled once: the same as in its CustomResourceDefinition.

use crate::api::OWN_ANNOTATIONS;
use crate::api::{self, Kind, pattern};
use kube_cel::CompiledSchema;
use regex::Regex;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One kind: its whole document, and its rules.
pub(super) struct Document {
    pub schema: Schema,
    pub rules: CompiledSchema,
}

/// The document of a kind.
pub(super) fn document(kind: Kind) -> &'static Document {
    static CLOUD: LazyLock<Document> = LazyLock::new(|| compile(Kind::OtaCloud));
    static PACKAGE: LazyLock<Document> = LazyLock::new(|| compile(Kind::OtaPackage));
    static ROLLOUT: LazyLock<Document> = LazyLock::new(|| compile(Kind::OtaRollout));
    match kind {
        Kind::OtaCloud => &CLOUD,
        Kind::OtaPackage => &PACKAGE,
        Kind::OtaRollout => &ROLLOUT,
    }
}

fn compile(kind: Kind) -> Document {
    let schema = api::schema(kind);
    let rules = kube_cel::compile_schema(&schema);
    let spec = schema.pointer("/properties/spec").cloned().unwrap_or_default();
    Document { schema: Schema::compile(&envelope(&spec)), rules }
}

/// The part of an object around its spec. Only what users write: an API server writes the rest of the metadata.
fn envelope(spec: &Json) -> Json {
    let own: BTreeMap<&str, &str> =
        OWN_ANNOTATIONS.into_iter().map(|name| (name, "is set by Rollwave: remove it")).collect();
    let server = "is set by the Kubernetes API server: remove it";
    let by_server = [
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    ];
    let mut refused: BTreeMap<&str, &str> = by_server.into_iter().map(|field| (field, server)).collect();
    refused.insert("generateName", "would create a new object at every read: use name");
    refused.insert("ownerReferences", "is not supported: removing a manifest removes only its object");
    refused.insert("finalizers", "is not supported in manifests: remove it");
    json!({
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 253, "pattern": pattern::NAME},
                    "namespace": {"type": "string", "minLength": 1, "maxLength": 63, "pattern": pattern::LABEL},
                    "labels": {
                        "type": "object", "propertyNames": {"pattern": pattern::QUALIFIED_NAME},
                        "additionalProperties": {"type": "string", "maxLength": 63, "pattern": pattern::LABEL_VALUE}
                    },
                    "annotations": {
                        "type": "object", "propertyNames": {"pattern": pattern::QUALIFIED_NAME},
                        "additionalProperties": {"type": "string", "maxLength": 262_144},
                        "x-refused": own
                    }
                },
                "x-refused": refused
            },
            "spec": spec
        },
        "x-refused": {"status": "is written by Rollwave: remove it"}
    })
}

/// A JSON schema, limited to the structural schemas of the API server.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub kind: Shape,
    /// Rollwave's own formats: `percent`, `period`, `secret-source`.
    pub format: String,
    /// Fields of an object, sorted.
    pub fields: BTreeMap<String, Self>,
    pub required: Vec<String>,
    /// Fields that users may know from Kubernetes, and why they are refused.
    pub refused: BTreeMap<String, String>,
    /// Values of a map with free keys.
    pub values: Option<Box<Self>>,
    /// Pattern of the free keys.
    pub keys: Option<Regex>,
    /// Items of a list.
    pub items: Option<Box<Self>>,
    /// The values of an enum.
    pub options: Vec<String>,
    pub pattern: Option<Regex>,
    /// Minimum and maximum of the characters of a text, items of a list, entries of a map.
    pub size: (Option<u64>, Option<u64>),
    /// Minimum and maximum of a number.
    pub range: (Option<i64>, Option<i64>),
}

/// Type of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    Object,
    Map,
    List,
    Integer,
    Bool,
    IntOrText,
    #[default]
    Text,
}

impl Schema {
    fn compile(schema: &Json) -> Self {
        let shape = Shape::of(schema);
        let (least, most) = match shape {
            Shape::List => ("minItems", "maxItems"),
            Shape::Map => ("minProperties", "maxProperties"),
            _ => ("minLength", "maxLength"),
        };
        let text = |key: &str| schema[key].as_str().unwrap_or_default().to_owned();
        Self {
            kind: shape,
            format: text("format"),
            fields: children(&schema["properties"]),
            required: strings(&schema["required"]),
            refused: serde_json::from_value(schema["x-refused"].clone()).unwrap_or_default(),
            values: child(&schema["additionalProperties"]),
            keys: regex(&schema["propertyNames"]),
            items: child(&schema["items"]),
            options: strings(&schema["enum"]),
            pattern: regex(schema),
            size: (schema[least].as_u64(), schema[most].as_u64()),
            range: (schema["minimum"].as_i64(), schema["maximum"].as_i64()),
        }
    }
}

impl Shape {
    fn of(schema: &Json) -> Self {
        match schema["type"].as_str() {
            Some("object") if schema["additionalProperties"].is_object() => Self::Map,
            Some("object") => Self::Object,
            Some("array") => Self::List,
            Some("integer") => Self::Integer,
            Some("boolean") => Self::Bool,
            None => Self::IntOrText,
            Some(_) => Self::Text,
        }
    }
}

fn children(properties: &Json) -> BTreeMap<String, Schema> {
    let properties = properties.as_object().into_iter().flatten();
    properties.map(|(name, schema)| (name.clone(), Schema::compile(schema))).collect()
}

fn child(schema: &Json) -> Option<Box<Schema>> {
    schema.is_object().then(|| Box::new(Schema::compile(schema)))
}

fn strings(list: &Json) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}

fn regex(schema: &Json) -> Option<Regex> {
    Regex::new(schema["pattern"].as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_compiles_and_the_walk_knows_every_keyword() {
        const KNOWN: [&str; 26] = [
            "type",
            "format",
            "properties",
            "required",
            "additionalProperties",
            "propertyNames",
            "items",
            "enum",
            "pattern",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "minProperties",
            "maxProperties",
            "minimum",
            "maximum",
            "default",
            "description",
            "title",
            "x-kubernetes-validations",
            "x-kubernetes-int-or-string",
            "x-kubernetes-list-type",
            "x-kubernetes-list-map-keys",
            "x-refused",
            "uniqueItems",
        ];
        fn check(schema: &Json) {
            if schema.is_null() {
                return;
            }
            for (keyword, value) in schema.as_object().into_iter().flatten() {
                assert!(KNOWN.contains(&keyword.as_str()), "{keyword}");
                if keyword == "pattern" {
                    assert!(Regex::new(value.as_str().unwrap()).is_ok(), "{value}");
                }
                if keyword == "type" {
                    let types = ["object", "array", "integer", "boolean", "string"];
                    assert!(types.contains(&value.as_str().unwrap()), "{value}");
                }
            }
            schema["properties"].as_object().into_iter().flatten().for_each(|(_, field)| check(field));
            ["items", "additionalProperties"].iter().for_each(|inner| check(&schema[*inner]));
        }
        fn check_rules(rules: &CompiledSchema) {
            assert!(!rules.has_errors(), "{:?}", rules.compilation_errors());
            rules.properties.values().for_each(check_rules);
            rules.items.iter().chain(&rules.additional_properties).for_each(|inner| check_rules(inner));
        }
        for kind in Kind::ALL {
            check(&envelope(&api::schema(kind)["properties"]["spec"]));
            check_rules(&document(kind).rules);
        }
    }
}
