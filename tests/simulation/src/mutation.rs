//! One safeguard switched off, so that the checkers can be seen to fail. A mutant is made at the ports: the engine is the
//! real one in every world.

use super::asked::FIRST_OF_REQUESTS;
use super::broken::FIRST_OF_BROKEN;
use super::checkers::FIRST_OF_INTENT;
use super::cluster::FIRST_OF_SECRETS;
use super::control::FIRST_OF_CONTROL;
use super::deadlines::FIRST_OF_DEADLINES;
use super::defaults::FIRST_OF_DEFAULTS;
use super::home::FIRST_OF_DATES;
use super::pace::FIRST_OF_PACE;
use super::{Home, Law};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{
    Budget, Deadline, LocalRef, Object, ObjectKey, Order, OtaRollout, Period, READY, Request, StageCounts,
    find_condition,
};
use rollwave::cloud::{
    Call, CallError, Capabilities, Cloud, Device, ErrorClass, Job, JobState, PackageKind, PackageRow, Reply,
    WireRequest,
};
use rollwave::state::{StateError, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

/// While an account passes for one that is out of reach.
const OUTAGE: SignedDuration = SignedDuration::from_mins(10);

/// A safeguard that is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A write is acknowledged before it is durable.
    JournalNotDurable,
    /// A look never finds what is ours.
    NoLook,
    /// Nobody waits until a lost request must have had its effect, and be visible.
    NoWait,
    /// Who is in a stage is drawn anew at every look.
    UnstickyCohort,
    /// An instance that does not lead any more writes, and sends.
    StaleLeaderNotFenced,
    /// A device whose job succeeded passes for one that reports the version.
    JobSuccessCounts,
    /// Every object has a budget of its own.
    BudgetPerObject,
    /// A list ends where as many rows were read as the cloud counts, with whatever is still to come.
    CountEndsList,
    /// Stages are sent at any time.
    NoWindows,
    /// A stage passes without its soak.
    NoSoak,
    /// A stage passes an hour after its soak.
    LateSoak,
    /// A pause is noted, and nothing stands still.
    PauseNotHeeded,
    /// It is forgotten that a request to try again was handled.
    RetryForgotten,
    /// A write to the API server has no resource version as its precondition.
    NoPrecondition,
    /// Nobody asks for the Lease before a call that changes something.
    LeaseNotChecked,
    /// What a watch told last is believed, whatever was written since.
    StaleCache,
    /// The package that a rollout named first is the one that it names for ever.
    PackageRemembered,
    /// The list of devices that are never touched is not read.
    ExclusionIgnored,
    /// Each rollout takes itself for the owner of all devices that it targets.
    OwnershipIgnored,
    /// Batches are sent together.
    BatchesIgnored,
    /// Devices are sent as fast as the cloud takes them.
    PaceIgnored,
    /// Devices are not divided into strata.
    StrataIgnored,
    /// Gates are not asked.
    GatesIgnored,
    /// Failures that were counted before are forgotten.
    FailuresForgotten,
    /// Stop rules are not watched.
    StopRulesIgnored,
    /// One request that fails passes for an outage of the account.
    FailureIsOutage,
    /// Neither the deadlines of stages nor the timeouts of deliveries are read.
    DeadlinesIgnored,
    /// `spec.suspend` is not read.
    SuspendIgnored,
    /// Jobs of firmware are not seen, those of other rollouts among them.
    OthersNotSeen,
    /// Each process begins a soak again.
    SoakForgotten,
    /// It is forgotten which comparisons with a control group were made.
    ComparisonsForgotten,
    /// Nothing keeps a Secret that an account needs.
    SecretNotKept,
    /// A refusal of the account is told with two texts by turns.
    TextsByTurns,
}

impl Mutation {
    /// Every mutant.
    pub const ALL: [Self; 33] = [
        Self::JournalNotDurable,
        Self::NoLook,
        Self::NoWait,
        Self::UnstickyCohort,
        Self::StaleLeaderNotFenced,
        Self::JobSuccessCounts,
        Self::BudgetPerObject,
        Self::CountEndsList,
        Self::NoWindows,
        Self::NoSoak,
        Self::LateSoak,
        Self::PauseNotHeeded,
        Self::RetryForgotten,
        Self::NoPrecondition,
        Self::LeaseNotChecked,
        Self::StaleCache,
        Self::PackageRemembered,
        Self::ExclusionIgnored,
        Self::OwnershipIgnored,
        Self::BatchesIgnored,
        Self::PaceIgnored,
        Self::StrataIgnored,
        Self::GatesIgnored,
        Self::FailuresForgotten,
        Self::StopRulesIgnored,
        Self::FailureIsOutage,
        Self::DeadlinesIgnored,
        Self::SuspendIgnored,
        Self::OthersNotSeen,
        Self::SoakForgotten,
        Self::ComparisonsForgotten,
        Self::SecretNotKept,
        Self::TextsByTurns,
    ];

