//! The one integration-test binary.
// Clippy spares only functions marked `#[test]`; the helpers around them are tests, too.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)]

mod aliyun_client;
mod cli;
mod clouds;
mod docs;
mod endless_lists;
mod engine;
mod enos_client;
mod explain;
mod folder;
mod fuzz;
mod iotda_client;
mod kubernetes;
mod large_fleet;
mod manifest;
mod manifest_laws;
mod manuals;
mod ocean_connect_client;
mod plan;
mod plan_verb;
mod safety;
mod several_rollouts;
mod simulator;
mod state;
mod support;
mod transport;
mod validate;
mod vectors;
