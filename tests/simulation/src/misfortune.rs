//! What befalls a world besides bad luck on the wire: clocks that are set, a second instance, devices that come and go, and
//! other people in the account. Drawn from the seed and the profile before the world begins, so that a world without them
//! goes on as it always did.

use super::clouds::{self, Account, StrangeDeed};
use super::cluster::Meddling;
use super::dice::Dice;
use super::faults::Profile;
use super::home::{FIRST_OF_ALL_HOMES, FIRST_OF_DATES};
use jiff::{SignedDuration, Timestamp};
use rollwave::cloud::PackageKind;
use rollwave::simulator::Simulator;
use rollwave::simulator::faults::{Fault, Kind};
use rollwave::simulator::truth::DeviceChange;
use serde_json::json;

/// Seconds: after so long everything that was sent has had its effect, and is listed, on every cloud.
const QUIET_BEFORE: u64 = 150;
/// Seconds: longer than the timeouts of the manifests, and than some worlds have faults.
const LONGEST_SLEEP: u64 = 7_200;

/// One of them.
#[derive(Clone, Debug)]
pub(super) enum Misfortune {
    /// The machine's wall clock is set so many seconds further.
    ClockJump(i64),
    /// Whoever works is killed, and the machine's clock is set so many seconds further before anybody starts again, so many
    /// seconds later.
    ClockJumpBetweenLives(i64, u64),
    /// A second instance leads from now on, and the first does not know it for so many seconds.
    Takeover(u64),
    /// A device of this account is deleted from the cloud.
    Vanishes(Account, String),
    /// A new device is registered.
    Appears(Account, String),
    /// A device is set back to an old version by hand.
    Reverts(String),
    /// A device is out of reach, and answers only after its job's timeouts.
    Sleeps(String),
    /// It is there again.
    Wakes(String),
    /// Of the cluster that the state lives in.
    OfCluster(OfCluster),
    /// The state is lost, or is again what it was so many seconds ago; nobody works for as long as the second number says.
    StateLost(u64, u64),
    /// The gateways of all clouds go wrong by so many seconds; right again with zero.
    GatewaySkew(i64),
    /// Somebody else does something in this account; which of the things that are there is drawn beforehand.
    Stranger(Account, Whim, u64),
}

/// What befalls a cluster.
#[derive(Clone, Copy, Debug)]
pub(super) enum OfCluster {
    /// Somebody else writes into an object; which is drawn beforehand.
    Meddles(Meddling, u64),
    /// The API server is away for so many seconds.
    ServerAway(u64),
    /// Every watch ends, and perhaps what it has not seen is forgotten.
    WatchesEnd { compacted: bool },
}

/// What somebody else does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whim {
    /// A package with the product and version of one of ours.
    SamePackage,
    /// A package of their own.
    OtherPackage,
    /// A job of their own.
    Job,
    /// A job whose name looks like one of ours.
    JobLikeOurs,
    StopsJob,
    DeletesJob,
    DeletesPackage,
}

impl Misfortune {
    /// Its kind, for counting.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::ClockJump(_) => "ClockJump",
            Self::ClockJumpBetweenLives(..) => "ClockJumpBetweenLives",
            Self::Takeover(_) => "Takeover",
            Self::Vanishes(..) => "DeviceVanishes",
            Self::Appears(..) => "DeviceAppears",
            Self::Reverts(_) => "DeviceReverts",
            Self::Sleeps(_) => "DeviceSleeps",
            Self::Wakes(_) => "DeviceWakes",
            Self::StateLost(..) => "StateLost",
            Self::GatewaySkew(_) => "GatewaySkew",
            Self::OfCluster(OfCluster::Meddles(..)) => "Meddling",
            Self::OfCluster(OfCluster::ServerAway(_)) => "ApiServerAway",
            Self::OfCluster(OfCluster::WatchesEnd { .. }) => "WatchesEnd",
            Self::Stranger(_, Whim::SamePackage | Whim::OtherPackage, _) => "StrangerPackage",
            Self::Stranger(_, Whim::Job | Whim::JobLikeOurs, _) => "StrangerJob",
            Self::Stranger(_, Whim::StopsJob | Whim::DeletesJob, _) => "StrangerEndsJob",
            Self::Stranger(_, Whim::DeletesPackage, _) => "StrangerDeletesPackage",
        }
    }

    /// True when a rollout may rightly not be completed after it.
    pub(super) const fn may_hold(&self) -> bool {
        !matches!(
            self,
            Self::ClockJump(_)
                | Self::ClockJumpBetweenLives(..)
                | Self::Takeover(_)
                | Self::OfCluster(_)
                | Self::GatewaySkew(_)
        )
    }
}

