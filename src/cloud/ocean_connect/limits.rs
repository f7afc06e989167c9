//! Every documented limit of the calls, and everything that this cloud does not support, checked before anything is sent. Fields
//! have their names in the manifest.

use crate::cloud::{Call, CallError, CloudKind, ErrorClass, NewJob, delivery};
use jiff::SignedDuration;

/// Rows per page of packages, tasks and sub tasks.
pub const PAGE_SIZE: usize = 100;
/// Rows per page of devices, and of members of a group.
pub const DEVICE_PAGE_SIZE: usize = 250;
/// A device is shown as ABNORMAL after so long a silence, and as OFFLINE after 49 hours (device status, iot_06_0061).
pub const OFFLINE_AFTER: SignedDuration = SignedDuration::from_hours(25);
/// Devices per task (123024).
pub const TASK_DEVICES: usize = 256;

const PORTAL: &str = "use the portal: OceanConnect has no call for this";

/// Checks a call against the limits.
///
/// # Errors
/// [`ErrorClass::Invalid`] with the field, the value and what to do; only the first one found.
pub fn check(call: &Call) -> Result<(), CallError> {
    let refuse = |what: &str, next_step: &str| {
        Err(CallError::new(ErrorClass::Invalid, call.operation(), what).next_step(next_step))
    };
    if call.module().is_some() {
        return refuse("OceanConnect upgrades the whole device", "remove spec.module");
    }
    match call {
        Call::CreatePackage(_)
        | Call::CheckModule { .. }
        | Call::PermitUpload { .. }
        | Call::Upload { .. } => refuse(
            "packages of OceanConnect are uploaded by hand",
            "use spec.artifact.portal, and upload the package in the portal",
        ),
        Call::StopJob { .. } => refuse("a task of OceanConnect cannot be stopped through the API", PORTAL),
        Call::DeleteJob { .. } => refuse("a task of OceanConnect cannot be deleted through the API", PORTAL),
        Call::ListJobDevices { only: Some(_), .. } => {
            refuse("OceanConnect lists the devices of a whole task only", "remove the devices")
        }
        Call::ListPresence { .. } => {
            refuse("rows of devices report whether they are connected", "list the devices of the product")
        }
        Call::ListTaggedDevices { .. } => {
            refuse("spec.targets.tags: devices of OceanConnect have no tags", "use spec.targets.groups")
        }
        Call::ListDevicesByAttribute { .. } => {
            refuse("spec.targets.attributes: devices of OceanConnect have none", "use spec.targets.groups")
        }
        Call::CreateJob(job) => match job_problem(job) {
            Some((what, next_step)) => refuse(&what, next_step),
            None => delivery::check(CloudKind::OceanConnect, call.operation(), job),
        },
        Call::ListPackages { exactly: Some(key), .. } => match parts(&key.product) {
            Some(_) => Ok(()),
            None => refuse(&product_problem(&key.product), PRODUCT),
        },
        Call::ListDevices { scope, .. } => match parts(&scope.product) {
            Some(_) => Ok(()),
            None => refuse(&product_problem(&scope.product), PRODUCT),
        },
        Call::ShowPackage { id }
        | Call::DeletePackage { id }
        | Call::ShowJob { id }
        | Call::ShowDevice { id, .. }
            if id.is_empty() =>
        {
            refuse("the id is empty", "set an id")
        }
        _ => Ok(()),
    }
}

const PRODUCT: &str = "set spec.product.manufacturer, deviceType and model";

fn product_problem(product: &str) -> String {
    format!("spec.product: {product:?} is not manufacturer/deviceType/model")
}

/// Manufacturer, device type and model of a product.
#[must_use]
pub fn parts(product: &str) -> Option<[&str; 3]> {
    let parts: Vec<&str> = product.split('/').collect();
    match parts.as_slice() {
        [manufacturer, device_type, model] if parts.iter().all(|part| !part.is_empty()) => {
            Some([manufacturer, device_type, model])
        }
        _ => None,
    }
}

fn job_problem(job: &NewJob) -> Option<(String, &'static str)> {
    let count = job.devices.len();
    if count == 0 {
        return Some(("targets.devices is empty".to_owned(), "list at least one device"));
    }
    if count > TASK_DEVICES {
        let what = format!("targets.devices: {count} devices are more than {TASK_DEVICES}");
        return Some((what, "split them over several tasks"));
    }
    if job.package_id.is_empty() {
        return Some(("fileId is empty".to_owned(), "wait until the package is in the portal"));
    }
    None
}
