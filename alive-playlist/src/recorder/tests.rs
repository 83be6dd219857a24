//! What shows in a list, and what of it is new.

use rstest::rstest;

use super::*;

/// A list of segments `(name, seconds)` from a number on.
fn list(first: u64, segments: &[(&str, &str)], tail: &str) -> Recording {
    let head = format!("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:{first}\n");
    let line = |(name, seconds): &(&str, &str)| format!("#EXTINF:{seconds},\n{name}\n");
    let body: String = segments.iter().map(line).collect();
    Recording::read((head + &body + tail).as_bytes()).unwrap()
}

fn numbers(progress: Progress<'_>) -> Vec<u64> {
    progress.new.iter().map(|segment| segment.number).collect()
}

const A: (&str, &str) = ("a.ts", "10");
const B: (&str, &str) = ("b.ts", "10");
const C: (&str, &str) = ("c.ts", "9.5");
const D: (&str, &str) = ("d.ts", "10");

#[test]
fn a_list_that_grows_gives_what_was_added() {
    let (before, now) = (list(0, &[A], ""), list(0, &[A, B, C], "#EXT-X-ENDLIST\n"));
    assert_eq!(numbers(now.since(&before)), [1, 2]);
    assert!(now.ended() && now.since(&before).restarted.is_none());
    assert_eq!(numbers(now.since(&now)), [0_u64; 0]);
}

#[test]
fn the_first_look_gives_everything() {
    let nothing = list(0, &[], "");
    assert_eq!(numbers(list(5, &[A, B], "").since(&nothing)), [5, 6]);
}

#[test]
fn a_window_that_moves_gives_what_is_behind_the_last_seen() {
    let now = list(2, &[C, D], "");
    let progress = now.since(&list(1, &[B, C], ""));
    assert_eq!((numbers(progress), progress.missed, progress.restarted), (vec![3], 0, None));
}

#[test]
fn a_window_that_moved_too_far_tells_how_many_were_missed() {
    let now = list(6, &[C, D], "");
    let progress = now.since(&list(1, &[A, B], ""));
    assert_eq!((numbers(progress), progress.missed, progress.restarted), (vec![6, 7], 3, None));
}

#[rstest]
#[case(list(3, &[A, B], ""), list(0, &[A], ""), Restart::WentBack)]
#[case(list(0, &[A, B], ""), list(0, &[A], ""), Restart::Shrank)]
#[case(list(0, &[A, B], ""), list(0, &[], ""), Restart::Shrank)]
#[case(list(0, &[A, B], ""), list(0, &[A, C], ""), Restart::Differs)]
#[case(list(0, &[A, B], ""), list(0, &[A, ("b.ts", "10.5"), C], ""), Restart::Differs)]
#[case(list(0, &[A, B], ""), list(1, &[D, C], ""), Restart::Differs)]
fn another_run_shows(#[case] before: Recording, #[case] now: Recording, #[case] restart: Restart) {
    let progress = now.since(&before);
    assert_eq!(progress.restarted, Some(restart));
    assert_eq!(progress.new, now.segments());
}

#[test]
fn a_date_tells_runs_apart_that_look_alike() {
    let dated = |ms: u32| {
        let date = format!("#EXT-X-PROGRAM-DATE-TIME:2026-11-21T00:03:36.{ms:03}+0000\n");
        list(0, &[], &format!("{date}#EXTINF:10,\na.ts\n"))
    };
    assert_eq!(dated(584).since(&dated(583)).restarted, None);
    let later = list(0, &[], "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T00:05:00Z\n#EXTINF:10,\na.ts\n");
    assert_eq!(later.since(&dated(583)).restarted, Some(Restart::Differs));
}

#[test]
fn a_run_that_appends_goes_on() {
    let before = list(0, &[A, B], "#EXT-X-ENDLIST\n");
    let now = list(0, &[A, B], "#EXT-X-DISCONTINUITY\n#EXTINF:10,\nc.ts\n");
    let progress = now.since(&before);
    assert_eq!((numbers(progress), progress.restarted), (vec![2], None));
    assert!(progress.new[0].discontinuity && !now.ended());
}

#[rstest]
#[case("stream0.ts", Some("stream0.ts"))]
#[case("2026-11-21 20:00:00 0.ts", Some("2026-11-21 20:00:00 0.ts"))]
#[case("..ts", Some("..ts"))]
#[case("..", None)]
#[case("../x.ts", None)]
#[case("sub/x.ts", None)]
#[case("/etc/passwd", None)]
#[case("C:x.ts", None)]
#[case("..\\x.ts", None)]
#[case("http://host/x.ts", None)]
#[case("file:x.ts", None)]
fn only_a_file_beside_the_list_has_a_name(#[case] uri: &str, #[case] name: Option<&str>) {
    assert_eq!(list(0, &[(uri, "1")], "").segments()[0].file_name(), name);
}

