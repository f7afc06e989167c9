//! The one list of reasons that conditions, decisions and Events carry.

use std::fmt;

/// How an Event of a reason is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// Normal progress.
    Normal,
    /// A user should check it.
    Warning,
}

impl EventType {
    /// Its value in the `type` of a Kubernetes Event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $about:literal])+ $name:ident $(=> $event:ident)?;)+) => {
        /// The reason of a condition, a decision or an Event. The names are part of the interface: users filter and alert by them,
        /// and `docs/troubleshooting.md` has a section on each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $about])+ $name,)+
        }

        impl Reason {
            /// Every reason, by subject.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name, in CamelCase.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }

            /// What it means, as a sentence without a period.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $(Self::$name => concat!($($about),+).trim()),+ }
            }

            /// The type of the Event that is sent for it; none for reasons of conditions and decisions alone.
            #[must_use]
            pub const fn event(self) -> Option<EventType> {
                match self { $(Self::$name => reasons!(@event $($event)?)),+ }
            }
        }
    };
    (@event) => { None };
    (@event $event:ident) => { Some(EventType::$event) };
}

reasons! {
    // Accounts.
    /// `OtaCloud`: the account answers
    Connected;
    /// `OtaCloud`: the account answers again, or for the first time
    AccountReachable => Normal;
    /// `OtaCloud`: the account no longer answers, or refuses the credentials
    AccountUnreachable => Warning;
    /// The `OtaCloud` that `cloudRef` names does not exist
    AccountMissing;
    /// The `OtaCloud` that `cloudRef` names is invalid
    AccountInvalid;
    /// The `OtaCloud` was edited to refer to another account while packages or jobs are in the first one
    AccountReplaced;
    /// Another `OtaCloud` describes the same account already
    DuplicateAccount;
    /// The account does not allow the namespace of this object
    NamespaceNotAllowed;
    /// The Secret that the `OtaCloud` names does not exist, or lacks a key
    SecretMissing;
    /// The package of the rollout moved to another account; its jobs in the first one are over
    AccountChanged;
    /// The account with jobs of the rollout no longer exists
    AccountGone;
    /// The account does not answer, so nothing can be observed
    CloudUnreachable;

    // Answers of a cloud.
    /// The cloud refuses a request as invalid
    Invalid;
    /// The cloud refuses the credentials
    Unauthorized;
    /// The credentials may not do this in the cloud
    Forbidden;
    /// The cloud does not know something that a request names
    NotFound;
    /// The cloud refuses a request because of what it holds already
    Conflict;
    /// The cloud limits the rate of requests
    Throttled;
    /// The cloud does not answer, or answers with an error of its own
    Unavailable;
    /// The cloud answers with something that no document describes
    Unintelligible;
    /// Rollwave did not send a request: its time was over, or the process may no longer act
    NotSent;
    /// A request was refused for good, or a reference leads to nothing
    Refused => Warning;
    /// The outcome of a create is unknown: Rollwave searches for its result before it sends it again
    OutcomeUnknown => Warning;
    /// The outcome of a create is unknown, and no list can show any more whether it succeeded
    OutcomeUnresolved;

    // Packages.
    /// The account does not have the package, and Rollwave is creating it
    Creating;
    /// `OtaPackage`: the package was created in the cloud
    PackageCreated => Normal;
    /// The package in the cloud was created by Rollwave
    Created;
    /// `OtaPackage`: an equal package was in the cloud, and Rollwave manages it now
    PackageAdopted => Normal;
    /// The package in the cloud was there before, and equals the manifest
    Adopted;
    /// The cloud has a package of this version that Rollwave did not create, and `adoption` is `Never`
    AdoptionRefused;
    /// The package has to be uploaded in the cloud's portal
    AwaitingManualUpload;
    /// The portal has several packages of this version, and the manifest names none of them
    Ambiguous;
    /// What the cloud holds of the artifact is not known yet
    ArtifactUnknown;
    /// This process has no access to the files of the package
    FilesUnavailable;
    /// The cloud does not support what the manifest asks for
    NotSupported;
    /// A request of another package in the same account has no answer yet, so nothing is created
    CreateBlocked;
    /// The package in the cloud differs from the manifest
    Drifted;
    /// The package in the cloud differs from the manifest, and cannot be replaced now
    DriftBlocked;
    /// The package in the cloud differs from the manifest, and Rollwave did not create it
    DriftedNotOwned;
    /// The package in the cloud is being deleted, to be created again from the manifest
    Replacing;
    /// `OtaPackage`: the package in the cloud was missing or different, and was created again
    DriftCorrected => Normal;
    /// The package in the cloud matches the manifest, and is verified if required
    Ready;
    /// The package is being verified on its devices
    Verifying;
    /// The package passed its verification
    Verified;
    /// `OtaPackage`: the package passed its verification, or requires none
    PackageVerified => Normal;
    /// `OtaPackage`: the verification failed
    VerificationFailed => Warning;
    /// The cloud reports a state of the verification that does not say how it ended
    VerificationUnknown;
    /// Too few devices of the verification were observed before another verification took them on
    VerificationUnseen;
    /// The cloud verifies each package, and the manifest names no devices for that
    VerificationNeeded;
    /// The cloud does not know devices of the verification
    VerificationDevicesUnknown;
    /// Devices of the verification cannot take the package
    VerificationDevicesUnfit;
    /// The package cannot be deleted while rollouts still use it
    WaitingForRollouts;

    // Rollouts: before a stage is sent.
    /// The rollout is accepted, and `readyWhen` requires no more
    Accepted;
    /// The first stage passed, and `readyWhen` requires no more
    CanaryPassed;
    /// The cloud's jobs and devices are being read
    Observing;
    /// The `OtaPackage` that `packageRef` names does not exist
    PackageMissing;
    /// The `OtaPackage` that `packageRef` names is invalid
    PackageInvalid;
    /// The package is not ready, or not verified
    PackageNotReady;
    /// The targets name no device that the cloud knows
    NoDevices;
    /// No device of the targets may be sent the package
    NoneEligible;
    /// Another rollout for the same devices is their owner as much as this one: neither sends
    TargetsOverlap;
    /// Devices of the targets belong to another rollout
    OwnedElsewhere;
    /// Groups or tags of another rollout cannot be read, and it may own some of the devices
    OwnerUnknown;
    /// The new package has the version of the one before, so a run could not tell its devices apart
    SameVersion;
    /// Jobs of the run before have to end first
    StoppingPreviousJobs;
    /// `OtaRollout`: a run began, for another package or by request
    RunStarted => Normal;

    // Rollouts: stages.
    /// The stage waits until its devices are free, or a request has an answer
    DispatchBlocked;
    /// Too many external jobs have to be queried before the stage can be sent
    TooManyExternalJobs;
    /// The stage waits for its window, or for `notBefore`
    WindowClosed;
    /// The stage is released: its devices are fixed
    StageReleased;
    /// Jobs of the stage are being created
    StageDispatching;
    /// `OtaRollout`: the first job of a stage was created
    StageDispatched => Normal;
    /// The stage has fewer devices than its gates require
    StageTooSmall;
    /// The stage selects no device, and its gates pass on no others
    StageEmpty;
    /// The cloud does not know the devices that the stage names
    StageDevicesUnknown;
    /// The devices of the stage are upgrading
    StageRunning;
    /// The stage is sent again to devices that were stopped
    StageResumed;
    /// The stage is sent again to devices that failed, by request
    StageRetried;
    /// The devices of the stage have answered, and it is watched for its soak
    StageSoaking;
    /// `OtaRollout`: the stage passed
    StagePassed => Normal;
    /// More devices of a stage without gates failed than succeeded
    StageFailed;
    /// Devices of the stage did not answer before its deadline
    StageDeadline;
    /// No device of the stage exists any more
    NoDevicesLeft;
    /// A gate of the stage has not passed yet
    GateWaiting;
    /// `OtaRollout`: a gate failed
    GateFailed => Warning;
    /// `OtaRollout`: a gate has more failures than it allows, or is inconclusive although every device has answered
    GateInconclusive => Warning;
    /// `OtaRollout`: when the sample of a stage was frozen, one stratum had fewer outcomes or more failures than by chance
    StrataDiffer;
    /// `OtaRollout`: a stop rule fired
    StopRuleFired => Warning;
    /// A stop rule fired, a gate failed, or a stage is due, and the control group got worse too: something else than the package
    /// may be wrong
    SharedOutageSuspected => Warning;
    /// No stop rule fired, and no gate failed
    NoStop;
    /// A stop rule with the action `Abort` fired
    Aborted;

    // Rollouts: jobs.
    /// The cloud no longer lists a job of the rollout
    JobVanished;
    /// A job of the rollout was stopped outside of Rollwave
    JobStopped;
    /// The cloud reports a state of a job that Rollwave does not know
    JobStateUnknown;
    /// The devices of a job cannot be read
    JobDevicesUnknown;
    /// More jobs in the cloud look exactly like one of this rollout, and no request stops a job of this cloud
    DuplicateJob;
    /// `OtaRollout`: another instance of Rollwave with a state of its own sends to the same devices
    AnotherInstance => Warning;

    // Rollouts: edits and requests.
    /// Stages that were sent were removed, renamed or reordered
    StagesChanged;
    /// `OtaRollout`: `select` of a stage was edited after its devices were sent
    SelectNotFollowed => Warning;
    /// `OtaRollout`: an edit removed stages, gates or stop rules of a rollout that is under way
    SafeguardsRemoved => Warning;
    /// `OtaRollout`: `spec.suspend` pauses it
    Suspended => Normal;
    /// `OtaRollout`: a request pauses it
    Paused => Normal;
    /// `OtaRollout`: it continues
    Resumed => Normal;
    /// `OtaRollout`, `OtaPackage`: what failed is retried, by request
    RetryTaken => Normal;
    /// `OtaRollout`, `OtaPackage`: a retry request is refused
    RetryRefused => Warning;
    /// `OtaRollout`: a request for a new run is refused
    RestartRefused => Warning;

    // Rollouts: the end.
    /// Every stage passed
    Completed;
    /// `OtaRollout`: every stage passed
    RolloutCompleted => Normal;
    /// Devices that became eligible late are sent the package
    FollowUp;
    /// Devices that became eligible late are not sent the package
    FollowUpBlocked;
    /// Devices went back to another version after the rollout was completed
    Reverted;

    // Any object.
    /// It is being deleted
    Deleting;
    /// Its deletion waits for a request of another object that has no answer yet
    DeletionBlocked;
    /// It is being deleted, and waits for something
    DeletionPending => Normal;
    /// Its jobs continue in the cloud after it was deleted
    JobsLeftRunning;
    /// It does not continue by itself; the message begins with the reason of the condition `Stalled`
    Held => Warning;
    /// It cannot be read, or cannot work in a cluster
    InvalidObject => Warning;
}

impl Reason {
    /// The reason of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }
}

impl PartialEq<Reason> for String {
    fn eq(&self, reason: &Reason) -> bool {
        self == reason.as_str()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_found_by_its_name_and_means_something() {
        for reason in Reason::ALL {
            assert_eq!(Reason::of(reason.as_str()), Some(*reason));
            assert!(reason.about().len() > 10 && !reason.about().ends_with('.'), "{reason:?}");
        }
    }
}
