//! Observes what a decision needs: from the inventory where it is fresh enough, from the cloud otherwise.

use super::freshness::{Evidence, within};
use super::inventory::{DeviceSet, Inventory, Listed, SetName};
use super::journal;
use super::queue::Class;
use super::rivals::Rivals;
use super::subject::Subject as _;
use super::surroundings::Surroundings;
use super::uniqueness::recorded;
use super::worker::{Link, Trouble, Worker};
use crate::api::{IN_SYNC, OtaPackage, OtaPackageStatus, OtaRollout, condition_is_true};
use crate::cloud::{Capabilities, Device, DeviceResult, DeviceScope, Job, Package, PackageKey, PackageKind};
use crate::decide::clocks::Clocks;
use crate::decide::keys::rollout_mark;
use crate::decide::needs::{self, Need};
use crate::decide::{Fleet, POLL, PackageView, RolloutView, Seen};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// With more packages than this to observe for the first time, one list is read instead of one call each.
const LOOKS_WORTH_A_LIST: usize = 3;
/// Reading a fleet's versions may take one part in so many of the time while jobs run. The time that the last reading
/// took counts, so that neither a small budget nor a throttled one leads to a large fleet being read continuously.
const FLEET_SHARE: i32 = 4;
/// A job polled within this time is not polled again: a little less than the polling interval.
pub(super) const JUST_POLLED: SignedDuration = SignedDuration::from_secs(20);

/// What was observed for a package.
#[derive(Default)]
pub(super) struct PackageSight {
    packages: Option<Seen<Vec<Package>>>,
    jobs_at: Option<Timestamp>,
    devices: Option<Seen<BTreeMap<String, Device>>>,
    pub(super) results: BTreeMap<String, Vec<DeviceResult>>,
    /// External jobs that are too many to be queried.
    pub(super) unasked_jobs: usize,
}

/// What was observed for a rollout.
#[derive(Default)]
pub(super) struct RolloutSight {
    scope: Option<DeviceScope>,
    named: Option<Seen<BTreeMap<String, Device>>>,
    members: Option<BTreeSet<String>>,
    jobs_at: Option<Timestamp>,
    pub(super) results: BTreeMap<String, Vec<DeviceResult>>,
    /// External jobs that are too many to be queried.
    pub(super) unasked_jobs: usize,
    around: Surroundings,
    pub(super) rivals: Rivals,
}

impl PackageSight {
    pub(super) fn view<'a>(
        &self,
        object: &'a OtaPackage,
        capabilities: &'a Capabilities,
        inventory: &'a Inventory,
        now: Timestamp,
    ) -> PackageView<'a> {
        let jobs = self.jobs_at.map(|at| Seen { at, value: inventory.jobs.all().collect() });
        PackageView {
            object,
            capabilities,
            packages: self.packages.clone(),
            jobs,
            devices: self.devices.clone(),
            results: self.results.clone(),
            unasked_jobs: self.unasked_jobs,
            now,
        }
    }
}

impl RolloutSight {
    pub(super) fn view<'a>(
        &'a self,
        object: &'a OtaRollout,
        package: Option<&'a OtaPackage>,
        capabilities: Option<&'a Capabilities>,
        inventory: &'a Inventory,
        now: Timestamp,
        clocks: Clocks,
    ) -> RolloutView<'a> {
        let jobs = self.jobs_at.map(|at| Seen { at, value: inventory.jobs.all().collect() });
        let (fleet, results, rivals) = (self.fleet(inventory), self.results.clone(), self.rivals.seen());
        let (unasked_jobs, around) = (self.unasked_jobs, &self.around);
        RolloutView {
            object,
            package,
            package_is_invalid: around.package_is_invalid,
            package_of_run: around.package_of_run(),
            capabilities,
            fleet,
            jobs,
            results,
            unasked_jobs,
            refusal: around.refusal.clone(),
            rivals,
            now,
            clocks,
        }
    }

    fn fleet<'a>(&'a self, inventory: &'a Inventory) -> Option<Seen<Fleet<'a>>> {
        if let Some(named) = &self.named {
            let fleet = Fleet { devices: &named.value, members: self.members.clone() };
            return Some(Seen { at: named.at, value: fleet });
        }
        let (at, devices) = inventory.devices.of_product(self.scope.as_ref()?)?;
        Some(Seen { at, value: Fleet { devices, members: self.members.clone() } })
    }
}

