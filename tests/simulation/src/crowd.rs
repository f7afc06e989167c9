//! Lists that are longer than a page, and that get shorter while they are read: other people create a hundred jobs, and
//! delete some of them.

use super::clouds::{self, Account, JobTruth, StrangeDeed};
use jiff::Timestamp;
use rollwave::cloud::PackageKind;
use rollwave::simulator::Simulator;

/// Beyond two pages, and less than a third one.
const MORE: usize = 20;
/// Begins the names of their jobs.
const NAME: &str = "somebody_elses_crowd_";
const PACKAGE: &str = "T-crowd";

/// Other people create jobs of their own in an account until there are more than two pages of them, and end them at once.
pub(super) fn gathers(simulator: &mut Simulator, account: Account, now: Timestamp) {
    let (n, kind, name) = (account.n, PackageKind::Firmware, account.name());
    let act = |simulator: &mut Simulator, deed: &StrangeDeed| account.side().act(simulator, n, deed, now);
    if theirs(simulator, &name).is_none() {
        let deed = StrangeDeed::CreatePackage { kind, version: PACKAGE.to_owned(), file: n };
        act(simulator, &deed);
    }
    let Some(package) = theirs(simulator, &name) else { return };
    for number in crowd(simulator, &name).len()..2 * account.side().page() + MORE {
        let deed = StrangeDeed::CreateJob {
            name: format!("{NAME}{number}"),
            kind,
            package: package.clone(),
            devices: vec![format!("lab{n}-0000")],
        };
        act(simulator, &deed);
    }
    for job in crowd(simulator, &name).into_iter().filter(|job| !job.is_final) {
        act(simulator, &StrangeDeed::StopJob { id: job.id });
    }
}

/// They delete their newest jobs, until what is left fills its pages: who counts rows takes a later page for the last.
pub(super) fn thins_out(simulator: &mut Simulator, account: Account, now: Timestamp) {
    let name = account.name();
    let of_account = |job: &JobTruth| job.account == name && job.kind == PackageKind::Firmware;
    let too_many = clouds::jobs(simulator).into_iter().filter(of_account).count() % account.side().page();
    for job in crowd(simulator, &name).into_iter().rev().take(too_many) {
        account.side().act(simulator, account.n, &StrangeDeed::DeleteJob { id: job.id }, now);
    }
}

/// Their package.
fn theirs(simulator: &Simulator, account: &str) -> Option<String> {
    let mut packages = clouds::packages(simulator).into_iter();
    packages
        .find(|package| package.account == account && package.version == PACKAGE)
        .map(|package| package.id)
}

/// Their jobs, oldest first. Not every cloud has names of jobs.
fn crowd(simulator: &Simulator, account: &str) -> Vec<JobTruth> {
    let Some(package) = theirs(simulator, account) else { return Vec::new() };
    let is_one = |job: &JobTruth| job.account == account && job.packages.contains(&package);
    clouds::jobs(simulator).into_iter().filter(is_one).collect()
}

#[cfg(test)]
mod tests {
    use super::clouds::Switches;
    use super::*;
    use jiff::SignedDuration;
    use rollwave::api::CloudKind;
    use serde_json::json;

    #[test]
    fn a_crowd_fills_two_pages_and_a_part_of_a_third_and_then_two_where_jobs_can_be_deleted() {
        for cloud in CloudKind::ALL {
            let account = Account { cloud, n: 0 };
            let (name, page) = (account.name(), account.side().page());
            let now = Timestamp::from_second(1_767_571_200).unwrap();
            let switches = Switches { rejects_duplicates: false, is_crowded: true };
            let world = json!({
                "seed": 1, "clouds": {cloud.as_str(): account.side().simulated(&[0], switches)},
                "devices": [{"id": "lab0-0000", "product": account.side().product(), "account": name,
                    "firmware": "V1"}],
            });
            let mut simulator = Simulator::new(&serde_json::from_value(world).unwrap(), now).unwrap();
            gathers(&mut simulator, account, now);
            let now = now + SignedDuration::from_mins(10);
            simulator.advance(now);
            let jobs = clouds::jobs(&simulator);
            assert_eq!(jobs.len(), 2 * page + MORE, "{cloud}");
            assert!(
                jobs.iter().all(|job| job.is_final && job.open.is_empty()),
                "{cloud}: they keep no device busy"
            );
            thins_out(&mut simulator, account, now);
            let deletes = matches!(cloud, CloudKind::HuaweiIotda | CloudKind::Enos);
            assert_eq!(clouds::jobs(&simulator).len(), 2 * page + if deletes { 0 } else { MORE }, "{cloud}");
        }
    }
}
