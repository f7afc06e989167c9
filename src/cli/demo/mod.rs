//! `rollwave demo`: a good release and a bad one on the embedded simulator, checked against the simulator's records.

mod accounts;
mod all_clouds;
mod verdict;

use super::folder::{self, Requests};
use super::ports::SystemClock;
use super::printer::{DIM, STRONG, paint};
use super::{Context, Exit, tree};
use crate::api::{Object, ObjectKey, all_settled};
use crate::engine::drive::folder::{DriveError, FolderDriver, Step};
use crate::simulator::http::{ServeError, serve};
use crate::simulator::{World, WorldError};
use crate::source;
use crate::source::origin::Origin;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use verdict::Finding;

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

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error(transparent)]
    World(#[from] WorldError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Drive(#[from] DriveError),
    #[error(transparent)]
    State(#[from] crate::state::StateError),
    #[error("cannot write the demo's files: {0}")]
    Files(#[from] io::Error),
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

/// Prints the findings; the demo fails when one of them does not hold.
fn tell(ctx: &Context, findings: &[Finding]) -> Exit {
    title(ctx, "Checked against the simulator");
    for finding in findings {
        ctx.printer.line(finding.line());
    }
    if findings.iter().all(|finding| finding.holds) { Exit::Done } else { Exit::Failed }
}

fn title(ctx: &Context, text: &str) {
    ctx.printer.line(format!("\n{}", paint(STRONG, text)));
}

/// The engine on the demo's folder, and what was printed so far.
struct Stage {
    driver: FolderDriver,
    said: BTreeMap<ObjectKey, String>,
}

impl Stage {
    fn open(dir: &Path, world: &World) -> Result<Self, DemoError> {
        let clock = SystemClock::faster(world.time_factor);
        let requests = Box::new(Requests::new());
        let driver = folder::open(Origin::of(&dir.join("fleet"), None), &dir.join("state"), clock, requests)?;
        Ok(Self { driver, said: BTreeMap::new() })
    }

    /// Takes the folder as it is now, and prints what happens until nothing continues by itself.
    async fn play(&mut self, fleet: &Path, ctx: &Context) -> Result<(), DemoError> {
        self.driver.take(source::folder::read(fleet)).await?;
        self.driver.wake_all().await?;
        loop {
            let Step::Reconciled(report) = self.driver.step().await? else { continue };
            if let Some(object) = self.driver.object(&report.key).await? {
                self.say(&object, ctx);
            }
            let objects = self.driver.objects().await?;
            if all_settled(&objects) {
                let objects: Vec<Object> = objects.iter().map(|object| Object::clone(object)).collect();
                ctx.printer.line("");
                ctx.printer.line(tree::draw(&tree::forest(&objects)));
                return Ok(());
            }
        }
    }

    fn say(&mut self, object: &Object, ctx: &Context) {
        let (key, message) = (object.key(), object.message());
        if self.said.get(&key).is_none_or(|said| said != message) {
            ctx.printer.line(format!("{} {message}", paint(DIM, format!("{key}:"))));
            self.said.insert(key, message.to_owned());
        }
    }
}