    /// The law of intent that must notice it; none when another law does.
    #[must_use]
    pub const fn breaks(self) -> Option<Law> {
        Some(match self {
            Self::PackageRemembered => Law::Reached,
            Self::ExclusionIgnored | Self::OwnershipIgnored => Law::Selected,
            Self::GatesIgnored => Law::Gates,
            Self::FailuresForgotten => Law::Failures,
            Self::StopRulesIgnored => Law::StopRules,
            Self::FailureIsOutage => Law::Delays,
            Self::DeadlinesIgnored => Law::Deadlines,
            Self::SuspendIgnored => Law::Holds,
            Self::OthersNotSeen => Law::Overlap,
            Self::SoakForgotten => Law::ShortLives,
            Self::ComparisonsForgotten => Law::Control,
            Self::PaceIgnored => Law::Pace,
            _ => return None,
        })
    }

    /// The home that has the safeguard, where not both have.
    #[must_use]
    pub const fn home(self) -> Option<Home> {
        match self {
            Self::NoPrecondition | Self::LeaseNotChecked | Self::StaleCache | Self::SecretNotKept => {
                Some(Home::Kubernetes)
            }
            Self::JournalNotDurable
            | Self::StaleLeaderNotFenced
            | Self::PauseNotHeeded
            | Self::RetryForgotten
            | Self::SoakForgotten => Some(Home::Local),
            _ => None,
        }
    }

    /// The first seed whose worlds have what the safeguard is against.
    #[must_use]
    pub const fn first_seed(self) -> u64 {
        match self {
            Self::PauseNotHeeded | Self::RetryForgotten => FIRST_OF_REQUESTS,
            Self::FailureIsOutage => FIRST_OF_BROKEN,
            Self::DeadlinesIgnored => FIRST_OF_DEADLINES,
            Self::BatchesIgnored => FIRST_OF_DEFAULTS,
            Self::ComparisonsForgotten | Self::StrataIgnored => FIRST_OF_CONTROL,
            Self::PaceIgnored => FIRST_OF_PACE,
            Self::SecretNotKept => FIRST_OF_SECRETS,
            Self::TextsByTurns => FIRST_OF_DATES,
            _ if self.breaks().is_some() => FIRST_OF_INTENT,
            // A list must get shorter between two of its pages, right after a create whose answer is lost: one world in hundreds.
            Self::CountEndsList => 300,
            _ => 0,
        }
    }

    /// Name of the profile in whose weather the safeguard is needed.
    #[must_use]
    pub const fn weather(self) -> &'static str {
        match self {
            Self::StaleLeaderNotFenced | Self::LeaseNotChecked => "restless",
            Self::CountEndsList => "thronged",
            Self::NoWindows => "punctual",
            Self::SecretNotKept => "crashing",
            Self::JobSuccessCounts
            | Self::BudgetPerObject
            | Self::NoSoak
            | Self::LateSoak
            | Self::PauseNotHeeded
            | Self::RetryForgotten
            | Self::StrataIgnored
            | Self::BatchesIgnored => "calm",
            Self::FailuresForgotten => "crowded",
            Self::DeadlinesIgnored => "drowsy",
            _ if self.breaks().is_some() => "calm",
            _ => "storm",
        }
    }

    /// The cloud as a mutant sees it.
    pub(super) fn of(self, cloud: Arc<dyn Cloud>) -> Arc<dyn Cloud> {
        let mut capabilities = cloud.capabilities().clone();
        if self == Self::NoWait {
            capabilities.visibility_lag = SignedDuration::ZERO;
            capabilities.request_deadline = SignedDuration::ZERO;
            capabilities.package_deadline = SignedDuration::ZERO;
        }
        let (believed, down_until) = (Mutex::default(), Mutex::default());
        Arc::new(Mutant { mutation: self, cloud, capabilities, believed, down_until })
    }

    /// The state as a mutant sees it.
    pub(super) fn of_store(self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        match self {
            Self::UnstickyCohort
            | Self::BudgetPerObject
            | Self::NoWindows
            | Self::NoSoak
            | Self::LateSoak
            | Self::PauseNotHeeded
            | Self::RetryForgotten
            | Self::PackageRemembered
            | Self::ExclusionIgnored
            | Self::OwnershipIgnored
            | Self::BatchesIgnored
            | Self::PaceIgnored
            | Self::StrataIgnored
            | Self::GatesIgnored
            | Self::FailuresForgotten
            | Self::StopRulesIgnored
            | Self::DeadlinesIgnored
            | Self::SuspendIgnored
            | Self::SoakForgotten
            | Self::ComparisonsForgotten
            | Self::TextsByTurns => {
                let (loads, packages, saved) = (AtomicU64::new(0), Mutex::default(), Mutex::default());
                Arc::new(MutantStore { mutation: self, store, loads, packages, saved })
            }
            _ => store,
        }
    }
}

