//! Parts in live lists: whatever comes, players find what they may rely on, and who knows no parts sees no difference.
#![cfg(test)]

mod timeline;

use alive_core::{ContentId, Flags, Segment, SegmentDuration};
use alive_playlist::{
    ListEntry, ListPart, ListSettings, LivePlaylist, MediaPlaylist, Portion, RenditionReport,
    assemble, assemble_portion,
};
use proptest::{collection::vec, prelude::*};
use timeline::{CIDS, segment, settings};

const CID: &str = CIDS[0];

fn id(at: usize) -> ContentId {
    CIDS[at].parse().unwrap()
}

fn part(millis: u32) -> ListPart {
    ListPart::new(id(1), SegmentDuration::from_micros(millis * 1000).unwrap())
}

fn read(text: &[u8]) -> MediaPlaylist<'_> {
    MediaPlaylist::read(text).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(text)))
}

fn seconds(target: u32) -> ListSettings {
    ListSettings::default().target_seconds(target.try_into().unwrap()).directives(true)
}

fn whole(duration: &str) -> Segment {
    Segment::new(id(0), duration.parse().unwrap())
}

/// How many parts each segment shows, the open one last.
fn counts(list: &LivePlaylist) -> Vec<usize> {
    let text = list.to_bytes();
    let list = read(&text);
    let whole = list.segments().iter().map(|segment| segment.parts.len());
    whole.chain([list.open().map_or(0, |open| open.parts.len())]).collect()
}

/// The text without anything that has to do with parts.
fn without_parts(text: &[u8]) -> String {
    let text = std::str::from_utf8(text).unwrap();
    let parts = ["#EXT-X-PART:", "#EXT-X-PART-INF:", "#EXT-X-RENDITION-REPORT:"];
    let mut kept = String::new();
    for line in text.lines().filter(|line| parts.iter().all(|tag| !line.starts_with(tag))) {
        let hold = line.find("PART-HOLD-BACK=").filter(|_| line.starts_with("#EXT-X-SERVER-"));
        let line = hold.map_or(line, |at| line[..at].trim_end_matches([',', ':']));
        if line != "#EXT-X-SERVER-CONTROL" {
            kept += line;
            kept.push('\n');
        }
    }
    kept
}

#[test]
fn a_list_with_parts_says_all_that_low_latency_asks_for() {
    let mut list = LivePlaylist::new(&seconds(4));
    list.push(&whole("4"));
    list.push_part(part(1000).independent(true), None);
    list.push_part(part(995), None);
    list.set_reports(vec![
        RenditionReport::new(alive_playlist::Quoted::new("?quality=240").unwrap(), 1)
            .last_part(Some(0)),
    ]);
    let (a, b) = (id(0), id(1));
    let want = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n\
         #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24.000000,HOLD-BACK=12.000000,PART-HOLD-BACK=3.000000\n\
         #EXT-X-PART-INF:PART-TARGET=1.000000\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:EVENT\n\
         #EXTINF:4.000000,\n/ipfs/{a}?filename=0.ts\n\
         #EXT-X-PART:DURATION=1.000000,URI=\"/ipfs/{b}?filename=1.0.ts\",INDEPENDENT=YES\n\
         #EXT-X-PART:DURATION=0.995000,URI=\"/ipfs/{b}?filename=1.1.ts\"\n\
         #EXT-X-RENDITION-REPORT:URI=\"?quality=240\",LAST-MSN=1,LAST-PART=0\n"
    );
    assert_eq!(String::from_utf8(list.to_bytes()).unwrap(), want);
    list.push_part(part(1000), None);
    list.push_part(part(1000), None);
    list.push(&whole("3.995"));
    let text = String::from_utf8(list.to_bytes()).unwrap();
    let parts = text.find("filename=1.3.ts").unwrap();
    assert!(parts < text.find("#EXTINF:3.995000,").unwrap(), "{text}");
    assert!(text.ends_with(
        "?filename=1.ts\n#EXT-X-RENDITION-REPORT:URI=\"?quality=240\",LAST-MSN=1,LAST-PART=0\n"
    ));
}

