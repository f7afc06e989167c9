//! Changes a text the way a fuzzer does: bytes, lines, numbers and JSON values, pieces of other texts of the same corpus.

use fastrand::Rng;

/// Texts that mean something to one of the parsers, or to arithmetic behind it.
const WORDS: [&str; 44] = [
    "0",
    "1",
    "-1",
    "255",
    "65535",
    "4294967295",
    "4294967296",
    "2147483648",
    "9223372036854775807",
    "18446744073709551615",
    "-9223372036854775808",
    "1e400",
    "0.5",
    "NaN",
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "[null]",
    "{\"a\":{}}",
    "\u{feff}",
    "\u{0}",
    "\u{fffd}",
    "é",
    "規則",
    "\u{1f4a9}",
    "%",
    "%2F",
    "%zz",
    "100%",
    "-1%",
    "..",
    "~",
    "&a ",
    "*a",
    "---\n",
    "- ",
    ": ",
    "9999-12-31T23:59:59Z",
    "-009999-01-02T00:00:00Z",
    "99999999999h",
    "1ns",
    "'",
];

/// A changed copy of one of the texts.
pub fn mutate(corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut data = pick(corpus, rng).clone();
    for _ in 0..rng.u32(1..6) {
        change(&mut data, corpus, rng);
    }
    data
}

fn pick<'a, T>(items: &'a [T], rng: &mut Rng) -> &'a T {
    &items[rng.usize(0..items.len())]
}

fn change(data: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut Rng) {
    let other = pick(corpus, rng);
    match rng.u32(0..10) {
        0 => flip(data, rng),
        1 => {
            let (from, to) = range(data, rng, 16);
            data.drain(from..to);
        }
        2 => put(data, pick(&WORDS, rng).as_bytes(), rng),
        3 => replace(data, token, pick(&WORDS, rng).as_bytes(), rng),
        4 => replace(data, token, &part(other, token, rng), rng),
        5 => replace(data, line, &part(other, line, rng), rng),
        6 => replace(data, line, b"", rng),
        7 => put(data, &part(other, line, rng), rng),
        8 => {
            let (from, to) = range(data, rng, 64);
            let copy = data[from..to].to_vec();
            put(data, &copy, rng);
        }
        _ => {
            if rng.u32(0..8) == 0 {
                data.truncate(rng.usize(0..=data.len()));
            } else {
                replace(data, token, &[rng.u8(..)], rng);
            }
        }
    }
}

fn flip(data: &mut [u8], rng: &mut Rng) {
    if !data.is_empty() {
        data[rng.usize(0..data.len())] ^= 1 << rng.u32(0..8);
    }
}

fn put(data: &mut Vec<u8>, what: &[u8], rng: &mut Rng) {
    let at = rng.usize(0..=data.len());
    data.splice(at..at, what.iter().copied());
}

fn range(data: &[u8], rng: &mut Rng, longest: usize) -> (usize, usize) {
    let from = rng.usize(0..=data.len());
    (from, (from + rng.usize(0..=longest)).min(data.len()))
}

fn replace(data: &mut Vec<u8>, find: fn(&[u8], usize) -> (usize, usize), with: &[u8], rng: &mut Rng) {
    if !data.is_empty() {
        let (from, to) = find(data, rng.usize(0..data.len()));
        data.splice(from..to, with.iter().copied());
    }
}

fn part(data: &[u8], find: fn(&[u8], usize) -> (usize, usize), rng: &mut Rng) -> Vec<u8> {
    if data.is_empty() {
        return Vec::new();
    }
    let (from, to) = find(data, rng.usize(0..data.len()));
    data[from..to].to_vec()
}

/// The word, number or other text between separators that a place is in.
fn token(data: &[u8], at: usize) -> (usize, usize) {
    around(data, at, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'%') || byte >= 0x80
    })
}

/// The line that a place is in, with its end.
fn line(data: &[u8], at: usize) -> (usize, usize) {
    let (from, to) = around(data, at, |byte| byte != b'\n');
    (from, (to + 1).min(data.len()))
}

fn around(data: &[u8], at: usize, belongs: impl Fn(u8) -> bool) -> (usize, usize) {
    let from = data[..at].iter().rposition(|byte| !belongs(*byte)).map_or(0, |before| before + 1);
    let to = data[at..].iter().position(|byte| !belongs(*byte)).map_or(data.len(), |length| at + length);
    (from, to.max(from))
}
