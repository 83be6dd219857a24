//! How stores keep the initialisation sections of a push: one text, `src=CID,480=CID`, as most pushes have none.

use alive_core::{ContentId, ContentIdError, Quality, QualityError, Renditions};

/// The sections as text; `None` when there are none.
pub(super) fn to_text(renditions: &Renditions) -> Option<String> {
    let sections = renditions.sections().map(|(quality, id)| format!("{quality}={id}"));
    let sections: Vec<_> = sections.collect();
    (!sections.is_empty()).then(|| sections.join(","))
}

/// Adds the sections of a text.
pub(super) fn add(renditions: &mut Renditions, text: &str) -> Result<(), SectionsError> {
    for part in text.split(',') {
        let (quality, id) = part.split_once('=').ok_or(SectionsError::Form)?;
        renditions.insert_section(quality.parse::<Quality>()?, id.parse::<ContentId>()?);
    }
    Ok(())
}

/// Why a text holds no sections.
#[derive(Debug, thiserror::Error)]
pub(super) enum SectionsError {
    #[error(transparent)]
    Content(#[from] ContentIdError),
    #[error("a section without a quality")]
    Form,
    #[error(transparent)]
    Quality(#[from] QualityError),
}

#[cfg(test)]
mod tests {
    use super::*;

    const CID: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let mut all = Renditions::default();
        assert_eq!(to_text(&all), None);
        for quality in Quality::ALL {
            all.insert_section(quality, CID.parse().unwrap());
            let text = to_text(&all).unwrap();
            let mut read = Renditions::default();
            add(&mut read, &text).unwrap();
            assert_eq!(read, all, "{text}");
        }
        for text in ["", "src", "src=", "900=x", "src=a,", &format!("src={CID},")] {
            assert!(add(&mut Renditions::default(), text).is_err(), "{text}");
        }
    }
}
