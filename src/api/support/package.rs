//! The fields of `OtaPackage`.

use super::Row;
use super::Support::{Emulated, Native, Refused};

const OURS: [super::Support; 4] = [Emulated("Rollwave's own"); 4];

pub(super) const ROWS: &[Row] = &[
    Row { field: "spec.cloudRef", clouds: OURS },
    Row {
        field: "spec.type",
        clouds: [
            Native("package_type"),
            Native("fileType"),
            Native("the firmware of a module (Firmware only)"),
            Native("ota-firmwares (Firmware only)"),
        ],
    },
    Row {
        field: "spec.product.id",
        clouds: [
            Native("product_id"),
            Refused("give manufacturer, deviceType and model"),
            Native("ProductKey"),
            Native("productKey"),
        ],
    },
    Row {
        field: "spec.product.manufacturer",
        clouds: [
            Refused("give product.id"),
            Native("manufacturerName"),
            Refused("give product.id"),
            Refused("give product.id"),
        ],
    },
    Row {
        field: "spec.product.deviceType",
        clouds: [
            Refused("give product.id"),
            Native("deviceType"),
            Refused("give product.id"),
            Refused("give product.id"),
        ],
    },
    Row {
        field: "spec.product.model",
        clouds: [
            Refused("give product.id"),
            Native("model"),
            Refused("give product.id"),
            Refused("give product.id"),
        ],
    },
    Row {
        field: "spec.version",
        clouds: [Native("version"), Native("version"), Native("DestVersion"), Native("version")],
    },
    Row {
        field: "spec.module",
        clouds: [
            Refused("it upgrades devices as a whole: leave it out"),
            Refused("it upgrades devices as a whole: leave it out"),
            Native("ModuleName"),
            Refused("it upgrades devices as a whole: leave it out"),
        ],
    },
    Row {
        field: "spec.sourceVersions",
        clouds: [
            Native("support_source_versions"),
            Emulated(
                "named when the package is to be uploaded; devices that run another version are left out",
            ),
            Native("SrcVersion, of a delta alone (artifact.delta)"),
            Refused("name them in targets.fromVersions of the rollouts"),
        ],
    },
    Row { field: "spec.releaseCounter", clouds: OURS },
    Row {
        field: "spec.description",
        clouds: [
            Native("description"),
            Refused("write it in the portal"),
            Native("FirmwareDesc"),
            Native("desc"),
        ],
    },
    Row {
        field: "spec.customInfo",
        clouds: [
            Native("custom_info"),
            Refused("nothing is handed to the device: leave it out"),
            Native("Udi"),
            Refused("nothing is handed to the device: leave it out"),
        ],
    },
    Row {
        field: "spec.artifact.sha256",
        clouds: [
            Native("file_location.obs_location.sign"),
            Emulated("order of the canary; the platform tells no digest, so the bytes cannot be checked"),
            Emulated("checked while the file is uploaded"),
            Native("sign with signMethod sha256"),
        ],
    },
    Row {
        field: "spec.artifact.size",
        clouds: [
            Emulated("at most 1 GiB; not sent"),
            Emulated("at most 1 GiB; not sent"),
            Emulated("checked before the file is uploaded"),
            Emulated("checked before the file is uploaded"),
        ],
    },
    Row {
        field: "spec.artifact.md5",
        clouds: [
            Refused("artifact.sha256 is enough"),
            Refused("the platform tells no digest: leave it out"),
            Native("FirmwareSign"),
            Refused("artifact.sha256 is enough"),
        ],
    },
    Row {
        field: "spec.artifact.delta",
        clouds: [
            Refused("devices are not told that a package is one: say it in customInfo"),
            Refused("devices are not told that a package is one: leave it out"),
            Native("Type 1"),
            Refused("devices are not told that a package is one: leave it out"),
        ],
    },
    Row {
        field: "spec.artifact.obs",
        clouds: [
            Native("file_location.obs_location"),
            Refused("upload the package in the portal, and give artifact.portal"),
            Refused("give artifact.file"),
            Refused("give artifact.file"),
        ],
    },
    Row {
        field: "spec.artifact.file",
        clouds: [
            Refused("store the file in OBS, and give artifact.obs"),
            Refused("upload the package in the portal, and give artifact.portal"),
            Native("GenerateOTAUploadURL, then FirmwareUrl"),
            Native("part `file` of the multipart create"),
        ],
    },
    Row {
        field: "spec.artifact.files",
        clouds: [
            Refused("put them into one archive in OBS, and give artifact.obs"),
            Refused("put them into one archive, upload it in the portal, and give artifact.portal"),
            Native("GenerateOTAUploadURL for each, then MultiFiles.N"),
            Refused("put them into one archive, and give artifact.file"),
        ],
    },
    Row {
        field: "spec.artifact.portal",
        clouds: [
            Refused("give artifact.obs"),
            Native("the package is looked for, and never created"),
            Refused("give artifact.file"),
            Refused("give artifact.file"),
        ],
    },
    Row {
        field: "spec.verification.devices",
        clouds: [
            Emulated("a small batch task"),
            Emulated("a small task"),
            Native("CreateOTAVerifyJob TargetDeviceName.N"),
            Native("job of type verify, upgradeScope.deviceKeys"),
        ],
    },
    Row {
        field: "spec.verification.minSuccess",
        clouds: [
            Emulated("counted by what the devices report"),
            Emulated("counted by what the devices report"),
            Native("every device must succeed (100% only)"),
            Native("minSuccessForVerified"),
        ],
    },
    Row {
        field: "spec.verification.timeout",
        clouds: [Emulated("who has not answered by then has failed"); 4],
    },
    Row { field: "spec.verification.delivery.start", clouds: super::rollout::START },
    Row {
        field: "spec.verification.delivery.timeout.queued",
        clouds: [Refused("spec.verification.timeout counts from the beginning: use that"); 4],
    },
    Row {
        field: "spec.verification.delivery.timeout.inProgress",
        clouds: [
            Refused("IoTDA has a fixed one: use spec.verification.timeout"),
            Refused("the platform has a fixed one: use spec.verification.timeout"),
            Native("TimeoutInMinutes"),
            Native("upgradeTimeout"),
        ],
    },
    Row {
        field: "spec.verification.delivery.retry",
        clouds: [
            Native("task_policy.retry_count, retry_interval"),
            Native("policy.retryType, retryTimes"),
            Refused("a verify job is not tried again: leave it out"),
            Refused("a verify job is not tried again: leave it out"),
        ],
    },
    Row {
        field: "spec.verification.delivery.ratePerMinute",
        clouds: [Refused("a verification is small: leave it out"); 4],
    },
    Row {
        field: "spec.verification.delivery.maxInFlight",
        clouds: [Refused("a verification is small: leave it out"); 4],
    },
    Row { field: "spec.verification.delivery.push", clouds: super::rollout::PUSH },
    Row { field: "spec.verification.delivery.confirm", clouds: super::rollout::CONFIRM },
    Row {
        field: "spec.verification.delivery.deviceInitiated",
        clouds: [Refused("the cloud sends a verification: leave it out"); 4],
    },
    Row { field: "spec.verification.delivery.downloadProtocol", clouds: super::rollout::PROTOCOL },
    Row {
        field: "spec.verification.delivery.overwrite",
        clouds: [Refused("a verification replaces nothing: leave it out"); 4],
    },
    Row { field: "spec.verification.delivery.tags", clouds: super::rollout::TAGS },
    Row { field: "spec.adoption", clouds: OURS },
    Row {
        field: "spec.deletionPolicy",
        clouds: [
            Native("DELETE packages/{package_id}"),
            Emulated("Orphan only: what was uploaded by hand stays"),
            Native("DeleteOTAFirmware"),
            Native("ota-firmwares action=delete"),
        ],
    },
    Row { field: "spec.driftPolicy", clouds: OURS },
];
