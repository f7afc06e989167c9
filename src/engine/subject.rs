//! What packages and rollouts have in common for the engine: a status and a journal.

use super::inventory::Inventory;
use super::priority::Priority;
use crate::api::{
    Condition, CreateOperation, Decision, Intent, Kind, Object, ObjectKey, OtaPackage, OtaPackageStatus,
    OtaRollout, OtaRolloutStatus, RECONCILING, Reason, RefusedCreate, Request, Truth, Uptime,
    record_decision, set_condition,
};
use crate::cloud::NewJob;
use crate::decide::needs::package_key;
use crate::decide::{clocks::Clocks, confirm, defaults, rollout::soak, window};
use jiff::Timestamp;

/// An object whose plan is carried out.
pub(super) trait Subject: Clone + Send + Sync {
    /// Its status.
    type Status: Clone + PartialEq + Send + Sync;
    /// How urgent its next reconcile is, by default.
    const PRIORITY: Priority;

    fn key(&self) -> ObjectKey;
    /// Selects the name for this kind.
    fn pick(package: &'static str, rollout: &'static str) -> &'static str;
    /// Takes over spec and metadata of the stored object; false when that is another object of the same name.
    fn take_spec(&mut self, stored: &Object) -> bool;
    fn status(&self) -> Option<&Self::Status>;
    fn set_status(&mut self, status: Self::Status);
    fn pending(&mut self) -> &mut Vec<Intent>;
    /// Requests with unknown outcome.
    fn intents(&self) -> &[Intent];
    /// True when a user requested a reconcile that has not happened since.
    fn is_asked_to_look(&self) -> bool;
    /// When the place where a request of this operation would show was last observed.
    fn looked_at(&self, operation: CreateOperation, inventory: &Inventory) -> Option<Timestamp>;
    /// True when the status holds the result of the create with this key.
    fn holds(&self, intent: &Intent) -> bool;
    /// The last create that the cloud refused.
    fn refused(&self) -> Option<&RefusedCreate>;
    fn set_refused(&mut self, refused: RefusedCreate);
    /// When the window for a job of this stage closes, if it is open now; none when it is always open.
    fn closes(&self, stage: Option<&str>, now: Timestamp) -> Option<Timestamp>;
    /// Writes the id of what was created into the status, and removes the intent from the journal.
    fn confirm(&mut self, created: &Created<'_>, now: Timestamp);
    /// The part of the status that users read.
    fn words(&mut self) -> Words<'_>;
    fn object(&self) -> Object;

    /// When an observation must have begun to be used for the next verdict.
    fn look_due(&self, _: &Clocks, _: Timestamp) -> Option<Timestamp> {
        None
    }

    /// True while a request has an unknown outcome that an observation may settle.
    fn is_in_doubt(&self) -> bool {
        self.intents().iter().any(Intent::is_open)
    }

    /// Records what was decided, as the newest decision and as the reason why the object is not ready.
    fn say(&mut self, reason: Reason, message: &str, now: Timestamp) {
        let words = self.words();
        set_condition(words.conditions, RECONCILING, Truth::True, reason, message, words.generation, now);
        record_decision(words.decisions, now, reason, message);
        message.clone_into(words.message);
    }
}

/// The part of a status that users read.
pub(super) struct Words<'a> {
    generation: i64,
    conditions: &'a mut Vec<Condition>,
    decisions: &'a mut Vec<Decision>,
    message: &'a mut String,
}

impl Subject for OtaPackage {
    type Status = OtaPackageStatus;
    const PRIORITY: Priority = Priority::Verify;

    fn key(&self) -> ObjectKey {
        ObjectKey::of(Kind::OtaPackage, &self.metadata)
    }

