//! Every documented limit of the calls, checked before anything is sent: the documents of CreateOtaPackage, ListOtaPackageInfo,
//! CreateBatchTask, StopBatchTask and RetryBatchTask, with SDK 3.1.219. Fields have their names on the wire.

use crate::cloud::text_rule::{Rule, any, rule, shown};
use crate::cloud::{
    Call, CallError, CloudKind, ErrorClass, NewArtifact, NewJob, NewPackage, ObsArtifact, PackageKey,
    delivery,
};

/// Rows in one page of any list.
pub const PAGE_SIZE: usize = 50;
/// Devices in one batch task.
pub const TASK_TARGETS: usize = 30_000;
/// Entries of `support_source_versions`.
pub const SOURCE_VERSIONS: usize = 20;
/// Characters of `task_name`.
pub const TASK_NAME: usize = 128;
/// Allowed extensions of an object in OBS.
pub const EXTENSIONS: [&str; 13] = [
    ".bin", ".dav", ".tar", ".gz", ".zip", ".gzip", ".apk", ".tar.gz", ".tar.xz", ".pack", ".exe", ".bat",
    ".img",
];

const fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

const fn version(c: char) -> bool {
    word(c) || c == '.'
}

const fn hex_or_hyphen(c: char) -> bool {
    c.is_ascii_hexdigit() || c == '-'
}

const fn letter_digit_hyphen(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

const fn bucket(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-')
}

/// The block of Chinese characters that the documents write as `\u4e00-\u9fa5`.
pub(super) const fn chinese(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fa5}')
}

/// Characters allowed in the name of a batch task.
pub(super) const fn task_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || chinese(c)
}

const fn tag(c: char) -> bool {
    version(c) || chinese(c)
}

const WORD: &str = "letters, digits, _ and -";
const VERSION: &str = "letters, digits, _, . and -";
const HEX: &str = "hex digits";
const TAG: &str = "Chinese characters, letters, digits, _, . and -";

const APP_ID: Rule = rule("app_id", 1, 36, word, WORD);
const PRODUCT_ID: Rule = rule("product_id", 1, 36, word, WORD);
const PACKAGE_VERSION: Rule = rule("version", 1, 256, version, VERSION);
/// The length of one entry is not documented; *assumed* to be that of `version`.
const SOURCE_VERSION: Rule = rule("support_source_versions", 1, 256, version, VERSION);
const DESCRIPTION: Rule = rule("description", 0, 1024, any, "any characters");
const CUSTOM_INFO: Rule = rule("custom_info", 0, 4096, any, "any characters");
const REGION_NAME: Rule =
    rule("file_location.obs_location.region_name", 1, 256, letter_digit_hyphen, "letters, digits and -");
const BUCKET_NAME: Rule =
    rule("file_location.obs_location.bucket_name", 3, 63, bucket, "lowercase letters, digits, . and -");
const OBJECT_KEY: Rule = rule("file_location.obs_location.object_key", 1, 1024, any, "any characters");
const SIGN: Rule = rule("file_location.obs_location.sign", 64, 64, hex_digit, HEX);
const PACKAGE_ID: Rule = rule("package_id", 1, 36, letter_digit_hyphen, "letters, digits and -");
const TASK_ID: Rule = rule("task_id", 1, 24, lower_hex, "digits and a to f");
const TOKEN: Rule = rule("task_name: idempotency key", 16, 16, lower_hex, "digits and a to f");
const TARGET: Rule = rule("targets", 1, 128, word, WORD);
const DEVICE_ID: Rule = rule("device_id", 1, 128, word, WORD);
const GROUP_ID: Rule = rule("group_id", 1, 36, hex_or_hyphen, "hex digits and -");
const TAG_KEY: Rule = rule("tag_key", 1, 64, tag, TAG);
const TAG_VALUE: Rule = rule("tag_value", 0, 128, tag, TAG);

const fn hex_digit(c: char) -> bool {
    c.is_ascii_hexdigit()
}

/// Characters allowed in an idempotency key or a task id.
pub(super) const fn lower_hex(c: char) -> bool {
    matches!(c, '0'..='9' | 'a'..='f')
}

