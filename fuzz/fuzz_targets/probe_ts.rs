#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alive_playlist::probe::fuzzing::probe_ts(data));
