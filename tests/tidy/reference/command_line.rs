//! The page of the command line: the help of every verb.

use clap::{Command, CommandFactory as _};
use std::fmt::Write as _;

const INTRODUCTION: &str = "# Command line

<!-- Written by `make docs` from the help of the program: do not edit. -->

Results are written to standard output; notes, warnings, errors and log lines to standard error. [Output formats](output.md) describes
the JSON forms.

## Exit codes

| code | meaning |
|---|---|
| 0 | done; for `plan`: no changes |
| 1 | failed |
| 2 | `plan`: changes are pending; `apply` without `--wait`: work is in progress, and the next `apply` continues it |
| 3 | held: a gate, a stop rule or `suspend` holds a rollout, and a user has to decide |
| 4 | the time given with `--timeout` has passed |
| 64 | wrong usage |

## Environment variables

| variable | meaning |
|---|---|
| `ROLLWAVE_STATE` | the same as `--state` |
| `RUST_LOG` | filter of the log, such as `rollwave=debug`; a filter that cannot be parsed is an error |
| `NO_COLOR` | no colour, unless `--color always` is given |
| `KUBECONFIG` | file that describes how to reach a cluster |
";

/// The whole page.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (title, help) in helps() {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {title}\n\n```text\n{}\n```\n", help.trim_end());
    }
    page
}

/// The program and its verbs, each with its help. Flags that every verb takes stand once, with the program.
pub fn helps() -> Vec<(String, String)> {
    let mut root = rollwave::cli::Cli::command();
    root.build();
    let mut helps = vec![("rollwave".to_owned(), help(root.clone()))];
    for verb in root.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set()) {
        let name = verb.get_bin_name().unwrap_or_else(|| verb.get_name()).to_owned();
        let own = |arg: clap::Arg| if arg.is_global_set() { arg.hide(true) } else { arg };
        helps.push((name, help(verb.clone().mut_args(own))));
    }
    helps
}

fn help(command: Command) -> String {
    let help = command.term_width(100).render_long_help().to_string();
    help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_verb_has_a_section_with_its_flags() {
    let page = page();
    for title in ["## rollwave\n", "## rollwave apply\n", "## rollwave controller\n"] {
        assert!(page.contains(title), "{title}");
    }
    assert!(page.contains("--prune-all") && page.contains("--shards <N>"));
    assert_eq!(page.matches("--log-format <FORMAT>").count(), 1, "global flags stand once");
}
