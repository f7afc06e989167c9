//! What must hold whatever happens. Each law looks at what is durable and at the clouds' truth, never at what the engine
//! believes; the first violation is kept.

mod creates;
mod rest;

pub(super) use creates::{Creates, Sent, packages_are};
pub(super) use rest::{Rest, Unrest};

use crate::api::{Budget, Object};
use crate::cloud::WireRequest;
use crate::simulator::iotda::{Operation, Route};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Calls that the client documents as its default budget (rate and burst).
const DEFAULT_BUDGET: Budget = Budget { requests_per_second: 10, burst: 20 };

/// Everything that is watched.
#[derive(Default)]
pub(super) struct Checkers {
    pub(super) creates: Creates,
    budgets: BTreeMap<String, Bucket>,
    /// Ids of packages that our requests made.
    pub(super) our_packages: BTreeSet<String>,
    /// Texts that must never be seen.
    secrets: Vec<String>,
    violation: Option<String>,
}

/// A bucket that is filled as the manifest says; in thousandths of a call.
struct Bucket {
    level: i64,
    at: Timestamp,
}

impl Checkers {
    pub(super) fn new(secrets: Vec<String>) -> Self {
        Self { secrets, ..Self::default() }
    }

    pub(super) fn judge(&mut self, law: Result<(), String>) {
        if let Err(why) = law {
            self.violation.get_or_insert(why);
        }
    }

    pub(super) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// The process began anew, with a full budget.
    pub(super) fn process_began(&mut self) {
        self.budgets.clear();
    }

    /// A request leaves, and this is durable at that moment.
    pub(super) fn request_leaves(
        &mut self,
        request: &WireRequest,
        route: &Route,
        durable: &[Arc<Object>],
        now: Timestamp,
    ) {
        let law = self.within_budget(route, durable, now);
        self.judge(law);
        let law = match route.operation {
            Operation::CreateBatchTask => self.creates.task_leaves(request, durable),
            Operation::CreateOtaPackage => creates::package_leaves(request, durable),
            Operation::DeleteOtaPackage if !self.our_packages.contains(&route.id) => {
                Err(format!("package {} is deleted, and we did not create it", route.id))
            }
            Operation::StopBatchTask if !self.creates.is_ours(&route.id) => {
                Err(format!("task {} is stopped, and we did not create it", route.id))
            }
            Operation::DeleteBatchTask | Operation::DeleteDevice => {
                Err(format!("{} is never called", route.operation.as_str()))
            }
            _ => Ok(()),
        };
        self.judge(law);
    }

    /// Signing in is not counted, nor is what a refused token costs: the budget is of calls.
    fn within_budget(
        &mut self,
        route: &Route,
        durable: &[Arc<Object>],
        now: Timestamp,
    ) -> Result<(), String> {
        let clouds = durable.iter().filter_map(|object| match object.as_ref() {
            Object::Cloud(cloud) => Some(&cloud.spec),
            _ => None,
        });
        let spec = clouds
            .into_iter()
            .find_map(|spec| Some((spec, spec.huawei_iotda.as_ref()?)))
            .filter(|(_, iotda)| iotda.project_id == route.project);
        let Some((spec, _)) = spec.filter(|(_, iotda)| iotda.auth != crate::api::IotdaAuth::Token) else {
            return Ok(());
        };
        let limit = spec.budget.unwrap_or(DEFAULT_BUDGET);
        let (rate, burst) = (i64::from(limit.requests_per_second), i64::from(limit.burst) * 1000);
        let bucket = self.budgets.entry(route.project.clone()).or_insert(Bucket { level: burst, at: now });
        // A millisecond more, for what is rounded away.
        let millis = now.as_millisecond() - bucket.at.as_millisecond() + 1;
        bucket.level = bucket.level.saturating_add(millis.saturating_mul(rate)).min(burst) - 1000;
        bucket.at = now;
        if bucket.level < 0 {
            return Err(format!("{} exceeds the budget of {}", route.operation.as_str(), route.project));
        }
        Ok(())
    }

    /// A status is written over what is stored.
    pub(super) fn status_written(&mut self, stored: Option<&Object>, object: &Object, text: &str) {
        let same = |stored: &Object| {
            stored.generation() != object.generation()
                || stored.meta().uid != object.meta().uid
                || same_spec(stored, object)
        };
        if !stored.is_none_or(same) {
            self.judge(Err(format!("the spec of {} is written", object.key())));
        }
        self.no_secret("a status", text);
    }

    /// No secret is in this text.
    pub(super) fn no_secret(&mut self, place: &str, text: &str) {
        if self.secrets.iter().any(|secret| text.contains(secret.as_str())) {
            self.judge(Err(format!("a secret is in {place}")));
        }
    }
}

fn same_spec(a: &Object, b: &Object) -> bool {
    match (a, b) {
        (Object::Cloud(a), Object::Cloud(b)) => a.spec == b.spec,
        (Object::Package(a), Object::Package(b)) => a.spec == b.spec,
        (Object::Rollout(a), Object::Rollout(b)) => a.spec == b.spec,
        _ => false,
    }
}
