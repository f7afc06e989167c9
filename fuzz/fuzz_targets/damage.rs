#![no_main]
#![allow(dead_code)]

#[path = "../../tests/it/fuzz/state.rs"]
mod state;

libfuzzer_sys::fuzz_target!(|data: &[u8]| state::check_damage(data));
