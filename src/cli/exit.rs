//! The one table of exit codes.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done; for `plan`: nothing to do.
    Done,
    /// 1: failed.
    Failed,
    /// 2: for `plan`: changes are pending (as `terraform plan -detailed-exitcode`); for `apply` without `--wait`: work is in
    /// progress, and the next `apply` continues it.
    Pending,
    /// 3: held by a gate, a stop rule or `suspend`; it does not continue by itself.
    Held,
    /// 4: the time of `--timeout` has passed.
    Timeout,
    /// 64: wrong usage (`EX_USAGE` of sysexits.h).
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Pending => 2,
            Exit::Held => 3,
            Exit::Timeout => 4,
            Exit::Usage => 64,
        })
    }
}
