//! Small skyfiles: a file, its metadata and a layout in one sector, and the Skylink that follows from them.
//!
//! Source: `spec/storage.md`, section 8.3. Files that do not fit a sector use a form that is not written or read here.

mod json;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    sia::{MerkleRoot, SECTOR_BYTES},
    skylink::{Skylink, SkylinkError},
};

/// Size of the layout at the start of a skyfile, in bytes.
pub const LAYOUT_BYTES: usize = 99;

/// The only version of layouts.
const LAYOUT_VERSION: u8 = 1;
/// The cipher type of files that are not encrypted.
const PLAIN: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];
/// Most names in the metadata of a skyfile that is read; the sector bounds their length.
const MAX_SUBFILES: usize = 4096;

/// A file that fits one sector together with its metadata.
///
/// ```
/// use alive_storage::{Skyfile, SkyfileMetadata};
/// let metadata = SkyfileMetadata::of_upload("chunk.csv", "text/csv", 0o644, 15);
/// let file = Skyfile::new(metadata, "S1,10.0\nS2,9.9\n".into())?;
/// assert_eq!(file.skylink().to_string(), "AAB4ER8LXC2bLaVJX-trXJIZ31zOlCVDqU-euvY3Fl8WRA");
/// let sector = file.to_sector();
/// assert_eq!(Skyfile::parse(&sector.into())?.data(), file.data());
/// # Ok::<(), alive_storage::SkyfileError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skyfile {
    metadata: SkyfileMetadata,
    json: Bytes,
    data: Bytes,
}

impl Skyfile {
    /// Joins content with metadata about it.
    ///
    /// # Errors
    /// They do not fit one sector.
    pub fn new(metadata: SkyfileMetadata, data: Bytes) -> Result<Self, SkyfileError> {
        let json = Bytes::from(json::to_json(&metadata).map_err(SkyfileError::json)?);
        let used = LAYOUT_BYTES.saturating_add(json.len()).saturating_add(data.len());
        if used > SECTOR_BYTES {
            return Err(SkyfileError::TooLarge { used: used as u64 });
        }
        Ok(Self { metadata, json, data })
    }

    /// Reads a skyfile at the start of a sector or of the part of it that a Skylink names. Nothing is copied. What the
    /// bytes are must have been checked against the Skylink before.
    ///
    /// # Errors
    /// It is of another layout, encrypted, in the form for large files, or contradicts itself.
    pub fn parse(sector: &Bytes) -> Result<Self, SkyfileError> {
        let layout = Layout::decode(sector)?;
        let used = layout.used_bytes();
        if used > sector.len() as u64 {
            return Err(SkyfileError::TooLarge { used });
        }
        // They are at most the length of the sector's bytes.
        let at = |bytes: u64| usize::try_from(bytes).map_err(|_| SkyfileError::TooLarge { used });
        let data_start = LAYOUT_BYTES + at(layout.metadata_size)?;
        let json = sector.slice(LAYOUT_BYTES..data_start);
        let data = sector.slice(data_start..data_start + at(layout.file_size)?);
        let metadata: SkyfileMetadata =
            serde_json::from_slice(&json).map_err(SkyfileError::json)?;
        metadata.check(layout.file_size)?;
        Ok(Self { metadata, json, data })
    }

    /// What is said about the file.
    pub fn metadata(&self) -> &SkyfileMetadata {
        &self.metadata
    }

    /// The metadata as it stands in the sector.
    pub fn metadata_json(&self) -> &Bytes {
        &self.json
    }

    /// Content of the file, or of all subfiles one after the other.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The layout, as it stands in front of the metadata.
    pub fn layout(&self) -> [u8; LAYOUT_BYTES] {
        Layout { file_size: self.data.len() as u64, metadata_size: self.json.len() as u64 }.encode()
    }

    /// Bytes of the sector that are not padding.
    pub fn used_bytes(&self) -> usize {
        LAYOUT_BYTES + self.json.len() + self.data.len()
    }

    /// The sector without the zeros behind the file.
    pub fn to_sector(&self) -> Vec<u8> {
        [&self.layout(), &*self.json, &*self.data].concat()
    }

    /// The link under which everyone finds it. It hashes the file, some milliseconds for the largest.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "the length was checked when it was made"
    )]
    pub fn skylink(&self) -> Skylink {
        let root = MerkleRoot::of_sector(&self.to_sector());
        let link: Result<Skylink, SkylinkError> = Skylink::new(root, 0, self.used_bytes() as u64);
        link.expect("it lies inside the sector, at its start")
    }
}

/// What is known about a file on Skynet, in the order in which it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SkyfileMetadata {
    /// Its name.
    pub filename: String,
    /// Bytes of content.
    pub length: u64,
    /// Unix permissions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mode: u64,
    /// The files in it, by name; none for an upload of bare bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub subfiles: BTreeMap<String, Subfile>,
    /// The subfile that stands for all.
    #[serde(default, skip_serializing_if = "String::is_empty", rename = "defaultpath")]
    pub default_path: String,
    /// Whether no subfile stands for all.
    #[serde(default, skip_serializing_if = "is_false", rename = "disabledefaultpath")]
    pub disable_default_path: bool,
    /// Subfiles that stand for a path that is not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "tryfiles")]
    pub try_files: Vec<String>,
    /// Subfiles that stand for errors, by HTTP status.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", rename = "errorpages")]
    pub error_pages: BTreeMap<u16, String>,
}

