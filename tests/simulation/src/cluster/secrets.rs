//! Secrets with the keys of accounts: connecting reads the one that the account names, and a finalizer for each account keeps it.
//! Each account has Secrets of its own. As `source::kubernetes::secret`, without the way to the API server.

use super::super::dice::Dice;
use super::super::{Shared, lock};
use super::ApiServer;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::{Object, OtaCloud, Reason};
use rollwave::cloud::{CallError, ErrorClass};
use std::collections::{BTreeMap, BTreeSet};

/// Worlds of earlier seeds have no Secrets that can be deleted: their histories are older.
pub(crate) const FIRST_OF_SECRETS: u64 = 3_200_000_000;
/// A deleted Secret stays so long for an account that is not deleted.
const HELD_AFTER_DELETION: SignedDuration = SignedDuration::from_mins(1);

/// An account, and the name of a Secret.
type Name = (String, String);

/// Every Secret.
pub(super) struct Secrets {
    dice: Dice,
    there: BTreeMap<Name, Secret>,
    /// When people delete the Secrets of an account.
    goes_at: BTreeMap<String, Timestamp>,
}

#[derive(Default)]
struct Secret {
    /// Uids of the accounts that keep it.
    holders: BTreeSet<String>,
    deleted: Option<Timestamp>,
}

impl Secrets {
    pub(super) fn of_seed(seed: u64) -> Option<Self> {
        let dice = Dice::new(seed, "secrets");
        (seed >= FIRST_OF_SECRETS).then(|| Self { dice, there: BTreeMap::new(), goes_at: BTreeMap::new() })
    }

    /// People want this account, and so its Secret.
    fn apply(&mut self, name: Name) {
        self.goes_at.remove(&name.0);
        self.there.entry(name).or_default();
    }

    /// People delete an account, and its Secrets with it: at once, or after other objects.
    fn leave(&mut self, account: &str, now: Timestamp) {
        let wait = if self.dice.permille(500) { 0 } else { self.dice.between(1, 120) };
        let wait = SignedDuration::from_secs(i64::try_from(wait).unwrap_or(0));
        self.goes_at.insert(account.to_owned(), now.saturating_add(wait).unwrap_or(now));
    }

    /// Deletes what is due; says of which accounts.
    fn delete_due(&mut self, now: Timestamp) -> Vec<String> {
        let due: Vec<String> =
            self.goes_at.extract_if(.., |_, at| *at <= now).map(|(account, _)| account).collect();
        let is_due = |name: &Name| due.contains(&name.0);
        for (_, secret) in self.there.iter_mut().filter(|(name, _)| is_due(name)) {
            secret.deleted = secret.deleted.or(Some(now));
        }
        self.collect();
        due
    }

    /// Reads a Secret, and keeps it from now on; false when there is none.
    fn read(&mut self, name: &Name, holder: &str, keeps: bool) -> bool {
        let Some(secret) = self.there.get_mut(name) else { return false };
        // An API server takes no new finalizer for an object that is being deleted.
        if keeps && secret.deleted.is_none() {
            secret.holders.insert(holder.to_owned());
        }
        true
    }

    fn keep(&mut self, name: &Name, holder: &str, now: Timestamp) {
        match self.there.get(name).and_then(|secret| secret.deleted) {
            None => drop(self.read(name, holder, true)),
            Some(deleted) if now.duration_since(deleted) < HELD_AFTER_DELETION => {}
            Some(_) => self.release(name, holder),
        }
    }

    fn release(&mut self, name: &Name, holder: &str) {
        if let Some(secret) = self.there.get_mut(name) {
            secret.holders.remove(holder);
        }
        self.collect();
    }

    /// What is deleted, and not kept, is gone.
    fn collect(&mut self) {
        self.there.retain(|_, secret| secret.deleted.is_none() || !secret.holders.is_empty());
    }
}

fn name_of(cloud: &OtaCloud) -> Option<Name> {
    let secret = cloud.spec.credentials.secret_ref.as_ref()?;
    Some((account_of(cloud), secret.name.clone()))
}

fn account_of(cloud: &OtaCloud) -> String {
    cloud.metadata.name.clone().unwrap_or_default()
}

fn uid_of(cloud: &OtaCloud) -> &str {
    cloud.metadata.uid.as_deref().unwrap_or_default()
}

