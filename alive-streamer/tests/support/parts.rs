//! A recorder that delivers parts.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// How parts lie on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Each is a file of its own.
    Files,
    /// Ranges of the segment's file, which grows.
    Ranges,
}

/// Plays a sample the way a recorder with a low delay does: part after part, each listed when it is whole; and with the
/// last part of a segment the segment.
#[derive(Debug)]
pub(crate) struct PartRecorder {
    folder: PathBuf,
    layout: Layout,
    map: Option<String>,
    /// The names of the segments and their bytes.
    segments: Vec<(String, Vec<u8>)>,
    /// How many parts a segment has.
    count: usize,
    /// Most segments listed.
    window: usize,
    /// What is written: whole segments, and parts of the next one.
    whole: usize,
    parts: usize,
}

impl PartRecorder {
    /// Of a sample's first segments; those of `fmp4` have a section.
    pub(crate) fn new(sample: &str, folder: &Path, layout: Layout, segments: usize) -> Self {
        let media = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media");
        let sample = Path::new(media).join(sample);
        fs::create_dir_all(folder).unwrap();
        let map = sample.join("init.mp4").is_file().then(|| "init.mp4".to_owned());
        if let Some(map) = &map {
            fs::write(folder.join(map), fs::read(sample.join(map)).unwrap()).unwrap();
        }
        let extension = if map.is_some() { "m4s" } else { "ts" };
        let names = (0..segments).map(|n| format!("stream{n}.{extension}"));
        let segments = names.map(|name| {
            let bytes = fs::read(sample.join(&name)).unwrap();
            (name, bytes)
        });
        let (segments, folder) = (segments.collect(), folder.to_owned());
        Self { folder, layout, map, segments, count: 4, window: 100, whole: 0, parts: 0 }
    }

    /// Lists no more than so many segments.
    pub(crate) fn window(self, window: usize) -> Self {
        Self { window, ..self }
    }

    /// The same recorder, started again.
    pub(crate) fn again(&mut self) {
        (self.whole, self.parts) = (0, 0);
    }

    /// The bytes of a part: a range of whole packets of the segment.
    pub(crate) fn part(&self, segment: usize, index: usize) -> &[u8] {
        let bytes = &self.segments[segment].1;
        let at = |index: usize| {
            let packets = bytes.len() / 188 * index / self.count;
            if index == self.count { bytes.len() } else { packets * 188 }
        };
        &bytes[at(index)..at(index + 1)]
    }

    pub(crate) fn segment(&self, segment: usize) -> &[u8] {
        &self.segments[segment].1
    }

    /// Writes one more part and lists it, and the segment with its last part.
    pub(crate) fn step(&mut self) {
        let (name, whole) = self.segments[self.whole].clone();
        let part = self.part(self.whole, self.parts).to_vec();
        self.parts += 1;
        let path = self.folder.join(&name);
        match self.layout {
            Layout::Files => {
                let own = self.folder.join(self.part_name(self.whole, self.parts - 1));
                fs::write(own, part).unwrap();
                if self.parts == self.count {
                    fs::write(path, whole).unwrap();
                }
            }
            Layout::Ranges => {
                let written: usize = (0..self.parts).map(|n| self.part(self.whole, n).len()).sum();
                // Some of the next part is there, too, but not listed.
                let more = (written + 100).min(whole.len());
                let end = if self.parts == self.count { written } else { more };
                fs::write(path, &whole[..end]).unwrap();
            }
        }
        if self.parts == self.count {
            (self.whole, self.parts) = (self.whole + 1, 0);
        }
        self.write_list(self.whole == self.segments.len());
    }

    /// All parts of a segment.
    pub(crate) fn step_segment(&mut self) {
        let whole = self.whole;
        while self.whole == whole {
            self.step();
        }
    }

    fn part_name(&self, segment: usize, index: usize) -> String {
        self.segments[segment].0.replace('.', &format!(".part{index}."))
    }

    fn part_line(&self, segment: usize, index: usize) -> String {
        let independent = if index == 0 { ",INDEPENDENT=YES" } else { "" };
        let head = "#EXT-X-PART:DURATION=2.5,URI=";
        match self.layout {
            Layout::Files => format!("{head}\"{}\"{independent}\n", self.part_name(segment, index)),
            Layout::Ranges => {
                let offset: usize = (0..index).map(|n| self.part(segment, n).len()).sum();
                let (name, length) = (&self.segments[segment].0, self.part(segment, index).len());
                format!("{head}\"{name}\",BYTERANGE=\"{length}@{offset}\"{independent}\n")
            }
        }
    }

    fn write_list(&self, ended: bool) {
        let first = self.whole.saturating_sub(self.window);
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:10\n#EXT-X-PART-INF:PART-TARGET=2.5\n\
             #EXT-X-MEDIA-SEQUENCE:{first}\n"
        );
        if let Some(map) = &self.map {
            writeln!(text, "#EXT-X-MAP:URI=\"{map}\"").unwrap();
        }
        for segment in first..self.whole {
            // Parts of the newest whole segment stay for a while.
            let parts = if segment + 1 == self.whole { self.count } else { 0 };
            text.extend((0..parts).map(|index| self.part_line(segment, index)));
            writeln!(text, "#EXTINF:10.000000,\n{}", self.segments[segment].0).unwrap();
        }
        text.extend((0..self.parts).map(|index| self.part_line(self.whole, index)));
        text += if ended { "#EXT-X-ENDLIST\n" } else { "" };
        let aside = self.folder.join("stream.m3u8.tmp");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, self.folder.join("stream.m3u8")).unwrap();
    }
}
