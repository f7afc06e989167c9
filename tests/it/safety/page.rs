//! The page shows figures of the bench: rows that are cheap in a debug build are computed again.

use super::figures;
use super::fleet::DEVICES;
use super::rules::{CONTENDERS, DEFAULT, SHORT_SOAKS, manifests};
use super::table::{COLUMNS, PAGE, replace, table};
use rollwave::api::OtaRolloutSpec;
use rollwave::decide::defaults;
use serde_json::Value;

/// Stopped soon, so that even 2,000 rollouts take a second or two.
const CHEAP: [&str; 2] = ["bad 20", "bad 40"];

fn text(path: &str) -> String {
    fs_err::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

/// The rows of the table, each with its name first.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let rows = page.lines().skip_while(|line| !line.starts_with("| rule | good held"));
    rows.skip(2).take_while(|line| line.starts_with('|')).map(cells).collect()
}

#[test]
fn the_table_has_a_row_for_each_rule_and_its_cheap_cells_are_what_the_bench_computes() {
    let page = text(PAGE);
    let names: Vec<&str> = rows(&page).iter().map(|row| row[0]).collect();
    assert_eq!(names, CONTENDERS.map(|contender| contender.name), "run make safety");
    for row in rows(&page).into_iter().filter(|row| [SHORT_SOAKS, DEFAULT].contains(&row[0])) {
        let seeds = CONTENDERS.iter().find(|contender| contender.name == row[0]).unwrap().seeds;
        let shown = COLUMNS.iter().zip(&row[1..]).filter(|(column, _)| CHEAP.contains(&column.scenario));
        for (column, cell) in shown {
            let found = column.shown.cell(&figures(row[0], column.scenario, seeds));
            assert_eq!(found, **cell, "{}, {}: run make safety", row[0], column.heading);
        }
    }
}

/// `stages` and `stop` of the first manifest of a rollout in a page.
fn manifest(page: &str) -> [Value; 2] {
    let blocks = page.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let rollout = blocks
        .into_iter()
        .find(|block| block.contains("kind: OtaRollout") && block.contains("stages:"))
        .unwrap();
    let manifest: Value = serde_yaml::from_str(rollout).unwrap();
    ["stages", "stop"].map(|field| manifest["spec"][field].clone())
}

#[test]
fn the_bench_runs_the_manifests_that_the_pages_show() {
    for (path, runs) in [(PAGE, manifests::DEFAULT), ("README.md", manifests::README)] {
        let runs: Value = serde_yaml::from_str(runs).unwrap();
        assert_eq!(manifest(&text(path)), ["stages", "stop"].map(|field| runs[field].clone()), "{path}");
    }
}

#[test]
fn the_page_shows_the_stages_and_the_rule_of_a_rollout_that_states_none() {
    let parse = |manifest: &str| -> OtaRolloutSpec {
        serde_yaml::from_str(&format!("packageRef: {{name: p}}\ntargets: {{all: true}}\n{manifest}")).unwrap()
    };
    let (written, shortest) = (parse(manifests::DEFAULT), parse(manifests::SHORTEST));
    assert_eq!(defaults::stages(&shortest, DEVICES), written.stages);
    assert_eq!(defaults::stop_rules(&shortest), defaults::stop_rules(&written));
}

#[test]
fn a_new_table_takes_the_place_of_the_old_one() {
    let one = |name: &str| table(std::iter::once(vec![name.to_owned(), "1 %".to_owned()]));
    let page = |table: &str| format!("# A\n\n{table}\n\n| rules | y |\n");
    assert_eq!(replace(&page(&one("a")), &one("b")), page(&one("b")));
    assert_eq!(rows(&page(&one("b"))), [["b", "1 %"]]);
}
