//! One safeguard switched off, so that the checkers can be seen to fail. A mutant is made at the ports: the engine is the
//! real one in every world.

use crate::cloud::{Call, CallError, Capabilities, Cloud, Reply, WireRequest};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// A safeguard that is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A write is acknowledged before it is durable.
    JournalNotDurable,
    /// A look never finds what is ours.
    NoLook,
    /// Nobody waits until a lost request must have had its effect, and be visible.
    NoWait,
}

impl Mutation {
    /// Every mutant.
    pub const ALL: [Self; 3] = [Self::JournalNotDurable, Self::NoLook, Self::NoWait];

    pub(super) fn of(self, cloud: Arc<dyn Cloud>) -> Arc<dyn Cloud> {
        let mut capabilities = cloud.capabilities().clone();
        if self == Self::NoWait {
            capabilities.visibility_lag = SignedDuration::ZERO;
            capabilities.request_deadline = SignedDuration::ZERO;
        }
        Arc::new(Mutant { mutation: self, cloud, capabilities })
    }
}

struct Mutant {
    mutation: Mutation,
    cloud: Arc<dyn Cloud>,
    capabilities: Capabilities,
}

#[async_trait]
impl Cloud for Mutant {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn render(&self, call: &Call) -> Result<Vec<WireRequest>, CallError> {
        self.cloud.render(call)
    }

    async fn perform(&self, call: &Call, now: Timestamp) -> Result<Reply, CallError> {
        let mut reply = self.cloud.perform(call, now).await?;
        if self.mutation == Mutation::NoLook {
            match (&mut reply, call) {
                (Reply::Jobs(page), _) => page.items.retain(|job| job.token.is_none()),
                (Reply::Packages(page), Call::ListPackages { exactly: Some(_), .. }) => page.items.clear(),
                _ => {}
            }
        }
        Ok(reply)
    }
}
