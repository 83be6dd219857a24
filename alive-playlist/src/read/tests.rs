//! One accepted or refused behaviour a test; the golden vectors cover the rest.

use rstest::rstest;

use super::*;
use crate::model::{ByteRange, ServerControl};

const HEAD: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n";

fn media(text: &str) -> MediaPlaylist<'_> {
    MediaPlaylist::read(text.as_bytes()).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn refusal(text: &str) -> ReadError {
    match Playlist::read(text.as_bytes()) {
        Err(error) => error,
        Ok(list) => panic!("accepted: {text}\nas: {list}"),
    }
}

#[rstest]
#[case("#EXTM3U  \r\n#EXT-X-TARGETDURATION:10\r\n")]
#[case("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTM3U\n")]
#[case("#EXTM3U\n   \n\n#EXT-X-TARGETDURATION:10\n#EXT-X-ENDLISTX\n#EXTX\n#comment\n")]
#[case("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-BYTERANGE:7\n#EXTINF:10,\n")]
#[case("#EXTM3U\n#EXT-X-DATERANGE:broken,list\n#EXT-X-START:\n#EXT-X-TARGETDURATION:10\r")]
fn lists_without_segments_are_read(#[case] text: &str) {
    let list = media(text);
    assert!(list.segments().is_empty() && !list.header().ended);
}

#[test]
fn tags_in_front_of_a_uri_belong_to_it_in_any_order_and_the_last_counts() {
    let text = format!(
        "{HEAD}#EXTINF:1,old\n#EXT-X-GAP\n#EXT-X-BYTERANGE:1@1\n#EXTINF:2\n#EXT-X-BYTERANGE:5@7\n#EXT-X-DISCONTINUITY\n \
         spaced #1.ts \n#EXTINF:3,\nb\n"
    );
    let list = media(&text);
    let [first, second] = list.segments() else { panic!("{list}") };
    assert_eq!(first.uri.as_str(), " spaced #1.ts ");
    assert!(first.title.is_none() && first.gap && first.discontinuity);
    assert_eq!(first.byte_range, ByteRange::new(7, 5));
    assert_eq!(first.duration.as_micros(), 2_000_000);
    assert!(!second.gap && !second.discontinuity && second.byte_range.is_none());
}

#[test]
fn segments_behind_the_end_count() {
    let text = format!("{HEAD}#EXT-X-ENDLIST\n#EXTINF:1,\na\n");
    let list = media(&text);
    assert!(list.header().ended);
    assert_eq!(list.segments().len(), 1);
}

#[test]
fn what_is_not_understood_of_type_and_date_is_none() {
    let text = format!(
        "{HEAD}#EXT-X-PLAYLIST-TYPE:event\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z\n\
         #EXT-X-PROGRAM-DATE-TIME:yesterday\n#EXTINF:1,\na\n"
    );
    let list = media(&text);
    assert_eq!(list.header().playlist_type, None);
    assert_eq!(list.segments()[0].program_date_time, None);
}

#[test]
fn the_last_number_may_be_the_largest() {
    let head = format!("{HEAD}#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n");
    let one = format!("{head}#EXTINF:1,\na\n");
    assert_eq!(media(&one).header().media_sequence, u64::MAX);
    assert_eq!(refusal(&format!("{one}#EXTINF:1,\nb\n")).problem(), &Problem::SequenceEnd);
}

#[test]
fn a_line_may_be_as_long_as_the_limit() {
    let line = "x".repeat(MAX_LINE_BYTES);
    assert_eq!(media(&format!("{HEAD}#EXTINF:1,\n{line}\n")).segments().len(), 1);
    let error = refusal(&format!("{HEAD}#EXTINF:1,\n{line}x\n"));
    assert_eq!((error.line(), error.problem()), (4, &Problem::LineLength));
}

#[test]
fn a_list_may_have_as_many_segments_as_the_limit() {
    let full = HEAD.to_owned() + &"#EXTINF:1,\na\n".repeat(MediaPlaylist::MAX_SEGMENTS);
    assert_eq!(media(&full).segments().len(), MediaPlaylist::MAX_SEGMENTS);
    assert_eq!(refusal(&(full + "#EXTINF:1,\na\n")).problem(), &Problem::Segments);
}

#[test]
fn a_list_over_the_size_limit_is_refused_unread() {
    let bytes = vec![b'x'; MAX_LIST_BYTES + 1];
    let error = Playlist::read(&bytes).unwrap_err();
    assert_eq!(error.problem(), &Problem::FileSize(MAX_LIST_BYTES + 1));
}