impl SkyfileMetadata {
    /// Metadata of `length` bare bytes.
    pub fn of_bytes(filename: &str, mode: u64, length: u64) -> Self {
        Self { filename: filename.into(), length, mode, ..Self::default() }
    }

    /// Metadata that a server makes for the multipart upload of one file.
    pub fn of_upload(filename: &str, content_type: &str, mode: u64, length: u64) -> Self {
        let file = Subfile {
            mode,
            filename: filename.into(),
            content_type: content_type.into(),
            offset: 0,
            len: length,
        };
        let subfiles = BTreeMap::from([(filename.into(), file)]);
        Self { subfiles, ..Self::of_bytes(filename, mode, length) }
    }

    /// Whether it fits content of this size.
    fn check(&self, file_size: u64) -> Result<(), SkyfileError> {
        if self.length != file_size {
            return Err(SkyfileError::Length { layout: file_size, metadata: self.length });
        }
        if self.subfiles.len() > MAX_SUBFILES {
            return Err(SkyfileError::Subfiles(self.subfiles.len()));
        }
        let inside =
            |file: &Subfile| file.offset.checked_add(file.len).is_some_and(|end| end <= file_size);
        if self.subfiles.values().all(inside) { Ok(()) } else { Err(SkyfileError::SubfileRange) }
    }
}

/// A file inside a skyfile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Subfile {
    /// Unix permissions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mode: u64,
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filename: String,
    /// Its media type.
    #[serde(default, skip_serializing_if = "String::is_empty", rename = "contenttype")]
    pub content_type: String,
    /// Where it starts in the content, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: u64,
    /// Bytes of content.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub len: u64,
}

/// Why something is not a small skyfile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkyfileError {
    /// It is encrypted, or by an unknown cipher.
    #[error("skyfile is encrypted")]
    Encrypted,
    /// Its content lies in other sectors.
    #[error("skyfile is of the form for large files, which is not read")]
    Fanout,
    /// The metadata are not JSON of the known form.
    #[error("metadata of the skyfile cannot be read: {0}")]
    Json(String),
    /// Layout and metadata say different sizes.
    #[error("skyfile of {layout} bytes by its layout, {metadata} by its metadata")]
    Length {
        /// What the layout says, in bytes.
        layout: u64,
        /// What the metadata say, in bytes.
        metadata: u64,
    },
    /// The layout is of this version.
    #[error("skyfile layout of version {0}, only 1 is known")]
    LayoutVersion(u8),
    /// A subfile is not inside the file.
    #[error("a subfile lies outside of the skyfile")]
    SubfileRange,
    /// It names this many subfiles.
    #[error("{0} subfiles, at most {MAX_SUBFILES} allowed")]
    Subfiles(usize),
    /// It would need this many bytes.
    #[error("skyfile of {used} bytes does not fit its sector ({SECTOR_BYTES} bytes)")]
    TooLarge {
        /// Bytes of layout, metadata and content.
        used: u64,
    },
    /// There are not even the bytes of a layout.
    #[error("skyfile of {0} bytes ends in its layout")]
    Truncated(usize),
}

impl SkyfileError {
    #[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
    fn json(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }
}

/// The parts of a layout that differ between small plain files.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) file_size: u64,
    metadata_size: u64,
}

impl Layout {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, SkyfileError> {
        let truncated = || SkyfileError::Truncated(bytes.len());
        let bytes = bytes.get(..LAYOUT_BYTES).ok_or_else(truncated)?;
        let (version, rest) = bytes.split_first().ok_or_else(truncated)?;
        if *version != LAYOUT_VERSION {
            return Err(SkyfileError::LayoutVersion(*version));
        }
        let (numbers, rest) = rest.split_at_checked(24).ok_or_else(truncated)?;
        let mut numbers = numbers.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let mut next = || numbers.next().ok_or_else(truncated);
        let (file_size, metadata_size, fanout_size) = (next()?, next()?, next()?);
        let (pieces, rest) = rest.split_at_checked(2).ok_or_else(truncated)?;
        if fanout_size != 0 || pieces != [0, 0] {
            return Err(SkyfileError::Fanout);
        }
        let key = rest.strip_prefix(&PLAIN).ok_or(SkyfileError::Encrypted)?;
        if key.iter().any(|byte| *byte != 0) {
            return Err(SkyfileError::Encrypted);
        }
        Ok(Self { file_size, metadata_size })
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        (LAYOUT_BYTES as u64).saturating_add(self.file_size).saturating_add(self.metadata_size)
    }

    fn encode(self) -> [u8; LAYOUT_BYTES] {
        let numbers = [self.file_size, self.metadata_size, 0].map(u64::to_le_bytes);
        let fields = [LAYOUT_VERSION].into_iter().chain(numbers.into_iter().flatten());
        let fields = fields.chain([0, 0]).chain(PLAIN);
        let mut layout = [0; LAYOUT_BYTES];
        layout.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        layout
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests;
