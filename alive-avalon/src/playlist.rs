//! Playlists, which are Avalon's streams: [`PlaylistTx`] read from a transaction's data, [`Playlist`] as its state.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crate::{
    json_ref::JsonRef,
    json_text::{JsonText, push_string, utf16_len},
};

/// `PLAYLIST_JSON`: creates a playlist or replaces its json.
pub const PLAYLIST_JSON: u8 = 25;
/// `PLAYLIST_PUSH`: adds entries, or replaces those of the same id.
pub const PLAYLIST_PUSH: u8 = 26;
/// `PLAYLIST_POP`: removes entries. It makes nodes crash when there is no such playlist, so nothing here ever sends one.
pub const PLAYLIST_POP: u8 = 27;

/// Shortest link, in UTF-16 code units. Source of this and the next: `spec/avalon.md`, section 1.
pub const MIN_LINK_LEN: usize = 3;
/// Longest link, in UTF-16 code units.
pub const MAX_LINK_LEN: usize = 50;
/// Longest content of an entry, in UTF-16 code units.
pub const MAX_CONTENT_LEN: usize = 101;
/// Most entries of a playlist.
pub const MAX_ENTRIES: usize = 1000;
/// Greatest id of an entry.
pub const MAX_ENTRY_ID: u16 = 10_000;
/// Longest json of a playlist, in UTF-16 code units of its text.
pub const MAX_JSON_LEN: usize = 60_000;

/// What a playlist transaction asks for. Its form is right; whether it fits the playlist is [`Playlist`]'s to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the chain numbers exactly these three")]
pub enum PlaylistTx<'a> {
    /// Creates a playlist or replaces its json as a whole.
    Json {
        /// Its name.
        link: Cow<'a, str>,
        /// An object or array.
        json: JsonRef<'a>,
    },
    /// Removes entries.
    Pop {
        /// The playlist; `None` if no playlist can have such a name.
        link: Option<Cow<'a, str>>,
        /// The ids of the entries.
        ids: BTreeSet<u16>,
    },
    /// Adds or replaces entries.
    Push {
        /// The playlist.
        link: Cow<'a, str>,
        /// Ids and contents. Of equal ids the last counts.
        entries: Vec<(u16, Cow<'a, str>)>,
    },
}

impl<'a> PlaylistTx<'a> {
    /// Reads the data of a transaction of type 25, 26 or 27; `None` for other types.
    ///
    /// # Errors
    /// [`PlaylistRefusal`], the first rule that it breaks.
    pub fn read(kind: i64, data: JsonRef<'a>) -> Option<Result<Self, PlaylistRefusal>> {
        let read = match u8::try_from(kind).ok()? {
            PLAYLIST_JSON => read_json,
            PLAYLIST_PUSH => read_push,
            PLAYLIST_POP => read_pop,
            _ => return None,
        };
        Some(read(data))
    }

    /// The playlist that it is about.
    pub fn link(&self) -> Option<&str> {
        match self {
            Self::Json { link, .. } | Self::Push { link, .. } => Some(link),
            Self::Pop { link, .. } => link.as_deref(),
        }
    }

    /// Checks whether it may be applied to the playlist of its link.
    ///
    /// `/transact` of a real node does not look whether the playlist of a pop exists, and crashes later; so that is left
    /// to [`apply`](Self::apply).
    ///
    /// # Errors
    /// [`PlaylistRefusal`]; nothing may change then.
    pub fn check(&self, playlist: Option<&Playlist>) -> Result<(), PlaylistRefusal> {
        match self {
            Self::Json { .. } | Self::Pop { .. } => Ok(()),
            Self::Push { entries, .. } => {
                let playlist = playlist.ok_or(PlaylistRefusal::Missing)?;
                let known = |id: &u16| playlist.entries.contains_key(id);
                // A new id counts each time it stands there: the chain's own slip, and part of its rules.
                let new = entries.iter().filter(|(id, _)| !known(id)).count();
                if playlist.entries.len() + new > MAX_ENTRIES {
                    return Err(PlaylistRefusal::Full);
                }
                Ok(())
            }
        }
    }

    /// Applies it to the playlist of its link. `at_ms` is the time of the block.
    ///
    /// # Errors
    /// As [`check`](Self::check), and a pop needs a playlist; nothing changes then.
    pub fn apply(
        &self,
        playlist: &mut Option<Playlist>,
        at_ms: i64,
    ) -> Result<(), PlaylistRefusal> {
        self.check(playlist.as_ref())?;
        match self {
            Self::Json { json, .. } => {
                let json = JsonText::of_canonical(json.as_str());
                match playlist {
                    Some(playlist) => playlist.json = json,
                    None => {
                        let entries = BTreeMap::new();
                        *playlist = Some(Playlist { created_ms: at_ms, json, entries });
                    }
                }
            }
            Self::Pop { ids, .. } => {
                let playlist = playlist.as_mut().ok_or(PlaylistRefusal::Missing)?;
                playlist.entries.retain(|id, _| !ids.contains(id));
            }
            Self::Push { entries, .. } => {
                let playlist = playlist.as_mut().ok_or(PlaylistRefusal::Missing)?;
                let entries = entries.iter().map(|(id, content)| (*id, content.as_ref().into()));
                playlist.entries.extend(entries);
            }
        }
        Ok(())
    }
}