impl Worker {
    pub(super) async fn observe_package(
        &mut self,
        object: &OtaPackage,
        evidence: Evidence,
        class: Class,
    ) -> Result<PackageSight, Trouble> {
        self.evidence = evidence;
        let verified = object.status.iter().flat_map(|status| &status.verification);
        let sent = object.intents().iter().map(|intent| &intent.token);
        self.own_keys = verified.map(|verification| &verification.token).chain(sent).cloned().collect();
        self.note_stops().await?;
        let drift = within(self.connect().await?.drift_interval);
        let mut sight = PackageSight::default();
        for need in needs::for_package(object) {
            match need {
                Need::Packages(key) => {
                    self.look_at_packages(object, &key, evidence, class).await?;
                    sight.packages = self.details_of(object, &key, class).await?;
                }
                Need::Jobs(kind) => {
                    let verify_job =
                        object.status.as_ref().and_then(|s| s.verification.as_ref()?.job_id.clone());
                    let ours: Vec<String> = verify_job.into_iter().collect();
                    let verified = object.status.iter().filter_map(|status| status.verification.as_ref());
                    let sent = verified.filter_map(|verification| verification.dispatched_at);
                    let evidence = evidence.max(self.uniqueness_due(sent));
                    self.look_at_all_jobs(kind, &ours, drift, evidence, class).await?;
                    let holders = self.possible_holders(object);
                    sight.jobs_at = self.look_at_all_jobs(kind, &holders, drift, evidence, class).await?;
                    self.inventory.jobs.recognise(object.status.iter().flat_map(|status| &status.pending));
                    sight.results = self.failures_of(&ours, class).await?;
                }
                Need::Devices(ids) => {
                    let verify_job =
                        object.status.as_ref().and_then(|s| s.verification.as_ref()?.job_id.clone());
                    let ours: Vec<String> = verify_job.into_iter().collect();
                    sight.devices =
                        match self.named_in_fleet(&ids, object, &ours, drift, evidence, class).await? {
                            Some(seen) => Some(seen),
                            None => Some(self.look_at_devices(&scope_of(object), &ids, class).await?),
                        };
                }
                Need::Fleet(_) | Need::Group(_) | Need::Tag { .. } => {}
            }
        }
        Ok(sight)
    }

    /// Jobs of a package that is or may have to be deleted: their current state shows whether they still use it.
    fn possible_holders(&self, object: &OtaPackage) -> Vec<String> {
        let in_sync = object.status.as_ref().is_some_and(|s| condition_is_true(&s.conditions, IN_SYNC));
        if in_sync && object.metadata.deletion_timestamp.is_none() {
            return Vec::new();
        }
        let id = object.status.as_ref().and_then(|status| status.package_id.as_ref());
        let is_of_it = |job: &&Job| id.is_some_and(|id| job.package_ids.contains(id));
        self.inventory.jobs.of(object.spec.kind).filter(is_of_it).map(|job| job.id.clone()).collect()
    }

