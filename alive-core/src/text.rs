//! What all values with a text form share: serde by that text, and safe excerpts of outside text.

use std::fmt;

/// Longest piece of outside text that an error repeats, in characters.
const EXCERPT_CHARS: usize = 32;

/// A bounded piece of outside text for error messages: at most 32 characters, the rest cut.
///
/// ```
/// use alive_core::Excerpt;
/// assert_eq!(Excerpt::of("short").to_string(), "\"short\"");
/// assert_eq!(Excerpt::of(&"x".repeat(99)).to_string().len(), 2 + 32 + "…".len());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    /// Takes the start of `text`.
    pub fn of(text: &str) -> Self {
        let mut chars = text.chars();
        let mut start: String = chars.by_ref().take(EXCERPT_CHARS).collect();
        if chars.next().is_some() {
            start.push('…');
        }
        Self(start.into())
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Serialises a type by its `Display` form and reads it back by `FromStr`.
macro_rules! serde_as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;
