#![no_main]
#![allow(dead_code)]

#[path = "../../tests/it/fuzz/judge.rs"]
mod judge;

libfuzzer_sys::fuzz_target!(|data: &[u8]| judge::check(data));
