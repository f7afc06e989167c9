//! What is compared: Rollwave's own decision code with several manifests, and the rules of others with their own documented
//! settings.

mod argo;
mod aws;
mod flightctl;
mod hawkbit;
pub mod manifests;
pub mod rollwave;

use super::fleet::DEVICES;
use super::rollout::Rule;

/// A row of the table.
#[derive(Clone, Copy)]
pub struct Contender {
    /// As the table shows it.
    pub name: &'static str,
    /// The rows of `benchmark.json` that it is compared with, if there are any.
    pub expected: Option<&'static str>,
    /// Seeds for its row: what is seldom needs more of them.
    pub seeds: u32,
    /// The rule at the beginning of a rollout.
    pub begin: fn() -> Box<dyn Rule>,
}

const fn ours(name: &'static str, expected: Option<&'static str>, begin: fn() -> Box<dyn Rule>) -> Contender {
    Contender { name, expected, seeds: 2_000, begin }
}

const fn peer(name: &'static str, expected: &'static str, begin: fn() -> Box<dyn Rule>) -> Contender {
    Contender { name, expected: Some(expected), seeds: 400, begin }
}

/// Every row, in the order of the table.
pub const CONTENDERS: [Contender; 10] =
    [
        peer("AWS IoT Jobs, no abortConfig", "AWS no abortConfig", || {
            Box::new(aws::Aws::without_abort_config())
        }),
        peer("AWS IoT Jobs, the manual's example", "AWS manual's example", || {
            Box::new(aws::Aws::of_the_manual())
        }),
        peer("hawkBit, defaults of the API", "hawkBit REST defaults", || {
            Box::new(hawkbit::HawkBit::of_the_api())
        }),
        peer("hawkBit, defaults of its user interface", "hawkBit UI defaults", || {
            Box::new(hawkbit::HawkBit::of_the_interface())
        }),
        peer("Flight Control, the manual's example", "FlightCtl", || Box::new(flightctl::FlightCtl)),
        peer("translated from Argo Rollouts, the manual's example", "Argo-like", || {
            Box::new(argo::Argo::default())
        }),
        ours("Rollwave, canary of 60", Some("README manifest, new judge"), || {
            rollwave::begin(manifests::SMALL_CANARY, DEVICES)
        }),
        ours("Rollwave, the front page", None, || rollwave::begin(manifests::README, DEVICES)),
        ours(SHORT_SOAKS, Some("Rollwave default, soak 30m, no control"), || {
            rollwave::begin(&manifests::short_soaks(), DEVICES)
        }),
        ours(DEFAULT, Some("Rollwave default"), || rollwave::begin(manifests::SHORTEST, DEVICES)),
    ];

/// The default stages with shorter soaks. The page of the table shows them above it.
pub const SHORT_SOAKS: &str = "Rollwave, the stages above, soaks of 30m";
/// The default stages.
pub const DEFAULT: &str = "Rollwave, the stages above";
