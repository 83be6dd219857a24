//! Renditions of a stream by their height: [`Quality`] and [`Renditions`].

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    content::ContentId,
    text::{Excerpt, serde_as_text},
};

/// One rendition of a stream: the source as recorded, or a transcoded height in lines.
/// Source: `spec/indexer.md`, section 1, "resolutions".
///
/// ```
/// use alive_core::Quality;
/// assert_eq!("720".parse::<Quality>()?, Quality::P720);
/// assert_eq!(Quality::Src.to_string(), "src");
/// # Ok::<(), alive_core::QualityError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Quality {
    /// As the recorder wrote it.
    Src,
    /// 240 lines.
    P240,
    /// 480 lines.
    P480,
    /// 720 lines.
    P720,
    /// 1080 lines.
    P1080,
}
serde_as_text!(Quality);

impl Quality {
    /// The transcoded renditions, smallest first.
    pub const TRANSCODED: [Self; 4] = [Self::P240, Self::P480, Self::P720, Self::P1080];

    /// The name used in operations and queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Src => "src",
            Self::P240 => "240",
            Self::P480 => "480",
            Self::P720 => "720",
            Self::P1080 => "1080",
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Quality {
    type Err = QualityError;

    fn from_str(s: &str) -> Result<Self, QualityError> {
        [Self::Src]
            .into_iter()
            .chain(Self::TRANSCODED)
            .find(|quality| quality.as_str() == s)
            .ok_or_else(|| QualityError(Excerpt::of(s)))
    }
}

/// The text names no [`Quality`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no quality, only src, 240, 480, 720 and 1080 are")]
pub struct QualityError(Excerpt);

/// The transcoded renditions of one push or live entry. Most have none, which costs one pointer.
///
/// ```
/// use alive_core::{ContentId, Quality, Renditions};
/// let id: ContentId = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse()?;
/// let mut renditions = Renditions::default();
/// renditions.insert(Quality::P480, id);
/// assert_eq!(renditions.get(Quality::P480), Some(&id));
/// assert_eq!(renditions.iter().count(), 1);
/// # Ok::<(), alive_core::ContentIdError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renditions(Option<Box<[Option<ContentId>; 4]>>);

impl Renditions {
    /// Sets the content of a transcoded rendition. The source is not one: it is ignored here.
    pub fn insert(&mut self, quality: Quality, id: ContentId) {
        let at = Quality::TRANSCODED.iter().position(|&known| known == quality);
        let slots = self.0.get_or_insert_default();
        if let Some(slot) = at.and_then(|at| slots.get_mut(at)) {
            *slot = Some(id);
        }
    }

    /// The content of a rendition.
    pub fn get(&self, quality: Quality) -> Option<&ContentId> {
        self.iter().find_map(|(known, id)| (known == quality).then_some(id))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// All of them, smallest first.
    pub fn iter(&self) -> impl Iterator<Item = (Quality, &ContentId)> {
        let slots = self.0.as_deref().into_iter().flatten();
        Quality::TRANSCODED.into_iter().zip(slots).filter_map(|(q, id)| Some((q, id.as_ref()?)))
    }
}
