use std::io::Cursor;

use alive_core::{
    Chunk, Configure, ContentId, Flags, Pushed, Quality, Renditions, Segment, Timestamp,
};
use alive_playlist::MediaPlaylist;
use alive_storage::{
    MemoryStorage,
    car::{CarReader, CarWriter},
    cid, unixfs,
};

use super::*;

const LIMIT: u64 = 1 << 30;

/// Content of some blocks, unlike any other.
fn content(seed: u32, len: usize) -> Vec<u8> {
    (seed << 20..).flat_map(u32::to_le_bytes).take(len).collect()
}

/// A streamer's store and what the chain says of the stream.
struct Streamed {
    store: MemoryStorage,
    id: StreamId,
    stream: Stream,
}

impl Streamed {
    fn put(&self, data: &[u8]) -> ContentId {
        cid::to_content(&self.store.import_bytes(data).unwrap().cid).unwrap()
    }

    /// Pushes the chunks `pushes`, each of three segments, but every third push is a segment by itself.
    fn new(pushes: u16, ended: bool) -> Self {
        let configure = Configure::new("show".parse().unwrap());
        let stream = Stream::create(&configure, 0, 1, Timestamp::EPOCH);
        let id = "hive/alice/show".parse().unwrap();
        let mut streamed = Self { store: MemoryStorage::default(), id, stream };
        let pushed: Vec<_> = (0..pushes).map(|seq| streamed.push(seq)).collect();
        streamed.chain(pushed, ended);
        streamed
    }

    fn push(&self, seq: u16) -> Pushed {
        let segment = |at: u32| {
            let id = self.put(&content(u32::from(seq) * 16 + at, 300_000));
            Segment::new(id, "9.967".parse().unwrap())
        };
        if seq % 3 == 2 {
            let segment = segment(0);
            let len = Some(segment.duration);
            let renditions = Renditions::default();
            return Pushed { src: segment.content, len, discontinuity: true, renditions };
        }
        let mut gap = segment(9);
        gap.flags = Flags::new(false, true);
        let segments = [segment(0), segment(1), gap];
        let chunk = Chunk::encode(&segments).unwrap();
        let (src, renditions) = (self.put(chunk.as_bytes()), Renditions::default());
        Pushed { src, len: None, discontinuity: false, renditions }
    }

    fn chain(&mut self, pushed: Vec<Pushed>, ended: bool) {
        let mut info = self.stream.info().clone();
        let last = Seq::new(pushed.len() as u64 - 1);
        (info.finalized, info.head, info.ended) = (last, last, ended);
        let numbered = (0..).zip(pushed).map(|(seq, pushed)| (Seq::new(seq).unwrap(), pushed));
        self.stream = Stream::restore(info, numbered);
    }

    fn pushes(&self) -> Vec<Pushed> {
        self.stream.pushes().map(|(_, pushed)| pushed.clone()).collect()
    }

    fn export(&self) -> (StreamArchive, Vec<u8>) {
        let mut archive = Vec::new();
        let told = export_stream(self.store.store(), &self.id, &self.stream, &mut archive).unwrap();
        (told, archive)
    }

    fn import(&self, archive: &[u8]) -> (MemoryStorage, Result<StreamArchive, ArchiveError>) {
        let store = MemoryStorage::default();
        let archive = Cursor::new(archive);
        let told = import_stream(archive, LIMIT, store.store(), &self.id, &self.stream);
        (store, told)
    }

    /// The archive is refused and nothing of it is stored.
    fn refused(&self, archive: &[u8]) -> ArchiveError {
        let (store, told) = self.import(archive);
        assert!(store.store().is_empty(), "something was stored");
        assert!(store.store().pins().unwrap().is_empty());
        told.unwrap_err()
    }
}

/// The sections of an archive, so that it can be put together otherwise.
fn sections(archive: &[u8]) -> Vec<(Cid, Block)> {
    let car = CarReader::new(archive, LIMIT).unwrap();
    car.map(|block| block.map(|block| (*block.cid(), block.block().clone())).unwrap()).collect()
}

fn archive_of(root: Cid, blocks: &[(Cid, Block)]) -> Vec<u8> {
    let mut car = CarWriter::new(Vec::new(), &[root]).unwrap();
    for (cid, block) in blocks {
        car.add(cid, block).unwrap();
    }
    car.finish().unwrap()
}

