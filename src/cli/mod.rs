//! The command line: flags → resolved options → library → printer. One file per verb.
//!
//! A verb is `pub struct Args` (its doc comments are the help text) and `pub fn run(&Args, &Context) -> Exit`, async
//! when it has to wait. It is one line in [`Verb`] and one in `Verb::run`.
//!
//! **Invariant:** the CLI never decides. It prints what the library returns; [`exit::Exit`] is the one table of exit codes.
#![allow(clippy::print_stdout, clippy::print_stderr)]

pub mod apply;
mod boot;
pub mod clouds;
pub mod completions;
pub mod connect;
pub mod context;
pub mod controller;
pub mod crds;
pub mod demo;
pub mod exit;
mod explain_gate;
pub mod folder;
pub mod get;
pub mod global;
pub mod log;
mod news;
pub mod place;
pub mod plan;
pub mod ports;
pub mod printer;
pub mod progress;
pub mod request;
pub mod run;
pub mod select;
mod session_files;
pub mod simulate;
pub mod status;
pub mod tree;
pub mod validate;
mod vault;
pub mod why;

#[cfg(test)]
mod samples;

pub use context::Context;
pub use exit::Exit;
pub use global::{ColorWhen, Global, LogFormat};

use crate::api::Request;
use clap::{CommandFactory as _, Parser, Subcommand};
use std::process::ExitCode;

/// Declarative GitOps reconciler for IoT over-the-air updates.
///
/// Exit codes: 0 done, 1 failed, 2 changes pending (`plan`) or in progress (`apply`), 3 held, 4 timeout, 64 wrong usage.
#[derive(Parser, Debug)]
#[command(name = "rollwave", version, max_term_width = 110)]
pub struct Cli {
    /// Flags that every verb takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Every verb.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Check manifests without calling any cloud.
    ///
    /// Prints every problem with its file, line and column, what is wrong, and what to write instead. Also checks the references
    /// between all given files and folders. An artifact file that is missing or is not the expected one is a warning. Exit codes:
    /// 0 no problems, 1 problems, 64 a path does not exist.
    Validate(validate::Args),
    /// Show what `rollwave apply` would change.
    ///
    /// Reads the manifests, the state and the clouds, and changes nothing. Shows every request to the end of each rollout, if all
    /// devices succeed; the devices of each stage; what cannot be undone; and warnings. With a cluster flag it shows what
    /// `kubectl apply` of the manifests would do in that cluster, and reads the Secrets of the accounts. Exit codes: 0 nothing to
    /// do, 1 failed, 2 changes pending.
    Plan(plan::Args),
    /// Apply manifests to the clouds.
    ///
    /// Creates what is missing, dispatches the stages that are due, and deletes objects whose manifests were removed from PATH,
    /// by their deletion policies. Without --wait it does what is possible now and exits: repeat it, for example from cron, until
    /// the exit code is no longer 2. `rollwave run` works continuously. Exit codes: 0 done, 1 failed, 2 in progress, 3 held, 4
    /// timeout, 64 wrong usage.
    Apply(apply::Args),
    /// Keep the clouds in line with a folder of manifests.
    ///
    /// Watches PATH and the clouds until SIGINT (Ctrl-C) or SIGTERM. While a file has an error, its last valid content stays in
    /// force and nothing is deleted.
    Run(run::Args),
    /// Keep the clouds in line with a Kubernetes cluster.
    ///
    /// Watches OtaClouds, OtaPackages and OtaRollouts until SIGINT or SIGTERM, and writes their status. If several controllers
    /// run, the one that holds the Lease works. Connects with KUBECONFIG, or as a Pod.
    Controller(controller::Args),
    /// List objects with their status.
    Get(get::Args),
    /// Show stages, device counts and gate evidence.
    ///
    /// Prints a tree: accounts, their packages, and the rollouts of each package with their stages.
    Status(status::Args),
    /// Explain the state of an object and what would change it.
    ///
    /// Shows the last decisions with their numbers, what was observed, and what would change the result.
    Why(why::Args),
    /// Show what a gate of a stage would prove.
    ///
    /// Needs no manifests and no cloud: shows how many failures a stage of this size may have, and how often good and bad builds
    /// pass. Exit codes: 0 done, 1 the gate can prove nothing.
    ExplainGate(explain_gate::Args),
    /// Reconcile objects now.
    ///
    /// Without this, an object is reconciled when it changes or when its next check is due. An OtaCloud is reconciled with all
    /// its packages and rollouts.
    #[command(
        after_help = "Examples:\n  rollwave reconcile rollout/meter-v2\n  rollwave reconcile cloud/prod --wait"
    )]
    Reconcile(request::Args),
    /// Pause rollouts.
    ///
    /// Nothing new is dispatched, and running jobs are stopped where the cloud supports it. Manifests do not change; `rollwave
    /// resume` continues the rollout. A paused rollout can still be deleted.
    #[command(after_help = "Examples:\n  rollwave pause rollout/meter-v2\n  rollwave pause rollouts --wait")]
    Pause(request::Args),
    /// Resume paused rollouts.
    ///
    /// Dispatches the next devices of a rollout that `rollwave pause` stopped. A rollout with `spec.suspend: true` stays
    /// suspended.
    #[command(
        after_help = "Examples:\n  rollwave resume rollout/meter-v2\n  rollwave resume rollouts --wait"
    )]
    Resume(request::Args),
    /// Retry devices that failed.
    ///
    /// Retries the failed devices of a rollout, or of the verification of a package, each once its job has ended. Devices that
    /// succeeded are not sent again, and failed gates are evaluated again. Nothing is retried after a stop rule has fired, or
    /// when every device that verifies a package already runs it.
    #[command(
        after_help = "Examples:\n  rollwave retry rollout/meter-v2\n  rollwave retry package/meter-v2 --wait"
    )]
    Retry(request::Args),
    /// Start a new run of rollouts.
    ///
    /// A run sends the stages again, from the first one on, to every device that does not run the version. Jobs of the previous
    /// run are stopped first. A fired stop rule, failed gates and earlier results belong to the previous run.
    #[command(
        after_help = "Examples:\n  rollwave restart rollout/meter-v2\n  rollwave restart rollout/meter-v2 --wait --timeout 5m"
    )]
    Restart(request::Args),
    /// Confirm the deletion of objects without a manifest.
    ///
    /// When a folder is empty or most of its objects are missing, nothing is deleted until you confirm it with this verb or with
    /// `--allow-prune`. `rollwave status` shows the objects that await confirmation.
    #[command(after_help = "Examples:\n  rollwave prune rollout/meter-v1\n  rollwave prune rollouts --wait")]
    Prune(request::Args),
    /// Print the CustomResourceDefinitions.
    ///
    /// They are for a Kubernetes cluster; a folder of manifests needs none.
    Crds(crds::Args),
    /// Print how each cloud supports each manifest field.
    ///
    /// Prints docs/clouds.md: fields, limits, and where the fields of each request come from.
    #[command(after_help = "Examples:\n  rollwave clouds\n  rollwave clouds > clouds.md")]
    Clouds(clouds::Args),
    /// Serve simulated clouds and a virtual fleet on loopback.
    Simulate(simulate::Args),
    /// Show a good and a bad release on a simulator.
    ///
    /// Everything runs on this machine, 300 times as fast as normal: a simulator of Huawei Cloud IoTDA with 400 devices, and the
    /// manifests of examples/fleet. The exit code is 0 only if the simulator confirms everything that the demo reports.
    Demo(demo::Args),
    /// Print a shell completion script.
    Completions(completions::Args),
}

