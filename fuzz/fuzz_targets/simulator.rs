#![no_main]
#![allow(dead_code)]

#[path = "../../tests/it/fuzz/message.rs"]
mod message;
#[path = "../../tests/it/fuzz/simulator.rs"]
mod simulator;

libfuzzer_sys::fuzz_target!(|data: &[u8]| simulator::check(data));
