//! The outcomes of a stage by stratum.

use crate::api::{StageCounts, StageStrata};
use crate::decide::stage::as_count;
use crate::decide::strata::{Division, Traits};

/// The devices of a stage that have no outcome, and those that failed.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcomes<'a> {
    pub unanswered: Vec<&'a str>,
    pub failed: Vec<&'a str>,
    /// The cloud shows of some jobs only how many.
    pub is_unclear: bool,
}

impl Outcomes<'_> {
    /// Counts who answered and who failed in each stratum. A device without an outcome still reports its old version, and so does
    /// one that failed. Not known when the numbers contradict what was counted.
    pub fn count(&self, counts: StageCounts, record: &mut StageStrata, traits: Traits<'_, '_>) {
        let waiting = counts.outstanding() + counts.never_began;
        let unanswered = self.sizes(&self.unanswered, waiting, record, traits);
        let failed = self.sizes(&self.failed, counts.failures(), record, traits);
        for (place, row) in record.counts.iter_mut().enumerate() {
            let of = |rows: &Option<Vec<u32>>| rows.as_ref().and_then(|rows| rows.get(place).copied());
            row.answered = of(&unanswered).map(|waiting| row.devices - waiting);
            row.failed = of(&failed);
        }
    }

    fn sizes(
        &self,
        devices: &[&str],
        expected: u32,
        record: &StageStrata,
        traits: Traits<'_, '_>,
    ) -> Option<Vec<u32>> {
        if self.is_unclear || record.unknown > 0 {
            return None;
        }
        let strata = Division::begun(record, traits).divide(devices.iter().map(|device| ((), *device)));
        let size = |name: &String| as_count(strata.get(name).map_or(0, Vec::len));
        let sizes: Vec<u32> = record.counts.iter().map(|row| size(&row.name)).collect();
        let is_possible = sizes.iter().zip(&record.counts).all(|(size, row)| *size <= row.devices);
        (is_possible && sizes.iter().sum::<u32>() == expected).then_some(sizes)
    }
}
