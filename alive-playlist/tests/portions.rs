//! Windows and delta updates: what a player must be able to rely on over any growth of a list.
#![cfg(test)]

mod timeline;

use alive_core::{ContentId, Flags, Segment};
use alive_playlist::{
    ListEntry, ListSettings, LivePlaylist, MediaPlaylist, Portion, Window, assemble,
    assemble_portion,
};
use proptest::{collection::vec, prelude::*};
use timeline::{CIDS, segment, settings};

const SECOND: u64 = 1_000_000;

fn read(text: &[u8]) -> MediaPlaylist<'_> {
    MediaPlaylist::read(text).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(text)))
}

fn window(seconds: u32) -> Portion {
    Portion::default().window(Window::new(seconds.try_into().unwrap()))
}

/// URIs, durations and flags by number: what may not change while a segment is listed.
fn entries(list: &MediaPlaylist<'_>) -> Vec<(u64, String, u64, bool, bool, Option<String>)> {
    let entry = |(number, segment): (u64, &alive_playlist::MediaSegment<'_>)| {
        let map = segment.map.as_ref().map(|map| map.uri.to_string());
        let micros = segment.duration.as_micros();
        (number, segment.uri.to_string(), micros, segment.discontinuity, segment.gap, map)
    };
    list.numbered().map(entry).collect()
}

/// Which initialisation section each segment needs; more than enough of them.
fn sections() -> impl Strategy<Value = Vec<Option<ContentId>>> {
    let run = (proptest::option::of(0..CIDS.len()), 1..30_usize);
    vec(run, 60).prop_map(|runs| {
        let runs =
            runs.into_iter().map(|(id, count)| (id.map(|id| CIDS[id].parse().unwrap()), count));
        runs.flat_map(|(section, count)| std::iter::repeat_n(section, count)).collect()
    })
}

/// Segments as they stand in a list.
fn listed<'s>(
    segments: &'s [Segment],
    sections: &'s [Option<ContentId>],
) -> impl Iterator<Item = ListEntry<'s>> + Clone {
    segments
        .iter()
        .zip(sections)
        .map(|(segment, section)| ListEntry::new(segment, section.as_ref()))
}

/// A day of ten-second segments.
fn day(settings: &ListSettings) -> LivePlaylist {
    let mut list = LivePlaylist::new(settings);
    let id: ContentId =
        "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi".parse().unwrap();
    list.extend(&vec![Segment::new(id, "10".parse().unwrap()); 8640]);
    list
}

#[test]
fn the_delta_update_of_a_day_is_under_two_kilobytes() {
    let settings = ListSettings::default().directives(true);
    let near = day(&settings);
    let delta = near.portion(Portion::default().skip(true));
    assert!(delta.len() < 1500, "{}", delta.len());
    let list = read(&delta);
    assert_eq!(list.header().version, Some(9));
    assert_eq!((list.header().media_sequence, list.header().skipped_segments), (0, 8632));
    assert_eq!(list.numbered().next().map(|(number, _)| number), Some(8632));
    let far = day(&settings.gateway("https://ipfs.alive-streams.example".parse().unwrap()));
    assert!(far.portion(Portion::default().skip(true)).len() < 2000);
}

#[test]
fn only_what_ends_more_than_six_targets_before_the_end_is_left_out() {
    let settings = ListSettings::default().target_seconds(10.try_into().unwrap()).directives(true);
    let id = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
    let ten = Segment::new(id, "10".parse().unwrap());
    let skipped = |segments: &[Segment], ended| {
        let text = assemble_portion(segments, ended, &settings, Portion::default().skip(true));
        read(&text).header().skipped_segments
    };
    assert_eq!(skipped(&[ten; 7], false), 0, "the first ends exactly six targets before the end");
    assert_eq!(skipped(&[ten; 8], false), 1);
    let just_longer = Segment::new(id, "9.999999".parse().unwrap());
    assert_eq!(skipped(&[vec![ten], vec![just_longer; 6]].concat(), false), 0);
    let mut later = vec![ten; 7];
    later.push(Segment::new(id, "0.000001".parse().unwrap()));
    assert_eq!(skipped(&later, false), 1);
    assert_eq!(skipped(&[ten; 100], true), 0, "an archive is always whole");
    let plain = settings.clone().directives(false);
    let text = assemble_portion(&[ten; 100], false, &plain, Portion::default().skip(true));
    assert_eq!(text, assemble(&[ten; 100], false, &plain), "nobody offered to skip");
}

