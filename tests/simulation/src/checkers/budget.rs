//! Law of the budget: no account is asked more often than its manifest allows, over all of its objects.

use crate::clouds::{self, Deed, Order};
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{Budget, Object};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who works hears of an edited budget within this time: a watch may tell it late, by up to a minute. Until then the larger one
/// counts.
const HEARD_WITHIN: SignedDuration = SignedDuration::from_secs(90);

/// A bucket for every account and run of the process, which begins with a full one.
#[derive(Default)]
pub(super) struct Budgets {
    buckets: BTreeMap<(u64, String), Bucket>,
    /// The budget of each account, in every run of the process.
    limits: BTreeMap<String, Limit>,
    /// Calls of a run that may come early, in thousandths: one for each time that it signed in.
    early: BTreeMap<u64, i64>,
}

/// In thousandths of a call.
struct Bucket {
    level: i64,
    at: Timestamp,
}

struct Limit {
    limit: Budget,
    /// The budget before the last edit, and when that was seen.
    before: Option<(Budget, Timestamp)>,
}

impl Limit {
    /// Calls a second, and the burst, that may be used now that the manifest says this.
    fn allowed(&mut self, limit: Budget, now: Timestamp) -> Budget {
        if self.limit != limit {
            self.before = Some((std::mem::replace(&mut self.limit, limit), now));
        }
        match self.before.filter(|(_, since)| now.duration_since(*since) < HEARD_WITHIN) {
            Some((before, _)) => Budget {
                requests_per_second: limit.requests_per_second.max(before.requests_per_second),
                burst: limit.burst.max(before.burst),
            },
            None => limit,
        }
    }
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
        let known = self.limits.entry(order.account.clone()).or_insert(Limit { limit, before: None });
        let limit = known.allowed(limit, now);
        let full = i64::from(limit.burst) * 1000;
        let bucket = self.buckets.entry((run, order.account.clone()));
        let bucket = bucket.or_insert(Bucket { level: full, at: now });
        let (rate, burst) = (i64::from(limit.requests_per_second), i64::from(limit.burst) * 1000);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edited_budget_counts_once_it_was_heard_of() {
        let budget = |requests_per_second, burst| Budget { requests_per_second, burst };
        let at = |second| Timestamp::from_second(second).unwrap();
        let (large, small) = (budget(5, 5), budget(1, 6));
        let mut known = Limit { limit: large, before: None };
        for (limit, second, expected) in [
            (large, 0, large),
            (small, 10, budget(5, 6)),
            (small, 99, budget(5, 6)),
            (small, 100, small),
            (large, 200, budget(5, 6)),
        ] {
            assert_eq!(known.allowed(limit, at(second)), expected, "{second}");
        }
    }
}
