//! What a plan lets through: how far a build that fails at a given rate gets, computed exactly and without random numbers.
//!
//! Each device fails independently. The recursion runs over the failures before a stage and those in it. Two orders bracket
//! what happens: devices begin and end one by one, or all devices of a stage begin at once.

use super::binomial;
use std::collections::BTreeMap;

/// Chances below this are dropped: all of them together change no printed digit.
const NEGLIGIBLE: f64 = 1e-17;

/// How many failures end a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The stage has no gate.
    Any,
    /// Its gate passes with at most so many.
    AtMost(u32),
    /// Its gate cannot pass.
    Never,
}

/// The smallest number of failures of so many devices at which a rule fires, when it fires at every larger number too.
pub fn first_stop(devices: u32, fires: impl Fn(u32) -> bool) -> Option<u32> {
    if !fires(devices) {
        return None;
    }
    let (mut calm, mut firing) = (0, devices);
    while firing - calm > 1 {
        let middle = calm + (firing - calm) / 2;
        if fires(middle) { firing = middle } else { calm = middle }
    }
    Some(firing)
}

/// A stage of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its size.
    pub devices: u32,
    /// Devices that are sent together; its size when it is sent at once.
    pub batch: u32,
    /// The most failures that a batch may have; none: as many as it has devices.
    pub batch_limit: Option<u32>,
    /// What its gate allows.
    pub limit: Limit,
}

/// Where stop rules fire.
pub struct Boundary<'a> {
    /// The smallest number of failures at which a rule fires, of so many devices; none: no rule does.
    pub first_stop: &'a dyn Fn(u32) -> Option<u32>,
    /// From this many devices on a rule that can fire at all does so at some number of failures, which never falls.
    pub steady_from: u32,
}

/// How far a build gets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    /// By stage: the chance that it is sent.
    pub released: Vec<f64>,
    /// By stage: the chance that a stop rule fires while it is the last one sent.
    pub stopped: Vec<f64>,
    /// By stage: the chance that its gate does not pass.
    pub held: Vec<f64>,
    /// The chance that nothing stops it.
    pub completes: f64,
    /// Devices that are sent the build, on average.
    pub reached: f64,
}

/// The chances by number of failures: `cells[i]` of `first + i` failures.
#[derive(Clone, Debug)]
struct Row {
    first: u32,
    cells: Vec<f64>,
}

impl Row {
    fn chances(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        (self.first..).zip(self.cells.iter().copied())
    }

    fn last(&self) -> u32 {
        // Longer rows than u32 counts would need as many devices.
        self.first + self.cells.len().saturating_sub(1) as u32
    }

    /// Convolves the row with the failures of further devices, given by their own row.
    fn plus(&self, more: &Self) -> Self {
        let mut cells = vec![0.0; self.cells.len() + more.cells.len() - 1];
        for (at, chance) in self.cells.iter().enumerate() {
            for (to, factor) in cells[at..].iter_mut().zip(&more.cells) {
                *to += chance * factor;
            }
        }
        Self { first: self.first + more.first, cells }
    }

    /// Removes the cells from this number of failures on; returns their chance.
    fn cut_from(&mut self, failures: u32) -> f64 {
        let keep = failures.saturating_sub(self.first) as usize;
        if keep >= self.cells.len() { 0.0 } else { self.cells.drain(keep..).sum() }
    }

    fn trim(&mut self) {
        while self.cells.last().is_some_and(|chance| *chance < NEGLIGIBLE) {
            self.cells.pop();
        }
        let leading = self.cells.iter().take_while(|chance| **chance < NEGLIGIBLE).count();
        self.cells.drain(..leading);
        self.first += leading as u32;
    }
}

/// The failures of so many devices.
fn failures_of(devices: u32, rate: f64) -> Row {
    let mean = f64::from(devices) * rate;
    let mode = mean as u32;
    let chance = |k: u32| binomial::exactly(k, devices, rate);
    let below = (0..mode).rev().map(chance).take_while(|chance| *chance >= NEGLIGIBLE);
    let mut cells: Vec<f64> = below.collect();
    let first = mode - cells.len() as u32;
    cells.reverse();
    cells.extend((mode..=devices).map(chance).take_while(|chance| *chance >= NEGLIGIBLE));
    Row { first, cells }
}

/// The chances within a stage, by the failures before it.
struct Walk<'a> {
    boundary: &'a Boundary<'a>,
    rate: f64,
    /// Devices sent so far.
    sent: u32,
    rows: BTreeMap<u32, Row>,
    /// The last stride: the next one is at most twice as long.
    stride: u32,
    outlook: Outlook,
}

