//! The engine: which object is next, what was observed, what to do, and that nothing is done twice.
//!
//! `queue` selects the next key; `reconcile` runs load ▸ observe ▸ decide ▸ act ▸ report; `journal` guards every call
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
pub mod budget;
mod caller;
mod claims;
mod connection;
mod context;
mod create;
mod decision;
mod drift;
pub mod drive;
pub mod dry_run;
mod duplicate;
pub mod failpoints;
mod fingerprint;
mod freshness;
mod graph;
mod heartbeat;
pub mod inventory;
pub mod journal;
mod link;
mod lost;
mod observe;
mod open_creates;
mod outage;
pub mod ports;
pub mod priority;
pub mod prune;
pub mod queue;
mod reconcile;
mod refused;
mod report;
pub mod run;
mod slice;
mod stages;
mod subject;
#[cfg(test)]
mod testing;
mod trouble;
pub mod worker;
mod worker_loop;
mod writes;

pub use run::Engine;
pub use worker::Report;
