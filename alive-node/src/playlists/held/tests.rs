use alive_core::{Flags, Segment};
use proptest::prelude::*;

use super::*;

const MISSING: Found = Found::Absent(Absence::Missing);

fn content(n: u8) -> ContentId {
    let mut bytes = vec![1, 0x55, 0x12, 32];
    bytes.extend([n; 32]);
    alive_storage::cid::to_content(&alive_storage::cid::from_bytes(&bytes).unwrap()).unwrap()
}

fn listed(ids: impl IntoIterator<Item = u8>) -> Vec<Listed> {
    let segment = |n| Segment::new(content(n), "4".parse().unwrap());
    ids.into_iter().map(|n| Listed { segment: segment(n), seq: None }).collect()
}

fn sections(ids: &[Option<u8>]) -> Sections {
    ids.iter().map(|id| id.map(content)).collect()
}

fn sought(held: &Held, sought: Sought, listed: &[Listed], sections: &Sections) -> Vec<ContentId> {
    held.batch(sought, listed, sections, (Pass::All, 0, usize::MAX)).0
}

#[test]
fn what_cannot_be_here_is_not_looked_for() {
    let skylink = "AACogzrAimYPG42tDOKhS3lXZD8YvlF8Q8R17afe95iV2Q".parse().unwrap();
    let mut list = listed(0..2);
    list[0].segment = list[0].segment.with_flags(Flags::GAP);
    list.push(Listed { segment: Segment::new(skylink, "4".parse().unwrap()), seq: None });
    let sections = [None, Some(content(100)), Some(skylink)].into_iter().collect();
    let mut held = Held::default();
    held.extend(&list, &sections);
    assert_eq!(sought(&held, Sought::Segments, &list, &sections), [content(1)]);
    assert_eq!(sought(&held, Sought::Sections, &list, &sections), [content(100)]);
    assert_eq!((held.open(), held.unlooked(), held.lacking()), (2, 2, 0));
}

#[test]
fn a_section_that_is_not_here_loses_every_run_that_needs_it() {
    let list = listed(0..6);
    let sections = sections(&[Some(100), Some(100), Some(101), Some(100), None, Some(101)]);
    let mut held = Held::default();
    held.extend(&list[..1], &[Some(content(100))].into_iter().collect());
    assert!(held.settle(&content(100), MISSING));
    held.extend(&list, &sections);
    assert_eq!(sought(&held, Sought::Sections, &list, &sections), [content(100), content(101)]);
    assert!(held.settle(&content(1), MISSING));
    assert_eq!(held.lacking(), 2);
    let mut lost: Vec<_> = held.lost(&sections).collect();
    lost.sort_unstable();
    lost.dedup();
    assert_eq!((lost, held.lost_count(&sections)), (vec![0, 1, 3], 3));
    let why = Absence::Missing;
    let want = AbsentSection { content: content(100), why, first: 0, segments: 3 };
    assert_eq!(held.absent_sections(&sections), [want]);
    // What is known of it is still known in a list that was made afresh.
    held.replace(&list, &sections);
    assert_eq!(held.absent_sections(&sections), [want]);
    assert!(held.settle(&content(100), Found::Here));
    assert_eq!((held.absent_sections(&sections), held.lost_count(&sections)), (vec![], 1));
}

proptest! {
    #[test]
    fn what_is_lost_is_what_a_plain_look_would_tell(
        needs in prop::collection::vec(prop::option::of(100_u8..103), 0..20),
        absent in prop::collection::btree_set(prop_oneof![0_u8..20, 100_u8..103], 0..8),
    ) {
        let list = listed(0..u8::try_from(needs.len()).unwrap());
        let sections = sections(&needs);
        let mut held = Held::default();
        held.extend(&list, &sections);
        for id in &absent {
            held.settle(&content(*id), MISSING);
        }
        let is_lost = |at: usize, needs: &Option<u8>| {
            let own = u8::try_from(at).unwrap();
            absent.contains(&own) || needs.is_some_and(|section| absent.contains(&section))
        };
        let want: Vec<_> = needs.iter().enumerate().filter(|(at, needs)| is_lost(*at, needs)).map(|(at, _)| at).collect();
        let mut lost: Vec<_> = held.lost(&sections).collect();
        lost.sort_unstable();
        lost.dedup();
        prop_assert_eq!(held.lost_count(&sections), want.len());
        prop_assert_eq!(lost, want);
    }
}
