//! Conforming media playlists from a timeline: the whole list at once, [`assemble`], or what is asked for of it,
//! [`assemble_portion`].
//!
//! [`LivePlaylist`](crate::LivePlaylist) gives the same bytes one segment at a time.

use std::num::NonZeroU32;

use alive_core::{ContentId, GatewayUrl, Segment, StorageKind};

use crate::{
    decimal::{last_digit, push_u64},
    outline::Outline,
    parts::ListPart,
    portion::Portion,
    write::{ENDLIST, INDEPENDENT, push_header, push_part_start},
};

/// How a list of a stream's segments is made.
///
/// ```
/// use alive_playlist::{Extension, ListSettings};
/// let settings = ListSettings::default().gateway("https://ipfs.example/".parse()?).target_seconds(6.try_into()?);
/// assert_eq!(ListSettings::default().extension(Extension::Ts), ListSettings::default());
/// # drop(settings);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListSettings {
    /// Where viewers fetch segments; `None` is the host that serves the list, whatever name it was reached by.
    pub gateway: Option<GatewayUrl>,
    /// The target duration that is announced at least, in seconds. It may not change while a stream lives, so it should
    /// leave room over the recorder's segments: 12 for segments of 10 seconds. A node that restarts must give at least
    /// the value that it announced before.
    pub target_seconds: NonZeroU32,
    /// What segments without an initialisation section are, told to players by the name in the URI: several refuse a
    /// segment without it. Those with one are fragments of MP4.
    pub extension: Extension,
    /// Whether the server that gives a live list understands delivery directives, see
    /// [`ReloadRequest`](crate::ReloadRequest). The list offers them then; a list in a file must not.
    pub directives: bool,
}

impl ListSettings {
    /// Sets where viewers fetch segments.
    #[must_use]
    pub fn gateway(self, gateway: GatewayUrl) -> Self {
        Self { gateway: Some(gateway), ..self }
    }

    /// Sets the target duration that is announced at least.
    #[must_use]
    pub fn target_seconds(self, target_seconds: NonZeroU32) -> Self {
        Self { target_seconds, ..self }
    }

    /// Sets what the segments are.
    #[must_use]
    pub fn extension(self, extension: Extension) -> Self {
        Self { extension, ..self }
    }

    /// Sets whether the server understands delivery directives.
    #[must_use]
    pub fn directives(self, directives: bool) -> Self {
        Self { directives, ..self }
    }
}

impl Default for ListSettings {
    /// Segments of MPEG-TS, about 10 seconds each, from the host that serves the list.
    fn default() -> Self {
        const TWELVE: NonZeroU32 = NonZeroU32::MIN.saturating_add(11);
        Self { gateway: None, target_seconds: TWELVE, extension: Extension::Ts, directives: false }
    }
}

/// A segment as it stands in a list. A [`Segment`] alone is one that needs no initialisation section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListEntry<'s> {
    /// The segment.
    pub segment: &'s Segment,
    /// The initialisation section that it needs, as fragments of MP4 do: `EXT-X-MAP`.
    pub section: Option<&'s ContentId>,
}

impl<'s> ListEntry<'s> {
    /// A segment and the section that it needs.
    pub fn new(segment: &'s Segment, section: Option<&'s ContentId>) -> Self {
        Self { segment, section }
    }
}

impl<'s> From<&'s Segment> for ListEntry<'s> {
    fn from(segment: &'s Segment) -> Self {
        Self::new(segment, None)
    }
}

/// The file extension of segments. Source: `spec/hls.md`, section 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Extension {
    /// A fragment of MP4.
    M4s,
    /// MP4.
    Mp4,
    /// MPEG-TS.
    #[default]
    Ts,
}

impl Extension {
    /// The extension without its dot.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::M4s => "m4s",
            Self::Mp4 => "mp4",
            Self::Ts => "ts",
        }
    }
}

