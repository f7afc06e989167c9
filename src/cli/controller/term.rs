//! One term of this process as leader, and its log.

use super::ports;
use crate::api::Scope;
use crate::cli::ports::SystemClock;
use crate::cloud::{TransportError, address::AllowedHost};
use crate::engine::drive::cluster::{Broken, Term as Work, Told};
use crate::engine::ports::Leader;
use crate::engine::{Engine, Report};
use crate::source::kubernetes::{Means, Patience, watch};
use crate::state::StateError;
use crate::state::kubernetes::{Cluster, events::Bulletin, lease::Held, shard::Shard};
use crate::web::{Board, Reconciled, Role};
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::Client;
use kube::runtime::watcher;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Grace period for what is in flight at the end; the next leader searches for the outcome of a call that is cut off. Less than
/// the 30 seconds that a Pod has to terminate.
const GRACE: Duration = Duration::from_secs(20);
/// How often it is checked whether the machine's clock was set, and failed reports are repeated.
const CHECK: Duration = Duration::from_secs(30);

/// What every term starts with.
pub(super) struct Setup {
    pub(super) client: Client,
    /// Name of this process among the controllers.
    pub(super) identity: String,
    pub(super) held: Held,
    pub(super) namespaces: Vec<String>,
    pub(super) artifacts: Option<PathBuf>,
    pub(super) allowed_hosts: Vec<AllowedHost>,
    pub(super) clock: SystemClock,
    pub(super) board: Arc<Board>,
}

/// Why a term ended.
pub(super) enum Ended {
    /// Another controller leads, or may lead.
    Deposed,
    /// The machine's clock was set: times that were measured by it no longer count.
    ClockSet,
    /// The state failed.
    Failed(StateError),
}

pub(super) struct Term {
    work: Work,
    board: Arc<Board>,
    clock: SystemClock,
}

impl Term {
    pub(super) fn begin(setup: &Setup, share: Shard) -> Result<Self, TransportError> {
        let clock = setup.clock.restarted();
        let bulletin = Arc::new(Bulletin::new(setup.client.clone(), setup.identity.clone()));
        let leader = Leader { held: setup.held.clone(), share };
        let ports =
            ports::of(setup.client.clone(), leader, clock, bulletin.clone(), setup.allowed_hosts.clone())?;
        let cluster =
            Arc::new(Cluster::new(setup.client.clone(), setup.held.clone(), setup.artifacts.clone()));
        setup.board.set_role(Role::Listing, Some((cluster.clone(), share)));
        let means = Means { has_files: setup.artifacts.is_some() };
        let scopes = Scope::of_namespaces(&setup.namespaces);
        let seen = watch(&setup.client, &scopes, means, &Patience::default());
        let engine = Engine::new(cluster.clone(), ports);
        let tell = move |broken: &Broken| bulletin.take_broken(&broken.key, &broken.meta, &broken.why);
        let work = Work::new(cluster, engine, (scopes, seen.boxed()), Box::new(tell));
        Ok(Self { work, board: setup.board.clone(), clock })
    }

    /// Works until the term ends. May be dropped at any `.await`.
    pub(super) async fn work(&mut self) -> Ended {
        let mut check = tokio::time::interval(CHECK);
        loop {
            match self.work.overdue() {
                None => self.board.beat(),
                Some(account) => tracing::error!(%account, "the worker of this account makes no progress"),
            }
            let step = tokio::select! {
                step = self.work.next() => step,
                _ = check.tick() => {
                    if self.clock.is_off(Timestamp::now()) {
                        return Ended::ClockSet;
                    }
                    self.work.say_again();
                    continue;
                }
            };
            match self.work.take(step).await {
                Ok(told) => self.tell(&told),
                Err(error) => return Ended::Failed(error),
            }
        }
    }

    fn tell(&self, told: &Told) {
        match told {
            Told::Known(objects) => {
                tracing::info!(objects, "all objects are loaded");
                self.board.set_leading();
            }
            Told::Turn(report) => {
                self.board.metrics.reconciled(&turn_of(report));
                log(report);
            }
            Told::WatchFailed(scope, error) => {
                self.board.metrics.watch_failed(scope.kind);
                log_failure(scope, error);
            }
            Told::Nothing => {}
        }
    }

    /// Starts nothing new, and lets what is in flight finish.
    pub(super) async fn stop(mut self) {
        if tokio::time::timeout(GRACE, self.work.stop()).await.is_err() {
            tracing::warn!(
                "a call was interrupted: its outcome is unknown, and the next leader searches for it"
            );
        }
        self.cut_off().await;
    }

    /// Aborts all work where it waits.
    pub(super) async fn cut_off(self) {
        self.work.cut_off().await;
    }
}

fn turn_of(report: &Report) -> Reconciled<'_> {
    Reconciled {
        kind: report.key.kind,
        account: &report.account,
        changed: report.changed,
        error: report.error.as_ref().map(|error| error.class.as_str()),
        state_failed: report.state_failed,
        took: report.took.unsigned_abs(),
        queued: report.queued,
        calls: &report.calls,
        rate_milli: report.rate_milli,
    }
}

fn log(report: &Report) {
    let error = report.error.as_ref().map(ToString::to_string);
    if report.changed || error.is_some() {
        tracing::info!(object = %report.key, error, "reconciled");
    } else {
        tracing::debug!(object = %report.key, "unchanged");
    }
}

fn log_failure(scope: &Scope, error: &watcher::Error) {
    if let watcher::Error::InitialListFailed(kube::Error::Api(status)) = error
        && status.code == 404
    {
        tracing::warn!(
            "the cluster does not serve {scope}: run `rollwave crds | kubectl apply --server-side -f -`"
        );
    } else {
        tracing::warn!("the watch of {scope} failed and is restarted: {error}");
    }
}