#[rstest]
#[case("", None)]
#[case("#EXT-X-GAP\n", Some(Unsupported::Gap))]
#[case("#EXT-X-BYTERANGE:1@0\n", Some(Unsupported::ByteRange))]
#[case("#EXT-X-MAP:URI=\"init.mp4\"\n", None)]
#[case("#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"9@0\"\n", Some(Unsupported::Map))]
#[case("#EXT-X-MAP:URI=\"../init.mp4\"\n", Some(Unsupported::Map))]
#[case("#EXT-X-MAP:URI=\"http://h/init.mp4\"\n", Some(Unsupported::Map))]
#[case("#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n", Some(Unsupported::Encrypted))]
fn what_cannot_be_published_says_why(#[case] tag: &str, #[case] why: Option<Unsupported>) {
    let list = list(0, &[], &format!("{tag}#EXTINF:1,\na.ts\n"));
    assert_eq!(list.segments()[0].unsupported(), why);
}

/// Segment 5 and what is listed behind it.
fn with_parts(tail: &str) -> Recording {
    let head = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-PART-INF:PART-TARGET=1\n";
    let text = format!("{head}#EXT-X-MEDIA-SEQUENCE:5\n#EXTINF:10,\na.ts\n{tail}");
    Recording::read(text.as_bytes()).unwrap()
}

#[test]
fn parts_behind_the_last_segment_belong_to_the_next_one() {
    assert_eq!(with_parts("").parts(), []);
    let tail = "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"i\"\n\
        #EXT-X-PART:DURATION=1,URI=\"p0\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.5,URI=\"p1\"\n";
    let now = with_parts(tail);
    let told: Vec<_> =
        now.parts().iter().map(|p| (p.number, p.index, p.independent, p.file_name())).collect();
    assert_eq!(told, [(6, 0, true, Some("p0")), (6, 1, false, Some("p1"))]);
    for part in now.parts() {
        assert_eq!(part.map.as_ref().and_then(|map| map.file_name()), Some("i"));
        assert!(part.discontinuity && part.unsupported().is_none());
    }
    assert_eq!(now.parts()[1].segment_duration(), "0.5".parse());
    // The segment that they become has them, and nothing is behind it.
    let whole = with_parts(&format!("{tail}#EXTINF:1.5,\nb.ts\n"));
    assert_eq!((whole.parts(), &*whole.segments()[1].parts), (&[][..], now.parts()));
    assert_eq!(numbers(whole.since(&now)), [6]);
    // That old parts leave the list is no restart.
    let later = with_parts("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"i\"\n#EXTINF:1.5,\nb.ts\n");
    assert_eq!((numbers(later.since(&whole)), later.since(&whole).restarted), (vec![], None));
}

#[test]
fn a_list_may_have_parts_before_it_has_a_segment() {
    let head = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-PART-INF:PART-TARGET=1\n";
    let text = format!("{head}#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-PART:DURATION=1,URI=\"p\"\n");
    let now = Recording::read(text.as_bytes()).unwrap();
    assert_eq!((now.segments().len(), now.parts()[0].number), (0, 3));
}

#[test]
fn a_part_that_ends_in_the_middle_of_its_line_is_not_there_yet() {
    let line = "#EXT-X-PART:DURATION=1,URI=\"g.ts\",BYTERANGE=\"5@0\"\n";
    let second = "#EXT-X-PART:DURATION=1,URI=\"g.ts\",BYTERANGE=\"7\"\n";
    for cut in 0..second.len() {
        let now = with_parts(&format!("{line}{}", &second[..cut]));
        // Before its name is whole the cut line is a comment or no tag that is known.
        assert_eq!(now.parts().len(), 1, "{:?}", &second[..cut]);
        assert_eq!(now.may_be_cut(), cut > 0);
    }
    let now = with_parts(&format!("{line}{second}"));
    assert_eq!(now.parts()[1].byte_range, ByteRange::new(5, 7));
}

#[rstest]
#[case("", "p", None)]
#[case("", "../p", Some(Unsupported::Name))]
#[case("", "http://h/p", Some(Unsupported::Name))]
#[case("", "p\",GAP=YES,X=\"", Some(Unsupported::Gap))]
#[case("", "p\",BYTERANGE=\"5@1", None)]
#[case("#EXT-X-MAP:URI=\"../i\"\n", "p", Some(Unsupported::Map))]
#[case("#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n", "p", Some(Unsupported::Encrypted))]
fn a_part_that_cannot_be_published_says_why(
    #[case] tag: &str,
    #[case] uri: &str,
    #[case] why: Option<Unsupported>,
) {
    let now = with_parts(&format!("{tag}#EXT-X-PART:DURATION=1,URI=\"{uri}\"\n"));
    assert_eq!(now.parts()[0].unsupported(), why);
}

#[test]
fn a_text_without_its_last_line_end_may_be_cut() {
    assert!(!list(0, &[A], "").may_be_cut());
    assert!(list(0, &[A], "#EXTINF:10,").may_be_cut());
}
