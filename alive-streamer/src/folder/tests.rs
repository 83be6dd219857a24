//! The rules of `spec/hls.md`, section 10, one by one, on folders that exist in memory only.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// A folder and the time.
#[derive(Clone, Default)]
struct Disk {
    now: Duration,
    files: BTreeMap<String, (FileState, Option<String>)>,
}

use std::collections::BTreeMap;

impl Disk {
    fn new() -> Self {
        Self { now: Duration::from_secs(1_000_000), ..Self::default() }
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self
    }

    /// Writes a file; sizes do not matter, times do.
    fn write(&mut self, name: &str) -> &mut Self {
        self.put(name, None)
    }

    fn put(&mut self, name: &str, text: Option<String>) -> &mut Self {
        self.now += Duration::from_millis(4);
        let state = FileState { size: 188, modified: self.now };
        self.files.insert(name.to_owned(), (state, text));
        self
    }

    fn remove(&mut self, name: &str) -> &mut Self {
        self.files.remove(name);
        self
    }

    /// Writes a list of these segments, `-` in front of a name for a discontinuity.
    fn list(&mut self, name: &str, first: u64, segments: &[&str], ended: bool) -> &mut Self {
        let head = format!("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:{first}\n");
        let line = |name: &&str| match name.strip_prefix('-') {
            Some(name) => format!("#EXT-X-DISCONTINUITY\n#EXTINF:10,\n{name}\n"),
            None => format!("#EXTINF:10,\n{name}\n"),
        };
        let body: String = segments.iter().map(line).collect();
        self.put(name, Some(head + &body + if ended { "#EXT-X-ENDLIST\n" } else { "" }))
    }

    /// Records as ffmpeg does: a segment, the list, the start of the next segment. The list has `window` segments.
    fn record(&mut self, from: u64, to: u64, window: u64) -> &mut Self {
        for number in from..to {
            self.wait(10).write(&segment(number));
            let first = (number + 1).saturating_sub(window);
            let names: Vec<_> = (first..=number).map(segment).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            self.list("s.m3u8", first, &names, false).write(&segment(number + 1));
        }
        self
    }

    /// The recorder stops cleanly with these segments listed; its last, short one was just listed.
    fn end(&mut self, from: u64, to: u64) -> &mut Self {
        let names: Vec<_> = (from..to).map(segment).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        self.list("s.m3u8", from, &names, true)
    }

    fn snapshot(&self) -> Snapshot {
        let files = self.files.iter().map(|(name, (state, _))| (name.as_str().into(), *state));
        let lists = self.files.iter().filter_map(|(name, (state, text))| {
            let content = Recording::read(text.as_ref()?.as_bytes()).map(std::sync::Arc::new);
            Some(List { name: name.as_str().into(), state: *state, content })
        });
        Snapshot { files: files.collect(), lists: lists.collect() }
    }
}

fn segment(number: u64) -> String {
    format!("s{number}.ts")
}

/// An engine, what it found, and why it stopped.
struct Eyes {
    engine: Folder,
    found: Vec<String>,
    taken: Vec<Source>,
    warnings: Vec<String>,
}

impl Eyes {
    fn new() -> Self {
        Self::with(Folder::new(false))
    }

    fn with(engine: Folder) -> Self {
        Self { engine, found: Vec::new(), taken: Vec::new(), warnings: Vec::new() }
    }

    /// Looks and takes all there is. What was found is written `-7=s7.ts`, the dash for a discontinuity.
    fn look(&mut self, disk: &Disk) -> Seen {
        let snapshot = disk.snapshot();
        let waiting = self.engine.look(&snapshot, disk.now);
        let seen = match waiting {
            Some(waiting) => Seen::Waiting(waiting),
            None => loop {
                match self.engine.next(&snapshot, disk.now) {
                    Seen::Segment(segment) => self.take(&segment),
                    other => break other,
                }
            },
        };
        let warnings = std::iter::from_fn(|| self.engine.poll_warning());
        self.warnings.extend(warnings.map(|warning| warning.to_string()));
        seen
    }

