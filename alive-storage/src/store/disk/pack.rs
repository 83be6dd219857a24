//! Packs: files of blocks that are written once and then only read.
//!
//! A pack is a `CARv1` file: any IPFS tool reads it, and should the index be lost, it is made again from the packs. Its last
//! sections are notes, blocks of the identity hash that say what the put was about: a root that is stored nowhere else
//! yet, or that all of it is. So a put is durable when its pack is, and the index may be synced later. A pack
//! without a note is an unfinished put, or one part of a large one. Layout: `spec/storage.md`, section 4.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

use super::{StoreError, io_error, is_leaf, parent, place::Place, sync_dir, write_back::WriteBack};
use crate::{
    block::{Block, NewBlock},
    car::MAX_SECTION_BYTES,
    cid::{self, Cid, Multihash},
    varint::{self, VarintError},
};

/// Length and dag-cbor of `{"roots": [], "version": 1}`.
const HEADER: &[u8] = b"\x11\xa2\x65roots\x80\x67version\x01";
/// What the digest of a note begins with.
const NOTE: &[u8] = b"alive-pack/1 ";
/// Packs in one directory, as a power of two: 1024.
const SHARD_BITS: u32 = 10;
/// Longest section, as a length in a pack.
const MAX_SECTION: u64 = MAX_SECTION_BYTES as u64;
const WRITING: &str = "writing a pack";

/// The directory of all packs.
#[derive(Debug)]
pub(super) struct Packs {
    path: PathBuf,
    /// The shard that is known to be durable: the one of the last pack.
    shard: Mutex<Option<PathBuf>>,
}

/// What a pack says of the put that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// All of it is stored elsewhere.
    Cached,
    /// What lies below this root is stored nowhere else yet.
    Owed(Cid),
}

/// What was found in a pack.
#[derive(Debug)]
pub(super) enum Found {
    Block(Multihash, Place),
    Note(Note),
}

/// What became of a pack that was read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Its size up to the first damage in its framing; what followed has been cut off.
    pub(super) size: u64,
    /// Bytes that were cut off.
    pub(super) cut: u64,
}

impl Packs {
    pub(super) fn new(path: PathBuf) -> Result<Self, StoreError> {
        fs::create_dir_all(&path).map_err(io_error("making the directory of packs"))?;
        Ok(Self { path, shard: Mutex::default() })
    }

