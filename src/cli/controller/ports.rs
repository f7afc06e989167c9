//! The engine's ports in a cluster: who leads by the Lease, keys from Secrets.

use crate::api::{CloudRef, Event, Object, OtaCloud};
use crate::cli::connect::HttpConnector;
use crate::cli::ports::{self, SystemClock};
use crate::cli::vault::SecretVault;
use crate::cloud::address::AllowedHost;
use crate::cloud::{CallError, Cloud, ErrorClass, TransportError};
use crate::engine::drive::rehearsal::is_loopback;
use crate::engine::ports::{Connector, Leader, LogRecorder, Ports, Recorder};
use crate::state::kubernetes::events::Bulletin;
use async_trait::async_trait;
use kube::Client;
use std::sync::Arc;

/// The ports of one term.
///
/// # Errors
/// The HTTP client cannot be built, for example without a trust store.
pub(super) fn of(
    client: Client,
    leader: Leader,
    clock: SystemClock,
    bulletin: Arc<Bulletin>,
    allowed: Vec<AllowedHost>,
) -> Result<Ports, TransportError> {
    let leadership = Arc::new(leader);
    let http =
        HttpConnector::new()?.led_by(leadership.clone()).with_vault(Arc::new(SecretVault::kept(client)));
    let http = http.sending_to(allowed);
    let connector: Arc<dyn Connector> =
        if clock.is_faster() { Arc::new(Rehearsal(http)) } else { Arc::new(http) };
    let recorder = Arc::new(Announcer(bulletin));
    Ok(Ports { connector, recorder, leadership, ..ports::real(clock)? })
}

/// Reports to Events of the cluster and to the log.
struct Announcer(Arc<Bulletin>);

impl Recorder for Announcer {
    fn record(&self, object: &Object, event: &Event) {
        LogRecorder.record(object, event);
        self.0.take(object, event);
    }
}

/// Soaks that are shortened by the factor would let a bad firmware through to real devices.
struct Rehearsal(HttpConnector);

#[async_trait]
impl Connector for Rehearsal {
    async fn connect(&self, cloud: &OtaCloud) -> Result<Arc<dyn Cloud>, CallError> {
        let endpoint = cloud.spec.cloud().map_or("", CloudRef::endpoint);
        if is_loopback(endpoint) {
            return self.0.connect(cloud).await;
        }
        let message =
            format!("--time-factor is for rehearsals against a simulator on this machine, not {endpoint}");
        Err(CallError::new(ErrorClass::Invalid, "Connect", message)
            .next_step("start the controller without --time-factor"))
    }

    async fn keep_secret(&self, cloud: &OtaCloud) -> Result<(), CallError> {
        self.0.keep_secret(cloud).await
    }

    async fn release_secret(&self, cloud: &OtaCloud, name: &str) -> Result<(), CallError> {
        self.0.release_secret(cloud, name).await
    }
}
