//! Every documented limit of the actions, and what Alibaba Cloud does not support, checked before anything is sent: the documents
//! of CreateOTAFirmware, CreateOTAVerifyJob, CreateOTAStaticUpgradeJob and the lists. Fields have their names on the wire,
//! followed by the manifest's name if that differs.

use crate::api::Period;
use crate::cloud::text_rule::{Rule, any, rule, shown};
use crate::cloud::{
    Call, CallError, CloudKind, Delivery, DeviceScope, ErrorClass, JobPurpose, LocalFile, NamedDevices,
    NewArtifact, NewFile, NewJob, NewPackage, PackageKey, PackageKind, delivery,
};
use std::{collections::BTreeSet, path::Path};

/// Rows of ListOTAFirmware.
pub const FIRMWARE_PAGE: usize = 100;
/// Rows of ListOTAJobByFirmware.
pub const JOB_PAGE: usize = 200;
/// Rows of ListOTATaskByJob.
pub const TASK_PAGE: usize = 100;
/// `DeviceNames` of ListOTATaskByJob.
pub const TASK_NAMES: usize = 50;
/// Rows of QueryDevice and of the lists by group and tag.
pub const NAME_PAGE: usize = 50;
/// Rows of ListOTAModuleVersionsByDevice: a product has at most 11 modules.
pub const MODULE_PAGE: usize = 200;
/// Names of BatchQueryDeviceDetail.
pub const BATCH: usize = 100;
/// `TargetDeviceName` of a static job.
pub const JOB_DEVICES: usize = 200;
/// `TargetDeviceName` of a verify job.
pub const VERIFY_DEVICES: usize = 10;
/// Characters of `FirmwareName`.
pub const NAME: usize = 40;
/// Bytes of a file: 1,000 MB.
pub const FILE: u64 = 1000 * 1024 * 1024;
/// Files of a package (CreateOTAFirmware `MultiFiles`).
const FILES: usize = 20;
/// `FileSuffix`, by SDK and manual.
pub const SUFFIXES: [&str; 10] =
    ["bin", "dav", "apk", "tar.gz", "tar.xz", "tar", "gzip", "gz", "zip", "pack"];

const fn opaque(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*')
}

const fn version(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

const fn device(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '@' | '.' | ':')
}

const fn token(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

const fn tag_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '.'
}

const OPAQUE: &str = "letters, digits, - and _";
const VERSION: &str = "letters, digits, ., - and _";
const FIRMWARE_ID: Rule = rule("FirmwareId", 1, 64, opaque, OPAQUE);
const JOB_ID: Rule = rule("JobId", 1, 64, opaque, OPAQUE);
const GROUP_ID: Rule = rule("GroupId", 1, 64, opaque, OPAQUE);
const PRODUCT_KEY: Rule = rule("ProductKey", 1, 64, opaque, OPAQUE);
const DEST_VERSION: Rule = rule("DestVersion", 1, 64, version, VERSION);
const SRC_VERSION: Rule = rule("SrcVersion", 1, 64, version, VERSION);
const MODULE_NAME: Rule = rule("ModuleName (spec.module)", 1, 64, version, VERSION);
const DESCRIPTION: Rule = rule("FirmwareDesc", 0, 100, any, "any characters");
const UDI: Rule = rule("Udi", 0, 4096, any, "any characters");
const FILE_NAME: Rule = rule("MultiFiles.Name (spec.artifact.files)", 1, 32, any, "any characters");
const DEVICE_NAME: Rule = rule("DeviceName", 1, 32, device, "letters, digits, -, _, @, . and :");
const TOKEN: Rule = rule("Tag.1.Value", 1, 64, token, "letters and digits");
const TAG_KEY: Rule = rule("Tag.Key", 1, 30, tag_key, "letters, digits and .");
const TAG_VALUE: Rule = rule("Tag.Value", 1, 1024, any, "any characters");
/// Tags in addition to Rollwave's.
const TAGS: usize = 9;
/// Characters of all keys and values of tags.
const TAG_TEXT: usize = 4096;

/// True for lists of software: Alibaba Cloud has none, so they are not requested.
#[must_use]
pub const fn is_software_list(call: &Call) -> bool {
    matches!(
        call,
        Call::ListPackages { kind: PackageKind::Software, .. }
            | Call::ListJobs { kind: PackageKind::Software, .. }
    )
}

/// The suffix of a file name, if the cloud accepts it.
#[must_use]
pub fn suffix(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    SUFFIXES.into_iter().find(|suffix| {
        let stem = name.strip_suffix(suffix).and_then(|stem| stem.strip_suffix('.'));
        stem.is_some_and(|stem| !stem.is_empty())
    })
}

