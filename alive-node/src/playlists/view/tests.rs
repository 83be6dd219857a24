use alive_core::{Chunk, Configure, Op};
use alive_playlist::{ListEnd, MediaPlaylist};

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
    View::new(
        Network::hive(),
        Arc::new(stream),
        Quality::Src,
        Duration::ZERO,
        ListSettings::default(),
    )
}

fn update(view: &mut View) -> Option<Arc<Playlist>> {
    view.arrange(&HashMap::new(), Timestamp::EPOCH);
    view.publish()
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
    let list = MediaPlaylist::read(&playlist.text.bytes).unwrap();
    assert_eq!(list.header().target_duration, 34);
    let other = view.render(Portion::default(), Some(&"https://gw.example".parse().unwrap()));
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
    let list = MediaPlaylist::read(&again.text.bytes).unwrap();
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
    view.arrange(&refused, Timestamp::EPOCH);
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
    view.arrange(&(0..count).map(ready).collect(), Timestamp::EPOCH);
    let playlist = view.publish().unwrap();
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

const MISSING: Found = Found::Absent(crate::presence::Absence::Missing);

#[test]
fn an_archive_shows_gaps_in_place_and_heals() {
    let mut ops: Vec<_> = (0..3).map(|n| push(n, content(n), r#","len":4"#)).collect();
    ops.push(push(4, content(4), r#","len":4"#));
    ops.push(end());
    let mut view = view(stream(&ops)).checked();
    let whole = update(&mut view).unwrap();
    assert!(whole.unchecked);
    for (n, found) in [(0, Found::Here), (1, MISSING), (2, Found::Here), (4, MISSING)] {
        assert!(view.settle(&content(n), found));
    }
    let lacking = view.publish().unwrap();
    assert_eq!((lacking.missing, lacking.unchecked, lacking.segments), (2, false, 4));
    assert_ne!(lacking.text.etag, whole.text.etag);
    let text = std::str::from_utf8(&lacking.text.bytes).unwrap();
    let without = text.replace("#EXT-X-GAP\n", "").replace("VERSION:8", "VERSION:3");
    assert_eq!(without.as_bytes(), &whole.text.bytes, "nothing else changes");
    let list = MediaPlaylist::read(&lacking.text.bytes).unwrap();
    assert_eq!(list.header().version, Some(8));
    let flags: Vec<_> = list.segments().iter().map(|s| (s.gap, s.discontinuity)).collect();
    assert_eq!(flags, [(false, false), (true, false), (false, false), (true, true)]);
    let other = view.render(Portion::default(), Some(&"https://gw.example".parse().unwrap()));
    let other = MediaPlaylist::read(&other).unwrap();
    assert!(other.segments().iter().all(|segment| !segment.gap), "others may have them");

    assert!(view.settle(&content(1), Found::Here) && view.settle(&content(4), Found::Here));
    let healed = view.publish().unwrap();
    assert_eq!(
        (&healed.text.bytes, &healed.text.etag, healed.missing),
        (&whole.text.bytes, &whole.text.etag, 0)
    );
}

#[test]
fn a_live_list_only_tells_what_is_missing_until_it_ends() {
    let mut stream = stream(&[push(0, content(0), r#","len":4"#)]);
    let mut view = view(stream.clone()).checked();
    let before = update(&mut view).unwrap();
    view.settle(&content(0), MISSING);
    let after = view.publish().unwrap();
    assert_eq!(
        (&after.text.bytes, &after.text.etag, after.missing),
        (&before.text.bytes, &before.text.etag, 1)
    );
    apply(&mut stream, &[push(1, content(1), r#","len":4"#), end()]);
    view.set_stream(Arc::new(stream));
    let archive = update(&mut view).unwrap();
    let list = MediaPlaylist::read(&archive.text.bytes).unwrap();
    let gaps: Vec<_> = list.segments().iter().map(|segment| segment.gap).collect();
    assert_eq!(gaps, [true, false]);
}

#[test]
fn segments_from_elsewhere_are_not_looked_for() {
    let settings = ListSettings::default().gateway("https://gw.example".parse().unwrap());
    let stream = stream(&[push(0, content(0), r#","len":4"#), end()]);
    let view = View::new(Network::hive(), Arc::new(stream), Quality::Src, Duration::ZERO, settings)
        .checked();
    assert!(!view.looks());
}

#[test]
fn a_stream_on_two_networks_is_one_list_and_each_is_asked_for_its_own_chunks() {
    let segments: Vec<_> = (1..6).map(|n| Segment::new(content(n), "4".parse().unwrap())).collect();
    let chunk = |range: std::ops::Range<usize>| {
        let chunk: Chunk = Chunk::encode(&segments[range]).unwrap().parse().unwrap();
        ChunkContent::Ready(Arc::new(chunk))
    };
    let mut view = view(stream(&[push(0, content(90), "")]));
    let twin: StreamId = "avalon/alice/s".parse().unwrap();
    let avalon = stream(&[push(0, content(91), ""), push(1, content(5), r#","len":4"#)]);
    view.set_twins(vec![(twin.clone(), Arc::new(avalon.clone()))]);
    let needed: Vec<_> = view.needed().map(|(seq, id)| (seq.as_u16(), id)).collect();
    assert_eq!(needed, [(0, content(90)), (0, content(91))]);
    // Hive's chunk cannot be had yet.
    let mut known = HashMap::from([(content(91), chunk(0..3))]);
    view.arrange(&known, Timestamp::EPOCH);
    assert_eq!(view.publish().unwrap().segments, 4);
    assert_eq!(view.needed().map(|(_, id)| id).collect::<Vec<_>>(), []);
    known.insert(content(90), chunk(1..4));
    let mut ended = avalon.clone();
    apply(&mut ended, &[end()]);
    view.set_twins(vec![(twin, Arc::new(ended))]);
    assert!(view.ended(), "one chain is enough");
    view.arrange(&known, Timestamp::EPOCH);
    let playlist = view.publish().unwrap();
    assert_eq!((playlist.ended, playlist.segments), (true, 5));
    assert_eq!(view.timeline.contradictions(), 0);
    // The end is undone.
    view.set_twins(vec![("avalon/alice/s".parse().unwrap(), Arc::new(avalon))]);
    let hive = Arc::clone(&view.stream);
    view.set_stream(hive);
    assert_eq!(view.needed().count(), 2, "both begin anew");
    view.arrange(&known, Timestamp::EPOCH);
    assert_eq!(
        view.publish().map(|playlist| (playlist.ended, playlist.segments)),
        Some((false, 5))
    );
}

/// A part of the segment behind that of `content(after)`, half a second long.
fn part(number: u64, after: u64, index: u8) -> LivePart {
    LivePart {
        number,
        index,
        after: content(after),
        duration: "0.5".parse().unwrap(),
        content: content(1000 * number + u64::from(index)),
        quality: Quality::Src,
        section: None,
        independent: index == 0,
        at: Timestamp::EPOCH,
    }
}

/// How many parts a list shows of each segment, the open one last.
fn part_counts(text: &[u8]) -> Vec<usize> {
    let list = MediaPlaylist::read(text).unwrap();
    let whole = list.segments().iter().map(|segment| segment.parts.len());
    whole.chain([list.open().map_or(0, |open| open.parts.len())]).collect()
}

fn live(view: &mut View, n: u64, length: &str) {
    view.offer_live(Segment::new(content(n), length.parse().unwrap()));
}

#[test]
fn parts_are_shown_behind_the_segment_that_they_follow_and_nowhere_else() {
    let mut view = view(stream(&[]));
    view.offer_part(&part(1, 1, 0));
    assert_eq!(part_counts(&update(&mut view).unwrap().text.bytes), [0], "nothing is listed");
    live(&mut view, 1, "2");
    let playlist = update(&mut view).unwrap();
    assert_eq!(part_counts(&playlist.text.bytes), [0, 1]);
    assert_eq!((playlist.segments, playlist.end.open_parts), (1, 1));
    // Doubled, out of order, behind something else: nothing changes.
    for useless in [part(1, 1, 0), part(1, 1, 2), part(9, 8, 0), part(0, 0, 0)] {
        view.offer_part(&useless);
        assert_eq!(update(&mut view), None, "{useless:?}");
    }
    view.offer_part(&part(1, 1, 1));
    let playlist = update(&mut view).unwrap();
    assert_eq!(part_counts(&playlist.text.bytes), [0, 3], "the third waited for the second");
    live(&mut view, 2, "1.5");
    let playlist = update(&mut view).unwrap();
    assert_eq!(part_counts(&playlist.text.bytes), [0, 3, 0]);
    assert_eq!((playlist.end.last_parts, playlist.end.open_parts), (3, 0));
    view.offer_part(&part(1, 1, 3));
    assert_eq!(update(&mut view), None, "it comes too late");
    // Segments and parts that come at once are told apart.
    view.offer_part(&part(2, 2, 0));
    live(&mut view, 3, "0.5");
    view.offer_part(&part(3, 3, 0));
    let playlist = update(&mut view).unwrap();
    assert_eq!(part_counts(&playlist.text.bytes), [0, 3, 1, 1]);
    let delta = view.render(Portion::default().skip(true), None);
    assert_eq!(part_counts(&delta), [0, 3, 1, 1]);
}

#[test]
fn parts_are_shown_to_who_asks_for_another_gateway_or_a_window() {
    let mut view = view(stream(&[]));
    for n in 0..30 {
        live(&mut view, n, "10");
    }
    view.offer_part(&part(30, 29, 0));
    update(&mut view).unwrap();
    let gateway = "https://gw.example".parse().unwrap();
    let far = String::from_utf8(view.render(Portion::default(), Some(&gateway))).unwrap();
    assert!(far.contains(&format!(
        "URI=\"https://gw.example/ipfs/{}?filename=30.0.ts\"",
        content(30_000)
    )));
    let window = Portion::default().window("60".parse().unwrap());
    for gateway in [None, Some(&gateway)] {
        assert_eq!(part_counts(&view.render(window, gateway)).last(), Some(&1));
    }
    // A segment that is not published yet is in neither.
    live(&mut view, 30, "10");
    view.arrange(&HashMap::new(), Timestamp::EPOCH);
    let far = view.render(Portion::default(), Some(&gateway));
    assert_eq!((part_counts(&far).len(), part_counts(&far).last()), (31, Some(&1)));
}

#[test]
fn another_run_of_the_recorder_takes_the_place_of_the_first_one_s_parts() {
    let mut view = view(stream(&[]));
    live(&mut view, 1, "2");
    view.offer_part(&part(7, 1, 0));
    let first = update(&mut view).unwrap();
    view.offer_part(&part(0, 1, 0));
    let second = update(&mut view).unwrap();
    assert_eq!(first.end, second.end);
    let text = std::str::from_utf8(&second.text.bytes).unwrap();
    assert!(text.contains(content(0).as_str()) && !text.contains(content(7000).as_str()), "{text}");
    assert!(second.differs_in_parts_only(&first));
}

#[test]
fn an_archive_has_no_parts_and_an_end_that_is_undone_brings_none_back() {
    let live_stream = stream(&[push(0, content(1), r#","len":2"#)]);
    let mut ended = live_stream.clone();
    apply(&mut ended, &[end()]);
    let mut view = view(live_stream.clone());
    view.offer_part(&part(1, 1, 0));
    assert_eq!(part_counts(&update(&mut view).unwrap().text.bytes), [0, 1]);
    view.set_stream(Arc::new(ended));
    let archive = update(&mut view).unwrap();
    assert_eq!((part_counts(&archive.text.bytes), archive.end), (vec![0, 0], ListEnd::from(1)));
    view.set_stream(Arc::new(live_stream));
    let again = update(&mut view).unwrap();
    assert_eq!((again.ended, part_counts(&again.text.bytes)), (false, vec![0, 0]));
}

#[test]
fn a_list_that_had_parts_is_in_the_end_the_one_that_never_had_any() {
    let [mut with, mut without] = [(); 2].map(|()| view(stream(&[])));
    for n in 1..10 {
        for view in [&mut with, &mut without] {
            live(view, n, "10");
        }
        with.offer_part(&part(n, if n == 1 { n } else { 90 + n }, 0));
        update(&mut with).unwrap();
    }
    let (with, without) = (update(&mut with), update(&mut without).unwrap());
    assert_eq!(with, None);
    assert_eq!(part_counts(&without.text.bytes).iter().sum::<usize>(), 0);
}

#[test]
fn lists_tell_how_far_those_of_the_other_qualities_are() {
    let push = |seq: u64| {
        let (src, low) = (content(seq), content(50 + seq));
        format!(r#"{{"op":0,"link":"s","seq":{seq},"len":2,"src":"{src}","240":"{low}"}}"#)
    };
    let mut view = view(stream(&[push(0)]));
    assert!(!String::from_utf8_lossy(&update(&mut view).unwrap().text.bytes).contains("REPORT"));
    view.offer_part(&part(1, 0, 0));
    let text = update(&mut view).unwrap().text.bytes.clone();
    let report = |text: &[u8]| {
        let text = std::str::from_utf8(text).unwrap();
        text.lines().last().unwrap().to_owned()
    };
    assert_eq!(report(&text), "#EXT-X-RENDITION-REPORT:URI=\"?quality=240\",LAST-MSN=0");
    for index in [0, 1] {
        view.offer_part(&LivePart { quality: Quality::P240, ..part(1, 0, index) });
    }
    view.offer_part(&part(1, 0, 1));
    let text = update(&mut view).unwrap().text.bytes.clone();
    assert_eq!(
        report(&text),
        "#EXT-X-RENDITION-REPORT:URI=\"?quality=240\",LAST-MSN=1,LAST-PART=1"
    );
    let far = view.render(Portion::default(), Some(&"https://gw.example".parse().unwrap()));
    let want = "#EXT-X-RENDITION-REPORT:URI=\"?quality=240&gw=https%3A%2F%2Fgw%2Eexample\",LAST-MSN=1,LAST-PART=1";
    assert_eq!(report(&far), want);
}

#[test]
fn content_of_another_storage_is_no_part() {
    let mut view = view(stream(&[push(0, content(1), r#","len":2"#)]));
    let skylink = "AACogzrAimYPG42tDOKhS3lXZD8YvlF8Q8R17afe95iV2Q".parse().unwrap();
    view.offer_part(&LivePart { content: skylink, ..part(1, 1, 0) });
    assert_eq!(part_counts(&update(&mut view).unwrap().text.bytes), [0, 0]);
}
