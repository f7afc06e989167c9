//! The engine: which object is next, what was observed, what to do, and that nothing is done twice.
//!
//! `queue` selects the next key; `reconcile` runs load ▸ observe ▸ plan ▸ act ▸ report; `journal` guards every call
//! that is not idempotent; `inventory` holds what was observed of each account; `budget` limits the rate.
//!
//! **Invariant:** time, randomness, clouds and state come in through [`ports`]. Nothing here calls
//! `tokio::time`, `Instant::now`, `Timestamp::now` or a random source.

pub mod account;
mod act;
mod allowed;
mod basis;
mod broken;
pub mod budget;
mod claims;
mod create;
pub mod drive;
mod duplicate;
mod holders;
pub mod intake;
pub mod inventory;
pub mod journal;
pub mod lane;
mod likeness;
mod lost;
mod observe;
mod others;
mod outage;
pub mod points;
pub mod ports;
pub mod prune;
mod pulse;
pub mod queue;
mod reconcile;
mod refused;
mod report;
mod rivals;
pub mod run;
mod slice;
mod stayed;
mod stops;
mod subject;
mod surroundings;
pub mod survey;
pub mod term;
#[cfg(test)]
mod testing;
mod uniqueness;

pub use lane::Report;
pub use run::Engine;
