//! `rollwave simulate`: serves the clouds of a world file on loopback until it is stopped.

use super::{Context, Exit};
use crate::api::CloudKind;
use crate::simulator::{Running, World, serve};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tokio::signal::unix::{SignalKind, signal};

/// Arguments of `rollwave simulate`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  rollwave simulate --world examples/world.yaml\n  \
                  rollwave simulate --world world.yaml --listen 127.0.0.1:0 --endpoints endpoints.json")]
pub struct Args {
    /// World file: accounts, products, devices and their behavior.
    #[arg(long, value_name = "FILE")]
    pub world: PathBuf,
    /// Loopback address to listen on; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    pub listen: SocketAddr,
    /// File to write when ready: JSON with the URL of each cloud by its field in `OtaCloud`.
    #[arg(long, value_name = "FILE")]
    pub endpoints: Option<PathBuf>,
}

/// Serves until SIGINT or SIGTERM.
pub async fn run(args: &Args, ctx: &Context) -> Exit {
    // Before the endpoints are written: their reader may end the process at once.
    let (mut interrupt, mut terminate) =
        match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
            (Err(error), _) | (_, Err(error)) => {
                return ctx.fail(format!("cannot listen for signals: {error}"));
            }
        };
    let running = match start(args).await {
        Ok(running) => running,
        Err(error) => return ctx.fail(error),
    };
    let names: Vec<&str> = clouds(&running).into_iter().map(CloudKind::as_str).collect();
    ctx.printer.print(format!("serving {} at {}\n", names.join(", "), running.url()));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    running.shutdown().await;
    Exit::Done
}

async fn start(args: &Args) -> Result<Running, String> {
    let text = fs_err::read_to_string(&args.world).map_err(|error| error.to_string())?;
    let world = World::parse(&args.world.display().to_string(), &text).map_err(|error| error.to_string())?;
    let running = serve(&world, args.listen).await.map_err(|error| error.to_string())?;
    if let Some(file) = &args.endpoints {
        write_endpoints(file, &running).map_err(|error| error.to_string())?;
    }
    Ok(running)
}

fn clouds(running: &Running) -> Vec<CloudKind> {
    running.handle.with(|simulator, _| simulator.clouds())
}

/// Written as a whole or not at all: readers wait for the file to appear.
fn write_endpoints(file: &Path, running: &Running) -> std::io::Result<()> {
    let mut half = file.as_os_str().to_owned();
    half.push(format!(".{}.tmp", std::process::id()));
    let endpoints: BTreeMap<_, _> =
        clouds(running).into_iter().map(|cloud| (cloud.as_str(), running.url())).collect();
    fs_err::write(&half, format!("{}\n", serde_json::json!(endpoints)))?;
    fs_err::rename(&half, file)
}
