#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alive_db::rest::fuzzing::token(data));
