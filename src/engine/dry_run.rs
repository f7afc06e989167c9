//! What would be done, without doing it: load ▸ observe ▸ preview for every object. Reads from the clouds, changes
//! nothing.

use super::context::Reconcile;
use super::freshness::Evidence;
use super::graph::Graph;
use super::observe::observed::{ObservedPackage, ObservedRollout};
use super::ports::Ports;
use super::priority::Priority;
use super::trouble::Trouble;
use super::worker::Worker;
use crate::api::{Budget, Kind, Object, ObjectKey, OtaPackage, OtaRollout, Period, Reason};
use crate::cloud::transport::file;
use crate::cloud::{Call, CallError, ErrorClass, NewJob, WireRequest};
use crate::decide::needs::{self, Need};
use crate::decide::package::local_files;
use crate::decide::preview::{self, End, Estimate, Preview, PreviewStage, Risk};
use crate::decide::{Action, POLL};
use crate::state::{StateError, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What would be done for one object.
#[derive(Debug)]
pub struct Surveyed {
    /// The object.
    pub key: ObjectKey,
    /// The account that it belongs to.
    pub account: ObjectKey,
    /// What would be done; or why it is unknown.
    pub forecast: Result<Forecast, CallError>,
}

/// What would be done, in the cloud's own requests.
#[derive(Debug)]
pub struct Forecast {
    /// Orders, in order.
    pub orders: Vec<Order>,
    /// Stages with their devices; empty for a package.
    pub stages: Vec<PreviewStage>,
    /// What the soaks of the stages that are still to be sent add up to.
    pub soaks: Period,
    /// How far a bad build would get; none once something was sent, and for a package.
    pub risk: Option<Risk>,
    /// What a user should know before it begins.
    pub warnings: Vec<String>,
    /// What cannot be undone.
    pub irreversible: Vec<String>,
    /// What must be observed while it runs, and the cost of one observation.
    pub watching: Vec<(Need, Estimate)>,
    /// Where it would end.
    pub end: End,
}

/// One order to a cloud.
#[derive(Debug)]
pub struct Order {
    /// `now`, or after what.
    pub when: String,
    /// The call; none for removing the object, which concerns no cloud.
    pub call: Option<Call>,
    /// The requests of the call, without authentication.
    pub requests: Vec<WireRequest>,
}

/// Everything that was surveyed, and what the observations cost.
#[derive(Debug, Default)]
pub struct DryRun {
    /// Every object, in the order of the keys.
    pub objects: Vec<Surveyed>,
    /// Read calls that were made for it, by operation.
    pub calls: BTreeMap<&'static str, u64>,
    /// The budget of each account.
    pub budgets: BTreeMap<ObjectKey, Budget>,
}

/// The calls of one account, and its budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Calls that change something.
    pub order_calls: u64,
    /// Read calls of one observation of everything in progress; objects share observations. 0 when nothing is in
    /// progress.
    pub calls_per_look: u64,
    /// How often it is observed, at most.
    pub look_every: Period,
    /// The budget of the account.
    pub budget: Budget,
}

impl DryRun {
    /// True when there is something to do.
    #[must_use]
    pub fn has_orders(&self) -> bool {
        self.forecasts().any(|(_, forecast)| !forecast.orders.is_empty())
    }

    /// How many orders of each kind would be given.
    #[must_use]
    pub fn orders_by_operation(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for order in self.forecasts().flat_map(|(_, forecast)| &forecast.orders) {
            *counts.entry(order.operation()).or_default() += 1;
        }
        counts
    }

    /// Devices that would be sent something, each counted once.
    #[must_use]
    pub fn devices(&self) -> usize {
        let sent = self.forecasts().flat_map(|(object, forecast)| {
            let devices = forecast.orders.iter().flat_map(Order::devices);
            devices.map(|device| (&object.account, device.as_str()))
        });
        sent.collect::<BTreeSet<_>>().len()
    }