    fn take(&mut self, segment: &Candidate) {
        let dash = if segment.discontinuity { "-" } else { "" };
        self.found.push(format!("{dash}{}={}", segment.number, segment.name));
        self.taken.push(Source {
            number: segment.number,
            state: segment.state,
            digest: [0; 32],
            list: segment.list.clone(),
            name: segment.name.clone(),
            section: None,
        });
        self.engine.taken(segment);
    }

    /// What was found since the last call.
    fn found(&mut self) -> Vec<String> {
        std::mem::take(&mut self.found)
    }

    /// The daemon dies and is started again.
    fn restart(&mut self, finished: bool) {
        self.engine = Folder::resume(false, &self.taken, finished);
    }
}

fn waiting(waiting: Waiting) -> Seen {
    Seen::Waiting(waiting)
}

const MORE: Seen = Seen::Waiting(Waiting::Segment);

#[test]
fn a_segment_is_complete_when_it_is_listed_and_never_for_being_the_newest() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    assert_eq!(eyes.look(&disk), waiting(Waiting::Recording));
    disk.write("s0.ts");
    assert_eq!(eyes.look(&disk), waiting(Waiting::List));
    disk.wait(10).list("s.m3u8.tmp", 0, &["s0.ts"], false);
    assert!(eyes.found().is_empty());
    disk.remove("s.m3u8.tmp").list("s.m3u8", 0, &["s0.ts"], false);
    assert_eq!(eyes.look(&disk), MORE);
    assert_eq!(eyes.found(), ["0=s0.ts"]);
    disk.write("s1.ts").wait(9);
    assert_eq!(eyes.look(&disk), MORE);
    assert!(eyes.found().is_empty());
    disk.list("s.m3u8", 0, &["s0.ts", "s1.ts"], false);
    eyes.look(&disk);
    assert_eq!(eyes.found(), ["1=s1.ts"]);
    assert!(eyes.warnings.is_empty());
}

#[test]
fn the_last_short_segment_comes_with_the_end_of_the_list() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    disk.record(0, 2, 99);
    eyes.look(&disk);
    assert_eq!(eyes.look(disk.wait(3).end(0, 3)), Seen::Ended);
    assert_eq!(eyes.found(), ["0=s0.ts", "1=s1.ts", "2=s2.ts"]);
}

#[test]
fn a_first_segment_follows_nothing_whatever_the_recorder_says() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    disk.write("s0.ts").write("s1.ts").write("s2.ts");
    eyes.look(disk.list("s.m3u8", 0, &["-s0.ts", "s1.ts", "-s2.ts"], false));
    assert_eq!(eyes.found(), ["0=s0.ts", "1=s1.ts", "-2=s2.ts"]);
}

#[test]
fn a_recorder_that_overwrites_from_zero_is_a_new_run() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    eyes.look(disk.record(0, 4, 99));
    assert_eq!(eyes.found().len(), 4);
    // Its first segment is being written over the old one: the old list says nothing of it.
    assert_eq!(eyes.look(disk.wait(30).write("s0.ts")), MORE);
    assert!(eyes.found().is_empty());
    eyes.look(disk.record(0, 2, 99));
    assert_eq!(eyes.found(), ["-0=s0.ts", "1=s1.ts"]);
    eyes.look(disk.record(2, 9, 99));
    assert_eq!(eyes.found().len(), 7);
    assert_eq!(eyes.warnings, ["the recorder was started again and writes s.m3u8"]);
}

#[rstest]
#[case::shorter(2)]
#[case::as_long(4)]
#[case::longer(7)]
fn a_new_run_while_the_daemon_was_down_shows_in_the_files(#[case] segments: u64) {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    eyes.look(disk.record(0, 4, 99));
    eyes.found();
    eyes.restart(false);
    eyes.look(disk.wait(100).record(0, segments, 99));
    let want: Vec<_> = (1..segments).map(|n| format!("{n}=s{n}.ts")).collect();
    assert_eq!(eyes.found(), [vec!["-0=s0.ts".to_owned()], want].concat());
}

#[test]
fn a_new_run_of_the_same_length_shows_although_the_list_reads_the_same() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    eyes.look(disk.record(0, 1, 99));
    disk.wait(5).record(0, 1, 99);
    eyes.look(&disk);
    assert_eq!(eyes.found(), ["0=s0.ts", "-0=s0.ts"]);
}