/// Writes the list of `segments`: of type EVENT, or VOD with `EXT-X-ENDLIST` once the stream has `ended`.
///
/// Numbering starts at 0 and counts gaps. The target duration covers the longest segment, the version is 8 only when a
/// gap is listed, and 7 with an initialisation section. A section is named where it begins and behind each discontinuity;
/// a list has no way to say that it holds no longer. Equal input gives equal bytes on every node. Source: `spec/hls.md`, sections 1, 3 and 4;
/// `spec/indexer.md`, section 6.
///
/// ```
/// use alive_core::Segment;
/// use alive_playlist::{ListSettings, assemble};
/// let id = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse()?;
/// let text = assemble(&[Segment::new(id, "10.5".parse()?)], true, &ListSettings::default());
/// assert_eq!(String::from_utf8(text)?, "\
/// #EXTM3U
/// #EXT-X-VERSION:3
/// #EXT-X-TARGETDURATION:12
/// #EXT-X-MEDIA-SEQUENCE:0
/// #EXT-X-PLAYLIST-TYPE:VOD
/// #EXTINF:10.500000,
/// /ipfs/QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH?filename=0.ts
/// #EXT-X-ENDLIST
/// ");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn assemble<'s, I>(segments: I, ended: bool, settings: &ListSettings) -> Vec<u8>
where
    I: IntoIterator<Item: Into<ListEntry<'s>>, IntoIter: Clone>,
{
    assemble_portion(segments, ended, settings, Portion::default())
}

/// Writes what is asked for of the list of `segments`; see [`assemble`] and [`Portion`].
///
/// A window has neither of the two types, because segments leave it at the front, and keeps its numbers when the stream
/// ends. Segments are left out of live lists only, and only where [`ListSettings::directives`] offers it.
/// Source: `spec/hls.md`, sections 5 and 7.
///
/// ```
/// use alive_core::Segment;
/// use alive_playlist::{ListSettings, Portion, assemble_portion};
/// let id = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse()?;
/// let segments = vec![Segment::new(id, "10".parse()?); 100];
/// let portion = Portion::default().window("60".parse()?);
/// assert_eq!(String::from_utf8(assemble_portion(&segments, false, &ListSettings::default(), portion))?, "\
/// #EXTM3U
/// #EXT-X-VERSION:3
/// #EXT-X-TARGETDURATION:12
/// #EXT-X-MEDIA-SEQUENCE:94
/// ".to_owned() + &(94..100).map(|n| format!(
///     "#EXTINF:10.000000,\n/ipfs/QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH?filename={n}.ts\n"
/// )).collect::<String>());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn assemble_portion<'s, I>(
    segments: I,
    ended: bool,
    settings: &ListSettings,
    portion: Portion,
) -> Vec<u8>
where
    I: IntoIterator<Item: Into<ListEntry<'s>>, IntoIter: Clone>,
{
    let segments = segments.into_iter().map(Into::into);
    let mut outline = Outline::new(settings);
    for entry in segments.clone() {
        outline.push(entry);
    }
    let plan = outline.plan(portion, ended);
    let mut writer = SegmentWriter::starting_at(plan.first, settings);
    if plan.header.skipped_segments != 0
        && let Some(skipped) = plan.first.checked_sub(1)
    {
        // The reader knows the section in force.
        writer.set_section(segments.clone().nth(skipped).and_then(|entry| entry.section));
    }
    let count = outline.len().saturating_sub(plan.first);
    let mut out = Vec::with_capacity(HEADER_ROOM + ENDLIST.len() + count * writer.usual_bytes());
    push_header(&mut out, &plan.header);
    for entry in segments.skip(plan.first) {
        writer.push(&mut out, entry);
    }
    if ended {
        out.extend_from_slice(ENDLIST);
    }
    out
}

/// More than any header takes.
pub(crate) const HEADER_ROOM: usize = 320;

/// Writes segments one after another; what is the same in each is prepared once.
#[derive(Clone, Debug)]
pub(crate) struct SegmentWriter {
    before_cid: Box<[u8]>,
    before_skylink: Box<[u8]>,
    file_name: FileName,
    /// What segments without a section are.
    extension: Extension,
    /// The initialisation section of the segment before; for the first one that which its reader knows.
    section: Option<ContentId>,
}

