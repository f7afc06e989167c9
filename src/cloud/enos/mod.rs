//! Envision EnOS, Connect service v2.1 (OTA).
//!
//! A call passes `limits` ▸ `render` ▸ `token` and `sign` ▸ transport ▸ `refusal` or `reply`; `client` runs them in this order
//! and is the only one that waits. The simulator uses `sign` too.

mod client;
mod expression;
pub mod limits;
mod refusal;
mod render;
mod reply;
pub mod sign;
mod token;
mod wire;

pub(super) use client::capabilities;
pub use client::{EnosClient, Keys, connect};
pub use render::{job_name, token_of};
