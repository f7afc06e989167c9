//! `rollwave completions`: the completion script of a shell.

use super::{Context, Exit};
use clap_complete::Shell;

/// Arguments of `rollwave completions`.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  rollwave completions bash > ~/.local/share/bash-completion/completions/rollwave\n  \
            rollwave completions zsh > ~/.zfunc/_rollwave"
)]
pub struct Args {
    /// Shell to complete for.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the script for this command line.
#[must_use]
pub fn run(args: &Args, program: &mut clap::Command, ctx: &Context) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, program, "rollwave", &mut script);
    ctx.printer.print(String::from_utf8_lossy(&script));
    Exit::Done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_verbs() {
        use clap::ValueEnum;
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "rollwave", &mut script);
            assert!(String::from_utf8(script).unwrap().contains("completions"), "{shell}");
        }
    }
}
