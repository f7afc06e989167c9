//! `enos`: an organization on Envision EnOS.

use crate::api::pattern;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An organization on Envision EnOS (OTA API v2.1).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Enos {
    /// Address of the API gateway, such as `https://apim-cn5.enos-iot.com`.
    #[schemars(length(max = 2048), regex(pattern = pattern::ADDRESS))]
    pub endpoint: String,
    /// Organization id, sent as `orgId` with every request.
    #[schemars(length(min = 1, max = 64), regex(pattern = pattern::ID))]
    pub org_id: String,
}
