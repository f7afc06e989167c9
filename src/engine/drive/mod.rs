//! What keeps an engine fed: a driver for each source of desired state.
//!
//! **Invariant:** a driver prints nothing and waits for nothing but its ports, so that the deterministic simulation runs the shipped one.

pub mod folder;
pub mod rehearsal;
