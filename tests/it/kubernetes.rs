//! The Kubernetes home against a real API server, with the simulator as the cloud.

mod alerts;
mod argo_cd;
mod argo_sync;
mod cases;
mod chart;
mod chart_readme;
mod control_plane;
mod controller;
mod crash;
mod definitions;
mod deletion;
mod diff;
mod events;
mod examples;
mod flux;
mod harness;
mod kustomize;
mod outdated;
mod plan;
mod quick_start;
mod requests;
mod scale;
mod shards;
mod statuses;
mod trouble;
mod unruly;
