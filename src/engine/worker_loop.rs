//! The loop of a worker: the next due object, its reconcile, and what follows from the result.

use super::context::Reconcile;
use super::freshness::Evidence;
use super::outage::Suspicion;
use super::priority::Priority;
use super::stages::Reconciled;
use super::trouble::Trouble;
use super::worker::{Report, Worker};
use crate::api::{ObjectKey, Reason};
use crate::cloud::{CallError, ErrorClass};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::{self, error::TryRecvError};
use tracing::Instrument as _;

/// How often a Secret that does not exist is looked up.
const SECRET_RETRY: SignedDuration = SignedDuration::from_secs(15);

impl Worker {
    /// Works until the sender of `wakes` is dropped.
    pub async fn run(
        mut self,
        mut wakes: mpsc::UnboundedReceiver<ObjectKey>,
        reports: mpsc::UnboundedSender<Report>,
    ) {
        loop {
            loop {
                match wakes.try_recv() {
                    Ok(key) => self.wake(key),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            let now = self.ports.clock.now();
            if let Some((key, priority)) = self.queue.pop(now) {
                self.heartbeat.moves(now);
                let report = self.reconcile(key, priority).await;
                if report.is_some_and(|report| reports.send(report).is_err()) {
                    return;
                }
                continue;
            }
            self.heartbeat.rests();
            let due = self.queue.next_due().unwrap_or(Timestamp::MAX);
            tokio::select! {
                biased;
                woken = wakes.recv() => match woken {
                    Some(key) => self.wake(key),
                    None => return,
                },
                () = self.ports.clock.sleep_until(due) => {}
            }
        }
    }

    /// Reconciles one object; none when it was interrupted and continues after more urgent ones.
    async fn reconcile(&mut self, key: ObjectKey, priority: Priority) -> Option<Report> {
        // Another worker reports when it is done, and then the object comes to the worker that it belongs to.
        let _claim = self.claims.claim(&key)?;
        let (now, successes) = (self.ports.clock.now(), self.successes());
        let since = self.interrupted.remove(&key).unwrap_or((now, Evidence::Known));
        let mut context = Reconcile::new(self, priority, since);
        let span = tracing::info_span!("reconcile", object = %key);
        let result = context.run(&key).instrument(span).await;
        let since = (context.began, context.evidence);
        let has_succeeded = self.successes() > successes;
        if has_succeeded && self.outage.note_success() {
            self.observe_account(now);
        }
        if let Err(Trouble::Yield) = result {
            self.interrupted.insert(key.clone(), since);
            self.queue.push(key, priority.max(Priority::Verify), now);
            return None;
        }
        let failure = match &result {
            Err(Trouble::Call(error) | Trouble::Outage(error)) => Some(self.outage.as_shown(error)),
            _ => None,
        };
        let reported = match &failure {
            Some(error) => Reconcile::new(self, priority, since).report_failure(&key, error).await,
            None => false,
        };
        let state_failed = matches!(result, Err(Trouble::State(_)));
        let changed = self.end(&key, priority, result, has_succeeded) || reported;
        Some(Report { changed, error: failure, state_failed, ..self.report(key, now) })
    }

    /// Queues the next reconcile of the object; returns whether the reconcile changed its status.
    fn end(
        &mut self,
        key: &ObjectKey,
        priority: Priority,
        result: Result<Reconciled, Trouble>,
        has_succeeded: bool,
    ) -> bool {
        let now = self.ports.clock.now();
        match result {
            Ok(reconciled) => {
                self.queue.succeeded(key);
                if let Some((priority, due)) = reconciled.requeue {
                    self.queue.push(key.clone(), priority, due);
                }
                return reconciled.changed;
            }
            Err(Trouble::Call(error)) => self.back_off(key, priority, &error, has_succeeded),
            Err(Trouble::Outage(_)) => self.queue.push(key.clone(), priority, self.outage.over(now)),
            Err(Trouble::State(error)) => {
                tracing::error!(object = %key, "{error}");
                let due = self.queue.failed(key, now, self.ports.rng.as_ref(), None);
                self.queue.push(key.clone(), priority, due);
            }
            Err(Trouble::Yield) => {}
        }
        false
    }

    fn back_off(&mut self, key: &ObjectKey, priority: Priority, error: &CallError, has_succeeded: bool) {
        let now = self.ports.clock.now();
        let is_account = *key == self.cloud;
        let due = match error.reason {
            // Reading a Secret costs the account nothing, and it may be created at any moment.
            Some(Reason::SecretMissing) if is_account => now.saturating_add(SECRET_RETRY).unwrap_or(now),
            _ => self.queue.failed(key, now, self.ports.rng.as_ref(), error.retry_after),
        };
        // Other due objects come first: a call that always fails would delay them again and again.
        let priority = if is_account { priority } else { priority.max(Priority::Drift) };
        self.queue.push(key.clone(), priority, due);
        // An account that has just answered another request is reachable.
        if has_succeeded {
            return;
        }
        match self.outage.note_failure(is_account, error, now) {
            Suspicion::None => {}
            // Before any other object.
            Suspicion::Probe => self.observe_account(Timestamp::MIN),
            Suspicion::Outage(until) => {
                if let Some(link) = self.link.as_mut().filter(|_| error.class == ErrorClass::Unauthorized) {
                    link.refused = true;
                }
                self.observe_account(until);
            }
        }
    }
}
