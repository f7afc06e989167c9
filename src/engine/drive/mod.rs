//! Drivers, which feed an engine: one for each source of desired state.
//!
//! **Invariant:** a driver prints nothing and waits only on its ports, so that the deterministic simulation runs the shipped
//! one.

mod broken;
pub mod cluster;
pub mod folder;
pub mod rehearsal;
