//! Where AliveDB keeps the parts of the segment that is being recorded: [`PartSpace`].
//!
//! One node beside the list of segments, with a value for each part. It is an extension of ours: the original reads the
//! list and what that links to, and nothing links here.
//!
//! | | |
//! |---|---|
//! | soul | `~KEY/NETWORK/STREAMER/LINK/parts<?120` |
//! | key | `SLOT/INDEX/QUALITY`, where the slot is the number of the segment modulo three |
//! | value | `NUMBER,INDEX,QUALITY,SECONDS,i or -,CONTENT,AFTER,SECTION`, the last one empty if there is none |
//!
//! A part takes the key of the one that had its place three segments ago, so the node does not grow, neither here nor in
//! a relay that forgets nothing. What stands behind an eighth comma is for later versions.

use std::fmt;

use alive_core::{
    ContentId, Quality, SegmentDuration, SegmentNumber, StreamId,
    backend::{HeldParts, LivePart},
};

use super::timestamp;
use crate::{
    gun::{Delta, NodeDelta, Put, State, Value},
    json::Text,
    sea::{Account, KeyPair, PublicKey, SignError, sign_node},
};

/// The place of one stream's parts in its streamer's space.
///
/// ```
/// use alive_db::{schema::PartSpace, sea::KeyPair};
/// let keys = KeyPair::generate()?;
/// let space = PartSpace::new(keys.public(), &"hive/alice/s1".parse()?);
/// let soul = format!("~{}/hive/alice/s1/parts<?120", keys.public());
/// assert_eq!(space.soul().as_str(), Some(&*soul));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartSpace {
    soul: Text,
}

impl PartSpace {
    /// How long a part is kept, in milliseconds: longer than any segment takes to be recorded.
    pub const EXPIRY_MS: f64 = 120_000.0;
    /// Longest value that is read, in bytes. Those of ours have at most three content ids of 64 bytes and a few numbers.
    const MAX_VALUE_BYTES: usize = 1024;

    /// The place of this stream's parts in the space of this key.
    pub fn new(streamer: &PublicKey, stream: &StreamId) -> Self {
        Self { soul: format!("{}/{stream}/parts<?120", Account::soul(streamer)).into() }
    }

    /// The node whose values are the parts.
    pub fn soul(&self) -> &Text {
        &self.soul
    }

    /// What adds a part, and takes the place of an older one.
    ///
    /// # Errors
    /// The keys are not those of this space, or the library fails.
    pub fn push(&self, keys: &KeyPair, part: &LivePart, state: State) -> Result<Delta, SignError> {
        let (key, value) = (Self::key(part), Value::Text(Self::written(part).into()));
        let node = sign_node(keys, self.soul.clone(), [(&*key, value)], state)?;
        Ok(Delta { nodes: vec![node] })
    }

    /// The key of a part in the node.
    pub(crate) fn key(part: &LivePart) -> String {
        Slot::of(part).to_string()
    }

    /// The plain value of a part.
    pub(crate) fn written(part: &LivePart) -> String {
        Written(part).to_string()
    }

    /// The parts of this node that count at `now_ms`, in the order of their pushing: not older than two minutes, not from the
    /// future, and in their slots. `open` gives the plain value of a stored one, `None` if it must not count. What is no
    /// part is left out.
    pub fn parts(
        &self,
        node: &NodeDelta,
        now_ms: f64,
        open: impl Fn(Put<'_>) -> Option<Value>,
    ) -> Vec<(State, LivePart)> {
        if node.soul != self.soul {
            return Vec::new();
        }
        let alive = node.entries.iter().filter(|(key, _, state)| {
            let at = state.millis();
            at <= now_ms && now_ms - at < Self::EXPIRY_MS && Slot::parse(key).is_some()
        });
        let mut parts: Vec<_> = alive
            .filter_map(|(key, value, state)| {
                let plain = open(Put { soul: &node.soul, key, value, state: *state })?;
                let part = read(&plain, *state)?;
                (Slot::parse(key)? == Slot::of(&part)).then_some((*state, part))
            })
            .collect();
        parts.sort_by(|(a, one), (b, other)| {
            a.cmp(b).then_with(|| (one.number, one.index).cmp(&(other.number, other.index)))
        });
        parts
    }
}

/// A key of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    segment: u8,
    index: u8,
    quality: Quality,
}

