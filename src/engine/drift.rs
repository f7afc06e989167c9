//! The reconcile of an `OtaCloud`: checks that the account answers and, at its drift interval, compares everything in it
//! with the specs. A deleted account is removed after everything that uses it, and serves it until then.

use super::context::Reconcile;
use super::priority::Priority;
use super::stages::Reconciled;
use super::trouble::Trouble;
use crate::api::{OtaCloud, Request};
use crate::cloud::{Call, Cursor, PackageKind};
use crate::decide::POLL;
use jiff::Timestamp;

impl Reconcile<'_> {
    /// Reconciles the account as a whole.
    pub(super) async fn reconcile_cloud(&mut self, cloud: &OtaCloud) -> Result<Reconciled, Trouble> {
        if cloud.metadata.deletion_timestamp.is_none() {
            return self.serve_cloud(cloud, None).await;
        }
        let Some(why) = self.needed_by().await? else {
            for name in cloud.secrets() {
                self.worker.ports.connector.release_secret(cloud, name).await?;
            }
            self.worker.forget("ForgetCloud", &self.worker.cloud).await?;
            self.worker.link = None;
            return Ok(Reconciled::over(true));
        };
        let next = self.now().saturating_add(POLL).unwrap_or(Timestamp::MAX);
        let served = self.serve_cloud(cloud, Some(why)).await?;
        let sooner = served.requeue.filter(|(_, due)| *due < next);
        Ok(Reconciled { requeue: Some(sooner.unwrap_or((Priority::RolloutStep, next))), ..served })
    }

    /// Checks that the account answers and, at its drift interval, that everything is as it was.
    async fn serve_cloud(
        &mut self,
        cloud: &OtaCloud,
        kept_by: Option<String>,
    ) -> Result<Reconciled, Trouble> {
        let now = self.now();
        if is_asked_for(cloud) {
            self.connect().await?.drift_due = now;
        }
        self.check_answers().await?;
        let due = self.connect().await?.drift_due;
        if let Some(former) = cloud.former_secret().filter(|_| kept_by.is_none()) {
            self.worker.ports.connector.release_secret(cloud, former).await?;
        }
        let changed = self.report_cloud(cloud, kept_by.as_deref()).await?;
        if now < due {
            return Ok(Reconciled { changed, requeue: Some((Priority::Drift, due)) });
        }
        if !self.drift_step().await? {
            return Ok(Reconciled { changed, requeue: Some((Priority::Drift, now)) });
        }
        if kept_by.is_none()
            && let Err(error) = self.worker.ports.connector.keep_secret(cloud).await
        {
            tracing::warn!("{error}");
        }
        let due = self.end_drift_round(now).await?;
        Ok(Reconciled { changed, requeue: Some((Priority::Drift, due)) })
    }

    /// Makes sure that the account answers: by earlier calls, or else by one more.
    pub(super) async fn check_answers(&mut self) -> Result<(), Trouble> {
        let mut caller = self.caller().await?;
        if !caller.account.has_answered() {
            let probe =
                Call::ListPackages { kind: PackageKind::Firmware, exactly: None, cursor: Cursor::start() };
            caller.call(&probe).await?;
        }
        Ok(())
    }

    /// Reads one more page of what drift is measured by; true once everything is fresh.
    async fn drift_step(&mut self) -> Result<bool, Trouble> {
        let kinds = match self.worker.inventory.packages.being_read() {
            Some(kind) => vec![kind],
            None => self.kinds_in_use().await?,
        };
        let Some(link) = &mut self.worker.link else { return Ok(true) };
        let packages = &mut self.worker.inventory.packages;
        let is_old = |kind: &PackageKind| packages.listed_at(*kind) < Some(link.drift_due);
        let Some(kind) = kinds.into_iter().find(is_old) else { return Ok(true) };
        packages.list_step(&mut link.account.at(Priority::Drift), kind, Timestamp::MIN).await?;
        Ok(false)
    }

    /// Everything was read: queues every object of the account for a comparison, behind other due objects.
    async fn end_drift_round(&mut self, now: Timestamp) -> Result<Timestamp, Trouble> {
        for object in self.graph().served_by(&self.worker.cloud).await? {
            self.worker.queue.push(object.key(), Priority::Drift, now);
        }
        self.worker.inventory.devices.end_round();
        let link = self.connect().await?;
        link.drift_due = now.saturating_add(link.drift_interval).unwrap_or(Timestamp::MAX);
        Ok(link.drift_due)
    }

    async fn kinds_in_use(&self) -> Result<Vec<PackageKind>, Trouble> {
        let mut kinds = Vec::new();
        for object in self.graph().served_by(&self.worker.cloud).await? {
            if let Some(package) = object.as_package()
                && !kinds.contains(&package.spec.kind)
            {
                kinds.push(package.spec.kind);
            }
        }
        Ok(kinds)
    }

    /// What still uses the account, as a message; none when nothing does.
    async fn needed_by(&self) -> Result<Option<String>, Trouble> {
        let needing = self.graph().served_by(&self.worker.cloud).await?;
        let first = needing.first().map(|object| object.key());
        Ok(first.map(|first| match needing.len() - 1 {
            0 => format!("deletion waits for {first}, which uses this account"),
            more => format!("deletion waits for {first} and {more} more, which use this account"),
        }))
    }
}

/// True when a user requested a drift round.
fn is_asked_for(cloud: &OtaCloud) -> bool {
    let handled = cloud.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    Request::Reconcile.open(&cloud.metadata, handled).is_some()
}
