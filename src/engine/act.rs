//! Doing what the judge decided: creates through the journal, everything else straight.

use super::inventory::Inventory;
use super::journal::{self, Permit, Times};
use super::lane::{Lane, Trouble};
use super::likeness;
use super::queue::Class;
use crate::api::{
    Condition, CreateOperation, Decision, Intent, Object, OtaPackage, OtaPackageStatus, OtaRollout,
    OtaRolloutStatus, RECONCILING, Request, Truth, record_decision, set_condition, time_text,
};
use crate::cloud::{
    Call, CallError, Capabilities, Effect, ErrorClass, JobIdentity, NewArtifact, NewJob, NewPackage, Reply,
    Uploads,
};
use crate::plan::needs::package_key;
use crate::plan::{Action, Again, Plan, confirm, window};
use jiff::Timestamp;

/// What came of a plan's actions.
pub(super) enum Acted {
    /// A create needs a fresh look before it may leave.
    LookFirst,
    /// Something was done: plan again with what is known of it.
    PlanAgain,
    /// The object is gone.
    Released,
    /// Nothing more to do now.
    Settled(Again),
}

/// An object whose plan is carried out.
pub(super) trait Subject: Clone + Send + Sync {
    /// Its status.
    type Status: Clone + PartialEq + Send + Sync;

    fn set_status(&mut self, status: Self::Status);
    fn pending(&mut self) -> &mut Vec<Intent>;
    /// Calls that are not settled.
    fn intents(&self) -> &[Intent];
    /// True when somebody asked for a look, and has had none since.
    fn is_asked_to_look(&self) -> bool;
    /// When the place where this call's work would show was last looked at.
    fn looked_at(&self, operation: CreateOperation, inventory: &Inventory) -> Option<Timestamp>;
    /// True when the status proper holds what the create of this token made.
    fn holds(&self, intent: &Intent) -> bool;
    /// When a job for this stage may not be sent any more, if it may be sent now; none when it always may.
    fn closes(&self, stage: Option<&str>, now: Timestamp) -> Option<Timestamp>;
    /// Writes the id of what was created into the status proper, and takes the intent out of the journal.
    fn confirm(&mut self, created: &Created<'_>, now: Timestamp);
    /// The part of the status that people read.
    fn words(&mut self) -> Words<'_>;
    fn object(&self) -> Object;

    /// True while a call is not settled, and a look may settle it.
    fn is_in_doubt(&self) -> bool {
        self.intents().iter().any(Intent::is_open)
    }

    /// Writes down what was decided, as the newest decision and as the reason why it is not ready.
    fn say(&mut self, rule: &str, message: &str, now: Timestamp) {
        let words = self.words();
        set_condition(words.conditions, RECONCILING, Truth::True, rule, message, words.generation, now);
        record_decision(words.decisions, now, rule, message);
        message.clone_into(words.message);
    }
}

/// The part of a status that people read.
pub(super) struct Words<'a> {
    generation: i64,
    conditions: &'a mut Vec<Condition>,
    decisions: &'a mut Vec<Decision>,
    message: &'a mut String,
}