/// A period in whole minutes; `check` has verified that it is one.
#[must_use]
pub const fn minutes(period: Period) -> u64 {
    period.as_secs() / 60
}

/// Checks a call against the limits.
///
/// # Errors
/// [`ErrorClass::Invalid`] with the field, the limit, the value and what to do; only the first one found.
pub fn check(call: &Call) -> Result<(), CallError> {
    let check = Check { operation: call.operation() };
    match call {
        call if is_software_list(call) => Ok(()),
        Call::ListPackages { exactly, .. } => exactly.as_ref().map_or(Ok(()), |key| check.key(key)),
        Call::ShowPackage { id } | Call::DeletePackage { id } => check.text(&FIRMWARE_ID, id),
        Call::CheckModule { package } => check.key(package),
        Call::PermitUpload { package, file } => {
            check.key(package)?;
            check.file(file)
        }
        Call::Upload { file, .. } => check.file(file),
        Call::CreatePackage(package) => check.package(package),
        Call::ListJobs { .. } => Ok(()),
        Call::ShowJob { id } | Call::StopJob { id } => check.text(&JOB_ID, id),
        Call::ListJobDevices { id, only, .. } => {
            check.text(&JOB_ID, id)?;
            only.as_ref().map_or(Ok(()), |named| check.named(named))
        }
        Call::CreateJob(job) => check.job(job),
        Call::DeleteJob { id } => {
            check.text(&JOB_ID, id)?;
            check.absent("JobId", true, "create another job instead")
        }
        Call::ListDevices { scope, .. } => check.scope(scope),
        Call::ListDevicesByAttribute { .. } => {
            Err(check.invalid("attributes", "devices have none", "use spec.targets.tags"))
        }
        Call::ListPresence { .. } => {
            check.absent("DeviceStatus", true, "list the devices of the product: their rows report it")
        }
        Call::ShowDevice { scope, id } => {
            check.scope(scope)?;
            check.text(&DEVICE_NAME, id)
        }
        Call::ListGroupDevices { group, .. } => check.text(&GROUP_ID, group),
        Call::ListTaggedDevices { values, .. } if values.is_empty() => {
            Err(check.invalid("Tag.1.TagValue", "is empty", "name at least one value of the tag"))
        }
        Call::ListTaggedDevices { .. } => Ok(()),
    }
}

struct Check {
    operation: &'static str,
}

impl Check {
    fn key(&self, key: &PackageKey) -> Result<(), CallError> {
        if key.kind == PackageKind::Software {
            let found = "Alibaba Cloud supports firmware only";
            return Err(self.invalid("spec.type", found, "use type: Firmware"));
        }
        self.scope(&key.scope())?;
        self.text(&DEST_VERSION, &key.version)
    }

    fn scope(&self, scope: &DeviceScope) -> Result<(), CallError> {
        self.text(&PRODUCT_KEY, &scope.product)?;
        scope.module.as_ref().map_or(Ok(()), |module| self.text(&MODULE_NAME, module))
    }

    fn named(&self, named: &NamedDevices) -> Result<(), CallError> {
        self.text(&PRODUCT_KEY, &named.product)?;
        let count = named.ids.len();
        if count == 0 || count > TASK_NAMES {
            let found = format!("{count} devices are not 1 to {TASK_NAMES}");
            return Err(self.invalid("DeviceNames", &found, "request them in several calls"));
        }
        named.ids.iter().try_for_each(|name| self.text(&DEVICE_NAME, name))
    }

    fn package(&self, package: &NewPackage) -> Result<(), CallError> {
        self.key(&package.key)?;
        self.source_versions(package)?;
        for source in &package.source_versions {
            self.text(&SRC_VERSION, source)?;
            if *source == package.key.version {
                return Err(self.invalid(
                    "SrcVersion (spec.sourceVersions)",
                    "equals DestVersion",
                    "use another version",
                ));
            }
        }
        self.text(&DESCRIPTION, package.description.as_deref().unwrap_or_default())?;
        self.text(&UDI, package.custom_info.as_deref().unwrap_or_default())?;
        match &package.artifact {
            NewArtifact::File(file) | NewArtifact::Uploaded { file, .. } => self.file(file),
            NewArtifact::Files(files) => self.files(files),
            NewArtifact::Obs(_) | NewArtifact::Portal => {
                let found = "Alibaba Cloud requires an upload";
                Err(self.invalid("FirmwareUrl (spec.artifact)", found, "use spec.artifact.file"))
            }
        }
    }

