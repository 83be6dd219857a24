#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alive_playlist::fuzzing::read_playlist(data));
