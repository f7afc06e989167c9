//! Plays the kept inputs of a target, and changed copies of them.

use super::mutator;
use fastrand::Rng;
use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// No input may take longer, however busy the machine.
const SLOW: Duration = Duration::from_secs(20);
/// Tries to make a failing input smaller.
const SHRINKS: usize = 400;

pub struct Target {
    /// Its folder in `fuzz/corpus/`.
    pub name: &'static str,
    pub check: fn(&[u8]),
    /// Inputs of a usual run.
    pub inputs: u64,
}

pub fn fuzz(target: &Target) {
    let corpus = corpus(target.name);
    let texts: Vec<Vec<u8>> = corpus.iter().map(|file| fs::read(file).unwrap()).collect();
    for (file, text) in corpus.iter().zip(&texts) {
        if let Err(failure) = run(target.check, text) {
            panic!("{}: {failure}", file.display());
        }
    }
    let seconds: Option<u64> = env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let by_time = seconds.map(|_| std::time::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_secs()));
    let named = env::var("FUZZ_SEED").ok().and_then(|text| text.parse().ok());
    let seed = named.or(by_time).unwrap_or(1);
    let (mut rng, began, mut inputs) = (Rng::with_seed(seed), Instant::now(), 0);
    loop {
        let more = seconds.map_or(inputs < target.inputs, |most| began.elapsed().as_secs() < most);
        if !more {
            break;
        }
        inputs += 1;
        let data = mutator::mutate(&texts, &mut rng);
        if seconds.is_some() {
            keep(&format!("{}-current", target.name), &data);
        }
        if run(target.check, &data).is_err() {
            report(target, &data, seed);
        }
    }
    println!("{}: {} inputs kept, {inputs} changed ones, FUZZ_SEED={seed}", target.name, texts.len());
}

/// The kept inputs of a target, in order.
pub fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

/// What is wrong with an input, if anything is.
pub fn run(check: impl Fn(&[u8]), data: &[u8]) -> Result<(), String> {
    let began = Instant::now();
    catch_unwind(AssertUnwindSafe(|| check(data))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
    })?;
    let took = began.elapsed();
    if took > SLOW { Err(format!("took {took:?}")) } else { Ok(()) }
}

fn report(target: &Target, data: &[u8], seed: u64) {
    let small = smaller(target.check, data);
    let failure = run(target.check, &small).unwrap_err();
    let file = keep(&format!("{}-{}", target.name, seed), &small);
    panic!(
        "{failure}\nFUZZ_SEED={seed}; the input is in {}:\n{}",
        file.display(),
        String::from_utf8_lossy(&small)
    );
}

fn keep(name: &str, data: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("fuzz");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), data).unwrap();
    folder.join(name)
}

/// Takes away halves, quarters, … as long as what is left fails, too.
pub fn smaller(check: impl Fn(&[u8]), data: &[u8]) -> Vec<u8> {
    let (mut data, mut tries) = (data.to_vec(), 0);
    let mut piece = data.len().div_ceil(2);
    while piece > 0 && tries < SHRINKS {
        let mut at = 0;
        while at < data.len() && tries < SHRINKS {
            tries += 1;
            let mut without = data.clone();
            without.drain(at..(at + piece).min(data.len()));
            if run(&check, &without).is_err() { data = without } else { at += piece }
        }
        piece /= 2;
    }
    data
}
