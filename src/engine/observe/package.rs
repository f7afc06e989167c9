//! What the decision about a package needs.

use super::observed::ObservedPackage;
use crate::api::{IN_SYNC, OtaPackage, OtaPackageStatus, condition_is_true};
use crate::cloud::{Job, Package, PackageKey, PackageKind};
use crate::decide::Seen;
use crate::decide::needs::{self, Need};
use crate::engine::context::Reconcile;
use crate::engine::freshness::{Evidence, JUST_POLLED};
use crate::engine::inventory::Listed;
use crate::engine::journal;
use crate::engine::subject::Subject as _;
use crate::engine::trouble::Trouble;
use jiff::Timestamp;

/// With more packages than this to observe for the first time, one list is read instead of one call each.
const LOOKS_WORTH_A_LIST: usize = 3;

impl Reconcile<'_> {
    pub(in crate::engine) async fn observe_package(
        &mut self,
        object: &OtaPackage,
    ) -> Result<ObservedPackage, Trouble> {
        let verification = object.status.as_ref().and_then(|status| status.verification.as_ref());
        let sent = object.intents().iter().map(|intent| &intent.token);
        self.own_keys = verification.iter().map(|known| &known.token).chain(sent).cloned().collect();
        self.note_stops().await?;
        self.connect().await?;
        let ours: Vec<String> = verification.and_then(|known| known.job_id.clone()).into_iter().collect();
        let mut observed = ObservedPackage::default();
        for need in needs::for_package(object) {
            match need {
                Need::Packages(key) => {
                    self.read_packages(object, &key).await?;
                    observed.packages = self.details_of(object, &key).await?;
                }
                Need::Jobs(kind) => {
                    observed.jobs_at = self.read_jobs_around(object, kind, &ours).await?;
                    observed.results = self.failures_of(&ours).await?;
                }
                Need::Devices(ids) => {
                    observed.devices = Some(self.read_named(&ids, object, &ours, false).await?);
                }
                Need::Fleet(_)
                | Need::Presence(_)
                | Need::Group(_)
                | Need::Tag { .. }
                | Need::TagValues { .. } => {}
            }
        }
        Ok(observed)
    }

    /// Observes the verify job of a package, and the jobs that may still use the package.
    async fn read_jobs_around(
        &mut self,
        object: &OtaPackage,
        kind: PackageKind,
        ours: &[String],
    ) -> Result<Option<Timestamp>, Trouble> {
        let verified = object.status.iter().filter_map(|status| status.verification.as_ref());
        let sent = verified.filter_map(|verification| verification.dispatched_at);
        let evidence = self.evidence.max(self.uniqueness_due(sent));
        self.read_all_jobs(kind, ours, evidence).await?;
        let holders = self.possible_holders(object);
        let seen_at = self.read_all_jobs(kind, &holders, evidence).await?;
        self.recognise_jobs(object).await?;
        Ok(seen_at)
    }

    /// Jobs of a package that is or may have to be deleted: their current state shows whether they still use it.
    fn possible_holders(&self, object: &OtaPackage) -> Vec<String> {
        let in_sync = object.status.as_ref().is_some_and(|s| condition_is_true(&s.conditions, IN_SYNC));
        if in_sync && object.metadata.deletion_timestamp.is_none() {
            return Vec::new();
        }
        let id = object.status.as_ref().and_then(|status| status.package_id.as_ref());
        let is_of_it = |job: &&Job| id.is_some_and(|id| job.package_ids.contains(id));
        self.worker.inventory.jobs.of(object.spec.kind).filter(is_of_it).map(|job| job.id.clone()).collect()
    }

    async fn read_packages(&mut self, object: &OtaPackage, key: &PackageKey) -> Result<(), Trouble> {
        let seen_at = self.worker.inventory.packages.seen_at(key);
        let since = match self.evidence {
            Evidence::Known => Timestamp::MIN,
            Evidence::Since(since) => since,
        };
        if seen_at >= Some(since) {
            return Ok(());
        }
        let alone = object.is_in_doubt() || object.is_asked_to_look();
        let by_list = !alone && self.is_worth_a_list(key.kind, seen_at);
        let now = self.now();
        let Some((mut caller, inventory)) = self.reader() else { return Ok(()) };
        if !by_list {
            return Ok(inventory.packages.look(&mut caller, key, now).await?);
        }
        if !inventory.packages.list_step(&mut caller, key.kind, since).await? {
            return Err(Trouble::Yield);
        }
        Ok(())
    }

    /// True when more objects wait for an observation than a list of all packages has pages, so that one list serves
    /// them all. It must be read soon enough to serve the last of them. A request with unknown outcome is searched for
    /// on its own: a filter lags no more than a list, and no row can slip from one page to another.
    fn is_worth_a_list(&self, kind: PackageKind, seen_at: Option<Timestamp>) -> bool {
        if seen_at.is_none() {
            return self.worker.queue.len() > LOOKS_WORTH_A_LIST;
        }
        let waiting = self.worker.queue.count_due(self.priority);
        let last = self.worker.inventory.packages.last_list(kind);
        last.is_some_and(|(calls, took)| calls <= waiting && took <= journal::FRESH / 4)
    }

    /// The packages of a natural key with their artifacts, oldest first.
    async fn details_of(
        &mut self,
        object: &OtaPackage,
        key: &PackageKey,
    ) -> Result<Option<Seen<Vec<Package>>>, Trouble> {
        let Some((at, rows)) = self.worker.inventory.packages.of(key) else { return Ok(None) };
        let found: Vec<Result<Package, String>> =
            rows.iter().map(|listed| compared_before(object, listed)).collect();
        // A list may lag behind: only the cloud's own "not found" proves that a package of ours was deleted.
        let recorded = object.status.as_ref().and_then(|status| status.package_id.clone());
        let unlisted = recorded.filter(|id| rows.iter().all(|listed| listed.row.id != *id)).map(Err);
        let since = self.since(JUST_POLLED);
        let Some((mut caller, inventory)) = self.reader() else { return Ok(None) };
        let mut packages = Vec::new();
        for package in found.into_iter().chain(unlisted) {
            match package {
                Ok(package) => packages.push(package),
                Err(id) => {
                    packages.extend(inventory.packages.detail(&mut caller, key, &id, since).await?);
                }
            }
        }
        Ok(Some(Seen { at, value: packages }))
    }

    /// Records which row the artifact was compared with, so that the details are not read again while it stays the
    /// same.
    pub(in crate::engine) fn remember_comparison(
        &mut self,
        package: &OtaPackage,
        status: &mut OtaPackageStatus,
    ) {
        let key = needs::package_key(package);
        let Some(id) = status.package_id.as_deref() else { return };
        let rows = self.worker.inventory.packages.of(&key).map(|(_, rows)| rows).unwrap_or_default();
        let Some(listed) = rows.iter().find(|listed| listed.row.id == id) else { return };
        let in_sync = condition_is_true(&status.conditions, IN_SYNC);
        status.compared_row = in_sync.then(|| listed.hash.clone());
        if in_sync {
            self.worker.inventory.packages.compared(id);
        }
    }
}

/// The package without its artifact if its row is the one that was compared before; otherwise its id, to read its
/// details.
fn compared_before(object: &OtaPackage, listed: &Listed) -> Result<Package, String> {
    if needs::details_needed(object, &listed.hash) {
        return Err(listed.row.id.clone());
    }
    Ok(Package { row: listed.row.clone(), artifact: None })
}
