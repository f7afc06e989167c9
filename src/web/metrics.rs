//! Figures for Prometheus; `docs/reference/metrics.md` lists them. A label has as many values as there are accounts, rollouts or
//! operations, and never as many as devices.

use super::process::Process;
use crate::api::{
    CreateOperation, Health, IN_SYNC, IntentState, Kind, Object, ObjectKey, OtaPackage, StageCounts,
    find_condition,
};
use prometheus_client::encoding::text;
use prometheus_client::metrics::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info,
};
use prometheus_client::registry::Registry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge>;
type Rates = Family<Labels, Gauge<f64, AtomicU64>>;
type Counters = Family<Labels, Counter>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// One object's turn.
#[derive(Clone, Debug)]
pub struct Reconciled<'a> {
    /// Kind of the object.
    pub kind: Kind,
    /// Its account.
    pub account: &'a ObjectKey,
    /// Its status changed.
    pub changed: bool,
    /// Class of the error that ended it.
    pub error: Option<&'static str>,
    /// Its status could not be read or written.
    pub state_failed: bool,
    /// How long it took.
    pub took: Duration,
    /// Objects of the account that wait for a turn or a time.
    pub queued: usize,
    /// Calls to the account since it was connected, by operation and outcome.
    pub calls: &'a BTreeMap<(&'static str, &'static str), u64>,
    /// Calls a second that it may cost at present, in thousandths.
    pub rate_milli: Option<u64>,
}

