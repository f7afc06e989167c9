//! `rollwave apply` from cron: processes that live for a moment get as far as one that stays.

use super::harness::{Ended, Lab, PACKAGE, ROLLOUT};
use rollwave::simulator::faults::{Kind, When};
use std::time::{Duration, Instant};

/// Generous: nothing waits for it unless the test fails.
const DEADLINE: Duration = Duration::from_secs(600);

/// Applies again and again, each time without waiting, for as long as work is in progress.
fn apply_until_settled(lab: &Lab) -> (Ended, u32) {
    let begin = Instant::now();
    for processes in 1.. {
        let ended = Ended::of(&mut lab.verb("apply", &[]));
        if ended.code != Some(2) {
            return (ended, processes);
        }
        assert!(begin.elapsed() < DEADLINE, "in progress for ever: {}", ended.said());
    }
    unreachable!()
}

#[test]
fn short_processes_finish_a_rollout_that_soaks_longer_than_any_of_them_lives() {
    let lab = Lab::new();
    lab.write("package.yaml", PACKAGE);
    // Five seconds of the clock.
    lab.write("rollout.yaml", &ROLLOUT.replace("soak: 1m", "soak: 10m"));
    let begin = Instant::now();
    let (ended, processes) = apply_until_settled(&lab);
    assert_eq!(ended.code, Some(0), "{}", ended.said());
    assert!(begin.elapsed() >= Duration::from_secs(5), "the canary was to soak");
    assert!(processes > 3, "{processes} processes are no cron");
    assert_eq!(lab.firmware("meter-0007").as_deref(), Some("V2"));
    assert!(lab.sent().values().all(|times| *times == 1), "{:?}", lab.sent());
}

#[test]
fn short_processes_send_again_what_was_lost_and_nothing_twice() {
    let lab = Lab::new();
    lab.write("package.yaml", PACKAGE);
    lab.write("rollout.yaml", ROLLOUT);
    lab.fault("CreateBatchTask", Some(1), Kind::Reset { when: When::Before });
    lab.fault("CreateOtaPackage", Some(1), Kind::Reset { when: When::After });
    let (ended, _) = apply_until_settled(&lab);
    assert_eq!(ended.code, Some(0), "{}", ended.said());
    assert_eq!(lab.packages().len(), 1);
    assert!(lab.sent().values().all(|times| *times == 1), "{:?}", lab.sent());
}
