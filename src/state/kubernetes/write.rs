//! The requests that write: each is sent once, with a resource version as its precondition.

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
use std::{fmt::Debug, sync::Arc, time::Duration};

/// Name under which the API server notes who wrote a field.
const MANAGER: &str = "rollwave";
/// A write that is not answered by then may have arrived or not.
const LIMIT: Duration = Duration::from_secs(10);

/// Why a request came to nothing, or to nothing that is known.
#[derive(Debug)]
pub(super) enum Failure {
    /// The object has changed since; or is gone.
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

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if matches!(status.code, 404 | 409) => Self::Conflict,
            kube::Error::Api(status) => Self::Other(format!(
                "the API server says {} {}: {}",
                status.code, status.reason, status.message
            )),
            error => Self::Other(error.to_string()),
        }
    }
}

/// What the objects of a kind have in common here.
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

    /// Replaces the status, if the object is still of this resource version.
    pub(super) async fn put_status(&self, object: &Object) -> Result<Object, Failure> {
        Ok(match object {
            Object::Cloud(o) => Object::Cloud(self.put(o).await?),
            Object::Package(o) => Object::Package(self.put(o).await?),
            Object::Rollout(o) => Object::Rollout(self.put(o).await?),
        })
    }

    /// Puts our finalizer on the object.
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

    /// Takes our finalizer off.
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

    /// The object as it is now; none when it is gone, or cannot be understood.
    pub(super) async fn get(&self, key: &ObjectKey) -> Result<Option<Object>, Failure> {
        let found = in_time(&*self.time, self.any(key).get_opt(&key.name)).await?;
        let json = found.and_then(|object| serde_json::to_value(object).ok());
        Ok(json.and_then(|json| understood(key.kind, json)))
    }

    /// Says in the status of an object that it cannot be understood, unless it says so already (false). What else stands in
    /// the status stays, the journal above all.
    pub(super) async fn say_broken(
        &self,
        key: &ObjectKey,
        meta: &ObjectMeta,
        why: &str,
    ) -> Result<bool, Failure> {
        let api = self.any(key);
        let found = in_time(&*self.time, api.get(&key.name)).await?;
        // What is wrong with what it was is not said of what it has become: the watch tells of that.
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
                "the API server dropped {field}: the installed CustomResourceDefinitions are older than this controller: apply those of this version"
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

/// An answer, or that there was none in time.
pub(super) async fn in_time<T>(
    time: &dyn Time,
    request: impl Future<Output = kube::Result<T>>,
) -> kube::Result<T> {
    let late = || kube::Error::Service(format!("no answer within {} seconds", LIMIT.as_secs()).into());
    within(time, LIMIT, request, || Err(late())).await
}

fn understood(kind: Kind, json: Value) -> Option<Object> {
    Some(match kind {
        Kind::OtaCloud => Object::Cloud(serde_json::from_value(json).ok()?),
        Kind::OtaPackage => Object::Package(serde_json::from_value(json).ok()?),
        Kind::OtaRollout => Object::Rollout(serde_json::from_value(json).ok()?),
    })
}

/// A field of the status that was sent and is not in what was stored.
fn dropped<K: Serialize>(sent: &K, stored: &K) -> Option<String> {
    let status = |object: &K| {
        serde_json::to_value(object).ok().and_then(|mut json| Some(json.get_mut("status")?.take()))
    };
    first_dropped("status", &status(sent)?, status(stored).as_ref())
}

/// True when everything that `part` says stands in `whole`.
fn is_part(part: &Value, whole: &Value) -> bool {
    match part {
        Value::Object(fields) => fields.iter().all(|(name, value)| whole.get(name) == Some(value)),
        _ => part == whole,
    }
}
