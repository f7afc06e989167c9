//! `rollwave controller`: keeps the clouds agreeing with the objects of a Kubernetes cluster.

mod ports;
mod term;

use super::ports::SystemClock;
use super::{Context, Exit};
use crate::cloud::address::AllowedHost;
use crate::source::kubernetes::patience;
use crate::state::kubernetes::election::{Candidate, Standing};
use crate::state::kubernetes::{schema, shard::Shard, time::MachineTime};
use crate::web::{self, Board, Role};
use kube::Client;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use term::{Ended, Setup, Term};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often a loop that waits shows a sign of life.
const BEAT: Duration = Duration::from_secs(15);

/// Keep the clouds agreeing with the objects of a Kubernetes cluster.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Namespace to work in; all of them when none is given. May be given several times.
    #[arg(long = "namespace", value_name = "NAME")]
    pub namespaces: Vec<String>,
    /// Name of the Lease that decides which one of several controllers works.
    #[arg(long, value_name = "NAME", default_value = "rollwave")]
    pub lease: String,
    /// Shard the accounts among so many controllers that work at the same time, each on one shard; the same number for all.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub shards: u32,
    /// Namespace of the Lease; the controller's own when it is not given.
    #[arg(long, value_name = "NAME")]
    pub lease_namespace: Option<String>,
    /// Folder that `spec.artifact.file` starts from: it holds a folder for each namespace.
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// Send keys to this host only: HOST, HOST:PORT or *.DOMAIN; any when it is not given. May be given several times.
    #[arg(long = "allow-host", value_name = "HOST")]
    pub allowed_hosts: Vec<AllowedHost>,
    /// Address of /livez, /readyz and /metrics (0.0.0.0:8080); nothing is served when it is not given.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Show the health of at most N objects by name in /metrics, as rollwave_object_health.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub object_metrics: usize,
    /// Count time so many times as fast, to rehearse against `rollwave simulate` on this machine.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub time_factor: u32,
}

/// Runs the verb.
pub async fn run(args: &Args, ctx: &Context) -> Exit {
    let board = Arc::new(Board::naming(args.object_metrics));
    let serving = match serve(args.listen, board.clone()).await {
        Ok(serving) => serving,
        Err(error) => return ctx.fail(error),
    };
    let (client, own_namespace) = match connect().await {
        Ok(connected) => connected,
        Err(error) => {
            return ctx.fail(format!(
                "cannot reach a cluster: {error}: name a kubeconfig with KUBECONFIG, or run in a Pod"
            ));
        }
    };
    if let Err(stopped) = definitions(&client, &board).await {
        serving.abort();
        return stopped.map_or(Exit::Done, |error| ctx.fail(error));
    }
    let namespace = args.lease_namespace.as_deref().unwrap_or(&own_namespace);
    let identity = identity();
    let time = Arc::new(MachineTime::default());
    let candidate = match args.shards {
        1 => Candidate::new(client.clone(), namespace, &args.lease, identity.clone(), time),
        shards => Candidate::for_shard(&client, namespace, &args.lease, &identity, shards, time),
    };
    let (held, standing) = (candidate.held(), candidate.standing());
    let (resign, resigned) = watch::channel(false);
    let campaign = tokio::spawn(candidate.campaign(resigned));
    let setup = Setup {
        client,
        identity,
        held,
        namespaces: args.namespaces.clone(),
        artifacts: args.artifacts.clone(),
        allowed_hosts: args.allowed_hosts.clone(),
        clock: SystemClock::faster(args.time_factor),
        board,
    };
    let ended = lead(&setup, standing).await;
    // Fails when the campaign is over, which it is not before this.
    let _ = resign.send(true);
    let given_back = campaign.await;
    serving.abort();
    match ended.and(given_back.map_err(|error| error.to_string())) {
        Ok(()) => Exit::Done,
        Err(error) => ctx.fail(error),
    }
}