impl Slot {
    /// As many segments as anybody holds parts of.
    const COUNT: u8 = 3;
    const _HOLDS_ALL: () = assert!(HeldParts::SEGMENTS == Self::COUNT as usize);

    fn of(part: &LivePart) -> Self {
        let segment = u8::try_from(part.number % SegmentNumber::from(Self::COUNT)).unwrap_or(0);
        Self { segment, index: part.index, quality: part.quality }
    }

    /// There is one key for each slot: whatever else is written into the node, it is not looked at.
    fn parse(key: &Text) -> Option<Self> {
        let mut columns = key.as_str()?.splitn(3, '/');
        let segment = digits(columns.next()?).filter(|segment: &u8| *segment < Self::COUNT)?;
        let (index, quality) = (digits(columns.next()?)?, columns.next()?.parse().ok()?);
        Some(Self { segment, index, quality })
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, index, quality } = self;
        write!(f, "{segment}/{index}/{quality}")
    }
}

/// The value of a part.
struct Written<'a>(&'a LivePart);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LivePart { number, index, quality, content, after, section, .. } = self.0;
        // Never nothing, as the length of a segment is never written as nothing.
        let millis = ((self.0.duration.as_micros() + 500) / 1000).max(1);
        let independent = if self.0.independent { 'i' } else { '-' };
        let section = section.as_ref().map_or("", ContentId::as_str);
        let (seconds, millis) = (millis / 1000, millis % 1000);
        write!(f, "{number},{index},{quality},{seconds}.{millis:03},{independent},")?;
        write!(f, "{content},{after},{section}")
    }
}

fn read(plain: &Value, state: State) -> Option<LivePart> {
    let Value::Text(text) = plain else { return None };
    let text = text.as_str().filter(|text| text.len() <= PartSpace::MAX_VALUE_BYTES)?;
    let mut columns = text.splitn(9, ',');
    let mut column = || columns.next();
    let (number, index) = (digits(column()?)?, digits(column()?)?);
    let quality = column()?.parse().ok()?;
    let duration: SegmentDuration = column()?.parse().ok()?;
    let independent = match column()? {
        "i" => true,
        "-" => false,
        _ => return None,
    };
    let content: ContentId = column()?.parse().ok()?;
    let after: ContentId = column()?.parse().ok()?;
    let section = match column()? {
        "" => None,
        section => Some(section.parse::<ContentId>().ok()?),
    };
    // What is on another storage than the bytes is no section of theirs.
    if section.is_some_and(|section| section.kind() != content.kind()) {
        return None;
    }
    let duration = duration.to_millis_precision().ok()?;
    let at = timestamp(state);
    Some(LivePart { number, index, after, duration, content, quality, section, independent, at })
}

