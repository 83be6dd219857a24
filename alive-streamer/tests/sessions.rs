//! Whole sessions by the public interface: a recorder's folder on one side, chain, storage and live cache on the other.
#![cfg(test)]

mod support;

use std::{fs, path::Path, time::Duration};

use alive_core::{
    ChainView, Op, Quality, Seq, Stage,
    backend::{SharedBroadcaster, SharedLiveCache, SharedStorage, Storage as _},
    testing::{Call, Fault, Flaky},
};
use alive_streamer::{
    Backends, Found, JournalFileError, Progress, Session, SessionConfig, SessionError, Totals,
    Waiting, Warning,
};
use support::World;
use tokio::sync::broadcast::Receiver;
use tokio_util::sync::CancellationToken;

fn config(world: &World) -> SessionConfig {
    SessionConfig::new(world.stream(), world.recordings(), world.journal())
        .interval(Duration::from_secs(25))
        .seed(1)
}

fn backends(world: &World) -> Backends {
    let storage = SharedStorage::new(world.storage.clone());
    Backends::new(storage, SharedBroadcaster::new(world.broadcaster()))
        .live(SharedLiveCache::new(world.live.clone()))
}

async fn open(world: &World, config: SessionConfig) -> Session {
    Session::open(config, backends(world), Some(world.view().await)).await.unwrap()
}

async fn run(world: &World, config: SessionConfig) -> Result<Totals, SessionError> {
    open(world, config).await.run(CancellationToken::new()).await
}

/// Waits for an event.
async fn until(events: &mut Receiver<Progress>, wanted: impl Fn(&Progress) -> bool) -> Progress {
    loop {
        let event = events.recv().await.unwrap();
        if wanted(&event) {
            return event;
        }
    }
}

fn found_all(events: &mut Receiver<Progress>) -> Vec<Found> {
    let events = std::iter::from_fn(|| events.try_recv().ok());
    events.filter_map(|event| if let Progress::Found(f) = event { Some(f) } else { None }).collect()
}

fn warnings(events: &mut Receiver<Progress>) -> Vec<String> {
    let events = std::iter::from_fn(|| events.try_recv().ok());
    let warnings = events.filter_map(|event| match event {
        Progress::Warning(warning) => Some(warning.to_string()),
        _ => None,
    });
    warnings.collect()
}

#[tokio::test(start_paused = true)]
async fn a_whole_recording_comes_back_byte_for_byte() {
    let world = World::new();
    let recorder = world.recorder("ts-6x10s").record_all();
    let session = open(&world, config(&world).end_stream(true)).await;
    let mut events = session.progress();
    let totals = session.run(CancellationToken::new()).await.unwrap();
    let want = recorder.all(&[]);
    assert_eq!(world.published().await, want);
    // In order; what the chain had first needs no announcement any more.
    let (announced, segments) = (world.announced().await, world.segments().await);
    assert!(!announced.is_empty() && segments.starts_with(&announced), "{announced:?}");
    let bytes: usize = want.iter().map(|segment| segment.bytes.len()).sum();
    assert_eq!((totals.segments, totals.lost, totals.bytes), (6, 0, bytes as u64));
    assert_eq!((totals.chunks, totals.operations), (1, 2), "a chunk, its push, the end");
    let found = found_all(&mut events);
    assert_eq!(found.len(), 6);
    assert_eq!(found[0].codecs.as_deref(), Some("avc1.4d4015,mp4a.40.2"));
    assert_eq!(found[0].starts_with_key_frame, Some(true));
    assert!(matches!(world.ops().await.last(), Some(Op::End(_))));
}

#[tokio::test(start_paused = true)]
async fn a_resumed_recording_has_one_discontinuity_and_it_is_in_its_place() {
    let world = World::new();
    let recorder = world.recorder("resumed").record_all();
    run(&world, config(&world)).await.unwrap();
    assert_eq!(world.published().await, recorder.all(&[3]));
}