/// Waits until the installed CustomResourceDefinitions have every field that this controller writes. Until then it does not take
/// part in the election: an older controller that fits them goes on.
///
/// # Errors
/// It was told to stop; or why it cannot wait for that.
async fn definitions(client: &Client, board: &Board) -> Result<(), Option<String>> {
    let (mut stop, mut said) = (pin!(super::run::stop_signal()), None);
    loop {
        let problem = tokio::select! {
            biased;
            signal = &mut stop => return Err(signal.err().map(|error| error.to_string())),
            problem = schema::problem(client) => problem,
        };
        let problem = match problem {
            Ok(problem) => problem,
            Err(kube::Error::Api(status)) if status.code == 403 => {
                tracing::warn!(
                    "the installed CustomResourceDefinitions cannot be compared: {}",
                    status.message
                );
                None
            }
            Err(error) => Some(format!("the installed CustomResourceDefinitions cannot be read: {error}")),
        };
        board.beat();
        board.set_problem(problem.clone());
        let Some(problem) = problem else { return Ok(()) };
        if said.replace(problem.clone()).as_ref() != Some(&problem) {
            tracing::error!("{problem}");
        }
        tokio::select! {
            biased;
            signal = &mut stop => return Err(signal.err().map(|error| error.to_string())),
            () = tokio::time::sleep(BEAT) => {}
        }
    }
}

/// Works whenever it leads, until it is told to stop.
async fn lead(setup: &Setup, mut standing: watch::Receiver<Standing>) -> Result<(), String> {
    let mut stop = pin!(super::run::stop_signal());
    loop {
        let share = tokio::select! {
            biased;
            signal = &mut stop => return signal.map_err(|error| error.to_string()),
            share = wait_to_lead(&mut standing, &setup.board) => share?,
        };
        tracing::info!("leading {share}");
        let mut term = Term::begin(setup, share).map_err(|error| error.to_string())?;
        let ended = tokio::select! {
            biased;
            signal = &mut stop => {
                term.stop().await;
                return signal.map_err(|error| error.to_string());
            }
            _ = standing.wait_for(|now| *now != Standing::Leads(share)) => Ended::Deposed,
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

async fn wait_to_lead(standing: &mut watch::Receiver<Standing>, board: &Board) -> Result<Shard, String> {
    let mut beat = tokio::time::interval(BEAT);
    loop {
        match *standing.borrow_and_update() {
            Standing::Leads(share) => return Ok(share),
            Standing::Waits => board.set_role(Role::Waiting, None),
            Standing::Unknown => board.set_role(Role::Starting, None),
        }
        tokio::select! {
            changed = standing.changed() => changed.map_err(|error| error.to_string())?,
            _ = beat.tick() => board.beat(),
        }
    }
}

/// Begins to serve probes and figures, if they are wanted.
async fn serve(listen: Option<SocketAddr>, board: Arc<Board>) -> Result<JoinHandle<()>, String> {
    let Some(address) = listen else { return Ok(tokio::spawn(async {})) };
    let wrong = |error: std::io::Error| format!("--listen {address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(wrong)?;
    let address = listener.local_addr().map_err(wrong)?;
    tracing::info!("serving http://{address}/livez, /readyz and /metrics");
    Ok(tokio::spawn(async move {
        if let Err(error) = web::serve(listener, board).await {
            tracing::error!("probes and figures are served no more: {error}");
        }
    }))
}

/// By `KUBECONFIG` or the user's own file, else as a Pod; with the namespace that is its own there.
async fn connect() -> Result<(Client, String), kube::Error> {
    let mut config = kube::Config::infer().await.map_err(kube::Error::InferConfig)?;
    // It would send a create again whose answer was lost, and keep writes waiting for minutes.
    config.default_retry = false;
    let namespace = config.default_namespace.clone();
    Ok((patience::client(config)?, namespace))
}

/// A name for the Lease that no other process has, and that people recognise.
fn identity() -> String {
    let host = ["POD_NAME", "HOSTNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    format!("{}_{:08x}", host.as_deref().unwrap_or("rollwave"), fastrand::u32(..))
}
