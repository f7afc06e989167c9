//! How a worker connects to the account that its `OtaCloud` describes, and follows edits of it.

use super::account::Account;
use super::account_replaced;
use super::inventory::Inventory;
use super::link::Link;
use super::trouble::Trouble;
use super::worker::Worker;
use crate::api::{Object, OtaCloud};

impl Worker {
    /// Succeeds unless the account is known to be unreachable.
    ///
    /// # Errors
    /// [`Trouble::Outage`].
    pub(super) fn check_outage(&self) -> Result<(), Trouble> {
        self.outage.check(self.ports.clock.now()).map_err(Trouble::Outage)
    }

    /// The connection.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn linked(&mut self) -> Result<&mut Link, Trouble> {
        match self.link {
            Some(ref mut link) => Ok(link),
            None => Err(self.no_cloud().into()),
        }
    }

    /// Makes the link match the `OtaCloud`.
    ///
    /// # Errors
    /// Why its account cannot be used.
    pub(super) async fn connect_as_wanted(&mut self) -> Result<(), Trouble> {
        let object = self.store.load(&self.cloud).await?;
        let Some(Object::Cloud(cloud)) = object.as_deref() else { return Err(self.no_cloud().into()) };
        account_replaced::check(self.store.as_ref(), cloud).await?;
        let before = self.link.take_if(|link| !link.is_of(cloud));
        if before.is_some() {
            self.inventory = Inventory::default();
        }
        let before = before.or_else(|| self.link.take_if(|link| link.refused));
        if let Some(link) = self.link.take() {
            self.link = Some(link.following(cloud));
            return Ok(());
        }
        self.reconnect(cloud, before).await
    }

    async fn reconnect(&mut self, cloud: &OtaCloud, before: Option<Link>) -> Result<(), Trouble> {
        let client = match self.ports.connector.connect(cloud).await {
            Ok(client) => client,
            // An `OtaCloud` that is deleted together with its Secret stops its jobs with the previous credentials.
            Err(error) if cloud.metadata.deletion_timestamp.is_some() && is_same(before.as_ref(), cloud) => {
                tracing::warn!(account = %self.cloud, "cannot read the credentials, so the previous ones stay in use until the account is deleted: {error}");
                self.link = before.map(|link| link.following(cloud));
                return Ok(());
            }
            Err(error) => {
                self.link = before.map(Link::refused);
                return Err(error.into());
            }
        };
        let account = match before {
            Some(before) => before.account.reconnected(client, cloud.spec.budget),
            None => Account::new(client, cloud.spec.budget, self.ports.clone(), self.heartbeat.clone()),
        };
        self.link = Some(Link::new(account, cloud, self.ports.clock.now()));
        Ok(())
    }
}

fn is_same(before: Option<&Link>, cloud: &OtaCloud) -> bool {
    before.is_some_and(|link| link.has_spec_of(cloud))
}
