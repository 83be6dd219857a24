//! Plays a finished recording into a folder the way a recorder writes it: file by file, the list renamed over.
//! Source: `spec/hls.md`, section 10.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use alive_playlist::Recording as RecorderList;
use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;

/// Slices in which a segment's file grows while it is recorded.
const SLICES: u32 = 4;

/// A recording on disk or in the program: its list, cut into what belongs to each segment, and its files' bytes.
#[derive(Debug)]
pub(crate) struct Recording {
    list_name: String,
    head: String,
    segments: Vec<RecordedFile>,
}

/// One segment of a recording.
#[derive(Debug)]
pub(crate) struct RecordedFile {
    name: String,
    /// Its lines in the list, tags first.
    lines: String,
    duration: Duration,
    /// The initialisation section that begins with it, by name.
    section: Option<(String, Bytes)>,
    /// Its bytes.
    pub(crate) data: Bytes,
}

macro_rules! bundled {
    ($($name:literal),+) => {
        [$(($name, include_bytes!(concat!("../../vectors/media/ts-6x10s/", $name)).as_slice())),+]
    };
}

impl Recording {
    /// The recording that comes with the program: a minute of test pattern in six segments.
    pub(crate) fn bundled() -> anyhow::Result<Self> {
        let files = bundled!(
            "stream.m3u8",
            "stream0.ts",
            "stream1.ts",
            "stream2.ts",
            "stream3.ts",
            "stream4.ts",
            "stream5.ts"
        );
        let find =
            |name: &str| files.iter().find(|(known, _)| *known == name).map(|(_, data)| *data);
        Self::read("stream.m3u8", find("stream.m3u8").unwrap_or_default(), |name| {
            find(name).map(Bytes::from_static).context("not in the program")
        })
    }

    /// A recording in a folder: its only media playlist and the segments listed there.
    pub(crate) fn from_folder(folder: &Path) -> anyhow::Result<Self> {
        let place = || format!("recording {}", folder.display());
        let mut lists = Vec::new();
        for entry in folder.read_dir().with_context(place)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "m3u8") {
                lists.push(path);
            }
        }
        let list = match lists.as_slice() {
            [list] => list,
            lists => bail!("{} has {} playlists, one is needed", place(), lists.len()),
        };
        let name = list.file_name().and_then(|name| name.to_str()).context("a readable name")?;
        let text = std::fs::read(list).with_context(place)?;
        Self::read(name, &text, |name| {
            // A list may not reach outside of its folder.
            let plain = Path::new(name).file_name().is_some_and(|file| file == name);
            ensure!(plain, "segment {name} is not in the recording's folder");
            Ok(std::fs::read(folder.join(name))?.into())
        })
        .with_context(place)
    }

    fn read(
        list_name: &str,
        list: &[u8],
        file: impl Fn(&str) -> anyhow::Result<Bytes>,
    ) -> anyhow::Result<Self> {
        let parsed = RecorderList::read(list)?;
        let (head, blocks) = cut(std::str::from_utf8(list)?);
        ensure!(blocks.len() == parsed.segments().len(), "the list holds more than segments");
        ensure!(!blocks.is_empty(), "the list holds no segment");
        let (mut segments, mut map) = (Vec::new(), None);
        for (segment, lines) in parsed.segments().iter().zip(blocks) {
            let name = lines.lines().next_back().unwrap_or_default().to_owned();
            let data = file(&name).with_context(|| format!("segment {name}"))?;
            let duration = Duration::from_micros(segment.duration.as_micros());
            let begins = segment.map.as_ref().filter(|new| Some(*new) != map.as_ref());
            let section = match begins {
                None => None,
                Some(new) => {
                    let name = new.file_name().context("a section that is a whole file")?;
                    let data = file(name).with_context(|| format!("section {name}"))?;
                    Some((name.to_owned(), data))
                }
            };
            map.clone_from(&segment.map);
            segments.push(RecordedFile { name, lines, duration, section, data });
        }
        Ok(Self { list_name: list_name.to_owned(), head, segments })
    }

    /// Its segments in playing order.
    pub(crate) fn segments(&self) -> &[RecordedFile] {
        &self.segments
    }

    /// How long it plays.
    pub(crate) fn duration(&self) -> Duration {
        self.segments.iter().map(|segment| segment.duration).sum()
    }

    /// Writes it into `folder`, `speed` times as fast as it was recorded, and says when each segment's list entry stood.
    pub(crate) async fn play(
        &self,
        folder: &Path,
        speed: f64,
        mut closed: impl FnMut(usize, Instant),
    ) -> anyhow::Result<()> {
        let list = folder.join(&self.list_name);
        let mut text = self.head.clone();
        for (at, segment) in self.segments.iter().enumerate() {
            segment
                .write(folder, speed)
                .await
                .with_context(|| format!("segment {}", segment.name))?;
            text.push_str(&segment.lines);
            let last = at + 1 == self.segments.len();
            let end = if last { "#EXT-X-ENDLIST\n" } else { "" };
            replace(&list, &format!("{text}{end}")).await.context("playlist")?;
            closed(at, Instant::now());
        }
        Ok(())
    }
}

