#![doc = include_str!("../README.md")]

#[cfg(feature = "testing")]
pub mod conformance;
pub mod database;
pub mod gun;
pub mod json;
pub mod live_cache;
#[cfg(feature = "testing")]
pub mod memory;
pub mod schema;
pub mod sea;
