//! Law (b): no job leaves with a device that the newest durable spec excludes, does not target, or whose version it does not take.
//! Who owns it is judged in `owned`.

use super::eligible::{is_excluded, is_targeted, package_of, source_versions};
use super::truth::Truth;
use super::warrant::Dispatch;
use crate::checkers::stages::kind_of;
use jiff::SignedDuration;
use rollwave::api::{Object, OtaRollout};
use std::sync::Arc;

/// A version that a device has left, or come to, so long ago may not have been seen yet: longer than any drift interval.
const UNSEEN: SignedDuration = SignedDuration::from_mins(15);

/// The rollout, as it was when the intent of this job became durable beside these objects, selects all of its devices.
pub(super) fn selects(
    rollout: &OtaRollout,
    objects: &[Arc<Object>],
    dispatch: &Dispatch<'_>,
    truth: &Truth,
) -> Result<(), String> {
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let Some(package) = package_of(rollout, objects) else {
        return Err(format!("a job of {name} leaves, and its package is not there"));
    };
    let kind = kind_of(package);
    for device in dispatch.devices {
        if is_excluded(rollout, device) {
            return Err(format!("{device} is sent a job of {name}, which excludes it"));
        }
        if !is_targeted(rollout, package, device) {
            return Err(format!("{device} is sent a job of {name}, which does not target it"));
        }
        let misfit = source_versions(rollout, package)
            .find(|versions| truth.ran_none_of(device, kind, versions, UNSEEN, dispatch.now));
        if let Some(versions) = misfit {
            return Err(format!(
                "{device} is sent a job of {name}, and runs none of {}",
                versions.join(", ")
            ));
        }
    }
    Ok(())
}
