//! Ids of files, and plain hashing of the same bytes.

use std::{
    convert::Infallible,
    fs::File,
    io::{self, Read, Seek},
};

use alive_storage::{
    NewBlock,
    cid::Cid,
    unixfs::{self, ImportOptions, Importer, Profile},
};
use sha2::{Digest, Sha256};

/// The profiles, our default first.
pub const PROFILES: [Profile; 3] =
    [Profile::UnixfsV02015, Profile::CidV1256k, Profile::UnixfsV12025];

/// Bytes without a pattern that a cache or a compressor could use; the same in every run.
pub fn bytes(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The id of content in memory.
pub fn id_of_bytes(data: &[u8], profile: Profile) -> Cid {
    let mut discard = |_: &NewBlock<'_>| Ok::<(), Infallible>(());
    let mut importer = Importer::new(profile.into());
    let Ok(()) = importer.push(data, &mut discard);
    let Ok(root) = importer.finish(&mut discard);
    root.cid
}

/// The id of content that comes through a reader.
pub fn id_of_reader(reader: impl Read, profile: Profile) -> Cid {
    let mut discard = |_: &NewBlock<'_>| Ok::<(), io::Error>(());
    unixfs::import(reader, profile.into(), &mut discard).expect("it can be read").cid
}

/// The id of a file.
pub fn id_of_file(file: &mut File, profile: Profile) -> Cid {
    file.rewind().expect("it is a file");
    id_of_reader(file, profile)
}

/// SHA-256 of a file, read in pieces of the size that an import reads.
pub fn hash_of_file(file: &mut File) -> [u8; 32] {
    file.rewind().expect("it is a file");
    let mut buffer = vec![0; ImportOptions::default().chunk_size()];
    let mut hasher = Sha256::new();
    loop {
        let len = file.read(&mut buffer).expect("it can be read");
        let Some(piece) = buffer.get(..len).filter(|piece| !piece.is_empty()) else { break };
        hasher.update(piece);
    }
    hasher.finalize().into()
}
