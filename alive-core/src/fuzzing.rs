//! Bodies of the fuzz targets, one per parser and one for the state machine. Not part of the API.
//!
//! Each takes any bytes and panics when a promise is broken; the tests below call them with made-up bytes, a coverage
//! guided fuzzer with better ones.
#![expect(clippy::panic, reason = "a broken promise is a panic, which is what a fuzzer looks for")]

mod model;
mod tape;

pub(crate) use tape::Tape;

use std::collections::HashSet;

use cid::Cid;
use multihash::Multihash;

use crate::{
    backend::{Block, RefusedOp},
    chunk::{Chunk, ChunkError},
    content::{CODEC_RAW, ContentId, HASH_SHA2_256, StorageKind},
    index::{Applied, BlockChanges, Change, Index},
    merged::MergedList,
    op::{DEFAULT_CUSTOM_JSON_ID, Op, SignedOp},
    segment::{Segment, SegmentDuration, SegmentDurationError},
    timeline::Listed,
};

use model::Model;

/// What is read as an operation is written as one that reads the same, and the way through an envelope changes nothing.
///
/// # Panics
/// It is not so.
pub fn op_json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(SignedOp::from_operation_json(text, DEFAULT_CUSTOM_JSON_ID));
    let read = Op::from_json(text);
    let body = serde_json::json!({
        "type": "custom_json_operation",
        "value": {
            "id": DEFAULT_CUSTOM_JSON_ID,
            "required_auths": [],
            "required_posting_auths": ["alice"],
            "json": text,
        },
    });
    let signed = SignedOp::from_operation_json(&body.to_string(), DEFAULT_CUSTOM_JSON_ID);
    match (read, signed) {
        (Ok(op), Ok(signed)) => {
            let written = op.to_json();
            assert_eq!(Op::from_json(&written).as_ref(), Ok(&op), "{written}");
            assert_eq!(signed.op, op);
        }
        (Err(why), Err(also)) => assert_eq!(why, also),
        (read, signed) => panic!("plain: {read:?}, in an envelope: {signed:?}"),
    }
}

/// What is read as a chunk is written as one with the same segments, their lengths rounded to milliseconds.
///
/// # Panics
/// It is not so.
pub fn chunk_csv(data: &[u8]) {
    let Ok(chunk) = Chunk::decode(data) else { return };
    assert!(data.len() <= Chunk::MAX_BYTES && !chunk.segments().is_empty());
    let rounded = chunk
        .segments()
        .iter()
        .map(|segment| {
            Ok(Segment { duration: segment.duration.to_millis_precision()?, ..*segment })
        })
        .collect::<Result<Vec<_>, SegmentDurationError>>();
    match (Chunk::encode(chunk.segments()), rounded) {
        (Ok(csv), Ok(rounded)) => {
            let again = Chunk::decode(csv.as_bytes());
            assert_eq!(again.as_ref().map(Chunk::segments), Ok(&rounded[..]));
            assert_eq!(Chunk::encode(&rounded), Ok(csv));
        }
        (Err(ChunkError::TooLarge(len)), _) => assert!(len > Chunk::MAX_BYTES),
        (Err(ChunkError::Length { .. }), Err(_)) => {}
        (written, rounded) => panic!("{written:?} of {rounded:?}"),
    }
}

