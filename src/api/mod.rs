//! What users write and read: the three kinds, their defaults, their validation and their status.
//!
//! One Rust type is the manifest, the CRD schema and the validation: `schemars` derives the schema from it, and its CEL rules
//! also run on folders ([`crate::source::manifest`]).
//!
//! **Invariant:** nothing here does I/O, and nothing here knows a cloud's wire format.

mod cloud;
mod condition;
mod crd;
mod delivery;
mod event;
mod health;
mod json_schema;
mod key;
mod object;
mod own;
mod package;
pub mod pattern;
mod quantity;
mod reason;
mod request;
mod rollout;
mod scope;
mod status;
pub mod support;
mod window;
mod words;

pub use cloud::*;
pub use condition::*;
pub use crd::*;
pub use delivery::{Delivery, DeliveryStart, DownloadProtocol, Retry};
pub use event::{Event, REFUSALS, events};
pub use health::{Health, all_settled};
pub use json_schema::{json_schema, json_schema_file};
pub use key::*;
pub use object::Object;
pub use own::*;
pub use package::*;
pub use quantity::*;
pub use reason::{EventType, Reason};
pub use request::{Request, is_paused};
pub use rollout::*;
pub use scope::Scope;
pub use status::*;
pub use window::*;
pub use words::{counted, verb};

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
