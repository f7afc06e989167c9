//! Answers on the wire, in the cloud's spelling. Members may be absent or null: only what a reply requires is required.

use serde::Deserialize;

/// Common part of every answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Envelope {
    /// False under HTTP 200 when the product refuses.
    pub success: Option<bool>,
    /// Code of a refusal.
    pub code: Option<String>,
    /// Message of a refusal by the product.
    pub error_message: Option<String>,
    /// Message of a refusal by the gateway.
    pub message: Option<String>,
    /// Id of the request.
    pub request_id: Option<String>,
}

/// Position of a page in its list.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PageOf {
    /// Its number, from 1.
    pub current_page: Option<u64>,
    /// Its number where devices are listed.
    pub page: Option<u64>,
    /// Pages of the list.
    pub page_count: Option<u64>,
    /// Rows of the list.
    pub total: Option<u64>,
}

/// GenerateOTAUploadURL.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Granted {
    /// The upload grant.
    pub data: Grant,
}

/// Permission to upload a file, valid for one minute.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Grant {
    /// Address of the object, for CreateOTAFirmware.
    pub firmware_url: String,
    /// Address of the object store.
    pub host: String,
    /// Key of the object.
    pub key: String,
    /// Key id that signed the policy.
    #[serde(rename = "OSSAccessKeyId")]
    pub access_key_id: String,
    /// The policy, in Base64.
    pub policy: String,
    /// Its signature.
    pub signature: String,
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grant").field("key", &self.key).finish_non_exhaustive()
    }
}

/// CreateOTAFirmware, CreateOTAVerifyJob, CreateOTAStaticUpgradeJob.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Created {
    /// The new object.
    pub data: CreatedId,
}

/// Id of a new object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreatedId {
    /// Of a package.
    pub firmware_id: Option<String>,
    /// Of a job.
    pub job_id: Option<String>,
    /// Time of creation.
    pub utc_create: Option<String>,
}

/// ListOTAFirmware.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FirmwareList {
    /// Rows.
    pub firmware_info: Option<FirmwareRows>,
    /// Where the page is.
    #[serde(flatten)]
    pub page: PageOf,
}

/// Rows of ListOTAFirmware.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FirmwareRows {
    /// Rows.
    pub simple_firmware_info: Option<Vec<Firmware>>,
}

/// QueryOTAFirmware.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FirmwareShown {
    /// The package.
    pub firmware_info: Firmware,
}

/// A package; lists omit the last three fields.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Firmware {
    /// Id.
    pub firmware_id: String,
    /// Description for users.
    pub firmware_desc: Option<String>,
    /// MD5 of its one file.
    pub firmware_sign: Option<String>,
    /// Bytes of its one file.
    pub firmware_size: Option<u64>,
    /// `MD5`.
    pub sign_method: Option<String>,
    /// Version.
    pub dest_version: String,
    /// Version that it is upgraded from.
    pub src_version: Option<String>,
    /// 0 is a whole package, 1 a delta.
    #[serde(rename = "Type")]
    pub kind: Option<i64>,
    /// Module; `default` is the whole device.
    pub module_name: Option<String>,
    /// Product.
    pub product_key: String,
    /// -1 needs no verification, 0 unverified, 1 verified, 2 verifying, 3 failed.
    pub status: Option<i64>,
    /// When it was created.
    pub utc_create: Option<String>,
    /// When it was changed.
    pub utc_modified: Option<String>,
    /// Passed to devices.
    pub udi: Option<String>,
    /// Several files.
    pub multi_files: Option<Vec<MultiFile>>,
}

/// One of several files of a package.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MultiFile {
    /// Name.
    pub name: String,
    /// Bytes.
    pub size: Option<u64>,
    /// Signature by the package's `SignMethod`.
    pub sign_value: Option<String>,
    /// MD5.
    pub file_md5: Option<String>,
}

/// ListOTAJobByFirmware.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct JobList {
    /// Rows.
    pub data: Option<JobRows>,
    /// Where the page is.
    #[serde(flatten)]
    pub page: PageOf,
}

/// Rows of ListOTAJobByFirmware.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct JobRows {
    /// Rows.
    #[serde(rename = "SimpleOTAJobInfo")]
    pub rows: Option<Vec<Job>>,
}

