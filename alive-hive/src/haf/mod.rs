//! Blocks out of HAF's PostgreSQL (feature `haf`): [`HafBlockSource`] makes a node of this project a HAF application.
//!
//! HAF gives each application a *context*, its place in the chain, and hands out ranges of blocks from there on. This
//! source uses a non-forking context with two stages (massive and live) and HAF's transaction rule: `BEGIN`, then
//! `CALL hive.app_next_iteration` as the first statement, and `COMMIT` only when the caller's next call proves that it
//! keeps the blocks. What the caller has is the truth; where HAF's context disagrees, for whatever reason, blocks are
//! read from the views or passed over, but never skipped and never given twice. Source: `spec/indexer.md`, section 7.

mod config;
mod context;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod iteration;
mod overlay;
mod read;
mod session;
mod source;

pub use config::{HafBlockSourceConfig, HafConfigError};
pub use error::HafError;
pub use source::HafBlockSource;

/// What core's errors name as the backend.
const BACKEND: &str = "HAF";