#[test]
fn segments_of_an_old_run_that_are_left_in_the_folder_do_not_count() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    disk.record(0, 9, 99).wait(1000).record(0, 2, 99);
    assert_eq!(eyes.look(&disk), MORE);
    assert_eq!(eyes.found(), ["0=s0.ts", "1=s1.ts"]);
    assert_eq!(eyes.look(disk.wait(300)), MORE);
    assert!(eyes.found().is_empty());
}

#[test]
fn a_recorder_that_appends_marks_its_run_itself() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    disk.write("s0.ts").write("s1.ts");
    assert_eq!(eyes.look(disk.list("s.m3u8", 0, &["s0.ts", "s1.ts"], true)), Seen::Ended);
    disk.wait(10).write("s2.ts").list("s.m3u8", 0, &["s0.ts", "s1.ts", "-s2.ts"], false);
    assert_eq!(eyes.look(&disk), MORE);
    assert_eq!(eyes.found(), ["0=s0.ts", "1=s1.ts", "-2=s2.ts"]);
}

#[test]
fn a_list_under_a_new_name_is_a_new_run_once_the_old_one_is_taken() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    eyes.look(disk.record(0, 2, 99));
    disk.record(2, 4, 99).wait(10).write("t0.ts").list("t.m3u8", 0, &["t0.ts"], false);
    eyes.look(&disk);
    eyes.look(&disk);
    assert_eq!(eyes.found(), ["0=s0.ts", "1=s1.ts", "2=s2.ts", "3=s3.ts", "-0=t0.ts"]);
    assert_eq!(eyes.warnings, ["the recorder was started again and writes t.m3u8"]);
}

#[test]
fn runs_missed_while_the_daemon_was_down_are_taken_in_their_order() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    eyes.look(disk.record(0, 2, 99));
    eyes.restart(false);
    disk.record(2, 3, 99);
    disk.wait(10).write("t0.ts").list("t.m3u8", 0, &["t0.ts"], true);
    disk.wait(10).write("a0.ts").list("a.m3u8", 0, &["a0.ts"], true);
    (0..4).for_each(|_| drop(eyes.look(&disk)));
    assert_eq!(eyes.found(), ["0=s0.ts", "1=s1.ts", "2=s2.ts", "-0=t0.ts", "-0=a0.ts"]);
}

#[test]
fn renditions_recorded_side_by_side_are_not_runs_of_each_other() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    for n in 0..5 {
        disk.record(n, n + 1, 3);
        let (names, first) = ((0..=n).map(|n| format!("t{n}.ts")), n.saturating_sub(2));
        let names: Vec<_> = names.skip(usize::try_from(first).unwrap()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        disk.write(&format!("t{n}.ts")).list("t.m3u8", first, &names, n == 4);
        eyes.look(&disk);
    }
    disk.end(2, 5);
    let list = eyes.engine.list().unwrap().chars().next().unwrap();
    eyes.look(&disk);
    let want: Vec<_> = (0..5).map(|n| format!("{n}={list}{n}.ts")).collect();
    assert_eq!(eyes.found(), want);
    assert!(eyes.warnings.is_empty());
}

#[test]
fn segments_that_left_a_window_are_found_by_their_names() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    // Of the run before, and long ago.
    disk.record(0, 30, 5).wait(1000).record(20, 28, 5);
    eyes.look(&disk);
    let from =
        |first: u64, end: u64| (first..end).map(|n| format!("{n}=s{n}.ts")).collect::<Vec<_>>();
    assert_eq!(eyes.found(), from(20, 28));
    // More than a window passes between two looks.
    eyes.look(disk.record(28, 40, 5));
    assert_eq!(eyes.found(), from(28, 40));
    eyes.restart(false);
    eyes.look(disk.record(40, 52, 5));
    assert_eq!(eyes.found(), from(40, 52));
    assert!(eyes.warnings.is_empty());
}

