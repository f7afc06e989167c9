//! The tables about strata are computed again.

use super::text;
use jiff::Timestamp;
use rollwave::api::{StageStrata, StratumCount, percent_text};
use rollwave::decide::rollout::responders::{UNUSUAL, compared, estimate};
use rollwave::decide::stats::comparison::{Group, harm_in_strata};
use rollwave::decide::stats::evidence::odds_text;
use rollwave::decide::stats::strata::allocate;

const PAGE: &str = "docs/guides/what-rollwave-compares-when-devices-differ.md";

/// The cells of the rows of a table.
fn rows(page: &str, head: &str) -> Vec<Vec<String>> {
    let start = page.find(head).unwrap();
    let rows = page[start..].lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn numbers(cell: &str) -> Vec<u32> {
    cell.split(|letter: char| !letter.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
}

fn strata(rows: impl Iterator<Item = (u32, u32, u32, u32)>) -> StageStrata {
    let row = |(place, (available, devices, answered, failed))| StratumCount {
        name: format!("{place}"),
        devices,
        available,
        answered: Some(answered),
        failed: Some(failed),
    };
    StageStrata { counts: rows.enumerate().map(row).collect(), ..StageStrata::default() }
}

#[test]
fn the_devices_of_each_stratum_are_what_a_stage_gets() {
    let page = text(PAGE);
    let found = rows(&page, "| strata | canary |");
    assert_eq!(found.len(), 4);
    for row in found {
        assert_eq!(numbers(&row[3]), allocate(numbers(&row[2])[0], &numbers(&row[1])), "{row:?}");
    }
    let shown = page.lines().find(|line| line.starts_with("strata of canary by sourceVersion:")).unwrap();
    assert_eq!(numbers(shown)[2..].iter().copied().step_by(4).collect::<Vec<_>>().len(), 3, "{shown}");
}

#[test]
fn the_chances_that_a_stratum_did_not_answer_are_what_the_statistics_say() {
    let found = rows(&text(PAGE), "| stratum, outcomes |");
    assert_eq!(found.len(), 3);
    for row in found {
        let [here, others] = [1, 2].map(|cell: usize| numbers(&row[cell]));
        // The third row has two others.
        let count = if here[1] == 43 { 2 } else { 1 };
        let split = |n: u32, place: u32| n / count + u32::from(place < n % count);
        let others = (0..count).map(|place| (1_000, split(others[1], place), split(others[0], place), 0));
        let all = strata(std::iter::once((1_000, here[1], here[0], 0)).chain(others));
        let chance = compared(&all, Timestamp::UNIX_EPOCH).unwrap().chance;
        let shown = if chance > 0.1 { format!("{chance:.1}") } else { format!("{chance:.1e}") };
        assert_eq!((shown.as_str(), chance < UNUSUAL), (row[3].as_str(), row[4] == "yes"), "{row:?}");
    }
}

#[test]
fn the_evidence_within_strata_is_what_the_statistics_say() {
    let found = rows(&text(PAGE), "| upgraded, offline |");
    let group = |numbers: &[u32]| Group { unhealthy: numbers[0], devices: numbers[1] };
    assert_eq!(found.len(), 2);
    for row in found {
        let [upgraded, control] = [1, 2].map(|cell: usize| numbers(&row[cell].replace(',', "")));
        assert_eq!(upgraded.len(), control.len());
        let pairs = upgraded.chunks(2).zip(control.chunks(2));
        let strata: Vec<(Group, Group)> = pairs.map(|(here, there)| (group(here), group(there))).collect();
        assert_eq!(odds_text(harm_in_strata(&strata)), row[3], "{row:?}");
    }
}

#[test]
fn the_estimates_for_the_fleet_can_be_redone() {
    let found = rows(&text(PAGE), "| strata of the fleet |");
    assert_eq!(found.len(), 2);
    for row in found {
        let [fleet, sent, failed] = [1, 2, 3].map(|cell: usize| numbers(&row[cell]));
        let all = strata(
            fleet
                .iter()
                .zip(&sent)
                .zip(&failed)
                .map(|((fleet, sent), failed)| (*fleet, *sent, *sent, *failed)),
        );
        assert!(
            estimate(&all).unwrap().contains(&format!(" {} fail", row[5])),
            "{row:?} {:?}",
            estimate(&all)
        );
        assert_eq!(percent_text(failed.iter().sum(), sent.iter().sum()), row[4]);
    }
}
