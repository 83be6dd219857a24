//! Each row of the table in `spec/indexer.md`, section 3, and the stream against a table of all its pushes.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::{Link, Op};

const CIDS: [&str; 3] = [
    "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
    "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq",
    "bafybeiconpoeacqygeyhtgbx6zlom7ojtn7wk75gdf7kzxmvj27v5437pa",
];
const SKYLINK: &str = "AAABBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA";

fn at(secs: u32) -> Timestamp {
    Timestamp::from_unix_secs(secs)
}

fn seq(number: u64) -> Seq {
    Seq::new(number).unwrap()
}

fn push(number: u64, src: &str) -> Push {
    let json = format!(r#"{{"op":0,"link":"s","seq":{number},"src":"{src}"}}"#);
    let Ok(Op::Push(push)) = Op::from_json(&json) else { panic!("{json} is a push") };
    push
}

fn configure(fields: &str) -> Configure {
    let json = format!(r#"{{"op":2,"link":"s"{fields}}}"#);
    let Ok(Op::Configure(configure)) = Op::from_json(&json) else { panic!("{json} configures") };
    configure
}

fn stream() -> Stream {
    Stream::create(&configure(""), 0, 1, at(100))
}

/// Pushes in this order, one a second from 1 on; which of them were accepted.
fn push_all(stream: &mut Stream, numbers: &[u64]) -> Vec<bool> {
    let pushes = numbers.iter().zip(1..);
    pushes.map(|(&n, t)| stream.push(&push(n, CIDS[0]), at(t)).is_ok()).collect()
}

#[test]
fn names_on_other_networks_stay_until_others_are_given() {
    let names = |stream: &Stream| stream.info().settings.also.to_string();
    let mut stream = Stream::create(&configure(r#","also":"avalon/bob/show""#), 0, 1, at(100));
    assert_eq!(names(&stream), "avalon/bob/show");
    // Absent, and what nobody can read, changes nothing.
    for nothing in [r#","gw":"http://g""#, r#","also":null"#, r#","also":7"#, r#","also":"avalon""#]
    {
        stream.configure(&configure(nothing), at(101));
        assert_eq!(names(&stream), "avalon/bob/show", "{nothing}");
    }
    stream.configure(&configure(r#","also":"avalon/eve/x,blurt/bob/show""#), at(102));
    assert_eq!(names(&stream), "avalon/eve/x,blurt/bob/show");
    stream.configure(&configure(r#","also":"""#), at(103));
    assert_eq!(names(&stream), "");
    let json = serde_json::to_string(stream.info()).unwrap();
    assert!(!json.contains("also"), "what older versions kept is read as none: {json}");
    assert_eq!(&serde_json::from_str::<StreamInfo>(&json).unwrap(), stream.info());
}

#[test]
fn the_first_configure_creates_with_every_setting() {
    let first = configure(r#","storage":"skynet","l2":"gundb","pub":"a.b","gw":"http://g""#);
    let stream = Stream::create(&first, 3, 7, at(100));
    let info = stream.info();
    assert_eq!((info.number, info.id), (3, 7));
    assert_eq!((info.created, info.last_updated), (at(100), at(100)));
    assert_eq!((info.first_streamed, info.last_streamed), (None, None));
    assert_eq!((info.finalized, info.head, info.ended), (None, None, false));
    assert_eq!(info.settings.storage, StorageKind::Skynet);
    assert_eq!(info.settings.l2, Some(LiveLayer::GunDb));
    assert_eq!(info.settings.live_key.as_ref().unwrap().as_str(), "a.b");
    assert_eq!(info.settings.gateway.as_ref().unwrap().as_str(), "http://g");
    assert_eq!(stream.pushes().count(), 0);
}

#[rstest]
#[case::nothing("", None, "a.b", "http://g")]
#[case::a_layer(r#","l2":"gundb""#, Some(LiveLayer::GunDb), "a.b", "http://g")]
#[case::a_key(r#","pub":"c""#, None, "c", "http://g")]
#[case::a_gateway(r#","gw":"https://h""#, None, "a.b", "https://h")]
#[case::all(
    r#","l2":"gundb","pub":"c","gw":"https://h""#,
    Some(LiveLayer::GunDb),
    "c",
    "https://h"
)]
fn a_later_configure_overwrites_what_it_gives(
    #[case] fields: &str,
    #[case] l2: Option<LiveLayer>,
    #[case] key: &str,
    #[case] gateway: &str,
    #[values(false, true)] ended: bool,
) {
    let mut stream = Stream::create(&configure(r#","pub":"a.b","gw":"http://g""#), 0, 1, at(100));
    let before = stream.clone();
    if ended {
        stream.end(at(101));
    }
    let later = Configure { storage: StorageKind::Skynet, ..configure(fields) };
    stream.configure(&later, at(200));
    let info = stream.info();
    assert_eq!(info.settings.l2, l2);
    assert_eq!(info.settings.live_key.as_ref().unwrap().as_str(), key);
    assert_eq!(info.settings.gateway.as_ref().unwrap().as_str(), gateway);
    assert_eq!(info.settings.storage, StorageKind::Ipfs, "the storage never changes");
    assert_eq!((info.created, info.last_updated, info.ended), (at(100), at(200), ended));
    assert_eq!(
        before.info().settings.live_key.as_ref().unwrap().as_str(),
        "a.b",
        "clones keep theirs"
    );
}

#[test]
fn a_layer_stays_when_a_later_configure_names_none() {
    let mut stream = Stream::create(&configure(r#","l2":"gundb""#), 0, 1, at(100));
    stream.configure(&configure(r#","pub":"a""#), at(101));
    assert_eq!(stream.info().settings.l2, Some(LiveLayer::GunDb));
}

#[rstest]
#[case("", None)]
#[case(r#","pub":"a""#, Some(LiveLayer::GunDb))]
#[case(r#","l2":"gundb""#, Some(LiveLayer::GunDb))]
fn a_key_without_a_layer_means_gundb(#[case] fields: &str, #[case] want: Option<LiveLayer>) {
    let stream = Stream::create(&configure(fields), 0, 1, at(100));
    assert_eq!(stream.info().settings.live_layer(), want);
}

#[test]
fn an_ended_stream_takes_no_push_and_nothing_changes() {
    let mut stream = stream();
    push_all(&mut stream, &[0, 2]);
    stream.end(at(50));
    let before = stream.clone();
    assert_eq!(stream.push(&push(1, CIDS[0]), at(60)), Err(Refusal::Ended));
    assert_eq!(stream, before);
}

#[test]
fn a_final_push_stays_and_nothing_changes() {
    let mut stream = stream();
    push_all(&mut stream, &[0, 1]);
    let before = stream.clone();
    for number in [0, 1] {
        let refused = Refusal::Final { seq: seq(number), finalized: seq(1) };
        assert_eq!(stream.push(&push(number, CIDS[1]), at(60)), Err(refused));
    }
    assert_eq!(stream, before);
}

#[rstest]
#[case::source("ipfs", SKYLINK, "", Quality::Src)]
#[case::rendition("ipfs", CIDS[0], SKYLINK, Quality::P480)]
#[case::source_on_skynet("skynet", CIDS[0], "", Quality::Src)]
#[case::rendition_on_skynet("skynet", SKYLINK, CIDS[0], Quality::P480)]
fn content_of_another_storage_is_refused(
    #[case] storage: &str,
    #[case] src: &str,
    #[case] rendition: &str,
    #[case] quality: Quality,
) {
    let created = configure(&format!(r#","storage":"{storage}""#));
    let mut stream = Stream::create(&created, 0, 1, at(100));
    let before = stream.clone();
    let mut push = push(0, src);
    if let Ok(id) = rendition.parse() {
        push.renditions.insert(Quality::P480, id);
    }
    let Err(Refusal::Storage { quality: named, got, want }) = stream.push(&push, at(1)) else {
        panic!("it must be refused for its storage")
    };
    assert_eq!((named, want), (quality, created.storage));
    assert_ne!(got, want);
    assert_eq!(stream, before);
}

#[test]
fn the_first_push_may_be_any_and_only_0_makes_a_run() {
    let mut stream = stream();
    assert_eq!(push_all(&mut stream, &[5, 3, 17_280]), [true, true, true]);
    assert_eq!((stream.info().finalized, stream.info().head), (None, Some(Seq::MAX)));
    assert_eq!(push_all(&mut stream, &[0]), [true]);
    assert_eq!(stream.info().finalized, Some(Seq::ZERO));
}

#[test]
fn filling_a_gap_finalizes_all_behind_it() {
    let mut stream = stream();
    push_all(&mut stream, &[0, 1, 3, 4, 6]);
    assert_eq!((stream.info().finalized, stream.info().head), (Some(seq(1)), Some(seq(6))));
    push_all(&mut stream, &[2]);
    assert_eq!((stream.info().finalized, stream.info().head), (Some(seq(4)), Some(seq(6))));
    assert_eq!(push_all(&mut stream, &[3, 4, 6, 5]), [false, false, true, true]);
    assert_eq!(stream.info().finalized, Some(seq(6)));
}

#[test]
fn above_a_gap_a_push_is_replaced_whole_any_number_of_times() {
    let mut stream = stream();
    let mut long = push(2, CIDS[0]);
    long.len = Some("4".parse().unwrap());
    long.discontinuity = true;
    long.renditions.insert(Quality::P240, CIDS[1].parse().unwrap());
    assert_eq!(stream.push(&long, at(1)), Ok(None));
    assert_eq!(stream.push(&push(2, CIDS[1]), at(2)), Ok(Some(Pushed::from(&long))));
    assert_eq!(stream.push(&push(2, CIDS[2]), at(3)), Ok(Some(Pushed::from(&push(2, CIDS[1])))));
    assert_eq!(stream.pushed(seq(2)), Some(&Pushed::from(&push(2, CIDS[2]))));
    assert_eq!(stream.pushes().count(), 1);
}

#[test]
fn a_push_moves_the_times_of_streaming_only() {
    let mut stream = stream();
    push_all(&mut stream, &[4, 0, 0, 1]);
    let info = stream.info();
    assert_eq!((info.first_streamed, info.last_streamed), (Some(at(1)), Some(at(4))));
    assert_eq!(info.last_updated, at(100));
}

#[test]
fn ending_again_moves_the_time_again() {
    let mut stream = stream();
    push_all(&mut stream, &[0, 2]);
    for t in [200, 300] {
        stream.end(at(t));
        assert!(stream.info().ended);
        assert_eq!(stream.info().last_updated, at(t));
    }
    assert_eq!((stream.info().finalized, stream.info().head), (Some(seq(0)), Some(seq(2))));
}

#[test]
fn a_push_with_a_length_is_a_segment() {
    let mut direct = push(0, CIDS[0]);
    assert_eq!(Pushed::from(&direct).segment(), None);
    direct.len = Some("4.5".parse().unwrap());
    direct.discontinuity = true;
    let segment = Pushed::from(&direct).segment().unwrap();
    assert_eq!(segment.content, direct.src);
    assert_eq!(segment.duration.as_micros(), 4_500_000);
    assert_eq!(segment.flags, Flags::DISCONTINUITY);
}

/// All pushes that were accepted, the later ones in place of the earlier, and the run looked for from 0.
#[derive(Default)]
struct Table {
    pushes: BTreeMap<u64, usize>,
}

impl Table {
    fn finalized(&self) -> Option<u64> {
        (0..99_999).take_while(|seq| self.pushes.contains_key(seq)).last()
    }

    fn push(&mut self, number: u64, cid: usize) -> bool {
        let accepted = self.finalized().is_none_or(|finalized| number > finalized);
        if accepted {
            self.pushes.insert(number, cid);
        }
        accepted
    }
}

fn numbers() -> impl Strategy<Value = Vec<(u64, usize)>> {
    let number = prop_oneof![8 => 0..30_u64, 1 => 17_270..=17_280_u64];
    proptest::collection::vec((number, 0..CIDS.len()), 0..120)
}

fn is_the_table(stream: &Stream, table: &Table) -> Result<(), TestCaseError> {
    let info = stream.info();
    prop_assert_eq!(info.finalized.map(|seq| u64::from(seq.as_u16())), table.finalized());
    prop_assert_eq!(
        info.head.map(|seq| u64::from(seq.as_u16())),
        table.pushes.keys().last().copied()
    );
    let got: Vec<_> = stream.pushes().map(|(at, pushed)| (at, pushed.src.to_string())).collect();
    let want: Vec<_> =
        table.pushes.iter().map(|(&at, &cid)| (seq(at), CIDS[cid].to_owned())).collect();
    prop_assert_eq!(got, want);
    Ok(())
}

proptest! {
    #[test]
    fn pushes_are_taken_and_replaced_as_in_a_table(numbers in numbers()) {
        let (mut stream, mut table) = (stream(), Table::default());
        for ((number, cid), t) in numbers.into_iter().zip(1..) {
            let accepted = stream.push(&push(number, CIDS[cid]), at(t)).is_ok();
            prop_assert_eq!(accepted, table.push(number, cid));
            is_the_table(&stream, &table)?;
        }
    }

    #[test]
    fn putting_back_undoes_every_push(numbers in numbers()) {
        let mut stream = stream();
        let mut history = Vec::new();
        for ((number, cid), t) in numbers.into_iter().zip(1..) {
            let before = stream.clone();
            if let Ok(replaced) = stream.push(&push(number, CIDS[cid]), at(t)) {
                history.push((before, seq(number), replaced));
            }
        }
        for (before, number, replaced) in history.into_iter().rev() {
            stream.put_back(before.info().clone(), Some((number, replaced)));
            prop_assert_eq!(&stream, &before);
        }
    }

    #[test]
    fn what_a_store_kept_in_any_order_is_the_same_stream(
        numbers in numbers(),
        order in any::<u64>(),
    ) {
        let mut stream = stream();
        for (number, cid) in numbers {
            drop(stream.push(&push(number, CIDS[cid]), at(1)));
        }
        let mut kept: Vec<_> = stream.pushes().map(|(at, pushed)| (at, pushed.clone())).collect();
        kept.sort_by_key(|(at, _)| (u64::from(at.as_u16()) + 1).wrapping_mul(order | 1));
        prop_assert_eq!(Stream::restore(stream.info().clone(), kept), stream);
    }

    #[test]
    fn the_order_of_pushes_does_not_matter_unless_they_share_a_number(
        (first, second) in proptest::sample::subsequence((0..40_u64).collect::<Vec<_>>(), 0..40)
            .prop_flat_map(|numbers| (Just(numbers.clone()), Just(numbers).prop_shuffle())),
    ) {
        let [one, other] = [first, second].map(|numbers| {
            let mut stream = stream();
            assert!(push_all(&mut stream, &numbers).into_iter().all(|accepted| accepted));
            let info = StreamInfo { first_streamed: None, last_streamed: None, ..stream.info().clone() };
            stream.put_back(info, None);
            stream
        });
        prop_assert_eq!(one, other);
    }

    #[test]
    fn state_and_pushes_can_be_written_down(numbers in numbers(), link in "[a-z]{1,9}") {
        let link: Link = link.parse().unwrap();
        let mut stream = Stream::create(&Configure::new(link), 1, 2, at(3));
        for (number, cid) in numbers {
            drop(stream.push(&push(number, CIDS[cid]), at(1)));
        }
        let info = serde_json::to_string(stream.info()).unwrap();
        prop_assert_eq!(&serde_json::from_str::<StreamInfo>(&info).unwrap(), stream.info());
        let pushes: Vec<_> = stream.pushes().collect();
        let written = serde_json::to_string(&pushes).unwrap();
        let read: Vec<(Seq, Pushed)> = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(Stream::restore(stream.info().clone(), read), stream);
    }
}