#[test]
fn segments_deleted_before_they_were_seen_leave_a_discontinuity() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    eyes.look(disk.record(0, 2, 2));
    disk.record(2, 9, 2).remove("s2.ts").remove("s3.ts").remove("s5.ts");
    eyes.look(&disk);
    let want = ["0=s0.ts", "1=s1.ts", "-4=s4.ts", "-6=s6.ts", "7=s7.ts", "8=s8.ts"];
    assert_eq!(eyes.found(), want);
    let missed = |count, first| {
        format!("{count} segments from number {first} on were deleted before they were seen")
    };
    assert_eq!(eyes.warnings, [missed(2, 2), missed(1, 5)]);
}

#[test]
fn a_jump_to_numbers_of_another_time_is_a_gap_and_takes_no_time() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    eyes.look(disk.record(0, 2, 5));
    let first = 1_763_683_415_000;
    disk.write("x.ts").list("s.m3u8", first, &["x.ts"], false);
    eyes.look(&disk);
    assert_eq!(eyes.found(), ["0=s0.ts", "1=s1.ts", "-1763683415000=x.ts"]);
}

#[test]
fn names_of_the_time_of_day_repeat_and_the_list_is_the_order() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    eyes.look(disk.write("12h.ts").list("s.m3u8", 0, &["12h.ts"], false));
    // The second segment of this hour is being written under the same name.
    assert_eq!(eyes.look(disk.wait(4).write("12h.ts")), MORE);
    eyes.look(disk.wait(6).write("12h.ts").list("s.m3u8", 0, &["12h.ts", "12h.ts"], false));
    eyes.look(disk.wait(9).write("13h.ts").list(
        "s.m3u8",
        0,
        &["12h.ts", "12h.ts", "13h.ts"],
        true,
    ));
    assert_eq!(eyes.found(), ["0=12h.ts", "1=12h.ts", "2=13h.ts"]);
    assert!(eyes.warnings.is_empty());

    // Who comes late finds the last of them only.
    let mut late = Eyes::new();
    assert_eq!(late.look(&disk), Seen::Ended);
    assert_eq!(late.found(), ["1=12h.ts", "2=13h.ts"]);
    assert!(late.warnings[0].starts_with("12h.ts is listed, but"), "{:?}", late.warnings);
}

#[test]
fn an_old_recording_is_left_alone_until_a_new_one_begins() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    disk.record(0, 3, 99).end(0, 3).wait(61);
    let old = || waiting(Waiting::NewRecording { old: "s.m3u8".into() });
    assert_eq!(eyes.look(&disk), old());
    assert_eq!(eyes.look(disk.wait(1).write("s0.ts")), old());
    eyes.look(disk.record(0, 1, 99));
    assert_eq!(eyes.found(), ["0=s0.ts"]);

    let mut asked = Eyes::with(Folder::new(true));
    disk.end(0, 3).wait(9999);
    assert_eq!(asked.look(&disk), Seen::Ended);
    assert_eq!(asked.found().len(), 3);
}

#[test]
fn what_a_new_run_appends_to_an_old_recording_is_taken_alone() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    disk.write("s0.ts").list("s.m3u8", 0, &["s0.ts"], true).wait(600);
    eyes.look(&disk);
    disk.write("s1.ts").list("s.m3u8", 0, &["s0.ts", "-s1.ts"], false);
    assert_eq!(eyes.look(&disk), MORE);
    assert_eq!(eyes.found(), ["1=s1.ts"]);
}

#[test]
fn a_recording_with_long_segments_is_not_old_when_it_goes_on() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    disk.write("s0.ts").list("s.m3u8", 0, &["s0.ts"], false).wait(90);
    assert!(matches!(eyes.look(&disk), Seen::Waiting(Waiting::NewRecording { .. })));
    disk.write("s1.ts").list("s.m3u8", 0, &["s0.ts", "s1.ts"], false);
    eyes.look(&disk);
    assert_eq!(eyes.found(), ["0=s0.ts", "1=s1.ts"]);
}

#[test]
fn a_recorder_with_a_slow_clock_is_not_old_while_it_writes() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    let ahead = Duration::from_hours(1);
    let look = |eyes: &mut Eyes, disk: &Disk| {
        let mut seen_by_us = disk.clone();
        seen_by_us.now += ahead;
        eyes.look(&seen_by_us)
    };
    assert!(matches!(
        look(&mut eyes, disk.record(0, 1, 99)),
        Seen::Waiting(Waiting::NewRecording { .. })
    ));
    look(&mut eyes, disk.record(1, 2, 99));
    assert_eq!(eyes.found(), ["0=s0.ts", "1=s1.ts"]);
}