    /// The least time it takes: that of the longest of the rollouts, which run concurrently.
    #[must_use]
    pub fn soaks(&self) -> Period {
        let soaks = self.forecasts().map(|(_, forecast)| forecast.soaks.as_secs());
        Period::seconds(soaks.max().unwrap_or(0))
    }

    /// Read calls that were made for it, all together.
    #[must_use]
    pub fn calls_made(&self) -> u64 {
        self.calls.values().sum()
    }

    /// The calls of each account.
    #[must_use]
    pub fn loads(&self) -> BTreeMap<&ObjectKey, Load> {
        self.budgets.iter().map(|(account, budget)| (account, self.load(account, *budget))).collect()
    }

    fn load(&self, account: &ObjectKey, budget: Budget) -> Load {
        let of_account = || self.forecasts().filter(|(object, _)| object.account == *account);
        let requests = |order: &Order| order.requests.len() as u64;
        let active = of_account().filter(|(_, forecast)| !forecast.orders.is_empty());
        let mut looks: BTreeMap<(&Need, &str), u64> = BTreeMap::new();
        for (need, look) in active.flat_map(|(_, forecast)| &forecast.watching) {
            let calls = looks.entry((need, look.operation)).or_default();
            *calls = look.calls.max(*calls);
        }
        Load {
            order_calls: of_account().flat_map(|(_, forecast)| &forecast.orders).map(requests).sum(),
            calls_per_look: looks.values().sum(),
            look_every: Period::seconds(u64::try_from(POLL.as_secs()).unwrap_or(0)),
            budget,
        }
    }

    fn forecasts(&self) -> impl Iterator<Item = (&Surveyed, &Forecast)> {
        self.objects
            .iter()
            .filter_map(|object| object.forecast.as_ref().ok().map(|forecast| (object, forecast)))
    }
}

impl Order {
    /// Name of the operation: `CreatePackage`; `Release` for removing the object.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.call.as_ref().map_or("Release", Call::operation)
    }

    /// Number of devices that it sends something to; none for everything but a job.
    #[must_use]
    pub fn devices(&self) -> &[String] {
        match &self.call {
            Some(Call::CreateJob(job)) => &job.devices,
            _ => &[],
        }
    }
}

/// Surveys every object of a store, which is not changed.
///
/// # Errors
/// The state's error.
pub async fn survey(store: Arc<dyn Store>, ports: Ports) -> Result<DryRun, StateError> {
    let mut surveyor = Surveyor { store, ports, workers: BTreeMap::new(), packages: BTreeMap::new() };
    let mut survey = DryRun::default();
    for object in Graph(surveyor.store.clone().as_ref()).all().await? {
        let account = Graph(surveyor.store.as_ref()).account_of(&object).await?;
        let forecast = loop {
            match surveyor.forecast(&object, &account).await {
                Ok(forecast) => break Ok(forecast),
                Err(Trouble::Call(error) | Trouble::Outage(error)) => break Err(error),
                Err(Trouble::State(error)) => return Err(error),
                // Nothing is more urgent here.
                Err(Trouble::Yield) => {}
            }
        };
        survey.objects.push(Surveyed { key: object.key(), account, forecast });
    }
    for (account, worker) in &surveyor.workers {
        let Some(link) = &worker.link else { continue };
        survey.budgets.insert(account.clone(), link.account.limit());
        for ((operation, _), calls) in link.account.calls() {
            *survey.calls.entry(operation).or_default() += calls;
        }
    }
    Ok(survey)
}

struct Surveyor {
    store: Arc<dyn Store>,
    ports: Ports,
    workers: BTreeMap<ObjectKey, Worker>,
    /// Packages as they would be after their orders.
    packages: BTreeMap<ObjectKey, OtaPackage>,
}

