//! Where AliveDB keeps live segments: [`StreamSpace`], [`Item`]; and the parts of the next one: [`PartSpace`].
//!
//! A list in the streamer's user space links to one node per segment; the list forgets after ten minutes.
//! Source: `spec/alivedb.md`, section 6.

mod parts;

pub use parts::PartSpace;

use alive_core::{
    ContentId, Flags, Quality, Renditions, Segment, SegmentDuration, StreamId, Timestamp,
    backend::LiveSegment,
};

use crate::{
    gun::{Delta, NodeDelta, Number, Put, State, Value},
    json::{Json, Object, Text},
    sea::{Account, KeyPair, PublicKey, SignError, random_text, sign_node},
};

/// The place of one stream in its streamer's space.
///
/// ```
/// use alive_db::{schema::StreamSpace, sea::KeyPair};
/// let keys = KeyPair::generate()?;
/// let space = StreamSpace::new(keys.public(), &"hive/alice/s1".parse()?);
/// let list = format!("~{}/hive/alice/s1<?600", keys.public());
/// assert_eq!(space.list_soul().as_str(), Some(&*list));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSpace {
    owner_soul: Text,
    /// The list's name under the streamer's account.
    list_key: Text,
    list_soul: Text,
    /// What the souls of all items of this streamer begin with.
    items: String,
}

impl StreamSpace {
    /// How long the list keeps a segment, in milliseconds.
    pub const EXPIRY_MS: f64 = 600_000.0;
    /// How many random bytes naming a segment takes.
    pub const RANDOM_LEN: usize = 24;
    /// Most segments that are read of one list: ten minutes of segments of a tenth of a second.
    pub const MAX_ITEMS: usize = 6000;

    /// The place of this stream in the space of this key.
    pub fn new(streamer: &PublicKey, stream: &StreamId) -> Self {
        let owner_soul = Account::soul(streamer);
        let list_key = format!("{stream}<?600");
        let list_soul = Text::from(format!("{owner_soul}/{list_key}"));
        Self { items: format!("{owner_soul}/"), owner_soul, list_key: list_key.into(), list_soul }
    }

    /// The node whose keys link to the segments.
    pub fn list_soul(&self) -> &Text {
        &self.list_soul
    }

    /// What adds a segment: the list's link, the segment's link, the segment. One put, so none is there without the
    /// others.
    ///
    /// # Errors
    /// The keys are not those of this space, or the library fails.
    pub fn push(
        &self,
        keys: &KeyPair,
        item: &NewItem,
        random: [u8; Self::RANDOM_LEN],
        state: State,
    ) -> Result<Delta, SignError> {
        // Digits and letters, as the original names what it adds to a set.
        let name = format!("{}{}", base36(state.millis()), random_text(&random));
        let soul = Text::from(format!("{}{name}", self.items));
        let link = Value::Link(soul.clone());
        let list = Value::Link(self.list_soul.clone());
        let owner_soul = self.owner_soul.clone();
        let nodes = vec![
            sign_node(keys, soul.clone(), item.values(), state)?,
            sign_node(keys, owner_soul, [(self.list_key.clone(), list)], state)?,
            sign_node(keys, self.list_soul.clone(), [(soul, link)], state)?,
        ];
        Ok(Delta { nodes })
    }

    /// The links of a list that count at `now_ms`, oldest first: not older than ten minutes nor than `since_ms`, not
    /// from the future, and into this streamer's space. `open` gives the plain value of a stored one, `None` if it must
    /// not count.
    ///
    /// Should there be more than [`MAX_ITEMS`](Self::MAX_ITEMS), the newest are given.
    pub fn links(
        &self,
        list: &NodeDelta,
        now_ms: f64,
        since_ms: f64,
        open: impl Fn(Put<'_>) -> Option<Value>,
    ) -> Vec<ItemLink> {
        let mut links: Vec<ItemLink> = list
            .entries
            .iter()
            .filter(|(_, _, state)| {
                let at = state.millis();
                at <= now_ms && now_ms - at < Self::EXPIRY_MS && at >= since_ms
            })
            .filter_map(|(key, value, state)| {
                let Value::Link(soul) = open(Put { soul: &list.soul, key, value, state: *state })?
                else {
                    return None;
                };
                let own = soul.as_bytes().starts_with(self.items.as_bytes());
                own.then(|| ItemLink { key: key.clone(), soul, state: *state })
            })
            .collect();
        links.sort_by(|a, b| a.state.cmp(&b.state).then_with(|| a.key.cmp(&b.key)));
        links.drain(..links.len().saturating_sub(Self::MAX_ITEMS));
        links
    }
}

/// A list's link to a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemLink {
    /// The key in the list.
    pub key: Text,
    /// The node of the segment.
    pub soul: Text,
    /// When it was added, by the streamer's clock.
    pub state: State,
}

/// A segment to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct NewItem {
    src: Text,
    /// Seconds.
    len: Number,
    renditions: Vec<(Quality, Text)>,
    sections: Vec<(Quality, Text)>,
    discontinuity: bool,
}

impl NewItem {
    /// Any texts as content ids, and a length in seconds; the REST face has checked them.
    pub fn new(src: Text, len: Number) -> Self {
        let (renditions, sections) = (Vec::new(), Vec::new());
        Self { src, len, renditions, sections, discontinuity: false }
    }

