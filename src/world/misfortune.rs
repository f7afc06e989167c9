//! What befalls a world besides bad luck on the wire: clocks that are set, a second instance, devices that come and go, and
//! other people in the account. Drawn from the seed and the profile before the world begins, so that a world without them
//! goes on as it always did.

use super::clouds::{self, StrangeDeed};
use super::dice::Dice;
use super::faults::Profile;
use crate::cloud::{PackageKind, WireRequest};
use crate::simulator::truth::DeviceChange;
use crate::simulator::{End, Simulator};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// One of them.
#[derive(Clone, Debug)]
pub(super) enum Misfortune {
    /// The machine's wall clock is set so many seconds further.
    ClockJump(i64),
    /// A second instance leads from now on, and the first does not know it for so many seconds.
    Takeover(u64),
    /// A device of this account is deleted from the cloud.
    Vanishes(u64, String),
    /// A new device is registered.
    Appears(u64, String),
    /// A device is set back to an old version by hand.
    Reverts(String),
    /// Somebody else does something in this account; which of the things that are there is drawn beforehand.
    Stranger(u64, Whim, u64),
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
            Self::Takeover(_) => "Takeover",
            Self::Vanishes(..) => "DeviceVanishes",
            Self::Appears(..) => "DeviceAppears",
            Self::Reverts(_) => "DeviceReverts",
            Self::Stranger(_, Whim::SamePackage | Whim::OtherPackage, _) => "StrangerPackage",
            Self::Stranger(_, Whim::Job | Whim::JobLikeOurs, _) => "StrangerJob",
            Self::Stranger(_, Whim::StopsJob | Whim::DeletesJob, _) => "StrangerEndsJob",
            Self::Stranger(_, Whim::DeletesPackage, _) => "StrangerDeletesPackage",
        }
    }

    /// True when a rollout may rightly not be completed after it.
    pub(super) const fn may_hold(&self) -> bool {
        !matches!(self, Self::ClockJump(_) | Self::Takeover(_))
    }
}

/// What befalls the worlds of a seed within so many seconds.
pub(super) fn plot(
    seed: u64,
    profile: Profile,
    seconds: u64,
    accounts: u64,
    fleet: u64,
) -> Vec<(SignedDuration, Misfortune)> {
    let mut fate = Fate { dice: Dice::new(seed, "misfortune"), accounts, fleet, born: 0 };
    let mut plot = Vec::new();
    for slot in 0..seconds.div_ceil(600) {
        let draws: [(u32, Draw); 4] = [
            (profile.clock_jump, Fate::clock_jump),
            (profile.takeover, |fate| Misfortune::Takeover(fate.dice.between(1, 600))),
            (profile.device, Fate::device),
            (profile.stranger, Fate::stranger),
        ];
        for (chance, draw) in draws {
            if fate.dice.permille(chance) {
                let at = (slot * 600 + fate.dice.between(1, 599)).min(seconds);
                plot.push((SignedDuration::from_secs(i64::try_from(at).unwrap_or(1)), draw(&mut fate)));
            }
        }
    }
    plot
}

/// Draws one misfortune of a kind.
type Draw = fn(&mut Fate) -> Misfortune;

struct Fate {
    dice: Dice,
    accounts: u64,
    fleet: u64,
    born: u64,
}

impl Fate {
    fn account(&mut self) -> u64 {
        self.dice.between(0, self.accounts.saturating_sub(1))
    }

    fn clock_jump(&mut self) -> Misfortune {
        let most = self.dice.pick(&[60_u64, 300, 3_600, 86_400]).copied().unwrap_or(60);
        let seconds = i64::try_from(self.dice.between(1, most)).unwrap_or(1);
        Misfortune::ClockJump(if self.dice.permille(600) { seconds } else { -seconds })
    }

    fn device(&mut self) -> Misfortune {
        let account = self.account();
        let id = super::scenario::device(account, self.dice.between(0, self.fleet.saturating_sub(1)));
        match self.dice.between(0, 2) {
            0 => Misfortune::Vanishes(account, id),
            1 => {
                self.born += 1;
                Misfortune::Appears(account, format!("late{account}-{:04}", self.born))
            }
            _ => Misfortune::Reverts(id),
        }
    }

