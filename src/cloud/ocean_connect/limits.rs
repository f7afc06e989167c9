//! Every documented limit of the calls that are made, and everything that this cloud has no call or field for, checked before
//! anything is sent. Fields are named as in the manifest.

use crate::cloud::{Call, CallError, Delivery, ErrorClass, NewJob};

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
    match call {
        Call::CreatePackage(_) | Call::Upload(_) => refuse(
            "packages of OceanConnect are uploaded by hand",
            "write spec.artifact.portal, and upload it in the portal",
        ),
        Call::StopJob { .. } => refuse("a task of OceanConnect cannot be stopped by a call", PORTAL),
        Call::RetryJob { .. } => refuse("a task of OceanConnect cannot be tried again by a call", PORTAL),
        Call::DeleteJob { .. } => refuse("a task of OceanConnect cannot be deleted by a call", PORTAL),
        Call::ListTaggedDevices { .. } => {
            refuse("spec.targets.tags: devices of OceanConnect have no tags", "use spec.targets.groups")
        }
        Call::CreateJob(job) => match job_problem(job) {
            Some((what, next_step)) => refuse(&what, next_step),
            None => Ok(()),
        },
        Call::ListPackages { exactly: Some(key), .. } => match parts(&key.product) {
            Some(_) => Ok(()),
            None => refuse(&product_problem(&key.product), PRODUCT),
        },
        Call::ListDevices { product, .. } => match parts(product) {
            Some(_) => Ok(()),
            None => refuse(&product_problem(product), PRODUCT),
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
    delivery_problem(&job.delivery)
}

/// The first field of `delivery` that this cloud cannot honour.
fn delivery_problem(delivery: &Delivery) -> Option<(String, &'static str)> {
    let Delivery {
        start: _,
        timeout,
        retry,
        rate_per_minute,
        max_in_flight,
        push,
        confirm,
        device_initiated,
        download_protocol,
        overwrite,
        tags,
    } = delivery;
    let retries = retry.as_ref().map_or(1, |retry| retry.limit);
    if !(1..=5).contains(&retries) {
        return Some((format!("delivery.retry.limit: {retries} is not from 1 to 5"), "give 1 to 5"));
    }
    let interval = retry.as_ref().and_then(|retry| retry.interval.as_ref());
    let leave_out = "leave it out: OceanConnect has no such field";
    let asked = [
        (
            "delivery.retry.interval",
            interval.is_some(),
            "leave it out: OceanConnect tries again when all devices have ended",
        ),
        ("delivery.timeout", timeout.is_some(), leave_out),
        ("delivery.ratePerMinute", rate_per_minute.is_some(), "leave it out, and use smaller stages"),
        ("delivery.maxInFlight", max_in_flight.is_some(), "leave it out, and use smaller stages"),
        ("delivery.push", push.is_some(), leave_out),
        ("delivery.confirm", confirm.is_some(), leave_out),
        ("delivery.deviceInitiated", device_initiated.is_some(), leave_out),
        ("delivery.downloadProtocol", download_protocol.is_some(), leave_out),
        ("delivery.overwrite", overwrite.is_some(), "leave it out: a device takes one task at a time"),
        ("delivery.tags", !tags.is_empty(), leave_out),
    ];
    let (field, _, next_step) = asked.into_iter().find(|(_, is_asked, _)| *is_asked)?;
    Some((format!("spec.{field} cannot be honoured by OceanConnect"), next_step))
}