    pub(super) async fn observe_rollout(
        &mut self,
        object: &OtaRollout,
        package: Option<&OtaPackage>,
        evidence: Evidence,
        class: Class,
    ) -> Result<RolloutSight, Trouble> {
        self.evidence = evidence;
        self.own_keys = vec![rollout_mark(object.metadata.uid.as_deref().unwrap_or_default())];
        self.note_stops().await?;
        let around = self.surroundings_of(object, package).await?;
        let mut sight = RolloutSight { around: around.clone(), ..RolloutSight::default() };
        let Some(package) = package.or_else(|| around.package_of_run()) else { return Ok(sight) };
        let drift = within(self.connect().await?.drift_interval);
        let mut ours: Vec<String> = object
            .status
            .iter()
            .flat_map(|s| &s.stages)
            .flat_map(|s| &s.jobs)
            .map(|job| job.id.clone())
            .collect();
        // Jobs come first: whether the fleet must be read again depends on whether they changed.
        let mut needs = needs::for_rollout(object, package);
        let is_judged = needs.iter().any(|need| matches!(need, Need::Devices(_) | Need::Fleet(_)));
        needs.sort_by_key(|need| !matches!(need, Need::Jobs(_)));
        for need in needs {
            match need {
                Need::Jobs(kind) => {
                    let due = self.uniqueness_due(recorded(object).filter_map(|job| job.created_at));
                    let evidence = evidence.max(due);
                    sight.jobs_at =
                        self.look_at_its_jobs(object, kind, &mut ours, drift, evidence, class).await?;
                    // A rollout that is deleted, or leaves the account, needs to know only which jobs still run.
                    if is_judged {
                        sight.results = self.failures_of(&ours, class).await?;
                    }
                }
                Need::Devices(mut ids) => {
                    // Devices of our jobs stay in their stages, whatever the targets select now.
                    ids.extend(self.devices_of_jobs(object, &ours));
                    ids.sort_unstable();
                    ids.dedup();
                    if ids.len() > needs::MAX_SINGLE_DEVICES {
                        let scope = scope_of(package);
                        self.look_at_fleet(&scope, &ours, drift, evidence, class).await?;
                        sight.scope = Some(scope);
                        continue;
                    }
                    sight.named =
                        match self.named_in_fleet(&ids, package, &ours, drift, evidence, class).await? {
                            Some(seen) => Some(seen),
                            None => Some(self.look_at_devices(&scope_of(package), &ids, class).await?),
                        };
                }
                Need::Fleet(scope) => {
                    self.look_at_fleet(&scope, &ours, drift, evidence, class).await?;
                    sight.scope = Some(scope);
                }
                Need::Group(_) | Need::Tag { .. } => {
                    self.look_at_members(need, package, &mut sight.members, class).await?;
                }
                Need::Packages(_) => {}
            }
        }
        if is_judged {
            sight.rivals = self.observe_rivals(object, package, class).await?;
        }
        Ok(sight)
    }

    /// Observes the jobs of a rollout, and adds to `ours` those that it has not recorded.
    async fn look_at_its_jobs(
        &mut self,
        object: &OtaRollout,
        kind: PackageKind,
        ours: &mut Vec<String>,
        drift: SignedDuration,
        evidence: Evidence,
        class: Class,
    ) -> Result<Option<Timestamp>, Trouble> {
        let seen_at = self.look_at_all_jobs(kind, ours, drift, evidence, class).await?;
        self.inventory.jobs.recognise(object.status.iter().flat_map(|status| &status.pending));
        let unrecorded = self.unrecorded_jobs(object, ours);
        if unrecorded.is_empty() {
            return Ok(seen_at);
        }
        ours.extend(unrecorded);
        self.look_at_all_jobs(kind, ours, drift, evidence, class).await
    }

    /// Devices named by the rollout's jobs: recorded ones, and those that carry its mark.
    fn devices_of_jobs(&self, rollout: &OtaRollout, recorded: &[String]) -> BTreeSet<String> {
        let mark = rollout_mark(rollout.metadata.uid.as_deref().unwrap_or_default());
        let is_marked = |job: &Job| job.token.as_ref().is_some_and(|token| token.starts_with(&mark));
        let of_rollout = self.inventory.jobs.all().filter(|job| recorded.contains(&job.id) || is_marked(job));
        of_rollout.flat_map(|job| job.devices.iter().cloned()).collect()
    }

    /// Reads a group or tag, and adds it to the members found so far.
    pub(super) async fn look_at_members(
        &mut self,
        need: Need,
        package: &OtaPackage,
        members: &mut Option<BTreeSet<String>>,
        class: Class,
    ) -> Result<(), Trouble> {
        let product = scope_of(package).product;
        let drift = within(self.connect().await?.drift_interval);
        match need {
            Need::Group(group) => {
                let set = DeviceSet { product, by: SetName::Group(group) };
                members.get_or_insert_default().extend(self.look_at_set(&set, drift, class).await?);
            }
            Need::Tag { key, values } => {
                let set = DeviceSet { product, by: SetName::Tag(key, values) };
                let with_tag = self.look_at_set(&set, drift, class).await?;
                *members = Some(match members.take() {
                    Some(members) => members.intersection(&with_tag).cloned().collect(),
                    None => with_tag,
                });
            }
            Need::Packages(_) | Need::Jobs(_) | Need::Devices(_) | Need::Fleet(_) => {}
        }
        Ok(())
    }

