//! Huawei OceanConnect, the application's (northbound) side: `/iodm/northbound/v1.5.0` and its helpers.
//!
//! A call passes `limits` ▸ `render` ▸ `session` ▸ transport ▸ `refusal` or `reply`; `client` runs them in this order and is the
//! only one that waits. Packages are uploaded and tasks are stopped in the portal: no call can do either.

mod client;
mod limits;
mod refusal;
mod render;
mod reply;
mod session;
mod shared;
mod wire;

pub(super) use client::capabilities;
pub use client::{OceanConnectClient, connect};
pub use session::Sessions;
pub use shared::{Kept, Shelf};
