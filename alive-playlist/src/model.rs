//! Our own model of playlists: what a list says, exactly, and nothing that a list cannot say.
//!
//! Texts borrow from the list that was read (`into_owned` cuts the tie). Unknown tags, comments, hints and reports of
//! low-latency lists, `START`, `BITRATE`, `DATERANGE` and the renditions of a multivariant list are not kept.

mod control;
mod key;
mod media;
mod multivariant;
mod part;

use std::fmt;

pub use control::ServerControl;
pub use key::{Key, KeyError, KeySet, KeySetError};
pub use media::{
    ByteRange, Map, MediaHeader, MediaPlaylist, MediaSegment, ModelError, PlaylistType,
};
pub use multivariant::{MultivariantPlaylist, Resolution, Variant};
pub use part::{MediaPart, OpenSegment};

/// A playlist: a list of segments, or a list of such lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a list is one or the other and never both (RFC 8216)")]
pub enum Playlist<'a> {
    /// Segments.
    Media(MediaPlaylist<'a>),
    /// Renditions of the same content.
    Multivariant(MultivariantPlaylist<'a>),
}

impl Playlist<'_> {
    /// The list's text, lines ending in LF.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Media(list) => list.to_bytes(),
            Self::Multivariant(list) => list.to_bytes(),
        }
    }

    /// The same list, holding its own texts.
    #[must_use]
    pub fn into_owned(self) -> Playlist<'static> {
        match self {
            Self::Media(list) => Playlist::Media(list.into_owned()),
            Self::Multivariant(list) => Playlist::Multivariant(list.into_owned()),
        }
    }
}

impl fmt::Display for Playlist<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Media(list) => list.fmt(f),
            Self::Multivariant(list) => list.fmt(f),
        }
    }
}

impl<'a> From<MediaPlaylist<'a>> for Playlist<'a> {
    fn from(list: MediaPlaylist<'a>) -> Self {
        Self::Media(list)
    }
}

impl<'a> From<MultivariantPlaylist<'a>> for Playlist<'a> {
    fn from(list: MultivariantPlaylist<'a>) -> Self {
        Self::Multivariant(list)
    }
}
