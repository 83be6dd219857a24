//! Renditions of other accounts: whose list the quality menu leads to, while transcoders come, stop and change.

use std::{fs, path::Path};

use alive_core::{
    AccountName, Quality, Segment,
    backend::{SharedStorage, Storage as _},
    memory::MemoryStorage,
};
use alive_node::{Backends, RenditionConfig, RenditionDesk, SegmentBytes, SharedContentReader};
use alive_playlist::Playlist;
use alive_stake::{
    Admission, Amount, Fault, Stake, rendition_link,
    scenario::{Request, Scenario},
};

use crate::support::{Bench, config, content, segments};

const MENU: &str = "/stream/alice/launch/menu.m3u8";

/// The story of the book's scenario, told to a node: ann is elected and stops, ben takes over, and so does the next
/// election; the viewer's menu follows.
#[tokio::test]
async fn when_a_transcoder_stops_the_next_takes_over_and_the_menu_follows() {
    let scenario = scenario();
    let mut stake = scenario.start().unwrap();
    let (mut bench, desk) = start().await;
    let source = segments(0..8);
    run_to(&scenario, &mut stake, 20);
    desk.begin_round(stake.round_set(), b"id of block 20");

    bench.say("alice", r#"{"op":2,"link":"launch"}"#.to_owned());
    bench.say("alice", push("launch", 0, &source[0], None));
    bench.block(&[]).await;
    assert_eq!(bench.menu().await, [of("alice")]);

    // Everybody delivers, but it is ann's turn.
    for (account, first) in [("cleo", 50), ("ann", 100), ("ben", 150)] {
        bench.say(account, format!(r#"{{"op":2,"link":"{}"}}"#, link()));
        bench.say(account, push(&link(), 0, &source[0], Some(first)));
    }
    bench.block(&[]).await;
    let shown = bench.menu().await;
    assert_eq!(shown, [of("alice"), of("ann")]);
    assert_eq!(bench.listed(&shown[1]).await, [content(100).to_string()]);

    // She stops. Two pushes are waited for, and the third is one too many.
    for seq in 1..=2 {
        bench.say("alice", push("launch", seq, &source[usize::from(seq)], None));
        bench.block(&[]).await;
        assert_eq!(bench.menu().await, [of("alice"), of("ann")]);
    }
    bench.say("alice", push("launch", 3, &source[3], None));
    bench.say("ben", push(&link(), 3, &source[3], Some(153)));
    bench.block(&[]).await;
    assert_eq!(bench.menu().await, [of("alice"), of("ben")]);
    assert_eq!((desk.record(&name("ann")).missing, desk.record(&name("ben")).faults()), (1, 0));
    let shown = bench.listed(&of("ben")).await;
    assert_eq!(shown.first(), Some(&content(150).to_string()));

    // It does not help her to come back in the same round.
    bench.say("alice", push("launch", 4, &source[4], None));
    bench.say("ann", push(&link(), 4, &source[4], Some(104)));
    bench.block(&[]).await;
    assert_eq!(bench.menu().await, [of("alice"), of("ben")]);

    // The next election is without her: her stake has moved.
    run_to(&scenario, &mut stake, 40);
    desk.begin_round(stake.round_set(), b"id of block 40");
    bench.say("alice", push("launch", 5, &source[5], None));
    bench.say("ann", push(&link(), 5, &source[5], Some(105)));
    bench.say("ben", push(&link(), 5, &source[5], Some(155)));
    bench.block(&[]).await;
    assert_eq!(bench.menu().await, [of("alice"), of("ben")]);
    assert_eq!(desk.record(&name("ann")).faults(), 1, "it is remembered");

    // Nobody is left when ben and cleo stop, too; the source stays.
    for seq in 6..=7 {
        bench.say("alice", push("launch", seq, &source[usize::from(seq)], None));
    }
    bench.block(&[]).await;
    assert_eq!(bench.menu().await.len(), 2, "within the grace");
    bench.say("alice", push("launch", 8, &segments(8..9)[0], None));
    bench.block(&[]).await;
    // cleo delivered once, long ago; with her turn begins her grace.
    assert_eq!(bench.menu().await, [of("alice"), of("cleo")]);
    for seq in 9..=11 {
        bench.say("alice", push("launch", seq, &segments(9..12)[usize::from(seq) - 9], None));
    }
    bench.block(&[]).await;
    assert_eq!(bench.menu().await, [of("alice")]);
    assert_eq!(desk.record(&name("cleo")).missing, 1);
    bench.node.shutdown().await;
}

#[tokio::test]
async fn what_the_streamer_makes_or_names_comes_first() {
    let (mut bench, desk) = start().await;
    let source = segments(0..2);
    bench.say("alice", r#"{"op":2,"link":"launch"}"#.to_owned());
    bench.say("alice", push("launch", 0, &source[0], None));
    bench.say("dora", format!(r#"{{"op":2,"link":"{}"}}"#, link()));
    bench.say("dora", push(&link(), 0, &source[0], Some(60)));
    bench.block(&[]).await;
    assert_eq!(bench.menu().await, [of("alice")], "nobody is elected, nobody is named");
    let stream = "hive/alice/launch".parse().unwrap();
    desk.with_admission(|admission| admission.name(&stream, Quality::P720, &name("dora"))).unwrap();
    assert_eq!(bench.menu().await, [of("alice"), of("dora")]);

    bench.say("alice", push("launch", 1, &source[1], Some(70)));
    bench.block(&[]).await;
    let own = "../../alice/launch.m3u8?quality=720".to_owned();
    assert_eq!(bench.menu().await, [of("alice"), own]);
    bench.node.shutdown().await;
}

/// A rendition of something else: the push says of another content that it is the source's.
#[tokio::test]
async fn a_rendition_of_another_source_does_not_count() {
    let (mut bench, desk) = start().await;
    let source = segments(0..4);
    let stream = "hive/alice/launch".parse().unwrap();
    desk.with_admission(|admission| admission.name(&stream, Quality::P720, &name("dora"))).unwrap();
    bench.say("alice", r#"{"op":2,"link":"launch"}"#.to_owned());
    bench.say("alice", push("launch", 0, &source[0], None));
    bench.say("dora", format!(r#"{{"op":2,"link":"{}"}}"#, link()));
    bench.say("dora", push(&link(), 0, &segments(9..10)[0], Some(60)));
    bench.block(&[]).await;
    assert_eq!(bench.menu().await, [of("alice")]);
    for seq in 1..=3 {
        bench.say("alice", push("launch", seq, &source[usize::from(seq)], None));
    }
    bench.block(&[]).await;
    assert_eq!(bench.menu().await, [of("alice")]);
    assert_eq!(desk.record(&name("dora")).missing, 1);
    bench.node.shutdown().await;
}

#[tokio::test]
async fn an_undone_push_is_no_delivery() {
    let (mut bench, desk) = start().await;
    let source = segments(0..1);
    let stream = "hive/alice/launch".parse().unwrap();
    desk.with_admission(|admission| admission.name(&stream, Quality::P720, &name("dora"))).unwrap();
    bench.say("alice", r#"{"op":2,"link":"launch"}"#.to_owned());
    bench.say("alice", push("launch", 0, &source[0], None));
    bench.say("dora", format!(r#"{{"op":2,"link":"{}"}}"#, link()));
    bench.block(&[]).await;
    bench.say("dora", push(&link(), 0, &source[0], Some(60)));
    bench.block(&[]).await;
    assert_eq!(bench.menu().await.len(), 2);
    bench.undo(1).await;
    assert_eq!(bench.menu().await, [of("alice")]);
    assert_eq!(desk.record(&name("dora")).faults(), 0);
    bench.node.shutdown().await;
}

#[tokio::test]
async fn there_is_no_menu_of_what_is_not_there_or_without_a_desk() {
    let (bench, _) = start().await;
    assert_eq!(bench.get(MENU).await.status, 404);
    bench.node.shutdown().await;
    let mut bench = Bench::start().await;
    bench.say("alice", r#"{"op":2,"link":"launch"}"#.to_owned());
    bench.block(&[]).await;
    assert_eq!(bench.get(MENU).await.status, 404);
    bench.node.shutdown().await;
}

/// The checks of the probe on a recording with real renditions.
#[tokio::test]
async fn what_fails_the_probe_is_struck_out_and_counted() {
    let (bench, desk) = start().await;
    let stream = "hive/alice/launch".parse().unwrap();
    let accounts = ["ann", "ben", "cleo", "dora"].map(name);
    for account in &accounts {
        let named = |a: &mut Admission| a.name(&stream, Quality::P240, account);
        desk.with_admission(named).unwrap();
    }
    let [ann, ben, cleo, dora] = &accounts;
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/media/abr-3");
    let read = |folder: &str| {
        [0, 1].map(|n| fs::read(media.join(folder).join(format!("stream{n}.ts"))).unwrap())
    };
    let (source, good, large) = (read("src"), read("240p"), read("480p"));
    let judge = |account, rendition: &[Vec<u8>]| {
        let (source, rendition) = (bytes(&source), bytes(rendition));
        desk.judge(&stream, Quality::P240, account, &source, &rendition)
    };
    assert_eq!(judge(ann, &good), Ok(()));
    assert_eq!(judge(ann, &good[..1]), Err(Fault::Count { got: 1, want: 2 }));
    let half = good[1].len() / 188 / 2 * 188;
    let cut = [good[0].clone(), good[1][..half].to_vec()];
    assert_eq!(judge(ben, &cut), Err(Fault::Duration { at: 1 }));
    assert_eq!(judge(cleo, &large), Err(Fault::Resolution { at: 0 }));
    let noise = [good[0].clone(), vec![7; 18_800]];
    assert_eq!(judge(dora, &noise), Err(Fault::Unreadable { at: 1 }));

    let [ann, ben, cleo, dora] = accounts.each_ref().map(|account| desk.record(account));
    assert_eq!((ann.good, ann.count, ann.faults()), (1, 1, 1));
    assert_eq!((ben.duration, cleo.resolution, dora.unreadable), (1, 1, 1));
    assert!(desk.with_admission(|a| a.admitted(&stream, Quality::P240)).is_empty());
    bench.node.shutdown().await;
}

/// What is missing within a segment or between two of them is seen although each plays for the right time.
#[tokio::test]
async fn media_that_is_lost_or_does_not_join_is_a_fault() {
    let (bench, desk) = start().await;
    let stream = "hive/alice/launch".parse().unwrap();
    let [ann, ben] = ["ann", "ben"].map(name);
    for account in [&ann, &ben] {
        let named = |a: &mut Admission| a.name(&stream, Quality::P240, account);
        desk.with_admission(named).unwrap();
    }
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/media/abr-3");
    let read = |folder: &str, n: usize| {
        fs::read(media.join(folder).join(format!("stream{n}.ts"))).unwrap()
    };
    let source = [read("src", 0), read("src", 1)];
    let judge = |account, rendition: &[Vec<u8>]| {
        let (source, rendition) = (bytes(&source), bytes(rendition));
        desk.judge(&stream, Quality::P240, account, &source, &rendition)
    };
    let mut holed = read("240p", 1);
    let middle = holed.len() / 188 / 2 * 188;
    holed.drain(middle..middle + 188);
    assert_eq!(judge(&ann, &[read("240p", 0), holed]), Err(Fault::Damaged { at: 1 }));
    // The encoder was started anew for each segment: both begin at the same time.
    let again = [read("240p", 0), read("240p", 0)];
    assert_eq!(judge(&ben, &again), Err(Fault::Break { at: 1 }));
    assert_eq!((desk.record(&ann).damaged, desk.record(&ben).broken), (1, 1));
    bench.node.shutdown().await;
}

/// The same checks on fragments of MP4, whose renditions are the sample with another section.
#[tokio::test]
async fn fragments_are_judged_behind_their_sections() {
    let (bench, desk) = start().await;
    let stream = "hive/alice/launch".parse().unwrap();
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/media/fmp4");
    let read = |name: &str| fs::read(media.join(name)).unwrap();
    let init = read("init.mp4");
    let source: Vec<_> = (0..3).map(|n| read(&format!("stream{n}.m4s"))).collect();
    let mut low = init.clone();
    let entry = low.windows(4).position(|window| window == b"avc1").unwrap() + 4;
    low[entry + 26..entry + 28].copy_from_slice(&240_u16.to_be_bytes());

    let dora = name("dora");
    desk.with_admission(|a| a.name(&stream, Quality::P240, &dora)).unwrap();
    // Each verdict is of a desk of its own, as who fails is struck out.
    let judge = |section: Option<&[u8]>, rendition: &[Vec<u8>]| {
        let source: Vec<_> =
            source.iter().map(|media| SegmentBytes::new(media).section(&init)).collect();
        let with = |media| match section {
            Some(section) => SegmentBytes::new(media).section(section),
            None => SegmentBytes::new(media),
        };
        let rendition: Vec<_> = rendition.iter().map(|media| with(media)).collect();
        desk.judge(&stream, Quality::P240, &dora, &source, &rendition)
    };
    assert_eq!(judge(Some(&low), &source), Ok(()));
    assert_eq!(desk.record(&dora).good, 1);
    assert_eq!(judge(Some(&init), &source), Err(Fault::Resolution { at: 0 }));
    assert_eq!(judge(None, &source), Err(Fault::Unreadable { at: 0 }), "no section, no media");
    assert_eq!(judge(Some(b"no section"), &source), Err(Fault::Section { at: 0 }));
    let [first, second, third] = &source[..] else { panic!("three segments") };
    let cut = second[..second.len() - 1].to_vec();
    let cut = judge(Some(&low), &[first.clone(), cut, third.clone()]);
    assert_eq!(cut, Err(Fault::Unreadable { at: 1 }), "media that is announced is not there");
    let twice = judge(Some(&low), &[first.clone(), first.clone(), third.clone()]);
    assert_eq!(twice, Err(Fault::Break { at: 1 }));
    let late = judge(Some(&low), &[first.clone(), third.clone(), third.clone()]);
    assert_eq!(late, Err(Fault::Break { at: 1 }));
    // A picture that needs others says that it stands alone.
    let mut no_key = third.clone();
    let media = no_key.windows(4).position(|window| window == b"mdat").unwrap() + 4;
    let slice = (media..no_key.len() - 5).find(|at| is_key_slice(&no_key[*at..])).unwrap();
    no_key[slice + 4] = 0x41;
    let no_key = judge(Some(&low), &[first.clone(), second.clone(), no_key]);
    assert_eq!(no_key, Err(Fault::KeyFrame { at: 2 }));
    assert_eq!(desk.record(&dora).resolution, 1, "only the first fault of a round is counted");
    bench.node.shutdown().await;
}

/// Length and header of the slice of a key frame.
fn is_key_slice(bytes: &[u8]) -> bool {
    let [0, 0, _, _, 0x65, ..] = bytes else { return false };
    true
}

fn bytes(segments: &[Vec<u8>]) -> Vec<SegmentBytes<'_>> {
    segments.iter().map(|media| SegmentBytes::new(media)).collect()
}

/// The menu is measured, named and sent as the list of the streamer's own renditions is.
#[tokio::test]
async fn the_menu_of_the_own_renditions_is_the_list_of_them() {
    let content = alive_storage::MemoryStorage::default();
    let reader = SharedContentReader::new(content.clone());
    let (mut bench, desk) = start_with(|backends| backends.content(reader)).await;
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/media/abr-3");
    let read = |folder: &str| fs::read(media.join(folder).join("stream0.ts")).unwrap();
    let source = content.put(read("src").into()).await.unwrap();
    let low = content.put(read("240p").into()).await.unwrap();
    let middle = content.put(read("480p").into()).await.unwrap();
    bench.say("alice", r#"{"op":2,"link":"launch"}"#.to_owned());
    let push = |link: &str, more: &str| {
        format!(r#"{{"op":0,"link":"{link}","seq":0,"src":"{source}","len":10,{more}}}"#)
    };
    bench.say("alice", push("launch", &format!(r#""240":"{low}""#)));
    bench.block(&[]).await;
    let queries = ["", "?gw=https://gw.example/a", "?l1only=1&gw=https://gw.example"];
    for query in queries {
        let menu = bench.get(&format!("{MENU}{query}")).await;
        let own = bench.get(&format!("/stream/alice/launch/master.m3u8{query}")).await;
        assert_eq!(menu.body, own.body, "{query}");
        assert_eq!(menu.header("cache-control"), "no-cache");
        assert!(menu.text().contains("RESOLUTION=426x240"), "{}", menu.text());
    }
    let bad = bench.get(&format!("{MENU}?gw=https://x%0a%23EXT")).await;
    assert_eq!(bad.status, 400);

    // What another account makes stands in it as it is, too.
    let stream = "hive/alice/launch".parse().unwrap();
    desk.with_admission(|admission| admission.name(&stream, Quality::P720, &name("dora"))).unwrap();
    bench.say("dora", format!(r#"{{"op":2,"link":"{}"}}"#, link()));
    bench.say("dora", push(&link(), &format!(r#""720":"{middle}""#)));
    bench.block(&[]).await;
    assert_eq!(bench.menu().await.last(), Some(&of("dora")));
    let menu = bench.get(MENU).await;
    let last = menu.text().lines().rev().nth(1).unwrap().to_owned();
    assert!(last.contains("avc1.4d4016,mp4a.40.2") && last.contains("854x480"), "{last}");
    bench.node.shutdown().await;
}

async fn start() -> (Bench, RenditionDesk) {
    start_with(|backends| backends).await
}

async fn start_with(more: impl FnOnce(Backends) -> Backends) -> (Bench, RenditionDesk) {
    let storage = MemoryStorage::default();
    let chunks = SharedStorage::new(storage.clone());
    let mut desk = None;
    let bench = Bench::over(config(), storage, chunks, |backends| {
        let backends = more(backends);
        let admission = Admission::new(Amount::new(100));
        let asked = RenditionConfig::default().grace_pushes(2).qualities([Quality::P720]);
        let made = RenditionDesk::new(backends.store.clone(), admission, asked);
        backends.renditions(desk.insert(made).clone())
    });
    let bench = bench.await;
    (bench, desk.unwrap())
}

fn scenario() -> Scenario {
    let path = "../docs/src/guides/renditions-by-stake.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// Does the calls of the scenario that the ledger has not seen, up to a block.
fn run_to(scenario: &Scenario, stake: &mut Stake, block: u64) {
    let done = stake.block();
    for action in scenario.actions().iter().filter(|a| a.block > done && a.block <= block) {
        if let Ok(Request::Call(call)) = &action.request {
            drop(stake.apply(action.block, &action.from, call));
        }
    }
    assert_eq!(stake.block(), block);
}

fn name(name: &str) -> AccountName {
    name.parse().unwrap()
}

fn link() -> String {
    rendition_link(&"hive/alice/launch".parse().unwrap()).to_string()
}

/// Where the menu leads for an account's list: the source of alice, 720 lines of others.
fn of(account: &str) -> String {
    match account {
        "alice" => "../../alice/launch.m3u8?quality=src".to_owned(),
        other => format!("../../{other}/{}.m3u8?quality=720", link()),
    }
}

fn push(link: &str, seq: u8, source: &Segment, rendition: Option<u8>) -> String {
    let Segment { content: src, duration, .. } = source;
    let more = rendition.map(|n| format!(r#","720":"{}""#, content(n))).unwrap_or_default();
    format!(r#"{{"op":0,"link":"{link}","seq":{seq},"src":"{src}","len":{duration}{more}}}"#)
}

impl Bench {
    fn say(&self, account: &str, payload: String) {
        assert!(self.chain.submit(name(account), payload));
    }

    /// What a player reads in the menu.
    async fn menu(&self) -> Vec<String> {
        let answer = self.get(MENU).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/vnd.apple.mpegurl");
        match Playlist::read(&answer.body).unwrap() {
            Playlist::Multivariant(list) => {
                list.variants.iter().map(|variant| variant.uri.as_str().to_owned()).collect()
            }
            Playlist::Media(list) => panic!("{list:?}"),
        }
    }

    /// The contents of a list that the menu leads to.
    async fn listed(&self, uri: &str) -> Vec<String> {
        let path = uri.replace("../..", "/stream");
        self.list_until(&path, |list| !list.listed().is_empty()).await.listed()
    }
}
