//! Sample objects for snapshots of output.

use crate::api::Object;
use serde_json::Value;

/// One object in every state that is drawn, in order of their keys.
pub fn fleet() -> Vec<Object> {
    let values: Vec<Value> = serde_yaml::from_str(include_str!("samples.yaml")).unwrap();
    let mut objects: Vec<Object> = values.into_iter().map(object).collect();
    objects.sort_by_key(Object::key);
    objects
}

/// The object of this name among them.
pub fn named(name: &str) -> Object {
    fleet().into_iter().find(|object| object.key().name == name).unwrap()
}

fn object(mut value: Value) -> Object {
    value["apiVersion"] = crate::api::API_VERSION.into();
    match value["kind"].as_str().unwrap() {
        "OtaCloud" => Object::Cloud(serde_json::from_value(value).unwrap()),
        "OtaPackage" => Object::Package(serde_json::from_value(value).unwrap()),
        _ => Object::Rollout(serde_json::from_value(value).unwrap()),
    }
}
