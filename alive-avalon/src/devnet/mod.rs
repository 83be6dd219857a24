//! A development node for Avalon in the same process: real transactions, real blocks, no network (feature `devnet`).
//!
//! [`serve`] listens for unmodified clients of Avalon; [`Devnet`] is the chain itself, without clock and sockets. What
//! it refuses and how it says so follows `spec/avalon.md`; accounts exist because the configuration names them or a
//! transaction makes them.
//!
//! It is one leader's chain for development and tests: no peers, no elections, no rewards, and the leader's key is
//! public. Playlists, posts, keys, weights, thresholds and bandwidth are there; other types of transactions are refused.
//! What crashes a real node (a pop of a missing playlist, an answer after its request timed out) is refused or bounded.

mod accounts;
mod answer;
mod config;
mod engine;
#[doc(hidden)]
pub mod fuzzing;
mod log;
mod posts;
mod rules;
mod server;
mod state;
mod switches;

pub use accounts::{DevAccount, dev_key};
pub use answer::Answer;
pub use config::DevnetConfig;
pub use engine::{Devnet, DevnetError, LineError, MAX_POOL};
pub use log::LogError;
pub use server::{DevnetServer, ServeError, serve, serve_chain};
pub use switches::{AnswerFault, FaultRule, Switches};
