//! What a method makes of what it watches.

use crate::api::{Presence, Verdict};

/// What a method makes of what it watches.
pub(super) struct Judged {
    /// Devices that are judged.
    pub sample: u32,
    /// Those of them that count against the build, where they are not the failures of the counts.
    pub failures: Option<u32>,
    pub control: Option<Presence>,
    pub value: f64,
    pub threshold: f64,
    pub verdict: Verdict,
    pub message: String,
}

impl Judged {
    pub const fn new(sample: u32, value: f64, threshold: f64, verdict: Verdict, message: String) -> Self {
        Self { sample, failures: None, control: None, value, threshold, verdict, message }
    }
}
