//! What an archive of a stream must hold: [`Plan`], worked out from the chain's operations and the chunks.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use alive_core::{
    Chunk, ChunkContent, ContentId, Listed, Quality, Segment, Seq, Stream, StreamId, Timeline,
    Timestamp, timeline,
};
use alive_playlist::{
    Map, MediaDuration, MediaHeader, MediaPlaylist, MediaSegment, PlaylistType, Quoted, Uri,
};
use alive_storage::{
    Block, NewBlock,
    cid::{self, Cid},
    unixfs::{self, Entry, FileWalk, ImportOptions, Importer, ReadError, Step},
};

use super::{ArchiveError, FORMAT, MANIFEST, Manifest, folder::Folder};

/// Where the blocks of chunks and segments come from.
pub(super) struct Source<F> {
    block: F,
}

impl<F: FnMut(&Cid) -> Result<Option<Block>, ArchiveError>> Source<F> {
    pub(super) fn new(block: F) -> Self {
        Self { block }
    }

    fn block(&mut self, cid: &Cid) -> Result<Block, ArchiveError> {
        (self.block)(cid)?.ok_or_else(|| ReadError::Missing((*cid).into()).into())
    }

    /// A small file.
    pub(super) fn file(&mut self, cid: &Cid, limit: usize) -> Result<Vec<u8>, ArchiveError> {
        let mut walk = FileWalk::whole(*cid, limit as u64);
        let mut file = Vec::new();
        loop {
            match walk.poll()? {
                Step::Block(wanted) => walk.supply(&self.block(&wanted)?)?,
                Step::Data(bytes) => file.extend_from_slice(&bytes),
                _ => return Ok(file),
            }
        }
    }

    /// The chunk of a push, `None` if its content is no chunk of this stream.
    fn chunk(&mut self, id: &ContentId, stream: &Stream) -> Result<Option<Chunk>, ArchiveError> {
        let Some(cid) = cid::of_content(id) else { return Ok(None) };
        let bytes = match self.file(&cid, Chunk::MAX_BYTES) {
            Ok(bytes) => bytes,
            // Its blocks are here, and they make no file of this size: so it is for everybody.
            Err(ArchiveError::Read(why))
                if !matches!(why, ReadError::Missing(_) | ReadError::Store { .. }) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let chunk = Chunk::decode(&bytes).ok();
        Ok(chunk.filter(|chunk| chunk.fits(stream.info().settings.storage)))
    }

    /// The pushes up to `last` whose chunk, of any rendition, is none.
    pub(super) fn unreadable(
        &mut self,
        stream: &Stream,
        last: Seq,
    ) -> Result<BTreeSet<u16>, ArchiveError> {
        let mut unreadable = BTreeSet::new();
        for quality in qualities(stream) {
            for (seq, id) in chunks(stream, quality, last) {
                if self.chunk(&id, stream)?.is_none() {
                    unreadable.insert(seq.as_u16());
                }
            }
        }
        Ok(unreadable)
    }
}

/// All that an archive holds.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) root: Cid,
    /// Blocks that no store has: the folders, the playlists and the description.
    pub(super) made: Vec<(Cid, Block)>,
    /// Chunks and segments, in the order in which they play.
    pub(super) contents: Vec<Cid>,
    /// Segments of the source.
    pub(super) segments: usize,
}

impl Plan {
    /// Works it out. Equal operations and equal chunks give equal plans, whoever has them.
    pub(super) fn make<F: FnMut(&Cid) -> Result<Option<Block>, ArchiveError>>(
        id: &StreamId,
        stream: &Stream,
        last: Seq,
        without: &BTreeSet<u16>,
        source: &mut Source<F>,
    ) -> Result<Self, ArchiveError> {
        let closed = closed(stream, last, without);
        let (mut folder, mut made) = (Folder::default(), Made::default());
        let (mut contents, mut segments) = (Vec::new(), 0);
        for quality in qualities(&closed) {
            let mut known = HashMap::new();
            for (seq, chunk_id) in chunks(&closed, quality, last) {
                let cid = of_ipfs(&chunk_id, seq)?;
                let entry = entry(cid, source)?;
                folder.add(&format!("{quality}/chunks/{}.csv", numbered(seq.as_index())), entry);
                contents.push(cid);
                if let Some(chunk) = source.chunk(&chunk_id, &closed)? {
                    known.insert(chunk_id, Arc::new(chunk));
                }
            }
            let list = listed(&closed, quality, &known);
            let mut playlist = MediaPlaylist::new(header(&list));
            let mut map = None;
            for (at, Planned { segment, section, seq }) in list.iter().enumerate() {
                if let Some(section) = section {
                    map = Some(match map.filter(|(known, _): &(ContentId, _)| known == section) {
                        Some(known) => known,
                        None => {
                            let name = format!("{quality}/maps/{}.mp4", numbered(at));
                            let cid = of_ipfs(section, *seq)?;
                            folder.add(&name, entry(cid, source)?);
                            contents.push(cid);
                            let uri = Quoted::new(name);
                            let uri = uri.map_err(|why| ArchiveError::Playlist(why.into()))?;
                            (*section, Arc::new(Map::new(uri)))
                        }
                    });
                }
                let extension = if section.is_some() { "m4s" } else { "ts" };
                let name = format!("{quality}/segments/{}.{extension}", numbered(at));
                if !segment.flags.gap() {
                    let cid = of_ipfs(&segment.content, *seq)?;
                    let entry = entry(cid, source)?;
                    folder.add(&name, entry);
                    contents.push(cid);
                    segments += usize::from(quality == Quality::Src);
                }
                let mut item = in_list(segment, name)?;
                item.map = map.as_ref().map(|(_, map)| Arc::clone(map));
                playlist.push(item).map_err(|why| ArchiveError::Playlist(why.into()))?;
            }
            folder.add(&format!("{quality}.m3u8"), made.file(&playlist.to_bytes()));
        }
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            stream: id.clone(),
            last: last.as_u16(),
            without: without.clone(),
        };
        let text = serde_json::to_vec(&manifest).map_err(ArchiveError::Manifest)?;
        folder.add(MANIFEST, made.file(&text));
        let root = folder.finish(&mut |block| made.keep(block))?;
        // The root comes first, so that who reads the file as it comes knows what to expect.
        made.0.reverse();
        Ok(Self { root, made: made.0, contents, segments })
    }
}

