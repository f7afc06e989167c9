//! Reading manifests: text to checked objects.
//!
//! `cargo bench --bench manifest`
#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rollwave::source::{folder, manifest};
use std::fmt::Write as _;
use std::{fs, hint::black_box, path::Path};

const CLOUD: &str = include_str!("../examples/fleet/1-cloud.yaml");
const RELEASE: &str = include_str!("../examples/fleet/2-v2.0.yaml");

/// A package and a rollout with names of their own.
fn release(number: usize) -> String {
    RELEASE.replace("meter-v2.0", &format!("meter-{number:05}"))
}

/// A rollout that names 30,000 devices, as many as one IoTDA task takes.
fn named_devices() -> String {
    let mut devices = String::from("    devices:\n");
    for number in 0..30_000 {
        writeln!(devices, "      - meter-{number:05}").unwrap();
    }
    RELEASE.replace("    all: true\n", &devices)
}

fn texts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(2));
    group.bench_function("a package and its rollout", |bencher| {
        bencher.iter(|| manifest::parse(Path::new("f.yaml"), black_box(RELEASE)));
    });
    let text = named_devices();
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.sample_size(10);
    group.bench_function("a rollout that names 30,000 devices", |bencher| {
        bencher.iter(|| manifest::parse(Path::new("f.yaml"), black_box(&text)));
    });
    group.finish();
}

fn folders(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("cloud.yaml"), CLOUD).unwrap();
    for number in 0..1_000 {
        fs::write(dir.path().join(format!("{number:05}.yaml")), release(number)).unwrap();
    }
    let snapshot = folder::read(dir.path());
    assert_eq!((snapshot.objects.len(), snapshot.problems.len()), (2_001, 0));
    let mut group = criterion.benchmark_group("folder");
    group.throughput(Throughput::Elements(2_001)).sample_size(10);
    group.bench_function("2,001 objects in 1,001 files", |bencher| bencher.iter(|| folder::read(dir.path())));
    group.finish();
}

criterion_group!(benches, texts, folders);
criterion_main!(benches);
