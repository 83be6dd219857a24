//! A development node for Hive in the same process: real transactions, real blocks, no network (feature `devnet`).
//!
//! [`serve`] listens for unmodified Hive clients; [`Devnet`] is the chain itself, without clock and sockets. What it
//! refuses and how it says so follows `spec/hive.md`; accounts exist because the configuration names them or a
//! transaction makes them, and have no funds.
//!
//! It is one producer's chain for development and tests: it knows no peers, no votes for witnesses, no funds and no
//! rewards, and its witness key is public. Posts, votes for them and, if wanted, a limit of resource credits are there;
//! faults can be switched on ([`Switches`]).

mod accounts;
mod api;
mod apply;
mod block_record;
mod config;
mod credits;
mod engine;
mod faulty;
#[doc(hidden)]
pub mod fuzzing;
mod history;
mod lenient_json;
mod log;
mod pool;
mod posts;
mod refusal;
mod server;
mod switches;
mod witness;

use crate::jsonrpc;

pub use accounts::{DevAccount, DevAccountError};
pub use block_record::RecordError;
pub use config::DevnetConfig;
pub use engine::{Devnet, DevnetError, TransactionStatus};
pub use log::LogError;
pub use refusal::{MAX_CUSTOM_OPS, PostRefusal, TransactionError};
pub use server::{DevnetServer, ServeError, serve, serve_chain};
pub use switches::{AnswerFault, Fate, FaultRule, Forks, Switches};