#[test]
fn a_stream_goes_into_a_file_and_comes_back_whole() {
    let streamed = Streamed::new(7, true);
    let (told, archive) = streamed.export();
    assert_eq!((told.segments, told.last.as_u16(), told.bytes), (12, 6, archive.len() as u64));
    assert_eq!(
        archived_stream(Cursor::new(&archive), LIMIT).unwrap(),
        streamed.id,
        "the file names its stream"
    );
    let (store, back) = streamed.import(&archive);
    let back = back.unwrap();
    assert_eq!((back.root, back.segments, back.blocks), (told.root, 12, told.blocks));
    assert!(store.store().is_pinned(&told.root).unwrap());

    // What the playlist names lies at the path that it names, as it was streamed.
    let list = store.resolve(&told.root, "src.m3u8").unwrap();
    let list = unixfs::read_file(store.store(), list, 1 << 20).unwrap();
    let list = MediaPlaylist::read(&list).unwrap();
    assert!(list.header().ended);
    assert_eq!(list.segments().iter().filter(|segment| segment.gap).count(), 5);
    let played: Vec<_> = list
        .segments()
        .iter()
        .filter(|segment| !segment.gap)
        .map(|segment| {
            let cid = store.resolve(&told.root, segment.uri.as_str()).unwrap();
            unixfs::read_file(store.store(), cid, 1 << 20).unwrap()
        })
        .collect();
    let want: Vec<_> = (0..7)
        .flat_map(|seq| if seq % 3 == 2 { vec![seq * 16] } else { vec![seq * 16, seq * 16 + 1] })
        .map(|seed| content(seed, 300_000))
        .collect();
    assert!(played == want);
}

#[test]
fn equal_chains_make_equal_archives() {
    let (told, archive) = Streamed::new(5, true).export();
    let (again, same) = Streamed::new(5, true).export();
    assert_eq!((told, archive), (again, same));
}

#[test]
fn an_archive_of_a_live_stream_holds_when_the_stream_has_gone_on() {
    let before = Streamed::new(4, false);
    let (told, archive) = before.export();
    assert_eq!(told.last.as_u16(), 3);
    let after = Streamed::new(9, true);
    assert_eq!(after.import(&archive).1.unwrap().root, told.root);
    // The other way round it tells of pushes that this chain has not.
    let (_, longer) = after.export();
    assert!(matches!(before.refused(&longer), ArchiveError::Ahead { last: 8, .. }));
}

#[test]
fn what_the_chain_does_not_say_is_refused() {
    let streamed = Streamed::new(4, true);
    let mut other = Streamed::new(4, true);
    // One segment of one chunk is another one; all else is the same and all blocks are there.
    let mut pushes = other.pushes();
    let stranger = Segment::new(other.put(b"stranger"), "9.967".parse().unwrap());
    let chunk = Chunk::encode(&[stranger, stranger]).unwrap();
    pushes[1].src = other.put(chunk.as_bytes());
    other.chain(pushes, true);
    let (_, archive) = other.export();
    // Either the chunk that the chain names is missing, or the folder is another one.
    assert!(matches!(streamed.refused(&archive), ArchiveError::Read(ReadError::Missing(_))));

    // The chain's own content is there, too, but the folder is not the chain's.
    let mut blocks = sections(&archive);
    let root = CarReader::new(&archive[..], LIMIT).unwrap().header().roots()[0];
    blocks.extend(sections(&streamed.export().1));
    let both = archive_of(root, &blocks);
    assert!(matches!(streamed.refused(&both), ArchiveError::NotTheChains { .. }));

    // A stream of another name.
    let mut renamed = Streamed::new(4, true);
    renamed.id = "hive/mallory/show".parse().unwrap();
    assert!(matches!(streamed.refused(&renamed.export().1), ArchiveError::Other { .. }));
}

#[test]
fn an_archive_without_any_one_block_is_refused_and_with_more_it_is_not_stored_with_them() {
    let streamed = Streamed::new(3, true);
    let (told, archive) = streamed.export();
    let blocks = sections(&archive);
    for left_out in 0..blocks.len() {
        let mut fewer = blocks.clone();
        fewer.remove(left_out);
        streamed.refused(&archive_of(told.root, &fewer));
    }
    let mut more = blocks.clone();
    let strange = MemoryStorage::default();
    let cid = strange.import_bytes(b"not of this stream").unwrap().cid;
    more.insert(0, (cid, strange.store().get(cid.hash()).unwrap().unwrap()));
    let (store, back) = streamed.import(&archive_of(told.root, &more));
    assert_eq!(back.unwrap().root, told.root);
    assert!(!store.store().has(cid.hash()).unwrap());
}