impl SegmentWriter {
    /// Starts with a segment of any number.
    pub(crate) fn starting_at(number: usize, settings: &ListSettings) -> Self {
        let base = settings.gateway.as_ref().map_or("", GatewayUrl::base);
        Self {
            before_cid: format!("{base}/ipfs/").into_bytes().into(),
            before_skylink: format!("{base}/").into_bytes().into(),
            file_name: FileName::new(number, settings.extension),
            extension: settings.extension,
            section: None,
        }
    }

    /// The section that holds from now on.
    fn set_section(&mut self, section: Option<&ContentId>) {
        self.section = section.copied();
        self.file_name.set_extension(section.map_or(self.extension, |_| Extension::M4s));
    }

    /// Names an initialisation section.
    pub(crate) fn push_map(&self, out: &mut Vec<u8>, section: &ContentId) {
        // A gateway's address has no quote: its type sees to that.
        out.extend_from_slice(b"#EXT-X-MAP:URI=\"");
        out.extend_from_slice(self.before(section));
        out.extend_from_slice(section.as_bytes());
        out.extend_from_slice(b"?filename=init.mp4\"\n");
    }

    /// The section that the segment pushed last has.
    pub(crate) fn section(&self) -> Option<&ContentId> {
        self.section.as_ref()
    }

    /// Names the parts of a segment, which needs this section.
    pub(crate) fn push_parts(
        &self,
        out: &mut Vec<u8>,
        number: usize,
        section: Option<&ContentId>,
        parts: &[ListPart],
    ) {
        let extension = section.map_or(self.extension, |_| Extension::M4s).as_str();
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        for (index, part) in (0..).zip(parts) {
            push_part_start(out, part.duration.as_micros().into());
            out.extend_from_slice(self.before(&part.content));
            out.extend_from_slice(part.content.as_bytes());
            out.extend_from_slice(b"?filename=");
            push_u64(out, number);
            out.push(b'.');
            push_u64(out, index);
            out.push(b'.');
            out.extend_from_slice(extension.as_bytes());
            out.push(b'"');
            if part.independent {
                out.extend_from_slice(INDEPENDENT);
            }
            out.push(b'\n');
        }
    }

    fn before(&self, content: &ContentId) -> &[u8] {
        match content.kind() {
            StorageKind::Skynet => &self.before_skylink,
            _ => &self.before_cid,
        }
    }

    /// Bytes of a segment with the longest usual id and no flags.
    pub(crate) fn usual_bytes(&self) -> usize {
        const LONGEST_USUAL_ID: usize = 59;
        const AROUND: usize = "#EXTINF:10.000000,\n?filename=17280.m4s\n".len();
        self.before_cid.len() + LONGEST_USUAL_ID + AROUND
    }

    pub(crate) fn push(&mut self, out: &mut Vec<u8>, entry: ListEntry<'_>) {
        let ListEntry { segment, section } = entry;
        if segment.flags.discontinuity() {
            out.extend_from_slice(b"#EXT-X-DISCONTINUITY\n");
        }
        let changes = self.section.as_ref() != section;
        if changes {
            self.set_section(section);
        }
        if let Some(section) = section.filter(|_| changes || segment.flags.discontinuity()) {
            self.push_map(out, section);
        }
        if segment.flags.gap() {
            out.extend_from_slice(b"#EXT-X-GAP\n");
        }
        push_extinf(out, segment.duration.as_micros());
        out.extend_from_slice(self.before(&segment.content));
        out.extend_from_slice(segment.content.as_bytes());
        out.extend_from_slice(&self.file_name.text);
        self.file_name.count_up();
    }
}

/// The end of a URI line, `?filename=N.ts`, counted up in place: that is quicker than printing each number.
#[derive(Clone, Debug)]
struct FileName {
    text: Vec<u8>,
    dot: usize,
}

impl FileName {
    const START: &str = "?filename=";

