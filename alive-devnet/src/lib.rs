#![doc = include_str!("../README.md")]

mod body;
mod chances;
mod journal;
mod server;

pub use body::read_body;
pub use chances::Chances;
pub use journal::{Journal, Mark};
pub use server::{Chain, Handle, ServeError, Server, open, since_1970};
