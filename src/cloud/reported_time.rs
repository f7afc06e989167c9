//! The time that clouds report: HTTP's `Date` (RFC 9110, section 6.6.1). No cloud documents it, and gateways have been observed
//! to be wrong, so nothing is signed with it: it is a second clock to compare with the machine's own.

use super::{
    Call, CallError, Capabilities, Cloud, Reply, Transport, TransportError, WireRequest, WireResponse,
    refusal,
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A client of a cloud that also records the time in the cloud's answers.
///
/// # Errors
/// The errors of `connect`.
pub fn recording_time<E>(
    transport: Arc<dyn Transport>,
    connect: impl FnOnce(Arc<dyn Transport>) -> Result<Arc<dyn Cloud>, E>,
) -> Result<Arc<dyn Cloud>, E> {
    let recorder = Arc::new(Recorder { transport, reported: Mutex::default() });
    Ok(Arc::new(Recording { cloud: connect(recorder.clone())?, recorder }))
}

struct Recorder {
    transport: Arc<dyn Transport>,
    reported: Mutex<Option<Timestamp>>,
}

impl Recorder {
    fn reported(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Recorder {
    async fn send(&self, request: WireRequest) -> Result<WireResponse, TransportError> {
        let answer = self.transport.send(request).await;
        if let Ok(answer) = &answer
            && let Some(date) = answer.header("date")
        {
            *self.reported() = refusal::http_date(date);
        }
        answer
    }

    fn total_timeout(&self) -> SignedDuration {
        self.transport.total_timeout()
    }

    fn upload_timeout(&self) -> SignedDuration {
        self.transport.upload_timeout()
    }
}

struct Recording {
    cloud: Arc<dyn Cloud>,
    recorder: Arc<Recorder>,
}

#[async_trait]
impl Cloud for Recording {
    fn capabilities(&self) -> &Capabilities {
        self.cloud.capabilities()
    }

    fn render(&self, call: &Call) -> Result<Vec<WireRequest>, CallError> {
        self.cloud.render(call)
    }

    async fn perform(&self, call: &Call, now: Timestamp) -> Result<Reply, CallError> {
        self.cloud.perform(call, now).await
    }

    fn take_time(&self) -> Option<Timestamp> {
        self.recorder.reported().take()
    }
}
