//! The strata of a stage, for `rollwave why`.

use crate::api::{StageStatus, StratumCount, counted};

/// How many devices of each stratum the stage has, and what is known of them.
pub(super) fn seen(stage: &StageStatus) -> Option<String> {
    let strata = stage.strata.as_ref().filter(|strata| strata.known() > 0 || strata.unknown > 0)?;
    let row = |row: &StratumCount| {
        let outcomes = match (row.answered, row.failed) {
            (Some(answered), Some(failed)) => format!(" ({answered} have an outcome, {failed} failed)"),
            (Some(answered), None) => format!(" ({answered} have an outcome)"),
            (None, _) => String::new(),
        };
        format!("{} of {} of {}{outcomes}", row.devices, counted(row.available, "device"), row.name)
    };
    let mut rows: Vec<String> = strata.counts.iter().map(row).collect();
    if strata.unknown > 0 {
        rows.push(format!("{} of unknown strata, because the state was lost or the stage was sent before order.stratifyBy was written", counted(strata.unknown, "device")));
    }
    Some(format!("Strata of stage {} by {}: {}.", stage.name, strata.by.join(", "), rows.join("; ")))
}