#[test]
fn an_archive_that_is_cut_or_changed_anywhere_is_refused() {
    let mut streamed = Streamed::new(1, true);
    let small = Segment::new(streamed.put(b"small"), "1".parse().unwrap());
    let chunk = Chunk::encode(&[small]).unwrap();
    let mut pushes = streamed.pushes();
    pushes[0].src = streamed.put(chunk.as_bytes());
    streamed.chain(pushes, true);
    let (_, archive) = streamed.export();
    for at in 0..archive.len() {
        streamed.refused(&archive[..at]);
        let mut changed = archive.clone();
        changed[at] ^= 0x10;
        streamed.refused(&changed);
    }
}

#[test]
fn a_push_that_is_no_chunk_is_left_out_and_told() {
    let mut streamed = Streamed::new(4, true);
    let mut pushes = streamed.pushes();
    pushes[1].src = streamed.put(b"this is no chunk");
    streamed.chain(pushes, true);
    let (told, archive) = streamed.export();
    assert_eq!(told.without, [Seq::new(1).unwrap()]);
    let (_, back) = streamed.import(&archive);
    assert_eq!(back.unwrap().without, told.without);
}

#[test]
fn what_is_not_in_the_store_is_told_and_not_left_out() {
    let streamed = Streamed::new(4, true);
    let empty = MemoryStorage::default();
    let error = export_stream(empty.store(), &streamed.id, &streamed.stream, Vec::new());
    assert!(matches!(error, Err(ArchiveError::Read(ReadError::Missing(_)))), "{error:?}");
}

#[test]
fn a_stream_without_pushes_and_a_file_without_a_stream_are_errors() {
    let streamed = Streamed::new(1, true);
    let configure = Configure::new("show".parse().unwrap());
    let nothing = Stream::create(&configure, 0, 1, Timestamp::EPOCH);
    let told = export_stream(streamed.store.store(), &streamed.id, &nothing, Vec::new());
    assert!(matches!(told, Err(ArchiveError::Empty)));
    let cid = streamed.store.import_bytes(b"a file").unwrap().cid;
    let mut file = Vec::new();
    alive_storage::car::export_car(streamed.store.store(), &[cid], &mut file).unwrap();
    assert!(matches!(streamed.refused(&file), ArchiveError::NoStream));
}

#[test]
fn transcoded_renditions_have_lists_of_their_own() {
    let mut streamed = Streamed::new(2, true);
    let mut pushes = streamed.pushes();
    let low = Segment::new(streamed.put(b"low"), "5".parse().unwrap());
    let chunk = streamed.put(Chunk::encode(&[low]).unwrap().as_bytes());
    pushes[0].renditions.insert(Quality::P240, chunk);
    streamed.chain(pushes, true);
    let (told, archive) = streamed.export();
    let (store, back) = streamed.import(&archive);
    assert_eq!(back.unwrap().segments, 4, "those of the source are counted");
    let low = store.resolve(&told.root, "240/segments/000/000000.ts").unwrap();
    assert_eq!(unixfs::read_file(store.store(), low, 100).unwrap(), "low");
    assert!(store.resolve(&told.root, "240.m3u8").is_ok());
}

impl Streamed {
    /// Pushes segments, each behind the section with this number.
    fn of_fragments(sections: &[Option<u32>]) -> Self {
        let mut streamed = Self::new(1, true);
        let pushed = (0..).zip(sections).map(|(at, section)| {
            let segment = Segment::new(streamed.put(&content(at, 3000)), "4".parse().unwrap());
            let mut renditions = Renditions::default();
            if let Some(section) = section {
                let section = streamed.put(&content(100 + section, 800));
                renditions.insert_section(Quality::Src, section);
            }
            let len = Some(segment.duration);
            Pushed { src: segment.content, len, discontinuity: false, renditions }
        });
        let pushed = pushed.collect();
        streamed.chain(pushed, true);
        streamed
    }

