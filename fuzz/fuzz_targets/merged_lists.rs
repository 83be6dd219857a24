#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    alive_core::fuzzing::merged_lists(data);
});
