#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alive_avalon::fuzzing::json_text(data));
