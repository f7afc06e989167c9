//! `rollwave completions`: the completion script of a shell.

use super::{Cli, Context, Exit};
use clap::CommandFactory;
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

/// Prints the script.
#[must_use]
pub fn run(args: &Args, ctx: &Context) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rollwave", &mut script);
    ctx.printer.print(String::from_utf8_lossy(&script));
    Exit::Done
}

#[cfg(test)]
mod tests {
    use super::*;

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
