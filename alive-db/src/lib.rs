#![doc = include_str!("../README.md")]

#[cfg(feature = "testing")]
pub mod conformance;
pub mod gun;
pub mod json;
pub mod sea;
