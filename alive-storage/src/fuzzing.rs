//! Bodies of the fuzz targets: they take any bytes, must not panic, and assert what must hold for those accepted.

use std::{convert::Infallible, io::Cursor};

use bytes::Bytes;

use crate::{
    block::{Block, NewBlock},
    car::{
        self, CarBlock, CarDecoder, CarError, CarHeader, CarPolicy, CarReader, import_car,
        verify_car,
    },
    cid::{self, Cid, CidText},
    sia::SECTOR_BYTES,
    skyfile::Skyfile,
    skylink::Skylink,
    store::{BlockBatch, BlockStore, MemoryStore},
    unixfs::{self, Directory, DirectoryBuilder, FileWalk, Node, wire},
};

/// Files larger than this are not read.
const LIMIT: usize = 1 << 16;

/// An accepted text of a CID prints to itself, and its bytes read back to the same CID.
pub fn cid_text(data: &[u8]) {
    if let Ok(cid) = cid::from_bytes(data) {
        assert_eq!(cid.to_bytes(), data);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parsed = text.parse::<CidText>();
    if let Ok(id) = text.parse::<alive_core::ContentId>()
        && let Some(of_core) = id.to_cid()
    {
        let same = parsed.as_ref().is_ok_and(|ours| ours.cid().to_bytes() == of_core.to_bytes());
        assert!(same, "core takes {text:?} for another cid");
    }
    let Ok(parsed) = parsed else { return };
    assert_eq!(parsed.to_string(), text);
    let cid = parsed.cid();
    assert_eq!(cid::from_bytes(&cid.to_bytes()).as_ref(), Ok(cid));
    if let Some(v0) = cid::to_v0(cid) {
        assert_eq!(cid::to_v1(&v0), cid::to_v1(cid));
    }
}

/// A node that is accepted has links that can all be read, and sizes that add up.
pub fn dag_pb_node(data: &[u8]) {
    let block = new_block(data, cid::DAG_PB);
    let Ok(block) = Block::check(*block.cid().hash(), block.to_bytes()) else { return };
    let Ok(node) = Node::decode(&block) else { return };
    let mut sum = node.data().len() as u64;
    let mut cursor = unixfs::LinkCursor::default();
    while let Ok(Some((_, size))) = node.next_link(&mut cursor) {
        sum += size;
    }
    assert_eq!(sum, node.file_size());
    assert!(matches!(node.next_link(&mut cursor), Ok(None)), "links end, and go on ending");
}

/// A link that is read prints to texts that read back to it, its range is inside the sector and makes it again, and core
/// takes just the canonical text of version 1.
pub fn skylink_text(data: &[u8]) {
    let raw = data.try_into().ok().and_then(|raw| Skylink::from_bytes(raw).ok());
    let text = std::str::from_utf8(data).ok();
    let parsed = text.and_then(|text| text.parse::<Skylink>().ok());
    if let (Some(text), None) = (text, parsed) {
        let id = text.parse::<alive_core::ContentId>().ok();
        assert!(id.is_none_or(|id| id.kind() == alive_core::StorageKind::Ipfs));
    }
    let Some(link) = raw.or(parsed) else { return };
    assert_eq!(link.to_string().parse(), Ok(link));
    assert_eq!(link.to_base32().to_lowercase().parse(), Ok(link));
    assert_eq!(link.to_content().is_ok(), link.version() == 1);
    if let (Some(range), Some(root)) = (link.range(), link.merkle_root()) {
        assert!(range.end <= SECTOR_BYTES);
        assert_eq!(Skylink::new(root, range.start as u64, range.len() as u64), Ok(link));
    }
}

/// A skyfile that is read has its content inside the sector, and metadata that are written and read back the same.
pub fn skyfile_sector(data: &[u8]) {
    let Ok(file) = Skyfile::parse(&Bytes::copy_from_slice(data)) else { return };
    assert!(data.starts_with(&file.layout()));
    assert!(data.starts_with(&file.to_sector()));
    let Ok(again) = Skyfile::new(file.metadata().clone(), file.data().clone()) else { return };
    let read = Skyfile::parse(&again.to_sector().into());
    assert_eq!(read.as_ref(), Ok(&again));
    assert_eq!(read.map(|read| read.metadata().clone()).as_ref(), Ok(file.metadata()));
}

/// What a gateway may answer. As an archive: what is kept of it are different blocks of the file that was asked for. As a
/// file: it is believed only if it is the file. As a redirect: it is followed to the same content only, and to no address of
/// the own network.
#[cfg(feature = "remote")]
pub fn gateway_answer(data: &[u8]) {
    let store = MemoryStore::default();
    let leaves: Vec<_> =
        (0..4_u8).filter_map(|n| Some((put(&store, &[n; 9], cid::RAW)?, 9))).collect();
    let Some(inner) = put_node(&store, b"", &leaves) else { return };
    let Some(root) = put_node(&store, b"", &[(inner, 36), (inner, 36)]) else { return };
    let Ok(Some(block)) = store.get(root.hash()) else { return };
    archive_answer(&store, root, block, data);
    assert!(!crate::proof::is_content(&root, data), "no profile cuts files like this one");
    let (Ok(home), Ok(text)) = ("https://gateway.example/".parse(), std::str::from_utf8(data))
    else {
        return;
    };
    redirect_answer(&home, text, &root);
}

#[cfg(feature = "remote")]
fn archive_answer(store: &MemoryStore, root: Cid, block: Block, data: &[u8]) {
    let mut sieve = crate::gateway::sieve::Sieve::new(&root, block);
    let mut car = CarDecoder::new(1 << 16);
    for piece in data.chunks(100) {
        car.push(Bytes::copy_from_slice(piece));
        while let Ok(Some(block)) = car.poll() {
            let ours = store.has(block.block().hash()).is_ok_and(|has| has);
            let kept = sieve.offer(block.block().clone());
            assert!(ours || !kept, "a stranger was kept");
        }
    }
    let kept = sieve.into_blocks();
    assert!(kept.len() <= 6, "at most the six blocks of the file");
}

#[cfg(feature = "remote")]
fn redirect_answer(home: &reqwest::Url, text: &str, root: &Cid) {
    let named = text.replace("CID", &cid::to_v1(root).to_string());
    let Ok(to) = home.join(&named) else { return };
    if crate::gateway::redirect::check(home, home, &to, root).is_ok() {
        assert_eq!(to.scheme(), "https");
        assert!(crate::http::Reach::Public.allows_host(&to), "{to}");
        assert!(to.as_str().contains(&cid::to_v1(root).to_string()), "{to}");
    }
}

/// A file made of any blocks: if the whole can be read, every part of it is the same part of the whole.
pub fn unixfs_read(data: &[u8]) {
    let store = MemoryStore::default();
    let Some(root) = build(&store, data) else { return };
    let size = unixfs::file_size(&store, root);
    let Ok(whole) = unixfs::read_file(&store, root, LIMIT) else {
        let mut reader = unixfs::FileReader::new(&store, FileWalk::range(root, 3..999));
        let given: usize = reader.by_ref().map_while(Result::ok).map(|piece| piece.len()).sum();
        assert!(given <= 996);
        return;
    };
    let len = whole.len();
    assert_eq!(size.ok(), Some(len as u64));
    assert!(unixfs::is_complete(&store, root).is_ok_and(|complete| complete));
    for (from, to) in [(0, len), (0, 1), (len / 3, len / 2), (len, len + 9), (len / 2, len + 1)] {
        let part = unixfs::read_range(&store, root, from as u64..to as u64);
        let want = whole.get(from..to.min(len)).unwrap_or_default();
        assert_eq!(part.ok().as_deref(), Some(want));
    }
}

/// An archive that is accepted says the same in whatever pieces it comes, can be imported, and what was imported is
/// exported again and accepted, whole.
pub fn car(data: &[u8]) {
    let policy = CarPolicy::exchange(1 << 20).with_directories(true);
    let Ok(reader) = CarReader::new(data, policy.limit_bytes) else {
        assert!(push(data, data.len().max(1)).is_err());
        return;
    };
    let header = reader.header().clone();
    assert_eq!(CarHeader::decode(&header.encode()).as_ref(), Ok(&header));
    let read: Result<Vec<_>, _> = reader.collect();
    let pieces = usize::from(data.last().copied().unwrap_or(0)) + 1;
    let pushed = push(data, pieces);
    assert_eq!(read.as_ref().ok(), pushed.as_ref().ok());
    let store = MemoryStore::default();
    if import_car(Cursor::new(data), &store, header.roots(), policy).is_err() {
        assert!(store.is_empty(), "nothing of what is refused is stored");
        return;
    }
    let mut again = Vec::new();
    let export = car::export_car(&store, header.roots(), &mut again);
    assert!(export.is_ok_and(|export| export.blocks == store.len() as u64));
    let verified =
        verify_car(&again[..], header.roots(), CarPolicy { limit_bytes: u64::MAX, ..policy });
    let sizes = verified.map(|summary| summary.sizes).unwrap_or_default();
    assert_eq!(sizes.len(), header.roots().len());
    for (root, size) in header.roots().iter().zip(sizes) {
        let Some(size) = size.filter(|size| *size <= LIMIT as u64) else { continue };
        let content = unixfs::read_file(&store, *root, LIMIT);
        assert_eq!(content.ok().map(|content| content.len() as u64), Some(size));
    }
}

/// Decodes an archive that comes in pieces.
fn push(data: &[u8], piece: usize) -> Result<Vec<CarBlock>, CarError> {
    let (mut decoder, mut blocks) = (CarDecoder::new(1 << 20), Vec::new());
    for piece in data.chunks(piece) {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(block) = decoder.poll()? {
            blocks.push(block);
        }
    }
    decoder.finish()?;
    Ok(blocks)
}

/// A directory that is accepted is written again to the same entries, and its names are names.
pub fn directory(data: &[u8]) {
    let block = new_block(data, cid::DAG_PB);
    let Ok(block) = Block::check(*block.cid().hash(), block.to_bytes()) else { return };
    let Ok(read) = Directory::decode(&block) else { return };
    let mut builder = DirectoryBuilder::new(cid::Version::V1);
    for (name, entry) in read.entries() {
        assert_eq!(name.as_str().parse().as_ref(), Ok(name));
        if builder.add_entry(name.clone(), *entry).is_err() {
            return;
        }
    }
    let mut written = None;
    let mut sink = |block: &NewBlock<'_>| {
        written = Block::check(*block.cid().hash(), block.to_bytes()).ok();
        Ok::<(), Infallible>(())
    };
    let Ok(_root) = builder.finish(&mut sink);
    assert_eq!(written.and_then(|block| Directory::decode(&block).ok()), Some(read));
}