    /// Adds a rendition.
    #[must_use]
    pub fn rendition(mut self, quality: Quality, src: Text) -> Self {
        self.renditions.push((quality, src));
        self
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let mut values =
            vec![("src", Value::Text(self.src.clone())), ("len", Value::Number(self.len))];
        values
            .extend(self.renditions.iter().map(|(q, src)| (q.as_str(), Value::Text(src.clone()))));
        let sections = self.sections.iter();
        values.extend(sections.map(|(q, id)| (q.section_key(), Value::Text(id.clone()))));
        if self.discontinuity {
            values.extend(Number::new(1.0).map(|one| ("d", Value::Number(one))));
        }
        values
    }
}

impl From<&LiveSegment> for NewItem {
    /// The length is rounded to milliseconds, the precision of the live cache, but never to nothing.
    fn from(live: &LiveSegment) -> Self {
        let Segment { content, duration, flags } = live.segment;
        let millis = ((duration.as_micros() + 500) / 1000).max(1);
        #[expect(clippy::expect_used, reason = "a quotient of two integers is finite")]
        let len = Number::new(f64::from(millis) / 1000.0).expect("finite");
        Self {
            src: content.as_str().into(),
            len,
            renditions: live.renditions.iter().map(|(q, id)| (q, id.as_str().into())).collect(),
            sections: live.renditions.sections().map(|(q, id)| (q, id.as_str().into())).collect(),
            discontinuity: flags.discontinuity(),
        }
    }
}

/// A segment as it was read: the plain values of its node, of which `src` is a text and `len` a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    soul: Text,
    values: Vec<(Text, Value, State)>,
    src: Text,
    len: Number,
}

impl Item {
    /// Takes a node whose link was in a list; `open` as in [`StreamSpace::links`]. `None` if it is no segment, or a part
    /// of it is missing.
    pub fn read(node: &NodeDelta, open: impl Fn(Put<'_>) -> Option<Value>) -> Option<Self> {
        let soul = &node.soul;
        let plain = node.entries.iter().filter_map(|(key, value, state)| {
            let value = open(Put { soul, key, value, state: *state })?;
            Some((key.clone(), value, *state))
        });
        let values: Vec<_> = plain.collect();
        let find = |name: &str| values.iter().find(|(key, ..)| key == name).map(|(_, v, _)| v);
        let (Value::Text(src), Value::Number(len)) = (find("src")?, find("len")?) else {
            return None;
        };
        let (src, len) = (src.clone(), *len);
        Some(Self { soul: soul.clone(), values, src, len })
    }

    /// A value of the node.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(key, ..)| key == name).map(|(_, value, _)| value)
    }

    /// All values as the original gives them to clients: `_` with soul and states, then the values.
    pub fn to_json(&self) -> Json {
        let states = self.values.iter();
        let states =
            states.map(|(key, _, state)| (key.clone(), Json::Number(state.millis()))).collect();
        let meta =
            Object::from_iter([("#", Json::Text(self.soul.clone())), (">", Json::Object(states))]);
        let values = self.values.iter().map(|(key, value, _)| (key.clone(), value.to_json()));
        Json::Object([("_".into(), Json::Object(meta))].into_iter().chain(values).collect())
    }

    /// The segment, added at `at`; `None` if its content id or length is none that a playlist can have. A rendition that
    /// is none is left out.
    pub fn to_segment(&self, at: State) -> Option<LiveSegment> {
        let content: ContentId = self.src.as_str()?.parse().ok()?;
        let mut len = String::new();
        crate::json::print_number(self.len.get(), &mut len);
        // The original's clients round to three decimals; so do we.
        let duration = SegmentDuration::from_json_number(&len, 3).ok()?;
        let discontinuity = matches!(self.value("d"), Some(Value::Number(d)) if d.get().to_bits() == 1_f64.to_bits());
        let named = |key| match self.value(key) {
            Some(Value::Text(id)) => id.as_str()?.parse::<ContentId>().ok(),
            _ => None,
        };
        let mut renditions = Renditions::default();
        for quality in Quality::TRANSCODED {
            if let Some(id) = named(quality.as_str()) {
                renditions.insert(quality, id);
            }
        }
        for quality in Quality::ALL {
            let section = named(quality.section_key());
            if let Some(id) = section.filter(|id| id.kind() == content.kind()) {
                renditions.insert_section(quality, id);
            }
        }
        let flags = Flags::new(discontinuity, false);
        let segment = Segment::new(content, duration).with_flags(flags);
        Some(LiveSegment { segment, renditions, at: timestamp(at) })
    }
}

/// The whole milliseconds of a state.
pub(crate) fn timestamp(state: State) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "a float beyond the range becomes its end")]
    Timestamp::from_unix_ms(state.millis().floor() as i64)
}

/// The whole part of a number in base 36, as JavaScript prints it.
pub(crate) fn base36(number: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float beyond the range becomes its end"
    )]
    let mut rest = number as u64;
    let mut digits = Vec::new();
    loop {
        let digit = u8::try_from(rest % 36).unwrap_or_default();
        digits.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
        rest /= 36;
        if rest == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests;