    /// A delta applies to one version. What the version of a whole package would mean is not documented.
    fn source_versions(&self, package: &NewPackage) -> Result<(), CallError> {
        let count = package.source_versions.len();
        let (found, next_step) = match (package.delta, count) {
            (false, 0) | (true, 1) => return Ok(()),
            (false, _) => (
                format!("{count} versions, but the package is not a delta"),
                "list the versions in targets.fromVersions of the rollout",
            ),
            (true, _) => {
                (format!("{count} versions, but a delta applies to one"), "create one delta per version")
            }
        };
        Err(self.invalid("SrcVersion (spec.sourceVersions)", &found, next_step))
    }

    fn file(&self, file: &LocalFile) -> Result<(), CallError> {
        if suffix(&file.path).is_none() {
            let name = file.path.display().to_string();
            let found = format!("{} does not end in one of .{}", shown(&name), SUFFIXES.join(" ."));
            return Err(self.invalid("FileSuffix (spec.artifact.file)", &found, "rename the file"));
        }
        if file.md5.is_none() {
            let found = "is missing, and Alibaba Cloud stores no other digest";
            return Err(self.invalid(
                "FirmwareSign (spec.artifact.md5)",
                found,
                "set it to the MD5 of the file",
            ));
        }
        match file.size {
            Some(size) if size > FILE => {
                let found = format!("{size} bytes are more than {FILE}");
                Err(self.invalid("FirmwareSize (spec.artifact.size)", &found, "make the package smaller"))
            }
            _ => Ok(()),
        }
    }

    fn files(&self, files: &[NewFile]) -> Result<(), CallError> {
        let (field, count) = ("MultiFiles (spec.artifact.files)", files.len());
        if !(2..=FILES).contains(&count) {
            let found = format!("{count} files are not 2 to {FILES}");
            return Err(self.invalid(
                field,
                &found,
                "use spec.artifact.file for one, and an archive for more",
            ));
        }
        let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        if names.len() != count {
            return Err(self.invalid(field, "a name is used twice", "use unique names"));
        }
        files.iter().try_for_each(|NewFile { name, file, .. }| {
            self.text(&FILE_NAME, name)?;
            self.file(file)
        })
    }

    fn job(&self, job: &NewJob) -> Result<(), CallError> {
        self.key(&job.package)?;
        self.text(&TOKEN, &job.token)?;
        self.text(&FIRMWARE_ID, &job.package_id)?;
        let most = match job.purpose {
            JobPurpose::Verify => VERIFY_DEVICES,
            JobPurpose::Upgrade => JOB_DEVICES,
        };
        let count = job.devices.len();
        if count == 0 || count > most {
            let found = format!("{count} devices are not 1 to {most}");
            return Err(self.invalid("TargetDeviceName", &found, "split them, or list fewer"));
        }
        job.devices.iter().try_for_each(|name| self.text(&DEVICE_NAME, name))?;
        delivery::check(CloudKind::AliyunIot, self.operation, job)?;
        self.tags(&job.delivery)
    }

    fn tags(&self, delivery: &Delivery) -> Result<(), CallError> {
        let tags = &delivery.tags;
        self.holds(tags.len() <= TAGS, "Tag (delivery.tags)", &tags.len(), "use at most 9")?;
        for (key, value) in tags {
            self.text(&TAG_KEY, key)?;
            self.text(&TAG_VALUE, value)?;
            self.holds(key != super::render::TOKEN_TAG, "Tag.Key (delivery.tags)", key, "use another key")?;
        }
        // Ours is included: its key, and an idempotency key of 16 characters.
        let own = super::render::TOKEN_TAG.len() + TOKEN.max;
        let text: usize = tags.iter().map(|(key, value)| key.chars().count() + value.chars().count()).sum();
        let most = TAG_TEXT - own;
        let next_step = format!("use at most {most} characters for keys and values together");
        self.holds(text <= most, "Tag (delivery.tags)", &text, &next_step)
    }

    fn holds(
        &self,
        holds: bool,
        field: &str,
        value: &dyn std::fmt::Display,
        next_step: &str,
    ) -> Result<(), CallError> {
        if holds { Ok(()) } else { Err(self.invalid(field, &format!("{value} is not allowed"), next_step)) }
    }

    fn absent(&self, field: &str, is_given: bool, next_step: &str) -> Result<(), CallError> {
        if is_given { Err(self.invalid(field, "not supported by Alibaba Cloud", next_step)) } else { Ok(()) }
    }

    fn text(&self, rule: &Rule, value: &str) -> Result<(), CallError> {
        rule.check(self.operation, value)
    }

    fn invalid(&self, field: &str, found: &str, next_step: &str) -> CallError {
        CallError::new(ErrorClass::Invalid, self.operation, format!("{field}: {found}")).next_step(next_step)
    }
}