/// Specs that say something else than what is stored; what is saved goes into what is stored.
struct MutantStore {
    mutation: Mutation,
    store: Arc<dyn Store>,
    loads: AtomicU64,
    /// The package that a rollout named first.
    packages: Mutex<BTreeMap<ObjectKey, LocalRef>>,
    /// What this process has written.
    saved: Mutex<BTreeSet<ObjectKey>>,
}

impl MutantStore {
    fn change_rollout(&self, key: ObjectKey, rollout: &mut OtaRollout) {
        let (spec, status) = (&mut rollout.spec, &mut rollout.status);
        let stages = status.iter_mut().flat_map(|status| &mut status.stages);
        match self.mutation {
            Mutation::PackageRemembered => {
                let mut packages = super::lock(&self.packages);
                spec.package_ref = packages.entry(key).or_insert_with(|| spec.package_ref.clone()).clone();
            }
            Mutation::ExclusionIgnored => spec.targets.exclude = None,
            // Whoever is judged is read first, and its rivals after that.
            Mutation::OwnershipIgnored => {
                let loads = self.loads.fetch_add(1, Ordering::Relaxed);
                spec.priority = i32::try_from(loads).map_or(i32::MIN, i32::saturating_neg);
            }
            Mutation::GatesIgnored => spec.stages.iter_mut().for_each(|stage| stage.gates = Some(Vec::new())),
            Mutation::FailuresForgotten => {
                stages.for_each(|stage| stage.counts = without_failures(stage.counts));
            }
            Mutation::StopRulesIgnored => spec.stop = Some(Vec::new()),
            Mutation::PaceIgnored => spec.delivery.iter_mut().for_each(|delivery| {
                (delivery.rate_per_minute, delivery.max_in_flight) = (None, None);
            }),
            Mutation::StrataIgnored => {
                spec.order.iter_mut().for_each(|order| order.stratify_by.clear());
            }
            Mutation::BatchesIgnored => spec.stages.iter_mut().for_each(|stage| stage.batch = None),
            Mutation::DeadlinesIgnored => {
                let deadline = Deadline { after: Some(Period::hours(24 * 365)), then: None };
                spec.stages.iter_mut().for_each(|stage| stage.deadline = Some(deadline));
                spec.delivery.iter_mut().for_each(|delivery| delivery.timeout = None);
            }
            Mutation::SuspendIgnored => spec.suspend = false,
            Mutation::ComparisonsForgotten => {
                stages.filter_map(|stage| stage.control.as_mut()).for_each(|group| group.comparisons = 0);
            }
            Mutation::SoakForgotten if !super::lock(&self.saved).contains(&key) => {
                stages.for_each(|stage| (stage.observed_at, stage.observed_cloud_at) = (None, None));
            }
            _ => {}
        }
    }

