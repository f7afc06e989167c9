//! The engine: which object is next, what was observed, what to do, and that nothing is done twice.
//!
//! `queue` selects the next key; `reconcile` runs load ▸ observe ▸ plan ▸ act ▸ report; `journal` guards every call
//! that is not idempotent; `inventory` holds what was observed of each account; `budget` limits the rate.
//!
//! **Invariant:** time, randomness, clouds and state come in through [`ports`]. Nothing here calls
//! `tokio::time`, `Instant::now`, `Timestamp::now` or a random source.

pub mod account;
mod account_replaced;
mod act;
pub mod admission;
mod allowed;
mod basis;
mod broken;
pub mod budget;
mod claims;
mod create;
pub mod drive;
pub mod dry_run;
mod duplicate;
mod external_jobs;
pub mod failpoints;
mod freshness;
mod heartbeat;
pub mod inventory;
pub mod journal;
mod likeness;
mod lost;
mod observe;
mod open_creates;
mod outage;
pub mod ports;
pub mod prune;
pub mod queue;
mod reconcile;
mod refused;
mod report;
mod rivals;
pub mod run;
mod slice;
mod stops;
mod subject;
mod surroundings;
pub mod term;
#[cfg(test)]
mod testing;
mod uniqueness;
pub mod worker;

pub use run::Engine;
pub use worker::Report;
