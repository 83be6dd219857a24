//! Segments in a block store, and as plain files with the same durability.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use alive_storage::{
    DiskStorage,
    car::{CarPolicy, export_car, verify_car},
    cid::Cid,
    unixfs,
};
use sha2::{Digest, Sha256};

use crate::files::bytes;

/// A segment of some seconds, in bytes.
pub const SEGMENT: usize = 2_000_000;

/// Segments no block of which is in another one.
#[derive(Debug)]
pub struct Segments {
    data: Vec<u8>,
    count: u64,
}

impl Default for Segments {
    fn default() -> Self {
        Self { data: bytes(SEGMENT), count: 0 }
    }
}

impl Segments {
    /// The next one.
    pub fn next_segment(&mut self) -> &[u8] {
        self.count += 1;
        for page in self.data.chunks_mut(64 << 10) {
            let (mark, _) = page.split_first_chunk_mut().expect("the last page has some bytes");
            *mark = self.count.to_le_bytes();
        }
        &self.data
    }

    /// How many there have been.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Stores a segment as we do.
pub fn put(storage: &DiskStorage, segment: &[u8]) -> Cid {
    storage.import_bytes(segment).expect("there is room").cid
}

/// Stores a segment as a file that is there, whole and under its name, after a power failure.
pub fn put_plain(folder: &Path, number: u64, segment: &[u8]) {
    let put = || {
        let mut file = File::create(folder.join(number.to_string()))?;
        file.write_all(segment)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()
    };
    let done: io::Result<()> = put();
    done.expect("there is room");
}

/// Reads a segment, every byte checked.
pub fn get(storage: &DiskStorage, root: Cid) -> usize {
    unixfs::read_file(storage.store(), root, SEGMENT).expect("it was stored").len()
}

/// Reads a segment from its file.
pub fn get_plain(folder: &Path, number: u64) -> Vec<u8> {
    fs::read(folder.join(number.to_string())).expect("it was stored")
}

/// Reads a segment from its file and hashes it: what it takes to know that it is the right one.
pub fn get_plain_checked(folder: &Path, number: u64) -> [u8; 32] {
    Sha256::digest(get_plain(folder, number)).into()
}

/// An archive of a file of so many bytes, and the file's id.
pub fn archive(len: usize) -> (Vec<u8>, Cid) {
    let storage = alive_storage::MemoryStorage::default();
    let root = storage.import_bytes(&bytes(len)).expect("memory does not fail").cid;
    let mut car = Vec::with_capacity(len + (len >> 8));
    export_car(storage.store(), &[root], &mut car).expect("all is there");
    (car, root)
}

/// Verifies an archive.
pub fn verify(car: &[u8], root: Cid) -> u64 {
    let policy = CarPolicy::exchange(car.len() as u64);
    verify_car(car, &[root], policy).expect("it was just written").blocks
}
