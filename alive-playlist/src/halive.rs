//! The list as the original server prints it, byte for byte: for clients that compare, never the default.
//!
//! It is no conforming playlist: the target duration is always 10, unreadable chunks vanish without trace, a line of a
//! chunk is copied whatever it says. Source: `spec/indexer.md`, section 6, "Original text".

use alive_core::SegmentDuration;
use serde_json::Value;

use crate::decimal::push_seconds;

/// One row of a stream, in order of its sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HaliveItem<'a> {
    /// A chunk's CSV text, or `None` when it cannot be read.
    Chunk(Option<&'a str>),
    /// A segment that was pushed directly.
    Segment {
        /// Its content id, as on the chain.
        content: &'a str,
        /// How long it plays.
        duration: SegmentDuration,
    },
}

/// A segment from the live cache that no chunk holds yet.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct HaliveTail<'a> {
    /// Its content id, as the live cache gave it.
    pub content: &'a str,
    /// Its length in seconds, as the live cache gave it.
    pub seconds: f64,
}

impl<'a> HaliveTail<'a> {
    /// An entry of the live cache.
    pub fn new(content: &'a str, seconds: f64) -> Self {
        Self { content, seconds }
    }

    /// Takes from a live cache's answer what the original takes: objects with a number `len` and a text `src`, up to
    /// the first `null`. An answer that is no array has none.
    pub fn from_answer(answer: &'a Value) -> impl Iterator<Item = Self> {
        let entries = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        entries.iter().take_while(|entry| !entry.is_null()).filter_map(|entry| {
            let content = entry.get("src")?.as_str()?;
            Some(Self { content, seconds: entry.get("len")?.as_f64()? })
        })
    }
}

/// Prints the list. `gateway` is copied as it is and must have been checked, as
/// [`GatewayUrl`](alive_core::GatewayUrl) does; the tail only counts while the stream lives.
///
/// ```
/// use alive_playlist::{HaliveItem, halive_playlist};
/// let text = halive_playlist("https://gw.example", true, [HaliveItem::Chunk(Some("Qm1,9.5\nnot a line"))], []);
/// assert!(text.ends_with("PLAYLIST-TYPE:VOD\n\n#EXTINF:9.5,\nhttps://gw.example/ipfs/Qm1\n#EXT-X-ENDLIST"));
/// ```
pub fn halive_playlist<'a>(
    gateway: &str,
    ended: bool,
    items: impl IntoIterator<Item = HaliveItem<'a>>,
    tail: impl IntoIterator<Item = HaliveTail<'a>>,
) -> String {
    let mut list = List { gateway, text: String::new() };
    list.text.push_str(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:",
    );
    list.text.push_str(if ended { "VOD\n\n" } else { "EVENT\n\n" });
    for item in items {
        list.push_item(item);
    }
    if ended {
        list.text.push_str("#EXT-X-ENDLIST");
        return list.text;
    }
    for entry in tail {
        list.push_segment(&number_text(entry.seconds), entry.content);
    }
    list.text
}

struct List<'g> {
    gateway: &'g str,
    text: String,
}

impl List<'_> {
    fn push_item(&mut self, item: HaliveItem<'_>) {
        match item {
            HaliveItem::Chunk(csv) => {
                for line in csv.unwrap_or_default().split('\n') {
                    let mut columns = line.split(',');
                    if let (Some(content), Some(length)) = (columns.next(), columns.next()) {
                        self.push_segment(length, content);
                    }
                }
            }
            HaliveItem::Segment { content, duration } => {
                let mut length = Vec::with_capacity(9);
                push_seconds(&mut length, duration.as_micros().into());
                self.push_segment(&String::from_utf8_lossy(&length), content);
            }
        }
    }

    fn push_segment(&mut self, length: &str, content: &str) {
        for part in ["#EXTINF:", length, ",\n", self.gateway, "/ipfs/", content, "\n"] {
            self.text.push_str(part);
        }
    }
}

/// A number as JavaScript prints it: the shortest digits that give it back, an exponent only for the very large and the
/// very small.
fn number_text(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".to_owned() } else { special_text(value).to_owned() };
    }
    // Rust finds the same shortest digits; only where the point stands differs.
    let scientific = format!("{:e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if value < 0.0 { "-" } else { "" };
    sign.to_owned() + &place_point(&digits, exponent)
}

fn special_text(value: f64) -> &'static str {
    match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

/// The digits `d1 d2 d3 …` of the number `d1.d2d3… * 10^exponent`.
fn place_point(digits: &str, exponent: i32) -> String {
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let split = |at: i32| digits.split_at_checked(usize::try_from(at).unwrap_or(0));
    match exponent {
        0..=20 if count <= exponent + 1 => {
            let zeros = usize::try_from(exponent + 1 - count).unwrap_or(0);
            digits.to_owned() + &"0".repeat(zeros)
        }
        0..=20 => {
            let (whole, fraction) = split(exponent + 1).unwrap_or((digits, ""));
            format!("{whole}.{fraction}")
        }
        -6..0 => {
            let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
            format!("0.{}{digits}", "0".repeat(zeros))
        }
        _ => {
            let (first, rest) = split(1).unwrap_or((digits, ""));
            let point = if rest.is_empty() { "" } else { "." };
            format!("{first}{point}{rest}e{exponent:+}")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0.0, "0")]
    #[case(-0.0, "0")]
    #[case(4.0, "4")]
    #[case(10.033, "10.033")]
    #[case(-1.5, "-1.5")]
    #[case(100.0, "100")]
    #[case(123_456.789, "123456.789")]
    #[case(0.1, "0.1")]
    #[case(0.000_001, "0.000001")]
    #[case(0.000_001_5, "0.0000015")]
    #[case(1e-7, "1e-7")]
    #[case(1.25e-7, "1.25e-7")]
    #[case(1e20, "100000000000000000000")]
    #[case(1.5e20, "150000000000000000000")]
    #[case(1e21, "1e+21")]
    #[case(1.5e300, "1.5e+300")]
    #[case(5e-324, "5e-324")]
    #[case(9_007_199_254_740_993.0, "9007199254740992")]
    fn numbers_print_as_in_javascript(#[case] value: f64, #[case] text: &str) {
        assert_eq!(number_text(value), text);
    }

    #[test]
    fn nothing_behind_a_null_counts_and_other_nonsense_is_skipped() {
        let answer = serde_json::json!([
            {"src": "a", "len": 1}, 5, "x", [1], {"src": "b", "len": "1"},
            {"src": "c", "len": 2.5, "d": 1}, null, {"src": "d", "len": 1}
        ]);
        let tail: Vec<_> =
            HaliveTail::from_answer(&answer).map(|e| (e.content, e.seconds)).collect();
        assert_eq!(tail, [("a", 1.0), ("c", 2.5)]);
        assert_eq!(HaliveTail::from_answer(&serde_json::json!({"src": "a", "len": 1})).count(), 0);
    }

    #[test]
    fn the_tail_of_an_ended_stream_is_left_out() {
        let with_tail = |ended| halive_playlist("", ended, [], [HaliveTail::new("Qm", 4.0)]);
        assert!(with_tail(false).ends_with("EVENT\n\n#EXTINF:4,\n/ipfs/Qm\n"));
        assert!(with_tail(true).ends_with("VOD\n\n#EXT-X-ENDLIST"));
    }

    proptest! {
        #[test]
        fn a_printed_number_reads_back(value in proptest::num::f64::NORMAL) {
            prop_assert_eq!(number_text(value).parse::<f64>(), Ok(value));
        }
    }
}
