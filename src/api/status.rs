//! What Rollwave observed and decided. Every number can be recomputed from the values beside it. Nothing is kept per device:
//! counts, and at most [`MAX_EXAMPLES`] device ids as examples.

mod clock;
mod cloud;
mod control;
mod counts;
mod decision;
mod evidence;
mod fields;
mod finding;
mod intent;
mod package;
mod refused;
mod rollout;
mod strata;
mod text;
mod uptime;

pub use clock::*;
pub use cloud::OtaCloudStatus;
pub use control::*;
pub use counts::*;
pub use decision::{Decision, MAX_DECISIONS, record_decision};
pub use evidence::*;
pub use finding::*;
pub use intent::*;
pub use package::*;
pub use refused::*;
pub use rollout::*;
pub use strata::*;
pub use text::{percent_text, time_text};
pub use uptime::Uptime;

/// Device ids shown as examples in a status.
pub const MAX_EXAMPLES: usize = 10;
