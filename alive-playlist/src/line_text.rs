//! Pieces of outside text that fit their place in a line: [`Uri`], [`Title`], [`Quoted`], [`Word`], [`FrameRate`].
//!
//! A playlist is lines, and a piece of text with a line end in it would become another line. So the model holds no
//! bare text: each piece was checked for its place when it was made, and the writer needs no escaping.

use std::{borrow::Cow, fmt};

use alive_core::Excerpt;

use crate::decimal::is_decimal;

/// Defines one checked text: borrowed from the list that was read, or owned.
macro_rules! line_text {
    ($(#[$docs:meta])* $name:ident, $place:literal, $fits:expr) => {
        $(#[$docs])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name<'a>(Cow<'a, str>);

        impl<'a> $name<'a> {
            /// Checks a text for this place.
            ///
            /// # Errors
            /// It would not read back as what it is.
            pub fn new(text: impl Into<Cow<'a, str>>) -> Result<Self, LineTextError> {
                let text = text.into();
                let fits: fn(&str) -> bool = $fits;
                if fits(&text) && !text.chars().any(char::is_control) {
                    return Ok(Self(text));
                }
                Err(LineTextError { place: $place, text: Excerpt::of(&text) })
            }

            /// Takes text that the reader found at this very place.
            pub(crate) fn as_read(text: &'a str) -> Self {
                Self(Cow::Borrowed(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The same text, owned.
            #[must_use]
            pub fn into_owned(self) -> $name<'static> {
                $name(Cow::Owned(self.0.into_owned()))
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

line_text!(
    /// A URI as it stands on a line of its own: not blank, not starting with `#`, no control character.
    ///
    /// It is kept as written: ffmpeg does not escape spaces in file names, so none are refused and nothing is decoded.
    ///
    /// ```
    /// use alive_playlist::Uri;
    /// assert_eq!(Uri::new("2026-11-21 20-00-00 0.ts")?.as_str(), "2026-11-21 20-00-00 0.ts");
    /// assert!(Uri::new("a.ts\n#EXT-X-ENDLIST").is_err());
    /// # Ok::<(), alive_playlist::LineTextError>(())
    /// ```
    Uri, "a URI line", |text| !text.starts_with('#') && text.bytes().any(|b| b != b' ')
);

line_text!(
    /// The title of a segment: what follows the comma of `EXTINF`, not empty.
    ///
    /// ```
    /// assert_eq!(alive_playlist::Title::new("Hello, world")?.to_string(), "Hello, world");
    /// # Ok::<(), alive_playlist::LineTextError>(())
    /// ```
    Title, "a title", |text| !text.is_empty()
);

line_text!(
    /// The value of a quoted attribute, without its quotes. There is no way to escape a quote in it.
    ///
    /// ```
    /// use alive_playlist::Quoted;
    /// assert!(Quoted::new("avc1.4d4015,mp4a.40.2").is_ok());
    /// assert!(Quoted::new("say \"hi\"").is_err());
    /// ```
    Quoted, "a quoted attribute", |text| !text.contains('"')
);

line_text!(
    /// The value of an attribute without quotes, such as `AES-128` or `0x1F`.
    ///
    /// ```
    /// use alive_playlist::Word;
    /// assert!(Word::new("SAMPLE-AES").is_ok());
    /// assert!(Word::new("two words").is_err());
    /// ```
    Word, "an attribute without quotes", |text| !text.is_empty() && !text.contains([' ', ',', '"'])
);

line_text!(
    /// Frames per second as decimal text, kept as written: `29.970` and `29.97` are two texts of one rate.
    ///
    /// ```
    /// use alive_playlist::FrameRate;
    /// assert_eq!(FrameRate::new("59.940")?.to_f64(), 59.94);
    /// assert!(FrameRate::new("6e1").is_err());
    /// # Ok::<(), alive_playlist::LineTextError>(())
    /// ```
    FrameRate, "a frame rate", |text| is_decimal(text)
);

impl FrameRate<'_> {
    /// The nearest floating-point number.
    pub fn to_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::INFINITY)
    }
}

/// The text does not fit the place it was meant for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} cannot stand in a playlist as {place}")]
pub struct LineTextError {
    place: &'static str,
    text: Excerpt,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("")]
    #[case("   ")]
    #[case("#EXT-X-ENDLIST")]
    #[case("a\nb")]
    #[case("a\rb")]
    #[case("a\tb")]
    #[case("a\u{85}b")]
    #[case("a\u{7f}b")]
    fn a_uri_that_would_not_read_back_is_refused(#[case] text: &str) {
        assert!(Uri::new(text).is_err());
    }

    #[test]
    fn a_long_text_is_cut_in_the_error() {
        let error = Uri::new("#".repeat(1000)).unwrap_err();
        assert!(error.to_string().len() < 120, "{error}");
    }

    #[rstest]
    #[case("")]
    #[case("30.")]
    #[case("-30")]
    #[case("30 fps")]
    fn a_frame_rate_is_digits_with_at_most_one_point(#[case] text: &str) {
        assert!(FrameRate::new(text).is_err());
    }
}