/// Stores a dag-pb node with content of its own and children of the given sizes.
pub(crate) fn put_node(store: &MemoryStore, data: &[u8], children: &[(Cid, u64)]) -> Option<Cid> {
    let (mut node, mut message) = (Vec::new(), Vec::new());
    wire::put_varint(1, 2, &mut message);
    wire::put_bytes_head(2, data.len() as u64, &mut message);
    message.extend_from_slice(data);
    let below = children.iter().fold(0_u64, |sum, (_, size)| sum.wrapping_add(*size));
    wire::put_varint(3, below.wrapping_add(data.len() as u64), &mut message);
    for (child, size) in children {
        wire::put_varint(4, *size, &mut message);
        let id = child.to_bytes();
        wire::put_bytes_head(2, id.len() as u64 + 2, &mut node);
        wire::put_bytes_head(1, id.len() as u64, &mut node);
        node.extend_from_slice(&id);
    }
    wire::put_bytes_head(1, message.len() as u64, &mut node);
    node.append(&mut message);
    put(store, &node, cid::DAG_PB)
}

/// Stores bytes as a block of a codec.
pub(crate) fn put(store: &MemoryStore, data: &[u8], codec: u64) -> Option<Cid> {
    let block = new_block(data, codec);
    let mut batch = store.batch().ok()?;
    batch.add(&block).ok()?;
    batch.commit().ok()?;
    Some(*block.cid())
}

