//! Rollwave: a declarative GitOps reconciler for IoT over-the-air updates.
//!
//! Users write what a fleet should run as `OtaCloud`, `OtaPackage` and `OtaRollout` manifests. Rollwave compares them with what an IoT
//! cloud holds and acts until both agree. This crate is the library behind the `rollwave` program, which does nothing itself but read flags
//! and print.
//!
//! # A manifest, and what it takes
//!
//! A decision is a pure function: the same manifest, observation and time give the same plan on any machine.
//!
//! ```
//! use jiff::Timestamp;
//! use rollwave::api::Object;
//! use rollwave::cloud::{CloudKind, defaults::capabilities_of};
//! use rollwave::decide::{Action, PackageView, Seen, package};
//! use rollwave::source::manifest;
//! use std::{collections::BTreeMap, path::Path};
//!
//! let text = "
//! apiVersion: ota.rollwave.dev/v1alpha1
//! kind: OtaPackage
//! metadata: {name: meter-v2}
//! spec:
//!   cloudRef: {name: meters}
//!   type: Firmware
//!   product: {id: meter}
//!   version: V2.0
//!   artifact:
//!     sha256: 5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9
//!     obs: {region: cn-north-4, bucket: firmware, key: meter-v2.bin}
//! ";
//! let (objects, problems) = manifest::parse(Path::new("meter.yaml"), text);
//! assert!(problems.is_empty());
//! let Object::Package(wanted) = &objects[0].object else { unreachable!() };
//!
//! // The cloud was read, and holds neither packages nor jobs.
//! let now: Timestamp = "2026-11-01T08:00:00Z".parse()?;
//! let capabilities = capabilities_of(CloudKind::HuaweiIotda, jiff::SignedDuration::from_secs(30));
//! let plan = package::plan(&PackageView {
//!     object: wanted,
//!     capabilities: &capabilities,
//!     packages: Some(Seen { at: now, value: Vec::new() }),
//!     jobs: Some(Seen { at: now, value: Vec::new() }),
//!     devices: None,
//!     results: BTreeMap::new(),
//!     unasked_jobs: 0,
//!     now,
//! });
//! let [Action::CreatePackage { package, .. }] = &plan.actions[..] else { unreachable!() };
//! assert_eq!(package.key.version, "V2.0");
//! # Ok::<(), jiff::Error>(())
//! ```
//!
//! Every problem of a manifest has its place and a correction:
//!
//! ```
//! use rollwave::source::manifest;
//! use std::path::Path;
//!
//! let text = "
//! apiVersion: ota.rollwave.dev/v1alpha1
//! kind: OtaRollout
//! metadata: {name: meter-v2}
//! spec:
//!   packageRef: {name: meter-v2}
//!   targets: {all: true}
//!   stages: [{name: canary, select: {percent: ten}}]
//! ";
//! let (_, problems) = manifest::parse(Path::new("meter.yaml"), text);
//! assert_eq!(
//!     problems[0].to_string(),
//!     "meter.yaml:8:45: spec.stages[0].select.percent: \"ten\" is not a percentage (try 95%)"
//! );
//! ```
//!
//! `examples/toy_cloud.rs` implements [`cloud::Cloud`] for a cloud in memory and runs a whole rollout on it: `cargo run --example toy_cloud`.
//!
//! # Modules
//!
//! | module | what it has |
//! |---|---|
//! | [`api`] | the kinds that users write, their validation, and the status that they read |
//! | [`cloud`] | the trait that every cloud implements, and the clients of the four clouds |
//! | [`decide`] | the decision: what to do next, given spec, status, observation and time; pure |
//! | [`engine`] | the loop: which object is next, what to observe, how to act so that nothing is created twice |
//! | [`source`] | where manifests come from: files, folders, a cluster; and where secrets are read |
//! | [`state`] | where status and journal are kept: a file, memory, or the status of Kubernetes objects |
//! | [`simulator`] | the four clouds and a fleet of virtual devices, over HTTP on loopback |
//! | [`web`] | probes and metrics of the controller |
//! | [`cli`] | the verbs of the program |
//!
//! The deterministic simulation that tests all of them is in `tests/simulation/`. Data flows in one direction; `ARCHITECTURE.md` has the
//! details:
//!
//! ```text
//! source/ ──key──▶ engine/queue ──▶ engine/reconcile:  load ▸ observe ▸ decide ▸ act ▸ report
//!  (desired)                          state/   cloud/    decide/   cloud/   state/
//! ```

pub mod api;
pub mod cli;
pub mod cloud;
pub mod decide;
pub mod engine;
pub mod simulator;
pub mod source;
pub mod state;
pub mod web;