/// A number as it is printed: digits, without a leading zero.
fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::sea::UserSpace;

    const NOW: f64 = 1_795_219_500_000.0;
    const CID: &str = "QmNoa96v5gCfnzsdEbzZtrJvuXH14hS8k8DPPUQbdJMy7i";
    const OTHER: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

    fn space() -> (KeyPair, PartSpace) {
        let keys = KeyPair::generate().unwrap();
        let space = PartSpace::new(keys.public(), &"hive/alice/s-1".parse().unwrap());
        (keys, space)
    }

    fn state(ms: f64) -> State {
        State::new(ms).unwrap()
    }

    fn open(put: Put<'_>) -> Option<Value> {
        UserSpace::default().open(put, NOW).ok().flatten()
    }

    fn part(number: u64, index: u8) -> LivePart {
        LivePart {
            number,
            index,
            after: OTHER.parse().unwrap(),
            duration: "0.334".parse().unwrap(),
            content: CID.parse().unwrap(),
            quality: Quality::Src,
            section: None,
            independent: true,
            at: timestamp(state(NOW - 9.0)),
        }
    }

    fn parts(space: &PartSpace, node: &NodeDelta) -> Vec<LivePart> {
        space.parts(node, NOW, open).into_iter().map(|(_, part)| part).collect()
    }

    /// A node with these texts under their keys, all of one moment and signed.
    fn written(keys: &KeyPair, space: &PartSpace, key: &str, value: Value) -> NodeDelta {
        sign_node(keys, space.soul().clone(), [(key, value)], state(NOW - 9.0)).unwrap()
    }

    #[test]
    fn a_part_is_one_short_text() {
        let (keys, space) = space();
        let part = LivePart { section: Some(CID.parse().unwrap()), ..part(7042, 3) };
        let delta = space.push(&keys, &part, state(NOW - 9.0)).unwrap();
        let [node] = &delta.nodes[..] else { panic!("one node: {delta:?}") };
        let (key, value, _) = &node.entries[0];
        assert_eq!((node.entries.len(), key.as_str()), (1, Some("1/3/src")));
        let plain = open(Put { soul: space.soul(), key, value, state: state(NOW - 9.0) });
        let text = format!("7042,3,src,0.334,i,{CID},{OTHER},{CID}");
        assert_eq!(plain, Some(Value::Text(text.into())));
    }

    proptest! {
        #[test]
        fn what_is_pushed_is_read(
            number: u64, index: u8, millis in 1..100_000_u32, quality in 0..5_usize,
            section: bool, independent: bool,
        ) {
            let (keys, space) = space();
            let duration = SegmentDuration::from_micros(millis * 1000).unwrap();
            let section = section.then(|| OTHER.parse().unwrap());
            let quality = Quality::ALL[quality];
            let part = LivePart { duration, section, independent, quality, ..part(number, index) };
            let delta = space.push(&keys, &part, state(NOW - 9.0)).unwrap();
            prop_assert!(delta.clone().check(&UserSpace::default(), NOW).is_ok());
            prop_assert_eq!(parts(&space, &delta.nodes[0]), [part]);
        }
    }

    #[test]
    fn a_part_takes_the_key_of_three_segments_ago() {
        let (keys, space) = space();
        let key = |number, index| {
            let delta = space.push(&keys, &part(number, index), state(NOW)).unwrap();
            delta.nodes[0].entries[0].0.clone()
        };
        assert_eq!(key(5, 2), key(8, 2));
        assert_ne!(key(5, 2), key(6, 2));
        assert_ne!(key(5, 2), key(5, 1));
        assert_eq!(key(u64::MAX, 255), key(0, 255));
    }

    #[test]
    fn only_the_last_two_minutes_count_and_nothing_from_the_future() {
        let (keys, space) = space();
        let count = |at: f64| {
            let delta = space.push(&keys, &part(1, 1), state(at)).unwrap();
            space.parts(&delta.nodes[0], NOW, |put| UserSpace::default().plain(put)).len()
        };
        assert_eq!([NOW - 119_999.0, NOW - 120_000.0, NOW, NOW + 1.0].map(count), [1, 0, 1, 0]);
    }

    #[test]
    fn nobody_pushes_into_the_space_of_another() {
        let (_, alices) = space();
        let (mallory, _) = space();
        let pushed = alices.push(&mallory, &part(1, 0), state(NOW));
        let taken = pushed.map(|delta| delta.check(&UserSpace::default(), NOW).is_ok());
        assert!(!matches!(taken, Ok(true)), "{taken:?}");
    }

    #[test]
    fn a_part_in_another_node_is_none() {
        let (keys, space) = space();
        let other = PartSpace::new(keys.public(), &"hive/alice/s-2".parse().unwrap());
        let delta = other.push(&keys, &part(1, 0), state(NOW - 9.0)).unwrap();
        assert_eq!(parts(&other, &delta.nodes[0]).len(), 1);
        assert_eq!(parts(&space, &delta.nodes[0]).len(), 0);
    }

    #[rstest]
    #[case::good("1/0/src", "4,0,src,0.334,i,CID,CID,", 1)]
    #[case::later_columns("1/0/src", "4,0,src,0.334,i,CID,CID,,more,and more", 1)]
    #[case::rounded("1/0/480", "4,0,480,0.33367,-,CID,CID,CID", 1)]
    #[case::other_slot("2/0/src", "4,0,src,0.334,i,CID,CID,", 0)]
    #[case::other_index("1/1/src", "4,0,src,0.334,i,CID,CID,", 0)]
    #[case::other_quality("1/0/240", "4,0,src,0.334,i,CID,CID,", 0)]
    #[case::slot_that_is_none("4/0/src", "4,0,src,0.334,i,CID,CID,", 0)]
    #[case::zeros("01/0/src", "4,0,src,0.334,i,CID,CID,", 0)]
    #[case::index_too_large("1/256/src", "4,256,src,0.334,i,CID,CID,", 0)]
    #[case::sign("1/0/src", "+4,0,src,0.334,i,CID,CID,", 0)]
    #[case::number_too_large("1/0/src", "18446744073709551616,0,src,0.334,i,CID,CID,", 0)]
    #[case::no_length("1/0/src", "4,0,src,0,i,CID,CID,", 0)]
    #[case::less_than_a_millisecond("1/0/src", "4,0,src,0.0004,i,CID,CID,", 0)]
    #[case::too_long("1/0/src", "4,0,src,100,i,CID,CID,", 0)]
    #[case::negative("1/0/src", "4,0,src,-1,i,CID,CID,", 0)]
    #[case::flag("1/0/src", "4,0,src,0.334,x,CID,CID,", 0)]
    #[case::no_content("1/0/src", "4,0,src,0.334,i,,CID,", 0)]
    #[case::address("1/0/src", "4,0,src,0.334,i,http://x/y,CID,", 0)]
    #[case::no_predecessor("1/0/src", "4,0,src,0.334,i,CID,,", 0)]
    #[case::section_that_is_none("1/0/src", "4,0,src,0.334,i,CID,CID,x", 0)]
    #[case::too_few_columns("1/0/src", "4,0,src,0.334,i,CID,CID", 0)]
    #[case::empty("1/0/src", "", 0)]
    fn what_is_no_part_is_left_out(#[case] key: &str, #[case] value: &str, #[case] count: usize) {
        let (keys, space) = space();
        let node = written(&keys, &space, key, Value::Text(value.replace("CID", CID).into()));
        assert_eq!(parts(&space, &node).len(), count);
    }

    #[test]
    fn other_values_and_endless_ones_are_left_out() {
        let (keys, space) = space();
        let long = format!("4,0,src,0.334,i,{CID},{CID},,{}", "x".repeat(1024));
        let values = [Value::Null, Value::Bool(true), Value::Link("x".into())];
        for value in values.into_iter().chain([Value::Text(long.into())]) {
            assert_eq!(parts(&space, &written(&keys, &space, "1/0/src", value)), []);
        }
        let skylink = "sia://AQAh2vxStoSJ_M9tWcTgqebUWerCAbpMfn9xxa9E29UOuw";
        let kinds = [CID, skylink].map(|section| {
            let text = format!("4,0,src,0.334,i,{CID},{CID},{section}");
            parts(&space, &written(&keys, &space, "1/0/src", Value::Text(text.into()))).len()
        });
        assert_eq!(kinds, [1, 0], "a section on another storage");
    }
}