    async fn changed(&self, object: &Object) -> Result<Object, StateError> {
        let (mut object, key) = (object.clone(), object.key());
        match (&mut object, self.mutation) {
            (Object::Rollout(rollout), Mutation::UnstickyCohort) => {
                let loads = self.loads.fetch_add(1, Ordering::Relaxed);
                rollout.spec.order = Some(Order { seed: Some(loads.to_string()), ..Order::default() });
            }
            (Object::Rollout(rollout), Mutation::NoWindows) => {
                for stage in &mut rollout.spec.stages {
                    (stage.not_before, stage.windows) = (None, Vec::new());
                }
            }
            (Object::Rollout(rollout), Mutation::NoSoak) => {
                rollout.spec.stages.iter_mut().for_each(|stage| stage.soak = None);
            }
            (Object::Rollout(rollout), Mutation::LateSoak) => {
                for soak in rollout.spec.stages.iter_mut().filter_map(|stage| stage.soak.as_mut()) {
                    *soak = Period::seconds(soak.as_secs() + 3600);
                }
            }
            (Object::Rollout(rollout), Mutation::PauseNotHeeded) => {
                let annotations = rollout.metadata.annotations.iter_mut();
                annotations.for_each(|all| drop(all.remove(Request::Pause.annotation())));
                rollout.status.iter_mut().for_each(|status| status.paused_at = None);
            }
            (Object::Rollout(rollout), Mutation::RetryForgotten) => {
                rollout.status.iter_mut().for_each(|status| status.last_handled_retry_at = None);
            }
            (Object::Rollout(rollout), _) => self.change_rollout(key, rollout),
            (Object::Cloud(cloud), Mutation::BudgetPerObject) => {
                let objects = u32::try_from(self.store.keys().await?.len()).unwrap_or(1);
                let (kind, _) = super::clouds::account_of(cloud);
                let (requests_per_second, burst) = super::clouds::side(kind).default_budget();
                let one = cloud.spec.budget.unwrap_or(Budget { requests_per_second, burst });
                cloud.spec.budget = Some(Budget {
                    requests_per_second: one.requests_per_second * objects,
                    burst: one.burst * objects,
                });
            }
            _ => {}
        }
        Ok(object)
    }
}

/// A refusal gets another text than the one that is stored, whatever the engine wrote.
fn tell_by_turns(object: &mut Object, stored: Option<&Object>) {
    let ready = find_condition(object.conditions(), READY);
    if ready.is_none_or(|ready| ready.reason != "Unauthorized") {
        return;
    }
    let message = match object {
        Object::Cloud(cloud) => cloud.status.as_mut().map(|status| &mut status.message),
        Object::Package(package) => package.status.as_mut().map(|status| &mut status.message),
        Object::Rollout(rollout) => rollout.status.as_mut().map(|status| &mut status.message),
    };
    let [one, two] = ["one text", "another text"];
    let is_one = stored.is_some_and(|stored| stored.message() == one);
    if let Some(message) = message {
        (if is_one { two } else { one }).clone_into(message);
    }
}

#[async_trait]
impl Store for MutantStore {
    async fn load(&self, key: &ObjectKey) -> Result<Option<Arc<Object>>, StateError> {
        match self.store.load(key).await? {
            Some(object) => Ok(Some(Arc::new(self.changed(&object).await?))),
            None => Ok(None),
        }
    }

    async fn refresh(&self, key: &ObjectKey) -> Result<(), StateError> {
        self.store.refresh(key).await
    }

    async fn keys(&self) -> Result<Vec<ObjectKey>, StateError> {
        self.store.keys().await
    }

    async fn save_status(&self, object: &Object) -> Result<(), StateError> {
        let stored = self.store.load(&object.key()).await?;
        super::lock(&self.saved).insert(object.key());
        let mut saved = object.clone();
        match (&mut saved, stored.as_deref()) {
            (Object::Rollout(saved), Some(Object::Rollout(stored))) => {
                saved.spec = stored.spec.clone();
                if let Some(asked) = Request::Pause.of(&stored.metadata)
                    && self.mutation == Mutation::PauseNotHeeded
                {
                    let status = saved.status.get_or_insert_default();
                    status.last_handled_pause_at = Some(asked.to_owned());
                    status.paused_at = asked.parse().ok();
                }
            }
            (Object::Cloud(saved), Some(Object::Cloud(stored))) => saved.spec = stored.spec.clone(),
            _ => {}
        }
        if self.mutation == Mutation::TextsByTurns {
            tell_by_turns(&mut saved, stored.as_deref());
        }
        self.store.save_status(&saved).await
    }

    async fn forget(&self, key: &ObjectKey) -> Result<(), StateError> {
        self.store.forget(key).await
    }
}

const fn without_failures(counts: StageCounts) -> StageCounts {
    StageCounts { failed: 0, timed_out: 0, reverted: 0, ..counts }
}

