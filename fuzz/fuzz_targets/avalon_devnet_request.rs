#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alive_avalon::devnet::fuzzing::request(data));
