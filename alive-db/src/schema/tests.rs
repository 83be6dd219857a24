use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::sea::UserSpace;

const NOW: f64 = 1_795_219_500_000.0;
const CID: &str = "QmNoa96v5gCfnzsdEbzZtrJvuXH14hS8k8DPPUQbdJMy7i";

fn space() -> (KeyPair, StreamSpace) {
    let keys = KeyPair::generate().unwrap();
    let space = StreamSpace::new(keys.public(), &"hive/alice/s-1".parse().unwrap());
    (keys, space)
}

fn state(ms: f64) -> State {
    State::new(ms).unwrap()
}

fn number(value: f64) -> Value {
    Value::Number(Number::new(value).unwrap())
}

/// A reader that has checked every value.
fn open(put: Put<'_>) -> Option<Value> {
    UserSpace::default().open(put, NOW).ok().flatten()
}

fn node<'a>(delta: &'a Delta, soul: &Text) -> &'a NodeDelta {
    delta.nodes.iter().find(|node| node.soul == *soul).unwrap()
}

fn live(micros: u32, discontinuity: bool) -> LiveSegment {
    let duration = SegmentDuration::from_micros(micros).unwrap();
    let flags = Flags::new(discontinuity, false);
    let mut renditions = Renditions::default();
    if discontinuity {
        renditions.insert(Quality::P720, CID.parse().unwrap());
    }
    let segment = Segment::new(CID.parse().unwrap(), duration).with_flags(flags);
    LiveSegment { segment, renditions, at: timestamp(state(NOW - 9.5)) }
}

proptest! {
    #[test]
    fn what_is_pushed_is_read(millis in 1..100_000_u32, discontinuity: bool, random: [u8; 24]) {
        let (keys, space) = space();
        let live = live(millis * 1000 - 1000 + 1000 * u32::from(millis == 1).max(1), discontinuity);
        let delta = space.push(&keys, &NewItem::from(&live), random, state(NOW - 9.5)).unwrap();
        prop_assert!(delta.clone().check(&UserSpace::default(), NOW).is_ok());
        let links = space.links(node(&delta, space.list_soul()), NOW, 0.0, open);
        prop_assert_eq!(links.len(), 1);
        let item = Item::read(node(&delta, &links[0].soul), open).unwrap();
        prop_assert_eq!(item.to_segment(links[0].state), Some(live));
    }
}

#[test]
fn a_push_links_from_the_account_to_the_list_to_the_item() {
    let (keys, space) = space();
    let item = NewItem::new(CID.into(), Number::new(10.0).unwrap());
    let delta = space.push(&keys, &item, [0; 24], state(NOW)).unwrap();
    let account = node(&delta, &Account::soul(keys.public()));
    let list = format!("~{}/hive/alice/s-1<?600", keys.public());
    assert_eq!(account.entries[0].0, "hive/alice/s-1<?600");
    let plain = open(Put {
        soul: &account.soul,
        key: &account.entries[0].0,
        value: &account.entries[0].1,
        state: state(NOW),
    });
    assert_eq!(plain, Some(Value::Link(list.as_str().into())));
    let item = &node(&delta, &list.into()).entries[0].0;
    let name = item.to_str_lossy();
    let name = name.strip_prefix(&format!("~{}/", keys.public())).unwrap();
    assert_eq!(name, format!("{}{}", base36(NOW), "0".repeat(12)));
}

#[test]
fn nobody_pushes_into_the_space_of_another() {
    let (_, space) = space();
    let item = NewItem::new(CID.into(), Number::new(10.0).unwrap());
    let stranger = KeyPair::generate().unwrap();
    let pushed = space.push(&stranger, &item, [0; 24], state(NOW));
    assert!(matches!(pushed, Err(SignError::Unsignable(_))));
}

/// A list whose links need no signature here, for what does not depend on it.
fn list(space: &StreamSpace, links: &[(&str, Value, f64)]) -> Vec<(String, f64)> {
    let entries = links.iter().map(|(key, value, at)| ((*key).into(), value.clone(), state(*at)));
    let list = NodeDelta { soul: space.list_soul().clone(), entries: entries.collect() };
    let links = space.links(&list, NOW, NOW - 100_000.5, |put| Some(put.value.clone()));
    links.iter().map(|link| (link.key.to_str_lossy(), link.state.millis())).collect()
}

#[rstest]
#[case::at_the_start(100_000.5, true)]
#[case::before_the_start(100_000.6, false)]
#[case::now(0.0, true)]
#[case::from_the_future(-0.1, false)]
fn only_links_of_the_asked_time_count(#[case] age: f64, #[case] counts: bool) {
    let (_, space) = space();
    let own = Value::Link(format!("{}x", space.items).into());
    assert_eq!(!list(&space, &[("k", own, NOW - age)]).is_empty(), counts);
}

#[test]
fn a_link_counts_for_less_than_ten_minutes() {
    let (_, space) = space();
    let own = Value::Link(format!("{}x", space.items).into());
    for (age, count) in [(599_999.9, 1), (600_000.0, 0)] {
        let entries = vec![("k".into(), own.clone(), state(NOW - age))];
        let list = NodeDelta { soul: space.list_soul().clone(), entries };
        let links = space.links(&list, NOW, 0.0, |put| Some(put.value.clone()));
        assert_eq!(links.len(), count, "{age}");
    }
}

