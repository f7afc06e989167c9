//! Maps a call to its one request; pure, without secrets or signatures.

use super::{limits, sign, wire};
use crate::{
    api::{DocumentKey, HuaweiIotda, Retry},
    cloud::{
        Call, CallError, Cursor, DeviceOutcome, NewArtifact, NewJob, NewPackage, ObsArtifact, PackageKind,
        WireRequest, request,
    },
};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Map;

type Query = Vec<(&'static str, String)>;

/// Prefix of the names of Rollwave's batch tasks.
const NAME_PREFIX: &str = "rw_";
/// Hex digits of the idempotency key at the end of the name.
const TOKEN_LENGTH: usize = 16;

/// The request of a call, without authentication.
///
/// # Errors
/// [`ErrorClass::Invalid`](crate::cloud::ErrorClass::Invalid) when the call exceeds a limit.
pub fn render(spec: &HuaweiIotda, call: &Call) -> Result<WireRequest, CallError> {
    limits::check(call, &spec.app_id)?;
    let request = Request { spec, operation: call.operation() };
    match call {
        Call::ListPackages { kind, exactly, cursor } => {
            let mut query = request.app_page(cursor);
            query.push(("package_type", package_type(*kind).to_string()));
            if let Some(key) = exactly {
                query.push(("product_id", key.product.clone()));
                query.push(("version", key.version.clone()));
            }
            Ok(request.get(&["ota-upgrades", "packages"], query))
        }
        Call::ShowPackage { id } => Ok(request.get(&["ota-upgrades", "packages", id], vec![])),
        Call::CreatePackage(package) => {
            request.post(&["ota-upgrades", "packages"], vec![], &create_package(spec, package)?)
        }
        // Presence is refused by the limits.
        Call::CheckModule { .. }
        | Call::PermitUpload { .. }
        | Call::Upload { .. }
        | Call::ListPresence { .. }
        | Call::ListDevicesByAttribute { .. } => Err(limits::no_upload()),
        Call::DeletePackage { id } => Ok(request.delete(&["ota-upgrades", "packages", id])),
        Call::ListJobs { kind, cursor } => {
            let mut query = request.app_page(cursor);
            query.push(("task_type", task_type(*kind).to_string()));
            Ok(request.get(&["batchtasks"], query))
        }
        Call::ShowJob { id } => Ok(request.get(&["batchtasks", id], vec![("limit", "1".to_owned())])),
        Call::ListJobDevices { id, outcome, cursor, .. } => {
            let mut query = page(cursor);
            if let Some(outcome) = outcome {
                query.push(("task_detail_status", target_status(outcome).to_string()));
            }
            Ok(request.get(&["batchtasks", id], query))
        }
        Call::CreateJob(job) => request.post(&["batchtasks"], vec![], &create_task(spec, job)),
        Call::StopJob { id } => request.post(&["batchtasks", id, "stop"], vec![], &Map::new()),
        Call::DeleteJob { id } => Ok(request.delete(&["batchtasks", id])),
        Call::ListDevices { scope, cursor } => {
            let mut query = request.app_page(cursor);
            query.push(("product_id", scope.product.clone()));
            Ok(request.get(&["devices"], query))
        }
        Call::ShowDevice { id, .. } => Ok(request.get(&["devices", id], vec![])),
        Call::ListGroupDevices { group, cursor, .. } => {
            Ok(request.get(&["device-group", group, "devices"], page(cursor)))
        }
        Call::ListTaggedDevices { key, values, cursor, .. } => {
            request.post(&["tags", "query-resources"], page(cursor), &tag_query(key, values))
        }
    }
}

struct Request<'a> {
    spec: &'a HuaweiIotda,
    operation: &'static str,
}

impl Request<'_> {
    fn get(&self, path: &[&str], query: Query) -> WireRequest {
        self.build("GET", path, query, Bytes::new())
    }

    fn delete(&self, path: &[&str]) -> WireRequest {
        self.build("DELETE", path, vec![], Bytes::new())
    }

    fn post(&self, path: &[&str], query: Query, body: &impl Serialize) -> Result<WireRequest, CallError> {
        Ok(self.build("POST", path, query, request::json(self.operation, body)?))
    }

    fn build(&self, method: &'static str, path: &[&str], query: Query, body: Bytes) -> WireRequest {
        let segments: Vec<_> = path.iter().map(|segment| sign::encode(segment)).collect();
        let query: Vec<_> = query.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        if let Some(instance) = &self.spec.instance_id {
            headers.push(("Instance-Id".to_owned(), instance.clone()));
        }
        WireRequest {
            method,
            origin: request::origin(&self.spec.endpoint).to_owned(),
            path: format!("/v5/iot/{}/{}", sign::encode(&self.spec.project_id), segments.join("/")),
            query: sign::canonical_query(&query),
            headers,
            body,
            upload: None,
        }
    }

    fn app_page(&self, cursor: &Cursor) -> Query {
        let mut query = page(cursor);
        query.push(("app_id", self.spec.app_id.clone()));
        query
    }
}

/// Paging by marker only: `offset` is limited to 500 (ListOtaPackageInfo, "deep paging").
fn page(cursor: &Cursor) -> Query {
    let mut query = vec![("limit", limits::PAGE_SIZE.to_string())];
    query.extend(cursor.marker.clone().map(|marker| ("marker", marker)));
    query
}

