//! `rollwave controller`: keeps the clouds agreeing with the objects of a Kubernetes cluster.

mod ports;
mod term;

use super::ports::SystemClock;
use super::{Context, Exit};
use crate::state::kubernetes::lease::Candidate;
use kube::Client;
use std::path::PathBuf;
use std::pin::pin;
use term::{Ended, Setup, Term};
use tokio::sync::watch;

/// Keep the clouds agreeing with the objects of a Kubernetes cluster.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Namespace to work in; all of them when it is not given.
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Name of the Lease that decides which one of several controllers works.
    #[arg(long, value_name = "NAME", default_value = "rollwave")]
    pub lease: String,
    /// Namespace of the Lease; the controller's own when it is not given.
    #[arg(long, value_name = "NAME")]
    pub lease_namespace: Option<String>,
    /// Folder that `spec.artifact.file` starts from: it holds a folder for each namespace.
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// Count time so many times as fast, to rehearse against `rollwave simulate` on this machine.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub time_factor: u32,
}

/// Runs the verb.
pub async fn run(args: &Args, ctx: &Context) -> Exit {
    let (client, own_namespace) = match connect().await {
        Ok(connected) => connected,
        Err(error) => return ctx.fail(format!("cannot reach a cluster: {error}")),
    };
    let namespace = args.lease_namespace.as_deref().unwrap_or(&own_namespace);
    let candidate = Candidate::new(client.clone(), namespace, &args.lease, identity());
    let (held, leads) = (candidate.held(), candidate.leads());
    let (resign, resigned) = watch::channel(false);
    let campaign = tokio::spawn(candidate.campaign(resigned));
    let setup = Setup {
        client,
        held,
        namespace: args.namespace.clone(),
        artifacts: args.artifacts.clone(),
        clock: SystemClock::faster(args.time_factor),
    };
    let ended = lead(&setup, leads).await;
    // Fails when the campaign is over, which it is not before this.
    let _ = resign.send(true);
    let given_back = campaign.await;
    match ended.and(given_back.map_err(|error| error.to_string())) {
        Ok(()) => Exit::Done,
        Err(error) => ctx.fail(error),
    }
}

/// Works whenever it leads, until it is told to stop.
async fn lead(setup: &Setup, mut leads: watch::Receiver<bool>) -> Result<(), String> {
    let mut stop = pin!(super::run::stop_signal());
    loop {
        tokio::select! {
            biased;
            signal = &mut stop => return signal.map_err(|error| error.to_string()),
            led = leads.wait_for(|leads| *leads) => drop(led.map_err(|error| error.to_string())?),
        }
        tracing::info!("leading");
        let mut term = Term::begin(setup).map_err(|error| error.to_string())?;
        let ended = tokio::select! {
            biased;
            signal = &mut stop => {
                term.stop().await;
                return signal.map_err(|error| error.to_string());
            }
            _ = leads.wait_for(|leads| !leads) => Ended::Deposed,
            ended = term.work() => ended,
        };
        term.cut_off().await;
        match ended {
            Ended::Deposed => tracing::warn!("not leading any more: everything is left to the one who leads"),
            Ended::ClockSet => {
                tracing::warn!("the machine's clock was set, or the machine slept: beginning anew");
            }
            Ended::Failed(error) => return Err(error.to_string()),
        }
    }
}

/// By `KUBECONFIG` or the user's own file, else as a Pod; with the namespace that is its own there.
async fn connect() -> Result<(Client, String), kube::Error> {
    let mut config = kube::Config::infer().await.map_err(kube::Error::InferConfig)?;
    // It would send a create again whose answer was lost, and keep writes waiting for minutes.
    config.default_retry = false;
    let namespace = config.default_namespace.clone();
    Ok((Client::try_from(config)?, namespace))
}

/// A name for the Lease that no other process has, and that people recognise.
fn identity() -> String {
    let host = ["POD_NAME", "HOSTNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    format!("{}_{:08x}", host.as_deref().unwrap_or("rollwave"), fastrand::u32(..))
}
