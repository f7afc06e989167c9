//! Every documented limit of the calls that are made, and everything that this cloud has no call or field for, checked before
//! anything is sent. Fields are named as in the manifest.

use crate::cloud::{Call, CallError, CloudKind, ErrorClass, NewJob, delivery};

/// Rows in one page of packages, tasks and sub tasks.
pub const PAGE_SIZE: usize = 100;
/// Rows in one page of devices, and of a group's members.
pub const DEVICE_PAGE_SIZE: usize = 250;
/// Devices in one task (123024).
pub const TASK_DEVICES: usize = 256;

const PORTAL: &str = "do it in the portal: OceanConnect has no such call";

/// Checks a call against the limits.
///
/// # Errors
/// [`ErrorClass::Invalid`] with the field, the value and what to do; the first that is found.
pub fn check(call: &Call) -> Result<(), CallError> {
    let refuse = |what: &str, next_step: &str| {
        Err(CallError::new(ErrorClass::Invalid, call.operation(), what).next_step(next_step))
    };
    if call.module().is_some() {
        return refuse("OceanConnect upgrades devices as a whole", "leave spec.module out");
    }
    match call {
        Call::CreatePackage(_)
        | Call::CheckModule { .. }
        | Call::PermitUpload { .. }
        | Call::Upload { .. } => refuse(
            "packages of OceanConnect are uploaded by hand",
            "write spec.artifact.portal, and upload it in the portal",
        ),
        Call::StopJob { .. } => refuse("a task of OceanConnect cannot be stopped by a call", PORTAL),
        Call::RetryJob { .. } => refuse("a task of OceanConnect cannot be tried again by a call", PORTAL),
        Call::DeleteJob { .. } => refuse("a task of OceanConnect cannot be deleted by a call", PORTAL),
        Call::ListJobDevices { only: Some(_), .. } => {
            refuse("OceanConnect lists the devices of a whole task", "leave the devices out")
        }
        Call::ListTaggedDevices { .. } => {
            refuse("spec.targets.tags: devices of OceanConnect have no tags", "use spec.targets.groups")
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
            refuse("an empty id names nothing", "give an id")
        }
        _ => Ok(()),
    }
}

const PRODUCT: &str = "give spec.product.manufacturer, deviceType and model";

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
        return Some(("targets.devices is empty".to_owned(), "name at least one device"));
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
