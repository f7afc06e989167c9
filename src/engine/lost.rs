//! Requests whose outcome cannot be found out any more.
//!
//! Alibaba Cloud lists jobs by package only (ListOTAJobByFirmware). Once a package is deleted, no list shows its jobs,
//! so a job that a conclusive observation does not find may still exist: sent again, it could exist twice.

use super::context::Reconcile;
use super::journal;
use super::subject::Subject;
use super::trouble::Trouble;
use crate::api::Intent;
use jiff::Timestamp;

impl Reconcile<'_> {
    /// Marks requests that a conclusive observation did not find and whose package was deleted since; true when there
    /// are any.
    pub(super) async fn lose_what_nothing_tells<S: Subject>(
        &mut self,
        subject: &mut S,
    ) -> Result<bool, Trouble> {
        let mut lost = false;
        for (token, package) in self.unfound_in_package(subject) {
            // A package that exists after the list was read also existed while it was read.
            let list = self.worker.inventory.jobs.oldest_list().unwrap_or(Timestamp::MAX);
            let Some((mut caller, inventory)) = self.reader() else { return Ok(lost) };
            if inventory.packages.is_there(&mut caller, &package, list).await? {
                continue;
            }
            tracing::warn!(
                token,
                package,
                "the outcome of the request stays unknown: its package was deleted in the cloud"
            );
            journal::lose(subject.pending(), &token);
            lost = true;
        }
        Ok(lost)
    }

    /// Requests that would count as never made, and the packages under which they would be listed.
    fn unfound_in_package<S: Subject>(&self, subject: &S) -> Vec<(String, String)> {
        let Some(limits) = self.capabilities() else { return Vec::new() };
        let times = self.times();
        let is_listed =
            |token: &str| self.worker.inventory.jobs.all().any(|job| job.token.as_deref() == Some(token));
        let is_unfound = |intent: &&Intent| {
            let looked_at = subject.looked_at(intent.operation, &self.worker.inventory);
            looked_at.is_some_and(|at| journal::has_lapsed(intent, at, &times, limits))
                && !is_listed(&intent.token)
        };
        let unfound = subject.intents().iter().filter(is_unfound);
        unfound.filter_map(|intent| Some((intent.token.clone(), intent.package_id.clone()?))).collect()
    }
}
