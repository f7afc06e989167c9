//! Creating what must never be created twice: through the journal.

use super::act::Acted;
use super::basis::Basis;
use super::journal::{self, Permit, Times};
use super::likeness;
use super::queue::Class;
use super::subject::{Created, Subject};
use super::worker::{Trouble, Worker};
use crate::api::{CreateOperation, Intent, Reason, time_text};
use crate::cloud::{
    Call, CallError, Capabilities, Effect, ErrorClass, JobIdentity, NewArtifact, NewJob, NewPackage, Reply,
    Uploads,
};
use crate::decide::Requeue;
use jiff::Timestamp;

/// Something that must be created once.
struct Creation {
    token: String,
    operation: CreateOperation,
    stage: Option<String>,
    call: Call,
    /// Digest of the request, before files were handed over for it.
    asked: String,
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

impl Worker {
    fn package_creation(&self, token: String, package: NewPackage) -> Creation {
        let looked_at = self.inventory.packages.seen_at(&package.key);
        let call = Call::CreatePackage(package);
        let (operation, asked) = (CreateOperation::CreatePackage, journal::digest(&request_of(&call)));
        Creation { token, operation, stage: None, call, asked, looked_at }
    }

    fn job_creation(&self, stage: Option<String>, job: NewJob) -> Creation {
        let (token, looked_at) = (job.token.clone(), self.inventory.jobs.oldest_list());
        let call = Call::CreateJob(job);
        let (operation, asked) = (CreateOperation::CreateJob, journal::digest(&request_of(&call)));
        Creation { token, operation, stage, call, asked, looked_at }
    }

    pub(super) async fn create_package<S: Subject>(
        &mut self,
        subject: &mut S,
        (token, package): (String, NewPackage),
        basis: &Basis,
        class: Class,
    ) -> Result<Acted, Trouble> {
        let creation = self.package_creation(token, package);
        self.create(subject, creation, basis, class).await
    }

    pub(super) async fn create_job<S: Subject>(
        &mut self,
        subject: &mut S,
        (stage, job): (Option<String>, NewJob),
        basis: &Basis,
        class: Class,
    ) -> Result<Acted, Trouble> {
        let creation = self.job_creation(stage, job);
        self.create(subject, creation, basis, class).await
    }

    async fn create<S: Subject>(
        &mut self,
        subject: &mut S,
        creation: Creation,
        basis: &Basis,
        class: Class,
    ) -> Result<Acted, Trouble> {
        let limits = self.connect().await?.account.cloud().capabilities().clone();
        if let Some(wait) = self.wait_to_create(subject, &creation, &limits).await? {
            return Ok(wait);
        }
        self.check_refused(subject, &creation.asked, creation.call.operation())?;
        self.check_limits(&creation.call).await?;
        let creation = self.with_bytes(creation, &limits, class).await?;
        // Before the intent: it counts from when it is written, and a budget may let wait for minutes.
        if !self.may_create(subject, &creation, basis, class).await? {
            return Ok(Acted::PlanAgain);
        }
        let intent = self.intent_of(&creation, &limits);
        journal::intend(subject.pending(), intent);
        self.save(creation.at("PackageIntent", "JobIntent"), &subject.object()).await?;
        // The write may have taken long, and in a cluster it shows what users have written meanwhile.
        if !self.still_stands(basis).await? {
            journal::settle(subject.pending(), &creation.token);
            self.save(creation.at("PackageRefused", "JobRefused"), &subject.object()).await?;
            return Ok(Acted::PlanAgain);
        }
        let closes = subject.closes(creation.stage.as_deref(), self.ports.clock.now());
        let result = self.connect().await?.account.create(&creation.call, class, closes).await;
        if let Err(error) = &result {
            self.note_refusal(subject, &creation.call, &creation.asked, error);
        }
        let acted = self.take_answer(subject, &creation, result, &limits).await;
        if let Err(Trouble::State(_)) = acted {
            self.count_anew();
        }
        acted
    }

    /// A call that breaks a documented limit of the cloud never leaves, and needs no journal.
    async fn check_limits(&mut self, call: &Call) -> Result<(), Trouble> {
        self.connect().await?.account.cloud().render(call)?;
        Ok(())
    }

    /// What a create waits for, by the journal and by what other objects have sent; none when it may leave.
    async fn wait_to_create<S: Subject>(
        &mut self,
        subject: &mut S,
        creation: &Creation,
        limits: &Capabilities,
    ) -> Result<Option<Acted>, Trouble> {
        let Some(looked_at) = creation.looked_at else { return Ok(Some(Acted::LookFirst)) };
        let times = self.times();
        match journal::permit(subject.pending(), &creation.token, looked_at, &times, limits) {
            Permit::Look => Ok(Some(Acted::LookFirst)),
            Permit::Wait(until) => {
                say_in_doubt(subject, creation, limits, &times);
                Ok(Some(Acted::Settled(Requeue::After(until.duration_since(times.now)))))
            }
            Permit::Send => self.wait_for_others(subject, creation.operation, limits).await,
        }
    }

    /// Waits for the budget; true when everything that the create was decided by is as it was, and the account is nobody else's.
    async fn may_create<S: Subject>(
        &mut self,
        subject: &S,
        creation: &Creation,
        basis: &Basis,
        class: Class,
    ) -> Result<bool, Trouble> {
        if !self.may_leave(basis, class).await? {
            return Ok(false);
        }
        let object = subject.object();
        self.check_sole_account(&object).await?;
        Ok(creation.operation != CreateOperation::CreateJob || self.has_no_new_rival(&object, basis).await?)
    }

    fn intent_of(&self, creation: &Creation, limits: &Capabilities) -> Intent {
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
        intent
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
            return Ok(Acted::Settled(Requeue::After(journal::LOOK_AGAIN)));
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
                let (stage, uptime) = (creation.stage.as_deref(), self.clocks().uptime(now));
                let created = Created::Job { stage, job: new, id: &job.id, uptime };
                subject.confirm(&created, now);
                self.inventory.jobs.add(job.clone(), now);
            }
            _ => return false,
        }
        true
    }
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
    subject.say(Reason::OutcomeUnknown, &message, times.now);
}

fn looked_for(intent: &Intent) -> String {
    match intent.likeness {
        Some(_) => "a new job for the same devices".to_owned(),
        None => format!("token {}", intent.token),
    }
}

/// What the digest of an intent is taken over.
pub(super) fn request_of(call: &Call) -> serde_json::Value {
    match call {
        Call::CreatePackage(package) => serde_json::to_value(package),
        Call::CreateJob(job) => serde_json::to_value(job),
        _ => Ok(serde_json::Value::Null),
    }
    .unwrap_or_default()
}
