//! Schemas and defaults that fields of several statuses have.

use crate::api::Condition;
use schemars::{Schema, SchemaGenerator, json_schema};

/// `observedGeneration` before the first reconcile, so that kstatus sees the object as not yet reconciled.
pub(super) const fn never_observed() -> i64 {
    -1
}

pub(super) fn timestamp(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

pub(super) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let item = generator.subschema_for::<Condition>();
    json_schema!({
        "type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]
    })
}
