#![doc = include_str!("../README.md")]

#[cfg(feature = "chat")]
pub mod chat;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod database;
pub mod gun;
pub mod json;
pub mod live_cache;
#[cfg(feature = "testing")]
pub mod memory;
#[cfg(feature = "rest")]
pub mod rest;
pub mod schema;
pub mod sea;
#[cfg(feature = "rest")]
pub mod token;
