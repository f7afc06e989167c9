//! Requests that write: each is sent once, with a resource version as its precondition.

use super::cache::is_held;
use super::schema::first_dropped;
use super::time::{Time, within};
use crate::api::{
    Condition, FINALIZER, GROUP, Kind, Object, ObjectKey, ObjectMeta, OtaCloud, OtaPackage, OtaRollout,
    READY, RECONCILING, Reason, STALLED, Truth, VERSION, clear_condition, set_condition,
};
use crate::state::StateError;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt::{self, Debug};
use std::{sync::Arc, time::Duration};

/// Field manager name at the API server.
const MANAGER: &str = "rollwave";
/// A write without a response by then may have succeeded or not.
const LIMIT: Duration = Duration::from_secs(10);

/// Why a request failed, or has an unknown outcome.
#[derive(Debug)]
pub(super) enum Failure {
    /// The object has changed since, or was deleted.
    Conflict,
    /// Anything else.
    Other(String),
}

impl Failure {
    pub(super) fn of(self, key: &ObjectKey) -> StateError {
        match self {
            Self::Conflict => StateError::Conflict { key: key.to_string() },
            Self::Other(cause) => StateError::Write { path: key.to_string(), cause },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("it has changed since, or is gone"),
            Self::Other(cause) => f.write_str(cause),
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if matches!(status.code, 404 | 409) => Self::Conflict,
            kube::Error::Api(status) => Self::Other(format!(
                "the API server returned {} {}: {}",
                status.code, status.reason, status.message
            )),
            error => Self::Other(error.to_string()),
        }
    }
}

/// What the kinds have in common here.
trait OneOfOurs:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl OneOfOurs for OtaCloud {}
impl OneOfOurs for OtaPackage {}
impl OneOfOurs for OtaRollout {}

pub(super) struct Writer {
    client: Client,
    time: Arc<dyn Time>,
}

impl Writer {
    pub(super) fn new(client: Client, time: Arc<dyn Time>) -> Self {
        Self { client, time }
    }

    /// Replaces the status, if the object still has this resource version.
    pub(super) async fn put_status(&self, object: &Object) -> Result<Object, Failure> {
        Ok(match object {
            Object::Cloud(o) => Object::Cloud(self.put(o).await?),
            Object::Package(o) => Object::Package(self.put(o).await?),
            Object::Rollout(o) => Object::Rollout(self.put(o).await?),
        })
    }

    /// Adds our finalizer to the object.
    pub(super) async fn hold(&self, object: &Object) -> Result<Object, Failure> {
        let (key, meta) = (object.key(), object.meta());
        let finalizers: Vec<&str> =
            meta.finalizers.iter().flatten().map(String::as_str).chain([FINALIZER]).collect();
        let patch = json!({"metadata": {"resourceVersion": meta.resource_version, "finalizers": finalizers}});
        Ok(match object {
            Object::Cloud(_) => Object::Cloud(self.patch(&key, &patch).await?),
            Object::Package(_) => Object::Package(self.patch(&key, &patch).await?),
            Object::Rollout(_) => Object::Rollout(self.patch(&key, &patch).await?),
        })
    }

    /// Removes our finalizer.
    pub(super) async fn release(&self, key: &ObjectKey, meta: &ObjectMeta) -> Result<(), Failure> {
        if !is_held(meta) {
            return Ok(());
        }
        let others: Vec<&String> =
            meta.finalizers.iter().flatten().filter(|name| *name != FINALIZER).collect();
        let patch = json!({"metadata": {"resourceVersion": meta.resource_version, "finalizers": others}});
        let api = self.any(key);
        let result = in_time(&*self.time, api.patch(&key.name, &params(), &Patch::Merge(&patch))).await;
        match result {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            result => result.map(drop).map_err(Failure::from),
        }
    }

    /// The object as it is now; none when it does not exist or cannot be parsed.
    pub(super) async fn get(&self, key: &ObjectKey) -> Result<Option<Object>, Failure> {
        let found = in_time(&*self.time, self.any(key).get_opt(&key.name)).await?;
        let json = found.and_then(|object| serde_json::to_value(object).ok());
        Ok(json.and_then(|json| understood(key.kind, json)))
    }

