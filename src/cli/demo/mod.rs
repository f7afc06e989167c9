//! `rollwave demo`: a good release and a bad one on the embedded simulator, checked against the simulator's records.

mod accounts;
mod all_clouds;
mod stage;
mod verdict;

use super::{Context, Exit};
use crate::simulator::World;
use crate::simulator::http::serve;
use stage::{DemoError, Stage, tell, title};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

const WORLD: &str = include_str!("../../../examples/fleet.world.yaml");
const CLOUD: &str = include_str!("../../../examples/fleet/1-cloud.yaml");
const GOOD_RELEASE: &str = include_str!("../../../examples/fleet/2-v2.0.yaml");
const BAD_RELEASE: &str = include_str!("../../../examples/fleet/3-v3.0.yaml");

/// Arguments of `rollwave demo`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  rollwave demo\n  rollwave demo --all-clouds --keep demo/")]
pub struct Args {
    /// Write manifests and state to this folder, and keep them.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Run one release on all four clouds: the manifests of examples/all-clouds.
    #[arg(long)]
    pub all_clouds: bool,
}

/// Runs the verb.
pub async fn run(args: &Args, ctx: &Context) -> Exit {
    let shown = match &args.keep {
        Some(dir) => play(args, dir, ctx).await,
        None => {
            let dir = std::env::temp_dir().join(format!("rollwave-demo-{}", std::process::id()));
            let shown = play(args, &dir, ctx).await;
            // What cannot be removed stays in the system's folder for temporary files.
            let _ = fs_err::remove_dir_all(&dir);
            shown
        }
    };
    shown.unwrap_or_else(|error| ctx.fail(error))
}

async fn play(args: &Args, dir: &Path, ctx: &Context) -> Result<Exit, DemoError> {
    if args.all_clouds { all_clouds::show(dir, ctx).await } else { show(dir, ctx).await }
}

async fn show(dir: &Path, ctx: &Context) -> Result<Exit, DemoError> {
    let world = World::parse("examples/fleet.world.yaml", WORLD)?;
    let simulator = serve(&world, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let fleet = dir.join("fleet");
    accounts::write(dir, "1-cloud.yaml", CLOUD, &world.clouds, &simulator.url())?;
    let mut stage = Stage::open(dir, &world)?;

    title(ctx, &format!("400 devices run V1.0. V2.0 is released: {}", fleet.join("2-v2.0.yaml").display()));
    fs_err::write(fleet.join("2-v2.0.yaml"), GOOD_RELEASE)?;
    stage.play(&fleet, ctx).await?;

    title(ctx, &format!("V3.0 is released, and it is bad: {}", fleet.join("3-v3.0.yaml").display()));
    fs_err::write(fleet.join("3-v3.0.yaml"), BAD_RELEASE)?;
    stage.play(&fleet, ctx).await?;

    let objects = stage.driver.objects().await?;
    let exit = tell(ctx, &verdict::findings(&simulator, &objects));
    simulator.shutdown().await;
    Ok(exit)
}
