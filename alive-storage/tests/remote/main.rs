//! Storage behind HTTP: against servers of our own that answer as the documented ones do, and against liars.
#![cfg(test)]

mod gateway;
mod kubo;
mod lies;
mod pinning;
mod portal;
mod server;
mod skynet;
mod uploader;

use alive_storage::HttpOptions;
use std::time::Duration;

/// Options under which a server that says nothing is given up soon, and one that works never.
fn options() -> HttpOptions {
    HttpOptions::default().answer_timeout(Duration::from_secs(30))
}

/// Content that no two seeds share a block of.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(len).collect()
}
