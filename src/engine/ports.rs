//! What the engine needs from outside: time, randomness, clouds, and places where it may be made to crash.

use super::failpoints::Failpoint;
use crate::api::{Event, EventType, Object, ObjectKey, OtaCloud};
use crate::cloud::{
    CallError, Cloud, Effect, ErrorClass, Transport, TransportError, WireRequest, WireResponse,
};
use crate::decide::clocks::Boot;
use crate::state::kubernetes::lease::Held;
use crate::state::kubernetes::shard::Shard;
use crate::state::local::Local;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Duration};

/// Everything that the engine needs from outside, but for the state.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub rng: Arc<dyn Rng>,
    /// Clouds.
    pub connector: Arc<dyn Connector>,
    /// Who may act.
    pub leadership: Arc<dyn Leadership>,
    /// Who is told what happened.
    pub recorder: Arc<dyn Recorder>,
    /// Crashes, in tests.
    pub faults: Arc<dyn Faults>,
}

impl Ports {
    /// Sleeps for so long, by the clock port.
    pub async fn sleep(&self, length: Duration) {
        let deadline = self.clock.now().saturating_add(length).unwrap_or(Timestamp::MAX);
        self.clock.sleep_until(deadline).await;
    }
}

/// Time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time that waits, soaks, budgets and decisions are counted in. It goes on steadily for as long as the engine
    /// lives, whatever becomes of the machine's clock: a wait that a set clock cuts short would send a create twice.
    fn now(&self) -> Timestamp;

    /// The time that requests are signed with: what the machine's clock says. Also differs from [`Self::now`] where a
    /// rehearsal runs faster than life.
    fn wall(&self) -> Timestamp {
        self.now()
    }

    /// When the machine was booted, counted back by [`Self::now`]: what processes of one boot count waits by. The same for as
    /// long as the engine lives; none where that cannot be told.
    fn boot(&self) -> Option<Boot> {
        None
    }

    /// Returns at `deadline`, counted as [`Self::now`] counts.
    async fn sleep_until(&self, deadline: Timestamp);
}

/// Randomness; used for jitter only, never for a decision.
pub trait Rng: Send + Sync {
    /// A number below `bound`; 0 when `bound` is 0.
    fn below(&self, bound: u64) -> u64;
}

/// Makes a client out of an `OtaCloud`: reads its secrets and opens its transport.
#[async_trait]
pub trait Connector: Send + Sync {
    /// A client for this account.
    ///
    /// # Errors
    /// [`CallError`] when a secret cannot be read or the address is not usable; says which.
    async fn connect(&self, cloud: &OtaCloud) -> Result<Arc<dyn Cloud>, CallError>;

    /// Sees to it that the Secret with the keys stays for as long as the account needs it, where there are Secrets.
    ///
    /// # Errors
    /// [`CallError`] when that is not known to be so.
    async fn keep_secret(&self, _cloud: &OtaCloud) -> Result<(), CallError> {
        Ok(())
    }

    /// The account does not need the Secret of this name any more.
    ///
    /// # Errors
    /// [`CallError`] when the Secret may still be kept.
    async fn release_secret(&self, _cloud: &OtaCloud, _name: &str) -> Result<(), CallError> {
        Ok(())
    }
}

/// Whether this instance is the one that acts. Asked right before every call that changes something in a cloud, after the
/// intent of a create is durable: whoever takes over later reads that intent, and looks before it sends.
#[async_trait]
pub trait Leadership: Send + Sync {
    /// Nothing while this instance leads.
    ///
    /// # Errors
    /// [`Deposed`]: the call must not leave. Also when it cannot be told.
    async fn check(&self) -> Result<(), Deposed>;

    /// True when the account of this `OtaCloud` is this instance's to work on, and nobody else's; the same for as long as
    /// the engine lives.
    fn serves(&self, _account: &ObjectKey) -> bool {
        true
    }
}

/// One who leads while it holds its Leases, and works on its share.
pub struct Leader {
    /// Its Leases.
    pub held: Held,
    /// Its share.
    pub share: Shard,
}

#[async_trait]
impl Leadership for Leader {
    async fn check(&self) -> Result<(), Deposed> {
        if self.held.is_held() { Ok(()) } else { Err(Deposed) }
    }

    fn serves(&self, account: &ObjectKey) -> bool {
        self.share.has(account)
    }
}

/// Another instance leads, or may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deposed;

impl Deposed {
    /// What became of a call that was to leave.
    pub const MESSAGE: &str = "not sent: another instance leads now";
    /// What to do about it.
    pub const NEXT_STEP: &str = "nothing: the other instance goes on";
}

/// A transport of an instance that may be deposed: each request is sent only while it leads. A call may take several (a token or
/// an address comes first), and minutes may pass between two of them.
pub struct Fenced {
    transport: Arc<dyn Transport>,
    leadership: Arc<dyn Leadership>,
}

impl Fenced {
    /// Around this transport.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>, leadership: Arc<dyn Leadership>) -> Self {
        Self { transport, leadership }
    }
}

#[async_trait]
impl Transport for Fenced {
    async fn send(&self, request: WireRequest) -> Result<WireResponse, TransportError> {
        if self.leadership.check().await.is_ok() {
            return self.transport.send(request).await;
        }
        Err(TransportError {
            class: ErrorClass::NotSent,
            effect: Effect::None,
            message: Deposed::MESSAGE.to_owned(),
            next_step: Deposed::NEXT_STEP.to_owned(),
        })
    }

    fn total_timeout(&self) -> SignedDuration {
        self.transport.total_timeout()
    }

    fn upload_timeout(&self) -> SignedDuration {
        self.transport.upload_timeout()
    }
}

/// The only instance: the lock of its state is exclusive, and held as long as the process lives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sole;

#[async_trait]
impl Leadership for Sole {
    async fn check(&self) -> Result<(), Deposed> {
        Ok(())
    }
}

/// The only instance for as long as the state at its path is the one that it holds.
pub struct Holder(pub Arc<Local>);

#[async_trait]
impl Leadership for Holder {
    async fn check(&self) -> Result<(), Deposed> {
        self.0.check().map_err(|_| Deposed)
    }
}

/// Who is told what happened to objects. Telling never fails and never waits: it changes nothing.
pub trait Recorder: Send + Sync {
    /// This happened to the object, and is durable in its status.
    fn record(&self, object: &Object, event: &Event);
}

/// Tells the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogRecorder;

impl Recorder for LogRecorder {
    fn record(&self, object: &Object, event: &Event) {
        let (object, reason, warns) =
            (object.key(), event.reason.as_str(), event.reason.event() == Some(EventType::Warning));
        tracing::info!(%object, reason, warns, "{}", event.message);
    }
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Recorder for Silent {
    fn record(&self, _object: &Object, _event: &Event) {}
}

/// Named places where a test may make the process die. Does nothing in a release build.
pub trait Faults: Send + Sync {
    /// Called when the engine passes a point.
    fn pass(&self, point: Failpoint);
}

/// No faults.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn pass(&self, _point: Failpoint) {}
}
