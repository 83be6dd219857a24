//! Storage made of other storage: ask several ([`Race`]), keep with several ([`Quorum`]), try again ([`Retry`]), remember
//! ([`Cached`]).
//!
//! Each takes any [`Storage`](alive_core::backend::Storage), also
//! [`SharedStorage`](alive_core::backend::SharedStorage), and is one itself, so they nest. Feature `adapters`.

mod cache;
mod quorum;
mod race;
mod retry;

use std::fmt;

use alive_core::{ContentId, backend::StorageError};

pub use self::{
    cache::Cached,
    quorum::{MAX_STRAGGLERS, Quorum, QuorumError},
    race::Race,
    retry::{Retry, RetryOptions},
};

/// What went wrong at each member that was asked, by its place.
#[derive(Debug)]
pub struct MemberErrors(Vec<(usize, StorageError)>);

impl MemberErrors {
    /// The errors, each with the place of its member.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &StorageError)> {
        self.0.iter().map(|(at, error)| (*at, error))
    }

    /// One error for all: what may go away counts more than what will not, and more than that nobody has it.
    fn into_one(self, backend: &'static str, id: &ContentId) -> StorageError {
        let any = |is: fn(&StorageError) -> bool| self.0.iter().any(|(_, error)| is(error));
        let too_large = self.0.iter().find_map(|(_, error)| match error {
            StorageError::TooLarge { limit, .. } => Some(*limit),
            _ => None,
        });
        if let Some(limit) = too_large {
            // A backend says so of checked content only.
            StorageError::TooLarge { id: *id, limit }
        } else if any(|error| matches!(error, StorageError::Unavailable { .. })) {
            StorageError::Unavailable { backend, source: self.into() }
        } else if any(|error| matches!(error, StorageError::Corrupt { .. })) {
            StorageError::Corrupt { id: *id, source: self.into() }
        } else if any(|error| matches!(error, StorageError::NotFound(_))) {
            StorageError::NotFound(*id)
        } else {
            StorageError::Refused { backend, source: self.into() }
        }
    }
}

impl fmt::Display for MemberErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no member did it")?;
        for (at, error) in &self.0 {
            write!(f, "; member {at}: {}", Chain(error))?;
        }
        Ok(())
    }
}

impl std::error::Error for MemberErrors {}

/// An error and its causes in one line.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
