#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alive_avalon::fuzzing::design_2021(data));