#[test]
fn links_come_by_their_state_and_then_by_their_key() {
    let (_, space) = space();
    let own = || Value::Link(format!("{}x", space.items).into());
    let got = list(
        &space,
        &[
            ("c", own(), NOW - 1.0),
            ("b", own(), NOW - 1.0),
            ("a", own(), NOW),
            ("d", own(), NOW - 2.0),
        ],
    );
    let keys: Vec<_> = got.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["d", "b", "c", "a"]);
}

#[test]
fn what_is_no_link_into_the_own_space_does_not_count() {
    let (_, space) = space();
    let other = KeyPair::generate().unwrap();
    for value in [
        Value::Null,
        Value::from("x"),
        number(1.0),
        Value::Link("x".into()),
        Value::Link(format!("~{}/x", other.public()).into()),
        Value::Link(space.owner_soul.clone()),
        Value::Link(format!("{}.x", space.owner_soul).into()),
    ] {
        assert_eq!(list(&space, &[("k", value, NOW)]), []);
    }
}

#[test]
fn a_list_is_bounded_and_keeps_the_newest() {
    let (_, space) = space();
    let own = Value::Link(format!("{}x", space.items).into());
    let entries = (0..StreamSpace::MAX_ITEMS + 5).map(|n| {
        (
            n.to_string().into(),
            own.clone(),
            state(NOW - 50_000.0 + f64::from(u32::try_from(n).unwrap())),
        )
    });
    let list = NodeDelta { soul: space.list_soul().clone(), entries: entries.collect() };
    let links = space.links(&list, NOW, 0.0, |put| Some(put.value.clone()));
    assert_eq!(links.len(), StreamSpace::MAX_ITEMS);
    assert_eq!(links[0].key, "5");
}

fn item(values: &[(&str, Value)]) -> Option<Item> {
    let entries = values.iter().map(|(key, value)| ((*key).into(), value.clone(), state(NOW)));
    let node = NodeDelta { soul: "x".into(), entries: entries.collect() };
    Item::read(&node, |put| Some(put.value.clone()))
}

#[rstest]
#[case::no_length(&[("src", Value::from(CID))])]
#[case::no_source(&[("len", number(1.0))])]
#[case::length_as_text(&[("src", Value::from(CID)), ("len", Value::from("1"))])]
#[case::deleted(&[("src", Value::Null), ("len", number(1.0))])]
fn half_a_segment_is_none(#[case] values: &[(&str, Value)]) {
    assert_eq!(item(values), None);
}

#[rstest]
#[case::negative("x", -1.0, None)]
#[case::zero(CID, 0.0, None)]
#[case::nothing_is_left(CID, 0.0004, None)]
#[case::rounded(CID, 9.9996, Some(10_000_000))]
#[case::too_long(CID, 100.0, None)]
#[case::no_cid("/ipfs/x", 1.0, None)]
fn only_what_a_playlist_can_have_is_a_segment(
    #[case] src: &str,
    #[case] len: f64,
    #[case] micros: Option<u32>,
) {
    let item = item(&[("src", src.into()), ("len", number(len))]).unwrap();
    let segment = item.to_segment(state(NOW));
    assert_eq!(segment.map(|live| live.segment.duration.as_micros()), micros);
}

#[rstest]
#[case(number(1.0), true)]
#[case(number(2.0), false)]
#[case(Value::from("1"), false)]
#[case(Value::Bool(true), false)]
fn only_the_number_one_breaks_a_stream(#[case] d: Value, #[case] breaks: bool) {
    let item = item(&[("src", CID.into()), ("len", number(1.0)), ("d", d)]).unwrap();
    assert_eq!(item.to_segment(state(NOW)).unwrap().segment.flags.discontinuity(), breaks);
}

#[test]
fn a_rendition_that_is_none_is_left_out() {
    let item = item(&[
        ("src", CID.into()),
        ("len", number(1.0)),
        ("240", "nothing".into()),
        ("480", number(1.0)),
        ("720", CID.into()),
        ("360", CID.into()),
    ])
    .unwrap();
    let renditions = item.to_segment(state(NOW)).unwrap().renditions;
    assert_eq!(renditions.iter().map(|(q, _)| q).collect::<Vec<_>>(), [Quality::P720]);
}

#[test]
fn an_item_shows_where_it_stands() {
    let item = item(&[("src", "c".into()), ("len", number(1.5)), ("240", "d".into())]).unwrap();
    let json = r##"{"240":"d","_":{"#":"x",">":{"240":1795219500000,"src":1795219500000,"len":1795219500000}},"src":"c","len":1.5}"##;
    assert_eq!(item.to_json().print(), json);
}

#[rstest]
#[case(0.0, "0")]
#[case(35.9, "z")]
#[case(36.0, "10")]
#[case(1_795_219_439_353.0, "mwpnawop")]
fn names_begin_with_the_time(#[case] number: f64, #[case] text: &str) {
    assert!(base36(number).starts_with(text) || base36(number) == text, "{}", base36(number));
}
