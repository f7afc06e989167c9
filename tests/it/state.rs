//! The state of a home without a cluster: what is kept, what is refused, and who may look.

use futures::FutureExt as _;
use jiff::Timestamp;
use rollwave::{
    api::{Kind, Object, ObjectKey, OtaPackageStatus, OtaRolloutStatus},
    state::{Desired, Store as _, local::Local, memory::Memory},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

mod apply;
#[cfg(unix)]
mod crash;
mod damage;
mod mirror;
mod model;
mod requests;

type Manifests = BTreeMap<ObjectKey, Object>;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(Kind::OtaPackage, "default", name)
}

fn package(name: &str, version: &str) -> Object {
    package_with(name, version, &json!({}))
}

fn package_with(name: &str, version: &str, annotations: &Value) -> Object {
    let manifest = json!({
        "apiVersion": "ota.rollwave.dev/v1alpha1",
        "kind": "OtaPackage",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "cloudRef": {"name": "factory"},
            "type": "Firmware",
            "product": {"id": "meter"},
            "version": version,
            "artifact": {
                "sha256": "0".repeat(64),
                "obs": {"region": "cn-north-4", "bucket": "firmware", "key": "meter.bin"},
            },
        },
    });
    Object::Package(serde_json::from_value(manifest).unwrap())
}

fn rollout(name: &str) -> Object {
    let manifest = json!({
        "apiVersion": "ota.rollwave.dev/v1alpha1",
        "kind": "OtaRollout",
        "metadata": {"name": name},
        "spec": {
            "packageRef": {"name": "a"},
            "targets": {"all": true},
            "stages": [{"name": "all", "select": {"rest": true}}],
        },
    });
    Object::Rollout(serde_json::from_value(manifest).unwrap())
}

fn manifests(objects: impl IntoIterator<Item = Object>) -> Manifests {
    objects.into_iter().map(|object| (object.key(), object)).collect()
}

fn with_message(object: &Object, message: &str) -> Object {
    let mut object = object.clone();
    match &mut object {
        Object::Package(o) => {
            o.status = Some(OtaPackageStatus { message: message.to_owned(), ..OtaPackageStatus::default() });
        }
        _ => unreachable!("these tests save the status of packages"),
    }
    object
}

fn message(object: &Object) -> Option<&str> {
    match object {
        Object::Package(o) => o.status.as_ref().map(|status| status.message.as_str()),
        _ => None,
    }
}

/// Cases of a law whose every step waits for a disk; `PROPTEST_CASES` asks for more.
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

/// The result of a call to [`Local`]: it answers at once.
fn answer<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("it never waits")
}

fn load(local: &Local, key: &ObjectKey) -> Option<Object> {
    answer(local.load(key)).unwrap().map(|object| (*object).clone())
}

fn objects(local: &Local) -> Vec<Object> {
    let keys = answer(local.keys()).unwrap();
    keys.iter().filter_map(|key| load(local, key)).collect()
}

fn apply(local: &Local, objects: impl IntoIterator<Item = Object>, second: i64) -> Desired {
    local.apply_desired(&manifests(objects), true, at(second)).unwrap()
}

fn changed(names: &[&str]) -> Desired {
    Desired { changed: names.iter().map(|name| key(name)).collect(), deleting: Vec::new() }
}

fn deleting(names: &[&str]) -> Desired {
    Desired { changed: Vec::new(), deleting: names.iter().map(|name| key(name)).collect() }
}
