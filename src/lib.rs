//! Rollwave: a declarative GitOps reconciler for IoT over-the-air updates.
//!
//! `ARCHITECTURE.md` is the map of this library. Data comes in at the left and walks one way:
//!
//! ```text
//! source/ ──key──▶ engine/queue ──▶ engine/reconcile:  load ▸ observe ▸ plan ▸ act ▸ report
//!  (desired)                          state/   cloud/    plan/   cloud/   state/
//! ```

pub mod api;
pub mod cli;
pub mod cloud;
pub mod engine;
pub mod plan;
pub mod simulator;
pub mod source;
pub mod state;
pub mod web;
