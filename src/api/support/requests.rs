//! Where each documented field of the clouds' requests comes from.

use crate::api::CloudKind;

/// The origin of a field of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A field of a manifest.
    Manifest(&'static str),
    /// Set by Rollwave, and to what.
    Ours(&'static str),
    /// Not sent, and why.
    NotSent(&'static str),
}

/// A documented request with its fields.
#[derive(Clone, Copy, Debug)]
pub struct Document {
    /// Its cloud.
    pub cloud: CloudKind,
    /// Name of the request in the cloud's manual.
    pub request: &'static str,
    /// Path of each field with its origin, in the order of the manual.
    pub fields: &'static [(&'static str, Origin)],
}

use Origin::{Manifest, NotSent, Ours};

/// The documents that Rollwave was built from.
pub const DOCUMENTS: &[Document] = &[
    Document {
        cloud: CloudKind::HuaweiIotda,
        request: "CreateOtaPackage",
        fields: &[
            ("project_id", Manifest("OtaCloud spec.huaweiIotda.projectId")),
            ("Instance-Id", Manifest("OtaCloud spec.huaweiIotda.instanceId")),
            ("app_id", Manifest("OtaCloud spec.huaweiIotda.appId")),
            ("package_type", Manifest("OtaPackage spec.type")),
            ("product_id", Manifest("OtaPackage spec.product.id")),
            ("version", Manifest("OtaPackage spec.version")),
            ("support_source_versions", Manifest("OtaPackage spec.sourceVersions")),
            ("description", Manifest("OtaPackage spec.description")),
            ("custom_info", Manifest("OtaPackage spec.customInfo")),
            ("file_location.obs_location.region_name", Manifest("OtaPackage spec.artifact.obs.region")),
            ("file_location.obs_location.bucket_name", Manifest("OtaPackage spec.artifact.obs.bucket")),
            ("file_location.obs_location.object_key", Manifest("OtaPackage spec.artifact.obs.key")),
            ("file_location.obs_location.sign", Manifest("OtaPackage spec.artifact.sha256")),
        ],
    },
    Document {
        cloud: CloudKind::HuaweiIotda,
        request: "ListOtaPackageInfo",
        fields: &[
            ("project_id", Manifest("OtaCloud spec.huaweiIotda.projectId")),
            ("Instance-Id", Manifest("OtaCloud spec.huaweiIotda.instanceId")),
            ("app_id", Manifest("OtaCloud spec.huaweiIotda.appId")),
            ("package_type", Ours("each type that a manifest names, in separate lists")),
            ("product_id", Ours("of the package that is searched for; omitted when all packages are listed")),
            ("version", Ours("of the package that is searched for; omitted when all packages are listed")),
            ("limit", Ours("50, the largest page")),
            ("marker", Ours("of the previous page")),
            ("offset", NotSent("limited to 500; the marker has no limit")),
        ],
    },
    Document {
        cloud: CloudKind::Enos,
        request: "Create OTA Job (v2.1)",
        fields: &[
            ("action", Ours("create")),
            ("orgId", Manifest("OtaCloud spec.enos.orgId")),
            ("firmwareId", Ours("of the OtaPackage")),
            ("name", Ours("the rollout, its stage, and the idempotency key of the job")),
            ("type", Ours("verify for spec.verification, upgrade for a stage")),
            ("upgradeScope.type", Ours("partial: a job is for the devices of its stage")),
            ("upgradeScope.versionNumbers", Ours("the versions that these devices run")),
            ("upgradeScope.deviceKeys", Ours("the devices of the stage, in chunks")),
            ("upgradeScope.attributes", NotSent("the devices of a stage are listed, so that it cannot grow")),
            ("upgradeScope.tags", NotSent("the devices of a stage are listed, so that it cannot grow")),
            ("upgradeScope.assetTrees", NotSent("the devices of a stage are listed, so that it cannot grow")),
            ("upgradePolicy", Ours("snapshot, so that a stage cannot grow")),
            ("enableUpgradeRequest", Manifest("OtaRollout spec.delivery.deviceInitiated")),
            ("upgradeTimeout", Manifest("OtaRollout spec.delivery.timeout.inProgress")),
            ("retryPolicy.enableRetry", Manifest("OtaRollout spec.delivery.retry")),
            ("retryPolicy.retryInterval", Manifest("OtaRollout spec.delivery.retry.interval")),
            ("retryPolicy.retryCount", Manifest("OtaRollout spec.delivery.retry.limit")),
            (
                "schedulePolicy.isRepeatDaily",
                NotSent("a job starts when its stage is dispatched, within stages[].windows"),
            ),
            (
                "schedulePolicy.startTimestamp",
                NotSent("a job starts when its stage is dispatched, within stages[].windows"),
            ),
            (
                "schedulePolicy.endTimestamp",
                NotSent("a job starts when its stage is dispatched, within stages[].windows"),
            ),
            ("maximumConcurrency", Manifest("OtaRollout spec.delivery.maxInFlight")),
        ],
    },
    Document {
        cloud: CloudKind::OceanConnect,
        request: "createFirmwareUpgradeTask",
        fields: &[
            ("app_key", Manifest("OtaCloud spec.oceanConnect.appId")),
            ("Authorization", Ours("the token of the application")),
            ("fileId", Ours("of the OtaPackage")),
            ("targets.deviceGroups", NotSent("the devices of a stage are listed, so that it cannot grow")),
            ("targets.deviceType", NotSent("used with deviceGroups only")),
            ("targets.model", NotSent("used with deviceGroups only")),
            ("targets.manufacturerName", NotSent("used with deviceGroups only")),
            ("targets.devices", Ours("the devices of the stage, in chunks of 256")),
            ("policy.executeType", Manifest("OtaRollout spec.delivery.start")),
            (
                "policy.startTime",
                NotSent("a task starts when its stage is dispatched, within stages[].windows"),
            ),
            (
                "policy.endTime",
                NotSent("a task starts when its stage is dispatched, within stages[].windows"),
            ),
            ("policy.retryType", Manifest("OtaRollout spec.delivery.retry")),
            ("policy.retryTimes", Manifest("OtaRollout spec.delivery.retry.limit")),
        ],
    },
    Document {
        cloud: CloudKind::AliyunIot,
        request: "CreateOTAVerifyJob",
        fields: &[
            ("Action", Ours("CreateOTAVerifyJob")),
            ("IotInstanceId", Manifest("OtaCloud spec.aliyunIot.iotInstanceId")),
            ("FirmwareId", Ours("of the OtaPackage")),
            ("ProductKey", Manifest("OtaPackage spec.product.id")),
            ("TargetDeviceName.N", Manifest("OtaPackage spec.verification.devices")),
            ("TimeoutInMinutes", Manifest("OtaPackage spec.verification.delivery.timeout.inProgress")),
            ("NeedPush", Manifest("OtaPackage spec.verification.delivery.push")),
            ("NeedConfirm", Manifest("OtaPackage spec.verification.delivery.confirm")),
            ("DownloadProtocol", Manifest("OtaPackage spec.verification.delivery.downloadProtocol")),
            (
                "Tag.N.Key",
                Ours(
                    "one of Rollwave, with the idempotency key of the job; others from spec.verification.delivery.tags",
                ),
            ),
            ("Tag.N.Value", Ours("as Tag.N.Key")),
        ],
    },
    Document {
        cloud: CloudKind::AliyunIot,
        request: "CreateOTAFirmware",
        fields: &[
            ("Action", Ours("CreateOTAFirmware")),
            ("IotInstanceId", Manifest("OtaCloud spec.aliyunIot.iotInstanceId")),
            ("FirmwareName", Ours("name of the OtaPackage, and a hash of its product, module and version")),
            ("DestVersion", Manifest("OtaPackage spec.version")),
            ("ProductKey", Manifest("OtaPackage spec.product.id")),
            ("FirmwareUrl", Ours("address of the upload of spec.artifact.file")),
            ("FirmwareSign", Manifest("OtaPackage spec.artifact.md5")),
            ("FirmwareSize", Manifest("OtaPackage spec.artifact.size")),
            ("SignMethod", Ours("MD5")),
            ("Type", Manifest("OtaPackage spec.artifact.delta")),
            ("SrcVersion", Manifest("OtaPackage spec.sourceVersions")),
            ("ModuleName", Manifest("OtaPackage spec.module")),
            ("FirmwareDesc", Manifest("OtaPackage spec.description")),
            ("NeedToVerify", Manifest("OtaPackage spec.verification")),
            ("Udi", Manifest("OtaPackage spec.customInfo")),
            ("MultiFiles.N.Name", Manifest("OtaPackage spec.artifact.files[].name")),
            ("MultiFiles.N.Url", Ours("address of the upload of spec.artifact.files[].file")),
            ("MultiFiles.N.Size", Manifest("OtaPackage spec.artifact.files[].size")),
            ("MultiFiles.N.SignValue", Manifest("OtaPackage spec.artifact.files[].md5")),
            ("MultiFiles.N.FileMd5", Manifest("OtaPackage spec.artifact.files[].md5")),
        ],
    },
    Document {
        cloud: CloudKind::AliyunIot,
        request: "CreateOTAStaticUpgradeJob",
        fields: &[
            ("Action", Ours("CreateOTAStaticUpgradeJob")),
            ("IotInstanceId", Manifest("OtaCloud spec.aliyunIot.iotInstanceId")),
            ("FirmwareId", Ours("of the OtaPackage")),
            ("ProductKey", Manifest("OtaPackage spec.product.id")),
            ("TargetSelection", Ours("SPECIFIC: the devices of a stage are listed, so that it cannot grow")),
            (
                "SrcVersion.N",
                NotSent("not used with SPECIFIC; targets.fromVersions chooses the listed devices"),
            ),
            ("TargetDeviceName.N", Ours("the devices of the stage, in chunks of 200")),
            ("DnListFileUrl", NotSent("a chunk of 200 is small enough to be listed, and to be found again")),
            ("GrayPercent", NotSent("the devices of a stage are listed, so that it cannot grow")),
            ("GroupId", NotSent("the devices of a stage are listed, so that it cannot grow")),
            ("GroupType", NotSent("the devices of a stage are listed, so that it cannot grow")),
            ("ScheduleTime", NotSent("a job starts when its stage is dispatched, within stages[].windows")),
            (
                "ScheduleFinishTime",
                NotSent("a job starts when its stage is dispatched, within stages[].windows"),
            ),
            ("RetryInterval", Manifest("OtaRollout spec.delivery.retry.interval")),
            ("RetryCount", Manifest("OtaRollout spec.delivery.retry.limit")),
            ("TimeoutInMinutes", Manifest("OtaRollout spec.delivery.timeout.inProgress")),
            ("MaximumPerMinute", Manifest("OtaRollout spec.delivery.ratePerMinute")),
            ("OverwriteMode", Manifest("OtaRollout spec.delivery.overwrite")),
            ("MultiModuleMode", NotSent("a device takes one job at a time, whatever the module")),
            ("NeedPush", Manifest("OtaRollout spec.delivery.push")),
            ("NeedConfirm", Manifest("OtaRollout spec.delivery.confirm")),
            ("DownloadProtocol", Manifest("OtaRollout spec.delivery.downloadProtocol")),
            (
                "Tag.N.Key",
                Ours("one of Rollwave, with the idempotency key of the job; others from spec.delivery.tags"),
            ),
            ("Tag.N.Value", Ours("as Tag.N.Key")),
        ],
    },
];
