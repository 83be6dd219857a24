#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alive_hive::fuzzing::plain_transactions(data));
