//! Law of the budget: no account is asked more often than its manifest allows, over all of its objects.

use crate::api::{Budget, Object};
use crate::world::clouds::{self, Deed, Order};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A bucket for every account and run of the process, which begins with a full one.
#[derive(Default)]
pub(super) struct Budgets {
    buckets: BTreeMap<(u64, String), Bucket>,
    /// Calls of a run that may come early, in thousandths: one for each time that it signed in.
    early: BTreeMap<u64, i64>,
}

/// In thousandths of a call.
struct Bucket {
    level: i64,
    at: Timestamp,
}

impl Budgets {
    /// The budget is of calls. Signing in is none, nor is the request that is sent again when a token was refused; and the
    /// call that waits for a token was paid for when it began to wait.
    pub(super) fn signs_in(&mut self, run: u64) {
        *self.early.entry(run).or_default() += 1000;
    }

    pub(super) fn request_leaves(
        &mut self,
        run: u64,
        order: &Order,
        durable: &[Arc<Object>],
        now: Timestamp,
    ) -> Result<(), String> {
        let clouds = durable.iter().filter_map(|object| match object.as_ref() {
            Object::Cloud(cloud) if clouds::account_of(cloud) == (order.cloud, &*order.account) => {
                Some(&cloud.spec)
            }
            _ => None,
        });
        if order.deed == Deed::SignIn {
            self.signs_in(run);
        }
        let Some(spec) = clouds.into_iter().next() else { return Ok(()) };
        let (requests_per_second, burst) = clouds::side(order.cloud).default_budget();
        let limit = spec.budget.unwrap_or(Budget { requests_per_second, burst });
        let (rate, burst) = (i64::from(limit.requests_per_second), i64::from(limit.burst) * 1000);
        let bucket =
            self.buckets.entry((run, order.account.clone())).or_insert(Bucket { level: burst, at: now });
        // A millisecond more, for what is rounded away.
        let millis = now.as_millisecond() - bucket.at.as_millisecond() + 1;
        bucket.level = bucket.level.saturating_add(millis.saturating_mul(rate)).min(burst) - 1000;
        bucket.at = now;
        let early = self.early.entry(run).or_default();
        if bucket.level < 0 && *early >= -bucket.level {
            *early += bucket.level;
            bucket.level = 0;
        }
        if bucket.level < 0 {
            return Err(format!("{} exceeds the budget of {}", order.operation, order.account));
        }
        Ok(())
    }
}
