//! Errors for logs: [`Explained`].

use std::{error::Error, fmt};

/// An error and all its causes, in one line.
pub(crate) struct Explained<'e>(pub(crate) &'e dyn Error);

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let causes = std::iter::successors(self.0.source(), |&cause| cause.source());
        causes.into_iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] fmt::Error);

    #[test]
    fn names_every_cause() {
        let text = Explained(&Outer(fmt::Error)).to_string();
        assert_eq!(text, format!("outer: {}", fmt::Error));
    }
}
