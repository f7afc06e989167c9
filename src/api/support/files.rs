//! Files of packages on Alibaba Cloud: the digests and sizes that each must have, and the protocols that devices can download it
//! by. Sources: the documents of CreateOTAFirmware and of OTA downloads, as `docs/clouds.md` names them.

use super::refusal::{Refusal, at};
use crate::api::{CloudKind, DownloadProtocol, Kind, OtaPackageSpec, OtaRolloutSpec};
use serde_json::Value;

/// Bytes of a file that devices download by HTTPS: 1,000 MB.
const BY_HTTPS: i64 = 1000 * 1024 * 1024;
/// Bytes of the one file that devices download by MQTT: 16 MB.
const BY_MQTT: i64 = 16 * 1024 * 1024;

/// What is wrong with the files of a package.
pub(super) fn check(cloud: CloudKind, kind: Kind, manifest: &Value) -> Vec<Refusal> {
    if (cloud, kind) != (CloudKind::AliyunIot, Kind::OtaPackage) {
        return Vec::new();
    }
    let artifact = at(manifest, "spec.artifact");
    let protocol = at(manifest, "spec.verification.delivery.downloadProtocol");
    let by_mqtt = protocol.filter(|protocol| *protocol == "Mqtt").and(artifact).and_then(|artifact| {
        let size = artifact.get("size").and_then(Value::as_i64);
        not_by_mqtt(artifact.get("files").is_some(), size)
    });
    let by_mqtt = by_mqtt.map(|why| refusal("spec.verification.delivery.downloadProtocol", why));
    each(artifact).flat_map(|(path, file)| of_file(&path, file)).chain(by_mqtt).collect()
}

/// Why a rollout cannot deliver its package by the protocol that it names.
pub(super) fn undeliverable(
    cloud: CloudKind,
    rollout: &OtaRolloutSpec,
    package: &OtaPackageSpec,
) -> Option<Refusal> {
    let protocol = rollout.delivery.as_ref()?.download_protocol?;
    if (cloud, protocol) != (CloudKind::AliyunIot, DownloadProtocol::Mqtt) {
        return None;
    }
    let why = not_by_mqtt(package.artifact.files.is_some(), package.artifact.size)?;
    Some(refusal("spec.delivery.downloadProtocol", why))
}

/// Why devices cannot download files by MQTT; none when they can, or when the size of the one file is not known.
fn not_by_mqtt(are_several: bool, size: Option<i64>) -> Option<String> {
    let which = match size {
        _ if are_several => "several files",
        Some(size) if size > BY_MQTT => "files of more than 16 MB",
        _ => return None,
    };
    Some(format!("aliyunIot sends {which} by HTTPS only: use Https"))
}

/// The one file, which is the artifact itself, or each of several.
fn each(artifact: Option<&Value>) -> impl Iterator<Item = (String, &Value)> {
    const PATH: &str = "spec.artifact";
    let several = artifact.and_then(|artifact| artifact.get("files")).and_then(Value::as_array);
    let one = several.is_none().then(|| (PATH.to_owned(), artifact.unwrap_or(&Value::Null)));
    let several = several.into_iter().flatten().enumerate();
    one.into_iter().chain(several.map(|(n, file)| (format!("{PATH}.files[{n}]"), file)))
}

fn of_file(path: &str, file: &Value) -> Vec<Refusal> {
    let digest = at(file, "md5").is_none().then(|| {
        refusal(
            &format!("{path}.md5"),
            "is missing: aliyunIot stores no other digest of a package".to_owned(),
        )
    });
    let is_large = file.get("size").and_then(Value::as_i64).is_some_and(|bytes| bytes > BY_HTTPS);
    let size =
        is_large.then(|| refusal(&format!("{path}.size"), "aliyunIot accepts at most 1000 MB".to_owned()));
    digest.into_iter().chain(size).collect()
}

fn refusal(path: &str, message: String) -> Refusal {
    Refusal { path: path.to_owned(), message }
}