#[test]
fn offers_follow_the_target_and_end_with_the_stream() {
    let settings = ListSettings::default().directives(true);
    let mut list = LivePlaylist::new(&settings);
    let offer = |text: &[u8]| {
        let control = read(text).header().server_control;
        let micros = |time: Option<alive_playlist::MediaDuration>| {
            time.map(alive_playlist::MediaDuration::as_micros)
        };
        (control.can_block_reload, micros(control.can_skip_until), micros(control.hold_back))
    };
    assert_eq!(offer(list.as_bytes()), (true, Some(72 * SECOND), Some(36 * SECOND)));
    let id = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
    list.push(&Segment::new(id, "13.133".parse().unwrap()));
    assert_eq!(offer(list.as_bytes()), (true, Some(84 * SECOND), Some(42 * SECOND)));
    assert_eq!(offer(list.end().as_bytes()), (false, None, None));
}

#[test]
fn a_window_counts_what_has_left_it() {
    let id = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
    let ten = Segment::new(id, "10".parse().unwrap());
    let mut segments = vec![ten; 20];
    for at in [3, 13, 17] {
        segments[at] = ten.with_flags(Flags::DISCONTINUITY);
    }
    segments[2] = ten.with_flags(Flags::GAP);
    let settings = ListSettings::default();
    let text = assemble_portion(&segments, false, &settings, window(60));
    let list = read(&text);
    let header = list.header();
    assert_eq!((header.media_sequence, header.discontinuity_sequence), (14, 2));
    assert_eq!((header.version, header.playlist_type), (Some(3), None), "the gap has left");
    let short = assemble_portion(&segments, false, &settings, window(1));
    assert_eq!(read(&short).segments().len(), 4, "three targets of twelve seconds are kept");
    let all = assemble_portion(&segments, true, &settings, window(u32::MAX));
    assert_eq!((read(&all).segments().len(), read(&all).header().ended), (20, true));
}

