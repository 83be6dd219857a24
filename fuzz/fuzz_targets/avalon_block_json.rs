#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alive_avalon::fuzzing::block_json(data));