#[test]
fn parts_stay_for_three_targets_and_then_the_list_is_as_if_there_had_been_none() {
    let mut list = LivePlaylist::new(&seconds(4));
    let mut plain = LivePlaylist::new(&seconds(4));
    let mut push = |list: &mut LivePlaylist, parts: bool| {
        if parts {
            list.push_part(part(2000), None);
            list.push_part(part(2000), None);
        }
        list.push(&whole("4"));
        plain.push(&whole("4"));
        plain.to_bytes()
    };
    push(&mut list, false);
    push(&mut list, true);
    push(&mut list, true);
    assert_eq!(counts(&list), [0, 2, 2, 0]);
    push(&mut list, true);
    assert_eq!(counts(&list), [0, 2, 2, 2, 0]);
    push(&mut list, false);
    assert_eq!(counts(&list), [0, 0, 2, 2, 0, 0], "twelve seconds are behind the first");
    push(&mut list, false);
    let want = push(&mut list, false);
    assert_eq!(list.to_bytes(), want);
    assert!(!list.has_parts());
    // What was announced is not taken back when parts come again.
    list.push_part(part(500), None);
    let text = list.to_bytes();
    assert_eq!(read(&text).header().part_target, Some("2".parse().unwrap()));
}

#[test]
fn parts_whose_lengths_were_rounded_up_are_still_all_of_a_segment_as_long_as_the_target() {
    let mut list = LivePlaylist::new(&seconds(2));
    list.push(&whole("2"));
    for millis in [534, 467, 534, 467] {
        assert!(list.push_part(part(millis), None));
    }
    list.push(&whole("2"));
    assert_eq!(counts(&list), [0, 4, 0]);
}

#[test]
fn what_is_not_all_of_its_segment_is_not_shown() {
    let closed = |parts: &[u32], segment: Segment, section: Option<ContentId>| {
        let mut list = LivePlaylist::new(&seconds(4));
        list.push(&whole("4"));
        for &millis in parts {
            assert!(list.push_part(part(millis), None));
        }
        list.push(ListEntry::new(&segment, section.as_ref()));
        counts(&list)[1]
    };
    assert_eq!(closed(&[1000, 1000], whole("2"), None), 2);
    assert_eq!(closed(&[1000, 1000], whole("2.1"), None), 2, "durations are rounded");
    assert_eq!(closed(&[1000, 1000], whole("1.9"), None), 2);
    assert_eq!(closed(&[1000, 1000], whole("2.100001"), None), 0, "the last one is missing");
    assert_eq!(closed(&[1000, 1000], whole("1.899999"), None), 0, "it is another segment");
    assert_eq!(closed(&[1000, 1000], whole("2"), Some(id(2))), 0, "it has another section");
    assert_eq!(closed(&[1000], whole("1").with_flags(Flags::GAP), None), 0);
    assert_eq!(closed(&[1000], whole("1").with_flags(Flags::DISCONTINUITY), None), 0);
}

#[test]
fn what_cannot_be_a_part_is_not_taken() {
    let mut list = LivePlaylist::new(&seconds(4));
    assert!(list.push_part(part(3000), None));
    assert!(!list.push_part(part(1501), None), "the segment would be longer than the target");
    assert!(!list.push_part(part(1500), Some(&id(2))), "a segment has one section");
    assert!(list.push_part(part(1500), None), "as long as rounds to the target");
    list.forget_open_parts();
    assert_eq!(list.to_bytes(), LivePlaylist::new(&seconds(4)).to_bytes());
    let tiny = (0..1000).filter(|_| list.push_part(part(1), None)).count();
    assert_eq!((tiny, counts(&list)), (256, vec![256]));
}

#[test]
fn a_new_section_is_named_before_the_parts_that_need_it() {
    let mut list = LivePlaylist::new(&seconds(4));
    list.push(&whole("4"));
    let map = |at: usize| format!("#EXT-X-MAP:URI=\"/ipfs/{}?filename=init.mp4\"\n", id(at));
    list.push_part(part(1000), Some(&id(1)));
    let text = String::from_utf8(list.to_bytes()).unwrap();
    assert!(text.contains(&format!("{}#EXT-X-PART:", map(1))), "{text}");
    assert!(text.contains("?filename=1.0.m4s\""), "{text}");
    list.push(ListEntry::new(&whole("1"), Some(&id(1))));
    list.push_part(part(1000), Some(&id(1)));
    let text = String::from_utf8(list.to_bytes()).unwrap();
    assert_eq!(text.matches(&map(1)).count(), 1, "{text}");
    assert!(text.contains(&format!("{}#EXT-X-PART:", map(1))), "{text}");
    let window = list.portion(Portion::default().window("1".parse().unwrap()));
    let window = read(&window);
    assert!(window.open().unwrap().map.is_some());
}

