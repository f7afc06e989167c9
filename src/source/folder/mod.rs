//! A file or a folder of manifests.

mod files;
mod reading;
mod watch;

pub use reading::{Reading, read, read_all, read_for};
pub use watch::{Settle, TokioSettle, Watch, WatchOptions};