#[tokio::test(start_paused = true)]
async fn a_break_that_the_recorder_does_not_mark_is_seen_in_the_segments() {
    let world = World::new();
    let recorder = world.recorder("resumed").record_all();
    let list = world.recordings().join("stream.m3u8");
    let text = fs::read_to_string(&list).unwrap().replace("#EXT-X-DISCONTINUITY\n", "");
    fs::write(&list, text).unwrap();
    run(&world, config(&world)).await.unwrap();
    assert_eq!(world.published().await, recorder.all(&[3]));
}

#[tokio::test(start_paused = true)]
async fn segments_go_out_while_the_recording_goes_on() {
    let world = World::new();
    let mut recorder = world.recorder("ts-6x10s");
    let session = open(&world, config(&world).interval(Duration::ZERO)).await;
    let mut events = session.progress();
    let task = tokio::spawn(session.run(CancellationToken::new()));
    until(&mut events, |e| matches!(e, Progress::Waiting(Waiting::Recording))).await;
    let mut number = 0;
    while recorder.step() {
        let on_chain = |e: &Progress| matches!(e, Progress::Stage { number: n, stage: Stage::OnChain } if *n == number);
        until(&mut events, on_chain).await;
        assert_eq!(world.segments().await.len() as u64, number + 1, "each is pushed by itself");
        number += 1;
    }
    let totals = task.await.unwrap().unwrap();
    assert_eq!((totals.chunks, totals.operations), (0, 6));
    assert_eq!(world.published().await, recorder.all(&[]));
}