/// A playlist as the chain knows it.
///
/// ```
/// use alive_avalon::{JsonText, Playlist, PlaylistTx};
/// let mut playlist: Option<Playlist> = None;
/// for (kind, data) in [
///     (25, r#"{"link":"show","json":{"live":true}}"#),
///     (26, r#"{"link":"show","seq":[[0,"Qm...,10.0"]]}"#),
/// ] {
///     let data = JsonText::of(data)?;
///     let tx = PlaylistTx::read(kind, data.root()).expect("a playlist transaction")?;
///     tx.apply(&mut playlist, 1_700_000_000_000)?;
/// }
/// let playlist = playlist.expect("created");
/// assert_eq!(playlist.entries().next(), Some((0, "Qm...,10.0")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playlist {
    created_ms: i64,
    json: JsonText,
    entries: BTreeMap<u16, Box<str>>,
}

impl Playlist {
    /// Reads what a node answers, or kept.
    pub fn read(json: JsonRef<'_>) -> Option<Self> {
        let entry = |(id, content): (JsonRef<'_>, JsonRef<'_>)| {
            let id: u16 = id.to_text()?.parse().ok()?;
            Some((id, content.to_text()?.into()))
        };
        Some(Self {
            created_ms: json.member("ts")?.to_safe_integer()?,
            json: JsonText::of_canonical(json.member("json").map_or("{}", JsonRef::as_str)),
            entries: json.member("playlist")?.members().map(entry).collect::<Option<_>>()?,
        })
    }

    /// Time of the block that created it, in milliseconds since 1970.
    pub fn created_ms(&self) -> i64 {
        self.created_ms
    }

    /// Its json.
    pub fn json(&self) -> JsonRef<'_> {
        self.json.root()
    }

    /// Whether the json says that the stream has ended.
    pub fn is_ended(&self) -> bool {
        self.json().member("ended").is_some_and(|ended| ended.as_str() == "true")
    }

    /// Its entries by id, ascending.
    pub fn entries(&self) -> impl Iterator<Item = (u16, &str)> {
        self.entries.iter().map(|(id, content)| (*id, &**content))
    }

    /// The id behind the last one, where a stream goes on; `None` if that is too great.
    pub fn next_id(&self) -> Option<u16> {
        let next = self.entries.last_key_value().map_or(0, |(id, _)| id + 1);
        (next <= MAX_ENTRY_ID).then_some(next)
    }

    /// The text that nodes answer. `id` is its sender, a slash and its link.
    pub fn to_json(&self, id: &str) -> JsonText {
        let mut text = r#"{"_id":"#.to_owned();
        push_string(&mut text, id);
        let (created, json) = (self.created_ms, &self.json);
        // Writing to a string does not fail.
        let _ = write!(text, r#","ts":{created},"json":{json},"playlist":{{"#);
        for (at, (id, content)) in self.entries().enumerate() {
            let _ = write!(text, "{}\"{id}\":", if at > 0 { "," } else { "" });
            push_string(&mut text, content);
        }
        text.push_str("}}");
        JsonText::of_canonical(text)
    }
}

/// Why a playlist transaction is refused, in the words of the reference node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaylistRefusal {
    /// The content of an entry is no text of 1 to 101 code units.
    #[error("invalid playlist content link for sequence {id} at index #{index}")]
    Content {
        /// The entry.
        id: u16,
        /// Its place in the transaction.
        index: usize,
    },
    /// It would have more than 1000 entries.
    #[error("playlist sequence max limit exceeded")]
    Full,
    /// The json is no object, or too long.
    #[error("invalid playlist json metadata")]
    Json,
    /// The link is no text of 3 to 50 code units.
    #[error("invalid playlist link")]
    Link,
    /// There is no such playlist.
    #[error("playlist does not exist")]
    Missing,
    /// An entry is no list of one or two.
    #[error("invalid playlist seq index #{0} array")]
    Pair(usize),
    /// An id is no whole number from 0 to 10000.
    #[error("invalid playlist sequence {id} at index #{index}")]
    Sequence {
        /// What stands there, cut.
        id: String,
        /// Its place in the transaction.
        index: usize,
    },
    /// The entries are no list, or none.
    #[error("invalid playlist seq array")]
    Sequences,
    /// A member that does not belong there.
    #[error("unknown tx.data.{0}")]
    Unknown(String),
}