#[rstest]
#[case(b"\xef\xbb\xbf#EXTM3U\n", 1)]
#[case(b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n\xff\n", 3)]
#[case(b"#EXTM3U\n\n#a\tb\n", 3)]
#[case(b"#EXTM3U\n#\xc2\x85\n", 2)]
#[case(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\r0\n", 2)]
#[case(b"#EXTM3U\r\r\n", 1)]
fn bad_bytes_are_reported_with_their_line(#[case] bytes: &[u8], #[case] line: usize) {
    assert_eq!(Playlist::read(bytes).unwrap_err().line(), line);
}

#[rstest]
#[case("#EXTINF:1,\na\n", 2, "R4")]
#[case("a\n", 1, "R5")]
#[case("#EXT-X-STREAM-INF:BANDWIDTH=1\na\nb\n", 3, "R5")]
#[case("#EXTINF\na\n", 1, "R6")]
#[case("#EXTINF: 1,\na\n", 1, "R6")]
#[case("#EXT-X-VERSION:\n", 1, "R7")]
#[case("#EXT-X-TARGETDURATION: 10\n", 1, "R7")]
#[case("#EXT-X-MEDIA-SEQUENCE:+1\n", 1, "R7")]
#[case("#EXT-X-BYTERANGE:1@\n", 1, "R7")]
#[case("#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=1x\na\n", 1, "R7")]
#[case("#EXT-X-TARGETDURATION:1\n#EXT-X-DISCONTINUITY\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n", 3, "R8")]
#[case("#EXTINF:1,\na\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n", 3, "R8")]
#[case("#EXT-X-PLAYLIST-TYPE:x\n#EXT-X-PLAYLIST-TYPE:VOD\n", 2, "R9")]
#[case("#EXT-X-TARGETDURATION:1\n#EXT-X-TARGETDURATION:1\n", 2, "R9")]
#[case("#EXT-X-MEDIA:TYPE=AUDIO\n#EXT-X-GAP\n", 2, "R10")]
#[case("#EXT-X-BITRATE:1\n#EXT-X-SESSION-KEY:\n", 2, "R10")]
#[case("#EXT-X-STREAM-INF:BANDWIDTH=1\n#EXT-X-STREAM-INF:BANDWIDTH=1\na\n", 2, "R11")]
#[case("#EXT-X-STREAM-INF:BANDWIDTH=1\n#x\n", 2, "R11")]
#[case("#EXT-X-STREAM-INF\na\n", 1, "R11")]
#[case("#EXT-X-MAP:URI=init.mp4\n", 1, "R12")]
#[case("#EXT-X-MAP\n", 1, "R12")]
#[case("#EXT-X-MAP:URI=\"a\",X=1,X=2\n", 1, "R12")]
#[case("#EXT-X-KEY:URI=\"k\"\n", 1, "R12")]
#[case("#EXT-X-KEY:METHOD=AES-128\n", 1, "R12")]
#[case("#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=avc1\na\n", 1, "R12")]
#[case("#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=640\na\n", 1, "R12")]
#[case("#EXT-X-STREAM-INF:BANDWIDTH=1,FRAME-RATE=30.\na\n", 1, "R12")]
#[case("#EXT-X-STREAM-INF:BANDWIDTH=1, FRAME-RATE=30\na\n", 1, "R12")]
#[case("#EXTINF:1,\n#EXT-X-BYTERANGE:5@0\na\n#EXTINF:1,\n#EXT-X-BYTERANGE:5\nb\n", 6, "R13")]
#[case("#EXTINF:1,\na\n#EXTINF:1,\n#EXT-X-BYTERANGE:5\na\n", 5, "R13")]
#[case("#EXTINF:1,\n#EXT-X-BYTERANGE:1@18446744073709551615\na\n", 3, "R13")]
#[case("#EXT-X-MAP:URI=\"a\",BYTERANGE=\"5\"\n", 1, "R13")]
#[case("#EXT-X-PART:DURATION=x,URI=\"p\"\n", 1, "R6")]
#[case("#EXT-X-PART:DURATION=86401,URI=\"p\"\n", 1, "R6")]
#[case("#EXT-X-PART-INF:PART-TARGET=-1\n", 1, "R6")]
#[case("#EXT-X-PART:DURATION=1,URI=\"p\",BYTERANGE=\"x@0\"\n", 1, "R7")]
#[case("#EXT-X-PART-INF:PART-TARGET=1\n#EXT-X-PART-INF:PART-TARGET=1\n", 2, "R9")]
#[case("#EXT-X-STREAM-INF:BANDWIDTH=1\na\n#EXT-X-PART:DURATION=1,URI=\"p\"\n", 3, "R10")]
#[case("#EXT-X-PART:URI=\"p\"\n", 1, "R12")]
#[case("#EXT-X-PART:DURATION=1\n", 1, "R12")]
#[case("#EXT-X-PART:DURATION=1,URI=p\n", 1, "R12")]
#[case("#EXT-X-PART:DURATION=\"1\",URI=\"p\"\n", 1, "R12")]
#[case("#EXT-X-PART:DURATION=1,URI=\"p\",INDEPENDENT=\"YES\"\n", 1, "R12")]
#[case("#EXT-X-PART:DURATION=1,URI=\"p\",GAP=\"YES\"\n", 1, "R12")]
#[case("#EXT-X-PART:DURATION=1,URI=\"p\",BYTERANGE=5@0\n", 1, "R12")]
#[case("#EXT-X-PART:DURATION=1,URI=\"p\", INDEPENDENT=YES\n", 1, "R12")]
#[case("#EXT-X-PART-INF\n", 1, "R12")]
#[case("#EXT-X-PART-INF:PART-TARGET=\"1\"\n", 1, "R12")]
#[case("#EXT-X-PART:DURATION=1,URI=\"p\",BYTERANGE=\"5\"\n", 1, "R13")]
#[case("#EXT-X-PART:DURATION=1,URI=\"p\",BYTERANGE=\"1@18446744073709551615\"\n", 1, "R13")]
#[case(
    "#EXT-X-PART:DURATION=1,URI=\"p\",BYTERANGE=\"5@0\"\n#EXT-X-PART:DURATION=1,URI=\"q\",BYTERANGE=\"5\"\n",
    2,
    "R13"
)]
#[case(
    "#EXT-X-PART:DURATION=1,URI=\"p\"\n#EXT-X-PART:DURATION=1,URI=\"p\",BYTERANGE=\"5\"\n",
    2,
    "R13"
)]
fn each_rule_refuses_and_names_the_line(
    #[case] body: &str,
    #[case] line_of_body: usize,
    #[case] rule: &str,
) {
    let error = refusal(&format!("#EXTM3U\n{body}"));
    assert_eq!(error.line(), line_of_body + 1, "{error}");
    assert_eq!(rule_of(error.problem()), rule, "{error}");
}

