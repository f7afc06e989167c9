//! What an API server refuses of a spec by the rules of our CustomResourceDefinitions (`x-kubernetes-validations`), the rules about
//! changes among them: a package of another version under the same name, say. Pure.

use super::etcd::Refusal;
use kube_cel::CompiledSchema;
use rollwave::api::{self, Kind};
use serde_json::Value;
use std::sync::LazyLock;

const INVALID: Refusal = Refusal(422, "Invalid");

/// Whether the object may be written over what is there, or be created.
pub(super) fn admit(kind: Kind, new: &Value, old: Option<&Value>) -> Result<(), Refusal> {
    kube_cel::validate_compiled(rules(kind), new, old).map_err(|_| INVALID)
}

fn rules(kind: Kind) -> &'static CompiledSchema {
    static CLOUD: LazyLock<CompiledSchema> = LazyLock::new(|| compile(Kind::OtaCloud));
    static PACKAGE: LazyLock<CompiledSchema> = LazyLock::new(|| compile(Kind::OtaPackage));
    static ROLLOUT: LazyLock<CompiledSchema> = LazyLock::new(|| compile(Kind::OtaRollout));
    match kind {
        Kind::OtaCloud => &CLOUD,
        Kind::OtaPackage => &PACKAGE,
        Kind::OtaRollout => &ROLLOUT,
    }
}

/// As the definition that is applied to a cluster says.
fn compile(kind: Kind) -> CompiledSchema {
    let definition = api::definition(kind);
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema").cloned();
    kube_cel::compile_schema(&schema.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_names_a_package_is_never_changed_and_the_rest_is() {
        let package = json!({
            "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaPackage", "metadata": {"name": "p"},
            "spec": {"cloudRef": {"name": "cloud0"}, "type": "Firmware", "product": {"id": "meter"}, "version": "V2",
                "artifact": {"sha256": "ab".repeat(32), "file": "a"}},
        });
        assert_eq!(admit(Kind::OtaPackage, &package, None), Ok(()));
        for (field, value, expected) in [
            ("/spec/version", json!("V3"), Err(INVALID)),
            ("/spec/type", json!("Software"), Err(INVALID)),
            ("/spec/product/id", json!("other"), Err(INVALID)),
            ("/spec/cloudRef/name", json!("cloud1"), Err(INVALID)),
            ("/spec/artifact/sha256", json!("cd".repeat(32)), Ok(())),
        ] {
            let mut new = package.clone();
            *new.pointer_mut(field).unwrap() = value;
            assert_eq!(admit(Kind::OtaPackage, &new, Some(&package)), expected, "{field}");
        }
        let mut of_a_module = package.clone();
        of_a_module["spec"]["module"] = json!("mcu");
        assert_eq!(admit(Kind::OtaPackage, &of_a_module, Some(&package)), Err(INVALID));
    }
}
