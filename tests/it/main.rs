//! The one integration-test binary.
// Clippy spares only functions marked `#[test]`; the helpers around them are tests, too.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)]

mod cli;
mod iotda_client;
mod manifest;
mod state;
mod transport;
mod vectors;
