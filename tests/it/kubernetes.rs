//! The Kubernetes home against a real API server, with the simulator as the cloud.

mod cases;
mod chart;
mod control_plane;
mod controller;
mod crash;
mod definitions;
mod examples;
mod harness;
mod statuses;