/// The rule of the specification that a problem belongs to.
fn rule_of(problem: &Problem) -> &'static str {
    match problem {
        Problem::NoTargetDuration => "R4",
        Problem::UriWithoutExtinf(_) | Problem::UriWithoutStreamInf(_) => "R5",
        Problem::Duration(_) | Problem::DurationRange(_) => "R6",
        Problem::Integer { .. } | Problem::SequenceEnd => "R7",
        Problem::Late(_) => "R8",
        Problem::Twice(_) => "R9",
        Problem::Mixed(_) => "R10",
        Problem::StreamInfWithoutUri
        | Problem::Attributes { problem: AttributeProblem::Missing("BANDWIDTH"), .. } => "R11",
        Problem::Attributes { .. } => "R12",
        Problem::ByteRangeEnd | Problem::ByteRangeOffset => "R13",
        other => panic!("{other}"),
    }
}

/// A list that says how long its parts may be.
fn with_parts(body: &str) -> String {
    format!("{HEAD}#EXT-X-PART-INF:PART-TARGET=1.5\n{body}")
}

#[test]
fn parts_belong_to_the_segment_behind_them() {
    let text = with_parts(
        "#EXT-X-PART:DURATION=1.0,URI=\"a0\",INDEPENDENT=YES,X=1\n#EXT-X-PART:DURATION=.5,URI=\"a1\"\n",
    );
    assert_eq!(rule_of(refusal(&text).problem()), "R6", "half a number is none");
    let text = with_parts(
        "#EXTINF:4,\n#EXT-X-PART:DURATION=1.0,URI=\"a\",INDEPENDENT=YES,BYTERANGE=\"5@7\",X=1\n\
         #EXT-X-PART:GAP=YES,INDEPENDENT=NO,URI=\"a\",BYTERANGE=\"3\",DURATION=0.5\na\n#EXTINF:4,\nb\n\
         #EXT-X-MAP:URI=\"i\"\n#EXT-X-PART:DURATION=1.0,URI=\"c0\"\n#EXTINF:9,\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"c1\"\n\
         #EXT-X-RENDITION-REPORT:URI=\"../x.m3u8\",LAST-MSN=2\n",
    );
    let list = media(&text);
    assert_eq!(list.header().part_target, Some("1.5".parse().unwrap()));
    let [first, second] = list.segments() else { panic!("{list}") };
    let ranges: Vec<_> = first.parts.iter().map(|part| part.byte_range).collect();
    assert_eq!(ranges, [ByteRange::new(7, 5), ByteRange::new(12, 3)]);
    let flags: Vec<_> = first.parts.iter().map(|part| (part.independent, part.gap)).collect();
    assert_eq!(flags, [(true, false), (false, true)]);
    assert!(second.parts.is_empty() && second.map.is_none());
    let open = list.open().unwrap();
    assert_eq!((open.parts.len(), open.parts[0].uri.as_str()), (1, "c0"));
    assert_eq!(open.map.as_ref().map(|map| map.uri.as_str()), Some("i"));
}

