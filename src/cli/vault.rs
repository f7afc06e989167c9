//! Keys of accounts from the Secrets of a cluster.

use super::connect::{Entries, Vault};
use crate::api::Reason;
use crate::cloud::{CallError, ErrorClass};
use crate::source::kubernetes::secret::{Named, SecretError};
use async_trait::async_trait;
use jiff::Timestamp;
use kube::Client;

/// Reads Secrets by name, and nothing else.
pub(super) struct SecretVault {
    client: Client,
    /// They are kept for the accounts that need them.
    keeps: bool,
}

impl SecretVault {
    /// For a controller: a Secret stays for as long as its account needs it.
    pub(super) const fn kept(client: Client) -> Self {
        Self { client, keeps: true }
    }

    /// For somebody who changes nothing.
    pub(super) const fn peeked(client: Client) -> Self {
        Self { client, keeps: false }
    }
}

#[async_trait]
impl Vault for SecretVault {
    async fn read(&self, secret: Named<'_>) -> Result<Entries, CallError> {
        let read = if self.keeps { secret.read(&self.client).await } else { secret.peek(&self.client).await };
        read.map_err(|error| failed(&error, secret.name))
    }

    async fn keep(&self, secret: Named<'_>) -> Result<(), CallError> {
        if !self.keeps {
            return Ok(());
        }
        secret.keep(&self.client, Timestamp::now()).await.map_err(|error| failed(&error, secret.name))
    }

    async fn release(&self, secret: Named<'_>) -> Result<(), CallError> {
        if !self.keeps {
            return Ok(());
        }
        secret.release(&self.client).await.map_err(|error| failed(&error, secret.name))
    }
}

fn failed(error: &SecretError, name: &str) -> CallError {
    let class = match error {
        SecretError::Unavailable { .. } => ErrorClass::Unavailable,
        _ => ErrorClass::Unauthorized,
    };
    let next_step = match error {
        SecretError::NotKept { .. } => "give the role `patch` on secrets again".to_owned(),
        _ => format!("put the keys into the Secret {name}; it is read again by itself"),
    };
    let reason = matches!(error, SecretError::Absent { .. }).then_some(Reason::SecretMissing);
    CallError { reason, ..CallError::new(class, "Connect", error.to_string()).next_step(next_step) }
}
