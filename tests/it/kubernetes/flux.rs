//! The `healthCheckExprs` of the example for Flux, on the objects of a real run. What kstatus makes of the same objects is
//! tested in `tests/flux/`.

use super::statuses::place;
use kube_cel::{ErrorKind, compile_schema, validate_compiled};
use serde_json::{Value, json};

const EXAMPLE: &str = include_str!("../../../integrations/flux/kustomizations.yaml");

/// Whether an expression is true of an object. Flux gives an expression the object's fields; a rule of a schema has them in `self`.
fn holds(expression: &str, object: &Value) -> bool {
    let rule = expression.replace("status.", "self.status.").replace("c.self.status.", "c.status.");
    let status = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let schema = json!({
        "type": "object", "properties": {"status": status},
        "x-kubernetes-validations": [{"rule": rule, "message": "it does not hold"}],
    });
    match validate_compiled(&compile_schema(&schema), object, None) {
        Ok(()) => true,
        Err(errors) => {
            let errors = errors.into_vec();
            assert!(errors.iter().all(|e| e.kind == ErrorKind::ValidationFailure), "{rule}: {errors:?}");
            false
        }
    }
}

#[test]
fn a_kustomization_may_go_on_once_the_canaries_have_passed() {
    let kustomizations: Vec<Value> = serde_yaml::from_multiple(EXAMPLE).unwrap();
    let checks: Vec<&Value> =
        kustomizations.iter().filter_map(|k| k["spec"].get("healthCheckExprs")).collect();
    let [check] = checks[0].as_array().unwrap().as_slice() else { panic!("{checks:?}") };
    assert_eq!(
        (&check["apiVersion"], &check["kind"]),
        (&rollwave::api::API_VERSION.into(), &"OtaRollout".into())
    );
    // In the order in which Flux asks; none of them is in progress.
    let said = |object: &Value| {
        let is = |name: &&str| holds(check[*name].as_str().unwrap(), object);
        ["failed", "current"].into_iter().find(is).unwrap_or("in progress")
    };
    for (name, expected) in [
        ("new", "in progress"),
        ("accepted", "in progress"),
        ("soaking", "in progress"),
        ("suspended", "in progress"),
        ("paused", "in progress"),
        ("canary-passed", "current"),
        ("completed", "current"),
        ("gate-failed", "failed"),
        ("stopped", "failed"),
        ("no-package", "failed"),
    ] {
        let text = fs_err::read_to_string(place("OtaRollout", name)).unwrap();
        assert_eq!(said(&serde_yaml::from_str(&text).unwrap()), expected, "{name}");
    }
}