#[tokio::test(start_paused = true)]
async fn stopping_brings_what_is_complete_to_the_chain_and_starting_goes_on_without_a_break() {
    let world = World::new();
    let mut recorder = world.recorder("ts-6x10s");
    for recorded in [2, 4, 6] {
        assert!(recorder.step());
        let session = open(&world, config(&world).interval(Duration::from_mins(5))).await;
        let mut events = session.progress();
        let stop = CancellationToken::new();
        let task = tokio::spawn(session.run(stop.clone()));
        until(&mut events, |e| matches!(e, Progress::Found(_))).await;
        // The segment that was just listed is not forgotten, although no look at the folder is due.
        assert!(recorder.step());
        stop.cancel();
        task.await.unwrap().unwrap();
        assert_eq!(world.published().await, recorder.all(&[])[..recorded]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_is_started_again_makes_a_new_run_with_a_discontinuity() {
    let world = World::new();
    let first = world.recorder("ts-6x10s").record_all();
    let session = open(&world, config(&world).keep_watching(true)).await;
    let mut events = session.progress();
    let stop = CancellationToken::new();
    let task = tokio::spawn(session.run(stop.clone()));
    // Segments are stored side by side: what is overwritten before that is lost.
    for _ in 0..6 {
        until(&mut events, |e| matches!(e, Progress::Stage { stage: Stage::Stored, .. })).await;
    }
    let second = world.recorder("resumed").record_all();
    for _ in 0..6 {
        until(&mut events, |e| matches!(e, Progress::Stage { stage: Stage::Stored, .. })).await;
    }
    stop.cancel();
    task.await.unwrap().unwrap();
    assert_eq!(world.published().await, [first.all(&[]), second.all(&[0, 3])].concat());
}

#[tokio::test(start_paused = true)]
async fn faults_that_pass_change_nothing_but_the_time() {
    let world = World::new();
    let recorder = world.recorder("resumed").record_all();
    // Of every three calls one fails and one only seems to.
    let plan = |call: Call| match call.number % 3 {
        0 => Fault::Unavailable,
        1 => Fault::Lost,
        _ => Fault::Pass,
    };
    let backends = Backends::new(
        SharedStorage::new(Flaky::new(world.storage.clone(), plan)),
        SharedBroadcaster::new(Flaky::new(world.broadcaster(), plan)),
    )
    .live(SharedLiveCache::new(Flaky::new(world.live.clone(), plan)));
    let session = Session::open(config(&world), backends, None).await.unwrap();
    let mut events = session.progress();
    session.run(CancellationToken::new()).await.unwrap();
    assert_eq!(world.published().await, recorder.all(&[3]));
    let announced = world.announced().await;
    assert_eq!(announced, world.segments().await[..announced.len()]);
    assert!(warnings(&mut events).iter().any(|w| w.contains("Broadcast")));
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_refuses_ends_the_session_and_a_later_one_goes_on() {
    let world = World::new();
    let recorder = world.recorder("ts-6x10s").record_all();
    let refuse = |call: Call| if call.number < 2 { Fault::Pass } else { Fault::Refused };
    let refusing = Backends::new(
        SharedStorage::new(Flaky::new(world.storage.clone(), refuse)),
        SharedBroadcaster::new(world.broadcaster()),
    );
    let session = Session::open(config(&world), refusing, None).await.unwrap();
    let error = session.run(CancellationToken::new()).await.unwrap_err();
    assert!(matches!(&error, SessionError::Storage { what, .. } if what.starts_with("segment")));
    run(&world, config(&world)).await.unwrap();
    assert_eq!(world.published().await, recorder.all(&[]));
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_refuses_ends_the_session_and_a_later_one_sends_the_same_push() {
    let world = World::new();
    let recorder = world.recorder("ts-6x10s").record_all();
    let refusing = Backends::new(
        SharedStorage::new(world.storage.clone()),
        SharedBroadcaster::new(Flaky::new(world.broadcaster(), |_| Fault::Refused)),
    );
    let session = Session::open(config(&world), refusing, None).await.unwrap();
    let error = session.run(CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, SessionError::Broadcast { .. }), "{error}");
    let session = open(&world, config(&world)).await;
    assert_eq!(session.backlog(), 6);
    session.run(CancellationToken::new()).await.unwrap();
    assert_eq!(world.published().await, recorder.all(&[]));
}

#[tokio::test(start_paused = true)]
async fn a_live_cache_that_refuses_ends_no_stream() {
    let world = World::new();
    let recorder = world.recorder("ts-6x10s").record_all();
    let live = Flaky::new(world.live.clone(), |_| Fault::Refused);
    let backends = backends(&world).live(SharedLiveCache::new(live));
    let session = Session::open(config(&world), backends, None).await.unwrap();
    session.run(CancellationToken::new()).await.unwrap();
    assert_eq!(world.published().await, recorder.all(&[]));
}

#[tokio::test(start_paused = true)]
async fn stopping_takes_no_longer_than_it_may() {
    let world = World::new();
    let recorder = world.recorder("ts-6x10s").record_all();
    let dead = Backends::new(
        SharedStorage::new(world.storage.clone()),
        SharedBroadcaster::new(Flaky::new(world.broadcaster(), |_| Fault::Unavailable)),
    );
    let config = || config(&world).flush_timeout(Some(Duration::from_secs(5)));
    let session = Session::open(config(), dead, None).await.unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    let error = session.run(stop).await.unwrap_err();
    assert!(matches!(error, SessionError::Deadline { left: 6 }), "{error}");
    run(&world, config()).await.unwrap();
    assert_eq!(world.published().await, recorder.all(&[]));
}

#[tokio::test(start_paused = true)]
async fn purged_files_are_those_that_are_stored() {
    let world = World::new();
    let recorder = world.recorder("ts-6x10s").record_all();
    run(&world, config(&world).purge(true)).await.unwrap();
    assert_eq!(names(&world.recordings()), ["stream.m3u8"]);
    assert_eq!(world.published().await, recorder.all(&[]));
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_a_crash_cut_off_is_made_up_for() {
    let world = World::new();
    let recorder = world.recorder("ts-6x10s").record_all();
    let hang = |_| Fault::Hang;
    let hanging = Backends::new(
        SharedStorage::new(world.storage.clone()),
        SharedBroadcaster::new(Flaky::new(world.broadcaster(), hang)),
    );
    // It does not purge yet, and never gets to the chain.
    let session = Session::open(config(&world), hanging, None).await.unwrap();
    let cut = tokio::time::timeout(Duration::from_secs(999), session.run(CancellationToken::new()));
    assert!(cut.await.is_err());
    assert_eq!(names(&world.recordings()).len(), 7);
    run(&world, config(&world).purge(true)).await.unwrap();
    assert_eq!(names(&world.recordings()), ["stream.m3u8"]);
    assert_eq!(world.published().await, recorder.all(&[]));
}

#[tokio::test(start_paused = true)]
async fn a_file_overwritten_before_it_was_stored_is_lost_and_never_sent_under_its_number() {
    let world = World::new();
    let mut recorder = world.recorder("ts-6x10s");
    (0..3).for_each(|_| assert!(recorder.step()));
    let dead = Flaky::new(world.storage.clone(), |_| Fault::Unavailable);
    let broken =
        Backends::new(SharedStorage::new(dead), SharedBroadcaster::new(world.broadcaster()));
    let session = Session::open(config(&world), broken, None).await.unwrap();
    let cut = tokio::time::timeout(Duration::from_secs(99), session.run(CancellationToken::new()));
    assert!(cut.await.is_err(), "three segments are in the journal, none is stored");
    // Another recording takes the names of the first two, and goes on to the end.
    let mut second = world.recorder("resumed");
    (0..2).for_each(|_| assert!(second.step()));
    let session = open(&world, config(&world)).await;
    let mut events = session.progress();
    let stop = CancellationToken::new();
    let task = tokio::spawn(session.run(stop.clone()));
    until(&mut events, |e| matches!(e, Progress::Stage { number: 4, stage: Stage::Stored })).await;
    stop.cancel();
    let totals = task.await.unwrap().unwrap();
    // The third segment's file was begun anew by the second recorder, too.
    assert_eq!((totals.segments, totals.lost), (2, 3));
    assert_eq!(world.published().await, second.all(&[0])[..2]);
}

#[tokio::test(start_paused = true)]
async fn a_full_stream_takes_its_last_push_and_ends_with_an_error() {
    let world = World::new();
    world.recorder("ts-6x10s").record_all();
    let view = ChainView { finalized: Seq::new(17_279), ..ChainView::default() };
    // One store after the other, so that the first segment goes into the last push alone.
    let config = config(&world).interval(Duration::ZERO).end_stream(true).parallel_stores(1);
    let session = Session::open(config, backends(&world), Some(view)).await.unwrap();
    let ended = session.run(CancellationToken::new()).await;
    assert!(matches!(ended, Err(SessionError::Full { .. })), "{ended:?}");
    let ops = world.ops().await;
    let [Op::Push(push), Op::End(_)] = &ops[..] else { panic!("{ops:?}") };
    assert_eq!(push.seq, Seq::MAX);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_measured_is_published_by_the_recorders_word() {
    let world = World::new();
    fs::create_dir_all(world.recordings()).unwrap();
    fs::write(world.recordings().join("a.aac"), "no transport stream").unwrap();
    let list = "#EXTM3U\n#EXT-X-TARGETDURATION:8\n#EXTINF:7.25,\na.aac\n#EXT-X-ENDLIST\n";
    fs::write(world.recordings().join("a.m3u8"), list).unwrap();
    let session = open(&world, config(&world)).await;
    let mut events = session.progress();
    session.run(CancellationToken::new()).await.unwrap();
    let published = world.published().await;
    assert_eq!((published.len(), published[0].duration.as_str()), (1, "7.25"));
    assert_eq!(warnings(&mut events), ["a.aac cannot be measured"]);
}

#[tokio::test(start_paused = true)]
async fn segments_that_are_empty_or_too_large_are_left_out_with_a_discontinuity() {
    let world = World::new();
    let recorder = world.recorder("ts-6x10s").record_all();
    let file = |n: u32| world.recordings().join(format!("stream{n}.ts"));
    let list = world.recordings().join("stream.m3u8");
    let text = fs::read(&list).unwrap();
    fs::write(file(1), "").unwrap();
    fs::write(file(3), vec![0x47; 188 * 400]).unwrap();
    fs::write(&list, text).unwrap();
    let session = open(&world, config(&world).max_segment_bytes(71_000)).await;
    let mut events = session.progress();
    session.run(CancellationToken::new()).await.unwrap();
    let mut want = recorder.all(&[2, 4]);
    want.remove(3);
    want.remove(1);
    assert_eq!(world.published().await, want);
    let told = warnings(&mut events);
    let too_large = "stream3.ts has 75200 bytes, 71000 are the most that is taken";
    assert_eq!(told, ["stream1.ts is empty", too_large]);
}

#[tokio::test(start_paused = true)]
async fn a_length_that_the_recorder_has_wrong_is_measured() {
    let world = World::new();
    let mut recorder = world.recorder("ts-6x10s");
    recorder.step();
    let list = world.recordings().join("stream.m3u8");
    let text = fs::read_to_string(&list).unwrap().replace("10.000000", "4");
    fs::write(&list, text + "#EXT-X-ENDLIST\n").unwrap();
    let session = open(&world, config(&world)).await;
    let mut events = session.progress();
    session.run(CancellationToken::new()).await.unwrap();
    // The sound is 9.89 s long and does not bear the recorder out.
    assert_eq!(world.published().await[0].duration, "10.0");
    let told = warnings(&mut events);
    assert_eq!(told, ["stream0.ts lasts 10s by its time stamps and 4s by its list; 10.0 s taken"]);
}

/// Copies the sample of fragments into the folder, its first segments only.
fn record_fragments(world: &World, count: usize) {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media/fmp4");
    fs::create_dir_all(world.recordings()).unwrap();
    let mut names: Vec<_> = (0..count).map(|n| format!("stream{n}.m4s")).collect();
    names.push("init.mp4".to_owned());
    for name in names {
        let bytes = fs::read(Path::new(sample).join(&name)).unwrap();
        fs::write(world.recordings().join(name), bytes).unwrap();
    }
    let list = fs::read_to_string(Path::new(sample).join("stream.m3u8")).unwrap();
    let until = format!("stream{}.m4s\n", count - 1);
    let end = list.find(&until).unwrap() + until.len();
    let rest = if count == 3 { "#EXT-X-ENDLIST\n" } else { "" };
    fs::write(world.recordings().join("stream.m3u8"), list[..end].to_owned() + rest).unwrap();
}

/// The initialisation section that each push names, with its bytes.
async fn sections(world: &World) -> Vec<Option<Vec<u8>>> {
    let mut sections = Vec::new();
    for op in world.ops().await {
        let Op::Push(push) = op else { continue };
        sections.push(match push.renditions.section(Quality::Src) {
            Some(id) => Some(world.storage.get(id, 1 << 20).await.unwrap().to_vec()),
            None => None,
        });
    }
    sections
}

#[tokio::test(start_paused = true)]
async fn fragmented_mp4_is_published_with_its_section() {
    let world = World::new();
    record_fragments(&world, 3);
    let init = fs::read(world.recordings().join("init.mp4")).unwrap();
    let session = open(&world, config(&world)).await;
    let mut events = session.progress();
    session.run(CancellationToken::new()).await.unwrap();
    let published = world.published().await;
    let names =
        (0..3).map(|n| fs::read(world.recordings().join(format!("stream{n}.m4s"))).unwrap());
    assert_eq!(
        published.iter().map(|one| one.bytes.clone()).collect::<Vec<_>>(),
        names.collect::<Vec<_>>()
    );
    assert!(published.iter().all(|one| one.duration == "10.0" && !one.discontinuity));
    assert_eq!(sections(&world).await, [Some(init)]);
    let codecs = until(&mut events, |event| matches!(event, Progress::Found(_))).await;
    let Progress::Found(found) = codecs else { unreachable!() };
    assert_eq!(found.codecs.as_deref(), Some("avc1.4d4015,mp4a.40.2"));
    assert_eq!(warnings(&mut events), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_section_that_a_restart_overwrites_is_another_one_from_then_on() {
    let world = World::new();
    record_fragments(&world, 1);
    let first = fs::read(world.recordings().join("init.mp4")).unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    open(&world, config(&world)).await.run(stop.clone()).await.unwrap();
    // The recorder comes back with other settings: the name is the same, its content is not.
    record_fragments(&world, 3);
    let second = [&first[..], &[0, 0, 0, 8], b"free"].concat();
    fs::write(world.recordings().join("init.mp4"), &second).unwrap();
    open(&world, config(&world)).await.run(CancellationToken::new()).await.unwrap();
    let broken: Vec<_> = world.segments().await.iter().map(|s| s.flags.discontinuity()).collect();
    let told = sections(&world).await;
    let run = told.iter().filter(|section| **section == Some(first.clone())).count();
    assert!(run >= 1 && told.last() == Some(&Some(second)), "{}", told.len());
    assert_eq!(broken.iter().filter(|broken| **broken).count(), 1, "{broken:?}");
    assert!(!broken[0]);
}

#[tokio::test(start_paused = true)]
async fn an_old_recording_waits_for_a_new_one_unless_asked_for() {
    let world = World::new();
    let recorder = world.recorder("ts-6x10s").record_all();
    let old = std::time::SystemTime::now() - Duration::from_hours(1);
    for name in names(&world.recordings()) {
        let file = fs::File::options().append(true).open(world.recordings().join(name)).unwrap();
        file.set_modified(old).unwrap();
    }
    let session = open(&world, config(&world)).await;
    let mut events = session.progress();
    let stop = CancellationToken::new();
    let task = tokio::spawn(session.run(stop.clone()));
    let waits = |e: &Progress| matches!(e, Progress::Waiting(Waiting::NewRecording { .. }));
    until(&mut events, waits).await;
    stop.cancel();
    assert_eq!(task.await.unwrap().unwrap(), Totals::default());
    run(&world, config(&world).accept_old(true)).await.unwrap();
    assert_eq!(world.published().await, recorder.all(&[]));
}

#[tokio::test(start_paused = true)]
async fn a_stream_begun_elsewhere_goes_on_behind_its_last_push_with_a_discontinuity() {
    let world = World::new();
    let push = r#"{"op":0,"link":"s","seq":0,"src":"QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH","len":4}"#;
    assert!(world.chain.submit("alice".parse().unwrap(), push.to_owned()));
    world.chain.produce(alive_core::Timestamp::EPOCH);
    world.recorder("ts-6x10s").record_all();
    run(&world, config(&world)).await.unwrap();
    let segments = world.segments().await;
    let broken: Vec<_> = segments.iter().map(|s| s.flags.discontinuity()).collect();
    assert_eq!(broken, [false, true, false, false, false, false, false]);
    assert_eq!(world.indexed().await.info().head, Seq::new(1));
}

#[tokio::test(start_paused = true)]
async fn only_the_account_of_the_stream_may_sign_and_only_one_session_has_a_journal() {
    let world = World::new();
    let bob = SharedBroadcaster::new(world.chain.broadcaster("bob".parse().unwrap()));
    let of_bob = Backends::new(SharedStorage::new(world.storage.clone()), bob);
    let error = Session::open(config(&world), of_bob, None).await.unwrap_err();
    assert_eq!(error.to_string(), "operations of stream hive/alice/s cannot be signed by hive/bob");
    let _open = open(&world, config(&world)).await;
    let error = Session::open(config(&world), backends(&world), None).await.unwrap_err();
    assert!(matches!(error, SessionError::Journal(JournalFileError::Locked(_))), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_is_stored_is_never_stored_again_by_a_later_session() {
    let world = World::new();
    let mut recorder = world.recorder("ts-6x10s");
    for n in 1..=6 {
        recorder.step();
        let counted = Flaky::new(world.storage.clone(), |_| Fault::Pass);
        let one = Backends::new(
            SharedStorage::new(counted.clone()),
            SharedBroadcaster::new(world.broadcaster()),
        );
        let session = Session::open(config(&world), one, None).await.unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        session.run(stop).await.unwrap();
        assert_eq!((counted.calls(), world.segments().await.len()), (1, n));
    }
    assert_eq!(world.published().await, recorder.all(&[]));
}

#[tokio::test(start_paused = true)]
async fn warnings_say_why_in_their_sources() {
    let world = World::new();
    fs::create_dir_all(world.recordings()).unwrap();
    fs::write(world.recordings().join("a.m3u8"), "#EXTM3U\n").unwrap();
    let session = open(&world, config(&world)).await;
    let mut events = session.progress();
    let stop = CancellationToken::new();
    let task = tokio::spawn(session.run(stop.clone()));
    let event = until(&mut events, |e| matches!(e, Progress::Warning(_))).await;
    let Progress::Warning(warning @ Warning::List { .. }) = event else { panic!("{event:?}") };
    assert!(std::error::Error::source(&warning).is_some());
    stop.cancel();
    task.await.unwrap().unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