impl Subject for OtaPackage {
    type Status = OtaPackageStatus;

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
            // The id that stands there may be that of the package before, deleted since: the judge settles what it finds.
            CreateOperation::CreatePackage => false,
            CreateOperation::CreateJob => {
                status.verification.as_ref().is_some_and(|v| v.token == intent.token && v.job_id.is_some())
            }
        }
    }

    fn closes(&self, _: Option<&str>, _: Timestamp) -> Option<Timestamp> {
        None
    }

    fn confirm(&mut self, created: &Created<'_>, now: Timestamp) {
        let status = self.status.get_or_insert_default();
        match created {
            Created::Package { token, id } => confirm::package_created(status, token, id, now),
            Created::Job { job, id, .. } => confirm::verify_job_created(status, &job.token, id, now),
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

    fn closes(&self, stage: Option<&str>, now: Timestamp) -> Option<Timestamp> {
        let stage = self.spec.stages.iter().find(|spec| Some(spec.name.as_str()) == stage)?;
        window::closes(stage, now)
    }

    fn confirm(&mut self, created: &Created<'_>, now: Timestamp) {
        if let Created::Job { stage: Some(stage), job, id } = created {
            confirm::job_created(self.status.get_or_insert_default(), stage, job, id, now);
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
}

/// Something that was created, and its id.
pub(super) enum Created<'a> {
    /// A package.
    Package { token: &'a str, id: &'a str },
    /// A job; of a verification when it is of no stage.
    Job { stage: Option<&'a str>, job: &'a NewJob, id: &'a str },
}

/// Something that must be created once.
struct Creation {
    token: String,
    operation: CreateOperation,
    stage: Option<String>,
    call: Call,
    looked_at: Option<Timestamp>,
}

impl Creation {
    /// The name of a write, by what is created.
    const fn at(&self, package: &'static str, job: &'static str) -> &'static str {
        match self.operation {
            CreateOperation::CreatePackage => package,
            CreateOperation::CreateJob => job,
        }
    }
}

impl Lane {
    /// Carries out a plan. Stops after the first thing that changes what the judge must see.
    pub(super) async fn act<S: Subject>(
        &mut self,
        subject: &mut S,
        plan: Plan<S::Status>,
        class: Class,
    ) -> Result<Acted, Trouble> {
        subject.set_status(plan.status);
        settle_what_is_held(subject);
        if self.lose_what_nothing_tells(subject, class).await? {
            return Ok(Acted::PlanAgain);
        }
        self.forget_what_never_was(subject, &plan.actions);
        for action in plan.actions {
            match action {
                Action::CreatePackage { token, package } => {
                    let creation = self.package_creation(token, package);
                    return self.create(subject, creation, class).await;
                }
                Action::CreateJob { stage, job } => {
                    let creation = self.job_creation(stage, job);
                    return self.create(subject, creation, class).await;
                }
                Action::DeletePackage { id } => {
                    return self.delete_package(subject, &id, class).await;
                }
                Action::StopJob { id } => {
                    let call = Call::StopJob { id: id.clone(), devices: Vec::new() };
                    self.order_job(&call, &id, class).await?;
                }
                Action::DeleteJob { id } => {
                    self.order_job(&Call::DeleteJob { id: id.clone() }, &id, class).await?;
                }
                Action::Release => return self.release(subject).await,
            }
        }
        Ok(Acted::Settled(plan.again))
    }

    /// Calls whose work a truthful look did not find, and which the judge does not want any more (the spec has changed
    /// since): they wait for nothing.
    fn forget_what_never_was<S: Subject>(&self, subject: &mut S, actions: &[Action]) {
        let Some(limits) = self.capabilities() else { return };
        let times = self.times();
        let is_wanted = |token: &str| actions.iter().any(|action| token_of(action) == Some(token));
        // Where nothing can be stopped a job that is not wanted any more may be the only thing that is left to wait for.
        let runs = |token: &str| {
            let mut jobs = self.inventory.jobs.all();
            jobs.any(|job| job.token.as_deref() == Some(token) && !job.state.is_final())
        };
        let pending = std::mem::take(subject.pending());
        let (open, lapsed): (Vec<Intent>, Vec<Intent>) = pending.into_iter().partition(|intent| {
            let looked_at = subject.looked_at(intent.operation, &self.inventory);
            is_wanted(&intent.token)
                || runs(&intent.token)
                || !looked_at.is_some_and(|at| journal::has_lapsed(intent, at, &times, limits))
        });
        *subject.pending() = open;
        for intent in lapsed {
            tracing::info!(token = intent.token, "the call never happened, and is not wanted any more");
        }
    }

    fn package_creation(&self, token: String, package: NewPackage) -> Creation {
        Creation {
            token,
            operation: CreateOperation::CreatePackage,
            stage: None,
            looked_at: self.inventory.packages.seen_at(&package.key),
            call: Call::CreatePackage(package),
        }
    }

    fn job_creation(&self, stage: Option<String>, job: NewJob) -> Creation {
        Creation {
            token: job.token.clone(),
            operation: CreateOperation::CreateJob,
            stage,
            looked_at: self.inventory.jobs.oldest_list(),
            call: Call::CreateJob(job),
        }
    }

    async fn create<S: Subject>(
        &mut self,
        subject: &mut S,
        creation: Creation,
        class: Class,
    ) -> Result<Acted, Trouble> {
        let now = self.ports.clock.now();
        let limits = self.connect().await?.account.cloud().capabilities().clone();
        let Some(looked_at) = creation.looked_at else { return Ok(Acted::LookFirst) };
        let times = self.times();
        match journal::permit(subject.pending(), &creation.token, looked_at, &times, &limits) {
            Permit::Look => return Ok(Acted::LookFirst),
            Permit::Wait(until) => {
                say_in_doubt(subject, &creation, &limits, &times);
                return Ok(Acted::Settled(Again::After(until.duration_since(now))));
            }
            Permit::Send => {}
        }
        if let Some(wait) =
            self.wait_for_others(subject, &creation.token, creation.operation, &limits).await?
        {
            return Ok(wait);
        }
        let creation = self.with_bytes(creation, &limits, class).await?;
        // Before the intent: it counts from when it is written, and a budget may let wait for minutes.
        self.connect().await?.account.wait_for_budget(class).await;
        self.check_sole_account(&subject.object()).await?;
        let mut intent = journal::intent(
            &creation.token,
            creation.operation,
            creation.stage.clone(),
            &request_of(&creation.call),
            self.ports.clock.now(),
        );
        if let Call::CreateJob(new) = &creation.call {
            let has_no_token = limits.job_identity == JobIdentity::Devices;
            intent.likeness = has_no_token.then(|| likeness::of_new(new, self.inventory.jobs.all()));
            intent.package_id = limits.lists_jobs_by_package.then(|| new.package_id.clone());
        }
        journal::intend(subject.pending(), intent);
        self.save(creation.at("PackageIntent", "JobIntent"), &subject.object()).await?;
        let closes = subject.closes(creation.stage.as_deref(), now);
        let result = self.connect().await?.account.create(&creation.call, class, closes).await;
        let acted = self.take_answer(subject, &creation, result, &limits).await;
        if let Err(Trouble::State(_)) = acted {
            self.count_anew();
        }
        acted
    }

    /// Hands over the files of a package, where the cloud wants them before: the journal stands around what creates, and a
    /// file that no package names is swept away by the cloud.
    async fn with_bytes(
        &mut self,
        mut creation: Creation,
        limits: &Capabilities,
        class: Class,
    ) -> Result<Creation, Trouble> {
        let Call::CreatePackage(NewPackage { key, artifact, .. }) = &mut creation.call else {
            return Ok(creation);
        };
        if limits.uploads != Uploads::Before {
            return Ok(creation);
        }
        let account = &mut self.connect().await?.account;
        if key.module.is_some() {
            account.call(&Call::CheckModule { package: key.clone() }, class).await?;
        }
        if let NewArtifact::File(file) = artifact {
            let (file, handle) = (file.clone(), account.upload(key, file, class).await?);
            *artifact = NewArtifact::Uploaded { file, handle };
        } else if let NewArtifact::Files(files) = artifact {
            for file in files {
                file.handle = Some(account.upload(key, &file.file, class).await?);
            }
        }
        Ok(creation)
    }

    /// One write settles the intent and makes the id durable.
    async fn take_answer<S: Subject>(
        &mut self,
        subject: &mut S,
        creation: &Creation,
        result: Result<Reply, CallError>,
        limits: &Capabilities,
    ) -> Result<Acted, Trouble> {
        let now = self.ports.clock.now();
        let error = match result {
            Ok(reply) if self.confirm(subject, creation, &reply, now) => {
                self.save(creation.at("PackageCreated", "JobCreated"), &subject.object()).await?;
                return Ok(Acted::PlanAgain);
            }
            Ok(_) => CallError::new(
                ErrorClass::Unintelligible,
                creation.call.operation(),
                "the reply is of another shape than the request",
            )
            .maybe_effective(),
            Err(error) => error,
        };
        if error.effect == Effect::Unknown {
            journal::doubt(subject.pending(), &creation.token, now, &self.clocks());
            say_in_doubt(subject, creation, limits, &self.times());
            tracing::warn!(token = creation.token, "{error}");
            self.save(creation.at("PackageInDoubt", "JobInDoubt"), &subject.object()).await?;
            return Ok(Acted::Settled(Again::After(journal::LOOK_AGAIN)));
        }
        journal::settle(subject.pending(), &creation.token);
        self.save(creation.at("PackageRefused", "JobRefused"), &subject.object()).await?;
        Err(error.into())
    }

    /// Takes in what was created; false when the reply is of another shape than the request.
    fn confirm<S: Subject>(
        &mut self,
        subject: &mut S,
        creation: &Creation,
        reply: &Reply,
        now: Timestamp,
    ) -> bool {
        match (&creation.call, reply) {
            (Call::CreatePackage(_), Reply::Package(package)) => {
                let created = Created::Package { token: &creation.token, id: &package.row.id };
                subject.confirm(&created, now);
                self.inventory.packages.add(package.clone(), now);
            }
            (Call::CreateJob(new), Reply::Job(job)) => {
                let created = Created::Job { stage: creation.stage.as_deref(), job: new, id: &job.id };
                subject.confirm(&created, now);
                self.inventory.jobs.add(job.clone(), now);
            }
            _ => return false,
        }
        true
    }

    /// Stops or deletes a job, and looks what came of it: it may have ended, gone, or run again since it was seen.
    async fn order_job(&mut self, call: &Call, id: &str, class: Class) -> Result<(), Trouble> {
        let now = self.ports.clock.now();
        let link = self.connect().await?;
        match link.account.call(call, class).await {
            Ok(_) => {}
            Err(error) if matches!(error.class, ErrorClass::Conflict | ErrorClass::NotFound) => {
                tracing::info!(job = id, "refused: {error}");
            }
            Err(error) => return Err(error.into()),
        }
        let Some(link) = &mut self.link else { return Ok(()) };
        Ok(self.inventory.jobs.look(&mut link.account, id, now, class).await?)
    }

    async fn delete_package<S: Subject>(
        &mut self,
        subject: &mut S,
        id: &str,
        class: Class,
    ) -> Result<Acted, Trouble> {
        let limits = self.connect().await?.account.cloud().capabilities().clone();
        if let Some(wait) = self.wait_for_rollouts(subject, &limits).await? {
            return Ok(wait);
        }
        let decided = subject.object();
        let stored = self.store.load(&decided.key()).await?;
        // A delete that is refused time and again is written down once.
        if stored.is_none_or(|stored| facts(&stored) != facts(&decided)) {
            self.save("BeforeDelete", &decided).await?;
        }
        let link = self.connect().await?;
        match link.account.call(&Call::DeletePackage { id: id.to_owned() }, class).await {
            Ok(_) => {}
            Err(error) if error.class == ErrorClass::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        self.inventory.packages.remove(id);
        Ok(Acted::PlanAgain)
    }

    /// Lets an object go; a package only after the rollouts that need it, so that they can still be told apart.
    async fn release<S: Subject>(&mut self, subject: &mut S) -> Result<Acted, Trouble> {
        let key = subject.object().key();
        if key.kind == crate::api::Kind::OtaPackage && self.is_needed(&key).await? {
            subject.say(
                "WaitingForRollouts",
                "deleted after the rollouts that name it",
                self.ports.clock.now(),
            );
            // It is woken when the last of them is gone.
            return Ok(Acted::Settled(Again::AtDriftInterval));
        }
        self.forget("ForgetObject", &key).await?;
        Ok(Acted::Released)
    }
}

/// The status of a package without what is only said of it.
fn facts(object: &Object) -> Option<OtaPackageStatus> {
    let status = object.as_package()?.status.clone()?;
    Some(OtaPackageStatus { conditions: Vec::new(), decisions: Vec::new(), message: String::new(), ..status })
}

fn token_of(action: &Action) -> Option<&str> {
    match action {
        Action::CreatePackage { token, .. } => Some(token),
        Action::CreateJob { job, .. } => Some(&job.token),
        Action::DeletePackage { .. }
        | Action::StopJob { .. }
        | Action::DeleteJob { .. }
        | Action::Release => None,
    }
}

fn settle_what_is_held<S: Subject>(subject: &mut S) {
    let pending = std::mem::take(subject.pending());
    let open = pending.into_iter().filter(|intent| !subject.holds(intent)).collect();
    *subject.pending() = open;
}

fn say_in_doubt<S: Subject>(subject: &mut S, creation: &Creation, limits: &Capabilities, times: &Times) {
    let Some(intent) = subject.pending().iter().find(|intent| intent.token == creation.token) else { return };
    let settles_at = journal::settles_at(intent, times, limits);
    let what = match &creation.stage {
        Some(stage) => format!("{} for stage {stage}", creation.call.operation()),
        None => creation.call.operation().to_owned(),
    };
    let message = format!(
        "{what} left at {} and its answer was lost: looking for {} until {}, and only then sending it again",
        time_text(intent.at),
        looked_for(intent),
        time_text(settles_at)
    );
    subject.say("CreateInDoubt", &message, times.now);
}

fn looked_for(intent: &Intent) -> String {
    match intent.likeness {
        Some(_) => "a new job for the same devices".to_owned(),
        None => format!("token {}", intent.token),
    }
}

/// What the digest of an intent is taken over.
fn request_of(call: &Call) -> serde_json::Value {
    match call {
        Call::CreatePackage(package) => serde_json::to_value(package),
        Call::CreateJob(job) => serde_json::to_value(job),
        _ => Ok(serde_json::Value::Null),
    }
    .unwrap_or_default()
}