/// Checks a call of this resource space against the limits.
///
/// # Errors
/// [`ErrorClass::Invalid`] with the field, the limit, the value and what to do; only the first one found.
pub fn check(call: &Call, app_id: &str) -> Result<(), CallError> {
    let check = Check { operation: call.operation() };
    check.text(&APP_ID, app_id)?;
    if call.module().is_some() {
        return Err(check.invalid("module", "IoTDA upgrades the whole device", "remove spec.module"));
    }
    match call {
        Call::ListPackages { exactly, .. } => exactly.as_ref().map_or(Ok(()), |key| check.key(key)),
        Call::ShowPackage { id } | Call::DeletePackage { id } => check.text(&PACKAGE_ID, id),
        Call::CheckModule { .. } | Call::PermitUpload { .. } | Call::Upload { .. } => Err(no_upload()),
        Call::CreatePackage(package) => check.package(package),
        Call::ListJobs { .. } => Ok(()),
        Call::ListJobDevices { only: Some(_), .. } => {
            Err(check.invalid("devices", "IoTDA lists the devices of a whole task only", "remove them"))
        }
        Call::ShowJob { id }
        | Call::ListJobDevices { id, .. }
        | Call::StopJob { id }
        | Call::DeleteJob { id } => check.text(&TASK_ID, id),
        Call::CreateJob(job) => check.job(job),
        Call::ListDevices { scope, .. } => check.text(&PRODUCT_ID, &scope.product),
        Call::ListDevicesByAttribute { .. } => {
            Err(check.invalid("attributes", "devices of IoTDA have none", "use spec.targets.tags"))
        }
        Call::ListPresence { .. } => {
            Err(check.invalid("status", "rows of devices report it", "list the devices of the product"))
        }
        Call::ShowDevice { id, .. } => check.text(&DEVICE_ID, id),
        Call::ListGroupDevices { group, .. } => check.text(&GROUP_ID, group),
        Call::ListTaggedDevices { key, values, .. } => {
            check.text(&TAG_KEY, key)?;
            check.some("tags", values, "name at least one value of the tag")?;
            check.each(&TAG_VALUE, values)
        }
    }
}

struct Check {
    operation: &'static str,
}

impl Check {
    fn package(&self, package: &NewPackage) -> Result<(), CallError> {
        self.key(&package.key)?;
        if package.delta {
            return Err(self.invalid("artifact.delta", "IoTDA does not support delta packages", "remove it"));
        }
        let next_step = "list fewer; none means every version";
        let sources = &package.source_versions;
        self.count("support_source_versions", sources.len(), SOURCE_VERSIONS, "versions", next_step)?;
        self.each(&SOURCE_VERSION, sources)?;
        self.text(&DESCRIPTION, package.description.as_deref().unwrap_or_default())?;
        self.text(&CUSTOM_INFO, package.custom_info.as_deref().unwrap_or_default())?;
        let NewArtifact::Obs(object) = &package.artifact else { return Err(no_upload()) };
        self.object(object)
    }

    fn key(&self, key: &PackageKey) -> Result<(), CallError> {
        self.text(&PRODUCT_ID, &key.product)?;
        self.text(&PACKAGE_VERSION, &key.version)
    }

    fn object(&self, artifact: &ObsArtifact) -> Result<(), CallError> {
        self.text(&REGION_NAME, &artifact.region)?;
        self.text(&BUCKET_NAME, &artifact.bucket)?;
        self.text(&OBJECT_KEY, &artifact.key)?;
        let has_stem = |extension| artifact.key.strip_suffix(extension).is_some_and(|stem| !stem.is_empty());
        if !EXTENSIONS.into_iter().any(has_stem) {
            let found = format!("{} does not end in one of {}", shown(&artifact.key), EXTENSIONS.join(" "));
            return Err(self.invalid(OBJECT_KEY.field, &found, "rename the object"));
        }
        artifact.sha256.as_ref().map_or(Ok(()), |sha256| self.text(&SIGN, sha256))
    }

    fn job(&self, job: &NewJob) -> Result<(), CallError> {
        self.text(&TOKEN, &job.token)?;
        self.text(&PACKAGE_ID, &job.package_id)?;
        self.some("targets", &job.devices, "name at least one device")?;
        self.count("targets", job.devices.len(), TASK_TARGETS, "devices", "split them over several tasks")?;
        self.each(&TARGET, &job.devices)?;
        delivery::check(CloudKind::HuaweiIotda, self.operation, job)
    }

    fn text(&self, rule: &Rule, value: &str) -> Result<(), CallError> {
        rule.check(self.operation, value)
    }

    fn each(&self, rule: &Rule, values: &[String]) -> Result<(), CallError> {
        values.iter().try_for_each(|value| self.text(rule, value))
    }

    fn some(&self, field: &str, values: &[String], next_step: &str) -> Result<(), CallError> {
        if values.is_empty() { Err(self.invalid(field, "is empty", next_step)) } else { Ok(()) }
    }

    fn count(
        &self,
        field: &str,
        count: usize,
        max: usize,
        things: &str,
        next_step: &str,
    ) -> Result<(), CallError> {
        if count <= max {
            return Ok(());
        }
        Err(self.invalid(field, &format!("{count} {things} are more than {max}"), next_step))
    }

    fn invalid(&self, field: &str, found: &str, next_step: &str) -> CallError {
        CallError::new(ErrorClass::Invalid, self.operation, format!("{field}: {found}")).next_step(next_step)
    }
}

