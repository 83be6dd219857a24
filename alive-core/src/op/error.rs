//! Why an operation is refused: [`OpError`] names the [`Field`] and the reason.

use std::fmt;

use crate::{
    account::AccountNameError, content::ContentIdError, gateway::GatewayUrlError, quality::Quality,
    segment::SegmentDurationError, stream_id::LinkError, text::Excerpt,
};

use super::LiveKeyError;

/// A field of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// `also` of a configure.
    Also,
    /// `gw` of a configure.
    Gw,
    /// `l2` of a configure.
    L2,
    /// `len` of a push.
    Len,
    /// `link`.
    Link,
    /// The initialisation section of a push.
    Map,
    /// `op`, the code.
    Op,
    /// `pub` of a configure.
    Pub,
    /// The content of one rendition of a push.
    Rendition(Quality),
    /// `seq` of a push.
    Seq,
    /// `storage` of a configure.
    Storage,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Also => "also",
            Self::Gw => "gw",
            Self::L2 => "l2",
            Self::Len => "len",
            Self::Link => "link",
            Self::Map => "map",
            Self::Op => "op",
            Self::Pub => "pub",
            Self::Rendition(quality) => quality.as_str(),
            Self::Seq => "seq",
            Self::Storage => "storage",
        })
    }
}

/// Why an operation is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// The posting authority is no account name.
    #[error("required_posting_auths: {0}")]
    Account(AccountNameError),
    /// Not exactly one posting authority signed it.
    #[error("required_posting_auths: {0} names, exactly one allowed")]
    Authorities(usize),
    /// A content id is not one.
    #[error("{field}: {reason}")]
    Content {
        /// Which one.
        field: Field,
        /// What is wrong with it.
        reason: ContentIdError,
    },
    /// The envelope is no custom operation of ours.
    #[error("envelope: {0}")]
    Envelope(&'static str),
    /// The gateway is not one.
    #[error("gw: {0}")]
    Gateway(GatewayUrlError),
    /// The payload is not a JSON object.
    #[error("payload: not a JSON object at line {line}, column {column}")]
    Json {
        /// Line of the payload, from 1.
        line: usize,
        /// Column of that line.
        column: usize,
    },
    /// The length is not one.
    #[error("len: {0}")]
    Len(SegmentDurationError),
    /// The link is not one.
    #[error("link: {0}")]
    Link(LinkError),
    /// The live key is not one.
    #[error("pub: {0}")]
    LiveKey(LiveKeyError),
    /// A field that must be there is not.
    #[error("{0}: missing")]
    Missing(Field),
    /// A number is not an integer of its range.
    #[error("{field}: {value} is not an integer from 0 to {max}")]
    Number {
        /// Which field.
        field: Field,
        /// What stands there.
        value: Excerpt,
        /// Largest allowed value.
        max: u16,
    },
    /// The storage is unknown, so its hashes could not be used.
    #[error("storage: {0} is neither ipfs nor skynet")]
    Storage(Excerpt),
    /// A field has another JSON type.
    #[error("{field}: {value} is not a {want}")]
    Type {
        /// Which field.
        field: Field,
        /// What stands there.
        value: Excerpt,
        /// What must stand there.
        want: &'static str,
    },
}
