//! The `json_metadata` of a post, kept as it is but for what is set: [`PostMetadata`].

use std::fmt;

use alive_core::{ContentId, StreamId};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The member that names the stream.
const ALIVE: &str = "alive";

/// A JSON object whose members stay as they are written, in their order: others' members, numbers with more digits than
/// any type holds, names that stand there twice.
///
/// ```
/// use alive_hive::post::PostMetadata;
/// let text = r#"{"app":"peakd/1","price":1.10,"alive":{"network":"hive","author":"alice","link":"s","mood":"fine"}}"#;
/// let mut metadata: PostMetadata = text.parse()?;
/// assert_eq!(metadata.stream(), Some("hive/alice/s".parse().unwrap()));
/// metadata.set_ended();
/// assert_eq!(metadata.to_string(), text.replace("\"fine\"", "\"fine\",\"ended\":true"));
/// # Ok::<(), alive_hive::post::MetadataError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct PostMetadata(Vec<(String, Box<RawValue>)>);

impl PostMetadata {
    /// Most archives of a chat that are named; more are not read and not added.
    pub const MAX_ARCHIVES: usize = 64;

    /// A member as its JSON text. Of those that stand there twice the last one counts, as for every reader.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(own, _)| own == name);
        found.map(|(_, value)| value.get())
    }

    /// All members in their order, each with its JSON text.
    pub fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.get()))
    }

    /// The stream that it names, if it names one.
    pub fn stream(&self) -> Option<StreamId> {
        let alive = self.alive()?;
        let part = |name| serde_json::from_str::<String>(alive.get(name)?).ok();
        let (network, account) = (part("network")?.parse().ok()?, part("author")?.parse().ok()?);
        Some(StreamId::new(network, account, part("link")?.parse().ok()?))
    }

    /// Whether it says that the stream has ended.
    pub fn is_ended(&self) -> bool {
        self.alive().is_some_and(|alive| alive.get("ended") == Some("true"))
    }

    /// The archives of the stream's chat that it names; what is no content id is passed over.
    pub fn chat_archives(&self) -> Vec<ContentId> {
        let alive = self.alive();
        let list = alive.as_ref().and_then(|alive| alive.get("chat"));
        let list: Vec<&RawValue> =
            list.and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default();
        let text = |item: &&RawValue| serde_json::from_str::<String>(item.get()).ok();
        let ids = list.iter().filter_map(text).filter_map(|text| text.parse().ok());
        ids.take(Self::MAX_ARCHIVES).collect()
    }

    /// Sets which stream it is about.
    pub fn set_stream(&mut self, stream: &StreamId) {
        self.change_alive(|alive| {
            alive.set("network", &stream.network);
            alive.set("author", &stream.account);
            alive.set("link", &stream.link);
        });
    }

    /// Says that the stream has ended.
    pub fn set_ended(&mut self) {
        self.change_alive(|alive| alive.set("ended", &true));
    }

    /// Adds an archive of the stream's chat; whether it is a new one and there was room for it.
    pub fn add_chat_archive(&mut self, archive: &ContentId) -> bool {
        let listed = self.alive().and_then(|alive| serde_json::from_str(alive.get("chat")?).ok());
        // What is no content id stays in the list, too.
        let mut all: Vec<Box<RawValue>> = listed.unwrap_or_default();
        let is_known = self.chat_archives().contains(archive);
        let archive = serde_json::value::to_raw_value(archive);
        let Some(archive) = archive.ok().filter(|_| !is_known && all.len() < Self::MAX_ARCHIVES)
        else {
            return false;
        };
        all.push(archive);
        self.change_alive(|alive| alive.set("chat", &all));
        true
    }

    /// Sets a member, in its place or behind all others.
    pub fn set(&mut self, name: &str, value: &impl Serialize) {
        // Texts, numbers and lists of them always have a JSON text.
        let Ok(value) = serde_json::value::to_raw_value(value) else { return };
        match self.0.iter().position(|(own, _)| own == name) {
            None => self.0.push((name.to_owned(), value)),
            Some(first) => {
                let mut index = 0;
                self.0.retain(|(own, _)| {
                    index += 1;
                    own != name || index <= first + 1
                });
                if let Some((_, old)) = self.0.get_mut(first) {
                    *old = value;
                }
            }
        }
    }

    /// The member that names the stream, if it is an object.
    fn alive(&self) -> Option<Self> {
        serde_json::from_str(self.get(ALIVE)?).ok()
    }

    /// Changes what is in the member that names the stream; one that is no object is replaced.
    fn change_alive(&mut self, change: impl FnOnce(&mut Self)) {
        let mut alive = self.alive().unwrap_or_default();
        change(&mut alive);
        self.set(ALIVE, &alive);
    }
}

impl PartialEq for PostMetadata {
    fn eq(&self, other: &Self) -> bool {
        self.members().eq(other.members())
    }
}

impl Eq for PostMetadata {}

impl Serialize for PostMetadata {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for PostMetadata {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = PostMetadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PostMetadata, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(PostMetadata(members))
            }
        }

        from.deserialize_map(Members)
    }
}

impl fmt::Display for PostMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl std::str::FromStr for PostMetadata {
    type Err = MetadataError;

    /// An empty text is an object without members: many posts have none.
    fn from_str(text: &str) -> Result<Self, MetadataError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text)
            .map_err(|error| MetadataError { line: error.line(), column: error.column() })
    }
}

/// The text is no [`PostMetadata`]: not a JSON object, or nested too deep.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no JSON object: line {line}, column {column}")]
pub struct MetadataError {
    line: usize,
    column: usize,
}