/// The faults of a seed within so many seconds.
pub(super) fn plot(
    seed: u64,
    profile: Profile,
    seconds: u64,
    accounts: &[Account],
    fleet: u64,
) -> Vec<(SignedDuration, Misfortune)> {
    let mut fate = Fate { dice: Dice::new(seed, "misfortune"), accounts: accounts.to_vec(), fleet, born: 0 };
    let mut plot = Vec::new();
    for slot in 0..seconds.div_ceil(600) {
        let draws: [(u32, Draw); 4] = [
            (profile.clock_jump, Fate::clock_jump),
            (profile.takeover, |fate| Some(Misfortune::Takeover(fate.dice.between(1, 600)))),
            (profile.device, Fate::device),
            (profile.stranger, Fate::stranger),
        ];
        for (chance, draw) in draws {
            if fate.dice.permille(chance) {
                let at = (slot * 600 + fate.dice.between(1, 599)).min(seconds);
                plot.extend(draw(&mut fate).map(|misfortune| (since_start(at), misfortune)));
            }
        }
    }
    fate.sleepers(seed, profile, seconds, &mut plot);
    plot.extend(plot_of_later(seed, profile, seconds));
    plot.extend(plot_of_latest(seed, profile, seconds));
    plot
}

/// What befalls worlds of later seeds: a state that is lost, and gateways whose clocks are wrong.
fn plot_of_later(seed: u64, profile: Profile, seconds: u64) -> Vec<(SignedDuration, Misfortune)> {
    if seed < FIRST_OF_ALL_HOMES || profile == Profile::CALM {
        return Vec::new();
    }
    let (mut dice, mut plot) = (Dice::new(seed, "later"), Vec::new());
    if dice.permille(200) {
        let lost = Misfortune::StateLost(dice.between(1, 1_800), dice.between(QUIET_BEFORE, 900));
        plot.push((since_start(dice.between(60, seconds)), lost));
    }
    if dice.permille(200) {
        let ahead = i64::try_from(dice.between(150, 3_600)).unwrap_or(150);
        let from = dice.between(1, seconds);
        let skew = Misfortune::GatewaySkew(if dice.permille(500) { ahead } else { -ahead });
        plot.push((since_start(from), skew));
        plot.push((since_start(from + dice.between(60, 1_200)), Misfortune::GatewaySkew(0)));
    }
    plot
}

/// What befalls worlds of seeds that are later still: clocks that are set while nobody works.
fn plot_of_latest(seed: u64, profile: Profile, seconds: u64) -> Vec<(SignedDuration, Misfortune)> {
    if seed < FIRST_OF_DATES || profile == Profile::CALM {
        return Vec::new();
    }
    let (mut dice, mut plot) = (Dice::new(seed, "lives"), Vec::new());
    for _ in 0..dice.between(0, 3) {
        let most = dice.pick(&[600, 3_600, 10_800, 86_400]).copied().unwrap_or(600);
        let jump = i64::try_from(dice.between(1, most)).unwrap_or(1);
        let jump = if dice.permille(700) { jump } else { -jump };
        let misfortune = Misfortune::ClockJumpBetweenLives(jump, dice.between(1, 300));
        plot.push((since_start(dice.between(1, seconds)), misfortune));
    }
    plot
}

/// What befalls the cluster of a seed within so many seconds.
pub(super) fn plot_of_cluster(
    seed: u64,
    profile: Profile,
    seconds: u64,
) -> Vec<(SignedDuration, Misfortune)> {
    if profile == Profile::CALM {
        return Vec::new();
    }
    let mut dice = Dice::new(seed, "cluster");
    let mut plot = Vec::new();
    for _ in 0..dice.between(0, 12) {
        let kinds = [Meddling::Label, Meddling::Annotation, Meddling::Finalizer];
        let misfortune = match dice.between(0, 5) {
            0 => OfCluster::ServerAway(dice.between(5, 300)),
            1 => OfCluster::WatchesEnd { compacted: dice.permille(500) },
            _ => {
                let meddling = dice.pick(&kinds).copied().unwrap_or(Meddling::Label);
                OfCluster::Meddles(meddling, dice.between(0, 1_000_000))
            }
        };
        plot.push((since_start(dice.between(1, seconds)), Misfortune::OfCluster(misfortune)));
    }
    plot
}

