//! How fast devices may be sent a package, where the cloud has no such limit: `delivery.ratePerMinute` and `delivery.maxInFlight`.

use crate::api::support::is_emulated;
use crate::api::{CloudKind, Kind, OtaRolloutSpec};

/// The limits that Rollwave keeps for each stage, in devices.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Devices that are sent the package within a minute.
    pub per_minute: Option<usize>,
    /// Devices that upgrade at the same time.
    pub in_flight: Option<usize>,
}

impl Pace {
    /// The limits of a rollout that this cloud does not keep itself.
    #[must_use]
    pub fn of(spec: &OtaRolloutSpec, cloud: CloudKind) -> Self {
        let Some(delivery) = spec.delivery.as_ref() else { return Self::default() };
        let ours = |field: &str, limit: Option<u32>| {
            let limit = limit.filter(|_| is_emulated(cloud, Kind::OtaRollout, field))?;
            usize::try_from(limit.max(1)).ok()
        };
        Self {
            per_minute: ours("spec.delivery.ratePerMinute", delivery.rate_per_minute),
            in_flight: ours("spec.delivery.maxInFlight", delivery.max_in_flight),
        }
    }

    /// Devices of the largest piece; none without a limit.
    #[must_use]
    pub fn largest(self) -> Option<usize> {
        self.per_minute.into_iter().chain(self.in_flight).min()
    }
}
