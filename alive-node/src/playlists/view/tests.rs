use alive_core::{Chunk, Configure, Op};
use alive_playlist::MediaPlaylist;

use super::*;

fn stream(ops: &[String]) -> Stream {
    let mut stream = Stream::create(&Configure::new("s".parse().unwrap()), 0, 1, Timestamp::EPOCH);
    apply(&mut stream, ops);
    stream
}

fn apply(stream: &mut Stream, ops: &[String]) {
    for op in ops {
        match Op::from_json(op).unwrap() {
            Op::Push(push) => drop(stream.push(&push, Timestamp::EPOCH).unwrap()),
            Op::End(_) => stream.end(Timestamp::EPOCH),
            Op::Configure(configure) => stream.configure(&configure, Timestamp::EPOCH),
        }
    }
}

fn end() -> String {
    r#"{"op":1,"link":"s"}"#.to_owned()
}

fn content(n: u64) -> ContentId {
    let mut bytes = vec![1, 0x55, 0x12, 32];
    bytes.extend(n.to_be_bytes().repeat(4));
    alive_storage::cid::to_content(&alive_storage::cid::from_bytes(&bytes).unwrap()).unwrap()
}

fn push(seq: u64, id: ContentId, len: &str) -> String {
    format!(r#"{{"op":0,"link":"s","seq":{seq},"src":"{id}"{len}}}"#)
}

fn view(stream: Stream) -> View {
    View::new(Arc::new(stream), Quality::Src, Duration::ZERO, ListSettings::default())
}

fn update(view: &mut View) -> Option<Playlist> {
    view.update(&HashMap::new(), Timestamp::EPOCH)
}

#[test]
fn nothing_is_published_twice() {
    let mut view = view(stream(&[]));
    assert!(update(&mut view).is_some());
    assert_eq!(update(&mut view), None);
    view.offer_live(Segment::new(content(1), "4".parse().unwrap()));
    assert_eq!(update(&mut view).unwrap().segments, 1);
    assert_eq!(update(&mut view), None);
}

#[test]
fn the_target_duration_never_goes_down() {
    let mut view = view(stream(&[push(0, content(1), r#","len":4"#)]));
    view.offer_live(Segment::new(content(2), "33.5".parse().unwrap()));
    assert_eq!(update(&mut view).unwrap().target_seconds, 34);
    // The long segment never came to the chain.
    let mut ended = (*view.stream).clone();
    apply(&mut ended, &[end()]);
    view.set_stream(Arc::new(ended));
    let playlist = update(&mut view).unwrap();
    assert_eq!((playlist.segments, playlist.target_seconds), (1, 34));
    let list = MediaPlaylist::read(&playlist.bytes).unwrap();
    assert_eq!(list.header().target_duration, 34);
    let other = view.render(&"https://gw.example".parse().unwrap());
    assert_eq!(MediaPlaylist::read(&other).unwrap().header().target_duration, 34);
}

#[test]
fn an_end_that_is_undone_makes_the_list_live_again() {
    let live = stream(&[push(0, content(1), r#","len":4"#)]);
    let mut ended = live.clone();
    apply(&mut ended, &[end()]);
    let mut view = view(ended);
    assert!(update(&mut view).unwrap().ended);
    view.set_stream(Arc::new(live));
    let again = update(&mut view).unwrap();
    assert!(!again.ended);
    assert_eq!(again.segments, 1);
    let list = MediaPlaylist::read(&again.bytes).unwrap();
    assert_eq!((list.header().ended, list.segments().len()), (false, 1));
}

#[test]
fn only_chunks_that_are_not_taken_yet_are_needed() {
    let pushes: Vec<_> = (0..4).map(|n| push(n, content(n), "")).collect();
    let mut stream = stream(&pushes[0..2]);
    let mut view = view(stream.clone());
    let seqs = |view: &View| view.needed().map(|(seq, _)| seq.as_u16()).collect::<Vec<_>>();
    assert_eq!(seqs(&view), [0, 1]);
    let refused = (0..4).map(|n| (content(n).canonical(), ChunkContent::Refused)).collect();
    view.update(&refused, Timestamp::EPOCH);
    assert_eq!(seqs(&view), [0; 0]);
    apply(&mut stream, &pushes[3..4]);
    view.set_stream(Arc::new(stream.clone()));
    assert_eq!(seqs(&view), [0; 0], "nothing above a gap");
    apply(&mut stream, &pushes[2..3]);
    view.set_stream(Arc::new(stream.clone()));
    assert_eq!(seqs(&view), [2, 3]);
    apply(&mut stream, &[end()]);
    view.set_stream(Arc::new(stream));
    assert_eq!(seqs(&view), [0, 1, 2, 3], "an archive is made of all");
}

#[test]
fn no_list_grows_beyond_its_limit() {
    // In base32, so that 60 of them fit.
    let lines: Vec<_> = (0..60).map(|n| format!("{},1.0", content(n))).collect();
    let chunk: Arc<Chunk> = Arc::new(lines.join("\n").parse().unwrap());
    let (per_chunk, count) = (60, 4500);
    let mut ops: Vec<_> = (0..count).map(|n| push(n, content(1000 + n), "")).collect();
    ops.push(end());
    let mut view = view(stream(&ops));
    let ready = |n| (content(1000 + n).canonical(), ChunkContent::Ready(Arc::clone(&chunk)));
    let playlist = view.update(&(0..count).map(ready).collect(), Timestamp::EPOCH).unwrap();
    let fit = u64::try_from(View::MAX_SEGMENTS).unwrap() / per_chunk;
    assert_eq!(u64::try_from(playlist.passed).unwrap(), count - fit);
}

#[test]
fn the_streamers_gateway_is_used_for_what_this_node_cannot_have() {
    let mut configure = Configure::new("s".parse().unwrap());
    configure.gateway = Some("https://portal.example".parse().unwrap());
    let ipfs = Stream::create(&configure, 0, 1, Timestamp::EPOCH);
    assert_eq!(view(ipfs).settings.gateway, None);
    configure.storage = StorageKind::Skynet;
    let skynet = Stream::create(&configure, 0, 1, Timestamp::EPOCH);
    assert_eq!(view(skynet).settings.gateway, configure.gateway);
}
