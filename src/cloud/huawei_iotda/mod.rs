//! Huawei Cloud IoTDA, API v5.
//!
//! A call passes `limits` ▸ `render` ▸ `sign` or `token` ▸ transport ▸ `refusal` or `reply`; `client` runs them in this order and
//! is the only one that waits. The simulator uses `wire` and `sign` too.

mod client;
pub mod limits;
mod refusal;
mod render;
mod reply;
pub mod sign;
mod token;
pub mod wire;

pub(super) use client::capabilities;
pub use client::{IotdaClient, Keys, Scheme, connect};
pub use render::{task_name, token_of};
pub use token::{User, derived_iam};