    /// When an observation must have begun to be no older than `age`. An observation of this reconcile always serves.
    pub(super) fn since(&self, age: SignedDuration) -> Timestamp {
        let by_age = self.ports.clock.now().saturating_sub(age).unwrap_or(Timestamp::MIN);
        by_age.min(self.began)
    }

    async fn look_at_packages(
        &mut self,
        object: &OtaPackage,
        key: &PackageKey,
        evidence: Evidence,
        class: Class,
    ) -> Result<(), Trouble> {
        let seen_at = self.inventory.packages.seen_at(key);
        let since = match evidence {
            Evidence::Known => Timestamp::MIN,
            Evidence::Since(since) => since,
        };
        if seen_at >= Some(since) {
            return Ok(());
        }
        let alone = object.is_in_doubt() || object.is_asked_to_look();
        let by_list = !alone && self.is_worth_a_list(key.kind, seen_at, class);
        let now = self.ports.clock.now();
        let Some(Link { account, .. }) = &mut self.link else { return Ok(()) };
        if !by_list {
            return Ok(self.inventory.packages.look(account, key, now, class).await?);
        }
        if !self.inventory.packages.list_step(account, key.kind, since, class).await? {
            return Err(Trouble::Yield);
        }
        Ok(())
    }

    /// True when more objects wait for an observation than a list of all packages has pages, so that one list serves
    /// them all. It must be read soon enough to serve the last of them. A request with unknown outcome is searched for
    /// on its own: a filter lags no more than a list, and no row can slip from one page to another.
    fn is_worth_a_list(&self, kind: PackageKind, seen_at: Option<Timestamp>, class: Class) -> bool {
        if seen_at.is_none() {
            return self.queue.len() > LOOKS_WORTH_A_LIST;
        }
        let waiting = self.queue.count_due(class);
        let last = self.inventory.packages.last_list(kind);
        last.is_some_and(|(calls, took)| calls <= waiting && took <= journal::FRESH / 4)
    }

    /// The packages of a natural key with their artifacts, oldest first.
    async fn details_of(
        &mut self,
        object: &OtaPackage,
        key: &PackageKey,
        class: Class,
    ) -> Result<Option<Seen<Vec<Package>>>, Trouble> {
        let Some((at, rows)) = self.inventory.packages.of(key) else { return Ok(None) };
        let found: Vec<Result<Package, String>> =
            rows.iter().map(|listed| compared_before(object, listed)).collect();
        // A list may lag behind: only the cloud's own "not found" proves that a package of ours was deleted.
        let recorded = object.status.as_ref().and_then(|status| status.package_id.clone());
        let unlisted = recorded.filter(|id| rows.iter().all(|listed| listed.row.id != *id)).map(Err);
        let since = self.since(JUST_POLLED);
        let Some(Link { account, .. }) = &mut self.link else { return Ok(None) };
        let mut packages = Vec::new();
        for package in found.into_iter().chain(unlisted) {
            match package {
                Ok(package) => packages.push(package),
                Err(id) => {
                    packages.extend(self.inventory.packages.detail(account, key, &id, since, class).await?);
                }
            }
        }
        Ok(Some(Seen { at, value: packages }))
    }

    /// A device takes one job at a time, firmware or software: both lists show which devices are busy.
    async fn look_at_all_jobs(
        &mut self,
        kind: PackageKind,
        ours: &[String],
        drift: SignedDuration,
        evidence: Evidence,
        class: Class,
    ) -> Result<Option<Timestamp>, Trouble> {
        let lists_software = self.capabilities().is_none_or(|limits| limits.lists_software);
        if kind.other() == PackageKind::Software && !lists_software {
            return self.look_at_jobs(kind, ours, drift, evidence, class).await;
        }
        let others = self.look_at_jobs(kind.other(), &[], drift, evidence, class).await?;
        Ok(self.look_at_jobs(kind, ours, drift, evidence, class).await?.min(others))
    }

