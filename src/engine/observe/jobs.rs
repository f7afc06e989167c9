//! Jobs of an account, and the devices in them.

use crate::cloud::{DeviceResult, Job, PackageKind};
use crate::decide::needs;
use crate::engine::context::Reconcile;
use crate::engine::freshness::{Evidence, JUST_POLLED};
use crate::engine::trouble::Trouble;
use crate::engine::worker::Worker;
use jiff::Timestamp;
use std::collections::BTreeMap;

impl Reconcile<'_> {
    /// A device takes one job at a time, firmware or software: both lists show which devices are busy.
    pub(super) async fn read_all_jobs(
        &mut self,
        kind: PackageKind,
        ours: &[String],
        evidence: Evidence,
    ) -> Result<Option<Timestamp>, Trouble> {
        let lists_software = self.capabilities().is_none_or(|limits| limits.lists_software);
        if kind.other() == PackageKind::Software && !lists_software {
            return self.read_jobs(kind, ours, evidence).await;
        }
        let others = self.read_jobs(kind.other(), &[], evidence).await?;
        Ok(self.read_jobs(kind, ours, evidence).await?.min(others))
    }

    async fn read_jobs(
        &mut self,
        kind: PackageKind,
        ours: &[String],
        evidence: Evidence,
    ) -> Result<Option<Timestamp>, Trouble> {
        let listed_since = match evidence {
            Evidence::Known => self.since(self.drift()),
            // What a verdict waits for may have begun long ago.
            Evidence::Since(since) => since.max(self.since(self.drift())),
        };
        let (polled_since, slice) = (self.since(JUST_POLLED), self.slice);
        let Some((mut caller, inventory)) = self.reader() else { return Ok(None) };
        let jobs = &mut inventory.jobs;
        if !jobs.list_step(&mut caller, kind, listed_since).await? {
            return Err(Trouble::Yield);
        }
        for id in ours {
            slice.check(caller.account)?;
            if jobs.get(id).is_none_or(|job| !job.state.is_final()) || jobs.lacks_devices(id) {
                jobs.look(&mut caller, id, polled_since).await?;
            }
        }
        self.complete_rows(kind, ours, polled_since).await?;
        Ok(self.worker.inventory.jobs.listed_at(kind))
    }

    /// Reads the devices of jobs whose rows lack details.
    async fn complete_rows(
        &mut self,
        kind: PackageKind,
        ours: &[String],
        polled_since: Timestamp,
    ) -> Result<(), Trouble> {
        let Self { worker, own_keys, slice, priority, .. } = self;
        let Worker { link: Some(link), inventory, .. } = &mut **worker else { return Ok(()) };
        let (mut caller, jobs) = (link.account.at(*priority), &mut inventory.jobs);
        let is_own = |job: &Job| {
            let has_key = |token: &String| own_keys.iter().any(|own| token.starts_with(own.as_str()));
            ours.contains(&job.id) || job.token.as_ref().is_some_and(has_key)
        };
        for id in jobs.without_details(kind, is_own, polled_since) {
            slice.check(caller.account)?;
            match jobs.read_details(&mut caller, &id, polled_since).await {
                Ok(true) => {}
                Ok(false) => return Err(Trouble::Yield),
                Err(error) => {
                    let is_alone = error.class.may_concern_one_resource();
                    if is_alone {
                        jobs.note_unreadable(&id, caller.account.now());
                    }
                    // The other object reports what cannot be read of its job. Which devices it holds stays unknown
                    // here.
                    if !is_alone || jobs.get(&id).is_some_and(is_own) {
                        return Err(error.into());
                    }
                }
            }
        }
        Ok(())
    }

    /// The devices of these jobs whose outcome the decision must know, by job.
    pub(super) async fn failures_of(
        &mut self,
        ours: &[String],
    ) -> Result<BTreeMap<String, Vec<DeviceResult>>, Trouble> {
        let slice = self.slice;
        let mut results: BTreeMap<String, Vec<DeviceResult>> = BTreeMap::new();
        let Some((mut caller, inventory)) = self.reader() else { return Ok(results) };
        let jobs = &mut inventory.jobs;
        for id in ours {
            if let Some(known) = jobs.unfinished_devices(id) {
                results.insert(id.clone(), known.to_vec());
                continue;
            }
            for outcome in jobs.get(id).map(needs::outcomes_needed).unwrap_or_default() {
                slice.check(caller.account)?;
                let found = jobs.results(&mut caller, id, outcome).await?.ok_or(Trouble::Yield)?;
                results.entry(id.clone()).or_default().extend(found);
            }
        }
        Ok(results)
    }
}
