//! Sessions beside a real recorder. `cargo test -p alive-streamer --test real_ffmpeg -- --ignored`
#![cfg(test)]

mod support;

use std::{
    collections::HashSet,
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use alive_core::{
    Op, Quality, Stage,
    backend::{SharedBroadcaster, SharedStorage, Storage as _},
};
use alive_streamer::{Backends, Progress, Session, SessionConfig, SessionError, Totals, Warning};
use rstest::rstest;
use support::World;
use tokio::{sync::broadcast::Receiver, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Starts ffmpeg recording `seconds` of a test picture in segments of a second.
fn ffmpeg(world: &World, seconds: u32, options: &str, list: &str) -> Child {
    fs::create_dir_all(world.recordings()).unwrap();
    let (input, output): (Vec<_>, Vec<_>) =
        options.split_whitespace().partition(|option| *option == "-re");
    let source = "testsrc2=size=64x48:rate=10";
    let codec = "-c:v libx264 -preset ultrafast -g 10 -keyint_min 10 -sc_threshold 0";
    let hls = "-f hls -hls_time 1";
    Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(input)
        .args(["-f", "lavfi", "-i", source, "-t", &seconds.to_string()])
        .args(codec.split(' '))
        .args(hls.split(' '))
        .args(output)
        .arg(list)
        .current_dir(world.recordings())
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

struct Running {
    events: Receiver<Progress>,
    stop: CancellationToken,
    task: JoinHandle<Result<Totals, SessionError>>,
}

async fn start(world: &World) -> Running {
    let config = SessionConfig::new(world.stream(), world.recordings(), world.journal())
        .interval(Duration::from_secs(3))
        .keep_watching(true);
    let storage = SharedStorage::new(world.storage.clone());
    let backends = Backends::new(storage, SharedBroadcaster::new(world.broadcaster()));
    let session = Session::open(config, backends, Some(world.view().await)).await.unwrap();
    let (events, stop) = (session.progress(), CancellationToken::new());
    Running { events, task: tokio::spawn(session.run(stop.clone())), stop }
}

impl Running {
    /// Waits for so many segments more.
    async fn found(&mut self, mut count: u64) {
        while count > 0 {
            let event = self.events.recv().await.unwrap();
            count -= u64::from(matches!(event, Progress::Found(_)));
        }
    }

    /// Waits until so many segments more are stored: from then on their files may be overwritten.
    async fn stored(&mut self, mut count: u64) {
        while count > 0 {
            let event = self.events.recv().await.unwrap();
            count -= u64::from(matches!(event, Progress::Stage { stage: Stage::Stored, .. }));
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// What was published, without its bytes: lengths in ms, and where the discontinuities are.
async fn shape(world: &World) -> (Vec<String>, Vec<usize>) {
    let published = world.published().await;
    let broken = published.iter().enumerate().filter(|(_, one)| one.discontinuity);
    let broken = broken.map(|(n, _)| n).collect();
    (published.into_iter().map(|one| one.duration).collect(), broken)
}

fn file(world: &World, name: &str) -> Vec<u8> {
    fs::read(world.recordings().join(name)).unwrap()
}

#[rstest]
#[case::window_of_five("", "s%d.ts")]
#[case::whole_list("-hls_list_size 0", "s%d.ts")]
#[case::event("-hls_playlist_type event -hls_flags temp_file+program_date_time", "s%d.ts")]
#[case::padded("-hls_segment_filename out%03d.ts", "out%03d.ts")]
#[case::numbers_from("-start_number 7 -hls_flags round_durations", "s%d.ts")]
#[tokio::test]
#[ignore = "needs ffmpeg"]
async fn every_segment_of_a_recording_is_published(#[case] options: &str, #[case] names: &str) {
    let world = World::new();
    assert!(ffmpeg(&world, 12, options, "s.m3u8").wait().unwrap().success());
    let mut session = start(&world).await;
    session.found(12).await;
    session.stop().await;
    let published = world.published().await;
    let first = if options.contains("start_number") { 7 } else { 0 };
    for (n, segment) in (first..).zip(&published) {
        let name = names.replace("%03d", &format!("{n:03}")).replace("%d", &n.to_string());
        assert_eq!(segment.bytes, file(&world, &name), "{name}");
        assert_eq!((segment.duration.as_str(), segment.discontinuity), ("1.0", false));
    }
    assert_eq!(published.len(), 12);
}

#[tokio::test]
#[ignore = "needs ffmpeg"]
async fn a_recorder_started_again_overwrites_its_files_with_the_same_bytes() {
    let world = World::new();
    let mut session = start(&world).await;
    for _ in 0..3 {
        assert!(ffmpeg(&world, 4, "-hls_list_size 0", "s.m3u8").wait().unwrap().success());
        session.found(4).await;
    }
    session.stop().await;
    let (lengths, broken) = shape(&world).await;
    assert_eq!((lengths.len(), broken), (12, vec![4, 8]));
}

#[tokio::test]
#[ignore = "needs ffmpeg"]
async fn a_recorder_that_is_killed_and_appends_loses_only_what_it_had_not_listed() {
    let world = World::new();
    let mut session = start(&world).await;
    let options = "-re -hls_list_size 0 -hls_flags append_list";
    let mut killed = ffmpeg(&world, 60, options, "s.m3u8");
    session.found(3).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    // The daemon is started again in between, and finds what was listed before the recorder died.
    session.stop().await;
    let before = world.segments().await.len();
    let mut session = start(&world).await;
    assert!(ffmpeg(&world, 4, &options[4..], "s.m3u8").wait().unwrap().success());
    session.found(4).await;
    session.stop().await;
    let (lengths, broken) = shape(&world).await;
    assert_eq!((lengths.len(), broken), (before + 4, vec![before]));
    let published = world.published().await;
    for (n, segment) in published.iter().enumerate() {
        assert_eq!(segment.bytes, file(&world, &format!("s{n}.ts")));
    }
}

#[tokio::test]
#[ignore = "needs ffmpeg"]
async fn a_recorder_with_another_name_for_each_run_is_followed() {
    let world = World::new();
    let mut session = start(&world).await;
    for run in ["2026-11-21 20-00-00", "2026-11-21 20-05-00"] {
        let recorded = ffmpeg(&world, 4, "", &format!("{run}.m3u8")).wait();
        assert!(recorded.unwrap().success());
        session.found(4).await;
    }
    session.stop().await;
    let (lengths, broken) = shape(&world).await;
    assert_eq!((lengths.len(), broken), (8, vec![4]));
}

#[tokio::test]
#[ignore = "needs ffmpeg"]
async fn times_of_the_day_as_names_are_taken_as_long_as_their_files_last() {
    let world = World::new();
    let mut session = start(&world).await;
    // Most segments share the minute in their name: ffmpeg overwrites a file as soon as it has listed it.
    let options = "-re -hls_list_size 0 -strftime 1 -hls_segment_filename %H%M.ts";
    let recorded = tokio::task::spawn_blocking({
        let mut child = ffmpeg(&world, 6, options, "s.m3u8");
        move || child.wait()
    });
    let (mut found, mut missing) = (0, 0);
    while found + missing < 6 {
        match session.events.recv().await.unwrap() {
            Progress::Found(_) => found += 1,
            Progress::Warning(Warning::Missing { .. }) => missing += 1,
            _ => {}
        }
    }
    assert!(recorded.await.unwrap().unwrap().success());
    session.stop().await;
    let contents: HashSet<_> = world.segments().await.into_iter().map(|one| one.content).collect();
    assert!(found > 0 && contents.len() == found, "no file was taken for two segments");
}

#[tokio::test]
#[ignore = "needs ffmpeg"]
async fn fragments_are_published_with_the_section_of_their_run() {
    let world = World::new();
    let mut running = start(&world).await;
    let fragments = "-re -hls_segment_type fmp4 -hls_list_size 0";
    assert!(ffmpeg(&world, 4, fragments, "stream.m3u8").wait().unwrap().success());
    running.stored(4).await;
    let first = fs::read(world.recordings().join("init.mp4")).unwrap();
    // The recorder comes back with another picture: the same names, and another section.
    let other = format!("{fragments} -vf scale=96:64");
    assert!(ffmpeg(&world, 3, &other, "stream.m3u8").wait().unwrap().success());
    running.found(3).await;
    let second = fs::read(world.recordings().join("init.mp4")).unwrap();
    running.stop().await;
    assert_ne!(first, second);
    let (lengths, broken) = shape(&world).await;
    assert_eq!((lengths.len(), broken), (7, vec![4]));
    let mut sections = Vec::new();
    for op in world.ops().await {
        let Op::Push(push) = op else { continue };
        let section = push.renditions.section(Quality::Src).unwrap();
        sections.push(world.storage.get(section, 1 << 20).await.unwrap().to_vec());
    }
    sections.dedup();
    assert_eq!(sections, [first, second]);
}
