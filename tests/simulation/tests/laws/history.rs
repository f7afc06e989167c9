//! The same seed is the same history in any build: a build writes down the hashes of some seeds, with the source that it
//! was built from, and is held against what the other build of the same source has written.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// How this build compares with the other one.
#[derive(Debug, PartialEq, Eq)]
pub enum Compared {
    /// Both have the same hashes; so many.
    Same(usize),
    /// Seeds that went another way.
    Differ(Vec<u64>),
    /// Nobody has built and run the other one from this source.
    NotThere,
}

const fn name(with_assertions: bool) -> &'static str {
    if with_assertions { "hashes-debug.txt" } else { "hashes-release.txt" }
}

/// Writes the hashes of this build down, and compares them with those of the other one.
pub fn compare(hashes: &BTreeMap<u64, u64>) -> std::io::Result<Compared> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = source()?;
    let lines = hashes.iter().map(|(seed, hash)| format!("{seed} {hash:016x}\n"));
    std::fs::write(
        folder.join(name(cfg!(debug_assertions))),
        format!("{source:016x}\n{}", lines.collect::<String>()),
    )?;
    let other = std::fs::read_to_string(folder.join(name(!cfg!(debug_assertions)))).unwrap_or_default();
    Ok(held_against(hashes, source, &other))
}

fn held_against(hashes: &BTreeMap<u64, u64>, source: u64, other: &str) -> Compared {
    let Some((header, lines)) = other.split_once('\n') else { return Compared::NotThere };
    if header != format!("{source:016x}") {
        return Compared::NotThere;
    }
    let pairs = lines.lines().filter_map(|line| line.split_once(' '));
    let theirs: BTreeMap<u64, u64> = pairs
        .filter_map(|(seed, hash)| Some((seed.parse().ok()?, u64::from_str_radix(hash, 16).ok()?)))
        .collect();
    let differ = hashes.iter().filter(|(seed, hash)| theirs.get(seed) != Some(hash));
    let differ: Vec<u64> = differ.map(|(seed, _)| *seed).collect();
    if differ.is_empty() { Compared::Same(hashes.len()) } else { Compared::Differ(differ) }
}

/// A hash of everything in the `src/` of the library and of the simulation.
fn source() -> std::io::Result<u64> {
    let mut paths = Vec::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["src", "../../src"] {
        walk(&here.join(folder), &mut paths)?;
    }
    paths.sort();
    let mut hasher = DefaultHasher::new();
    for path in paths {
        std::fs::read(&path)?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

#[test]
fn another_history_of_the_same_source_is_noticed() {
    let hashes = BTreeMap::from([(1, 0xa), (2, 0xb)]);
    for (other, expected) in [
        ("", Compared::NotThere),
        ("0000000000000008\n1 0a\n2 0b\n", Compared::NotThere),
        ("0000000000000007\n1 0a\n2 0b\n", Compared::Same(2)),
        ("0000000000000007\n1 0a\n2 0c\n", Compared::Differ(vec![2])),
        ("0000000000000007\n1 0a\n", Compared::Differ(vec![2])),
    ] {
        assert_eq!(held_against(&hashes, 7, other), expected, "{other:?}");
    }
}