fn since_start(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(1))
}

/// Draws one misfortune of a kind.
type Draw = fn(&mut Fate) -> Option<Misfortune>;

struct Fate {
    dice: Dice,
    accounts: Vec<Account>,
    fleet: u64,
    born: u64,
}

impl Fate {
    fn account(&mut self) -> Option<Account> {
        self.dice.pick(&self.accounts).copied()
    }

    fn clock_jump(&mut self) -> Option<Misfortune> {
        let most = self.dice.pick(&[60_u64, 300, 3_600, 86_400]).copied().unwrap_or(60);
        let seconds = i64::try_from(self.dice.between(1, most)).unwrap_or(1);
        Some(Misfortune::ClockJump(if self.dice.permille(600) { seconds } else { -seconds }))
    }

    fn device(&mut self) -> Option<Misfortune> {
        let account = self.account()?;
        let id = super::scenario::device(account.n, self.dice.between(0, self.fleet.saturating_sub(1)));
        Some(match self.dice.between(0, 2) {
            0 => Misfortune::Vanishes(account, id),
            1 => {
                self.born += 1;
                Misfortune::Appears(account, format!("late{}-{:04}", account.n, self.born))
            }
            _ => Misfortune::Reverts(id),
        })
    }

    /// Devices that answer late: drawn by themselves, so that nothing else is drawn differently.
    fn sleepers(
        &self,
        seed: u64,
        profile: Profile,
        seconds: u64,
        plot: &mut Vec<(SignedDuration, Misfortune)>,
    ) {
        let mut dice = Dice::new(seed, "sleepers");
        for account in &self.accounts {
            for n in 0..self.fleet {
                if dice.permille(profile.sleeper) {
                    let id = super::scenario::device(account.n, n);
                    let from = dice.between(1, seconds);
                    let until = from + dice.between(1, LONGEST_SLEEP);
                    plot.push((since_start(from), Misfortune::Sleeps(id.clone())));
                    plot.push((since_start(until), Misfortune::Wakes(id)));
                }
            }
        }
    }

    fn stranger(&mut self) -> Option<Misfortune> {
        const WHIMS: [Whim; 7] = [
            Whim::SamePackage,
            Whim::OtherPackage,
            Whim::Job,
            Whim::JobLikeOurs,
            Whim::StopsJob,
            Whim::DeletesJob,
            Whim::DeletesPackage,
        ];
        let whim = self.dice.pick(&WHIMS).copied().unwrap_or(Whim::Job);
        Some(Misfortune::Stranger(self.account()?, whim, self.dice.between(0, 1_000_000)))
    }
}

/// Lets it happen in the cloud; gives what the cloud said, if it was asked.
pub(super) fn befall(simulator: &mut Simulator, misfortune: &Misfortune, now: Timestamp) -> Option<String> {
    let (account, deed) = match misfortune {
        Misfortune::ClockJump(_)
        | Misfortune::ClockJumpBetweenLives(..)
        | Misfortune::Takeover(_)
        | Misfortune::OfCluster(_)
        | Misfortune::StateLost(..) => return None,
        Misfortune::GatewaySkew(seconds) => {
            let kind = Kind::Skew { seconds: *seconds };
            let fault =
                Fault { cloud: None, operation: "*".to_owned(), count: None, probability: None, kind };
            return simulator.inject(fault, now).err().map(|error| error.to_string());
        }
        Misfortune::Reverts(id) => {
            let change = DeviceChange { firmware: Some("V1".to_owned()), ..DeviceChange::default() };
            return changed(simulator, id, change, now);
        }
        Misfortune::Sleeps(id) | Misfortune::Wakes(id) => {
            let online = Some(matches!(misfortune, Misfortune::Wakes(_)));
            return changed(simulator, id, DeviceChange { online, ..DeviceChange::default() }, now);
        }
        Misfortune::Appears(account, id) => return appears(simulator, *account, id, now),
        Misfortune::Vanishes(account, id) => (account, StrangeDeed::DeleteDevice { id: id.clone() }),
        Misfortune::Stranger(account, whim, pick) => (account, deed(simulator, *account, *whim, *pick)?),
    };
    Some(account.side().act(simulator, account.n, &deed, now))
}

fn changed(simulator: &mut Simulator, id: &str, change: DeviceChange, now: Timestamp) -> Option<String> {
    simulator.change_device(id, change, now).err().map(|error| error.to_string())
}

