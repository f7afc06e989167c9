//! How many devices does a bad build reach, and how often is a good one held?
//!
//! `make safety`, or `cargo bench --bench safety -- SEEDS NAME` for so many seeds and the rules with `NAME` in their name. 10,000 virtual devices meet builds of known failure rates, under
//! Rollwave's own gates and stop rules and under the documented rules of others. The figures are compared with those of two
//! other programs (`tests/vectors/statistics/benchmark.json`); what differs is printed, and the exit code is 1.
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a bench prints, and dies of what is wrong")]

mod draws;
mod expected;
mod fleet;
mod rollout;
mod rules;
mod summary;
mod table;

use fleet::SCENARIOS;
use rules::{CONTENDERS, Contender};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;
use summary::Summary;

/// The figures by the numbers of contender and scenario.
type Figures = BTreeMap<(usize, usize), Summary>;

fn main() -> ExitCode {
    let began = Instant::now();
    // Cargo adds `--bench`.
    let given = || std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let is_whole = given().next().is_none();
    let seeds = given().find_map(|argument| argument.parse().ok());
    let name = given().find(|argument| argument.parse::<u32>().is_err()).unwrap_or_default();
    let rows: Vec<Contender> =
        CONTENDERS.into_iter().filter(|contender| contender.name.contains(&name)).collect();
    let figures = measure_all(&rows, seeds);
    let table = page(&rows, &figures);
    println!("{table}");
    if is_whole && std::env::var_os("UPDATE_DOCS").is_some() {
        write(&table);
    }
    println!("\n{:.0} s", began.elapsed().as_secs_f64());
    let differences = compare(&rows, &figures);
    differences.iter().for_each(|line| println!("differs: {line}"));
    ExitCode::from(u8::from(!differences.is_empty()))
}

/// Every row in every scenario, on all cores.
fn measure_all(rows: &[Contender], seeds: Option<u32>) -> Figures {
    let cells = (0..rows.len()).flat_map(|row| (0..SCENARIOS.len()).map(move |column| (row, column)));
    let (cells, figures) = (Mutex::new(cells), Mutex::new(Figures::new()));
    let work = || {
        while let Some((row, column)) = next(&cells) {
            let summary = summary::measure(&rows[row], &SCENARIOS[column], seeds.unwrap_or(rows[row].seeds));
            figures.lock().expect("no thread panics").insert((row, column), summary);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    figures.into_inner().expect("no thread panics")
}

fn next<T>(cells: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    cells.lock().expect("no thread panics").next()
}

fn page(rows: &[Contender], figures: &Figures) -> String {
    table::table(rows.iter().enumerate().map(|(row, contender)| {
        let cells = table::COLUMNS.iter().map(|column| {
            let number = SCENARIOS.iter().position(|scenario| scenario.name == column.scenario);
            column.shown.cell(&figures[&(row, number.expect("a column shows a scenario"))])
        });
        std::iter::once(contender.name.to_owned()).chain(cells).collect()
    }))
}

/// Writes the table into its page.
fn write(table: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(table::PAGE);
    let page = std::fs::read_to_string(&path).expect("the page");
    std::fs::write(path, table::replace(&page, table)).expect("the page can be written");
}

fn compare(rows: &[Contender], figures: &Figures) -> Vec<String> {
    let table = expected::Table::read();
    let differences = figures.iter().filter_map(|((row, column), found)| {
        Some(table.differences(rows[*row].expected?, SCENARIOS[*column].name, found))
    });
    differences.flatten().collect()
}