impl RecordedFile {
    /// Lets the file grow slice by slice for as long as the segment plays.
    async fn write(&self, folder: &Path, speed: f64) -> std::io::Result<()> {
        use tokio::io::AsyncWriteExt as _;
        if let Some((name, section)) = &self.section {
            tokio::fs::write(folder.join(name), section).await?;
        }
        let mut file = tokio::fs::File::create(folder.join(&self.name)).await?;
        let slice = self.data.len().div_ceil(SLICES as usize).max(1);
        let pause = (self.duration / SLICES).div_f64(speed);
        for piece in self.data.chunks(slice) {
            tokio::time::sleep(pause).await;
            file.write_all(piece).await?;
        }
        file.flush().await
    }
}

/// Cuts a list into its head and the lines of each segment, the segment's URI last. The end tag is left out.
fn cut(text: &str) -> (String, Vec<String>) {
    const SEGMENT_TAGS: [&str; 9] = [
        "#EXTINF",
        "#EXT-X-DISCONTINUITY",
        "#EXT-X-PROGRAM-DATE-TIME",
        "#EXT-X-MAP",
        "#EXT-X-KEY",
        "#EXT-X-BYTERANGE",
        "#EXT-X-GAP",
        "#EXT-X-BITRATE",
        "#EXT-X-DATERANGE",
    ];
    let (mut head, mut blocks, mut block) = (String::new(), Vec::new(), String::new());
    for line in text.lines().filter(|line| !line.trim().is_empty() && *line != "#EXT-X-ENDLIST") {
        let name = line.split(':').next().unwrap_or_default();
        let in_head = blocks.is_empty() && block.is_empty() && !SEGMENT_TAGS.contains(&name);
        if in_head && line.starts_with('#') {
            head.push_str(line);
            head.push('\n');
            continue;
        }
        block.push_str(line);
        block.push('\n');
        if !line.starts_with('#') {
            blocks.push(std::mem::take(&mut block));
        }
    }
    (head, blocks)
}

async fn replace(list: &Path, text: &str) -> std::io::Result<()> {
    let mut next: PathBuf = list.to_owned();
    next.as_mut_os_string().push(".tmp");
    tokio::fs::write(&next, text).await?;
    tokio::fs::rename(&next, list).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_played_is_the_recording_again() {
        let numbered = |extension: &str, count: usize| -> Vec<String> {
            (0..count).map(|number| format!("stream{number}.{extension}")).collect()
        };
        for (sample, mut names) in [
            ("ts-6x10s", numbered("ts", 6)),
            ("resumed", numbered("ts", 6)),
            ("fmp4", [numbered("m4s", 3), vec!["init.mp4".to_owned()]].concat()),
        ] {
            let source = format!("{}/../vectors/media/{sample}", env!("CARGO_MANIFEST_DIR"));
            let recording = Recording::from_folder(Path::new(&source)).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let mut closed = Vec::new();
            recording.play(folder.path(), 10.0, |at, _| closed.push(at)).await.unwrap();
            let count = recording.segments().len();
            assert_eq!(closed, (0..count).collect::<Vec<_>>());
            names.push("stream.m3u8".to_owned());
            for name in names {
                let original = std::fs::read(format!("{source}/{name}")).unwrap();
                assert_eq!(std::fs::read(folder.path().join(&name)).unwrap(), original, "{name}");
            }
        }
    }

    #[test]
    fn the_bundled_recording_is_whole() {
        let recording = Recording::bundled().unwrap();
        assert_eq!((recording.segments().len(), recording.duration()), (6, Duration::from_mins(1)));
    }

    #[test]
    fn a_list_that_points_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let list = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n../secret.ts\n";
        std::fs::write(folder.path().join("stream.m3u8"), list).unwrap();
        assert!(Recording::from_folder(folder.path()).is_err());
    }
}
