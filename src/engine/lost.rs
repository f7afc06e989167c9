//! Calls of which nothing can tell any more whether they took effect.
//!
//! Alibaba Cloud lists jobs by package alone (ListOTAJobByFirmware). Once somebody has deleted a package, no list shows its
//! jobs, and what a truthful look does not find may be there all the same: sent again, it could be there twice.

use super::journal;
use super::queue::Class;
use super::subject::Subject;
use super::worker::{Trouble, Worker};
use crate::api::Intent;
use jiff::Timestamp;

impl Worker {
    /// Marks calls that a truthful look did not find, and whose package has gone since; true when there are such.
    pub(super) async fn lose_what_nothing_tells<S: Subject>(
        &mut self,
        subject: &mut S,
        class: Class,
    ) -> Result<bool, Trouble> {
        let mut lost = false;
        for (token, package) in self.unfound_in_package(subject) {
            // A package that was there after the list was read was there while it was read.
            let list = self.inventory.jobs.oldest_list().unwrap_or(Timestamp::MAX);
            let Some(link) = &mut self.link else { return Ok(lost) };
            if self.inventory.packages.is_there(&mut link.account, &package, list, class).await? {
                continue;
            }
            tracing::warn!(token, package, "the package has gone, and with it what would tell of the call");
            journal::lose(subject.pending(), &token);
            lost = true;
        }
        Ok(lost)
    }

    /// Calls that would be taken for never made, and the packages under which they would be listed.
    fn unfound_in_package<S: Subject>(&self, subject: &S) -> Vec<(String, String)> {
        let Some(limits) = self.capabilities() else { return Vec::new() };
        let times = self.times();
        let is_listed =
            |token: &str| self.inventory.jobs.all().any(|job| job.token.as_deref() == Some(token));
        let is_unfound = |intent: &&Intent| {
            let looked_at = subject.looked_at(intent.operation, &self.inventory);
            looked_at.is_some_and(|at| journal::has_lapsed(intent, at, &times, limits))
                && !is_listed(&intent.token)
        };
        let unfound = subject.intents().iter().filter(is_unfound);
        unfound.filter_map(|intent| Some((intent.token.clone(), intent.package_id.clone()?))).collect()
    }
}
