//! Bodies of fuzz targets: any bytes go in, nothing panics, what is accepted survives a round trip.

pub use crate::probe::fuzzing::{probe_mp4, probe_ts};
use crate::{
    model::{MediaPlaylist, Playlist},
    recorder::Recording,
};

/// Reads any bytes as a recorder's playlist. What is accepted must write to a text that reads as the same model, and
/// that text must write to itself.
///
/// # Panics
/// When it does not: that is the fault the fuzzer looks for.
pub fn read_playlist(data: &[u8]) {
    let Ok(list) = Playlist::read(data) else { return };
    if matches!(&list, Playlist::Multivariant(list) if list.variants.is_empty()) {
        // Without a rendition nothing is left that would tell its kind.
        return;
    }
    let text = list.to_bytes();
    match Playlist::read(&text) {
        Ok(again) => {
            assert_eq!(again, list, "the written list is another one");
            assert_eq!(again.to_bytes(), text, "writing is not stable");
        }
        // Six decimals and quotes can make a line longer than it was.
        Err(error) => assert!(has_line_near_limit(data), "the written list is refused: {error}"),
    }
    assert_eq!(list.clone().into_owned(), list, "the owned list is another one");
    if let Playlist::Media(list) = &list {
        check_recording(data, list);
    }
}

/// A recording always agrees with its list, and nothing is new against itself.
fn check_recording(data: &[u8], list: &MediaPlaylist<'_>) {
    let recording = Recording::read(data).ok();
    let count = recording.as_ref().map(|recording| recording.segments().len());
    assert_eq!(count, Some(list.segments().len()), "the recording lists other segments");
    let parts = recording.as_ref().map_or(0, |recording| recording.parts().len());
    let listed = list.open().map_or(0, |open| open.parts.len());
    let may_be_cut = !data.ends_with(b"\n");
    assert!(
        parts == listed || may_be_cut && parts + 1 == listed,
        "the recording lists other parts"
    );
    let progress = recording.as_ref().map(|recording| recording.since(recording));
    assert!(progress.is_some_and(|p| p.new.is_empty() && p.restarted.is_none() && p.missed == 0));
}

/// Compares two looks at a recorder's folder: the first half of the bytes and the second.
///
/// # Panics
/// When what is new is not the end of the second list.
pub fn compare_recordings(data: &[u8]) {
    let (before, now) = data.split_at(data.len() / 2);
    let (Ok(before), Ok(now)) = (Recording::read(before), Recording::read(now)) else { return };
    let progress = now.since(&before);
    assert!(now.segments().ends_with(progress.new), "new segments are the last ones");
}

fn has_line_near_limit(data: &[u8]) -> bool {
    const GROWTH: usize = 64;
    data.split(|&byte| byte == b'\n').any(|line| line.len() + GROWTH > crate::MAX_LINE_BYTES)
}
