#![no_main]
#![allow(dead_code)]

#[path = "../../tests/it/fuzz/accounts.rs"]
mod accounts;
#[path = "../../tests/it/fuzz/message.rs"]
mod message;
#[path = "../../tests/it/fuzz/reply.rs"]
mod reply;

libfuzzer_sys::fuzz_target!(|data: &[u8]| reply::check(data));