#[test]
fn what_a_session_that_died_left_is_taken_however_old_it_is() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    eyes.look(disk.record(0, 2, 99));
    disk.record(2, 4, 99).end(0, 4).wait(9999);
    eyes.restart(false);
    assert_eq!(eyes.look(&disk), Seen::Ended);
    assert_eq!(eyes.found(), ["0=s0.ts", "1=s1.ts", "2=s2.ts", "3=s3.ts"]);
}

#[test]
fn after_a_finished_session_an_old_recording_is_old() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    eyes.look(disk.record(0, 2, 99));
    eyes.found();
    eyes.restart(true);
    let old = waiting(Waiting::NewRecording { old: "s.m3u8".into() });
    assert_eq!(eyes.look(disk.record(2, 4, 99).end(0, 4).wait(9999)), old);
    eyes.look(disk.record(0, 1, 99));
    assert_eq!(eyes.found(), ["-0=s0.ts"]);
}

#[test]
fn a_daemon_stopped_and_started_while_the_recorder_goes_on_is_no_discontinuity() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    eyes.look(disk.record(0, 2, 99));
    for finished in [true, false] {
        eyes.restart(finished);
        let next = u64::try_from(eyes.taken.len()).unwrap();
        eyes.look(disk.record(next, next + 2, 99));
    }
    let want: Vec<_> = (0..6).map(|n| format!("{n}=s{n}.ts")).collect();
    assert_eq!(eyes.found(), want);
}

#[test]
fn a_half_written_list_is_read_again() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    eyes.look(disk.record(0, 3, 99));
    let (_, whole) = disk.record(3, 4, 99).files["s.m3u8"].clone();
    let whole = whole.unwrap();
    for cut in 0..whole.len() {
        disk.put("s.m3u8", Some(whole[..cut].to_owned()));
        eyes.look(&disk);
    }
    eyes.look(disk.put("s.m3u8", Some(whole)));
    assert_eq!(eyes.found(), ["0=s0.ts", "1=s1.ts", "2=s2.ts", "3=s3.ts"]);
    assert!(eyes.warnings.is_empty(), "{:?}", eyes.warnings);
}

#[test]
fn a_recorder_that_leaves_out_the_last_line_end_is_only_a_little_slower() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    let text = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\ns0.ts".to_owned();
    disk.write("s0.ts").put("s.m3u8", Some(text));
    assert_eq!(eyes.look(&disk), waiting(Waiting::List));
    assert_eq!(eyes.look(disk.wait(1)), MORE);
    assert_eq!(eyes.found(), ["0=s0.ts"]);
}

#[test]
fn a_list_that_stays_unreadable_is_told_of_once() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    disk.write("s0.ts").put("s.m3u8", Some("no list".to_owned()));
    for _ in 0..4 {
        assert_eq!(eyes.look(&disk), waiting(Waiting::List));
    }
    assert_eq!(eyes.warnings, ["the list s.m3u8 cannot be read"]);
    eyes.look(disk.list("s.m3u8", 0, &["s0.ts"], false));
    assert_eq!(eyes.found(), ["0=s0.ts"]);
}

#[test]
fn a_multivariant_list_beside_the_media_list_is_passed_over() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    disk.record(0, 1, 99);
    let text = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\ns.m3u8\n".to_owned();
    eyes.look(disk.put("master.m3u8", Some(text)));
    assert_eq!(eyes.found(), ["0=s0.ts"]);
}

#[test]
fn a_listed_file_that_shows_late_is_waited_for_and_then_given_up() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    disk.record(0, 3, 99);
    let late = disk.files["s1.ts"].clone();
    disk.remove("s1.ts");
    assert_eq!(eyes.look(&disk), MORE);
    assert_eq!(eyes.look(disk.wait(2)), MORE);
    disk.files.insert("s1.ts".to_owned(), late);
    eyes.look(disk.wait(2).remove("s2.ts"));
    assert_eq!(eyes.look(disk.wait(2)), MORE);
    assert_eq!(eyes.found(), ["0=s0.ts", "1=s1.ts"]);
    eyes.look(disk.record(3, 4, 99));
    assert_eq!(eyes.found(), ["-3=s3.ts"]);
    assert!(eyes.warnings[0].starts_with("s2.ts is listed, but"), "{:?}", eyes.warnings);
}