/// QueryOTAJob.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct JobShown {
    /// The job.
    pub data: Job,
}

/// A job, with the fields that lists and QueryOTAJob share.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Job {
    /// Id.
    pub job_id: String,
    /// Package.
    pub firmware_id: Option<String>,
    /// `PLANNED`, `IN_PROGRESS`, `COMPLETED` (in lists `COMPLETE`), `CANCELED`.
    pub job_status: String,
    /// Tags.
    pub tags: Option<Tags>,
    /// When it was created.
    pub utc_create: Option<String>,
}

/// Tags of a job.
#[derive(Debug, Deserialize)]
pub struct Tags {
    /// Rows.
    #[serde(rename = "OtaTagDTO")]
    pub rows: Option<Vec<Tag>>,
}

/// A tag of a job.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
}

/// ListOTATaskByJob.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaskList {
    /// Rows.
    pub data: Option<TaskRows>,
    /// Where the page is.
    #[serde(flatten)]
    pub page: PageOf,
}

/// Rows of ListOTATaskByJob.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaskRows {
    /// Rows.
    #[serde(rename = "SimpleOTATaskInfo")]
    pub rows: Option<Vec<Task>>,
}

/// The result of one device in a job.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Task {
    /// Product of the device.
    pub product_key: Option<String>,
    /// Device.
    pub device_name: String,
    /// `CONFIRM`, `QUEUED`, `NOTIFIED`, `IN_PROGRESS`, `SUCCEEDED`, `FAILED`, `CANCELED`.
    pub task_status: String,
    /// Why it failed.
    pub task_desc: Option<String>,
}

/// QueryDevice.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceList {
    /// Rows.
    pub data: Option<DeviceRows>,
    /// Token for lists of more than 10,000 rows.
    pub next_token: Option<String>,
    /// Where the page is.
    #[serde(flatten)]
    pub page: PageOf,
}

/// Rows of QueryDevice.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceRows {
    /// Rows.
    pub device_info: Option<Vec<DeviceName>>,
}

/// Name of a device.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceName {
    /// Name.
    pub device_name: String,
    /// Product.
    pub product_key: Option<String>,
}

/// BatchQueryDeviceDetail.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceBatch {
    /// Rows.
    pub data: Option<DeviceBatchRows>,
}

/// Rows of BatchQueryDeviceDetail.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceBatchRows {
    /// Rows.
    pub data: Option<Vec<Device>>,
}

/// QueryDeviceDetail.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceShown {
    /// The device.
    pub data: Device,
}

/// A device.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Device {
    /// Name.
    pub device_name: String,
    /// Product.
    pub product_key: String,
    /// `ONLINE`, `OFFLINE`, `UNACTIVE`, `DISABLE`.
    pub status: Option<String>,
    /// Version of the module `default`.
    pub firmware_version: Option<String>,
}

/// ListOTAModuleByProduct.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModuleList {
    /// Rows, `default` among them.
    pub data: Option<Vec<Module>>,
}

/// A module of a product.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Module {
    /// Name.
    pub module_name: String,
}

/// ListOTAModuleVersionsByDevice.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModuleVersions {
    /// Rows.
    pub data: Option<ModuleVersionRows>,
    /// Where the page is.
    #[serde(flatten)]
    pub page: PageOf,
}

/// Rows of ListOTAModuleVersionsByDevice.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModuleVersionRows {
    /// Rows.
    #[serde(rename = "SimpleOTAModuleInfo")]
    pub rows: Option<Vec<ModuleVersion>>,
}

/// A module of a device.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModuleVersion {
    /// Device.
    pub device_name: String,
    /// Product.
    pub product_key: String,
    /// Module.
    pub module_name: String,
    /// Version that the device reported for it.
    pub module_version: Option<String>,
}

/// QueryDeviceListByDeviceGroup and QueryDeviceByTags.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NameList {
    /// Rows.
    pub data: Option<NameRows>,
    /// Where the page is.
    #[serde(flatten)]
    pub page: PageOf,
}

/// Rows of QueryDeviceListByDeviceGroup and QueryDeviceByTags.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NameRows {
    /// Rows.
    pub simple_device_info: Option<Vec<DeviceName>>,
}
