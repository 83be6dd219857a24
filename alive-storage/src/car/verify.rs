//! Whether an archive holds what is expected of it: [`verify_car`], and [`CarVerifier`] without I/O.

use std::io::{self, Read};

use super::{CarBlock, CarHeader, CarReader, HeaderError};
use crate::{
    block::BlockError,
    cid::{Cid, CidError, Multihash},
    unixfs::{ReadError, Trees},
    varint::VarintError,
};

/// Most blocks of one archive, and most links in them: 256 GiB of file in leaves of 256 KiB. Their outline is kept in memory,
/// and without a limit an archive of tiny blocks would take more than it has bytes.
pub const MAX_BLOCKS: usize = 1 << 20;

/// What is asked of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CarPolicy {
    /// Whether what is expected must be listed among the archive's roots.
    pub strict_roots: bool,
    /// Whether a directory may stand where a file may.
    pub directories: bool,
    /// Most bytes that are read.
    pub limit_bytes: u64,
}

impl CarPolicy {
    /// For archives that are imported and exchanged: the roots must be listed.
    pub fn exchange(limit_bytes: u64) -> Self {
        Self { strict_roots: true, directories: false, limit_bytes }
    }

    /// For answers of gateways: the list of roots says nothing, by the trustless gateway specification.
    pub fn gateway(limit_bytes: u64) -> Self {
        Self { strict_roots: false, ..Self::exchange(limit_bytes) }
    }

    /// With directories accepted, or not.
    #[must_use]
    pub fn with_directories(self, directories: bool) -> Self {
        Self { directories, ..self }
    }
}

/// What an archive turned out to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CarSummary {
    /// The roots it lists.
    pub roots: Vec<Cid>,
    /// Its sections, blocks that stand twice counted twice.
    pub blocks: u64,
    /// Bytes of content below each expected root; `None` for a directory.
    pub sizes: Vec<Option<u64>>,
}

/// Checks an archive whose blocks come from elsewhere, such as a [`CarDecoder`](super::CarDecoder).
///
/// Blocks may come in any order, and twice; those that belong to nothing that is expected are no error. Memory is some
/// hundred bytes a block and a link, and no content.
///
/// ```
/// use alive_storage::{car::{CarDecoder, CarPolicy, CarVerifier}, cid};
/// let root = cid::parse("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")?;
/// let policy = CarPolicy::gateway(1 << 20);
/// let (mut car, mut verifier) = (CarDecoder::new(policy.limit_bytes), CarVerifier::new(policy));
/// car.push(b"\x11\xa2\x65roots\x80\x67version\x01".as_slice().into());
/// while let Some(block) = car.poll()? {
///     verifier.add(&block)?;
/// }
/// car.finish()?;
/// let missing = verifier.finish(car.header().ok_or("no header")?, &[root]);
/// assert!(missing.is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CarVerifier {
    policy: CarPolicy,
    trees: Trees,
    blocks: u64,
}

impl CarVerifier {
    /// Starts with no block.
    pub fn new(policy: CarPolicy) -> Self {
        Self { policy, trees: Trees::default(), blocks: 0 }
    }

    /// Takes a block.
    ///
    /// # Errors
    /// There are more than [`MAX_BLOCKS`].
    pub fn add(&mut self, block: &CarBlock) -> Result<(), CarError> {
        self.blocks += 1;
        self.trees.add(block.cid(), block.block());
        let (blocks, links) = self.trees.len();
        if blocks.max(links) > MAX_BLOCKS {
            return Err(CarError::TooManyBlocks);
        }
        Ok(())
    }

    /// Says whether all that is expected came.
    ///
    /// # Errors
    /// An expected root is not listed, or a block below it is missing or does not fit.
    pub fn finish(&mut self, header: &CarHeader, expected: &[Cid]) -> Result<CarSummary, CarError> {
        let mut sizes = Vec::with_capacity(expected.len());
        for root in expected {
            if self.policy.strict_roots && !header.roots().iter().any(|other| is_same(other, root))
            {
                return Err(CarError::NotRoot((*root).into()));
            }
            let size = self.trees.check(root, self.policy.directories);
            sizes.push(size.map_err(CarError::Content)?);
        }
        Ok(CarSummary { roots: header.roots().to_vec(), blocks: self.blocks, sizes })
    }

    /// Whether a block belongs to what was found whole.
    pub(super) fn is_part(&self, hash: &Multihash) -> bool {
        self.trees.is_part(hash)
    }
}

/// Reads an archive to its end and checks that it holds all that lies below the expected roots. It blocks, and keeps
/// nothing.
///
/// # Errors
/// The archive is refused, or not all that is expected is there.
pub fn verify_car(
    reader: impl Read,
    expected: &[Cid],
    policy: CarPolicy,
) -> Result<CarSummary, CarError> {
    let mut reader = CarReader::new(reader, policy.limit_bytes)?;
    let mut verifier = CarVerifier::new(policy);
    for block in reader.by_ref() {
        verifier.add(&block?)?;
    }
    verifier.finish(reader.header(), expected)
}

/// Whether two ids name one block read in one way, in whatever version.
fn is_same(one: &Cid, other: &Cid) -> bool {
    one.codec() == other.codec() && one.hash() == other.hash()
}

/// Why an archive is refused. Offsets are in bytes from its start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarError {
    /// Bytes are not the block that their id names.
    #[error("section at {offset} is not block {cid}")]
    Block {
        /// The id.
        cid: Box<Cid>,
        /// Where the section starts.
        offset: u64,
        /// What is wrong.
        source: BlockError,
    },
    /// A section does not begin with a CID.
    #[error("section at {offset} does not begin with a cid")]
    Cid {
        /// Where the section starts.
        offset: u64,
        /// What is wrong.
        source: CidError,
    },
    /// What is expected is not there, whole.
    #[error("expected content is not there")]
    Content(#[source] ReadError),
    /// A section of no bytes.
    #[error("section at {offset} is empty")]
    Empty {
        /// Where it starts.
        offset: u64,
    },
    /// The header is refused.
    #[error("header is refused")]
    Header(#[from] HeaderError),
    /// The archive could not be read.
    #[error("archive cannot be read")]
    Io(#[source] io::Error),
    /// The length of a section is no number in its one form.
    #[error("length of the section at {offset} cannot be read")]
    Length {
        /// Where the section starts.
        offset: u64,
        /// What is wrong.
        source: VarintError,
    },
    /// An expected root is not among those that the archive lists.
    #[error("{0} is not among the roots")]
    NotRoot(Box<Cid>),
    /// A section is longer than is read.
    #[error("section of {len} bytes at {offset}, at most {limit} allowed")]
    Section {
        /// What it announces, in bytes.
        len: u64,
        /// What is allowed, in bytes.
        limit: usize,
        /// Where it starts.
        offset: u64,
    },
    /// The archive is larger than the caller takes.
    #[error("archive of more than {limit} bytes")]
    TooLarge {
        /// The caller's limit.
        limit: u64,
    },
    /// There are more than [`MAX_BLOCKS`] blocks, or links in them.
    #[error("more than {MAX_BLOCKS} blocks or links")]
    TooManyBlocks,
    /// The input ends inside a section.
    #[error("cut short inside the section at {offset}")]
    Truncated {
        /// Where the section starts.
        offset: u64,
    },
}
