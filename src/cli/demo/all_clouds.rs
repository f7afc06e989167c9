//! One release on all four clouds, side by side.

use super::stage::{DemoError, Stage, tell, title};
use super::{accounts, verdict::Finding};
use crate::api::CloudKind;
use crate::cli::{Context, Exit};
use crate::simulator::http::{Running, serve};
use crate::simulator::{Simulator, World};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

const WORLD: &str = include_str!("../../../examples/all-clouds.world.yaml");
const CLOUDS: &str = include_str!("../../../examples/all-clouds/1-clouds.yaml");
const RELEASE: &str = include_str!("../../../examples/all-clouds/2-v2.0.yaml");
const FIRMWARE: &[u8] = include_bytes!("../../../examples/all-clouds/meter-V2.0.bin");
const VERSION: &str = "V2.0";
/// Products of the simulation by cloud; they tell which cloud a device belongs to.
const PRODUCTS: [(CloudKind, &str); 4] = [
    (CloudKind::HuaweiIotda, "meter"),
    (CloudKind::OceanConnect, "Acme/WaterMeter/WM1"),
    (CloudKind::AliyunIot, "a1meter"),
    (CloudKind::Enos, "em001"),
];
/// One verification job, one for the canary, one for the rest.
const JOBS: usize = 3;

/// Runs the release, and checks the result against the simulators.
pub(super) async fn show(dir: &Path, ctx: &Context) -> Result<Exit, DemoError> {
    let world = World::parse("examples/all-clouds.world.yaml", WORLD)?;
    let simulator = serve(&world, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let fleet = dir.join("fleet");
    accounts::write(dir, "1-clouds.yaml", CLOUDS, &world.clouds, &simulator.url())?;
    let mut stage = Stage::open(dir, &world)?;

    title(
        ctx,
        &format!("100 devices on each of four clouds run V1.0. {VERSION} is released: {}", fleet.display()),
    );
    fs_err::write(fleet.join("meter-V2.0.bin"), FIRMWARE)?;
    fs_err::write(fleet.join("2-v2.0.yaml"), RELEASE)?;
    stage.play(&fleet, ctx).await?;

    let exit = tell(ctx, &findings(&simulator));
    simulator.shutdown().await;
    Ok(exit)
}

fn findings(simulator: &Running) -> Vec<Finding> {
    simulator.handle.with(|clouds, wall| {
        PRODUCTS.into_iter().map(|(cloud, product)| release(clouds, cloud, product, wall)).collect()
    })
}

fn release(clouds: &Simulator, cloud: CloudKind, product: &str, wall: Timestamp) -> Finding {
    let packages = clouds.packages().into_iter().filter(|package| package.cloud == cloud).count();
    let jobs: Vec<_> = clouds.tasks().into_iter().filter(|task| task.cloud == cloud).collect();
    let reached: BTreeSet<&String> = jobs.iter().flat_map(|job| job.targets.values().flatten()).collect();
    let devices: Vec<_> =
        clouds.devices(wall).into_iter().filter(|device| device.product == product).collect();
    let updated = devices.iter().filter(|device| device.firmware.as_deref() == Some(VERSION)).count();
    let calls: u64 =
        clouds.counters_by_cloud().get(&cloud).into_iter().flatten().map(|(_, calls)| calls.total).sum();
    Finding {
        holds: packages == 1 && jobs.len() == JOBS && updated * 100 >= devices.len() * 95,
        text: format!(
            "{cloud}: one package, {} jobs (one to verify, one for each stage) for {} devices; {updated} of {} run {VERSION}; \
             {calls} calls",
            jobs.len(),
            reached.len(),
            devices.len()
        ),
    }
}
