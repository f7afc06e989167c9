//! Rehearsals run faster than real time, against a simulator on this machine only.

use crate::api::{CloudRef, Object, ObjectKey};
use crate::source::Snapshot;

/// The first account of the snapshot that is not on this machine, and its endpoint. With soaks of a sixtieth of their
/// time a bad firmware could reach real devices.
pub(super) fn real_account(snapshot: &Snapshot) -> Option<(ObjectKey, String)> {
    snapshot.objects.iter().find_map(|(key, sourced)| match &sourced.object {
        Object::Cloud(cloud) => {
            let endpoint = cloud.spec.cloud().map_or("", CloudRef::endpoint);
            (!is_loopback(endpoint)).then(|| (key.clone(), endpoint.to_owned()))
        }
        _ => None,
    })
}

/// True when the address is on this machine.
#[must_use]
pub fn is_loopback(endpoint: &str) -> bool {
    let url = url::Url::parse(endpoint).ok();
    match url.as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