#[test]
fn a_file_newer_than_its_list_is_not_what_was_listed() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    // The recorder stopped and is writing a new run over the old segments, whose list is still there.
    disk.record(0, 3, 99).end(0, 3).wait(9).write("s0.ts");
    assert_eq!(eyes.look(&disk), MORE);
    disk.wait(4).write("s0.ts").wait(4);
    assert_eq!(eyes.look(&disk), MORE);
    eyes.look(disk.record(0, 1, 99));
    assert_eq!(eyes.found(), ["0=s0.ts"]);
    // A folder that somebody copied may have times in any order: what is left alone is taken.
    let mut copied = Eyes::new();
    disk.end(0, 1).wait(1).write("s0.ts").wait(6);
    assert_eq!(copied.look(&disk), Seen::Ended);
    assert_eq!(copied.found(), ["0=s0.ts"]);
}

#[test]
fn a_segment_with_a_successor_is_taken_when_the_list_stands_still() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    eyes.look(disk.record(0, 1, 99));
    assert_eq!(eyes.look(disk.wait(10).write("s1.ts").write("s2.ts")), MORE);
    assert_eq!(eyes.found(), ["0=s0.ts"]);
    assert_eq!(eyes.look(disk.wait(10).write("s2.ts")), MORE);
    assert_eq!(eyes.found(), ["1=s1.ts"], "s2 is the newest and may be incomplete");
    eyes.look(disk.record(2, 3, 99));
    assert_eq!(eyes.found(), ["2=s2.ts"]);
}

#[test]
fn what_cannot_be_published_is_refused_with_the_reason() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    let text =
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MAP:URI=\"../init.mp4\"\n#EXTINF:10,\ns0.m4s\n";
    disk.write("init.mp4").write("s0.m4s").put("s.m3u8", Some(text.to_owned()));
    let refused = Refused { list: "s.m3u8".into(), reason: Unsupported::Map };
    assert_eq!(eyes.look(&disk), Seen::Refused(refused));
    // An old one of that kind is none of our business.
    assert!(matches!(Eyes::new().look(disk.wait(99)), Seen::Waiting(_)));
}

/// A list of fragments with the number of the first, each with the section that it names.
fn fragments(first: u64, segments: &[(&str, &str)]) -> String {
    let head = format!("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:{first}\n");
    let lines = segments
        .iter()
        .map(|(section, name)| format!("#EXT-X-MAP:URI=\"{section}\"\n#EXTINF:10,\n{name}\n"));
    head + &lines.collect::<String>()
}

#[test]
fn fragments_come_with_the_section_that_is_in_force() {
    let (mut disk, mut engine) = (Disk::new(), Folder::new(false));
    for name in ["a.mp4", "s0.m4s", "s1.m4s", "b.mp4", "s2.m4s"] {
        disk.write(name);
    }
    // The first has left the list; the last is behind a list that stands still.
    let list = fragments(1, &[("a.mp4", "s1.m4s"), ("b.mp4", "s2.m4s")]);
    disk.put("s.m3u8", Some(list)).write("s3.m4s").write("s4.m4s");
    let mut sections = Vec::new();
    for _ in 0..2 {
        assert_eq!(engine.look(&disk.snapshot(), disk.now), None);
        while let Seen::Segment(segment) = engine.next(&disk.snapshot(), disk.now) {
            sections.push(format!("{} {}", segment.name, segment.section.as_deref().unwrap()));
            engine.taken(&segment);
        }
        disk.wait(25);
    }
    assert_eq!(sections, ["s0.m4s a.mp4", "s1.m4s a.mp4", "s2.m4s b.mp4", "s3.m4s b.mp4"]);
}

