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
    /// The source, then the transcoded renditions.
    pub const ALL: [Self; 5] = [Self::Src, Self::P240, Self::P480, Self::P720, Self::P1080];

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

    /// The key that names the initialisation section of this quality in operations and live entries, see [`Renditions`].
    pub fn section_key(self) -> &'static str {
        match self {
            Self::Src => "map",
            Self::P240 => "map240",
            Self::P480 => "map480",
            Self::P720 => "map720",
            Self::P1080 => "map1080",
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
        Self::ALL
            .into_iter()
            .find(|quality| quality.as_str() == s)
            .ok_or_else(|| QualityError(Excerpt::of(s)))
    }
}

/// The text names no [`Quality`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no quality, only src, 240, 480, 720 and 1080 are")]
pub struct QualityError(Excerpt);

/// What one push or live entry has beside its source: transcoded renditions, and the initialisation section that the
/// segments of each quality need. Most have neither, which costs two pointers.
///
/// Segments of MPEG-TS stand for themselves; fragments of MP4 need a section. It is content of its own, named in the key
/// `map` for the source and `map240` and so on for renditions, and it holds for every segment of the push. An extension of
/// ours: whoever does not know it reads the same operation.
///
/// ```
/// use alive_core::{ContentId, Quality, Renditions};
/// let id: ContentId = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse()?;
/// let mut renditions = Renditions::default();
/// renditions.insert(Quality::P480, id);
/// assert_eq!(renditions.get(Quality::P480), Some(&id));
/// assert_eq!(renditions.iter().count(), 1);
/// renditions.insert_section(Quality::Src, id);
/// assert_eq!((renditions.section(Quality::Src), renditions.section(Quality::P480)), (Some(&id), None));
/// # Ok::<(), alive_core::ContentIdError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Renditions {
    transcoded: Option<Box<[Option<ContentId>; 4]>>,
    sections: Option<Box<[Option<ContentId>; 5]>>,
}

impl Renditions {
    /// Sets the content of a transcoded rendition. The source is not one: it is ignored here.
    pub fn insert(&mut self, quality: Quality, id: ContentId) {
        let at = Quality::TRANSCODED.iter().position(|&known| known == quality);
        let slots = self.transcoded.get_or_insert_default();
        if let Some(slot) = at.and_then(|at| slots.get_mut(at)) {
            *slot = Some(id);
        }
    }

    /// The content of a rendition.
    pub fn get(&self, quality: Quality) -> Option<&ContentId> {
        self.iter().find_map(|(known, id)| (known == quality).then_some(id))
    }

    /// Whether there is no rendition.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// All renditions, smallest first.
    pub fn iter(&self) -> impl Iterator<Item = (Quality, &ContentId)> {
        let slots = self.transcoded.as_deref().into_iter().flatten();
        Quality::TRANSCODED.into_iter().zip(slots).filter_map(|(q, id)| Some((q, id.as_ref()?)))
    }

    /// Sets the initialisation section of a quality, the source included.
    pub fn insert_section(&mut self, quality: Quality, id: ContentId) {
        let at = Quality::ALL.iter().position(|&known| known == quality);
        let slots = self.sections.get_or_insert_default();
        if let Some(slot) = at.and_then(|at| slots.get_mut(at)) {
            *slot = Some(id);
        }
    }

    /// The initialisation section of a quality; `None` where its segments need none.
    pub fn section(&self, quality: Quality) -> Option<&ContentId> {
        self.sections().find_map(|(known, id)| (known == quality).then_some(id))
    }

    /// All initialisation sections, that of the source first.
    pub fn sections(&self) -> impl Iterator<Item = (Quality, &ContentId)> {
        let slots = self.sections.as_deref().into_iter().flatten();
        Quality::ALL.into_iter().zip(slots).filter_map(|(q, id)| Some((q, id.as_ref()?)))
    }
}

/// How renditions are kept: the four by quality, then the five sections if there are any. Stores of earlier versions
/// have the four only.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Written(Option<Vec<Option<ContentId>>>);

impl From<Renditions> for Written {
    fn from(renditions: Renditions) -> Self {
        let Renditions { transcoded, sections } = renditions;
        if transcoded.is_none() && sections.is_none() {
            return Self(None);
        }
        let mut slots = transcoded.map_or_else(|| vec![None; 4], |slots| slots.to_vec());
        slots.extend(sections.into_iter().flat_map(|slots| *slots));
        Self(Some(slots))
    }
}

impl From<Written> for Renditions {
    fn from(Written(slots): Written) -> Self {
        let mut renditions = Self::default();
        let slots = slots.unwrap_or_default();
        let (transcoded, sections) = slots.split_at_checked(4).unwrap_or((&slots, &[]));
        for (quality, id) in Quality::TRANSCODED.into_iter().zip(transcoded) {
            if let Some(id) = id {
                renditions.insert(quality, *id);
            }
        }
        for (quality, id) in Quality::ALL.into_iter().zip(sections) {
            if let Some(id) = id {
                renditions.insert_section(quality, *id);
            }
        }
        renditions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CID: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

    #[test]
    fn what_is_kept_comes_back_and_so_does_what_earlier_versions_kept() {
        let id: ContentId = CID.parse().unwrap();
        let mut all = Renditions::default();
        assert_eq!(serde_json::to_string(&all).unwrap(), "null");
        assert_eq!(serde_json::from_str::<Renditions>("null").unwrap(), all);
        all.insert(Quality::P480, id);
        let early = format!(r#"[null,"{CID}",null,null]"#);
        assert_eq!(serde_json::to_string(&all).unwrap(), early);
        assert_eq!(serde_json::from_str::<Renditions>(&early).unwrap(), all);
        for quality in Quality::ALL {
            all.insert_section(quality, id);
            let text = serde_json::to_string(&all).unwrap();
            assert_eq!(serde_json::from_str::<Renditions>(&text).unwrap(), all, "{text}");
        }
        assert_eq!(all.sections().count(), 5);
        let mut bare = Renditions::default();
        bare.insert_section(Quality::Src, id);
        assert!(bare.is_empty());
        let text = serde_json::to_string(&bare).unwrap();
        assert_eq!(serde_json::from_str::<Renditions>(&text).unwrap(), bare, "{text}");
    }
}