/// What is read as a content id is written the same, and its canonical form names the same content.
///
/// # Panics
/// It is not so.
pub fn content_id(data: &[u8]) {
    if let Ok(cid) = Cid::try_from(data)
        && let Ok(id) = ContentId::from_cid(&cid)
    {
        assert_eq!(id.to_cid(), Some(cid));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(id) = text.parse::<ContentId>() else { return };
    assert_eq!(id.as_str(), text);
    assert_eq!(serde_json::to_string(&id).ok(), Some(format!("\"{text}\"")));
    let canonical = id.canonical();
    assert_eq!(canonical.canonical(), canonical);
    assert_eq!(canonical.kind(), id.kind());
    match id.kind() {
        StorageKind::Ipfs => {
            let (cid, same) = (id.to_cid(), canonical.to_cid());
            assert!(cid.is_some() && id.to_skylink_bytes().is_none());
            assert_eq!(cid.map(|cid| cid.codec()), same.map(|cid| cid.codec()));
            assert_eq!(cid.map(|cid| *cid.hash()), same.map(|cid| *cid.hash()));
        }
        StorageKind::Skynet => {
            assert!(id.to_cid().is_none());
            let raw = id.to_skylink_bytes().unwrap_or([0; 34]);
            assert_eq!(data_encoding::BASE64URL_NOPAD.encode(&raw), text);
        }
    }
}

/// The index of streams decides like the slow model, over blocks that are applied, undone and applied again, and its
/// changes survive being written down.
///
/// # Panics
/// It is not so.
pub fn state_machine(data: &[u8]) {
    let mut tape = Tape::new(data);
    let mut index = Index::default();
    let mut model = Model::default();
    let mut before: Vec<(Block, Model, Applied)> = Vec::new();
    while let Some(step) = tape.byte() {
        match step {
            0..200 => {
                let block = tape.block(index.last());
                let earlier = model.clone();
                let applied = apply(&mut index, &mut model, &block);
                before.push((block, earlier, applied));
            }
            200..240 => {
                let Some((_, earlier, applied)) = before.pop() else { continue };
                undo(&mut index, &applied.changes);
                model = earlier;
            }
            240..250 => {
                let Some((block, earlier, applied)) = before.pop() else { continue };
                undo(&mut index, &applied.changes);
                model = earlier.clone();
                let again = apply(&mut index, &mut model, &block);
                assert_eq!(again, applied, "the same block does the same again");
                before.push((block, earlier, applied));
            }
            250.. => {
                index.finalize(index.last().map_or(0, |last| last.num));
                assert_eq!(index.undo_block(), None);
                before.clear();
            }
        }
        model.agrees_with(&index);
    }
}

fn apply(index: &mut Index, model: &mut Model, block: &Block) -> Applied {
    let mut want = Vec::new();
    for op in &block.ops {
        match op {
            Ok(signed) => want.push(model.apply(signed, block.time)),
            Err(RefusedOp { account, .. }) => account.iter().for_each(|name| model.meet(name)),
        }
    }
    let applied = match index.apply_block(block) {
        Ok(applied) => applied,
        Err(why) => panic!("{why}"),
    };
    let got: Vec<_> = applied.refusals.iter().map(Option::is_none).collect();
    assert_eq!(got, want, "accepted or refused as the model says");
    let written = serde_json::to_string(&applied.changes).unwrap_or_default();
    let read: Option<BlockChanges> = serde_json::from_str(&written).ok();
    assert_eq!(read.as_ref(), Some(&applied.changes), "{written}");
    applied
}

fn undo(index: &mut Index, changes: &BlockChanges) {
    let undone = index.undo_block();
    assert_eq!(undone.as_ref().map(|undone| &undone.at), Some(&changes.at));
    let mut inverse = undone.map(|undone| undone.changes).unwrap_or_default();
    inverse.reverse();
    let inverse: Vec<_> = inverse.into_iter().map(Change::inverse).collect();
    assert_eq!(inverse, changes.changes, "undoing is the inverse, last change first");
}

/// The lists of three chains, in whatever order each tells segments, make one list that only grows, holds each segment
/// once, and tells where each chain has it.
///
/// # Panics
/// It is not so.
pub fn merged_lists(data: &[u8]) {
    let mut merged = MergedList::default();
    let mut lists: [Vec<Listed>; 3] = Default::default();
    let mut before = Vec::new();
    for &byte in data.iter().chain(&[u8::MAX]) {
        if byte < 240 {
            if let Some(list) = lists.get_mut(usize::from(byte % 3)) {
                list.extend(told(byte / 3));
            }
            continue;
        }
        merged.extend(&lists.each_ref().map(|list| &**list));
        let now: Vec<Segment> = merged.listed().iter().map(|listed| listed.segment).collect();
        assert!(now.starts_with(&before), "it only grows");
        before = now;
        agrees(&merged, &lists);
    }
}

fn agrees(merged: &MergedList, lists: &[Vec<Listed>]) {
    let contents = |list: &[Listed]| -> Vec<_> {
        list.iter().map(|listed| listed.segment.content.canonical()).collect()
    };
    let listed = contents(merged.listed());
    let unique: HashSet<_> = listed.iter().collect();
    assert_eq!(unique.len(), listed.len(), "each once");
    for (chain, list) in lists.iter().enumerate() {
        let told = contents(list);
        let all = told.iter().all(|content| unique.contains(content));
        assert!(all || merged.held() > 0, "what is not listed is held back");
        for (place, content) in listed.iter().enumerate() {
            let at = merged.place_in(chain, place);
            assert!(at.is_none_or(|at| told.get(at) == Some(content)));
            let first = told.iter().position(|known| known == content);
            // What was held back and then came from a chain of another order is not looked for again.
            assert!(at == first || merged.held() > 0, "it tells where it stands first");
        }
    }
}

fn told(number: u8) -> Option<Listed> {
    let hash = Multihash::wrap(HASH_SHA2_256, &[number; 32]).ok()?;
    let content = ContentId::from_cid(&Cid::new_v1(CODEC_RAW, hash)).ok()?;
    let duration = SegmentDuration::from_micros(10_000_000).ok()?;
    Some(Listed { segment: Segment::new(content, duration), seq: None })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CID: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

    /// Texts near to what is accepted: a good one with some characters replaced, doubled or removed.
    fn near(good: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
        let edits =
            proptest::collection::vec((any::<prop::sample::Index>(), 0..3, any::<u8>()), 0..4);
        (prop::sample::select(good), edits).prop_map(|(text, edits)| {
            let mut bytes = text.into_bytes();
            for (at, edit, byte) in edits {
                let at = at.index(bytes.len());
                match edit {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, bytes[at]),
                    _ if bytes.len() > 1 => drop(bytes.remove(at)),
                    _ => {}
                }
            }
            bytes
        })
    }

    fn ids() -> Vec<String> {
        let base32 = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq";
        let v1 = base32.parse::<ContentId>().unwrap().to_cid().unwrap();
        let base58 = format!("z{}", bs58::encode(v1.to_bytes()).into_string());
        let skylink = "AAABBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA";
        vec![CID.into(), base32.into(), base58, skylink.into()]
    }

    #[test]
    fn the_texts_to_start_from_are_accepted() {
        assert!(ids().iter().all(|id| id.parse::<ContentId>().is_ok()));
        assert!(ops().iter().all(|op| Op::from_json(op).is_ok()));
        assert!(chunks().iter().all(|csv| csv.parse::<Chunk>().is_ok()));
    }

    fn ops() -> Vec<String> {
        let push = format!(
            r#"{{"op":0,"link":"s","seq":10,"src":"{CID}","len":1.5e1,"d":1,"240":"{CID}"}}"#
        );
        let configure = r#"{"op":2,"link":"s","storage":" IPFS ","l2":"gundb","pub":"a.b","gw":"http://x","also":"n/a/s"}"#;
        vec![push, configure.into(), r#" {"op":1.0,"link":"a-b_C","x":[{"op":2}]} "#.into()]
    }

    fn chunks() -> Vec<String> {
        let lines =
            [format!("{CID},10.0334567,gd"), format!("{CID},4"), format!("{CID},0.0004999")];
        let long = format!("{CID},1\n").repeat(85);
        vec![lines[..2].join("\n"), lines.join("\r\n"), long]
    }

    proptest! {
        #[test]
        fn any_operation(data in near(ops())) {
            op_json(&data);
        }

        #[test]
        fn any_chunk(data in near(chunks())) {
            chunk_csv(&data);
        }

        #[test]
        fn any_content_id(data in near(ids())) {
            content_id(&data);
        }

        #[test]
        fn any_bytes(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            op_json(&data);
            chunk_csv(&data);
            content_id(&data);
        }

        #[test]
        fn any_binary_cid(digest in any::<[u8; 32]>(), codec in any::<u16>(), hash in 0..0x40_u64) {
            let hash = Multihash::wrap(hash, &digest).unwrap();
            content_id(&Cid::new_v1(codec.into(), hash).to_bytes());
        }

        #[test]
        fn any_lists_of_three_chains(data in proptest::collection::vec(any::<u8>(), 0..120)) {
            merged_lists(&data);
        }

        #[test]
        fn any_history(data in proptest::collection::vec(any::<u8>(), 0..4000)) {
            state_machine(&data);
        }
    }
}