    /// Name of the section and of the file of each segment of the archive's list, and both as they lie there.
    fn played(&self, root: Cid, store: &MemoryStorage) -> Vec<(Option<String>, String)> {
        let list = store.resolve(&root, "src.m3u8").unwrap();
        let list = unixfs::read_file(store.store(), list, 1 << 20).unwrap();
        let list = MediaPlaylist::read(&list).unwrap();
        let read = |name: &str| {
            let cid = store.resolve(&root, name).unwrap();
            unixfs::read_file(store.store(), cid, 1 << 20).unwrap()
        };
        let of = |(at, segment): (u32, &alive_playlist::MediaSegment<'_>)| {
            let uri = segment.uri.as_str();
            assert!(read(uri) == content(at, 3000), "{uri}");
            let map = segment.map.as_ref().map(|map| map.uri.as_str().to_owned());
            if let Some(map) = &map {
                let pushed = &self.pushes()[at as usize];
                let section = pushed.section(Quality::Src).unwrap();
                let section = cid::of_content(section).unwrap();
                assert!(read(map) == unixfs::read_file(store.store(), section, 1 << 20).unwrap());
            }
            (map, uri.to_owned())
        };
        (0..).zip(list.segments()).map(of).collect()
    }
}

#[test]
fn sections_lie_in_the_archive_where_its_list_names_them() {
    let streamed = Streamed::of_fragments(&[None, Some(0), Some(0), Some(1), Some(0)]);
    let (told, archive) = streamed.export();
    let (store, back) = streamed.import(&archive);
    assert_eq!(back.unwrap().root, told.root);
    let map = |at: u32| Some(format!("src/maps/000/{at:06}.mp4"));
    let want = [(None, "ts"), (map(1), "m4s"), (map(1), "m4s"), (map(3), "m4s"), (map(4), "m4s")];
    let want: Vec<_> = (0_u32..)
        .zip(want)
        .map(|(at, (map, kind))| (map, format!("src/segments/000/{at:06}.{kind}")))
        .collect();
    assert_eq!(streamed.played(told.root, &store), want);
    let list = store.resolve(&told.root, "src.m3u8").unwrap();
    let list = unixfs::read_file(store.store(), list, 1 << 20).unwrap();
    let list = MediaPlaylist::read(&list).unwrap();
    assert_eq!(list.header().version, Some(7));
}

#[test]
fn an_archive_with_another_section_or_without_it_is_refused() {
    let streamed = Streamed::of_fragments(&[Some(0), Some(0)]);
    let (told, archive) = streamed.export();
    let blocks = sections(&archive);
    for left_out in 0..blocks.len() {
        let mut fewer = blocks.clone();
        fewer.remove(left_out);
        streamed.refused(&archive_of(told.root, &fewer));
    }
    // The chain names another section: of the archive everything but that is right.
    let mut other = Streamed::of_fragments(&[Some(1), Some(1)]);
    let (_, others) = other.export();
    assert!(matches!(streamed.refused(&others), ArchiveError::Read(ReadError::Missing(_))));
    other.store = streamed.store.clone();
    let mut both = sections(&others);
    both.extend(sections(&archive));
    let root = CarReader::new(&others[..], LIMIT).unwrap().header().roots()[0];
    let both = archive_of(root, &both);
    assert!(matches!(streamed.refused(&both), ArchiveError::NotTheChains { .. }));
    // One that is not in the store is told, and not left out.
    let empty = Streamed::new(1, true).store;
    let error = export_stream(empty.store(), &streamed.id, &streamed.stream, Vec::new());
    assert!(matches!(error, Err(ArchiveError::Read(ReadError::Missing(_)))), "{error:?}");
}

#[test]
fn mpeg_ts_behind_fragments_is_a_gap_of_the_archive() {
    let mut streamed = Streamed::of_fragments(&[Some(0), None, None, Some(0)]);
    let mut pushes = streamed.pushes();
    (pushes[1].discontinuity, pushes[3].discontinuity) = (true, true);
    streamed.chain(pushes, true);
    let (told, archive) = streamed.export();
    let (store, back) = streamed.import(&archive);
    assert_eq!((back.unwrap().segments, told.segments), (2, 2));
    let list = store.resolve(&told.root, "src.m3u8").unwrap();
    let list = unixfs::read_file(store.store(), list, 1 << 20).unwrap();
    let list = MediaPlaylist::read(&list).unwrap();
    assert_eq!(list.header().version, Some(8));
    let gaps: Vec<_> = list.segments().iter().map(|segment| segment.gap).collect();
    assert_eq!(gaps, [false, true, true, false]);
}
