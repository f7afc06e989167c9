//! When this machine was booted, by a clock that nobody sets and that goes on while the machine sleeps (`CLOCK_BOOTTIME`,
//! clock_gettime(2)). Linux alone says which boot it is; elsewhere none is known, and waits are counted by other clocks.

use crate::decide::clocks::Boot;
use jiff::Timestamp;

/// The boot, counted back from `now`, with time going `factor` times as fast as the machine's.
pub(super) fn since(now: Timestamp, factor: u32) -> Option<Boot> {
    let uptime = machine::uptime()?.checked_mul(i32::try_from(factor).ok()?)?;
    let at = now.checked_sub(uptime).ok()?;
    Some(Boot { id: id_of(&machine::name()?, factor), at })
}

/// A hash: the machine's own id of its boot is nobody else's business. Times that were counted at another speed are of another
/// boot.
fn id_of(name: &str, factor: u32) -> u64 {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(format!("rollwave boot {name} {factor}"));
    digest.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
}

#[cfg(target_os = "linux")]
mod machine {
    use jiff::SignedDuration;
    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn uptime() -> Option<SignedDuration> {
        let time = clock_gettime(ClockId::Boottime);
        Some(SignedDuration::new(time.tv_sec, i32::try_from(time.tv_nsec).ok()?))
    }

    /// A time namespace has an uptime of its own (time_namespaces(7)).
    pub(super) fn name() -> Option<String> {
        let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = fs_err::read_link("/proc/self/ns/time").unwrap_or_default();
        Some(format!("{} {}", boot.trim(), namespace.display()))
    }
}

#[cfg(not(target_os = "linux"))]
mod machine {
    use jiff::SignedDuration;

    pub(super) fn uptime() -> Option<SignedDuration> {
        None
    }

    pub(super) fn name() -> Option<String> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_later_process_counts_from_the_same_boot_and_one_at_another_speed_does_not() {
        let (first, second) = (since(Timestamp::now(), 1).unwrap(), since(Timestamp::now(), 1).unwrap());
        assert_eq!(first.id, second.id);
        assert!(second.at.duration_since(first.at).abs() < jiff::SignedDuration::from_secs(60));
        assert_ne!(since(Timestamp::now(), 60).unwrap().id, first.id);
        assert!(first.at < Timestamp::now());
    }
}
