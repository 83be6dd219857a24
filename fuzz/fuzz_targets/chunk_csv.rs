#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alive_core::fuzzing::chunk_csv(data));
