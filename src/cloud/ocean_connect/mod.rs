//! Huawei OceanConnect, the application's (northbound) side: `/iodm/northbound/v1.5.0` and its helpers.
//!
//! A call goes through `limits` ▸ `render` ▸ `session` ▸ transport ▸ `refusal` or `reply`; `client` puts them in this order
//! and is the only one that waits. Packages are uploaded in the portal, and tasks are stopped there: no call can do either.

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
