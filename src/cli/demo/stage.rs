//! The engine on the demo's folder, and what the demo prints.

use super::verdict::Finding;
use crate::api::{Object, ObjectKey, all_settled};
use crate::cli::folder::{self, Requests};
use crate::cli::ports::SystemClock;
use crate::cli::printer::{DIM, STRONG, paint};
use crate::cli::{Context, Exit, tree};
use crate::engine::drive::folder::{DriveError, FolderDriver, Step};
use crate::simulator::http::ServeError;
use crate::simulator::{World, WorldError};
use crate::source;
use crate::source::origin::Origin;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
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

/// Prints the findings; the demo fails when one of them does not hold.
pub(super) fn tell(ctx: &Context, findings: &[Finding]) -> Exit {
    title(ctx, "Checked against the simulator");
    for finding in findings {
        ctx.printer.line(finding.line());
    }
    if findings.iter().all(|finding| finding.holds) { Exit::Done } else { Exit::Failed }
}

pub(super) fn title(ctx: &Context, text: &str) {
    ctx.printer.line(format!("\n{}", paint(STRONG, text)));
}

/// The engine on the demo's folder, and what was printed so far.
pub(super) struct Stage {
    pub(super) driver: FolderDriver,
    said: BTreeMap<ObjectKey, String>,
}

impl Stage {
    pub(super) fn open(dir: &Path, world: &World) -> Result<Self, DemoError> {
        let clock = SystemClock::faster(world.time_factor);
        let requests = Box::new(Requests::new());
        let driver = folder::open(Origin::of(&dir.join("fleet"), None), &dir.join("state"), clock, requests)?;
        Ok(Self { driver, said: BTreeMap::new() })
    }

    /// Takes the folder as it is now, and prints what happens until nothing continues by itself.
    pub(super) async fn play(&mut self, fleet: &Path, ctx: &Context) -> Result<(), DemoError> {
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
