#![doc = include_str!("../README.md")]

mod config;
mod files;
mod folder;
#[doc(hidden)]
pub mod fuzzing;
mod journal;
mod length;
mod parts;
mod progress;
mod session;
mod source;
mod wake;
mod watch;

pub use config::SessionConfig;
pub use journal::JournalFileError;
pub use progress::{Found, Progress, Totals, Waiting, Warning, WarningCause};
pub use session::{Backends, Session, SessionError};
pub use source::SourceError;