fn appears(simulator: &mut Simulator, account: Account, id: &str, now: Timestamp) -> Option<String> {
    let spec = json!({
        "id": id, "product": account.side().product(), "cloud": account.cloud, "account": account.name(),
        "firmware": "V1", "software": "S1",
    });
    let added = serde_json::from_value(spec).map_err(|error| error.to_string());
    added.and_then(|spec| simulator.add_devices(&spec, now).map_err(|error| error.to_string())).err()
}

/// What a whim comes to, with what there is in the account now.
fn deed(simulator: &Simulator, account: Account, whim: Whim, pick: u64) -> Option<StrangeDeed> {
    let nth = |length: usize| usize::try_from(pick).unwrap_or(0).checked_rem(length);
    let name = account.name();
    let packages = clouds::packages(simulator).into_iter().filter(|package| package.account == name);
    let packages: Vec<clouds::PackageTruth> = packages.collect();
    let jobs: Vec<clouds::JobTruth> =
        clouds::jobs(simulator).into_iter().filter(|job| job.account == name).collect();
    let kind = PackageKind::Firmware;
    Some(match whim {
        Whim::SamePackage => {
            let version = ["V2", "V3"][nth(2)?].to_owned();
            // Every second one is the same in every byte.
            StrangeDeed::CreatePackage { kind, version, file: account.n * 16 + pick % 2 * 7 }
        }
        Whim::OtherPackage => {
            StrangeDeed::CreatePackage { kind, version: format!("T{}", pick % 100), file: pick }
        }
        Whim::Job | Whim::JobLikeOurs => {
            let name = if matches!(whim, Whim::Job) {
                format!("somebody_elses_{pick}")
            } else {
                format!("rw_theirs_{pick:016x}")
            };
            let firmware = packages.iter().filter(|package| package.kind == kind).collect::<Vec<_>>();
            let package = firmware.get(nth(firmware.len())?)?.id.clone();
            let devices = (0..3).map(|n| super::scenario::device(account.n, pick % 3 + n)).collect();
            StrangeDeed::CreateJob { name, kind, package, devices }
        }
        Whim::StopsJob => StrangeDeed::StopJob { id: jobs.get(nth(jobs.len())?)?.id.clone() },
        Whim::DeletesJob => StrangeDeed::DeleteJob { id: jobs.get(nth(jobs.len())?)?.id.clone() },
        Whim::DeletesPackage => {
            StrangeDeed::DeletePackage { id: packages.get(nth(packages.len())?)?.id.clone() }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clouds::Switches;
    use rollwave::api::CloudKind;

    #[test]
    fn a_device_that_vanishes_is_at_nothing_any_more_on_any_cloud() {
        for cloud in CloudKind::ALL {
            let (account, kind) = (Account { cloud, n: 0 }, PackageKind::Firmware);
            let now = Timestamp::from_second(1_767_571_200).unwrap();
            let switches = Switches { rejects_duplicates: false, is_crowded: true };
            let world = json!({
                "seed": 1, "clouds": {cloud.as_str(): account.side().simulated(&[0], switches)},
                "devices": [{"id": "d-1", "product": account.side().product(), "firmware": "V1"}],
            });
            let mut simulator = Simulator::new(&serde_json::from_value(world).unwrap(), now).unwrap();
            let act = |simulator: &mut Simulator, deed: StrangeDeed, now| {
                account.side().act(simulator, 0, &deed, now)
            };
            act(&mut simulator, StrangeDeed::CreatePackage { kind, version: "V2".into(), file: 1 }, now);
            let package = clouds::packages(&simulator).first().unwrap().id.clone();
            let job =
                StrangeDeed::CreateJob { name: "theirs".into(), kind, package, devices: vec!["d-1".into()] };
            act(&mut simulator, job, now);
            let soon = now + SignedDuration::from_secs(5);
            simulator.advance(soon);
            assert_eq!(clouds::jobs(&simulator)[0].open.len(), 1, "{cloud}");
            act(&mut simulator, StrangeDeed::DeleteDevice { id: "d-1".into() }, soon);
            let later = soon + SignedDuration::from_hours(1);
            simulator.advance(later);
            assert_eq!(clouds::jobs(&simulator)[0].open.len(), 0, "{cloud}");
            assert_eq!(clouds::versions(&simulator).count(), 0, "{cloud}");
            assert!(!simulator.remove_device("d-1", later), "{cloud}");
        }
    }
}
