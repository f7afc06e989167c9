//! Lists that are longer than a page, and that get shorter while they are read: other people create a hundred jobs, and
//! delete some of them.

use super::clouds::{self, JobTruth, StrangeDeed};
use crate::cloud::PackageKind;
use crate::simulator::Simulator;
use jiff::Timestamp;

/// Rows of a page, as the client asks for them.
const PAGE: usize = 50;
/// More than two pages, and less than three.
const CROWD: usize = 2 * PAGE + 20;
/// Begins the names of their jobs.
const NAME: &str = "somebody_elses_crowd_";
const PACKAGE: &str = "T-crowd";

/// Other people create jobs of their own in an account until there are [`CROWD`], and end them at once.
pub(super) fn gathers(simulator: &mut Simulator, account: &str, now: Timestamp) {
    let Some(n) = number_of(account) else { return };
    let kind = PackageKind::Firmware;
    let theirs = |simulator: &Simulator| {
        let mut packages = clouds::packages(simulator).into_iter();
        packages.find(|package| package.account == account && package.version == PACKAGE)
    };
    if theirs(simulator).is_none() {
        let artifact = format!("{n:064x}");
        let deed = StrangeDeed::CreatePackage { kind, version: PACKAGE.to_owned(), artifact };
        simulator.handle(&clouds::of_a_stranger(n, &deed, now), now);
    }
    let Some(package) = theirs(simulator).map(|package| package.id) else { return };
    for number in crowd(simulator, account).len()..CROWD {
        let deed = StrangeDeed::CreateJob {
            name: format!("{NAME}{number}"),
            kind,
            package: package.clone(),
            devices: vec![format!("lab{n}-0000")],
        };
        simulator.handle(&clouds::of_a_stranger(n, &deed, now), now);
    }
    for job in crowd(simulator, account).into_iter().filter(|job| !job.is_final) {
        simulator.handle(&clouds::of_a_stranger(n, &StrangeDeed::StopJob { id: job.id }, now), now);
    }
}

/// They delete their newest jobs, until what is left fills its pages: who counts rows takes a later page for the last.
pub(super) fn thins_out(simulator: &mut Simulator, account: &str, now: Timestamp) {
    let Some(n) = number_of(account) else { return };
    let of_account = |job: &JobTruth| job.account == account && job.kind == PackageKind::Firmware;
    let too_many = clouds::jobs(simulator).into_iter().filter(of_account).count() % PAGE;
    for job in crowd(simulator, account).into_iter().rev().take(too_many) {
        simulator.handle(&clouds::of_a_stranger(n, &StrangeDeed::DeleteJob { id: job.id }, now), now);
    }
}

/// Their jobs, oldest first.
fn crowd(simulator: &Simulator, account: &str) -> Vec<JobTruth> {
    let is_one = |job: &JobTruth| job.account == account && job.name.starts_with(NAME);
    clouds::jobs(simulator).into_iter().filter(is_one).collect()
}

fn number_of(account: &str) -> Option<u64> {
    (0..clouds::MOST_ACCOUNTS).find(|n| clouds::account(*n) == account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use serde_json::json;

    #[test]
    fn a_crowd_fills_two_pages_and_a_part_of_a_third_and_then_two() {
        let now = Timestamp::from_second(1_767_571_200).unwrap();
        let world = json!({
            "seed": 1, "clouds": clouds::simulated(1, false), "products": [{"id": "meter"}],
            "devices": [{"id": "lab0-0000", "product": "meter", "account": clouds::account(0), "firmware": "V1"}],
        });
        let mut simulator = Simulator::new(&serde_json::from_value(world).unwrap(), now).unwrap();
        gathers(&mut simulator, &clouds::account(0), now);
        let now = now + SignedDuration::from_mins(1);
        simulator.advance(now);
        assert_eq!(clouds::jobs(&simulator).len(), CROWD);
        assert!(clouds::jobs(&simulator).iter().all(|job| job.is_final), "they keep no device busy");
        thins_out(&mut simulator, &clouds::account(0), now);
        assert_eq!(clouds::jobs(&simulator).len(), 2 * PAGE);
    }
}
