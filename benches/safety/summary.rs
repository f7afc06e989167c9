//! Many runs of one rule in one scenario, as the figures of the table.

use super::fleet::{Fleet, Scenario};
use super::rollout::{Run, run};
use super::rules::Contender;

/// Figures over seeds 1, 2, …
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    pub seeds: u32,
    /// Devices that had begun.
    pub hit_mean: f64,
    pub hit_median: u32,
    /// In 95 of 100 rollouts no more devices had begun.
    pub hit_p95: u32,
    /// Share of the rollouts that were stopped or held.
    pub held: f64,
    /// Median of the minutes until 85 % of the fleet ran the version, of the rollouts that were not held.
    pub minutes: Option<u32>,
}

/// Runs a rule in a scenario with so many seeds.
pub fn measure(contender: &Contender, scenario: &Scenario, seeds: u32) -> Summary {
    let runs =
        (1..=seeds).map(|seed| run(Fleet::of(u64::from(seed)), scenario, (contender.begin)().as_mut()));
    summarise(&runs.collect::<Vec<_>>())
}

fn summarise(runs: &[Run]) -> Summary {
    let mut hits: Vec<u32> = runs.iter().map(|run| run.hit).collect();
    hits.sort_unstable();
    let free = runs.iter().filter(|run| run.stopped.is_none());
    let mut minutes: Vec<u32> = free.filter_map(|run| run.updated).collect();
    minutes.sort_unstable();
    let count = u32::try_from(runs.len()).unwrap_or(u32::MAX);
    let held = runs.iter().filter(|run| run.stopped.is_some()).count();
    Summary {
        seeds: count,
        hit_mean: hits.iter().copied().map(f64::from).sum::<f64>() / f64::from(count),
        hit_median: at_percent(&hits, 50).unwrap_or(0),
        hit_p95: at_percent(&hits, 95).unwrap_or(0),
        held: f64::from(u32::try_from(held).unwrap_or(u32::MAX)) / f64::from(count),
        minutes: at_percent(&minutes, 50),
    }
}

/// The smallest value that so many percent of the sorted values do not exceed.
fn at_percent(sorted: &[u32], percent: usize) -> Option<u32> {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied()
}
