//! What the decision about a rollout needs.

use super::devices::scope_of;
use super::observed::ObservedRollout;
use super::uniqueness::recorded;
use crate::api::{OtaPackage, OtaRollout};
use crate::cloud::{DeviceSet, Job, PackageKind};
use crate::decide::keys::rollout_mark;
use crate::decide::needs::{self, Need};
use crate::engine::context::Reconcile;
use crate::engine::trouble::Trouble;
use jiff::Timestamp;

impl Reconcile<'_> {
    pub(in crate::engine) async fn observe_rollout(
        &mut self,
        object: &OtaRollout,
        package: Option<&OtaPackage>,
    ) -> Result<ObservedRollout, Trouble> {
        self.own_keys = vec![rollout_mark(object.metadata.uid.as_deref().unwrap_or_default())];
        self.note_stops().await?;
        let around = self.surroundings_of(object, package).await?;
        let mut observed = ObservedRollout { around: around.clone(), ..ObservedRollout::default() };
        let Some(package) = package.or_else(|| around.package_of_run()) else { return Ok(observed) };
        let mut needs = needs::for_rollout(object, package);
        // What is decided without the cloud is decided during an outage too, so that the status does not alternate.
        if !needs.is_empty() || self.worker.link.is_none() {
            self.connect().await?;
        }
        let mut ours: Vec<String> = recorded(object).map(|job| job.id.clone()).collect();
        // Jobs come first: whether the fleet must be read again depends on whether they changed.
        let is_judged = needs.iter().any(|need| matches!(need, Need::Devices(_) | Need::Fleet(_)));
        let with_presence = needs.iter().any(|need| matches!(need, Need::Presence(_)));
        needs.sort_by_key(|need| !matches!(need, Need::Jobs(_)));
        let of_targets: Vec<DeviceSet> = needs::target_sets(object).collect();
        for need in needs {
            match need {
                Need::Jobs(kind) => {
                    observed.jobs_at = self.read_own_jobs(object, kind, &mut ours).await?;
                    // A rollout that is deleted, or leaves the account, needs to know only which jobs still run.
                    if is_judged {
                        observed.results = self.failures_of(&ours).await?;
                    }
                }
                Need::Devices(ids) => {
                    let ids = self.with_devices_of_jobs(ids, object, &ours);
                    if ids.len() > needs::MAX_SINGLE_DEVICES {
                        observed.scope =
                            Some(self.read_fleet(scope_of(package), &ours, with_presence).await?);
                    } else {
                        observed.named = Some(self.read_named(&ids, package, &ours, with_presence).await?);
                    }
                }
                Need::Fleet(scope) => {
                    observed.scope = Some(self.read_fleet(scope, &ours, with_presence).await?);
                }
                Need::Set(set) if of_targets.contains(&set) => {
                    self.read_set(set.clone(), package, &mut observed.sets).await?;
                    self.label(&set, (object, package), &mut observed.labels);
                }
                Need::Set(set) => self.read_stage_set(set, package, &mut observed.sets).await?,
                // Presence is read together with the devices.
                Need::Packages(_) | Need::Presence(_) => {}
            }
        }
        if is_judged {
            observed.rivals = self.observe_rivals(object, package).await?;
        }
        Ok(observed)
    }

    /// Observes the jobs of a rollout, and adds to `ours` those that it has not recorded.
    async fn read_own_jobs(
        &mut self,
        object: &OtaRollout,
        kind: PackageKind,
        ours: &mut Vec<String>,
    ) -> Result<Option<Timestamp>, Trouble> {
        let due = self.uniqueness_due(recorded(object).filter_map(|job| job.created_at));
        let evidence = self.evidence.max(due);
        let seen_at = self.read_all_jobs(kind, ours, evidence).await?;
        self.recognise_jobs(object).await?;
        let unrecorded = self.unrecorded_jobs(object, ours);
        if unrecorded.is_empty() {
            return Ok(seen_at);
        }
        ours.extend(unrecorded);
        self.read_all_jobs(kind, ours, evidence).await
    }

    /// These devices and those that the jobs of the rollout name: recorded jobs, and jobs that carry its mark. Devices of
    /// our jobs stay in their stages, whatever the targets select now.
    fn with_devices_of_jobs(
        &self,
        mut ids: Vec<String>,
        rollout: &OtaRollout,
        recorded: &[String],
    ) -> Vec<String> {
        let mark = rollout_mark(rollout.metadata.uid.as_deref().unwrap_or_default());
        let is_marked = |job: &Job| job.token.as_ref().is_some_and(|token| token.starts_with(&mark));
        let jobs = self.worker.inventory.jobs.all();
        let its = jobs.filter(|job| recorded.contains(&job.id) || is_marked(job));
        ids.extend(its.flat_map(|job| job.devices.iter().cloned()));
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}