/// IoTDA fetches artifacts from OBS; no call uploads them.
pub(super) fn no_upload() -> CallError {
    CallError::new(ErrorClass::Invalid, "CreatePackage", "IoTDA accepts packages from OBS only")
        .next_step("store the file in OBS and use spec.artifact.obs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{DeviceScope, PackageKind};

    fn package() -> NewPackage {
        NewPackage {
            key: PackageKey {
                kind: PackageKind::Firmware,
                product: "meter".into(),
                version: "V2.0".into(),
                module: None,
            },
            source_versions: vec!["V1.0".into()],
            delta: false,
            description: None,
            custom_info: None,
            name: "meter-v2".into(),
            artifact: NewArtifact::Obs(object()),
            verification: None,
        }
    }

    fn object() -> ObsArtifact {
        ObsArtifact {
            region: "cn-north-4".into(),
            bucket: "firmware".into(),
            key: "meter/v2.tar.gz".into(),
            sha256: Some("ab".repeat(32)),
        }
    }

    fn with_object(change: impl FnOnce(&mut ObsArtifact)) -> Call {
        let mut object = object();
        change(&mut object);
        with_package(|p| p.artifact = NewArtifact::Obs(object))
    }

    fn job() -> NewJob {
        NewJob {
            token: "0123456789abcdef".into(),
            title: "meter-v2/canary".into(),
            purpose: crate::cloud::JobPurpose::Upgrade,
            package: PackageKey {
                kind: PackageKind::Firmware,
                product: "meter".into(),
                version: "V2".into(),
                module: None,
            },
            from_versions: vec![],
            delivery: crate::api::Delivery::default(),
            package_id: "28f61af50fc9452aa0ed5ea25c3cc3d3".into(),
            devices: vec!["dev-1".into()],
        }
    }

    fn with_package(change: impl FnOnce(&mut NewPackage)) -> Call {
        let mut package = package();
        change(&mut package);
        Call::CreatePackage(package)
    }

    fn with_job(change: impl FnOnce(&mut NewJob)) -> Call {
        let mut job = job();
        change(&mut job);
        Call::CreateJob(job)
    }

    fn devices(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("dev-{n}")).collect()
    }

    #[test]
    fn calls_at_the_limit_pass() {
        let calls = [
            with_package(|p| p.key.version = "v".repeat(256)),
            with_package(|p| p.source_versions = vec!["V1".into(); 20]),
            with_package(|p| p.description = Some("更".repeat(1024))),
            with_package(|p| p.custom_info = Some("新".repeat(4096))),
            with_job(|j| j.devices = devices(30_000)),
            Call::StopJob { id: "5c8ba99030344005c02316ad".into() },
        ];
        for call in calls {
            assert_eq!(check(&call, "app"), Ok(()));
        }
    }

    #[test]
    fn each_documented_limit_is_refused_with_field_limit_value_and_next_step() {
        let calls = [
            with_package(|p| p.key.version = "v".repeat(257)),
            with_package(|p| p.key.version = "V2 beta".into()),
            with_package(|p| p.key.product = String::new()),
            with_package(|p| p.source_versions = vec!["V1".into(); 21]),
            with_package(|p| p.source_versions = vec!["V1/2".into()]),
            with_package(|p| p.description = Some("更".repeat(1025))),
            with_package(|p| p.custom_info = Some("x".repeat(4097))),
            with_object(|o| o.region = "cn_north".into()),
            with_object(|o| o.bucket = "Firmware".into()),
            with_object(|o| o.key = "meter/v2.hex".into()),
            with_object(|o| o.key = format!("{}.bin", "k".repeat(1021))),
            with_object(|o| o.sha256 = Some("abc".into())),
            with_job(|j| j.devices = devices(30_001)),
            with_job(|j| j.devices = vec![]),
            with_job(|j| j.devices = vec!["dev 1".into()]),
            with_job(|j| j.token = "0123".into()),
            with_job(|j| j.package_id = "../packages".into()),
            Call::ShowJob { id: "5C8B".into() },
            Call::ShowDevice { scope: DeviceScope::whole("meter"), id: "a/b".into() },
            Call::ListGroupDevices { product: "meter".into(), group: "g".into(), cursor: Default::default() },
            Call::ListTaggedDevices {
                product: "meter".into(),
                key: "site".into(),
                values: vec![],
                cursor: Default::default(),
            },
            Call::ListTaggedDevices {
                product: "meter".into(),
                key: "a b".into(),
                values: vec!["x".into()],
                cursor: Default::default(),
            },
        ];
        let refusals: Vec<_> = calls.iter().map(|call| check(call, "app").unwrap_err()).collect();
        assert!(refusals.iter().all(|error| error.class == ErrorClass::Invalid));
        let text: Vec<_> = refusals.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(text.join("\n"));
        let error = check(&with_job(|_| ()), "no app").unwrap_err();
        assert!(error.to_string().contains("app_id: \"no app\""), "{error}");
    }
}
