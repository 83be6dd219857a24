//! Renditions of other accounts: whose list the quality menu leads to, while transcoders come, stop and change.

use std::{fs, path::Path};

use alive_core::{AccountName, Quality, Segment, backend::SharedStorage, memory::MemoryStorage};
use alive_node::{RenditionConfig, RenditionDesk};
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
    assert_eq!(bench.menu().await, ["../../alice/launch.m3u8"]);

    // Everybody delivers, but it is ann's turn.
    for (account, first) in [("cleo", 50), ("ann", 100), ("ben", 150)] {
        bench.say(account, format!(r#"{{"op":2,"link":"{}"}}"#, link()));
        bench.say(account, push(&link(), 0, &source[0], Some(first)));
    }
    bench.block(&[]).await;
    let shown = bench.menu().await;
    assert_eq!(shown, ["../../alice/launch.m3u8".to_owned(), of("ann")]);
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
        desk.judge(&stream, Quality::P240, account, &source, rendition)
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

async fn start() -> (Bench, RenditionDesk) {
    let storage = MemoryStorage::default();
    let chunks = SharedStorage::new(storage.clone());
    let mut desk = None;
    let bench = Bench::over(config(), storage, chunks, |backends| {
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
        "alice" => "../../alice/launch.m3u8".to_owned(),
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
