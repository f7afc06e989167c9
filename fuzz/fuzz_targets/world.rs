#![no_main]
#![allow(dead_code)]

#[path = "../../tests/it/fuzz/world.rs"]
mod world;

libfuzzer_sys::fuzz_target!(|data: &[u8]| world::check(data));
