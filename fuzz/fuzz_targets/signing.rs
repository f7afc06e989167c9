#![no_main]
#![allow(dead_code)]

#[path = "../../tests/it/fuzz/message.rs"]
mod message;
#[path = "../../tests/it/fuzz/signing.rs"]
mod signing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| signing::check(data));