fn new_block(data: &[u8], codec: u64) -> NewBlock<'_> {
    NewBlock::hash(|hash| Cid::new_v1(codec, hash), [data, &[], &[]])
}

/// Builds blocks by a small program: each step makes a leaf, a node over earlier blocks, or a block of any bytes. The
/// last one is the root.
fn build(store: &MemoryStore, program: &[u8]) -> Option<Cid> {
    let mut program = Program(program);
    let mut made: Vec<(Cid, u64)> = Vec::new();
    while made.len() < 64 {
        let Some(step) = program.byte() else { break };
        let len = usize::from(program.byte().unwrap_or(0));
        let next = match step % 4 {
            0 => {
                let data = program.bytes(len);
                (put(store, &data, cid::RAW)?, data.len() as u64)
            }
            1 => (put(store, &program.bytes(len), cid::DAG_PB)?, len as u64),
            lie => {
                let data = program.bytes(len % 16);
                let mut children = Vec::new();
                for _ in 0..len / 16 {
                    let at = usize::from(program.byte().unwrap_or(0));
                    let Some(mut child) = made.get(at % made.len().max(1)).copied() else { break };
                    if lie == 3 {
                        child.1 = u64::from(program.byte().unwrap_or(0));
                    }
                    children.push(child);
                }
                let below = children.iter().fold(0_u64, |sum, (_, size)| sum.wrapping_add(*size));
                (put_node(store, &data, &children)?, below.wrapping_add(data.len() as u64))
            }
        };
        made.push(next);
    }
    made.last().map(|(cid, _)| *cid)
}