#[test]
fn fragments_whose_section_never_comes_are_given_up() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    let list = fragments(0, &[("b.mp4", "s0.m4s"), ("a.mp4", "s1.m4s"), ("b.mp4", "s2.m4s")]);
    disk.write("b.mp4").write("s0.m4s").write("s1.m4s").write("s2.m4s");
    disk.put("s.m3u8", Some(list));
    assert_eq!(eyes.look(&disk), MORE);
    assert_eq!(eyes.found(), ["0=s0.m4s"], "a folder on a network may show the rest later");
    eyes.look(disk.wait(4));
    assert_eq!(eyes.found(), ["-2=s2.m4s"]);
    assert!(eyes.warnings[0].starts_with("a.mp4 is listed, but"), "{:?}", eyes.warnings);
}

#[test]
fn a_segment_that_the_recorder_lost_leaves_a_discontinuity() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    let text = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\ns0.ts\n#EXT-X-GAP\n#EXTINF:10,\ns1.ts\n\
                #EXTINF:10,\ns2.ts\n";
    disk.write("s0.ts").write("s2.ts").put("s.m3u8", Some(text.to_owned()));
    eyes.look(&disk);
    assert_eq!(eyes.found(), ["0=s0.ts", "-2=s2.ts"]);
}

#[test]
fn purged_files_are_no_sign_of_a_new_run() {
    let (mut disk, mut eyes) = (Disk::new(), Eyes::new());
    for n in 0..4 {
        eyes.look(disk.record(n, n + 1, 99));
        disk.remove(&segment(n));
        if n == 2 {
            eyes.restart(false);
        }
    }
    assert_eq!(eyes.found().len(), 4);
    eyes.look(disk.wait(60).record(0, 2, 99));
    assert_eq!(eyes.found(), ["-0=s0.ts", "1=s1.ts"]);
}

/// What a recorder, and those around it, may do.
#[derive(Clone, Debug)]
enum Act {
    Append,
    DaemonRestart,
    HalfList,
    Look,
    NewName,
    Overwrite,
    Record,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Append),
        3 => Just(Act::DaemonRestart),
        2 => Just(Act::HalfList),
        8 => Just(Act::Look),
        2 => Just(Act::NewName),
        2 => Just(Act::Overwrite),
        12 => Just(Act::Record),
    ]
}

/// A recorder that plays all of those, and knows what a daemon must find.
struct Recorder {
    disk: Disk,
    base: String,
    window: usize,
    listed: Vec<String>,
    /// Segments by what is in them: file name and time of writing.
    recorded: Vec<(String, Duration, bool)>,
    broken: bool,
}

impl Recorder {
    fn record(&mut self) {
        let name = format!("{}{}.ts", self.base, self.listed.len());
        self.disk.wait(10).write(&name);
        self.recorded.push((name.clone(), self.disk.now, self.broken));
        let dash = if self.broken && !self.listed.is_empty() { "-" } else { "" };
        self.broken = false;
        self.listed.push(format!("{dash}{name}"));
        self.write_list();
        let next = format!("{}{}.ts", self.base, self.listed.len());
        self.disk.write(&next);
    }

    fn write_list(&mut self) {
        let first = self.listed.len().saturating_sub(self.window);
        let names: Vec<_> = self.listed[first..].iter().map(String::as_str).collect();
        let list = format!("{}.m3u8", self.base);
        self.disk.list(&list, u64::try_from(first).unwrap(), &names, false);
    }

    fn half_list(&mut self, cut: prop::sample::Index) {
        let list = format!("{}.m3u8", self.base);
        let Some((state, Some(text))) = self.disk.files.get(&list).cloned() else { return };
        let half = text[..cut.index(text.len())].to_owned();
        self.disk.files.insert(list.clone(), (state, Some(half)));
        self.disk.files.get_mut(&list).unwrap().0.modified += Duration::from_millis(1);
    }
}