/// Every figure.
pub struct Metrics {
    registry: Registry,
    process: Process,
    leader: Gauge,
    objects: Gauges,
    pending: Gauges,
    devices: Gauges,
    drifted: Gauges,
    queued: Gauges,
    rates: Rates,
    turns: Counters,
    errors: Counters,
    seconds: Histograms,
    calls: Counters,
    watch_failures: Counters,
    state_failures: Counters,
    named: Gauges,
    /// So many objects have a figure of their own, by name.
    most_named: usize,
    /// Accounts that have figures, and the classes of their errors.
    accounts: Mutex<BTreeMap<ObjectKey, BTreeSet<&'static str>>>,
    /// Calls that were counted already.
    counted: Mutex<BTreeMap<(ObjectKey, &'static str, &'static str), u64>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn seconds() -> Histogram {
    Histogram::new([0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            process: Process::default(),
            leader: Gauge::default(),
            objects: Gauges::default(),
            pending: Gauges::default(),
            devices: Gauges::default(),
            drifted: Gauges::default(),
            queued: Gauges::default(),
            rates: Rates::default(),
            turns: Counters::default(),
            errors: Counters::default(),
            seconds: Family::new_with_constructor(seconds),
            calls: Counters::default(),
            watch_failures: Counters::default(),
            state_failures: Counters::default(),
            named: Gauges::default(),
            most_named: 0,
            accounts: Mutex::default(),
            counted: Mutex::default(),
        };
        metrics.register();
        metrics.begin();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        self.process.register(&mut self.registry);
        let registry = self.registry.sub_registry_with_prefix("rollwave");
        registry.register("leader", "1 while this process leads", self.leader.clone());
        registry.register("objects", "Objects by kind and health", self.objects.clone());
        registry.register(
            "journal_pending",
            "Creates that are not settled, by operation and state",
            self.pending.clone(),
        );
        registry.register("rollout_devices", "Devices of a rollout by outcome", self.devices.clone());
        registry.register(
            "packages_drifted",
            "Packages that differ from what the cloud holds, by namespace and reason",
            self.drifted.clone(),
        );
        registry.register(
            "budget_calls_per_second",
            "Calls a second that an account may cost at present",
            self.rates.clone(),
        );
        registry.register(
            "queue_depth",
            "Objects of an account that wait for a turn or a time",
            self.queued.clone(),
        );
        registry.register("reconciles", "Turns of objects, by kind and result", self.turns.clone());
        registry.register(
            "errors",
            "Turns that a failed call ended, by account and class",
            self.errors.clone(),
        );
        registry.register("reconcile_seconds", "How long turns took, by kind", self.seconds.clone());
        registry.register(
            "cloud_calls",
            "Calls to a cloud, by account, operation and outcome",
            self.calls.clone(),
        );
        registry.register(
            "watch_failures",
            "Watches that failed and were restarted",
            self.watch_failures.clone(),
        );
        registry.register(
            "state_failures",
            "Turns that ended because a status could not be read from or written to the API server",
            self.state_failures.clone(),
        );
        registry.register("object_health", "1 for the health of an object, by its name", self.named.clone());
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of this program", build);
    }

    /// The same figures, with one of its own for each of so many objects.
    #[must_use]
    pub fn naming(self, most_named: usize) -> Self {
        Self { most_named, ..self }
    }

    /// Counters are there from the start, so that their first step is seen as an increase.
    fn begin(&self) {
        for kind in Kind::ALL {
            let labels = vec![("kind", kind.to_string())];
            drop(self.watch_failures.get_or_create(&labels));
            drop(self.state_failures.get_or_create(&labels));
            for result in ["changed", "same", "failed"] {
                drop(
                    self.turns
                        .get_or_create(&vec![("kind", kind.to_string()), ("result", result.to_owned())]),
                );
            }
        }
    }

    /// Counts one object's turn.
    pub fn reconciled(&self, turn: &Reconciled<'_>) {
        let kind = || vec![("kind", turn.kind.to_string())];
        let result = match (turn.error.is_some() || turn.state_failed, turn.changed) {
            (true, _) => "failed",
            (false, true) => "changed",
            (false, false) => "same",
        };
        if turn.state_failed {
            self.state_failures.get_or_create(&kind()).inc();
        }
        lock(&self.accounts).entry(turn.account.clone()).or_default().extend(turn.error);
        let mut labels = kind();
        labels.push(("result", result.to_owned()));
        self.turns.get_or_create(&labels).inc();
        self.seconds.get_or_create(&kind()).observe(turn.took.as_secs_f64());
        if let Some(class) = turn.error {
            let labels = vec![account_of(turn.account), ("class", class.to_owned())];
            self.errors.get_or_create(&labels).inc();
        }
        let queued = i64::try_from(turn.queued).unwrap_or(i64::MAX);
        self.queued.get_or_create(&vec![account_of(turn.account)]).set(queued);
        if let Some(rate) = turn.rate_milli {
            // Thousandths of at most 1,000 calls: exact.
            let rate = f64::from(u32::try_from(rate).unwrap_or(u32::MAX)) / 1_000.0;
            self.rates.get_or_create(&vec![account_of(turn.account)]).set(rate);
        }
        self.count_calls(turn);
    }

    /// Counts a watch that failed.
    pub fn watch_failed(&self, kind: Kind) {
        self.watch_failures.get_or_create(&vec![("kind", kind.to_string())]).inc();
    }

    fn count_calls(&self, turn: &Reconciled<'_>) {
        let mut counted = lock(&self.counted);
        for ((operation, outcome), total) in turn.calls {
            let before = counted.insert((turn.account.clone(), operation, outcome), *total).unwrap_or(0);
            // Less than before: another term counts from zero.
            let more = if *total >= before { total - before } else { *total };
            self.calls.get_or_create(&labels_of_call(turn.account, operation, outcome)).inc_by(more);
        }
    }

    /// Every figure as text, with what the objects say now.
    #[must_use]
    pub fn render(&self, leads: bool, objects: &[Arc<Object>]) -> String {
        self.process.read();
        self.leader.set(i64::from(leads));
        for family in [&self.objects, &self.pending, &self.devices, &self.drifted, &self.named] {
            family.clear();
        }
        self.show_kinds();
        self.forget_accounts(objects);
        if !leads {
            self.queued.clear();
            self.rates.clear();
        }
        for object in objects {
            self.show(object);
        }
        objects.iter().take(self.most_named).for_each(|object| self.show_named(object));
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }

    /// What may be zero is there from the start.
    fn show_kinds(&self) {
        for kind in Kind::ALL {
            for health in HEALTHS {
                let labels = vec![("kind", kind.to_string()), ("health", health.to_owned())];
                drop(self.objects.get_or_create(&labels));
            }
        }
        for operation in [CreateOperation::CreatePackage, CreateOperation::CreateJob] {
            for state in ["intended", "ambiguous", "lost"] {
                let labels = vec![("operation", format!("{operation:?}")), ("state", state.to_owned())];
                drop(self.pending.get_or_create(&labels));
            }
        }
    }

    /// Accounts that are gone keep no figure.
    fn forget_accounts(&self, objects: &[Arc<Object>]) {
        let there: BTreeSet<ObjectKey> =
            objects.iter().map(|object| object.key()).filter(|key| key.kind == Kind::OtaCloud).collect();
        let mut known = lock(&self.accounts);
        for (gone, classes) in known.iter().filter(|(account, _)| !there.contains(account)) {
            let labels = vec![account_of(gone)];
            self.queued.remove(&labels);
            self.rates.remove(&labels);
            for class in classes {
                self.errors.remove(&vec![account_of(gone), ("class", (*class).to_owned())]);
            }
        }
        lock(&self.counted).retain(|(account, operation, outcome), _| {
            let stays = there.contains(account) || !known.contains_key(account);
            if !stays {
                self.calls.remove(&labels_of_call(account, operation, outcome));
            }
            stays
        });
        known.retain(|account, _| there.contains(account));
    }

    fn show_named(&self, object: &Object) {
        let key = object.key();
        let labels = vec![
            ("kind", key.kind.to_string()),
            ("namespace", key.namespace),
            ("name", key.name),
            ("health", health_of(object)),
        ];
        self.named.get_or_create(&labels).set(1);
    }

    fn show(&self, object: &Object) {
        let labels = vec![("kind", object.kind().to_string()), ("health", health_of(object))];
        self.objects.get_or_create(&labels).inc();
        for intent in object.pending() {
            let state = match intent.state {
                IntentState::Intended => "intended",
                IntentState::Ambiguous => "ambiguous",
                IntentState::Lost => "lost",
            };
            let operation = format!("{:?}", intent.operation);
            self.pending.get_or_create(&vec![("operation", operation), ("state", state.to_owned())]).inc();
        }
        if let Object::Package(package) = object
            && let Some(reason) = drift_of(package)
        {
            let namespace = package.metadata.namespace.clone().unwrap_or_default();
            self.drifted.get_or_create(&vec![("namespace", namespace), ("reason", reason.to_owned())]).inc();
        }
        if let Object::Rollout(rollout) = object
            && let Some(status) = &rollout.status
        {
            let sum = status.stages.iter().fold(StageCounts::default(), |sum, stage| sum + stage.counts);
            self.show_devices(&object.key(), sum);
        }
    }

    fn show_devices(&self, key: &ObjectKey, counts: StageCounts) {
        for (outcome, count) in [
            ("queued", counts.queued),
            ("never_began", counts.never_began),
            ("in_flight", counts.in_flight),
            ("succeeded", counts.succeeded),
            ("failed", counts.failed),
            ("timed_out", counts.timed_out),
            ("reverted", counts.reverted),
        ] {
            let labels = vec![
                ("namespace", key.namespace.clone()),
                ("rollout", key.name.clone()),
                ("outcome", outcome.to_owned()),
            ];
            self.devices.get_or_create(&labels).set(i64::from(count));
        }
    }
}

/// Every health that an object may have, as a label.
const HEALTHS: [&str; 10] = [
    "new",
    "deleting",
    "aborted",
    "stalled",
    "held",
    "suspended",
    "unhealthy",
    "in_progress",
    "waiting",
    "ready",
];

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

fn labels_of_call(account: &ObjectKey, operation: &str, outcome: &str) -> Labels {
    vec![account_of(account), ("operation", operation.to_owned()), ("outcome", outcome.to_owned())]
}

/// What a user paused is no news to anybody, and what is held is.
fn health_of(object: &Object) -> String {
    match object.health() {
        Health::Held if object.is_suspended() => "suspended".to_owned(),
        health => health.as_str().replace(' ', "_"),
    }
}

/// Why a package that was in the cloud as its spec says is so no more.
fn drift_of(package: &OtaPackage) -> Option<&str> {
    let in_sync = find_condition(&package.status.as_ref()?.conditions, IN_SYNC)?;
    (in_sync.status == "False" && in_sync.reason.starts_with("Drift")).then_some(in_sync.reason.as_str())
}

fn account_of(key: &ObjectKey) -> (&'static str, String) {
    ("account", format!("{}/{}", key.namespace, key.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_paused_is_told_apart_from_what_is_held() {
        let rollout = |reason: &str| {
            let conditions = serde_json::json!([{"type": reason, "status": "True", "reason": "R", "message": "",
                "lastTransitionTime": "2026-11-02T12:00:00Z"}]);
            let rollout = serde_json::json!({
                "metadata": {"name": reason.to_lowercase(), "generation": 1},
                "spec": {"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": []},
                "status": {"observedGeneration": 1, "phase": "Held", "conditions": conditions},
            });
            Arc::new(Object::Rollout(serde_json::from_value(rollout).unwrap()))
        };
        let text = Metrics::default().render(true, &[rollout("Suspended"), rollout("Stalled")]);
        for health in ["suspended", "held"] {
            let line = format!("rollwave_objects{{kind=\"OtaRollout\",health=\"{health}\"}} 1");
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }

    #[test]
    fn calls_are_counted_on_when_another_term_counts_from_zero() {
        let metrics = Metrics::default();
        let account = ObjectKey::new(Kind::OtaCloud, "field", "lab");
        for total in [3, 5, 2] {
            let calls =
                BTreeMap::from([(("ListJobs", "Succeeded"), total), (("ListJobs", "Throttled"), total / 3)]);
            metrics.reconciled(&Reconciled {
                kind: Kind::OtaCloud,
                account: &account,
                changed: false,
                error: (total == 2).then_some("Unavailable"),
                state_failed: total == 5,
                took: Duration::from_millis(20),
                queued: 4,
                calls: &calls,
                rate_milli: Some(100 * total),
            });
        }
        let lab = serde_json::json!({"apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaCloud",
            "metadata": {"name": "lab", "namespace": "field"}, "spec": {"credentials": {}}});
        let text = metrics.render(true, &[Arc::new(serde_json::from_value(lab).unwrap())]);
        for line in [
            "rollwave_cloud_calls_total{account=\"field/lab\",operation=\"ListJobs\",outcome=\"Succeeded\"} 7",
            "rollwave_cloud_calls_total{account=\"field/lab\",operation=\"ListJobs\",outcome=\"Throttled\"} 1",
            "rollwave_budget_calls_per_second{account=\"field/lab\"} 0.2",
            "rollwave_errors_total{account=\"field/lab\",class=\"Unavailable\"} 1",
            "rollwave_reconciles_total{kind=\"OtaCloud\",result=\"same\"} 1",
            "rollwave_queue_depth{account=\"field/lab\"} 4",
            "rollwave_leader 1",
            "rollwave_state_failures_total{kind=\"OtaCloud\"} 1",
            "rollwave_state_failures_total{kind=\"OtaRollout\"} 0",
            "rollwave_journal_pending{operation=\"CreateJob\",state=\"ambiguous\"} 0",
            "rollwave_build_info{version=",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let gone = metrics.render(true, &[]);
        assert!(!gone.contains("field/lab"), "{gone}");
        assert!(!metrics.render(false, &[]).contains("queue_depth{"), "who does not lead has no queue");
    }
}