/// What happens to a list.
#[derive(Clone, Debug)]
enum Step {
    Part {
        millis: u32,
        section: Option<usize>,
        independent: bool,
    },
    Segment(Segment, Option<usize>),
    /// All that the parts so far add up to.
    Whole,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let section = || prop_oneof![3 => Just(None), 1 => (1..3_usize).prop_map(Some)];
    let part = (1..6000_u32, section(), any::<bool>())
        .prop_map(|(millis, section, independent)| Step::Part { millis, section, independent });
    let segment = (segment(), section()).prop_map(|(segment, at)| Step::Segment(segment, at));
    vec(prop_oneof![5 => part, 1 => segment, 2 => Just(Step::Whole)], 0..60)
}

/// What a list should show, the slow way.
#[derive(Debug, Default)]
struct Model {
    segments: Vec<(Segment, Option<ContentId>)>,
    /// Of each segment.
    parts: Vec<Vec<ListPart>>,
    open: Vec<ListPart>,
    section: Option<ContentId>,
}

impl Model {
    fn take(&mut self, step: &Step, list: &mut LivePlaylist) {
        match *step {
            Step::Part { millis, section, independent } => {
                let (part, section) = (part(millis).independent(independent), section.map(id));
                if list.push_part(part, section.as_ref()) {
                    self.open.push(part);
                    self.section = section;
                }
            }
            Step::Segment(segment, section) => self.close(segment, section.map(id), list),
            Step::Whole if self.open.is_empty() => {}
            Step::Whole => {
                let micros = self.open.iter().map(|part| part.duration.as_micros()).sum();
                let segment = Segment::new(id(2), SegmentDuration::from_micros(micros).unwrap());
                self.close(segment, self.section, list);
            }
        }
    }

    fn close(&mut self, segment: Segment, section: Option<ContentId>, list: &mut LivePlaylist) {
        let sum: u32 = self.open.iter().map(|part| part.duration.as_micros()).sum();
        let fits = sum.abs_diff(segment.duration.as_micros()) <= 100_000;
        let plain = segment.flags == Flags::default() && self.section == section;
        let open = std::mem::take(&mut self.open);
        self.parts.push(if fits && plain { open } else { Vec::new() });
        self.segments.push((segment, section));
        list.push(ListEntry::new(&segment, section.as_ref()));
        // Three targets after the end of a segment its parts are old.
        let kept = 3 * u64::from(list.target_seconds()) * 1_000_000;
        let mut behind = 0;
        for (at, (segment, _)) in self.segments.iter().enumerate().rev() {
            if behind >= kept {
                self.parts[at].clear();
            }
            behind += u64::from(segment.duration.as_micros());
        }
    }

    fn entries(&self) -> impl Iterator<Item = ListEntry<'_>> + Clone {
        self.segments.iter().map(|(segment, section)| ListEntry::new(segment, section.as_ref()))
    }
}

