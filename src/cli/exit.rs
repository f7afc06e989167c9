//! The one table of exit codes.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done; for `plan`: nothing to do.
    Done,
    /// 1: failed.
    Failed,
    /// 2: wrong usage; for `plan`: there is something to do (as `terraform plan -detailed-exitcode`).
    Usage,
    /// 3: held: a gate, a stop rule or `suspend` holds it, and it will not go on by itself.
    Held,
    /// 4: the time given with `--timeout` is over.
    Timeout,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Held => 3,
            Exit::Timeout => 4,
        })
    }
}