    async fn look_at_jobs(
        &mut self,
        kind: PackageKind,
        ours: &[String],
        drift: SignedDuration,
        evidence: Evidence,
        class: Class,
    ) -> Result<Option<Timestamp>, Trouble> {
        let listed_since = match evidence {
            Evidence::Known => self.since(drift),
            // What a verdict waits for may have begun long ago.
            Evidence::Since(since) => since.max(self.since(drift)),
        };
        let polled_since = self.since(JUST_POLLED);
        let (slice, own_keys) = (self.slice, &self.own_keys);
        let is_own = |job: &Job| {
            let has_key = |token: &String| own_keys.iter().any(|own| token.starts_with(own.as_str()));
            ours.contains(&job.id) || job.token.as_ref().is_some_and(has_key)
        };
        let Some(Link { account, .. }) = &mut self.link else { return Ok(None) };
        let jobs = &mut self.inventory.jobs;
        if !jobs.list_step(account, kind, listed_since, class).await? {
            return Err(Trouble::Yield);
        }
        for id in ours {
            slice.check(account)?;
            if jobs.get(id).is_none_or(|job| !job.state.is_final()) || jobs.lacks_devices(id) {
                jobs.look(account, id, polled_since, class).await?;
            }
        }
        for id in jobs.without_details(kind, is_own, polled_since) {
            slice.check(account)?;
            match jobs.read_details(account, &id, polled_since, class).await {
                Ok(true) => {}
                Ok(false) => return Err(Trouble::Yield),
                Err(error) => {
                    let is_alone = error.class.may_concern_one_resource();
                    if is_alone {
                        jobs.note_unreadable(&id, account.now());
                    }
                    // The other object reports what cannot be read of its job. Which devices it holds stays unknown
                    // here.
                    if !is_alone || jobs.get(&id).is_some_and(is_own) {
                        return Err(error.into());
                    }
                }
            }
        }
        Ok(jobs.listed_at(kind))
    }

    async fn failures_of(
        &mut self,
        ours: &[String],
        class: Class,
    ) -> Result<BTreeMap<String, Vec<DeviceResult>>, Trouble> {
        let slice = self.slice;
        let Some(Link { account, .. }) = &mut self.link else { return Ok(BTreeMap::new()) };
        let jobs = &mut self.inventory.jobs;
        let mut results: BTreeMap<String, Vec<DeviceResult>> = BTreeMap::new();
        for id in ours {
            if let Some(known) = jobs.unfinished_devices(id) {
                results.insert(id.clone(), known.to_vec());
                continue;
            }
            for outcome in jobs.get(id).map(needs::outcomes_needed).unwrap_or_default() {
                slice.check(account)?;
                let found = jobs.results(account, id, outcome, class).await?.ok_or(Trouble::Yield)?;
                results.entry(id.clone()).or_default().extend(found);
            }
        }
        Ok(results)
    }

    /// Named devices from the list of their product, on a cloud without a call for single devices; none elsewhere.
    async fn named_in_fleet(
        &mut self,
        ids: &[String],
        package: &OtaPackage,
        ours: &[String],
        drift: SignedDuration,
        evidence: Evidence,
        class: Class,
    ) -> Result<Option<Seen<BTreeMap<String, Device>>>, Trouble> {
        if self.capabilities().is_none_or(|limits| limits.shows_devices) {
            return Ok(None);
        }
        let scope = scope_of(package);
        self.look_at_fleet(&scope, ours, drift, evidence, class).await?;
        let Some((at, fleet)) = self.inventory.devices.of_product(&scope) else { return Ok(None) };
        let named = ids.iter().filter_map(|id| Some((id.clone(), fleet.get(id)?.clone()))).collect();
        Ok(Some(Seen { at, value: named }))
    }

    async fn look_at_devices(
        &mut self,
        scope: &DeviceScope,
        ids: &[String],
        class: Class,
    ) -> Result<Seen<BTreeMap<String, Device>>, Trouble> {
        let (polled_since, mut devices) = (self.since(JUST_POLLED), BTreeMap::new());
        let (mut at, slice) = (self.ports.clock.now(), self.slice);
        if let Some(Link { account, .. }) = &mut self.link {
            for id in ids {
                slice.check(account)?;
                let device = self.inventory.devices.look(account, scope, id, polled_since, class).await?;
                devices.extend(device.map(|device| (id.clone(), device)));
                // A combined observation is as old as its oldest part.
                at = self.inventory.devices.seen_at(scope, id).map_or(at, |seen| seen.min(at));
            }
        }
        Ok(Seen { at, value: devices })
    }

