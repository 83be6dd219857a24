//! What of a list is published, and when.

use std::sync::Arc;

use alive_core::{ContentId, GatewayUrl, Quality};
use alive_playlist::{ListEnd, ListEntry, Portion, Quoted, RenditionReport};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{ListText, Playlist, View};

impl View {
    /// Gives the list if it changed, or if what it lacks did.
    pub(in crate::playlists) fn publish(&mut self) -> Option<Arc<Playlist>> {
        let ended = self.timeline.ended();
        let listed = self.timeline.listed();
        let end = if ended {
            ListEnd::from(u64::try_from(listed.len()).unwrap_or(u64::MAX))
        } else {
            self.grow();
            self.list.list_end()
        };
        let shown = self.published.as_ref();
        let grew = shown.is_none_or(|shown| shown.ended != ended || shown.end != end);
        let grew = std::mem::take(&mut self.took_back) || grew;
        let (text, delta) = match shown {
            Some(shown) if !grew && !ended => (Arc::clone(&shown.text), shown.delta.clone()),
            _ if ended => (self.archive_text(), None),
            _ => {
                let text = self.live_text();
                let delta = self.delta_text(text.bytes.len());
                (text, delta)
            }
        };
        let playlist = self.playlist(text, delta, ended, end);
        if self.published.as_deref() == Some(&playlist) {
            return None;
        }
        Some(Arc::clone(self.published.insert(Arc::new(playlist))))
    }

    /// The archive's text; it is named and compressed only when it is another one.
    fn archive_text(&self) -> Arc<ListText> {
        let bytes = self.archive(Portion::default());
        let shown = self.published.as_ref().map(|shown| &shown.text);
        let same = shown.filter(|shown| shown.bytes == bytes).cloned();
        same.unwrap_or_else(|| ListText::new(bytes).into())
    }

    fn live_text(&mut self) -> Arc<ListText> {
        let pieces = self.list.pieces();
        let gzip = self.gzip.compress(&pieces.header, pieces.lines, &pieces.tail);
        ListText::with_gzip(pieces.to_bytes(), gzip).into()
    }

    /// Only what a player with a recent list lacks, if that is less than the list.
    fn delta_text(&self, whole: usize) -> Option<Arc<ListText>> {
        let delta = self.list.portion(Portion::default().skip(true));
        (delta.len() < whole).then(|| ListText::new(delta).into())
    }

    /// Brings the live list up to what the timeline lists and to the parts behind it.
    fn grow(&mut self) {
        let mut from = usize::try_from(self.list.segment_count()).unwrap_or(usize::MAX);
        if self.parts.is_empty() && !self.list.has_parts() {
            let new = self.timeline.listed().get(from..).unwrap_or_default().iter();
            let new = new.zip(self.timeline.sections().since(from));
            self.list.extend(new.map(|(told, section)| ListEntry::new(&told.segment, section)));
            return;
        }
        loop {
            let last = from.checked_sub(1).and_then(|last| self.timeline.listed().get(last));
            if let Some(last) = last.map(|last| last.segment.content) {
                self.show_parts_behind(&last);
            }
            let listed = self.timeline.listed().get(from);
            let section = self.timeline.sections().since(from).next().flatten();
            let Some(listed) = listed else { break };
            self.list.push(ListEntry::new(&listed.segment, section));
            from += 1;
        }
        self.list.set_reports(self.reports(None));
    }

    /// Shows the parts of the segment behind the last one.
    fn show_parts_behind(&mut self, last: &ContentId) {
        let (is_other, parts) = self.parts.behind(last);
        if is_other && self.list.list_end().open_parts > 0 {
            self.list.forget_open_parts();
            self.took_back = true;
        }
        let shown = usize::try_from(self.list.list_end().open_parts).unwrap_or(usize::MAX);
        for (part, section) in parts.skip(shown) {
            if !self.list.push_part(*part, section.as_ref()) {
                break;
            }
        }
    }

    /// How far the lists of the other qualities are. They have the same segments; of parts each has its own.
    /// Source: `spec/hls.md`, section 7.
    pub(super) fn reports(&self, gateway: Option<&GatewayUrl>) -> Vec<RenditionReport> {
        let Some(last) = self.timeline.listed().last().map(|listed| listed.segment.content) else {
            return Vec::new();
        };
        let whole = self.list.list_end();
        let has = self.renditions();
        let all = [Quality::Src].into_iter().chain(Quality::TRANSCODED);
        let others = all.filter(|quality| {
            *quality != self.quality && (*quality == Quality::Src || has.contains(quality))
        });
        let report = |quality: Quality| {
            let mut uri = format!("?quality={quality}");
            if let Some(gateway) = gateway {
                uri.push_str("&gw=");
                uri.extend(utf8_percent_encode(gateway.as_str(), NON_ALPHANUMERIC));
            }
            let uri = Quoted::new(uri).ok()?;
            let report = match self.parts.count_of(&last, quality).checked_sub(1) {
                Some(part) => RenditionReport::new(uri, whole.next).last_part(Some(part.into())),
                None => RenditionReport::new(uri, whole.next.checked_sub(1)?)
                    .last_part(whole.last_parts.checked_sub(1)),
            };
            Some(report)
        };
        others.filter_map(report).collect()
    }

    fn playlist(
        &self,
        text: Arc<ListText>,
        delta: Option<Arc<ListText>>,
        ended: bool,
        end: ListEnd,
    ) -> Playlist {
        let longest = self.timeline.listed().iter().map(|listed| listed.segment.duration).max();
        let longest = longest.map_or(0, |longest| longest.as_micros().div_ceil(1_000_000));
        Playlist {
            text,
            delta,
            ended,
            target_seconds: self.lasting_settings().target_seconds.get().max(longest),
            segments: self.timeline.listed().len(),
            end,
            waiting: self.timeline.waiting(),
            passed: self.timeline.passed().len(),
            gap: self.stream.info().head > self.stream.info().finalized,
            missing: self
                .segments
                .as_ref()
                .map_or(0, |segments| segments.lost_count(self.timeline.sections())),
            unchecked: self.segments.as_ref().is_some_and(|segments| segments.open() > 0),
        }
    }
}
