//! Recordings that are finished already: [`Finished`].

use std::{collections::BTreeMap, ffi::OsString, hash::Hasher as _, io::Read as _, path::Path};

/// Longest list that is read, in bytes, far more than that of a day.
const MAX_LIST_BYTES: u64 = 16 << 20;

/// The finished lists of a recorder's folder by their names, each with a sum of its text, to notice new ones.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Finished(BTreeMap<OsString, u64>);

impl Finished {
    /// Looks into a folder. What cannot be read is not there.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let lists = entries.filter_map(|entry| {
            let path = entry.path();
            path.extension()?.eq_ignore_ascii_case("m3u8").then_some(())?;
            let mut text = Vec::new();
            std::fs::File::open(&path).ok()?.take(MAX_LIST_BYTES).read_to_end(&mut text).ok()?;
            text.windows(END.len()).any(|line| line == END).then_some(())?;
            // It compares within one run only.
            let mut sum = std::hash::DefaultHasher::new();
            sum.write(&text);
            Some((entry.file_name(), sum.finish()))
        });
        Self(lists.collect())
    }
}

const END: &[u8] = b"#EXT-X-ENDLIST";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_list_that_was_finished_meanwhile_makes_a_difference() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let look = || Finished::in_folder(folder.path());
        assert_eq!(look(), Finished::default());
        write("old.m3u8", "#EXTM3U\na.ts\n#EXT-X-ENDLIST\n");
        let before = look();
        assert_ne!(before, Finished::default());
        write("new.M3U8", "#EXTM3U\nb.ts\n");
        write("a.ts", "#EXT-X-ENDLIST");
        assert_eq!(look(), before);
        write("new.M3U8", "#EXTM3U\nb.ts\n#EXT-X-ENDLIST\n");
        let after = look();
        assert_ne!(after, before);
        write("old.m3u8", "#EXTM3U\nc.ts\n#EXT-X-ENDLIST\n");
        assert_ne!(look(), after);
        assert_eq!(Finished::in_folder(&folder.path().join("none")), Finished::default());
    }
}