fn create_package(spec: &HuaweiIotda, package: &NewPackage) -> Result<wire::CreatePackage, CallError> {
    let NewArtifact::Obs(object) = &package.artifact else { return Err(limits::no_upload()) };
    Ok(wire::CreatePackage {
        app_id: spec.app_id.clone(),
        package_type: package_type(package.key.kind),
        product_id: package.key.product.clone(),
        version: package.key.version.clone(),
        file_location: wire::FileLocation { obs_location: Some(obs_location(object)) },
        module_name: None,
        support_source_versions: Some(package.source_versions.clone())
            .filter(|versions| !versions.is_empty()),
        description: package.description.clone(),
        custom_info: package.custom_info.clone(),
    })
}

/// `sign_method` is omitted: SHA256 is its default, and older platforms do not support the field.
fn obs_location(artifact: &ObsArtifact) -> wire::ObsLocation {
    wire::ObsLocation {
        region_name: artifact.region.clone(),
        bucket_name: artifact.bucket.clone(),
        object_key: artifact.key.clone(),
        sign: artifact.sha256.clone(),
        sign_method: None,
    }
}

fn create_task(spec: &HuaweiIotda, job: &NewJob) -> wire::CreateTask {
    let id = job.package_id.clone();
    let document = match spec.document_key {
        DocumentKey::PackageIds => wire::Document { package_id: None, package_ids: Some(vec![id]) },
        DocumentKey::PackageId => wire::Document { package_id: Some(id), package_ids: None },
    };
    wire::CreateTask {
        task_name: task_name(&job.title, &job.token),
        task_type: task_type(job.kind()),
        app_id: Some(spec.app_id.clone()),
        task_mode: None,
        need_confirm: job.delivery.confirm,
        task_ext_info: (!job.delivery.tags.is_empty()).then(|| serde_json::json!(job.delivery.tags)),
        targets: Some(job.devices.clone()),
        targets_filter: None,
        document_source: None,
        document: Some(document),
        task_policy: job.delivery.retry.as_ref().map(retry_policy),
    }
}

/// `retry_count` and `retry_interval` (minutes) are used together; the console recommends 5 minutes.
fn retry_policy(retry: &Retry) -> wire::TaskPolicy {
    let minutes = retry.interval.map_or(5, |interval| interval.as_signed().as_mins());
    wire::TaskPolicy {
        schedule_time: None,
        retry_count: Some(retry.limit),
        retry_interval: u32::try_from(minutes).ok(),
    }
}

fn tag_query(key: &str, values: &[String]) -> wire::TagQuery {
    let tag = |value: &String| wire::Tag { tag_key: key.to_owned(), tag_value: Some(value.clone()) };
    wire::TagQuery { resource_type: "device".to_owned(), tags: values.iter().map(tag).collect() }
}

/// Name of a batch task: `rw_meter_v2_canary_0123456789abcdef`. Characters that are not allowed become `_`.
#[must_use]
pub fn task_name(title: &str, token: &str) -> String {
    let room = limits::TASK_NAME.saturating_sub(NAME_PREFIX.len() + 1 + token.chars().count());
    let fit = |c: char| if limits::task_name(c) { c } else { '_' };
    let title: String = title.chars().map(fit).take(room).collect();
    format!("{NAME_PREFIX}{title}_{token}")
}

/// The idempotency key in the name of a batch task; none if the task is not Rollwave's.
#[must_use]
pub fn token_of(task_name: &str) -> Option<&str> {
    let (_, token) = task_name.strip_prefix(NAME_PREFIX)?.rsplit_once('_')?;
    (token.len() == TOKEN_LENGTH && token.chars().all(limits::lower_hex)).then_some(token)
}

const fn package_type(kind: PackageKind) -> wire::PackageType {
    match kind {
        PackageKind::Firmware => wire::PackageType::Firmware,
        PackageKind::Software => wire::PackageType::Software,
    }
}

const fn task_type(kind: PackageKind) -> wire::TaskType {
    match kind {
        PackageKind::Firmware => wire::TaskType::Firmware,
        PackageKind::Software => wire::TaskType::Software,
    }
}

fn target_status(outcome: &DeviceOutcome) -> wire::TargetStatus {
    match outcome {
        DeviceOutcome::Queued => wire::TargetStatus::Waitting,
        DeviceOutcome::InFlight => wire::TargetStatus::Processing,
        DeviceOutcome::Succeeded => wire::TargetStatus::Success,
        DeviceOutcome::Failed => wire::TargetStatus::Fail,
        DeviceOutcome::Retrying => wire::TargetStatus::FailWaitRetry,
        DeviceOutcome::Stopped => wire::TargetStatus::Stopped,
        DeviceOutcome::Removed => wire::TargetStatus::Removed,
        DeviceOutcome::Unknown(text) => wire::TargetStatus::Other(text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_other_tasks_carry_no_token() {
        for name in
            ["", "rw_", "rw_0123456789abcdef", "rw_x_0123456789ABCDEF", "rw_x_0123", "x_0123456789abcdef"]
        {
            assert_eq!(token_of(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_task_name_fits_the_clouds_rule_and_gives_its_token_back(title in "\\PC{0,200}", token in "[0-9a-f]{16}") {
            let name = task_name(&title, &token);
            prop_assert!(name.chars().count() <= limits::TASK_NAME && name.chars().all(limits::task_name), "{name}");
            prop_assert_eq!(token_of(&name), Some(token.as_str()));
        }
    }
}
