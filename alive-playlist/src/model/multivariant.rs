//! The multivariant playlist: one [`Variant`] per rendition of the same content.

use std::fmt;

use crate::line_text::{FrameRate, Quoted, Uri};

/// A list of renditions, each a media playlist of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MultivariantPlaylist<'a> {
    /// `EXT-X-VERSION`; absent means 1.
    pub version: Option<u64>,
    /// Whether every segment of every rendition starts with a key frame.
    pub independent_segments: bool,
    /// The renditions in the order in which they are offered.
    pub variants: Vec<Variant<'a>>,
}

impl MultivariantPlaylist<'_> {
    /// Most variants in one list.
    pub const MAX_VARIANTS: usize = 200_000;

    /// The same list, holding its own texts.
    #[must_use]
    pub fn into_owned(self) -> MultivariantPlaylist<'static> {
        MultivariantPlaylist {
            version: self.version,
            independent_segments: self.independent_segments,
            variants: self.variants.into_iter().map(Variant::into_owned).collect(),
        }
    }
}

impl fmt::Display for MultivariantPlaylist<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_bytes()).map_err(|_| fmt::Error)?)
    }
}

/// One rendition: `EXT-X-STREAM-INF` and its URI.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variant<'a> {
    /// Where its media playlist is, as written.
    pub uri: Uri<'a>,
    /// Peak bits per second.
    pub bandwidth: u64,
    /// Average bits per second.
    pub average_bandwidth: Option<u64>,
    /// Codec strings, separated by commas.
    pub codecs: Option<Quoted<'a>>,
    /// Size of the picture.
    pub resolution: Option<Resolution>,
    /// Highest frame rate.
    pub frame_rate: Option<FrameRate<'a>>,
}

impl<'a> Variant<'a> {
    /// A rendition of which only the peak bit rate is known.
    pub fn new(uri: Uri<'a>, bandwidth: u64) -> Self {
        Self {
            uri,
            bandwidth,
            average_bandwidth: None,
            codecs: None,
            resolution: None,
            frame_rate: None,
        }
    }

    fn into_owned(self) -> Variant<'static> {
        Variant {
            uri: self.uri.into_owned(),
            bandwidth: self.bandwidth,
            average_bandwidth: self.average_bandwidth,
            codecs: self.codecs.map(Quoted::into_owned),
            resolution: self.resolution,
            frame_rate: self.frame_rate.map(FrameRate::into_owned),
        }
    }
}

/// Size of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resolution {
    /// Pixels across.
    pub width: u64,
    /// Pixels down.
    pub height: u64,
}
