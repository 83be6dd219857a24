use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn content(n: u8) -> ContentId {
    let mut bytes = vec![1, 0x55, 0x12, 32];
    bytes.extend([n; 32]);
    alive_storage::cid::to_content(&alive_storage::cid::from_bytes(&bytes).unwrap()).unwrap()
}

/// A list of these, as it is taken over.
fn listed(list: &[ContentId]) -> impl Iterator<Item = Option<ContentId>> {
    list.iter().copied().map(Some)
}

fn all(segments: &Segments, list: &[ContentId], pass: Pass) -> Vec<ContentId> {
    let mut all = Vec::new();
    let mut from = Some(0);
    while let Some(start) = from {
        let (batch, next) = segments.batch(list.iter().copied(), pass, start, 2);
        assert!(batch.len() <= 2);
        all.extend(batch);
        from = next;
    }
    all
}

fn ids(ids: impl IntoIterator<Item = u8>) -> Vec<ContentId> {
    ids.into_iter().map(content).collect()
}

const MISSING: Found = Found::Absent(Absence::Missing);

#[test]
fn each_segment_is_new_once_and_lacking_until_it_is_found() {
    let list = ids(0..5);
    let mut segments = Segments::default();
    segments.extend(listed(&list[..4]));
    assert_eq!(all(&segments, &list, Pass::New), ids(0..4));
    for (n, found) in [(0, Found::Here), (1, MISSING), (2, Found::Unsure), (3, Found::Here)] {
        assert!(segments.settle(&content(n), found), "{n}");
        assert!(!segments.settle(&content(n), found), "{n}: nothing new");
    }
    assert_eq!((segments.unlooked(), segments.open(), segments.lacking()), (0, 1, 2));
    segments.extend(listed(&list));
    assert_eq!(all(&segments, &list, Pass::New), ids([4]));
    assert_eq!(all(&segments, &list, Pass::Lacking), ids([1, 2]));
    assert_eq!(all(&segments, &list, Pass::All), ids(0..5));
    assert!(segments.settle(&content(1), Found::Here));
    assert!(segments.absent().is_empty());
    assert!(!segments.settle(&content(9), MISSING), "it is not listed");
}

#[test]
fn a_backend_that_does_not_tell_changes_nothing_that_is_known() {
    let list = ids(0..1);
    let mut segments = Segments::default();
    segments.extend(listed(&list));
    segments.settle(&content(0), MISSING);
    assert!(!segments.settle(&content(0), Found::Unsure));
    assert_eq!(segments.absent().get(&0), Some(&Absence::Missing));
}

#[test]
fn another_text_of_the_same_content_is_the_same_segment() {
    let v0: ContentId = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
    let v1 = alive_storage::cid::of_content(&v0).unwrap().into_v1().unwrap();
    let v1 = alive_storage::cid::to_content(&v1).unwrap();
    let mut segments = Segments::default();
    segments.extend(listed(&[v1]));
    assert!(segments.settle(&v0, MISSING));
    assert_eq!(segments.absent().len(), 1);
}

#[test]
fn what_is_not_sought_or_stands_twice_is_looked_for_once_or_never() {
    let list = ids([0, 1, 1, 2, 1]);
    let mut segments = Segments::default();
    segments.extend(list.iter().map(|id| Some(*id).filter(|id| *id != content(0))));
    assert_eq!(all(&segments, &list, Pass::All), ids([1, 2]));
    assert!(!segments.settle(&content(0), MISSING), "the streamer knows that it is lost");
    assert_eq!(segments.open(), 2);
    assert!(segments.settle(&content(1), MISSING));
    assert_eq!((segments.open(), segments.lacking()), (1, 1));
    assert_eq!(segments.absence(&content(1)), Some(Absence::Missing));
    assert_eq!((segments.absence(&content(2)), segments.absence(&content(9))), (None, None));
}

#[derive(Clone, Debug)]
enum Event {
    Extend(BTreeSet<u8>),
    Replace(Vec<u8>),
    Settle(u8, Found),
}

fn event() -> impl Strategy<Value = Event> {
    let found = prop_oneof![
        Just(Found::Here),
        Just(Found::Unsure),
        Just(MISSING),
        Just(Found::Absent(Absence::Corrupt)),
    ];
    prop_oneof![
        1 => prop::collection::btree_set(0_u8..12, 0..4).prop_map(Event::Extend),
        1 => prop::collection::btree_set(0_u8..12, 0..12)
            .prop_map(|set| set.into_iter().collect::<Vec<_>>()).prop_shuffle().prop_map(Event::Replace),
        4 => (0_u8..12, found).prop_map(|(n, found)| Event::Settle(n, found)),
    ]
}

proptest! {
    #[test]
    fn it_knows_what_a_plain_map_knows(events in prop::collection::vec(event(), 0..40)) {
        let mut segments = Segments::default();
        // What was found of each listed segment, in the list's order.
        let mut model: Vec<(u8, Option<Found>)> = Vec::new();
        for event in events {
            match event {
                Event::Extend(new) => {
                    let is_listed = |n: &u8| model.iter().any(|(at, _)| at == n);
                    let new: Vec<_> = new.into_iter().filter(|n| !is_listed(n)).collect();
                    model.extend(new.into_iter().map(|n| (n, None)));
                    segments.extend(listed(&ids(model.iter().map(|(n, _)| *n))));
                }
                Event::Replace(list) => {
                    let known: HashMap<_, _> = model.drain(..).collect();
                    model.extend(list.iter().map(|n| (*n, known.get(n).copied().flatten())));
                    segments.replace(listed(&ids(list.iter().copied())));
                }
                Event::Settle(n, found) => {
                    let old = model.iter_mut().find(|(at, _)| *at == n).map(|(_, known)| known);
                    let news = old.is_some_and(|old| {
                        let new = if found == Found::Unsure { old.or(Some(found)) } else { Some(found) };
                        std::mem::replace(old, new) != new
                    });
                    prop_assert_eq!(segments.settle(&content(n), found), news);
                }
            }
            let list = ids(model.iter().map(|(n, _)| *n));
            let with = |is: fn(Option<Found>) -> bool| {
                model.iter().filter(|(_, found)| is(*found)).map(|(n, _)| content(*n)).collect::<Vec<_>>()
            };
            let absent: Vec<_> = segments.absent().iter().map(|(at, why)| (index(*at), *why)).collect();
            let want = model.iter().enumerate().filter_map(|(at, (_, found))| match found {
                Some(Found::Absent(why)) => Some((at, *why)),
                _ => None,
            });
            prop_assert_eq!(absent, want.collect::<Vec<_>>());
            prop_assert_eq!(all(&segments, &list, Pass::All), with(|_| true));
            prop_assert_eq!(all(&segments, &list, Pass::New), with(|found| found.is_none()));
            let lacking = with(|found| matches!(found, Some(Found::Absent(_) | Found::Unsure)));
            prop_assert_eq!(segments.lacking(), lacking.len());
            prop_assert_eq!(all(&segments, &list, Pass::Lacking), lacking);
            let open = with(|found| matches!(found, None | Some(Found::Unsure)));
            prop_assert_eq!(segments.open(), open.len());
        }
    }
}
