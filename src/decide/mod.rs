//! Pure decisions: what to do next, given what is wanted, what was decided before, what was observed, and the time.
//!
//! **Invariant:** no I/O, no clock, no randomness, no hash-ordered container, and no errors but those reported in the
//! result. The same arguments give the same [`Plan`] on any machine; `tests/tidy` enforces this.
//!
//! The engine calls [`needs`] to learn what must be observed, observes it, and calls [`package::plan`] or
//! [`rollout::plan`].

mod busy;
pub mod clocks;
pub mod cohort;
pub mod confirm;
pub mod defaults;
pub mod explain;
pub mod keys;
pub mod needs;
pub mod ownership;
mod pace;
pub mod package;
pub mod preview;
pub mod rollout;
pub mod safeguards;
pub mod sets;
pub mod stage;
pub mod stats;
pub mod strata;
#[cfg(test)]
mod testing;
pub mod version_order;
pub mod window;

use crate::api::{Intent, OtaPackage, OtaRollout, time_text};
use crate::cloud::{Capabilities, Device, DeviceResult, Job, NewJob, NewPackage, Package};
use jiff::{SignedDuration, Timestamp};
use sets::Sets;
use std::collections::BTreeMap;

/// An observation, and when it began: everything that happened before `at` is in it (less the cloud's lag).
#[derive(Clone, Debug, PartialEq)]
pub struct Seen<T> {
    /// When the observation began.
    pub at: Timestamp,
    /// What was observed.
    pub value: T,
}

/// The input of a decision about a package.
#[derive(Clone, Debug)]
pub struct PackageView<'a> {
    /// Spec and last status.
    pub object: &'a OtaPackage,
    /// What this cloud can do.
    pub capabilities: &'a Capabilities,
    /// The cloud's packages of the same natural key, oldest first, with their artifacts; none: not observed yet.
    pub packages: Option<Seen<Vec<Package>>>,
    /// The cloud's jobs of the same kind that send one of these packages, or carry one of our idempotency keys.
    pub jobs: Option<Seen<Vec<&'a Job>>>,
    /// The devices that `verification` names, as far as they are registered in the cloud.
    pub devices: Option<Seen<BTreeMap<String, Device>>>,
    /// Failed devices of the verify job, and what external jobs report of queried devices; by job id.
    pub results: BTreeMap<String, Vec<DeviceResult>>,
    /// External jobs that may hold the devices of the next job, when they are too many to be queried
    /// ([`needs::within_limit`]); 0 otherwise.
    pub unasked_jobs: usize,
    /// The current time.
    pub now: Timestamp,
}

/// The input of a decision about a rollout.
#[derive(Clone, Debug)]
pub struct RolloutView<'a> {
    /// Spec and last status.
    pub object: &'a OtaRollout,
    /// The package with its status; none when there is no such object, or it is invalid.
    pub package: Option<&'a OtaPackage>,
    /// The package exists, and is invalid.
    pub package_is_invalid: bool,
    /// The package that its jobs send, when the spec names none that exists: they are still judged.
    pub package_of_run: Option<&'a OtaPackage>,
    /// What this cloud can do; none when the cloud cannot be reached through its `OtaCloud`.
    pub capabilities: Option<&'a Capabilities>,
    /// The devices of the targets; none: not observed yet.
    pub fleet: Option<Seen<Fleet<'a>>>,
    /// The cloud's jobs of either kind; none: not observed yet.
    pub jobs: Option<Seen<Vec<&'a Job>>>,
    /// Failed devices of our jobs, and what external jobs report of queried devices; by job id.
    pub results: BTreeMap<String, Vec<DeviceResult>>,
    /// External jobs that may hold the devices of the next job, when they are too many to be queried
    /// ([`needs::within_limit`]); 0 otherwise.
    pub unasked_jobs: usize,
    /// Why the account lets this namespace create nothing; none when it does.
    pub refusal: Option<String>,
    /// The other rollouts of the account, with their packages.
    pub rivals: Vec<ownership::Rival<'a>>,
    /// The current time.
    pub now: Timestamp,
    /// What the time is based on.
    pub clocks: clocks::Clocks,
}

/// The devices of a product, and which of them are targeted.
#[derive(Clone, Debug)]
pub struct Fleet<'a> {
    /// Every device of the product, by id.
    pub devices: &'a BTreeMap<String, Device>,
    /// The sets of devices that targets and stages name.
    pub sets: Sets<'a>,
    /// What `order.stratifyBy` divides devices by, beside their version.
    pub labels: Labels,
}

/// Groups and values of tags, by property (`group`, `tag:KEY`) and device.
pub type Labels = BTreeMap<String, BTreeMap<String, String>>;

/// A decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<S> {
    /// The new status, complete: conditions, message, counts, decisions.
    pub status: S,
    /// What to do, in this order. After the first create the engine observes and plans again.
    pub actions: Vec<Action>,
    /// When to reconcile again if nothing happens.
    pub requeue: Requeue,
}

/// A change in the cloud.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create the package. Goes through the journal.
    CreatePackage {
        /// Idempotency key of the attempt.
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
    /// Delete a stopped job of ours.
    DeleteJob {
        /// Cloud's id.
        id: String,
    },
    /// Nothing is left to do for an object that is being deleted: remove it.
    Release,
}

/// When to reconcile again if nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// At the account's drift interval.
    AtDriftInterval,
    /// After this long, or at the drift interval when that is sooner.
    After(SignedDuration),
}

/// How often running jobs are polled.
pub const POLL: SignedDuration = SignedDuration::from_secs(30);

/// A request whose outcome can no longer be found out, for the beginning of a message.
fn lost_call(call: &Intent) -> String {
    let what =
        call.stage.as_ref().map_or_else(|| "verification".to_owned(), |stage| format!("stage {stage}"));
    format!(
        "nothing is sent: the outcome of the request for the job of {what} (idempotency key {}), sent at {}, is unknown, and package {} was deleted in the cloud since, so the job cannot be found even if it runs",
        call.token,
        time_text(call.at),
        call.package_id.as_deref().unwrap_or_default()
    )
}