impl Verb {
    async fn run(&self, ctx: &Context) -> Exit {
        match self {
            Self::Validate(args) => validate::run(args, ctx),
            Self::Plan(args) => plan::run(args, ctx).await,
            Self::Apply(args) => apply::run(args, ctx).await,
            Self::Run(args) => run::run(args, ctx).await,
            Self::Controller(args) => controller::run(args, ctx).await,
            Self::Get(args) => get::run(args, ctx).await,
            Self::Status(args) => status::run(args, ctx).await,
            Self::Why(args) => why::run(args, ctx).await,
            Self::ExplainGate(args) => explain_gate::run(args, ctx),
            Self::Reconcile(args) => request::run(Request::Reconcile, args, ctx).await,
            Self::Pause(args) => request::run(Request::Pause, args, ctx).await,
            Self::Resume(args) => request::run(Request::Resume, args, ctx).await,
            Self::Retry(args) => request::run(Request::Retry, args, ctx).await,
            Self::Restart(args) => request::run(Request::Restart, args, ctx).await,
            Self::Prune(args) => request::run(Request::Prune, args, ctx).await,
            Self::Crds(args) => crds::run(args, ctx),
            Self::Clouds(args) => clouds::run(args, ctx),
            Self::Simulate(args) => simulate::run(args, ctx).await,
            Self::Demo(args) => demo::run(args, ctx).await,
            Self::Completions(args) => completions::run(args, &mut Cli::command(), ctx),
        }
    }

    /// Log level without RUST_LOG: verbs that keep running log what they do, the others only problems.
    const fn log_level(&self) -> &'static str {
        match self {
            Self::Run(_) | Self::Controller(_) | Self::Simulate(_) => "info",
            Self::Plan(_)
            | Self::Apply(_)
            | Self::Get(_)
            | Self::Status(_)
            | Self::Why(_)
            | Self::ExplainGate(_)
            | Self::Reconcile(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Retry(_)
            | Self::Restart(_)
            | Self::Prune(_)
            | Self::Completions(_)
            | Self::Demo(_)
            | Self::Validate(_)
            | Self::Clouds(_)
            | Self::Crds(_) => "warn",
        }
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return show_usage(&error).into(),
    };
    let ctx = Context::new(&cli.global);
    if let Err(error) = log::init(cli.global.log_format, cli.verb.log_level(), ctx.printer.colors_stderr()) {
        return ctx.usage(error).into();
    }
    if cli.global.log_format == LogFormat::Json {
        ctx.printer.log_instead();
    }
    // The only provider that is compiled in. An error means that one is installed already, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ctx.fail(format!("cannot start the async runtime: {error}")).into(),
    };
    let exit = runtime.block_on(cli.verb.run(&ctx));
    // Not dropped: that would wait for file operations that do not finish.
    runtime.shutdown_background();
    ctx.printer.finish(exit).into()
}

/// Help and version are regular output; everything else is wrong usage. A closed reader is ignored.
fn show_usage(error: &clap::Error) -> Exit {
    let _ = error.print();
    if error.exit_code() == 0 { Exit::Done } else { Exit::Usage }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_verbs_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_text_is_frozen() {
        let mut root = Cli::command();
        root.build();
        let mut pages = vec![page(root.clone())];
        pages.extend(root.get_subcommands().filter(|verb| verb.get_name() != "help").map(|verb| {
            page(verb.clone().mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg }))
        }));
        insta::assert_snapshot!("help", pages.join("\n"));
    }

    fn page(command: clap::Command) -> String {
        let title = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
        let help = command.term_width(100).render_long_help().to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        format!("# {title}\n\n{}\n", lines.join("\n"))
    }
}
