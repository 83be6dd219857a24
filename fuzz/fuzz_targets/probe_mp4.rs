#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alive_playlist::fuzzing::probe_mp4(data));