impl Surveyor {
    async fn forecast(&mut self, object: &Object, account: &ObjectKey) -> Result<Forecast, Trouble> {
        let (store, ports) = (self.store.clone(), self.ports.clone());
        let new = || Worker::new(account.clone(), store, ports);
        let worker = self.workers.entry(account.clone()).or_insert_with(new);
        // One observation serves the whole survey, so that all of it is one reconcile.
        let since = (worker.born, Evidence::Known);
        let mut reconcile = Reconcile::new(worker, Priority::UserChange, since);
        reconcile.check_sole_account(object).await?;
        match object {
            Object::Cloud(_) => reconcile.answer().await,
            Object::Package(package) => {
                let (forecast, after) = reconcile.forecast_package(package).await?;
                self.packages.insert(object.key(), after);
                Ok(forecast)
            }
            Object::Rollout(rollout) => {
                let named = object.key().sibling(Kind::OtaPackage, &rollout.spec.package_ref.name);
                let package = match self.packages.get(&named) {
                    Some(planned) => Some(planned.clone()),
                    None => reconcile.package(&named).await?,
                };
                reconcile.forecast_rollout(rollout, package.as_ref()).await
            }
        }
    }
}

impl Reconcile<'_> {
    async fn answer(&mut self) -> Result<Forecast, Trouble> {
        self.connect().await?;
        self.check_answers().await?;
        Ok(Forecast {
            orders: Vec::new(),
            stages: Vec::new(),
            soaks: Period::seconds(0),
            risk: None,
            warnings: Vec::new(),
            irreversible: Vec::new(),
            watching: Vec::new(),
            end: End::Converged,
        })
    }

    async fn forecast_package(&mut self, package: &OtaPackage) -> Result<(Forecast, OtaPackage), Trouble> {
        if let Some(why) = self.refusal_of(package.metadata.namespace.as_deref()).await? {
            let error = CallError::new(ErrorClass::Invalid, "Connect", why);
            return Err(error.because(Reason::NamespaceNotAllowed).into());
        }
        let mut observed = self.observe_package(package).await?;
        self.connect().await?;
        let mut preview = self.preview_package(package, &observed)?;
        observed.unasked_jobs = self.unasked_before(&preview.steps);
        if observed.unasked_jobs > 0 {
            preview = self.preview_package(package, &observed)?;
        }
        if new_packages(&preview.steps) > 0 {
            check_files(package)?;
        }
        let after = preview.object.clone();
        Ok((self.priced(preview, &needs::for_package(package), package)?, after))
    }

    fn preview_package(
        &self,
        package: &OtaPackage,
        observed: &ObservedPackage,
    ) -> Result<Preview<OtaPackage>, Trouble> {
        let view = self.package_view(package, observed).ok_or_else(|| self.worker.no_cloud())?;
        Ok(preview::package(&view))
    }

    async fn forecast_rollout(
        &mut self,
        rollout: &OtaRollout,
        package: Option<&OtaPackage>,
    ) -> Result<Forecast, Trouble> {
        let mut observed = self.observe_rollout(rollout, package).await?;
        let waits = !package.is_some_and(|package| self.is_there(package));
        let preview_of = |observed: &ObservedRollout| {
            preview::rollout(&self.rollout_view(rollout, package, observed), waits)
        };
        let mut preview = preview_of(&observed);
        observed.unasked_jobs = self.unasked_before(&preview.steps);
        if observed.unasked_jobs > 0 {
            preview = preview_of(&observed);
        }
        let rivals = observed.rivals.seen();
        let Some(package) = package else { return self.unpriced(preview) };
        let mut needs = needs::for_rollout(rollout, package);
        needs.extend(rivals.iter().flat_map(|rival| needs::target_sets(rival.rollout).map(Need::Set)));
        self.priced(preview, &needs, package)
    }

    /// External jobs that would have to be queried before the first of these jobs, when they are too many.
    fn unasked_before(&self, steps: &[preview::Step]) -> usize {
        new_jobs(steps).next().and_then(|job| self.questions(job).err()).unwrap_or(0)
    }

    /// True when the cloud holds the package already, verified: it can be sent at once.
    fn is_there(&self, package: &OtaPackage) -> bool {
        let id = package.status.as_ref().and_then(|status| status.package_id.as_deref());
        id.is_some_and(|id| id != preview::KNOWN_AFTER_CREATE) && needs::is_dispatchable(package)
    }

    /// What an observation will have to read, based on what was read just now.
    fn known(&self, package: &OtaPackage, steps: &[preview::Step]) -> preview::Known {
        let key = needs::package_key(package);
        let jobs = &self.worker.inventory.jobs;
        let new = new_jobs(steps).map(|job| job.devices.len());
        let ours = jobs.of(key.kind).filter(|job| job.token.is_some()).map(|job| job.devices.len());
        let fleet = self.worker.inventory.devices.of_product(&key.scope());
        let asked = new_jobs(steps)
            .filter_map(|job| self.questions(job).ok())
            .max_by_key(|questions| questions.iter().map(|question| question.devices.len()).sum::<usize>());
        preview::Known {
            devices: fleet.map_or(0, |(_, devices)| devices.len()),
            jobs: jobs.of(key.kind).count() + new.clone().count(),
            other_jobs: jobs.of(key.kind.other()).count(),
            job_list_calls: jobs.list_calls(key.kind),
            devices_of_jobs: ours.chain(new).collect(),
            devices_asked_for: asked.iter().flatten().map(|question| question.devices.len()).collect(),
        }
    }

    fn priced<O>(
        &self,
        preview: Preview<O>,
        needs: &[Need],
        package: &OtaPackage,
    ) -> Result<Forecast, Trouble> {
        let known = self.known(package, &preview.steps);
        let watching = self.capabilities().map(|limits| preview::watching(needs, limits, &known));
        Ok(Forecast { watching: watching.unwrap_or_default(), ..self.unpriced(preview)? })
    }

    fn unpriced<O>(&self, preview: Preview<O>) -> Result<Forecast, Trouble> {
        let orders =
            preview.steps.into_iter().map(|step| self.order(step)).collect::<Result<_, CallError>>()?;
        Ok(Forecast {
            orders,
            stages: preview.stages,
            soaks: preview.soaks,
            risk: preview.risk,
            warnings: preview.warnings,
            irreversible: preview.irreversible,
            watching: Vec::new(),
            end: preview.end,
        })
    }

    fn order(&self, step: preview::Step) -> Result<Order, CallError> {
        let call = match step.action {
            Action::CreatePackage { package, .. } => Some(Call::CreatePackage(package)),
            Action::CreateJob { job, .. } => Some(Call::CreateJob(job)),
            Action::DeletePackage { id } => Some(Call::DeletePackage { id }),
            Action::StopJob { id } => Some(Call::StopJob { id }),
            Action::DeleteJob { id } => Some(Call::DeleteJob { id }),
            Action::Release => None,
        };
        let requests = match (&call, &self.worker.link) {
            (Some(call), Some(link)) => link.account.cloud().render(call)?,
            _ => Vec::new(),
        };
        Ok(Order { when: step.when, call, requests })
    }
}

/// Checks the files that would be uploaded: an order would fail on a file that is not the expected one.
fn check_files(package: &OtaPackage) -> Result<(), CallError> {
    for (field, file) in local_files(package) {
        file::open_checked(&file).map_err(|error| {
            CallError::new(ErrorClass::Invalid, "CreatePackage", format!("{field}: {error}"))
                .next_step("put the right file in place, or correct spec.artifact")
        })?;
    }
    Ok(())
}

fn new_packages(steps: &[preview::Step]) -> usize {
    steps.iter().filter(|step| matches!(step.action, Action::CreatePackage { .. })).count()
}

fn new_jobs(steps: &[preview::Step]) -> impl Iterator<Item = &NewJob> + Clone {
    steps.iter().filter_map(|step| match &step.action {
        Action::CreateJob { job, .. } => Some(job),
        _ => None,
    })
}
