#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = alive_stake::fuzzing::milestone(data);
});