    fn stranger(&mut self) -> Misfortune {
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
        Misfortune::Stranger(self.account(), whim, self.dice.between(0, 1_000_000))
    }
}

/// Lets it happen in the cloud; gives what the cloud said, if it was asked.
pub(super) fn befall(simulator: &mut Simulator, misfortune: &Misfortune, now: Timestamp) -> Option<String> {
    let request = match misfortune {
        Misfortune::ClockJump(_) | Misfortune::Takeover(_) => return None,
        Misfortune::Reverts(id) => {
            let change = DeviceChange { firmware: Some("V1".to_owned()), ..DeviceChange::default() };
            return simulator.change_device(id, change, now).err().map(|error| error.to_string());
        }
        Misfortune::Appears(account, id) => return appears(simulator, *account, id, now),
        Misfortune::Vanishes(account, id) => {
            clouds::of_a_stranger(*account, &StrangeDeed::DeleteDevice { id: id.clone() }, now)
        }
        Misfortune::Stranger(account, whim, pick) => {
            let deed = deed(simulator, *account, *whim, *pick)?;
            clouds::of_a_stranger(*account, &deed, now)
        }
    };
    Some(ask(simulator, &request, now))
}

fn ask(simulator: &mut Simulator, request: &WireRequest, now: Timestamp) -> String {
    match simulator.handle(request, now).end {
        End::Reply(reply) => format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body)),
        other => format!("{other:?}"),
    }
}

fn appears(simulator: &mut Simulator, account: u64, id: &str, now: Timestamp) -> Option<String> {
    let spec = json!({
        "id": id, "product": "meter", "account": clouds::account(account), "firmware": "V1", "software": "S1",
    });
    let added = serde_json::from_value(spec).map_err(|error| error.to_string());
    added.and_then(|spec| simulator.add_devices(&spec, now).map_err(|error| error.to_string())).err()
}

/// What a whim comes to, with what there is in the account now.
fn deed(simulator: &Simulator, account: u64, whim: Whim, pick: u64) -> Option<StrangeDeed> {
    let nth = |length: usize| usize::try_from(pick).unwrap_or(0).checked_rem(length);
    let name = clouds::account(account);
    let packages = clouds::packages(simulator).into_iter().filter(|package| package.account == name);
    let packages: Vec<clouds::PackageTruth> = packages.collect();
    let jobs: Vec<clouds::JobTruth> =
        clouds::jobs(simulator).into_iter().filter(|job| job.account == name).collect();
    let kind = PackageKind::Firmware;
    Some(match whim {
        Whim::SamePackage => {
            let version = ["V2", "V3"][nth(2)?].to_owned();
            // Every second one is the same in every byte.
            let artifact = format!("{:064x}", account * 16 + pick % 2 * 7);
            StrangeDeed::CreatePackage { kind, version, artifact }
        }
        Whim::OtherPackage => {
            let artifact = format!("{pick:064x}");
            StrangeDeed::CreatePackage { kind, version: format!("T{}", pick % 100), artifact }
        }
        Whim::Job | Whim::JobLikeOurs => {
            let name = if matches!(whim, Whim::Job) {
                format!("somebody_elses_{pick}")
            } else {
                format!("rw_theirs_{pick:016x}")
            };
            let firmware = packages.iter().filter(|package| package.kind == kind).collect::<Vec<_>>();
            let package = firmware.get(nth(firmware.len())?)?.id.clone();
            let devices = (0..3).map(|n| super::scenario::device(account, pick % 3 + n)).collect();
            StrangeDeed::CreateJob { name, kind, package, devices }
        }
        Whim::StopsJob => StrangeDeed::StopJob { id: jobs.get(nth(jobs.len())?)?.id.clone() },
        Whim::DeletesJob => StrangeDeed::DeleteJob { id: jobs.get(nth(jobs.len())?)?.id.clone() },
        Whim::DeletesPackage => {
            StrangeDeed::DeletePackage { id: packages.get(nth(packages.len())?)?.id.clone() }
        }
    })
}