/// Blocks that are made here.
#[derive(Debug, Default)]
struct Made(Vec<(Cid, Block)>);

impl Made {
    fn keep(&mut self, block: &NewBlock<'_>) {
        let kept = Block::check(*block.cid().hash(), block.to_bytes());
        self.0.extend(kept.map(|kept| (*block.cid(), kept)));
    }

    /// A file as `ipfs add` makes it.
    fn file(&mut self, bytes: &[u8]) -> Entry {
        let mut importer = Importer::new(ImportOptions::default());
        let mut sink = |block: &NewBlock<'_>| {
            self.keep(block);
            Ok::<(), std::convert::Infallible>(())
        };
        let Ok(()) = importer.push(bytes, &mut sink);
        let Ok(root) = importer.finish(&mut sink);
        Entry::new(root.cid, root.dag_size)
    }
}

/// The stream up to `last` as if it had ended there, without what cannot be read.
fn closed(stream: &Stream, last: Seq, without: &BTreeSet<u16>) -> Stream {
    let mut info = stream.info().clone();
    info.ended = true;
    info.head = Some(last);
    info.finalized = info.finalized.min(Some(last));
    let kept = stream
        .pushes()
        .filter(|(seq, _)| *seq <= last && !without.contains(&seq.as_u16()))
        .map(|(seq, pushed)| (seq, pushed.clone()));
    Stream::restore(info, kept)
}

/// The source, and then what it was transcoded to, smallest first.
fn qualities(stream: &Stream) -> BTreeSet<Quality> {
    timeline::renditions(stream).into_iter().chain([Quality::Src]).collect()
}

fn chunks(stream: &Stream, quality: Quality, last: Seq) -> Vec<(Seq, ContentId)> {
    timeline::chunk_ids(stream, quality).filter(|(seq, _)| *seq <= last).collect()
}

/// The segments as an ended list has them.
fn listed(
    stream: &Stream,
    quality: Quality,
    known: &HashMap<ContentId, Arc<Chunk>>,
) -> Vec<Planned> {
    let mut timeline = Timeline::new(quality, Duration::ZERO);
    let content = |id: &ContentId| match known.get(id) {
        Some(chunk) => ChunkContent::Ready(Arc::clone(chunk)),
        None => ChunkContent::Refused,
    };
    timeline.update(stream, content, Timestamp::EPOCH);
    let listed = timeline.listed().iter().zip(timeline.sections().since(0));
    let planned = |(listed, section): (&Listed, Option<&ContentId>)| Planned {
        segment: listed.segment,
        section: section.copied(),
        seq: listed.seq.unwrap_or(Seq::ZERO),
    };
    listed.map(planned).collect()
}

/// A segment of an archive.
struct Planned {
    segment: Segment,
    /// The initialisation section that it needs.
    section: Option<ContentId>,
    /// The push that it came with.
    seq: Seq,
}

fn of_ipfs(id: &ContentId, seq: Seq) -> Result<Cid, ArchiveError> {
    cid::of_content(id).ok_or(ArchiveError::Skynet { seq })
}

fn entry<F: FnMut(&Cid) -> Result<Option<Block>, ArchiveError>>(
    cid: Cid,
    source: &mut Source<F>,
) -> Result<Entry, ArchiveError> {
    let block = source.block(&cid)?;
    let size = unixfs::dag_size(&cid, &block);
    let size = size.map_err(|source| ArchiveError::Node { cid: cid.into(), source })?;
    Ok(Entry::new(cid, size))
}

/// `012/012345`: a thousand to a folder, so that no folder outgrows a block.
fn numbered(at: usize) -> String {
    format!("{:03}/{at:06}", at / 1000)
}

fn header(list: &[Planned]) -> MediaHeader {
    let longest =
        list.iter().map(|planned| planned.segment.duration.as_micros().div_ceil(1_000_000));
    let has_gap = list.iter().any(|planned| planned.segment.flags.gap());
    let has_section = list.iter().any(|planned| planned.section.is_some());
    MediaHeader {
        version: Some(if has_gap {
            8
        } else if has_section {
            7
        } else {
            3
        }),
        playlist_type: Some(PlaylistType::Vod),
        ended: true,
        ..MediaHeader::new(longest.max().unwrap_or(1).into())
    }
}

fn in_list(segment: &Segment, name: String) -> Result<MediaSegment<'static>, ArchiveError> {
    let micros = segment.duration.as_micros().into();
    let duration = MediaDuration::from_micros(micros);
    let duration = duration.map_err(|why| ArchiveError::Playlist(why.into()))?;
    let uri = Uri::new(name).map_err(|why| ArchiveError::Playlist(why.into()))?;
    let mut item = MediaSegment::new(uri, duration);
    item.discontinuity = segment.flags.discontinuity();
    item.gap = segment.flags.gap();
    Ok(item)
}