proptest! {
    /// Whatever recorder and daemon do: what is found was recorded, in that order, each once; a break is marked where one
    /// is; and as long as the daemon looks before files are overwritten, nothing is missing.
    #[test]
    fn what_was_recorded_is_found_in_order_and_once(
        acts in prop::collection::vec((any_act(), any::<prop::sample::Index>()), 1..60),
        window in prop::sample::select(vec![2_usize, 5, 999]),
    ) {
        let mut eyes = Eyes::new();
        let mut recorder = Recorder {
            disk: Disk::new(),
            base: "s".to_owned(),
            window,
            listed: Vec::new(),
            recorded: Vec::new(),
            broken: false,
        };
        let mut names = 0;
        for (act, index) in acts {
            match act {
                // A mark that leaves a window unseen is lost; what is in the segments must show it then.
                Act::Append => recorder.broken |= window == 999,
                Act::DaemonRestart if !eyes.taken.is_empty() => eyes.restart(false),
                Act::DaemonRestart => {}
                Act::HalfList => {
                    let before = recorder.disk.clone();
                    recorder.half_list(index);
                    eyes.look(&recorder.disk);
                    recorder.disk = before;
                    if !recorder.listed.is_empty() {
                        recorder.write_list();
                    }
                }
                Act::Look => drop(eyes.look(&recorder.disk)),
                Act::NewName | Act::Overwrite if recorder.listed.is_empty() => {}
                Act::NewName => {
                    // A daemon that begins takes the newest recording and no other.
                    eyes.look(&recorder.disk);
                    names += 1;
                    recorder.base = format!("n{names}-");
                    recorder.listed.clear();
                    recorder.broken = true;
                }
                Act::Overwrite => {
                    (0..3).for_each(|_| drop(eyes.look(&recorder.disk)));
                    recorder.listed.clear();
                    recorder.broken = true;
                }
                Act::Record => recorder.record(),
            }
        }
        for _ in 0..names + 2 {
            eyes.look(&recorder.disk);
        }
        let found: Vec<_> = eyes.taken.iter().map(|s| (s.name.to_string(), s.state.modified)).collect();
        let want: Vec<_> = recorder.recorded.iter().map(|(n, at, _)| (n.clone(), *at)).collect();
        prop_assert_eq!(found, want);
        for (text, (_, _, broken)) in eyes.found.iter().zip(&recorder.recorded).skip(1) {
            prop_assert!(!broken || text.starts_with('-'), "no discontinuity before {}", text);
        }
    }
}

const PART: &str = "#EXT-X-PART:DURATION=1,URI=\"p.ts\"\n";

/// A list of these segments with these lines behind them.
fn with_parts(segments: &[&str], behind: &str) -> String {
    let mut text = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-PART-INF:PART-TARGET=1\n".to_owned();
    text.extend(segments.iter().map(|name| format!("#EXTINF:10,\n{name}\n")));
    text + behind
}

#[rstest]
#[case::two(&[PART, PART], Some((1, 2)))]
#[case::none(&[], None)]
#[case::behind_a_break(&["#EXT-X-DISCONTINUITY\n", PART], None)]
#[case::of_a_list_that_is_closed(&[PART, "#EXT-X-ENDLIST\n"], None)]
fn parts_behind_the_last_segment_taken_are_told(
    #[case] behind: &[&str],
    #[case] told: Option<(u64, usize)>,
) {
    let behind = behind.concat();
    let mut disk = Disk::new();
    disk.write("s0.ts").put("s.m3u8", Some(with_parts(&["s0.ts"], &behind)));
    let mut eyes = Eyes::new();
    assert!(eyes.engine.upcoming().is_none(), "nothing was seen");
    eyes.look(&disk);
    let upcoming = eyes.engine.upcoming();
    assert_eq!(upcoming.map(|upcoming| (upcoming.number, upcoming.parts.len())), told);
}

#[test]
fn no_parts_are_told_while_a_segment_is_to_be_taken_nor_behind_one_that_was_left_out() {
    let mut disk = Disk::new();
    disk.write("s0.ts").put("s.m3u8", Some(with_parts(&["s0.ts", "s1.ts"], PART)));
    let mut eyes = Eyes::new();
    eyes.look(&disk);
    assert_eq!(eyes.found.len(), 1, "the second one is missing");
    assert!(eyes.engine.upcoming().is_none());
    eyes.look(disk.wait(3));
    assert!(eyes.engine.upcoming().is_none(), "it is given up, which leaves a break");
    let text = with_parts(&["s0.ts", "s1.ts", "s2.ts"], PART);
    disk.write("s2.ts").put("s.m3u8", Some(text));
    eyes.look(&disk);
    assert_eq!(eyes.engine.upcoming().map(|upcoming| upcoming.number), Some(3));
}