impl ApiServer {
    /// When people delete Secrets.
    pub(crate) fn secrets_due(&self) -> Option<Timestamp> {
        lock(&self.secrets).as_ref()?.goes_at.values().min().copied()
    }

    /// People want these objects, and leave those accounts.
    pub(super) fn apply_secrets<'a>(
        &self,
        wanted: impl Iterator<Item = &'a Object>,
        left: &[String],
        now: Timestamp,
    ) {
        let mut secrets = lock(&self.secrets);
        let Some(secrets) = secrets.as_mut() else { return };
        for object in wanted {
            if let Object::Cloud(cloud) = object
                && let Some(name) = name_of(cloud)
            {
                secrets.apply(name);
            }
        }
        left.iter().for_each(|account| secrets.leave(account, now));
    }

    /// etcd is what it was: an account that is there has its Secret, and keeps it.
    pub(super) fn restore_secrets(&self) {
        let mut secrets = lock(&self.secrets);
        let Some(secrets) = secrets.as_mut() else { return };
        secrets.goes_at.clear();
        secrets.there.values_mut().for_each(|secret| secret.deleted = None);
        for object in self.objects() {
            if let Object::Cloud(cloud) = object.as_ref()
                && let Some(name) = name_of(cloud)
            {
                secrets.there.entry(name).or_default().holders.insert(uid_of(cloud).to_owned());
            }
        }
    }

    /// People delete the Secrets that are due.
    pub(crate) fn delete_secrets(&self, shared: &Shared, now: Timestamp) {
        let due = lock(&self.secrets).as_mut().map(|secrets| secrets.delete_due(now)).unwrap_or_default();
        for account in due {
            shared.note(&format!("people delete the Secrets of {account}"));
        }
    }

    /// Reads the keys of an account; with `keeps`, they stay for as long as it does.
    pub(crate) fn read_secret(&self, cloud: &OtaCloud, keeps: bool, now: Timestamp) -> Result<(), CallError> {
        let mut secrets = lock(&self.secrets);
        let (Some(secrets), Some(name)) = (secrets.as_mut(), name_of(cloud)) else { return Ok(()) };
        if self.is_away(now) {
            return Err(CallError::new(ErrorClass::Unavailable, "Connect", "no answer from the API server"));
        }
        // As the connector: what is deleted before its new keys were ever read is stopped with the former ones.
        let is_deleting = cloud.metadata.deletion_timestamp.is_some();
        let former = cloud.former_secret().filter(|_| is_deleting);
        let former = former.map(|former| (account_of(cloud), former.to_owned()));
        if [Some(name.clone()), former].iter().flatten().any(|name| secrets.read(name, uid_of(cloud), keeps))
        {
            return Ok(());
        }
        let message = format!("there is no Secret {} in namespace default", name.1);
        let missing = CallError::new(ErrorClass::Unauthorized, "Connect", message);
        Err(CallError { reason: Some(Reason::SecretMissing), ..missing })
    }

    pub(crate) fn keep_secret(&self, cloud: &OtaCloud, now: Timestamp) {
        if let (Some(secrets), Some(name)) = (lock(&self.secrets).as_mut(), name_of(cloud)) {
            secrets.keep(&name, uid_of(cloud), now);
        }
    }

    pub(crate) fn release_secret(&self, cloud: &OtaCloud, secret: &str) {
        if let Some(secrets) = lock(&self.secrets).as_mut() {
            secrets.release(&(account_of(cloud), secret.to_owned()), uid_of(cloud));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_secret_stays_for_whoever_keeps_it_and_is_gone_otherwise() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let name = ("cloud0".to_owned(), "keys".to_owned());
        let mut secrets = Secrets::of_seed(FIRST_OF_SECRETS).unwrap();
        let mut deleted = |keeps| {
            secrets.apply(name.clone());
            assert!(secrets.read(&name, "u-1", keeps));
            secrets.leave("cloud0", at(0));
            assert_eq!(secrets.delete_due(at(200)), ["cloud0"]);
            let is_there = secrets.there.contains_key(&name);
            secrets.release(&name, "u-1");
            (is_there, secrets.there.contains_key(&name))
        };
        assert_eq!(deleted(true), (true, false));
        assert_eq!(deleted(false), (false, false));
        assert!(!secrets.read(&name, "u-1", true));
        assert!(Secrets::of_seed(FIRST_OF_SECRETS - 1).is_none());
    }
}
