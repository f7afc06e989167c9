#![no_main]
#![allow(dead_code)]

#[path = "../../tests/it/fuzz/course.rs"]
mod course;

libfuzzer_sys::fuzz_target!(|data: &[u8]| course::check(data));
