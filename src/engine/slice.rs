//! How a reconcile that needs many requests lets others come between.

use super::account::Account;
use super::trouble::Trouble;

/// Requests of one reconcile before others come between: a rollout of hundreds of jobs must not delay the observation
/// of other rollouts.
const SLICE: u64 = 8;

/// The part of a reconcile between two interruptions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slice {
    /// Requests of the account at which the slice ends.
    end: u64,
}

impl Slice {
    /// A slice of an account that has made so many requests.
    pub(super) const fn after(requests: u64) -> Self {
        Self { end: requests.saturating_add(SLICE) }
    }

    /// Succeeds while another request is allowed; what was read so far is not read again.
    ///
    /// # Errors
    /// [`Trouble::Yield`].
    pub(super) fn check(self, account: &Account) -> Result<(), Trouble> {
        if account.requests() < self.end { Ok(()) } else { Err(Trouble::Yield) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, WORLD, cloud, package, rollout};
    use jiff::SignedDuration;

    /// One fleet of a hundred pages beside the usual one.
    fn with_large_fleet() -> String {
        WORLD.replace("products: [{id: meter}]", "products: [{id: meter}, {id: large}]").replace(
            "behaviours:",
            "- {count: 5000, idPrefix: l-, product: large, firmware: V1}\nbehaviours:",
        )
    }

    fn large_package() -> String {
        package("large", "lab", "V2").replace("{id: meter}", "{id: large}")
    }

    fn large_rollout() -> String {
        rollout("to-large", "large", 10)
    }

    fn slow() -> String {
        cloud("lab", "a") + "  budget: {requestsPerSecond: 1, burst: 1}\n"
    }

    #[tokio::test(start_paused = true)]
    async fn running_jobs_are_read_at_least_once_a_minute_while_a_large_fleet_is_listed() {
        let bench = Bench::new(&with_large_fleet());
        let mut site = bench.site();
        let release = package("v2", "lab", "V2") + &rollout("release", "v2", 10);
        site.apply(&[slow(), large_package(), release].concat()).await;
        while bench.tasks().is_empty() {
            site.work(SignedDuration::from_secs(1)).await;
        }
        site.work(SignedDuration::from_secs(30)).await;
        let job = format!("/batchtasks/{}", bench.tasks()[0].id);
        let since = bench.now();
        site.apply(&large_rollout()).await;
        while bench.tasks().len() < 2 {
            assert!(
                bench.now().duration_since(since) < SignedDuration::from_mins(9),
                "it is listed and sent"
            );
            site.work(SignedDuration::from_secs(10)).await;
        }
        let polls = bench.times("GET", &job);
        let gaps = polls.windows(2).map(|pair| pair[1].duration_since(pair[0])).max();
        assert!(polls.len() > 2, "{polls:?}");
        assert!(gaps < Some(SignedDuration::from_secs(60)), "{gaps:?}");
        assert!(
            bench.now().duration_since(since) > SignedDuration::from_secs(100),
            "the fleet has a hundred pages"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_goes_on_at_the_page_that_failed() {
        let bench = Bench::new(&with_large_fleet());
        let mut site = bench.site();
        site.apply(&[cloud("lab", "a"), large_package(), large_rollout()].concat()).await;
        while bench.sent("GET", "/devices") < 50 {
            site.work(SignedDuration::from_millis(100)).await;
        }
        bench.break_paths(&["/devices"]);
        site.work(SignedDuration::from_secs(5)).await;
        bench.break_paths(&[]);
        while bench.tasks().is_empty() {
            site.work(SignedDuration::from_secs(1)).await;
        }
        let pages = bench.sent("GET", "/devices");
        assert!(
            (101..130).contains(&pages),
            "{pages} requests for 100 pages, of which one failed a few times"
        );
    }
}
