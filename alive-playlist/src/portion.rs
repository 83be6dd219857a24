//! What a player asks for of a list: [`Portion`], [`Window`].

use std::{fmt, num::NonZeroU32, str::FromStr};

use alive_core::Excerpt;

use crate::decimal::parse_u64;

/// What is asked for of a list. The default is all of it.
///
/// ```
/// use alive_playlist::Portion;
/// let last_ten_minutes = Portion::default().window("600".parse()?);
/// assert_ne!(last_ten_minutes, last_ten_minutes.skip(true));
/// # Ok::<(), alive_playlist::WindowError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Portion {
    /// Only the end of the list.
    pub window: Option<Window>,
    /// Whether segments that the player has already may be left out: `_HLS_skip`.
    pub skip: bool,
}

impl Portion {
    /// Asks for the end of the list only.
    #[must_use]
    pub fn window(self, window: Window) -> Self {
        Self { window: Some(window), ..self }
    }

    /// Asks to leave out the segments that the player has.
    #[must_use]
    pub fn skip(self, skip: bool) -> Self {
        Self { skip, ..self }
    }
}

/// How much of the end of a list, in whole seconds, at least one.
///
/// A list never gets shorter than three target durations by it, because players could not stay behind the live edge.
/// Source: `spec/hls.md`, section 5.
///
/// ```
/// use alive_playlist::Window;
/// assert_eq!("600".parse::<Window>()?.seconds(), 600);
/// assert!("0".parse::<Window>().is_err() && "10.5".parse::<Window>().is_err());
/// # Ok::<(), alive_playlist::WindowError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window(NonZeroU32);

impl Window {
    /// So many seconds.
    pub fn new(seconds: NonZeroU32) -> Self {
        Self(seconds)
    }

    /// How many seconds.
    pub fn seconds(self) -> u32 {
        self.0.get()
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let seconds = parse_u64(text).and_then(|seconds| u32::try_from(seconds).ok());
        let seconds = seconds.and_then(NonZeroU32::new);
        seconds.map(Self).ok_or_else(|| WindowError(Excerpt::of(text)))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text is no [`Window`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a whole number of seconds from 1 to {max}", max = u32::MAX)]
pub struct WindowError(Excerpt);
