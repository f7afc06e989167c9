//! Claims of the demo, checked against the simulator's own records and not against Rollwave's status.

use crate::api::{Health, Object};
use crate::cli::printer::{BAD, GOOD, paint};
use crate::simulator::Simulator;
use crate::simulator::http::Running;
use crate::simulator::truth::TaskTruth;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

const CANARY: usize = 60;
const STAGES_AND_VERIFICATION: usize = 4;

/// A claim, and whether it was observed.
pub(super) struct Finding {
    pub(super) holds: bool,
    pub(super) text: String,
}

impl Finding {
    pub(super) fn line(&self) -> String {
        let icon = if self.holds { paint(GOOD, "✔") } else { paint(BAD, "✘ not confirmed:") };
        format!("{icon} {}", self.text)
    }
}

/// Every claim of the demo.
pub(super) fn findings(simulator: &Running, objects: &[Arc<Object>]) -> Vec<Finding> {
    simulator.handle.with(|cloud, wall| {
        vec![good_release(cloud, wall), bad_release(cloud, wall, objects), nothing_twice(cloud), calls(cloud)]
    })
}

fn good_release(cloud: &Simulator, wall: Timestamp) -> Finding {
    let devices = cloud.devices(wall);
    let tasks = tasks_of(cloud, "V2.0");
    let reached: BTreeSet<&String> = tasks.iter().flat_map(devices_of).collect();
    let verify = tasks.iter().map(|task| devices_of(task).count()).min().unwrap_or(0);
    let left_behind = devices.iter().filter(|device| device.firmware.as_deref() == Some("V1.0")).count();
    let updated = devices.len() - left_behind;
    Finding {
        holds: tasks.len() == STAGES_AND_VERIFICATION && verify == 2 && updated * 100 >= devices.len() * 97,
        text: format!(
            "V2.0: one package, one verify task on {verify} devices, {} tasks for its stages; sent to {} devices, {updated} \
             of {} updated",
            tasks.len().saturating_sub(1),
            reached.len(),
            devices.len()
        ),
    }
}

fn bad_release(cloud: &Simulator, wall: Timestamp, objects: &[Arc<Object>]) -> Finding {
    let tasks = tasks_of(cloud, "V3.0");
    let reached: BTreeSet<&String> = tasks.iter().flat_map(devices_of).collect();
    let held =
        objects.iter().any(|object| object.key().name.contains("v3.0") && object.health() == Health::Held);
    let total = cloud.devices(wall).len();
    Finding {
        holds: held && tasks.len() == 1 && reached.len() <= CANARY,
        text: format!(
            "V3.0 was stopped at its canary: it was sent to {} of {total} devices, and not to the other {}",
            reached.len(),
            total - reached.len()
        ),
    }
}

fn nothing_twice(cloud: &Simulator) -> Finding {
    let (packages, tasks) = (cloud.packages(), cloud.tasks());
    let versions: BTreeSet<&String> = packages.iter().map(|package| &package.version).collect();
    let names: BTreeSet<&String> = tasks.iter().map(|task| &task.name).collect();
    let created = cloud.calls("CreateOtaPackage") + cloud.calls("CreateBatchTask");
    let there = packages.len() + tasks.len();
    Finding {
        holds: versions.len() == packages.len() && names.len() == tasks.len() && created == there as u64,
        text: format!(
            "nothing was created twice: {created} create calls, {} packages of {} versions, {} tasks of {} names",
            packages.len(),
            versions.len(),
            tasks.len(),
            names.len()
        ),
    }
}

fn calls(cloud: &Simulator) -> Finding {
    let total = cloud.total_calls();
    Finding { holds: total > 0, text: format!("{total} API calls in all") }
}

fn tasks_of(cloud: &Simulator, version: &str) -> Vec<TaskTruth> {
    let packages = cloud.packages();
    let ids: BTreeSet<&String> = packages.iter().filter(|p| p.version == version).map(|p| &p.id).collect();
    cloud.tasks().into_iter().filter(|task| task.packages.iter().any(|id| ids.contains(id))).collect()
}

fn devices_of(task: &TaskTruth) -> impl Iterator<Item = &String> {
    task.targets.values().flatten()
}