#[test]
fn a_range_may_continue_that_of_a_part_of_the_segment_before() {
    let text = with_parts(
        "#EXT-X-PART:DURATION=1,URI=\"f\",BYTERANGE=\"5@0\"\n#EXTINF:1,\na\n\
         #EXT-X-PART:DURATION=1,URI=\"f\",BYTERANGE=\"6\"\n",
    );
    assert_eq!(media(&text).open().unwrap().parts[0].byte_range, ByteRange::new(5, 6));
}

#[rstest]
#[case("#EXT-X-MAP:URI=\"i\"\n", "EXT-X-MAP")]
#[case("#EXT-X-KEY:METHOD=NONE\n", "EXT-X-KEY")]
#[case("#EXT-X-DISCONTINUITY\n", "EXT-X-DISCONTINUITY")]
fn what_holds_for_a_part_stands_before_it(#[case] tag: &str, #[case] name: &'static str) {
    let part = "#EXT-X-PART:DURATION=1,URI=\"p\"\n";
    let error = refusal(&with_parts(&format!("{part}{tag}#EXTINF:1,\na\n")));
    assert_eq!((error.line(), error.problem()), (5, &Problem::BehindPart(name)));
    media(&with_parts(&format!("{tag}{part}#EXTINF:1,\na\n{tag}{part}")));
}

#[test]
fn parts_without_a_target_are_refused_and_a_target_may_stand_behind_them() {
    let part = "#EXT-X-PART:DURATION=1,URI=\"p\"\n";
    assert_eq!(refusal(&format!("{HEAD}{part}")).problem(), &Problem::PartsWithoutTarget);
    media(&format!("{HEAD}{part}#EXT-X-PART-INF:PART-TARGET=1\n"));
}

#[test]
fn parts_have_a_limit_and_the_last_number() {
    let part = "#EXT-X-PART:DURATION=1,URI=\"p\"\n";
    let full = with_parts(&part.repeat(MediaPlaylist::MAX_PARTS));
    assert_eq!(media(&full).open().map(|open| open.parts.len()), Some(MediaPlaylist::MAX_PARTS));
    assert_eq!(refusal(&(full + part)).problem(), &Problem::Parts);
    let last = "#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n";
    media(&with_parts(&format!("{last}{part}")));
    let error = refusal(&with_parts(&format!("{last}#EXTINF:1,\na\n{part}")));
    assert_eq!(error.problem(), &Problem::SequenceEnd);
}

#[test]
fn an_empty_quoted_uri_is_a_uri() {
    let text = format!("{HEAD}#EXT-X-MAP:URI=\"\"\n#EXTINF:1,\na\n");
    assert_eq!(media(&text).segments()[0].map.as_ref().map(|map| map.uri.as_str()), Some(""));
}

#[test]
fn the_other_kind_of_list_is_told_apart() {
    let master = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na\n";
    assert_eq!(MediaPlaylist::read(master).unwrap_err().problem(), &Problem::Multivariant);
    let media = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n";
    assert_eq!(MultivariantPlaylist::read(media).unwrap_err().problem(), &Problem::Media);
}

#[rstest]
#[case("#EXT-X-SKIP:\n")]
#[case("#EXT-X-SKIP:SKIPPED-SEGMENTS=x\n")]
#[case("#EXT-X-SKIP:SKIPPED-SEGMENTS=\"1\"\n")]
#[case("#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n")]
#[case("#EXTINF:1,\na\n#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n")]
#[case(
    "#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-SKIP:SKIPPED-SEGMENTS=18446744073709551615\n#EXTINF:1,\na\n"
)]
fn a_delta_that_would_number_its_segments_wrongly_is_refused(#[case] lines: &str) {
    let text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n{lines}");
    assert!(Playlist::read(text.as_bytes()).is_err(), "{lines}");
}

#[rstest]
#[case("CAN-BLOCK-RELOAD=NO,CAN-SKIP-UNTIL=x,HOLD-BACK=-1")]
#[case("CAN-BLOCK-RELOAD=\"YES\"")]
#[case("nonsense")]
#[case("CAN-SKIP-UNTIL=1,CAN-SKIP-UNTIL=1")]
fn an_offer_that_cannot_be_read_is_none(#[case] offer: &str) {
    let text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-SERVER-CONTROL:{offer}\n");
    assert_eq!(media(&text).header().server_control, ServerControl::default());
}