/// What a mutant believes of devices, because their job succeeded.
#[derive(Default)]
struct Believed {
    /// By id.
    packages: BTreeMap<String, (PackageKind, String)>,
    /// By device and kind.
    versions: BTreeMap<(String, PackageKind), String>,
}

impl Believed {
    fn package(&mut self, row: &PackageRow) {
        self.packages.insert(row.id.clone(), (row.key.kind, row.key.version.clone()));
    }

    fn job(&mut self, job: &Job) {
        let version = job.package_ids.iter().find_map(|id| self.packages.get(id));
        let Some((kind, version)) = version.filter(|_| job.state == JobState::Succeeded) else { return };
        for device in &job.devices {
            self.versions.insert((device.clone(), *kind), version.clone());
        }
    }

    fn device(&self, device: &mut Device) {
        let told = |kind| self.versions.get(&(device.id.clone(), kind)).cloned();
        let (firmware, software) = (told(PackageKind::Firmware), told(PackageKind::Software));
        device.firmware = firmware.or(device.firmware.take());
        device.software = software.or(device.software.take());
    }

    fn rewrite(&mut self, reply: &mut Reply) {
        match reply {
            Reply::Packages(page) => page.items.iter().for_each(|row| self.package(row)),
            Reply::Package(package) => self.package(&package.row),
            Reply::Jobs(page) => page.items.iter().for_each(|job| self.job(job)),
            Reply::Job(job) => self.job(job),
            Reply::Devices(page) => page.items.iter_mut().for_each(|device| self.device(device)),
            Reply::Device(device) => self.device(device),
            _ => {}
        }
    }
}

struct Mutant {
    mutation: Mutation,
    cloud: Arc<dyn Cloud>,
    capabilities: Capabilities,
    believed: Mutex<Believed>,
    /// The account passes for one that is out of reach.
    down_until: Mutex<Option<Timestamp>>,
}

impl Mutant {
    /// The account is out of reach, or is from now on.
    fn outage(&self, call: &Call, now: Timestamp, failed: bool) -> Option<CallError> {
        let mut until = super::lock(&self.down_until);
        if failed {
            *until = now.saturating_add(OUTAGE).ok();
        }
        let is_down = until.is_some_and(|until| now < until);
        is_down
            .then(|| CallError::new(ErrorClass::Unavailable, call.operation(), "the account is out of reach"))
    }
}

#[async_trait]
impl Cloud for Mutant {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn render(&self, call: &Call) -> Result<Vec<WireRequest>, CallError> {
        self.cloud.render(call)
    }

    fn take_time(&self) -> Option<Timestamp> {
        self.cloud.take_time()
    }

    async fn perform(&self, call: &Call, now: Timestamp) -> Result<Reply, CallError> {
        let is_spread = self.mutation == Mutation::FailureIsOutage;
        if let Some(error) = is_spread.then(|| self.outage(call, now, false)).flatten() {
            return Err(error);
        }
        let reply = self.cloud.perform(call, now).await;
        let has_failed = reply.as_ref().is_err_and(|error| error.class == ErrorClass::Unavailable);
        if let Some(error) = (is_spread && has_failed).then(|| self.outage(call, now, true)).flatten() {
            return Err(error);
        }
        let mut reply = reply?;
        match (self.mutation, &mut reply, call) {
            // Those of software stay, so that a device's firmware is all that two jobs meet at.
            (Mutation::OthersNotSeen, Reply::Jobs(page), _) => {
                page.items.retain(|job| job.token.is_none() || job.kind != PackageKind::Firmware);
            }
            (Mutation::OthersNotSeen, Reply::Devices(page), _) => {
                page.items.iter_mut().for_each(|device| device.upgrading = None);
            }
            (Mutation::OthersNotSeen, Reply::Device(device), _) => device.upgrading = None,
            (Mutation::NoLook, Reply::Jobs(page), _) => page.items.retain(|job| job.token.is_none()),
            (Mutation::NoLook, Reply::Packages(page), Call::ListPackages { exactly: Some(_), .. }) => {
                page.items.clear();
            }
            (Mutation::CountEndsList, Reply::Jobs(page), Call::ListJobs { cursor, .. })
                if page.total == Some(cursor.seen + page.items.len() as u64) =>
            {
                page.next = None;
            }
            (Mutation::JobSuccessCounts, reply, _) => super::lock(&self.believed).rewrite(reply),
            _ => {}
        }
        Ok(reply)
    }
}