struct Program<'a>(&'a [u8]);

impl Program<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self, len: usize) -> Bytes {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        Bytes::copy_from_slice(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn cid_text_takes_any_bytes(data: Vec<u8>) {
            cid_text(&data);
        }

        #[test]
        fn cid_text_takes_any_text(
            text in "[0-9a-zA-Z]{0,80}|[bz][a-z2-7]{20,80}|Qm[1-9A-Za-z]{44}|\\PC{0,40}",
        ) {
            cid_text(text.as_bytes());
        }

        #[test]
        fn dag_pb_node_takes_any_bytes(data: Vec<u8>) {
            dag_pb_node(&data);
        }

        #[test]
        fn dag_pb_node_takes_what_is_nearly_one(message in vec(0_u8..40, 0..30), more: Vec<u8>) {
            let mut node = Vec::new();
            wire::put_bytes_head(1, message.len() as u64, &mut node);
            node.extend(&message);
            dag_pb_node(&node);
            node.extend(more);
            dag_pb_node(&node);
        }

        #[test]
        fn skylink_text_takes_any_bytes(data in vec(any::<u8>(), 30..40)) {
            skylink_text(&data);
        }

        #[test]
        fn skylink_text_takes_any_text(
            text in "[A-Za-z0-9_-]{46}[/?]?|A[AB][A-Za-z0-9_-]{44}|[0-9a-vA-V]{55}|\\PC{0,60}",
        ) {
            skylink_text(text.as_bytes());
        }

        #[test]
        fn skyfile_sector_takes_any_bytes(data: Vec<u8>) {
            skyfile_sector(&data);
        }

        #[test]
        fn skyfile_sector_takes_what_is_nearly_one(
            json in "\\{\"filename\":\"\\PC{0,8}\",\"length\":[0-9]{1,2}(,\"(mode|subfiles|tryfiles|x)\":(1|\\{\\}|\\[\\]|null)){0,2}\\}",
            content in vec(any::<u8>(), 0..20),
            (at, byte) in (0_usize..99, any::<u8>()),
            spoil: bool,
        ) {
            let mut sector = vec![0; 99];
            sector[0] = 1;
            sector[1] = u8::try_from(content.len()).unwrap();
            sector[9..17].copy_from_slice(&(json.len() as u64).to_le_bytes());
            sector[34] = 1;
            if spoil {
                sector[at] = byte;
            }
            sector.extend(json.as_bytes());
            sector.extend(content);
            skyfile_sector(&sector);
        }

        #[cfg(feature = "remote")]
        #[test]
        fn gateway_answer_takes_any_bytes(data: Vec<u8>) {
            gateway_answer(&data);
        }

        #[cfg(feature = "remote")]
        #[test]
        fn gateway_answer_takes_redirects(
            to in "(https?:)?//([0-9a-f.:\\[\\]x]{1,12}|CID\\.ipfs\\.[a-z0-9.]{1,9}|localhost)(:[0-9]{1,4})?/(ipfs/)?(CID)?[a-z/?]{0,6}",
        ) {
            gateway_answer(to.as_bytes());
        }

        #[cfg(feature = "remote")]
        #[test]
        fn gateway_answer_takes_archives_of_any_blocks(
            blocks in vec((0_u8..6, any::<bool>()), 0..12),
            (at, byte) in (any::<proptest::sample::Index>(), any::<u8>()),
        ) {
            let store = MemoryStore::default();
            let mut car = car::CarWriter::new(Vec::new(), &[]).unwrap();
            for (n, stranger) in blocks {
                let data = if stranger { vec![n; 8] } else { vec![n; 9] };
                let cid = put(&store, &data, cid::RAW).unwrap();
                car.add(&cid, &store.get(cid.hash()).unwrap().unwrap()).unwrap();
            }
            let mut car = car.finish().unwrap();
            gateway_answer(&car);
            let at = at.index(car.len());
            car[at] = byte;
            gateway_answer(&car);
        }

        #[test]
        fn car_takes_any_bytes(data: Vec<u8>) {
            car(&data);
            car(&[b"\x11\xa2\x65roots\x80\x67version\x01", &data[..]].concat());
        }

        #[test]
        fn car_takes_what_is_nearly_one(
            program in vec(any::<u8>(), 0..600),
            at: prop::sample::Index,
            byte: Option<u8>,
        ) {
            let store = MemoryStore::default();
            if let Some(root) = build(&store, &program) {
                let mut archive = Vec::new();
                if car::export_car(&store, &[root], &mut archive).is_ok() {
                    if let Some(byte) = byte {
                        let at = at.index(archive.len());
                        archive[at] = byte;
                    }
                    car(&archive);
                }
            }
        }

        #[test]
        fn directory_takes_any_bytes(data: Vec<u8>) {
            directory(&data);
        }

        #[test]
        fn directory_takes_what_is_nearly_one(
            names in vec("[a-c/\\x00]{0,3}", 0..5),
            kind in 0_u8..6,
            more: Vec<u8>,
        ) {
            let mut node = Vec::new();
            for name in names {
                let id = [&[0x12, 0x20][..], &[7; 32]].concat();
                wire::put_bytes_head(2, (id.len() + name.len() + 4) as u64, &mut node);
                wire::put_bytes_head(1, id.len() as u64, &mut node);
                node.extend(id);
                wire::put_bytes_head(2, name.len() as u64, &mut node);
                node.extend(name.as_bytes());
            }
            node.extend([0x0a, 2, 8, kind]);
            directory(&node);
            node.extend(more);
            directory(&node);
        }

        #[test]
        fn unixfs_read_takes_any_program(data in vec(any::<u8>(), 0..600)) {
            unixfs_read(&data);
        }
    }
}
