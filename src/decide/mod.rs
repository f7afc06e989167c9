//! The pure judge: what to do next, given what is wanted, what was decided before, what was seen, and the time.
//!
//! **Invariant:** no I/O, no clock, no randomness, no hash-ordered container, nothing that can fail except by saying so
//! in its result. The same arguments give the same [`Plan`] on any machine; `tests/tidy.rs` holds that line.
//!
//! The engine asks [`needs`] what must be looked at, looks, and calls [`package::plan`] or [`rollout::plan`].

mod busy;
pub mod clocks;
pub mod cohort;
pub mod confirm;
pub mod explain;
pub mod gate;
pub mod keys;
pub mod needs;
pub mod ownership;
pub mod package;
pub mod preview;
pub mod rollout;
pub mod safeguards;
pub mod stage;
pub mod stop;
#[cfg(test)]
mod testing;
pub mod version_order;
pub mod wilson;
pub mod window;

use crate::api::{Intent, OtaPackage, OtaRollout, time_text};
use crate::cloud::{Capabilities, Device, DeviceResult, Job, NewJob, NewPackage, Package};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What was seen, and when the look began: everything that happened before `at` is in it (less the cloud's lag).
#[derive(Clone, Debug, PartialEq)]
pub struct Seen<T> {
    /// When the look began.
    pub at: Timestamp,
    /// What was seen.
    pub value: T,
}

/// Everything that the judge may look at for a package.
#[derive(Clone, Debug)]
pub struct PackageView<'a> {
    /// Spec and last status.
    pub object: &'a OtaPackage,
    /// What this cloud can do.
    pub capabilities: &'a Capabilities,
    /// The cloud's packages of the same natural key, oldest first, with their artifacts; none: not looked yet.
    pub packages: Option<Seen<Vec<Package>>>,
    /// The cloud's jobs of the same kind that point at one of these packages, or carry one of our tokens.
    pub jobs: Option<Seen<Vec<&'a Job>>>,
    /// The devices that `verification` names, as far as the cloud knows them.
    pub devices: Option<Seen<BTreeMap<String, Device>>>,
    /// Failed devices of the verify job, and what jobs of somebody else said of devices that they were asked for; by job id.
    pub results: BTreeMap<String, Vec<DeviceResult>>,
    /// External jobs that may hold the devices that are sent next, when they are too many to be queried
    /// ([`needs::within_limit`]); 0 otherwise.
    pub unasked_jobs: usize,
    /// The time.
    pub now: Timestamp,
}

/// Everything that the judge may look at for a rollout.
#[derive(Clone, Debug)]
pub struct RolloutView<'a> {
    /// Spec and last status.
    pub object: &'a OtaRollout,
    /// The package with its status; none when there is no such object, or it cannot be understood.
    pub package: Option<&'a OtaPackage>,
    /// The package is there, and cannot be understood.
    pub package_is_invalid: bool,
    /// The package that its jobs send, when the spec names none that is there: they are still judged.
    pub package_of_run: Option<&'a OtaPackage>,
    /// What this cloud can do; none when the cloud cannot be reached through its `OtaCloud`.
    pub capabilities: Option<&'a Capabilities>,
    /// The devices that the targets mean; none: not looked yet.
    pub fleet: Option<Seen<Fleet<'a>>>,
    /// The cloud's jobs of either kind; none: not looked yet.
    pub jobs: Option<Seen<Vec<&'a Job>>>,
    /// Failed devices of our jobs, and what jobs of somebody else said of devices that they were asked for; by job id.
    pub results: BTreeMap<String, Vec<DeviceResult>>,
    /// External jobs that may hold the devices that are sent next, when they are too many to be queried
    /// ([`needs::within_limit`]); 0 otherwise.
    pub unasked_jobs: usize,
    /// Why the account lets this namespace create nothing; none when it does.
    pub refusal: Option<String>,
    /// The other rollouts of the account, with their packages.
    pub rivals: Vec<ownership::Rival<'a>>,
    /// The time.
    pub now: Timestamp,
    /// What the time stands on.
    pub clocks: clocks::Clocks,
}

/// The devices of a product, and which of them the targets mean.
#[derive(Clone, Debug)]
pub struct Fleet<'a> {
    /// Every device of the product, by id.
    pub devices: &'a BTreeMap<String, Device>,
    /// Ids that groups or tags resolve to; none when the targets name no groups or tags.
    pub members: Option<BTreeSet<String>>,
}

/// What the judge decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<S> {
    /// The new status, complete: conditions, message, counts, decisions.
    pub status: S,
    /// What to do, in this order. After the first creating action the engine looks and plans again.
    pub actions: Vec<Action>,
    /// When to look again if nothing happens.
    pub requeue: Requeue,
}

/// Something to be done to the cloud.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create the package. Goes through the journal.
    CreatePackage {
        /// Identity of the attempt.
        token: String,
        /// The package.
        package: NewPackage,
    },
    /// Delete the package of this id.
    DeletePackage {
        /// Cloud's id.
        id: String,
    },
    /// Create a job. Goes through the journal under `job.token`.
    CreateJob {
        /// Stage of the rollout; none for a verify job.
        stage: Option<String>,
        /// The job.
        job: NewJob,
    },
    /// Stop what has not finished in a job.
    StopJob {
        /// Cloud's id.
        id: String,
    },
    /// Delete a job of ours that was stopped.
    DeleteJob {
        /// Cloud's id.
        id: String,
    },
    /// Nothing of the object is left to do: let it go (it is being deleted).
    Release,
}

/// When to look again if nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// At the account's drift interval.
    AtDriftInterval,
    /// After this long, or at the drift interval when that is sooner.
    After(SignedDuration),
}

/// How often running jobs are looked at.
pub const POLL: SignedDuration = SignedDuration::from_secs(30);

/// A call that nothing can tell of any more, for the beginning of a sentence.
fn lost_call(call: &Intent) -> String {
    let what =
        call.stage.as_ref().map_or_else(|| "verification".to_owned(), |stage| format!("stage {stage}"));
    format!(
        "nothing is sent: the job of {what} ({}) was asked for at {}, the answer was lost, and somebody has deleted package {} \
         since, under which alone it would be listed; it may run or not",
        call.token,
        time_text(call.at),
        call.package_id.as_deref().unwrap_or_default()
    )
}
