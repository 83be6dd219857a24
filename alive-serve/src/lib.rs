#![doc = include_str!("../README.md")]

mod limits;
mod server;

pub use limits::Limits;
pub use server::{anyone, route, serve, serve_with, tcp};