impl Walk<'_> {
    fn stop_at_boundary(&mut self) -> f64 {
        let Some(failures) = (self.boundary.first_stop)(self.sent) else { return 0.0 };
        let cut = |(before, row): (&u32, &mut Row)| row.cut_from(failures.saturating_sub(*before));
        self.rows.iter_mut().map(cut).sum()
    }

    fn advance(&mut self, devices: u32) {
        self.advance_within(devices, None);
    }

    /// Sends a batch that may have at most so many failures: the chance that it has more.
    fn advance_within(&mut self, devices: u32, limit: Option<u32>) -> f64 {
        let mut more = failures_of(devices, self.rate);
        let beyond = limit.map_or(0.0, |limit| more.cut_from(limit + 1));
        let sent: f64 = self.rows.values().flat_map(|row| &row.cells).sum();
        if more.cells.is_empty() {
            more.cells.push(0.0);
        }
        for row in self.rows.values_mut() {
            *row = row.plus(&more);
            row.trim();
        }
        self.rows.retain(|_, row| !row.cells.is_empty());
        self.sent += devices;
        beyond * sent
    }

    /// How many devices can be taken together, because no rule can fire meanwhile.
    fn next_stride(&mut self, left: u32) -> u32 {
        let next = self.sent + 1;
        if next < self.boundary.steady_from {
            return 1;
        }
        let Some(limit) = (self.boundary.first_stop)(next) else { return left };
        let most = self.rows.iter().map(|(before, row)| before + row.last()).max().unwrap_or(0);
        self.stride = left.min(self.stride.saturating_mul(2));
        while self.stride > 1 && most + failures_of(self.stride, self.rate).last() >= limit {
            self.stride /= 2;
        }
        self.stride
    }

    /// Devices of a stage, one after the other: the chance that a rule stops it.
    fn one_by_one(&mut self, devices: u32) -> f64 {
        let (mut stopped, end) = (0.0, self.sent + devices);
        while self.sent < end && !self.rows.is_empty() {
            let stride = self.next_stride(end - self.sent);
            self.advance(stride);
            let now = self.stop_at_boundary();
            self.outlook.reached += now * f64::from(self.sent);
            stopped += now;
        }
        self.sent = end;
        stopped
    }

    /// All devices of a batch together, one batch after the other: the chances that a rule stops it, and that its gate can no
    /// longer pass before all are sent.
    fn at_once(&mut self, stage: Stage) -> (f64, f64) {
        let (mut stopped, mut held, mut left) = (0.0, 0.0, stage.devices);
        while left > 0 && !self.rows.is_empty() {
            let batch = left.min(stage.batch.max(1));
            left -= batch;
            let beyond = self.advance_within(batch, stage.batch_limit);
            let now = self.stop_at_boundary();
            let hopeless = beyond + if left > 0 { self.cut_hopeless(stage.limit) } else { 0.0 };
            self.outlook.reached += (now + hopeless) * f64::from(self.sent);
            stopped += now;
            held += hopeless;
        }
        self.sent += left;
        (stopped, held)
    }

    /// Ends what has more failures in the stage than its gate allows: its chance.
    fn cut_hopeless(&mut self, limit: Limit) -> f64 {
        let Limit::AtMost(allowed) = limit else { return 0.0 };
        self.rows.values_mut().map(|row| row.cut_from(allowed + 1)).sum()
    }

    /// Ends the stage by its gate: the chance that it is held. What passes begins the next stage by its total.
    fn gate(&mut self, limit: Limit) -> f64 {
        let mut held = 0.0;
        let mut next: BTreeMap<u32, Row> = BTreeMap::new();
        for (before, mut row) in std::mem::take(&mut self.rows) {
            held += match limit {
                Limit::Any => 0.0,
                Limit::AtMost(allowed) => row.cut_from(allowed + 1),
                Limit::Never => row.cut_from(0),
            };
            for (failures, chance) in row.chances() {
                let start = next.entry(before + failures).or_insert(Row { first: 0, cells: vec![0.0] });
                start.cells[0] += chance;
            }
        }
        self.outlook.reached += held * f64::from(self.sent);
        self.rows = next;
        held
    }

    /// Without a gate the failures before the stage and those in it need not be told apart.
    fn forget_stages(&mut self) {
        let Some((&first, _)) = self.rows.first_key_value() else { return };
        let last = self.rows.last_key_value().map_or(first, |(last, _)| *last);
        let mut cells = vec![0.0; (last - first) as usize + 1];
        for (before, row) in &self.rows {
            cells[(before - first) as usize] += row.cells.iter().sum::<f64>();
        }
        self.rows = BTreeMap::from([(0, Row { first, cells })]);
    }
}

/// The outlook of a build that fails at `rate`, where `at_once` says whether all devices of a batch begin together.
#[must_use]
pub fn outlook(stages: &[Stage], boundary: &Boundary<'_>, rate: f64, at_once: bool) -> Outlook {
    let rows = BTreeMap::from([(0, Row { first: 0, cells: vec![1.0] })]);
    let mut walk = Walk { boundary, rate, sent: 0, rows, stride: 1, outlook: Outlook::default() };
    for stage in stages {
        let released = walk.rows.values().flat_map(|row| &row.cells).sum();
        walk.outlook.released.push(released);
        if stage.limit == Limit::Any {
            walk.forget_stages();
        }
        // A limit of batches is counted by batches, whose devices are taken together: that reaches a few more.
        let (stopped, held) = if at_once || stage.batch_limit.is_some() {
            walk.at_once(*stage)
        } else {
            (walk.one_by_one(stage.devices), 0.0)
        };
        walk.outlook.stopped.push(stopped);
        let held = held + walk.gate(stage.limit);
        walk.outlook.held.push(held);
    }
    walk.outlook.completes = walk.rows.values().flat_map(|row| &row.cells).sum();
    walk.outlook.reached += walk.outlook.completes * f64::from(walk.sent);
    walk.outlook
}

/// Devices that are sent the build on average when whole stages are sent before a rule can act.
#[must_use]
pub fn reached_in_whole_stages(stages: &[Stage], outlook: &Outlook) -> f64 {
    stages.iter().zip(&outlook.released).map(|(stage, released)| f64::from(stage.devices) * released).sum()
}