    /// Reports in the status of an object that it cannot be parsed, unless that is reported already (false). The rest of the
    /// status stays, above all the journal.
    pub(super) async fn say_broken(
        &self,
        key: &ObjectKey,
        meta: &ObjectMeta,
        why: &str,
    ) -> Result<bool, Failure> {
        let api = self.any(key);
        let found = in_time(&*self.time, api.get(&key.name)).await?;
        // A problem of an older content is not reported for a newer one: the watch yields that.
        let is_same = |a: &ObjectMeta| (&a.uid, a.generation) == (&meta.uid, meta.generation);
        if !is_same(&found.metadata) {
            return Ok(false);
        }
        let status = found.data.get("status").cloned().unwrap_or_default();
        let mut conditions: Vec<Condition> =
            serde_json::from_value(status.get("conditions").cloned().unwrap_or_default()).unwrap_or_default();
        let (generation, now) = (meta.generation.unwrap_or(0), self.time.stamp());
        set_condition(&mut conditions, READY, Truth::False, Reason::InvalidObject, why, generation, now);
        set_condition(&mut conditions, STALLED, Truth::True, Reason::InvalidObject, why, generation, now);
        clear_condition(&mut conditions, RECONCILING);
        let said = json!({"observedGeneration": generation, "conditions": conditions, "message": why});
        if is_part(&said, &status) {
            return Ok(false);
        }
        let patch = json!({"metadata": {"resourceVersion": found.metadata.resource_version}, "status": said});
        in_time(&*self.time, api.patch_status(&key.name, &params(), &Patch::Merge(&patch))).await?;
        Ok(true)
    }

    async fn put<K: OneOfOurs>(&self, object: &K) -> Result<K, Failure> {
        let name = object.meta().name.clone().unwrap_or_default();
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let api = self.typed(object.meta().namespace.as_deref().unwrap_or_default());
        let written = in_time(&*self.time, api.replace_status(&name, &params, object)).await?;
        match dropped(object, &written) {
            Some(field) => Err(Failure::Other(format!(
                "the API server dropped {field}, because the installed CustomResourceDefinitions are older than this controller: apply those of this version"
            ))),
            None => Ok(written),
        }
    }

    async fn patch<K: OneOfOurs>(&self, key: &ObjectKey, patch: &Value) -> Result<K, Failure> {
        let api = self.typed(&key.namespace);
        Ok(in_time(&*self.time, api.patch(&key.name, &params(), &Patch::Merge(patch))).await?)
    }

    fn typed<K: OneOfOurs>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn any(&self, key: &ObjectKey) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(GROUP, VERSION, key.kind.as_str());
        Api::namespaced_with(self.client.clone(), &key.namespace, &ApiResource::from_gvk(&kind))
    }
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

/// The response, or an error if there was none in time.
pub(super) async fn in_time<T>(
    time: &dyn Time,
    request: impl Future<Output = kube::Result<T>>,
) -> kube::Result<T> {
    let late = || kube::Error::Service(format!("no response within {} seconds", LIMIT.as_secs()).into());
    within(time, LIMIT, request, || Err(late())).await
}

fn understood(kind: Kind, json: Value) -> Option<Object> {
    Some(match kind {
        Kind::OtaCloud => Object::Cloud(serde_json::from_value(json).ok()?),
        Kind::OtaPackage => Object::Package(serde_json::from_value(json).ok()?),
        Kind::OtaRollout => Object::Rollout(serde_json::from_value(json).ok()?),
    })
}

/// A field of the status that was sent, but not stored.
fn dropped<K: Serialize>(sent: &K, stored: &K) -> Option<String> {
    let status = |object: &K| {
        serde_json::to_value(object).ok().and_then(|mut json| Some(json.get_mut("status")?.take()))
    };
    first_dropped("status", &status(sent)?, status(stored).as_ref())
}

/// True when `whole` contains everything in `part`.
fn is_part(part: &Value, whole: &Value) -> bool {
    match part {
        Value::Object(fields) => fields.iter().all(|(name, value)| whole.get(name) == Some(value)),
        _ => part == whole,
    }
}
