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
pub mod folder;
pub mod get;
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

use crate::api::Request;
use clap::{Parser, Subcommand, ValueEnum};
use std::{path::PathBuf, process::ExitCode};

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

/// Flags that every verb takes.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Folder that holds status and journal; .rollwave when it is not given.
    #[arg(long, global = true, value_name = "DIR", env = "ROLLWAVE_STATE", hide_env_values = true)]
    pub state: Option<PathBuf>,
    /// How log lines look; they go to stderr, and RUST_LOG says which are shown.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// When to use colour; `auto` means on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorWhen::Auto)]
    pub color: ColorWhen,
    /// No progress notes on stderr.
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// How log lines look.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// When to use colour.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Every verb.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Check manifests without calling any cloud.
    ///
    /// Every problem of every file is printed with its line and column, what is wrong, and what to write instead.
    /// References between all the given files and folders are checked too. A package's file that is missing, or is not the
    /// expected one, is a warning. Exit codes: 0 no problems, 1 problems, 64 a path is not there.
    Validate(validate::Args),
    /// Show what `apply` would do, and change nothing.
    Plan(plan::Args),
    /// Make the cloud agree with the manifests.
    ///
    /// Creates what is missing, releases the stages that are due, and deletes, by their policies, objects whose manifests
    /// are gone from PATH. Without --wait it does what can be done now and ends: run it again, from cron for instance, until
    /// the exit code is not 2 any more. `rollwave run` keeps on. Exit codes: 0 done, 1 failed, 2 in progress, 3 held,
    /// 4 timeout, 64 wrong usage.
    Apply(apply::Args),
    /// Keep the cloud agreeing with the manifests, until told to stop.
    ///
    /// Watches PATH and the cloud until Ctrl-C or SIGTERM. A file with an error changes nothing: what it said before goes
    /// on, and nothing is deleted until it is whole again.
    Run(run::Args),
    /// Keep the clouds agreeing with the objects of a Kubernetes cluster, until told to stop.
    ///
    /// Watches OtaClouds, OtaPackages and OtaRollouts, and writes what it did into their status. Of several controllers the
    /// one that holds the Lease works. Reads KUBECONFIG, or runs as a Pod.
    Controller(controller::Args),
    /// List objects with their status.
    Get(get::Args),
    /// Show how everything stands: stages, counts, and the evidence of each gate.
    Status(status::Args),
    /// Explain the last decision on an object, with its numbers, and what would change it.
    Why(why::Args),
    /// Have objects looked at now, and not at their next turn.
    ///
    /// An OtaCloud is looked at with everything in it.
    Reconcile(request::Args),
    /// Have rollouts stand still: nothing new is dispatched, and running jobs are stopped where the cloud can.
    ///
    /// No manifest changes; `rollwave resume` goes on. A rollout that is paused can be deleted all the same.
    Pause(request::Args),
    /// Have paused rollouts go on.
    Resume(request::Args),
    /// Give devices that failed in stages of a rollout, or in the verification of a package, another attempt.
    ///
    /// Each gets it once its job has ended; devices that succeeded are left alone. A gate that failed is asked anew. Where a
    /// stop rule has fired nothing is tried again, nor where every device that verifies a package runs it already.
    Retry(request::Args),
    /// Begin a new run of rollouts.
    ///
    /// A run sends the stages again, from the first one on, to every device that does not run the version. What the run before
    /// still sends is stopped first. A stop rule that fired, gates that failed and earlier results belong to the run before.
    Restart(request::Args),
    /// Confirm that objects are deleted whose manifests are missing.
    ///
    /// When a folder is empty, or most of its objects are missing, nothing of it is deleted until that is confirmed here, or with
    /// `--allow-prune`. `rollwave status` shows which objects wait for it.
    Prune(request::Args),
    /// Print the CustomResourceDefinitions of every kind.
    ///
    /// They are for a Kubernetes cluster: `rollwave crds | kubectl apply -f -`. A folder of manifests needs none.
    Crds(crds::Args),
    /// Print what each cloud does with each field of a manifest.
    Clouds(clouds::Args),
    /// Serve the clouds and a virtual fleet on loopback, for rehearsals.
    Simulate(simulate::Args),
    /// Watch a good release go out, and a bad one being stopped, on a simulator.
    Demo(demo::Args),
    /// Print the completion script of a shell.
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
            Self::Completions(args) => completions::run(args, ctx),
        }
    }

    /// Log level without RUST_LOG: a verb that stays tells what it does, the others only what is wrong.
    const fn log_level(&self) -> &'static str {
        match self {
            Self::Run(_) | Self::Controller(_) | Self::Simulate(_) => "info",
            Self::Plan(_)
            | Self::Apply(_)
            | Self::Get(_)
            | Self::Status(_)
            | Self::Why(_)
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
    // The only provider that is built in. An error means that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ctx.fail(format!("cannot start the async runtime: {error}")).into(),
    };
    let exit = runtime.block_on(cli.verb.run(&ctx));
    // Not dropped: that would wait for a file that does not answer.
    runtime.shutdown_background();
    ctx.printer.finish(exit).into()
}

/// Help and version are what was asked for; everything else is wrong usage. A reader that went away does not matter.
fn show_usage(error: &clap::Error) -> Exit {
    let _ = error.print();
    if error.exit_code() == 0 { Exit::Done } else { Exit::Usage }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

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