    fn pick(package: &'static str, _: &'static str) -> &'static str {
        package
    }

    fn take_spec(&mut self, stored: &Object) -> bool {
        let Object::Package(stored) = stored else { return false };
        self.spec.clone_from(&stored.spec);
        let before = std::mem::replace(&mut self.metadata, stored.metadata.clone());
        before.uid == self.metadata.uid
    }

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }

    fn set_status(&mut self, status: OtaPackageStatus) {
        self.status = Some(status);
    }

    fn pending(&mut self) -> &mut Vec<Intent> {
        &mut self.status.get_or_insert_default().pending
    }

    fn intents(&self) -> &[Intent] {
        self.status.as_ref().map(|status| status.pending.as_slice()).unwrap_or_default()
    }

    fn is_asked_to_look(&self) -> bool {
        let handled = self.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
        Request::Reconcile.open(&self.metadata, handled).is_some()
    }

    fn looked_at(&self, operation: CreateOperation, inventory: &Inventory) -> Option<Timestamp> {
        match operation {
            CreateOperation::CreatePackage => inventory.packages.seen_at(&package_key(self)),
            CreateOperation::CreateJob => inventory.jobs.listed_at(self.spec.kind),
        }
    }

    fn holds(&self, intent: &Intent) -> bool {
        let Some(status) = &self.status else { return false };
        match intent.operation {
            // The recorded id may be that of the previous package, which was deleted since: the decision settles what
            // it finds.
            CreateOperation::CreatePackage => false,
            CreateOperation::CreateJob => {
                status.verification.as_ref().is_some_and(|v| v.token == intent.token && v.job_id.is_some())
            }
        }
    }

    fn refused(&self) -> Option<&RefusedCreate> {
        self.status.as_ref()?.refused.as_ref()
    }

    fn set_refused(&mut self, refused: RefusedCreate) {
        self.status.get_or_insert_default().refused = Some(refused);
    }

    fn closes(&self, _: Option<&str>, _: Timestamp) -> Option<Timestamp> {
        None
    }

    fn confirm(&mut self, created: &Created<'_>, now: Timestamp) {
        let status = self.status.get_or_insert_default();
        match created {
            Created::Package { token, id } => confirm::package_created(status, token, id, now),
            Created::Job { job, id, uptime, .. } => {
                confirm::verify_job_created(status, &job.token, id, now);
                let made = status.verification.iter_mut().filter(|made| made.token == job.token);
                made.for_each(|made| made.dispatched_uptime.clone_from(uptime));
            }
        }
    }

    fn words(&mut self) -> Words<'_> {
        let generation = self.metadata.generation.unwrap_or(0);
        let status = self.status.get_or_insert_default();
        let (conditions, decisions) = (&mut status.conditions, &mut status.decisions);
        Words { generation, conditions, decisions, message: &mut status.message }
    }

    fn object(&self) -> Object {
        Object::Package(self.clone())
    }
}

impl Subject for OtaRollout {
    type Status = OtaRolloutStatus;
    const PRIORITY: Priority = Priority::RolloutStep;

    fn key(&self) -> ObjectKey {
        ObjectKey::of(Kind::OtaRollout, &self.metadata)
    }

    fn pick(_: &'static str, rollout: &'static str) -> &'static str {
        rollout
    }

    fn take_spec(&mut self, stored: &Object) -> bool {
        let Object::Rollout(stored) = stored else { return false };
        self.spec.clone_from(&stored.spec);
        let before = std::mem::replace(&mut self.metadata, stored.metadata.clone());
        before.uid == self.metadata.uid
    }

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }

    fn set_status(&mut self, status: OtaRolloutStatus) {
        self.status = Some(status);
    }

    fn pending(&mut self) -> &mut Vec<Intent> {
        &mut self.status.get_or_insert_default().pending
    }

    fn intents(&self) -> &[Intent] {
        self.status.as_ref().map(|status| status.pending.as_slice()).unwrap_or_default()
    }

    fn is_asked_to_look(&self) -> bool {
        let handled = self.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
        Request::Reconcile.open(&self.metadata, handled).is_some()
    }

    fn looked_at(&self, _: CreateOperation, inventory: &Inventory) -> Option<Timestamp> {
        inventory.jobs.oldest_list()
    }

    fn holds(&self, intent: &Intent) -> bool {
        let stages = self.status.iter().flat_map(|status| &status.stages);
        stages.flat_map(|stage| &stage.jobs).any(|job| job.token == intent.token)
    }

    fn refused(&self) -> Option<&RefusedCreate> {
        self.status.as_ref()?.refused.as_ref()
    }

    fn set_refused(&mut self, refused: RefusedCreate) {
        self.status.get_or_insert_default().refused = Some(refused);
    }

    fn closes(&self, stage: Option<&str>, now: Timestamp) -> Option<Timestamp> {
        let stage = defaults::stage_named(&self.spec, stage?)?;
        window::closes(&stage, now)
    }

    fn confirm(&mut self, created: &Created<'_>, now: Timestamp) {
        if let Created::Job { stage: Some(stage), job, id, uptime } = created {
            let status = self.status.get_or_insert_default();
            confirm::job_created(status, stage, job, id, now);
            let jobs = status.stages.iter_mut().flat_map(|stage| &mut stage.jobs);
            jobs.filter(|made| made.token == job.token)
                .for_each(|made| made.created_uptime.clone_from(uptime));
        }
    }

    fn words(&mut self) -> Words<'_> {
        let generation = self.metadata.generation.unwrap_or(0);
        let status = self.status.get_or_insert_default();
        let (conditions, decisions) = (&mut status.conditions, &mut status.decisions);
        Words { generation, conditions, decisions, message: &mut status.message }
    }

    fn object(&self) -> Object {
        Object::Rollout(self.clone())
    }

    fn look_due(&self, clocks: &Clocks, now: Timestamp) -> Option<Timestamp> {
        soak::look_due(self, clocks, now)
    }
}

