#![doc = include_str!("../README.md")]
#![expect(clippy::expect_used, reason = "the data of a bench is made here and known to be valid")]
#![expect(clippy::missing_panics_doc, reason = "a bench that cannot run should say so and stop")]

pub mod attempts;
pub mod blocks;
pub mod day;
pub mod files;
pub mod indexes;
pub mod store;
pub mod transactions;
pub mod turns;