fn told(parts: &[alive_playlist::MediaPart<'_>]) -> Vec<(u64, bool)> {
    parts.iter().map(|part| (part.duration.as_micros(), part.independent)).collect()
}

fn wanted(parts: &[ListPart]) -> Vec<(u64, bool)> {
    parts.iter().map(|part| (part.duration.as_micros().into(), part.independent)).collect()
}

proptest! {
    #[test]
    fn a_list_shows_the_parts_of_the_newest_segments_and_changes_nothing_else(
        steps in steps(),
        settings in settings(),
        directives: bool,
        seconds in prop::option::of(1_u32..100),
        skip: bool,
    ) {
        let settings = settings.directives(directives);
        let portion = Portion::default().skip(skip);
        let portion = seconds.map_or(portion, |s| portion.window(alive_playlist::Window::new(s.try_into().unwrap())));
        let (mut list, mut model) = (LivePlaylist::new(&settings), Model::default());
        for step in &steps {
            model.take(step, &mut list);
            let text = list.to_bytes();
            // Who knows no parts has the list of before, byte by byte, but for a section that is named earlier.
            let open_map = !model.open.is_empty() && model.section.is_some()
                && model.segments.last().is_none_or(|(_, section)| *section != model.section);
            let plain = assemble(model.entries(), false, &settings);
            let mut told_plain = without_parts(&text);
            if open_map {
                let at = told_plain.trim_end().rfind('\n').unwrap() + 1;
                prop_assert!(told_plain[at..].starts_with("#EXT-X-MAP:"));
                told_plain.truncate(at);
            }
            prop_assert_eq!(told_plain.as_bytes(), &*plain);
            prop_assert_eq!(list.as_bytes(), &*plain);
            let has_parts = !model.open.is_empty() || model.parts.iter().any(|parts| !parts.is_empty());
            prop_assert_eq!(list.has_parts(), has_parts);

            let read_list = read(&text);
            for (segment, parts) in read_list.segments().iter().zip(&model.parts) {
                prop_assert_eq!(told(&segment.parts), wanted(parts));
            }
            let open = read_list.open();
            prop_assert_eq!(open.map_or(Vec::new(), |open| told(&open.parts)), wanted(&model.open));
            if let (Some(open), Some(section)) = (open, model.section) {
                let named = open.map.as_ref().map(|map| map.uri.as_str());
                prop_assert!(named.is_some_and(|uri| uri.contains(section.as_str())));
            }
            let header = read_list.header();
            prop_assert_eq!(header.part_target.is_some(), has_parts);
            if let Some(target) = header.part_target {
                let all = read_list.segments().iter().flat_map(|segment| &segment.parts);
                let all = all.chain(open.into_iter().flat_map(|open| &open.parts));
                prop_assert!(all.into_iter().all(|part| part.duration <= target));
                let hold_back = header.server_control.part_hold_back;
                prop_assert_eq!(hold_back.map(alive_playlist::MediaDuration::as_micros), Some(3 * target.as_micros()));
            }
            let end = list.list_end();
            let count = |parts: &[ListPart]| u64::try_from(parts.len()).unwrap();
            prop_assert_eq!(end.next, list.segment_count());
            prop_assert_eq!(end.open_parts, count(&model.open));
            prop_assert_eq!(end.last_parts, model.parts.last().map_or(0, |parts| count(parts)));

            // The pieces and the portions are of the same list.
            let pieces = list.pieces();
            prop_assert_eq!(pieces.to_bytes(), text.clone());
            prop_assert!(plain.windows(pieces.lines.len().max(1)).any(|part| part == pieces.lines) || pieces.lines.is_empty());
            let portioned = list.portion(portion);
            let theirs = read(&portioned);
            let first = theirs.header().media_sequence + theirs.header().skipped_segments;
            let rest = read_list.numbered().skip_while(|(number, _)| *number < first);
            prop_assert!(theirs.segments().iter().map(|s| (&s.uri, &s.parts)).eq(rest.map(|(_, s)| (&s.uri, &s.parts))));
            prop_assert_eq!(theirs.open().map(|open| &open.parts), open.map(|open| &open.parts));
            prop_assert_eq!(theirs.header().part_target, header.part_target);
            if !has_parts {
                let want = assemble_portion(model.entries(), false, &settings, portion);
                prop_assert_eq!(portioned, want);
            }

            // The same elsewhere.
            let far = settings.clone().gateway("https://far.example".parse().unwrap());
            let mut other = LivePlaylist::new(&far);
            other.extend(model.entries());
            let other = other.with_parts_of(&list).to_bytes();
            let far = read(&other);
            prop_assert_eq!(far.open().map(|open| told(&open.parts)), open.map(|open| told(&open.parts)));
            let near = far.segments().iter().flat_map(|s| &s.parts).chain(far.open().into_iter().flat_map(|open| &open.parts));
            prop_assert!(near.into_iter().all(|part| part.uri.as_str().starts_with("https://far.example/")));

            // Another library takes it, too.
            let (rest, theirs) = m3u8_rs::parse_media_playlist(&text).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert_eq!(theirs.segments.len(), model.segments.len());
        }
        let end = list.end();
        let archive = assemble(model.entries(), true, &settings);
        prop_assert_eq!(end.as_bytes(), &*archive, "an archive has no parts");
    }

    #[test]
    fn lines_that_are_settled_never_change(steps in steps(), settings in settings()) {
        let (mut list, mut model) = (LivePlaylist::new(&settings), Model::default());
        let mut before = Vec::new();
        for step in &steps {
            model.take(step, &mut list);
            let pieces = list.pieces();
            prop_assert!(pieces.lines.starts_with(&before));
            before = pieces.lines.to_vec();
        }
    }
}

#[test]
fn a_gateway_stands_before_each_part() {
    let mut list = LivePlaylist::new(&seconds(4).gateway("https://gw.example/x/".parse().unwrap()));
    list.push_part(ListPart::new(CID.parse().unwrap(), "1".parse().unwrap()), None);
    let text = String::from_utf8(list.to_bytes()).unwrap();
    assert!(
        text.contains(&format!(",URI=\"https://gw.example/x/ipfs/{CID}?filename=0.0.ts\"\n")),
        "{text}"
    );
}
