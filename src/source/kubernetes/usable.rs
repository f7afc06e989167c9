//! What a manifest may contain in a folder, but not in a cluster, where the author does not own the controller's machine.

use crate::api::{Artifact, NO_FILES, Object, OtaCloudSpec, OtaPackage};
use std::path::{Component, Path};

/// What the controller has available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Means {
    /// The controller has a folder with package files.
    pub has_files: bool,
}

/// Why an object cannot work in a cluster; none if it can.
pub(super) fn refusal(object: &Object, means: Means) -> Option<String> {
    match object {
        Object::Cloud(cloud) => of_cloud(&cloud.spec),
        // What may be in the cloud is observed whatever the flags are. Only its creation needs the files, and is refused there.
        Object::Package(package) if may_be_in_the_cloud(package) => None,
        Object::Package(package) => of_artifact(&package.spec.artifact, means),
        Object::Rollout(_) => None,
    }
}

fn may_be_in_the_cloud(package: &OtaPackage) -> bool {
    let status = package.status.as_ref();
    status.is_some_and(|status| status.package_id.is_some() || !status.pending.is_empty())
}

fn of_cloud(spec: &OtaCloudSpec) -> Option<String> {
    if spec.credentials.secret_ref.is_none() {
        return Some(
            "spec.credentials: env:, file: and exec: are not supported in a cluster: put the keys into a Secret and use spec.credentials.secretRef"
                .to_owned(),
        );
    }
    let has_files = |spec: &crate::api::OceanConnect| spec.ca_bundle.is_some() || spec.client_cert.is_some();
    spec.ocean_connect.as_ref().is_some_and(has_files).then(|| {
        "spec.oceanConnect.caBundle and clientCert are not supported in a cluster: put ca.crt, tls.crt and tls.key into the Secret".to_owned()
    })
}

fn of_artifact(artifact: &Artifact, means: Means) -> Option<String> {
    artifact.paths().find_map(|(field, file)| {
        if !means.has_files {
            return Some(format!("{field}: {NO_FILES}"));
        }
        let stays =
            Path::new(file).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        (!stays).then(|| {
            format!("{field}: {file} is outside of the folder of this namespace: use a path below it")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn said(object: Value, has_files: bool) -> String {
        let object: Object = serde_json::from_value(object).unwrap();
        refusal(&object, Means { has_files }).unwrap_or_default()
    }

    #[test]
    fn nothing_of_the_controllers_machine_is_reached_through_a_manifest() {
        let cloud = |credentials: Value, more: Value| {
            json!({"apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaCloud", "metadata": {"name": "c"}, "spec": {
                "oceanConnect": {"endpoint": "https://x", "appId": "a", "caBundle": more}, "credentials": credentials}})
        };
        let named = json!({"secretRef": {"name": "keys"}});
        assert_eq!(said(cloud(named.clone(), Value::Null), false), "");
        assert!(said(cloud(named, json!("file:ca")), false).contains("put ca.crt"));
        assert!(said(cloud(json!({"appSecret": "exec:id"}), Value::Null), false).contains("secretRef"));
        let package = |artifact: Value| {
            json!({"apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaPackage", "metadata": {"name": "p"}, "spec": {
                "cloudRef": {"name": "c"}, "type": "Firmware", "product": {"id": "m"}, "version": "V1", "artifact": artifact}})
        };
        let one = |file: &str| json!({"sha256": "0", "file": file});
        let of = |name: &str, file: &str| json!({"name": name, "file": file, "sha256": "0"});
        let second = |file: &str| json!({"files": [of("a", "a.bin"), of("b", file)]});
        assert!(said(package(one("a.bin")), false).contains("--artifacts"));
        assert!(said(package(second("b.bin")), false).contains("--artifacts"));
        let intent = json!({"token": "t", "operation": "CreatePackage", "digest": "d", "at": "2026-01-01T00:00:00Z",
                            "state": "Intended"});
        for (status, refused) in
            [(json!({}), true), (json!({"packageId": "p-1"}), false), (json!({"pending": [intent]}), false)]
        {
            let mut created = package(one("../a.bin"));
            created["status"] = status.clone();
            let said = said(created, false);
            assert_eq!(said.contains("--artifacts"), refused, "{status}: {said}");
        }
        for (file, refused) in [
            ("a/b.bin", false),
            ("./b.bin", false),
            ("../b.bin", true),
            ("/b.bin", true),
            ("a/../../b.bin", true),
        ] {
            for (artifact, field) in
                [(one(file), "artifact.file:"), (second(file), "artifact.files[1].file:")]
            {
                let said = said(package(artifact), true);
                assert_eq!(said.contains("is outside of") && said.contains(field), refused, "{file}: {said}");
            }
        }
    }
}
