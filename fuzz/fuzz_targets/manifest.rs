#![no_main]
#![allow(dead_code)]

#[path = "../../tests/it/fuzz/manifest.rs"]
mod manifest;

libfuzzer_sys::fuzz_target!(|data: &[u8]| manifest::check(data));
