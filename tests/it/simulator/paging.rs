use super::{Bench, START};
use proptest::prelude::*;
use serde_json::Value;

const DEVICES: &str = "devices: [{product: meter, count: 1, idPrefix: m-}]";

/// What the documents say: newest first, strictly below the marker, then the offset, then the limit.
fn documented(versions: &[String], below: usize, offset: usize, limit: usize) -> Vec<String> {
    versions.iter().take(below).rev().skip(offset).take(limit).cloned().collect()
}

fn versions_of(body: &Value) -> Vec<String> {
    let rows = body["packages"].as_array().unwrap();
    rows.iter().map(|row| row["version"].as_str().unwrap().to_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_mix_of_marker_offset_and_limit_yields_the_documented_rows(
        count in 0_usize..130,
        queries in prop::collection::vec((0_usize..130, 0_usize..140, 1_usize..=50), 1..12),
    ) {
        let mut bench = Bench::new(DEVICES);
        let versions: Vec<String> = (0..count).map(|n| format!("V{n}")).collect();
        for version in &versions {
            bench.package(version);
        }
        for (below, offset, limit) in queries {
            let below = below.min(count);
            // The marker of the row above which everything is left out, read from a list as a client would.
            let marker = if below < count {
                let query = format!("package_type=firmwarePackage&limit=1&offset={}", count - below - 1);
                bench.call("GET", "ota-upgrades/packages", &query, None).1["page"]["marker"].as_str().unwrap().to_owned()
            } else {
                "f".repeat(24)
            };
            let query = format!("package_type=firmwarePackage&limit={limit}&offset={offset}&marker={marker}");
            let (status, body) = bench.call("GET", "ota-upgrades/packages", &query, None);
            prop_assert_eq!(status, 200);
            prop_assert_eq!(versions_of(&body), documented(&versions, below, offset, limit));
            prop_assert_eq!(body["page"]["count"].as_u64(), Some(count as u64));
        }
    }
}

#[test]
fn rows_created_while_a_client_pages_do_not_disturb_its_walk() {
    let mut bench = Bench::new(DEVICES);
    (0..30).for_each(|n| drop(bench.package(&format!("V{n}"))));
    let (mut seen, mut marker) = (Vec::new(), "f".repeat(24));
    for n in 0..3 {
        let query = format!("package_type=firmwarePackage&limit=10&marker={marker}");
        let (_, body) = bench.call("GET", "ota-upgrades/packages", &query, None);
        seen.extend(versions_of(&body));
        marker = body["page"]["marker"].as_str().unwrap().to_owned();
        bench.package(&format!("W{n}"));
    }
    let expected: Vec<String> = (0..30).rev().map(|n| format!("V{n}")).collect();
    assert_eq!(seen, expected, "started at {START}");
}