fn read_json(data: JsonRef<'_>) -> Result<PlaylistTx<'_>, PlaylistRefusal> {
    let (link, json) = members(data, "json")?;
    let link = text_of(link.ok_or(PlaylistRefusal::Link)?)?;
    let json = json.filter(|json| json.is_object() || json.is_array());
    let json = json.filter(|json| utf16_len(json.as_str()) <= MAX_JSON_LEN);
    Ok(PlaylistTx::Json { link, json: json.ok_or(PlaylistRefusal::Json)? })
}

fn read_push(data: JsonRef<'_>) -> Result<PlaylistTx<'_>, PlaylistRefusal> {
    let (link, seq) = members(data, "seq")?;
    let link = text_of(link.ok_or(PlaylistRefusal::Link)?)?;
    let mut entries = Vec::new();
    for (index, pair) in sequences(seq)?.enumerate() {
        let mut items = pair.items();
        let (id, content, more) = (items.next(), items.next(), items.next());
        if !pair.is_array() || more.is_some() {
            return Err(PlaylistRefusal::Pair(index));
        }
        let id = entry_id(id, index)?;
        let refusal = || PlaylistRefusal::Content { id, index };
        let content = content.ok_or_else(refusal)?;
        let fits = |len: &usize| (1..=MAX_CONTENT_LEN).contains(len);
        content.string_utf16_len().filter(fits).ok_or_else(refusal)?;
        entries.push((id, content.to_text().ok_or_else(refusal)?));
    }
    Ok(PlaylistTx::Push { link, entries })
}

fn read_pop(data: JsonRef<'_>) -> Result<PlaylistTx<'_>, PlaylistRefusal> {
    let (link, seq) = members(data, "seq")?;
    let link = link.ok_or(PlaylistRefusal::Link)?.to_text();
    let ids = sequences(seq)?.enumerate().map(|(index, id)| entry_id(Some(id), index));
    Ok(PlaylistTx::Pop { link, ids: ids.collect::<Result<_, _>>()? })
}

/// Refuses members that the type does not have.
#[cfg(feature = "devnet")]
pub(crate) fn only(data: JsonRef<'_>, known: &[&str]) -> Result<(), PlaylistRefusal> {
    // The keys of an array are its indices.
    if data.items().next().is_some() {
        return Err(PlaylistRefusal::Unknown("0".to_owned()));
    }
    for (key, _) in data.members() {
        let name = key.to_text().unwrap_or_default();
        if !known.contains(&&*name) {
            return Err(unknown(&name));
        }
    }
    Ok(())
}

fn unknown(name: &str) -> PlaylistRefusal {
    PlaylistRefusal::Unknown(name.chars().take(32).collect())
}

/// The two members that a type has: the link, if it is one by its length, and another.
fn members<'a>(
    data: JsonRef<'a>,
    name: &str,
) -> Result<(Option<JsonRef<'a>>, Option<JsonRef<'a>>), PlaylistRefusal> {
    // The keys of an array are its indices.
    if data.items().next().is_some() {
        return Err(PlaylistRefusal::Unknown("0".to_owned()));
    }
    let (mut link, mut other) = (None, None);
    for (key, value) in data.members() {
        if key.is_text("link") {
            let len = value.string_utf16_len();
            link = len.filter(|len| (MIN_LINK_LEN..=MAX_LINK_LEN).contains(len)).map(|_| value);
        } else if key.is_text(name) {
            other = Some(value);
        } else {
            return Err(unknown(&key.to_text().unwrap_or_default()));
        }
    }
    Ok((link, other))
}

/// A link with half a character never passes BSON, so it is none.
fn text_of(link: JsonRef<'_>) -> Result<Cow<'_, str>, PlaylistRefusal> {
    link.to_text().ok_or(PlaylistRefusal::Link)
}

fn sequences(
    list: Option<JsonRef<'_>>,
) -> Result<impl Iterator<Item = JsonRef<'_>>, PlaylistRefusal> {
    let mut items = list.map(|list| list.items().peekable());
    let some = items.as_mut().is_some_and(|items| items.peek().is_some());
    items.filter(|_| some).ok_or(PlaylistRefusal::Sequences)
}

fn entry_id(json: Option<JsonRef<'_>>, index: usize) -> Result<u16, PlaylistRefusal> {
    let number = json.and_then(JsonRef::to_safe_integer).and_then(|id| u16::try_from(id).ok());
    number.filter(|id| *id <= MAX_ENTRY_ID).ok_or_else(|| {
        let id = json.map_or("undefined", JsonRef::as_str).chars().take(32).collect();
        PlaylistRefusal::Sequence { id, index }
    })
}
