#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| alive_node::fuzzing::chat_request(data));
