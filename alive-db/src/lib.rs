#![doc = include_str!("../README.md")]

pub mod gun;
pub mod json;
pub mod sea;