    /// The numbers of all packs there are, in order.
    pub(super) fn numbers(&self) -> Result<Vec<u64>, StoreError> {
        let what = io_error("listing packs");
        let mut numbers = Vec::new();
        for shard in fs::read_dir(&self.path).map_err(&what)? {
            let shard = shard.map_err(&what)?.path();
            if !shard.is_dir() {
                continue;
            }
            for pack in fs::read_dir(shard).map_err(&what)? {
                numbers.extend(number_of(&pack.map_err(&what)?.path()));
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Reads a pack that may be damaged or half written, cuts off what no section can be read from, makes it durable, and
    /// hands out every whole block and note.
    pub(super) fn recover(
        &self,
        number: u64,
        mut found: impl FnMut(Found) -> Result<(), StoreError>,
    ) -> Result<Recovered, StoreError> {
        const WHAT: &str = "recovering a pack";
        let path = self.path(number);
        let file = File::options().read(true).write(true).open(&path).map_err(io_error(WHAT))?;
        let mut reader = BufReader::with_capacity(64 << 10, &file);
        let mut end = read_header(&mut reader).map_err(io_error(WHAT))?;
        let mut size = 0;
        while let Some(at) = end {
            size = at;
            end = match read_section(&mut reader).map_err(io_error(WHAT))? {
                None => None,
                Some((head, section)) => {
                    match (note_of(&section), block_of(&section)) {
                        (Some(note), _) => found(Found::Note(note))?,
                        (None, Some((block, skip))) => {
                            let (offset, data) = (at + head + skip, block.data());
                            let place = Place::in_pack(number, offset, data.len(), is_leaf(data));
                            found(Found::Block(*block.hash(), place))?;
                        }
                        (None, None) => {}
                    }
                    Some(at + head + section.len() as u64)
                }
            };
        }
        let had = file.metadata().map_err(io_error(WHAT))?.len();
        if had > size {
            file.set_len(size).map_err(io_error(WHAT))?;
        }
        file.sync_all().map_err(io_error(WHAT))?;
        Ok(Recovered { size, cut: had.saturating_sub(size) })
    }

    pub(super) fn create(&self, number: u64) -> Result<PackWriter, StoreError> {
        let path = self.path(number);
        let folder = parent(&path);
        self.make_shard(folder.clone())?;
        let file = File::options().write(true).create_new(true).open(&path);
        let file = file.map_err(io_error(WRITING))?;
        let write_back = WriteBack::of_new_file(folder);
        let file = BufWriter::with_capacity(64 << 10, file);
        let mut pack = PackWriter { file, write_back, path: Some(path), number, size: 0 };
        pack.write(HEADER)?;
        Ok(pack)
    }

    /// Reads bytes of a pack; less than `len` of them is an error.
    pub(super) fn read(&self, number: u64, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path(number))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut data = Vec::with_capacity(len);
        file.take(len as u64).read_to_end(&mut data)?;
        if data.len() < len { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(data) }
    }

    /// Its size on disk, or `None` if there is no such pack.
    pub(super) fn size(&self, number: u64) -> Result<Option<u64>, StoreError> {
        match fs::metadata(self.path(number)) {
            Ok(data) => Ok(Some(data.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("looking at a pack")(error)),
        }
    }

    /// Removes a pack; one that is not there is no error.
    pub(super) fn remove(&self, number: u64) -> Result<(), StoreError> {
        match fs::remove_file(self.path(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_error("removing a pack")(error))
            }
            _ => Ok(()),
        }
    }

    /// Where a pack is, or would be.
    pub(super) fn path(&self, number: u64) -> PathBuf {
        self.path.join(format!("{:x}", number >> SHARD_BITS)).join(format!("{number:016x}.car"))
    }

    /// Makes the directory of a pack, durably. All writers wait for that, so none can be done before it is.
    fn make_shard(&self, path: PathBuf) -> Result<(), StoreError> {
        let mut made = self.shard.lock().unwrap_or_else(PoisonError::into_inner);
        if made.as_ref() == Some(&path) {
            return Ok(());
        }
        fs::create_dir_all(&path).map_err(io_error("making a directory of packs"))?;
        sync_dir(&self.path)?;
        *made = Some(path);
        Ok(())
    }
}

/// A pack that is being written. It is removed when dropped before [`finish`](Self::finish).
#[derive(Debug)]
pub(super) struct PackWriter {
    file: BufWriter<File>,
    write_back: WriteBack,
    /// Taken when the pack is finished.
    path: Option<PathBuf>,
    number: u64,
    size: u64,
}

impl PackWriter {
    /// Bytes so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Appends a block and says where its bytes are.
    pub(super) fn add(&mut self, block: &NewBlock<'_>, leaf: bool) -> Result<Place, StoreError> {
        let size = block.size();
        self.head(block.cid(), size)?;
        let offset = self.size;
        for part in block.parts() {
            self.write(part)?;
        }
        if self.write_back.is_due(self.size) {
            self.file.flush().map_err(io_error(WRITING))?;
            self.write_back.give(self.file.get_ref(), self.size);
        }
        Ok(Place::in_pack(self.number, offset, size, leaf))
    }

    /// Appends a note.
    pub(super) fn note(&mut self, note: &Note) -> Result<(), StoreError> {
        let text = match note {
            Note::Cached => [NOTE, b"c"].concat(),
            Note::Owed(root) => [NOTE, b"o", &root.to_bytes()].concat(),
        };
        // A root with a digest so long that there is no room for it cannot be stored either.
        match Multihash::wrap(cid::IDENTITY, &text) {
            Ok(hash) => self.head(&Cid::new_v1(cid::RAW, hash), 0),
            Err(_) => Ok(()),
        }
    }

    /// Makes it durable; gives its number and size.
    pub(super) fn finish(mut self) -> Result<(u64, u64), StoreError> {
        self.file.flush().map_err(io_error(WRITING))?;
        self.write_back.finish(self.file.get_ref())?;
        self.path = None;
        Ok((self.number, self.size))
    }

    fn head(&mut self, cid: &Cid, size: usize) -> Result<(), StoreError> {
        let cid = cid.to_bytes();
        let mut head = Vec::with_capacity(varint::MAX_LEN + cid.len());
        varint::put((cid.len() + size) as u64, &mut head);
        head.extend_from_slice(&cid);
        self.write(&head)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(io_error(WRITING))?;
        self.size += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for PackWriter {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // What cannot be removed now is removed when the store is opened the next time.
            let _left = fs::remove_file(path);
        }
    }
}

/// Bytes that a block or a note takes in a pack beyond its own, at most.
pub(super) const FRAME_BYTES: u64 = 256;

/// Reads over the header; gives where it ends, or `None` if it is another one.
fn read_header(reader: &mut impl Read) -> io::Result<Option<u64>> {
    let mut header = Vec::new();
    reader.take(HEADER.len() as u64).read_to_end(&mut header)?;
    Ok((header == HEADER).then_some(HEADER.len() as u64))
}

/// Reads a section and the length of its own length; `None` where there is no whole one.
fn read_section(reader: &mut impl Read) -> io::Result<Option<(u64, Bytes)>> {
    let mut head = Vec::new();
    let len = loop {
        if reader.by_ref().take(1).read_to_end(&mut head)? == 0 {
            return Ok(None);
        }
        match varint::take(&mut &head[..]) {
            Ok(len @ 1..=MAX_SECTION) => break len,
            Err(VarintError::Truncated) => {}
            _ => return Ok(None),
        }
    };
    let mut section = Vec::new();
    reader.take(len).read_to_end(&mut section)?;
    Ok((section.len() as u64 == len).then(|| (head.len() as u64, section.into())))
}

/// The block in a section, if it is whole and of a hash that is stored, and the length of the CID before it.
fn block_of(section: &Bytes) -> Option<(Block, u64)> {
    let mut rest = &section[..];
    let cid = cid::take(&mut rest).ok().filter(|cid| cid.hash().code() == cid::SHA2_256)?;
    let skip = section.len() - rest.len();
    let block = Block::check(*cid.hash(), section.slice(skip..)).ok()?;
    Some((block, skip as u64))
}

/// The note in a section, if it is one.
fn note_of(section: &Bytes) -> Option<Note> {
    let mut rest = &section[..];
    let cid = cid::take(&mut rest).ok().filter(|cid| cid.hash().code() == cid::IDENTITY)?;
    match cid.hash().digest().strip_prefix(NOTE)?.split_first()? {
        (b'c', []) => Some(Note::Cached),
        (b'o', root) => cid::from_bytes(root).ok().map(Note::Owed),
        _ => None,
    }
}

/// The number in a pack's file name.
fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".car")?;
    u64::from_str_radix(name, 16).ok()
}
