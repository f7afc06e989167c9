//! Asking something of an object in a cluster: an annotation, written by whoever asks, under a name of their own.

use super::time::MachineTime;
use super::write::{Failure, in_time};
use crate::api::{GROUP, ObjectKey, Request, VERSION};
use crate::state::StateError;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

/// Name under which the API server notes who wrote the annotation.
const MANAGER: &str = "rollwave-cli";

/// Asks it.
///
/// # Errors
/// [`StateError`]: the object is gone, or the API server did not take it.
pub async fn ask(client: &Client, key: &ObjectKey, request: Request, at: &str) -> Result<(), StateError> {
    let kind = GroupVersionKind::gvk(GROUP, VERSION, key.kind.as_str());
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &key.namespace, &ApiResource::from_gvk(&kind));
    let patch = Patch::Merge(json!({"metadata": {"annotations": request.changes(at)}}));
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let written = in_time(&MachineTime::default(), api.patch_metadata(&key.name, &params, &patch)).await;
    written.map(drop).map_err(|error| Failure::from(error).of(key))
}
