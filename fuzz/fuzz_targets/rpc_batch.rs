#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alive_hive::rpc::fuzzing::batch(data));