    fn new(number: usize, extension: Extension) -> Self {
        let mut text = Self::START.as_bytes().to_vec();
        push_u64(&mut text, u64::try_from(number).unwrap_or(u64::MAX));
        let dot = text.len();
        text.extend_from_slice(format!(".{}\n", extension.as_str()).as_bytes());
        Self { text, dot }
    }

    fn set_extension(&mut self, extension: Extension) {
        self.text.truncate(self.dot + 1);
        self.text.extend_from_slice(extension.as_str().as_bytes());
        self.text.push(b'\n');
    }

    fn count_up(&mut self) {
        let digits = self.text.get_mut(Self::START.len()..self.dot).unwrap_or_default();
        for digit in digits.iter_mut().rev() {
            if *digit != b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
        self.text.insert(Self::START.len(), b'1');
        self.dot += 1;
    }
}

/// Writes `#EXTINF` of a stream's segment, which is shorter than 100 seconds, in one piece.
fn push_extinf(out: &mut Vec<u8>, micros: u32) {
    const TEN_SECONDS: u32 = 10_000_000;
    if micros < TEN_SECONDS {
        let mut line = *b"#EXTINF:0.000000,\n";
        let [.., s0, _, f1, f2, f3, f4, f5, f6, _, _] = &mut line;
        push_digits([s0, f1, f2, f3, f4, f5, f6], micros);
        out.extend_from_slice(&line);
    } else {
        let mut line = *b"#EXTINF:00.000000,\n";
        let [.., s1, s0, _, f1, f2, f3, f4, f5, f6, _, _] = &mut line;
        push_digits([s1, s0, f1, f2, f3, f4, f5, f6], micros);
        out.extend_from_slice(&line);
    }
}

/// Fills places with the digits of a number, the last digit in the last place.
fn push_digits<const N: usize>(places: [&mut u8; N], mut value: u32) {
    for place in places.into_iter().rev() {
        *place = last_digit(value.into());
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use alive_core::Flags;
    use rstest::rstest;

    use super::*;
    use crate::model::MediaPlaylist;

    const CID: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
    const SKYLINK: &str = "AACogzrAimYPG42tDOKhS3lXZD8YvlF8Q8R17afe95iV2Q";

    fn segment(content: &str, duration: &str) -> Segment {
        Segment::new(content.parse().unwrap(), duration.parse().unwrap())
    }

    fn text(segments: &[Segment], ended: bool, settings: &ListSettings) -> String {
        String::from_utf8(assemble(segments, ended, settings)).unwrap()
    }

    #[rstest]
    #[case("0.000001")]
    #[case("9.999999")]
    #[case("10.000000")]
    #[case("99.999999")]
    fn durations_have_six_decimals(#[case] duration: &str) {
        let list = text(&[segment(CID, duration)], false, &ListSettings::default());
        assert!(list.contains(&format!("\n#EXTINF:{duration},\n")), "{list}");
    }

    #[test]
    fn each_storage_has_its_own_path() {
        let segments = [segment(CID, "1"), segment(SKYLINK, "1")];
        let settings = ListSettings::default().gateway("https://gw.example/x//".parse().unwrap());
        let list = text(&segments, false, &settings);
        let uris: Vec<_> = list.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            uris,
            [
                format!("https://gw.example/x/ipfs/{CID}?filename=0.ts"),
                format!("https://gw.example/x/{SKYLINK}?filename=1.ts")
            ]
        );
    }

    #[test]
    fn file_names_count_up() {
        let mut name = FileName::new(0, Extension::Mp4);
        for number in 0..10_010 {
            assert_eq!(name.text, FileName::new(number, Extension::Mp4).text);
            assert_eq!(name.text, format!("?filename={number}.mp4\n").into_bytes());
            name.count_up();
        }
    }

    #[test]
    fn the_extension_names_the_kind_of_segment() {
        let settings = ListSettings::default().extension(Extension::M4s);
        let list = text(&[segment(CID, "1")], false, &settings);
        assert!(list.ends_with(&format!("/ipfs/{CID}?filename=0.m4s\n")));
    }

    #[test]
    fn a_gap_keeps_its_number_and_raises_the_version() {
        let gap = segment(CID, "1").with_flags(Flags::GAP.with_discontinuity());
        let list =
            text(&[segment(CID, "1"), gap, segment(CID, "2")], true, &ListSettings::default());
        let list = MediaPlaylist::read(list.as_bytes()).unwrap();
        assert_eq!(list.header().version, Some(8));
        let flags: Vec<_> = list.segments().iter().map(|s| (s.gap, s.discontinuity)).collect();
        assert_eq!(flags, [(false, false), (true, true), (false, false)]);
        assert!(list.segments()[2].uri.as_str().ends_with("?filename=2.ts"));
    }

    #[test]
    fn fragments_name_their_section_and_again_behind_a_discontinuity() {
        let settings =
            ListSettings::default().gateway("https://gw.example".parse().unwrap()).directives(true);
        let section: ContentId = SKYLINK.parse().unwrap();
        let broken = segment(CID, "10").with_flags(Flags::DISCONTINUITY);
        let segments = [vec![segment(CID, "10"); 20], vec![broken; 1]].concat();
        let entries = segments.iter().map(|segment| ListEntry::new(segment, Some(&section)));
        let list = String::from_utf8(assemble(entries.clone(), false, &settings)).unwrap();
        let map = format!("#EXT-X-MAP:URI=\"https://gw.example/{SKYLINK}?filename=init.mp4\"\n");
        assert_eq!(list.matches(&map).count(), 2);
        assert!(list.contains(&format!("#EXT-X-DISCONTINUITY\n{map}#EXTINF")));
        assert!(list.ends_with("?filename=20.m4s\n") && !list.contains(".ts"), "{list}");
        let list = MediaPlaylist::read(list.as_bytes()).unwrap();
        assert_eq!(list.header().version, Some(7));
        assert!(list.segments().iter().all(|segment| segment.map.is_some()));

        let portion = |portion| assemble_portion(entries.clone(), false, &settings, portion);
        let window = portion(Portion::default().window("40".parse().unwrap()));
        let window = MediaPlaylist::read(&window).unwrap();
        assert!(window.segments().iter().all(|segment| segment.map.is_some()));
        // Who has the skipped segments knows their section.
        let delta = String::from_utf8(portion(Portion::default().skip(true))).unwrap();
        assert_eq!(delta.matches(&map).count(), 1, "{delta}");
    }

    #[test]
    fn a_section_that_changes_is_named_where_it_does() {
        let [a, b] = [CID, SKYLINK].map(|id| id.parse::<ContentId>().unwrap());
        let one = segment(CID, "10");
        let sections = [None, Some(&a), Some(&a), Some(&b), None, Some(&b)];
        let entries = sections.map(|section| ListEntry::new(&one, section));
        let list = String::from_utf8(assemble(entries, true, &ListSettings::default())).unwrap();
        let told = list.lines().filter_map(|line| {
            let uri = line.strip_prefix("#EXT-X-MAP:URI=\"").map(|rest| &rest[..rest.len() - 1]);
            uri.or((!line.starts_with('#')).then(|| line.rsplit('=').next().unwrap()))
        });
        let [a, b] = [format!("/ipfs/{a}?filename=init.mp4"), format!("/{b}?filename=init.mp4")];
        let want = ["0.ts", &a, "1.m4s", "2.m4s", &b, "3.m4s", "4.ts", &b, "5.m4s"];
        assert_eq!(told.collect::<Vec<_>>(), want, "{list}");
    }

    #[test]
    fn the_target_covers_the_longest_segment() {
        let settings = ListSettings::default().target_seconds(10.try_into().unwrap());
        for (duration, target) in [("9.1", 10), ("10", 10), ("10.000001", 11), ("99.999999", 100)] {
            let list = assemble(&[segment(CID, duration)], false, &settings);
            assert_eq!(MediaPlaylist::read(&list).unwrap().header().target_duration, target);
        }
    }
}
