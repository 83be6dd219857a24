//! What a get asks for: [`Query`], [`Part`], [`Lex`].

use crate::json::{Json, Object, Text, print_text};

use super::{Delta, message::Get};

/// Longest answer to a LEX get, in bytes. Source: `spec/alivedb.md`, "Get and replies".
pub const MAX_LEX_BYTES: usize = 100_000;

/// Asks for a node or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Query {
    /// The node.
    pub soul: Text,
    /// What of it.
    pub part: Part,
}

/// A part of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Part {
    /// Every key.
    All,
    /// One key.
    Key(Text),
    /// The keys of a range.
    Range(Lex),
}

/// A range of keys, in the order of UTF-16 code units.
///
/// ```
/// use alive_db::{gun::Lex, json::Json};
/// let lex = Lex::from_json(&Json::parse(r#"{">":"b","<":"d"}"#)?, None).unwrap();
/// assert!(lex.has(&"b".into()) && lex.has(&"d".into()), "both ends belong to it");
/// assert!(!lex.has(&"a".into()) && !lex.has(&"e".into()));
/// # Ok::<(), alive_db::json::JsonError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lex {
    exact: Option<Text>,
    from: Option<Text>,
    prefix: Option<Text>,
    reverse: bool,
    to: Option<Text>,
    /// At most so many bytes; one key without it.
    limit_bytes: Option<usize>,
}

impl Query {
    /// Asks for all of a node.
    pub fn node(soul: impl Into<Text>) -> Self {
        Self { soul: soul.into(), part: Part::All }
    }

    /// Asks for one key.
    pub fn key(soul: impl Into<Text>, key: impl Into<Text>) -> Self {
        Self { soul: soul.into(), part: Part::Key(key.into()) }
    }

    /// Reads a get. `None` for what nothing can be found for: no soul, a LEX on the soul, which would give away the
    /// whole database, names beyond the limit, LEX of unknown form.
    pub fn from_get(get: &Get) -> Option<Self> {
        let fits = |name: &&Text| name.len() <= Delta::MAX_NAME_BYTES;
        let soul = get.soul.as_ref().and_then(Json::as_text);
        let soul = soul.filter(|soul| !soul.is_empty()).filter(fits)?.clone();
        let part = match &get.key {
            None | Some(Json::Null) => Part::All,
            Some(Json::Text(key)) if key.len() <= Delta::MAX_NAME_BYTES => Part::Key(key.clone()),
            Some(lex) => Part::Range(Lex::from_json(lex, get.limit)?),
        };
        Some(Self { soul, part })
    }

    /// Appends the `get` of a message.
    pub(crate) fn print_to(&self, out: &mut String) {
        out.push_str("{\"#\":");
        print_text(&self.soul, out);
        match &self.part {
            Part::All => {}
            Part::Key(key) => {
                out.push_str(",\".\":");
                print_text(key, out);
            }
            Part::Range(lex) => {
                out.push_str(",\".\":");
                lex.to_json().print_to(out);
                if let Some(limit) = lex.limit_bytes {
                    out.push_str(",\"%\":");
                    out.push_str(&limit.to_string());
                }
            }
        }
        out.push('}');
    }
}

impl Part {
    /// Whether it covers a key.
    pub fn has(&self, key: &Text) -> bool {
        match self {
            Self::All => true,
            Self::Key(name) => name == key,
            Self::Range(lex) => lex.has(key),
        }
    }
}

impl Lex {
    /// Reads the LEX object of a get, with the get's byte limit.
    pub fn from_json(json: &Json, limit: Option<f64>) -> Option<Self> {
        let object = json.as_object()?;
        let text = |name| object.member(name).and_then(Json::as_text).cloned();
        let known = ["=", "*", ">", "<"].into_iter().any(|name| object.member(name).is_some());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float becomes the nearest integer"
        )]
        let limit_bytes = limit.map(|limit| (limit as usize).min(MAX_LEX_BYTES));
        known.then(|| Self {
            exact: text("="),
            from: text(">"),
            prefix: text("*"),
            reverse: object.member("-").is_some_and(|reverse| *reverse == Json::Bool(true)),
            to: text("<"),
            limit_bytes,
        })
    }

    /// Whether a key is in the range.
    pub fn has(&self, key: &Text) -> bool {
        if let Some(exact) = &self.exact {
            return exact == key;
        }
        let starts = |prefix: &Text| key.as_bytes().starts_with(prefix.as_bytes());
        self.prefix.as_ref().is_none_or(starts)
            && self.from.as_ref().is_none_or(|from| key >= from)
            && self.to.as_ref().is_none_or(|to| key <= to)
    }

    /// Whether the last keys come first.
    pub fn is_reverse(&self) -> bool {
        self.reverse
    }

    /// How many bytes the answer may have; `None` is one key.
    pub fn limit_bytes(&self) -> Option<usize> {
        self.limit_bytes
    }

    fn to_json(&self) -> Json {
        let text = |name, text: &Option<Text>| text.clone().map(|text| (name, Json::Text(text)));
        let reverse = self.reverse.then_some(("-", Json::Bool(true)));
        let members = [text("=", &self.exact), text("*", &self.prefix)];
        let ends = [text(">", &self.from), text("<", &self.to), reverse];
        Json::Object(members.into_iter().chain(ends).flatten().collect::<Object>())
    }
}