proptest! {
    #[test]
    fn a_grown_list_gives_the_portions_of_one_made_at_once(
        segments in vec(segment(), 0..40),
        settings in settings(),
        directives: bool,
        sections in sections(),
        seconds in prop::option::of(1_u32..2000),
        skip: bool,
    ) {
        let settings = settings.directives(directives);
        let portion = Portion::default().skip(skip);
        let portion = seconds.map_or(portion, |s| portion.window(window(s).window.unwrap()));
        let mut list = LivePlaylist::new(&settings);
        for (count, entry) in listed(&segments, &sections).enumerate() {
            let before = listed(&segments[..count], &sections);
            let want = assemble_portion(before, false, &settings, portion);
            prop_assert_eq!(list.portion(portion), want);
            list.push(entry);
        }
        prop_assert_eq!(list.portion(Portion::default()), list.as_bytes());
    }

    #[test]
    fn a_portion_lists_the_same_segments_under_the_same_numbers(
        segments in vec(segment(), 1..60),
        settings in settings(),
        sections in sections(),
        seconds in 1_u32..3000,
        skip: bool,
        ended: bool,
    ) {
        // Once a list has named a section, it cannot say that there is none.
        let mut section = None;
        let sections: Vec<_> = sections.into_iter().map(|next| { section = next.or(section); section }).collect();
        let settings = settings.directives(true);
        let all = || listed(&segments, &sections);
        let whole = assemble(all(), ended, &settings);
        let whole = read(&whole);
        for (entry, segment) in all().zip(whole.segments()) {
            let named = segment.map.as_ref().map(|map| map.uri.to_string());
            let names = |section: &ContentId| named.as_ref().is_some_and(|uri| uri.contains(section.as_str()));
            prop_assert!(entry.section.map_or(named.is_none(), names), "{entry:?} {named:?}");
            prop_assert_eq!(segment.uri.as_str().contains(".m4s"), entry.section.is_some() || settings.extension.as_str() == "m4s");
        }
        let text = assemble_portion(all(), ended, &settings, window(seconds).skip(skip));
        let list = read(&text);
        let header = list.header();

        // The end of the whole list, gap by gap and map by map, but that a delta shows no map that the reader knows.
        let mut want = entries(&whole);
        let left = usize::try_from(header.media_sequence + header.skipped_segments).unwrap();
        want.drain(..left);
        let known = header.skipped_segments > 0;
        let mut got = entries(&list);
        if known {
            let force = whole.segments()[left - 1].map.as_ref().map(|map| map.uri.to_string());
            for entry in got.iter_mut().filter(|entry| entry.5.is_none()) {
                entry.5.clone_from(&force);
            }
        }
        prop_assert_eq!(got, want);

        // Long enough, and not longer than it must be.
        let target = header.target_duration * SECOND;
        let start = usize::try_from(header.media_sequence).unwrap();
        let micros = |s: &Segment| u64::from(s.duration.as_micros());
        let held: u64 = segments[start..].iter().map(micros).sum();
        let wanted = u64::from(seconds) * SECOND;
        if start > 0 {
            prop_assert!(held >= wanted);
            let rest = held - micros(&segments[start]);
            prop_assert!(rest < wanted.max(3 * target), "{rest} would do");
        }
        let gone = segments[..start].iter().filter(|s| s.flags.discontinuity()).count();
        prop_assert_eq!(header.discontinuity_sequence, u64::try_from(gone).unwrap());
        prop_assert_eq!(header.playlist_type, None);
        prop_assert_eq!(header.version >= Some(list.lowest_version()), true);
    }

    #[test]
    fn numbers_only_rise_while_a_window_slides(
        segments in vec(segment(), 0..60),
        settings in settings(),
        seconds in 1_u32..2000,
    ) {
        let mut list = LivePlaylist::new(&settings);
        let mut before = (0, 0, 0);
        for segment in &segments {
            list.push(segment);
            let text = list.portion(window(seconds));
            let header = read(&text).header().clone();
            let now = (header.media_sequence, header.discontinuity_sequence, header.target_duration);
            prop_assert!(now.0 >= before.0 && now.1 >= before.1 && now.2 >= before.2, "{before:?} {now:?}");
            before = now;
        }
    }

    #[test]
    fn who_has_a_recent_list_completes_a_delta(
        segments in vec(segment(), 1..60),
        settings in settings(),
        seconds in prop::option::of(300_u32..2000),
        had in any::<prop::sample::Index>(),
    ) {
        let settings = settings.directives(true);
        let portion = seconds.map_or(Portion::default(), window);
        let had = had.index(segments.len() + 1);
        let old = assemble_portion(&segments[..had], false, &settings, portion);
        let new = assemble_portion(&segments, false, &settings, portion);
        let delta = assemble_portion(&segments, false, &settings, portion.skip(true));
        let delta = read(&delta);
        let first_shown = delta.header().media_sequence + delta.header().skipped_segments;
        // A player asks only while its list is young enough to hold all that is skipped.
        if u64::try_from(had).unwrap() >= first_shown {
            let mut got = entries(&read(&old));
            got.retain(|entry| (delta.header().media_sequence..first_shown).contains(&entry.0));
            got.extend(entries(&delta));
            prop_assert_eq!(got, entries(&read(&new)));
        }
        let shown = usize::try_from(first_shown).unwrap();
        let micros: u64 = segments[shown..].iter().map(|s| u64::from(s.duration.as_micros())).sum();
        if delta.header().skipped_segments > 0 {
            prop_assert!(micros > 6 * delta.header().target_duration * SECOND);
        }
    }
}
