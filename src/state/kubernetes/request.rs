//! Requests of users to an object in a cluster: an annotation, written under the user's own name.

use super::time::MachineTime;
use super::write::{Failure, in_time};
use crate::api::{GROUP, ObjectKey, Request, VERSION};
use crate::state::StateError;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

/// Field manager name at the API server.
const MANAGER: &str = "rollwave-cli";

/// Writes the request.
///
/// # Errors
/// [`StateError`]: the object does not exist, or the API server refused the write.
pub async fn ask(client: &Client, key: &ObjectKey, request: Request, at: &str) -> Result<(), StateError> {
    let kind = GroupVersionKind::gvk(GROUP, VERSION, key.kind.as_str());
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &key.namespace, &ApiResource::from_gvk(&kind));
    let patch = Patch::Merge(json!({"metadata": {"annotations": request.changes(at)}}));
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let written = in_time(&MachineTime::default(), api.patch_metadata(&key.name, &params, &patch)).await;
    written.map(drop).map_err(|error| Failure::from(error).of(key))
}
