//! Packs: files of blocks that are written once and then only read.
//!
//! A pack is a `CARv1` file without roots: any IPFS tool reads it, and should the index be lost, it is made again from the
//! packs. Layout: `spec/storage.md`, section 4.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

use super::{StoreError, index::Place, io_error, parent, sync_dir};
use crate::{
    block::{Block, MAX_BLOCK_BYTES, NewBlock},
    cid::{self, Multihash},
    varint::{self, VarintError},
};

/// Length and dag-cbor of `{"roots": [], "version": 1}`.
const HEADER: &[u8] = b"\x11\xa2\x65roots\x80\x67version\x01";
/// Packs in one directory, as a power of two: 1024.
const SHARD_BITS: u32 = 10;
/// Length of a binary `CIDv1` with SHA2-256 and a codec below 128, in bytes.
const CID_LEN: usize = 36;
const WRITING: &str = "writing a pack";

/// The directory of all packs.
#[derive(Debug)]
pub(super) struct Packs {
    path: PathBuf,
    /// The shard that is known to be durable: the one of the last pack.
    shard: Mutex<Option<PathBuf>>,
}

impl Packs {
    pub(super) fn new(path: PathBuf) -> Result<Self, StoreError> {
        fs::create_dir_all(&path).map_err(io_error("making the directory of packs"))?;
        Ok(Self { path, shard: Mutex::default() })
    }

    /// The numbers of all packs there are.
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
        Ok(numbers)
    }

    /// Reads a pack that may be damaged or half written, makes it durable as it is and hands out its size and every whole
    /// block up to the first damage in its framing. One without any is removed.
    pub(super) fn recover(
        &self,
        number: u64,
        mut found: impl FnMut(Multihash, Place) -> Result<(), StoreError>,
    ) -> Result<Option<u64>, StoreError> {
        const WHAT: &str = "recovering a pack";
        let path = self.path(number);
        let file = File::options().read(true).write(true).open(&path).map_err(io_error(WHAT))?;
        file.sync_all().map_err(io_error(WHAT))?;
        let size = file.metadata().map_err(io_error(WHAT))?.len();
        let mut reader = BufReader::with_capacity(64 << 10, file);
        let mut blocks = 0_u64;
        let mut end = read_header(&mut reader).map_err(io_error(WHAT))?;
        while let Some(at) = end {
            end = match read_section(&mut reader).map_err(io_error(WHAT))? {
                None => None,
                Some((head, section)) => {
                    if let Some((block, skip)) = block_of(&section) {
                        let (offset, len) = (at + head + skip, block.data().len());
                        found(*block.hash(), Place::in_pack(number, offset, len))?;
                        blocks += 1;
                    }
                    Some(at + head + section.len() as u64)
                }
            };
        }
        if blocks > 0 {
            return Ok(Some(size));
        }
        fs::remove_file(&path).map_err(io_error("removing an empty pack"))?;
        Ok(None)
    }

    pub(super) fn create(&self, number: u64) -> Result<PackWriter, StoreError> {
        let path = self.path(number);
        self.make_shard(parent(&path))?;
        let file = File::options().write(true).create_new(true).open(&path);
        let file = BufWriter::with_capacity(64 << 10, file.map_err(io_error(WRITING))?);
        let mut pack = PackWriter { file, path: Some(path), number, size: 0 };
        pack.write(HEADER)?;
        Ok(pack)
    }

    /// Reads bytes of a pack; less than `len` of them is an error.
    pub(super) fn read(&self, number: u64, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path(number))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut data = vec![0; len];
        file.read_exact(&mut data)?;
        Ok(data)
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
    /// Taken when the pack is finished.
    path: Option<PathBuf>,
    number: u64,
    size: u64,
}

impl PackWriter {
    /// Appends a block and says where its bytes are.
    pub(super) fn add(&mut self, block: &NewBlock<'_>) -> Result<Place, StoreError> {
        let cid = block.cid().to_bytes();
        let size = block.size();
        let mut head = Vec::with_capacity(varint::MAX_LEN + cid.len());
        varint::put((cid.len() + size) as u64, &mut head);
        head.extend_from_slice(&cid);
        self.write(&head)?;
        let offset = self.size;
        for part in block.parts() {
            self.write(part)?;
        }
        Ok(Place::in_pack(self.number, offset, size))
    }

    /// Makes it durable; gives its number and size.
    pub(super) fn finish(mut self) -> Result<(u64, u64), StoreError> {
        self.file.flush().map_err(io_error(WRITING))?;
        self.file.get_ref().sync_all().map_err(io_error("syncing a pack"))?;
        if let Some(path) = &self.path {
            sync_dir(&parent(path))?;
        }
        self.path = None;
        Ok((self.number, self.size))
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
            Ok(len) if len <= (CID_LEN + MAX_BLOCK_BYTES) as u64 => break len,
            Err(VarintError::Truncated) => {}
            _ => return Ok(None),
        }
    };
    let mut section = Vec::new();
    reader.take(len).read_to_end(&mut section)?;
    Ok((section.len() as u64 == len).then(|| (head.len() as u64, section.into())))
}

/// The block in a section, if it is whole, and the length of the CID before it.
fn block_of(section: &Bytes) -> Option<(Block, u64)> {
    let cid_len = if section.starts_with(&[0x12, 0x20]) { 34 } else { CID_LEN };
    let cid = cid::from_bytes(section.get(..cid_len)?).ok()?;
    let block = Block::check(*cid.hash(), section.slice(cid_len..)).ok()?;
    Some((block, cid_len as u64))
}

/// The number in a pack's file name.
fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".car")?;
    u64::from_str_radix(name, 16).ok()
}