    async fn look_at_set(
        &mut self,
        set: &DeviceSet,
        drift: SignedDuration,
        class: Class,
    ) -> Result<BTreeSet<String>, Trouble> {
        let since = self.since(drift);
        let Some(Link { account, .. }) = &mut self.link else { return Ok(BTreeSet::new()) };
        if !self.inventory.devices.members_step(account, set, since, class).await? {
            return Err(Trouble::Yield);
        }
        Ok(self.inventory.devices.members(set).cloned().unwrap_or_default())
    }

    /// Reads a product's devices when that can show something new: at the drift interval, before something is created,
    /// while jobs run as often as a share of the budget allows, and at once when the last of them has ended.
    async fn look_at_fleet(
        &mut self,
        scope: &DeviceScope,
        ours: &[String],
        drift: SignedDuration,
        evidence: Evidence,
        class: Class,
    ) -> Result<(), Trouble> {
        let by_jobs = self.fleet_since(scope, ours, drift);
        let since = if evidence == Evidence::Known { by_jobs } else { by_jobs.max(self.since(POLL)) };
        let Some(Link { account, .. }) = &mut self.link else { return Ok(()) };
        let complete = self.inventory.devices.list_step(account, scope, since, class).await?;
        if complete { Ok(()) } else { Err(Trouble::Yield) }
    }

    /// How new the observation of a fleet must be, given its jobs.
    fn fleet_since(&self, scope: &DeviceScope, ours: &[String], drift: SignedDuration) -> Timestamp {
        let (now, jobs) = (self.ports.clock.now(), &self.inventory.jobs);
        let seen_at = self.inventory.devices.of_product(scope).map(|(at, _)| at);
        let watching_interval = POLL.max(self.inventory.devices.time_to_read(scope) * FLEET_SHARE);
        let all_ended = ours.iter().all(|id| jobs.get(id).is_none_or(|job| job.state.is_final()));
        // An external job may hold devices that are waited for: only the devices show when it releases them.
        let is_waiting = all_ended && self.inventory.devices.has_upgrading(scope);
        let drift = if is_waiting { drift.min(watching_interval) } else { drift };
        let (Some(limits), Some(changed_at)) =
            (self.capabilities(), ours.iter().filter_map(|id| jobs.changed_at(id)).max())
        else {
            return self.since(drift);
        };
        // Versions may be reported a little after the job reports it; the decision waits for an observation later than
        // that.
        let told_at = changed_at.saturating_add(limits.visibility_lag).unwrap_or(Timestamp::MAX);
        match (Some(told_at) > seen_at, all_ended) {
            (false, _) if is_waiting => self.since(drift),
            (false, _) => self.since(drift.max(watching_interval)),
            (true, true) => self.since(drift).max(if now >= told_at { told_at } else { changed_at }),
            (true, false) => self.since(watching_interval),
        }
    }

    /// Records which row the artifact was compared with, so that the details are not read again while it stays the
    /// same.
    pub(super) fn remember_comparison(&mut self, package: &OtaPackage, status: &mut OtaPackageStatus) {
        let key = needs::package_key(package);
        let Some(id) = status.package_id.as_deref() else { return };
        let rows = self.inventory.packages.of(&key).map(|(_, rows)| rows).unwrap_or_default();
        let Some(listed) = rows.iter().find(|listed| listed.row.id == id) else { return };
        let in_sync = condition_is_true(&status.conditions, IN_SYNC);
        status.compared_row = in_sync.then(|| listed.hash.clone());
        if in_sync {
            self.inventory.packages.compared(id);
        }
    }
}

/// The devices that a package is for.
fn scope_of(package: &OtaPackage) -> DeviceScope {
    needs::package_key(package).scope()
}

/// The package without its artifact if its row is the one that was compared before; otherwise its id, to read its
/// details.
fn compared_before(object: &OtaPackage, listed: &Listed) -> Result<Package, String> {
    if needs::details_needed(object, &listed.hash) {
        return Err(listed.row.id.clone());
    }
    Ok(Package { row: listed.row.clone(), artifact: None })
}