/// Something that was created, and its id.
pub(super) enum Created<'a> {
    /// A package.
    Package { token: &'a str, id: &'a str },
    /// A job; of a verification when it has no stage.
    Job { stage: Option<&'a str>, job: &'a NewJob, id: &'a str, uptime: Option<Uptime> },
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, WORLD, cloud, package, rollout};
    use super::*;
    use crate::api::StagePhase;
    use crate::state::memory::Memory;
    use jiff::SignedDuration;

    /// The fleet is listed once in a drift interval, which may be much longer than a soak.
    #[tokio::test(start_paused = true)]
    async fn a_stage_is_left_when_its_soak_ends_and_not_at_the_next_drift_round() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        let cloud = cloud("lab", "a").replace("spec:\n", "spec:\n  driftInterval: 6h\n");
        let rollout =
            rollout("r", "v2", 3).replace("select: {count: 3}", "select: {count: 3}\n    soak: 10m");
        site.apply(&[cloud, package("v2", "lab", "V2"), rollout].concat()).await;
        let key = ObjectKey::new(Kind::OtaRollout, "default", "r");
        let canary = |store: &Memory| match store.get(&key).as_deref() {
            Some(Object::Rollout(rollout)) => rollout.status.as_ref()?.stages.first().cloned(),
            _ => None,
        };
        let is = |phase: StagePhase| move |stage: &crate::api::StageStatus| stage.phase == phase;
        site.until("it soaks", |store| canary(store).as_ref().is_some_and(is(StagePhase::Soaking))).await;
        let ends = canary(&site.store).and_then(|stage| stage.soaks_until).unwrap();
        site.until("it passed", |store| canary(store).as_ref().is_some_and(is(StagePhase::Passed))).await;
        let late = canary(&site.store).and_then(|stage| stage.passed_at).unwrap().duration_since(ends);
        assert!(late < SignedDuration::from_secs(5), "{late:#} after the end of its soak");
    }

    /// Its gate waits for a device that never comes online, long after the end of its soak.
    #[tokio::test(start_paused = true)]
    async fn a_stage_is_judged_after_its_deadline_although_its_soak_ended_long_before() {
        let silent = "- {count: 1, idPrefix: o-, product: meter, firmware: V1, online: false}\nbehaviours:";
        let bench = Bench::new(&WORLD.replace("behaviours:", silent));
        let mut site = bench.site();
        let canary =
            "{devices: [m-0000, m-0001, m-0002, m-0003, o-0000]}\n    soak: 10m\n    deadline: {after: 2h}";
        let rollout = rollout("r", "v2", 5)
            .replace("{count: 5}", canary)
            .replace("minSuccess: 90%", "minSuccess: 90%, minSample: 5");
        site.apply(&[cloud("lab", "a"), package("v2", "lab", "V2"), rollout].concat()).await;
        let key = ObjectKey::new(Kind::OtaRollout, "default", "r");
        site.work(SignedDuration::from_hours(1)).await;
        assert_eq!(site.said(&key).0, "GateWaiting", "{:?}", site.said(&key));
        site.work(SignedDuration::from_mins(75)).await;
        assert_eq!(site.said(&key).0, "GateInconclusive", "{:?}", site.said(&key));
    }
}
