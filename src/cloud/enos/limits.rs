//! Every documented limit of the calls, and every field that EnOS does not support, checked before anything is sent. Documents:
//! pages of ota-firmwares and ota-jobs (2.2 to 3.1), pagination, StringI18n.
//!
//! *Assumed*, because no document specifies it: 1,000 devices in a job or a request; 64 characters of letters, digits, `_`, `-`
//! and `.` in keys and ids; 128 characters in the keys and values of tags and
//! attributes, and letters, digits, `_` and `-` in their keys.

use super::expression::is_writable;
use crate::cloud::{
    Call, CallError, CloudKind, ErrorClass, NamedDevices, NewArtifact, NewJob, NewPackage, PackageKey,
    PackageKind, delivery,
};

/// Rows per page: at most 200, 50 are recommended (pagination).
pub const PAGE_SIZE: usize = 50;
/// Rows per page of Search Device: at most 200 (search_device 2.1.0).
pub const SEARCH_PAGE: usize = 200;
/// Devices per job.
pub const JOB_DEVICES: usize = 1000;
/// Devices per search for tasks: a job has one task per device, so that one page has all of them.
pub const QUESTION_DEVICES: usize = PAGE_SIZE;
/// Characters of `desc` (console of 2019).
const DESCRIPTION: usize = 100;
/// Characters of the key or of a value of a tag or an attribute.
const LABEL_LENGTH: usize = 128;
/// Characters of a version: it appears in a form, in names and in expressions.
const VERSION_LENGTH: usize = 256;

/// Checks a call against the limits.
///
/// # Errors
/// [`ErrorClass::Invalid`] with the field, the limit, the value and what to do; only the first one found.
pub fn check(call: &Call) -> Result<(), CallError> {
    let check = Check { operation: call.operation() };
    if call.module().is_some() {
        return Err(check.invalid("module", "EnOS upgrades the whole device", "remove spec.module"));
    }
    match call {
        Call::ListPackages { exactly, .. } => exactly.as_ref().map_or(Ok(()), |key| check.key(key)),
        Call::ShowPackage { id } | Call::DeletePackage { id } => check.id("firmwareId", id),
        Call::CreatePackage(package) => check.package(package),
        Call::ListJobs { .. } => Ok(()),
        Call::ShowJob { id } | Call::StopJob { id } | Call::DeleteJob { id } => check.id("jobId", id),
        Call::ListJobDevices { id, only, .. } => {
            check.id("jobId", id)?;
            only.as_ref().map_or(Ok(()), |named| check.named(named))
        }
        Call::CreateJob(job) => check.job(job),
        Call::ListDevices { scope, .. } => check.id("productKey", &scope.product),
        Call::ListPresence { product, .. } => check.id("productKey", product),
        Call::CheckModule { .. } | Call::PermitUpload { .. } | Call::Upload { .. } => Err(check.invalid(
            "file",
            "EnOS accepts a file only together with its firmware",
            "create the package",
        )),
        Call::ShowDevice { .. } => Err(check.invalid(
            "deviceKey",
            "EnOS cannot read a single device",
            "list the devices of the product",
        )),
        Call::ListGroupDevices { .. } => Err(check.invalid(
            "groups",
            "the OTA service of EnOS has no groups",
            "list devices in spec.targets.devices",
        )),
        Call::ListTaggedDevices { product, key, values, .. } => {
            check.id("productKey", product)?;
            check.label("tags", key, values)
        }
        Call::ListDevicesByAttribute { product, name, values, .. } => {
            check.id("productKey", product)?;
            check.label("attributes", name, values)
        }
    }
}

/// Whether a character may appear in the key of a tag, or the name of an attribute: a dot would begin another field of an expression.
#[must_use]
pub const fn is_key_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

struct Check {
    operation: &'static str,
}

type Checked = Result<(), CallError>;

impl Check {
    fn key(&self, key: &PackageKey) -> Checked {
        if key.kind != PackageKind::Firmware {
            return Err(self.invalid("type", "EnOS upgrades firmware only", "use spec.type: Firmware"));
        }
        self.id("productKey", &key.product)?;
        self.version("version", &key.version)
    }

