//! How a file is cut: [`ImportOptions`], with the three [`Profile`]s as presets.

use std::{fmt, str::FromStr};

use alive_core::Excerpt;

use crate::cid::Version;

/// Largest chunk, in bytes: what Kubo allows, so that a leaf stays below the block limit.
/// Source: `spec/storage.md`, section 2.1.
pub const MAX_CHUNK_SIZE: usize = 2_096_896;
/// Most links of a parent: with at most 64 bytes a link it stays below the block limit.
pub const MAX_LINKS: usize = 32_000;

/// A named set of options; equal profiles give equal CIDs everywhere. Source: `spec/storage.md`, section 2.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// `cid-v1-256k`: version 1, raw leaves of 256 KiB, 174 links. `ipfs add --cid-version=1`.
    CidV1256k,
    /// `unixfs-v0-2015`: version 0, dag-pb leaves of 256 KiB, 174 links. `ipfs add`, and our default, because the
    /// original indexer takes chunks with a dag-pb root only and the text is the shortest.
    #[default]
    UnixfsV02015,
    /// `unixfs-v1-2025`: version 1, raw leaves of 1 MiB, 1024 links. What IPIP-0499 recommends.
    UnixfsV12025,
}

impl Profile {
    /// Its name in IPIP-0499 and in the vectors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CidV1256k => "cid-v1-256k",
            Self::UnixfsV02015 => "unixfs-v0-2015",
            Self::UnixfsV12025 => "unixfs-v1-2025",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = OptionsError;

    fn from_str(s: &str) -> Result<Self, OptionsError> {
        match s {
            "cid-v1-256k" => Ok(Self::CidV1256k),
            "legacy-cid-v0" | "unixfs-v0-2015" => Ok(Self::UnixfsV02015),
            "unixfs-v1-2025" => Ok(Self::UnixfsV12025),
            other => Err(OptionsError::Profile(Excerpt::of(other))),
        }
    }
}

/// How a file is cut into blocks and how those are named. Each option is independent of the others.
///
/// ```
/// use alive_storage::unixfs::{ImportOptions, Profile};
/// let options = ImportOptions::from(Profile::UnixfsV12025).with_chunk_size(4096)?;
/// assert_eq!(options.chunk_size(), 4096);
/// assert!(options.with_max_links(1).is_err());
/// # Ok::<(), alive_storage::unixfs::OptionsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportOptions {
    chunk_size: usize,
    max_links: usize,
    cid_version: Version,
    raw_leaves: bool,
}

impl ImportOptions {
    /// Bytes of file content in a leaf; only the last leaf has fewer.
    pub fn chunk_size(&self) -> usize {
        self.chunk_size
    }

    /// Most children of one parent.
    pub fn max_links(&self) -> usize {
        self.max_links
    }

    /// Version of the ids of dag-pb nodes; raw leaves are version 1 always.
    pub fn cid_version(&self) -> Version {
        self.cid_version
    }

    /// Whether leaves are the bare content instead of dag-pb nodes around it.
    pub fn raw_leaves(&self) -> bool {
        self.raw_leaves
    }

    /// With another chunk size, in bytes.
    ///
    /// # Errors
    /// It is not within 1 to [`MAX_CHUNK_SIZE`].
    pub fn with_chunk_size(self, bytes: usize) -> Result<Self, OptionsError> {
        match bytes {
            1..=MAX_CHUNK_SIZE => Ok(Self { chunk_size: bytes, ..self }),
            _ => Err(OptionsError::ChunkSize(bytes)),
        }
    }

    /// With another number of links.
    ///
    /// # Errors
    /// It is not within 2 to [`MAX_LINKS`].
    pub fn with_max_links(self, links: usize) -> Result<Self, OptionsError> {
        match links {
            2..=MAX_LINKS => Ok(Self { max_links: links, ..self }),
            _ => Err(OptionsError::MaxLinks(links)),
        }
    }

    /// With another version of CIDs.
    #[must_use]
    pub fn with_cid_version(self, cid_version: Version) -> Self {
        Self { cid_version, ..self }
    }

    /// With raw leaves or without.
    #[must_use]
    pub fn with_raw_leaves(self, raw_leaves: bool) -> Self {
        Self { raw_leaves, ..self }
    }
}

impl Default for ImportOptions {
    fn default() -> Self {
        Profile::default().into()
    }
}

impl From<Profile> for ImportOptions {
    fn from(profile: Profile) -> Self {
        let (chunk_size, max_links, cid_version, raw_leaves) = match profile {
            Profile::CidV1256k => (256 << 10, 174, Version::V1, true),
            Profile::UnixfsV02015 => (256 << 10, 174, Version::V0, false),
            Profile::UnixfsV12025 => (1 << 20, 1024, Version::V1, true),
        };
        Self { chunk_size, max_links, cid_version, raw_leaves }
    }
}

/// Why something is not an import option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// This chunk size, in bytes.
    #[error("chunk size of {0} bytes, 1 to {MAX_CHUNK_SIZE} allowed")]
    ChunkSize(usize),
    /// This number of links.
    #[error("{0} links in a node, 2 to {MAX_LINKS} allowed")]
    MaxLinks(usize),
    /// No profile has this name.
    #[error("{0} is no import profile (unixfs-v0-2015, cid-v1-256k, unixfs-v1-2025)")]
    Profile(Excerpt),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_name() {
        for profile in [Profile::CidV1256k, Profile::UnixfsV02015, Profile::UnixfsV12025] {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
        assert_eq!("legacy-cid-v0".parse(), Ok(Profile::UnixfsV02015));
        assert!("unixfs".parse::<Profile>().is_err());
    }

    #[test]
    fn sizes_outside_their_range_are_refused() {
        let options = ImportOptions::default();
        assert_eq!(options.with_chunk_size(0), Err(OptionsError::ChunkSize(0)));
        assert!(options.with_chunk_size(MAX_CHUNK_SIZE + 1).is_err());
        assert!(options.with_max_links(MAX_LINKS + 1).is_err());
    }
}
