//! The fields of `OtaPackage`.

use super::row::Row;
use super::row::Support::{Emulated, Native, Refused};

const OURS: [super::Support; 4] = [Emulated("by Rollwave"); 4];

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
            Refused("use manufacturer, deviceType and model"),
            Native("ProductKey"),
            Native("productKey"),
        ],
    },
    Row {
        field: "spec.product.manufacturer",
        clouds: [
            Refused("use product.id"),
            Native("manufacturerName"),
            Refused("use product.id"),
            Refused("use product.id"),
        ],
    },
    Row {
        field: "spec.product.deviceType",
        clouds: [
            Refused("use product.id"),
            Native("deviceType"),
            Refused("use product.id"),
            Refused("use product.id"),
        ],
    },
    Row {
        field: "spec.product.model",
        clouds: [
            Refused("use product.id"),
            Native("model"),
            Refused("use product.id"),
            Refused("use product.id"),
        ],
    },
    Row {
        field: "spec.version",
        clouds: [Native("version"), Native("version"), Native("DestVersion"), Native("version")],
    },
    Row {
        field: "spec.module",
        clouds: [
            Refused("a package upgrades the whole device: remove it"),
            Refused("a package upgrades the whole device: remove it"),
            Native("ModuleName"),
            Refused("a package upgrades the whole device: remove it"),
        ],
    },
    Row {
        field: "spec.sourceVersions",
        clouds: [
            Native("support_source_versions"),
            Emulated("shown with the upload instructions; devices that run another version are excluded"),
            Native("SrcVersion, only for a delta (artifact.delta)"),
            Refused("use targets.fromVersions of the rollouts"),
        ],
    },
    Row { field: "spec.releaseCounter", clouds: OURS },
    Row {
        field: "spec.description",
        clouds: [
            Native("description"),
            Refused("enter it in the portal"),
            Native("FirmwareDesc"),
            Native("desc"),
        ],
    },
    Row {
        field: "spec.customInfo",
        clouds: [
            Native("custom_info"),
            Refused("no text is passed to the device: remove it"),
            Native("Udi"),
            Refused("no text is passed to the device: remove it"),
        ],
    },
    Row {
        field: "spec.artifact.sha256",
        clouds: [
            Native("file_location.obs_location.sign"),
            Emulated("seed of the canary; the platform reports no digest, so the artifact cannot be checked"),
            Emulated("checked during the upload"),
            Native("sign with signMethod sha256"),
        ],
    },
    Row {
        field: "spec.artifact.size",
        clouds: [
            Emulated("at most 1 GiB; not sent"),
            Emulated("at most 1 GiB; not sent"),
            Emulated("checked before the upload"),
            Emulated("checked before the upload"),
        ],
    },
    Row {
        field: "spec.artifact.md5",
        clouds: [
            Refused("artifact.sha256 is sufficient: remove it"),
            Refused("the platform reports no digest: remove it"),
            Native("FirmwareSign"),
            Refused("artifact.sha256 is sufficient: remove it"),
        ],
    },
    Row {
        field: "spec.artifact.delta",
        clouds: [
            Refused("the cloud does not mark deltas: use customInfo to tell devices"),
            Refused("the cloud does not mark deltas: remove it"),
            Native("Type 1"),
            Refused("the cloud does not mark deltas: remove it"),
        ],
    },
    Row {
        field: "spec.artifact.obs",
        clouds: [
            Native("file_location.obs_location"),
            Refused("upload the package in the portal, and use artifact.portal"),
            Refused("use artifact.file"),
            Refused("use artifact.file"),
        ],
    },
    Row {
        field: "spec.artifact.file",
        clouds: [
            Refused("store the file in OBS, and use artifact.obs"),
            Refused("upload the package in the portal, and use artifact.portal"),
            Native("GenerateOTAUploadURL, then FirmwareUrl"),
            Native("part `file` of the multipart create"),
        ],
    },
    Row {
        field: "spec.artifact.files",
        clouds: [
            Refused("put the files into one archive in OBS, and use artifact.obs"),
            Refused("put the files into one archive, upload it in the portal, and use artifact.portal"),
            Native("GenerateOTAUploadURL for each, then MultiFiles.N"),
            Refused("put the files into one archive, and use artifact.file"),
        ],
    },
    Row {
        field: "spec.artifact.portal",
        clouds: [
            Refused("use artifact.obs"),
            Native("the package is searched for, and never created"),
            Refused("use artifact.file"),
            Refused("use artifact.file"),
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
            Emulated("counted from the versions that devices report"),
            Emulated("counted from the versions that devices report"),
            Native("every device must succeed (100% only)"),
            Native("minSuccessForVerified"),
        ],
    },
    Row {
        field: "spec.verification.timeout",
        clouds: [Emulated("a device that has not answered by then has failed"); 4],
    },
    Row { field: "spec.verification.delivery.start", clouds: super::rollout::START },
    Row {
        field: "spec.verification.delivery.timeout.queued",
        clouds: [Refused("use spec.verification.timeout, which counts from the beginning"); 4],
    },
    Row {
        field: "spec.verification.delivery.timeout.inProgress",
        clouds: [
            Refused("IoTDA has a fixed timeout: use spec.verification.timeout"),
            Refused("the platform has a fixed timeout: use spec.verification.timeout"),
            Native("TimeoutInMinutes"),
            Native("upgradeTimeout"),
        ],
    },
    Row {
        field: "spec.verification.delivery.retry",
        clouds: [
            Native("task_policy.retry_count, retry_interval"),
            Native("policy.retryType, retryTimes"),
            Refused("a verification job is not retried: remove it"),
            Refused("a verification job is not retried: remove it"),
        ],
    },
    Row {
        field: "spec.verification.delivery.ratePerMinute",
        clouds: [Refused("a verification has few devices: remove it"); 4],
    },
    Row {
        field: "spec.verification.delivery.maxInFlight",
        clouds: [Refused("a verification has few devices: remove it"); 4],
    },
    Row { field: "spec.verification.delivery.push", clouds: super::rollout::PUSH },
    Row { field: "spec.verification.delivery.confirm", clouds: super::rollout::CONFIRM },
    Row {
        field: "spec.verification.delivery.deviceInitiated",
        clouds: [Refused("a verification is always pushed: remove it"); 4],
    },
    Row { field: "spec.verification.delivery.downloadProtocol", clouds: super::rollout::PROTOCOL },
    Row {
        field: "spec.verification.delivery.overwrite",
        clouds: [Refused("a verification replaces no other job: remove it"); 4],
    },
    Row { field: "spec.verification.delivery.tags", clouds: super::rollout::TAGS },
    Row { field: "spec.adoption", clouds: OURS },
    Row {
        field: "spec.deletionPolicy",
        clouds: [
            Native("DELETE packages/{package_id}"),
            Emulated("Orphan only: a package that was uploaded by hand is kept"),
            Native("DeleteOTAFirmware"),
            Native("ota-firmwares action=delete"),
        ],
    },
    Row { field: "spec.driftPolicy", clouds: OURS },
];
