//! Every durable write of the engine, each between two failpoints.

use super::failpoints::Failpoint;
use super::worker::Worker;
use crate::api::{Object, ObjectKey, events};
use crate::state::StateError;

impl Worker {
    /// Makes an object's status durable, and records events.
    pub(super) async fn save(&self, at: &'static str, object: &Object) -> Result<(), StateError> {
        let before = self.store.load(&object.key()).await?;
        self.ports.faults.pass(Failpoint::before(at));
        self.store.save_status(object).await?;
        self.ports.faults.pass(Failpoint::after(at));
        for event in events(before.as_deref(), object) {
            self.ports.recorder.record(object, &event);
        }
        Ok(())
    }

    /// Makes the deletion of an object durable.
    pub(super) async fn forget(&self, at: &'static str, key: &ObjectKey) -> Result<(), StateError> {
        self.ports.faults.pass(Failpoint::before(at));
        self.store.forget(key).await?;
        self.ports.faults.pass(Failpoint::after(at));
        Ok(())
    }
}