    fn package(&self, package: &NewPackage) -> Checked {
        self.key(&package.key)?;
        if package.delta {
            return Err(self.invalid("artifact.delta", "EnOS does not support delta packages", "remove it"));
        }
        if !package.source_versions.is_empty() {
            let next_step = "use targets.fromVersions of the rollouts";
            return Err(self.invalid("sourceVersions", "EnOS does not support source versions", next_step));
        }
        if package.description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION) {
            return Err(self.invalid("desc", "it is too long", "use at most 100 characters"));
        }
        if package.custom_info.as_ref().is_some_and(|info| !info.is_empty()) {
            return Err(self.invalid("customInfo", "EnOS does not pass it to devices", "remove it"));
        }
        if let Some(wanted) = package.verification
            && !(1..=wanted.devices).contains(&wanted.min_success)
        {
            let found = format!("{} of {} devices", wanted.min_success, wanted.devices);
            return Err(self.invalid(
                "minSuccessForVerified",
                &found,
                "use at least 1 and at most the number of devices",
            ));
        }
        match &package.artifact {
            NewArtifact::File(file) if file.path.file_name().is_some() => Ok(()),
            _ => Err(self.invalid("artifact", "EnOS requires an upload", "use spec.artifact.file")),
        }
    }

    fn job(&self, job: &NewJob) -> Checked {
        let is_token = job.token.len() == super::render::TOKEN_LENGTH
            && job.token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        self.some("name", !is_token, "the idempotency key must be 16 lowercase hex digits")?;
        self.key(&job.package)?;
        self.id("firmwareId", &job.package_id)?;
        self.some("deviceKeys", job.devices.is_empty(), "name at least one device")?;
        self.devices(&job.devices, JOB_DEVICES)?;
        self.some(
            "versionNumbers",
            job.from_versions.is_empty(),
            "EnOS upgrades only devices that report a version",
        )?;
        job.from_versions.iter().try_for_each(|version| self.version("versionNumbers", version))?;
        if job.from_versions.contains(&job.package.version) {
            let found = format!("{} is the firmware's own version", job.package.version);
            return Err(self.invalid("versionNumbers", &found, "exclude devices that run it"));
        }
        delivery::check(CloudKind::Enos, self.operation, job)
    }

    fn named(&self, named: &NamedDevices) -> Checked {
        self.some("deviceKey", named.ids.is_empty(), "name at least one device")?;
        self.devices(&named.ids, QUESTION_DEVICES)
    }

    /// A tag or an attribute with its values, as an expression can name them. A key stands there without quotes.
    fn label(&self, field: &str, key: &str, values: &[String]) -> Checked {
        self.text(field, key, LABEL_LENGTH, is_key_character, "letters, digits, _ and - in the key")?;
        self.some(field, values.is_empty(), "name at least one value")?;
        let words = "no quotes, backslashes or control characters";
        values.iter().try_for_each(|value| self.text(field, value, LABEL_LENGTH, is_writable, words))
    }

    fn id(&self, field: &str, value: &str) -> Checked {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        self.text(field, value, 64, fits, "letters, digits, _, - and .")
    }

    fn version(&self, field: &str, value: &str) -> Checked {
        self.text(field, value, VERSION_LENGTH, is_writable, "no quotes, backslashes or control characters")
    }

    fn devices(&self, devices: &[String], most: usize) -> Checked {
        if devices.len() > most {
            let found = format!("{} devices are more than {most}", devices.len());
            return Err(self.invalid("deviceKeys", &found, "send them in several requests"));
        }
        devices.iter().try_for_each(|key| self.id("deviceKeys", key))
    }

    fn text(&self, field: &str, value: &str, most: usize, fits: fn(char) -> bool, words: &str) -> Checked {
        let length = value.chars().count();
        let found = if let Some(wrong) = value.chars().find(|c| !fits(*c)) {
            format!("contains {wrong:?}")
        } else if length == 0 || length > most {
            format!("has {length} characters, not 1 to {most}")
        } else {
            return Ok(());
        };
        let head: String = value.chars().take(40).collect();
        Err(self.invalid(field, &format!("\"{}\" {found}", head.escape_debug()), &format!("use {words}")))
    }

    fn some(&self, field: &str, is_wrong: bool, why: &str) -> Checked {
        if is_wrong { Err(self.invalid(field, "it is missing or invalid", why)) } else { Ok(()) }
    }

    fn invalid(&self, field: &str, found: &str, next_step: &str) -> CallError {
        CallError::new(ErrorClass::Invalid, self.operation, format!("{field}: {found}")).next_step(next_step)
    }
}
