#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alive_db::sea::fuzzing::parts(data));
