//! Creates that must never happen twice: they go through the journal.

use super::basis::Basis;
use super::context::Reconcile;
use super::fingerprint;
use super::journal::{self, Permit, Times};
use super::refused::Attempt;
use super::stages::Acted;
use super::subject::{Created, Subject};
use super::trouble::Trouble;
use crate::api::{CreateOperation, Intent, Kind, Object, Reason, time_text};
use crate::cloud::{
    Call, CallError, Capabilities, Effect, ErrorClass, JobIdentity, NewArtifact, NewJob, NewPackage, Reply,
    Uploads,
};
use crate::decide::Requeue;
use jiff::Timestamp;

/// Something that is created once.
struct Creation {
    token: String,
    operation: CreateOperation,
    stage: Option<String>,
    call: Call,
    /// Digest of the request, before its files were uploaded.
    asked: String,
    looked_at: Option<Timestamp>,
    /// What the account can do.
    limits: Capabilities,
}

impl Creation {
    /// Name of the durable write, by what is created.
    const fn at(&self, package: &'static str, job: &'static str) -> &'static str {
        match self.operation {
            CreateOperation::CreatePackage => package,
            CreateOperation::CreateJob => job,
        }
    }
}

impl Reconcile<'_> {
    pub(super) async fn create_package<S: Subject>(
        &mut self,
        subject: &mut S,
        (token, package): (String, NewPackage),
        basis: &Basis,
    ) -> Result<Acted, Trouble> {
        let limits = self.limits().await?;
        let looked_at = self.worker.inventory.packages.seen_at(&package.key);
        let call = Call::CreatePackage(package);
        let (operation, asked) = (CreateOperation::CreatePackage, journal::digest(&request_of(&call)));
        let creation = Creation { token, operation, stage: None, call, asked, looked_at, limits };
        self.create(subject, creation, basis).await
    }

    pub(super) async fn create_job<S: Subject>(
        &mut self,
        subject: &mut S,
        (stage, job): (Option<String>, NewJob),
        basis: &Basis,
    ) -> Result<Acted, Trouble> {
        let limits = self.limits().await?;
        let (token, looked_at) = (job.token.clone(), self.worker.inventory.jobs.oldest_list());
        let call = Call::CreateJob(job);
        let (operation, asked) = (CreateOperation::CreateJob, journal::digest(&request_of(&call)));
        let creation = Creation { token, operation, stage, call, asked, looked_at, limits };
        self.create(subject, creation, basis).await
    }

    async fn create<S: Subject>(
        &mut self,
        subject: &mut S,
        creation: Creation,
        basis: &Basis,
    ) -> Result<Acted, Trouble> {
        if let Some(wait) = self.wait_to_create(subject, &creation).await? {
            return Ok(wait);
        }
        let attempt = self.attempt_of(&creation);
        self.worker.refused.check(subject, &attempt)?;
        self.check_limits(&creation.call).await?;
        let creation = self.with_bytes(creation).await?;
        // Before the intent is written: its wait counts from then, and the budget may delay the request for minutes.
        if !self.may_create(subject, &creation, basis).await? {
            return Ok(Acted::DecideAgain);
        }
        let intent = self.intent_of(&creation);
        journal::intend(subject.pending(), intent);
        self.worker.save(creation.at("PackageIntent", "JobIntent"), &subject.object()).await?;
        // The write may have taken long, and a watch may not have reported yet what users have written before it.
        let stands = basis.still_stands_now(self.store(), &subject.object(), &self.worker.cloud).await;
        if !matches!(stands, Ok(true)) {
            journal::settle(subject.pending(), &creation.token);
            self.worker.save(creation.at("PackageRefused", "JobRefused"), &subject.object()).await?;
            return Ok(stands.map(|_| Acted::DecideAgain)?);
        }
        self.worker.inventory.jobs.expect(&creation.token);
        let closes = subject.closes(creation.stage.as_deref(), self.now());
        let result = self.caller().await?.create(&creation.call, closes).await;
        if let Err(error) = &result {
            let attempt = self.attempt_of(&creation);
            self.worker.refused.record(subject, &attempt, error);
        }
        let acted = self.take_answer(subject, &creation, result).await;
        if let Err(Trouble::State(_)) = acted {
            self.worker.count_from_now();
        }
        acted
    }

    /// A call that breaks a documented limit of the cloud is never sent and needs no journal.
    async fn check_limits(&mut self, call: &Call) -> Result<(), Trouble> {
        self.connect().await?.account.cloud().render(call)?;
        Ok(())
    }

    /// What a create waits for, according to the journal and to requests of other objects; none when it may be sent.
    async fn wait_to_create<S: Subject>(
        &mut self,
        subject: &mut S,
        creation: &Creation,
    ) -> Result<Option<Acted>, Trouble> {
        let Some(looked_at) = creation.looked_at else { return Ok(Some(Acted::ObserveFirst)) };
        let times = self.times();
        match journal::permit(subject.pending(), &creation.token, looked_at, &times, &creation.limits) {
            Permit::Look => Ok(Some(Acted::ObserveFirst)),
            Permit::Wait(until) => {
                say_in_doubt(subject, creation, &times);
                Ok(Some(Acted::Settled(Requeue::After(until.duration_since(times.now)))))
            }
            Permit::Send => self.wait_for_others(subject, creation.operation, &creation.limits).await,
        }
    }

    /// Waits for the budget; true when the basis of the decision is unchanged and the account belongs to this
    /// `OtaCloud` alone.
    async fn may_create<S: Subject>(
        &mut self,
        subject: &S,
        creation: &Creation,
        basis: &Basis,
    ) -> Result<bool, Trouble> {
        if !self.may_send(basis).await? {
            return Ok(false);
        }
        let object = subject.object();
        self.check_sole_account(&object).await?;
        Ok(creation.operation != CreateOperation::CreateJob || self.has_no_new_rival(&object, basis).await?)
    }

    /// True when no rollout has come since the decision that may own devices which it sends something.
    async fn has_no_new_rival(&self, object: &Object, basis: &Basis) -> Result<bool, Trouble> {
        let Object::Rollout(rollout) = object else { return Ok(true) };
        let named = object.key().sibling(Kind::OtaPackage, &rollout.spec.package_ref.name);
        let Some(package) = self.package(&named).await? else { return Ok(false) };
        let rivals = self.others_of(rollout, &package).await?;
        Ok(rivals.iter().all(|(rival, _)| basis.has(&rival.key())))
    }

    /// The request as refusals are remembered by.
    fn attempt_of<'a>(&self, creation: &'a Creation) -> Attempt<'a> {
        let account_generation = self.worker.link.as_ref().and_then(|link| link.wanted.generation());
        Attempt {
            call: &creation.call,
            digest: &creation.asked,
            account_generation: account_generation.unwrap_or(0),
            at: self.now(),
        }
    }

    fn intent_of(&self, creation: &Creation) -> Intent {
        let mut intent = journal::intent(
            &creation.token,
            creation.operation,
            creation.stage.clone(),
            &request_of(&creation.call),
            self.now(),
        );
        if let Call::CreateJob(new) = &creation.call {
            let has_no_token = creation.limits.job_identity == JobIdentity::Devices;
            intent.likeness =
                has_no_token.then(|| fingerprint::of_new(new, self.worker.inventory.jobs.all()));
            intent.package_id = creation.limits.lists_jobs_by_package.then(|| new.package_id.clone());
        }
        intent
    }

    /// Uploads the files of a package where the cloud needs them first. This is outside the journal, because the cloud
    /// removes files that no package uses.
    async fn with_bytes(&mut self, mut creation: Creation) -> Result<Creation, Trouble> {
        let Call::CreatePackage(NewPackage { key, artifact, .. }) = &mut creation.call else {
            return Ok(creation);
        };
        if creation.limits.uploads != Uploads::Before {
            return Ok(creation);
        }
        let mut caller = self.caller().await?;
        if key.module.is_some() {
            caller.call(&Call::CheckModule { package: key.clone() }).await?;
        }
        if let NewArtifact::File(file) = artifact {
            let (file, handle) = (file.clone(), caller.upload(key, file).await?);
            *artifact = NewArtifact::Uploaded { file, handle };
        } else if let NewArtifact::Files(files) = artifact {
            for file in files {
                file.handle = Some(caller.upload(key, &file.file).await?);
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
    ) -> Result<Acted, Trouble> {
        let now = self.now();
        let error = match result {
            Ok(reply) if self.confirm(subject, creation, &reply, now) => {
                self.worker.save(creation.at("PackageCreated", "JobCreated"), &subject.object()).await?;
                return Ok(Acted::DecideAgain);
            }
            Ok(_) => CallError::new(
                ErrorClass::Unintelligible,
                creation.call.operation(),
                "the reply does not match the request",
            )
            .maybe_effective(),
            Err(error) => error,
        };
        if error.effect == Effect::Unknown {
            journal::doubt(subject.pending(), &creation.token, now, &self.clocks());
            say_in_doubt(subject, creation, &self.times());
            tracing::warn!(token = creation.token, "{error}");
            self.worker.save(creation.at("PackageInDoubt", "JobInDoubt"), &subject.object()).await?;
            return Ok(Acted::Settled(Requeue::After(journal::LOOK_AGAIN)));
        }
        journal::settle(subject.pending(), &creation.token);
        self.worker.save(creation.at("PackageRefused", "JobRefused"), &subject.object()).await?;
        Err(error.into())
    }

    /// Records what was created; false when the reply does not match the request.
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
                self.worker.inventory.packages.add(package.clone(), now);
            }
            (Call::CreateJob(new), Reply::Job(job)) => {
                let (stage, uptime) = (creation.stage.as_deref(), self.clocks().uptime(now));
                let created = Created::Job { stage, job: new, id: &job.id, uptime };
                subject.confirm(&created, now);
                self.worker.inventory.jobs.add(job.clone(), now);
            }
            _ => return false,
        }
        true
    }
}

fn say_in_doubt<S: Subject>(subject: &mut S, creation: &Creation, times: &Times) {
    let Some(intent) = subject.pending().iter().find(|intent| intent.token == creation.token) else { return };
    let settles_at = journal::settles_at(intent, times, &creation.limits);
    let what = match &creation.stage {
        Some(stage) => format!("{} for stage {stage}", creation.call.operation()),
        None => creation.call.operation().to_owned(),
    };
    let message = format!(
        "the outcome of {what}, sent at {}, is unknown: searching for {} until {} before it is sent again",
        time_text(intent.at),
        looked_for(intent),
        time_text(settles_at)
    );
    subject.say(Reason::OutcomeUnknown, &message, times.now);
}

fn looked_for(intent: &Intent) -> String {
    match intent.likeness {
        Some(_) => "a new job for the same devices".to_owned(),
        None => format!("idempotency key {}", intent.token),
    }
}

/// The request that the digest of an intent is computed from.
pub(super) fn request_of(call: &Call) -> serde_json::Value {
    match call {
        Call::CreatePackage(package) => serde_json::to_value(package),
        Call::CreateJob(job) => serde_json::to_value(job),
        _ => Ok(serde_json::Value::Null),
    }
    .unwrap_or_default()
}
