#![no_main]
#![allow(dead_code)]

#[path = "../../tests/simulation/tests/fuzz/course.rs"]
mod course;

libfuzzer_sys::fuzz_target!(|data: &[u8]| course::check(data));
