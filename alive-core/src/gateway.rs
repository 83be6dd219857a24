//! Where viewers fetch content: [`GatewayUrl`].

use std::{fmt, str::FromStr};

use crate::text::{Excerpt, serde_as_text};

/// Base address of a gateway: at most 100 characters, `http://` or `https://`, then characters that can stand in a
/// playlist line without escaping.
///
/// It comes from operations of any account and from queries of any viewer, and ends up in playlists, so nothing that
/// could start a new line, a fragment or another host's credentials passes. Source: `spec/indexer.md`, section 2.
///
/// ```
/// use alive_core::GatewayUrl;
/// let gateway: GatewayUrl = "https://ipfs.example/".parse()?;
/// assert_eq!(gateway.as_str(), "https://ipfs.example/");
/// assert_eq!(gateway.base(), "https://ipfs.example");
/// assert!("https://x\n#EXT-X-ENDLIST".parse::<GatewayUrl>().is_err());
/// # Ok::<(), alive_core::GatewayUrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GatewayUrl(Box<str>);
serde_as_text!(GatewayUrl);

impl GatewayUrl {
    /// Longest address, in bytes.
    pub const MAX_LEN: usize = 100;

    /// The address as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address without trailing slashes, ready for `/ipfs/…` to be put behind it.
    pub fn base(&self) -> &str {
        self.0.trim_end_matches('/')
    }
}

impl fmt::Display for GatewayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for GatewayUrl {
    type Err = GatewayUrlError;

    fn from_str(s: &str) -> Result<Self, GatewayUrlError> {
        if s.len() > Self::MAX_LEN {
            return Err(GatewayUrlError::Len(s.len()));
        }
        let rest = s.strip_prefix("http://").or_else(|| s.strip_prefix("https://"));
        let rest = rest.ok_or_else(|| GatewayUrlError::Scheme(Excerpt::of(s)))?;
        let starts = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
        let refused =
            |c: &char| !(c.is_ascii_alphanumeric() || "-._~:/[]%!$&'()*+,;=".contains(*c));
        match rest.chars().find(refused) {
            Some(c) => Err(GatewayUrlError::Char(c)),
            None if starts => Ok(Self(s.into())),
            None => Err(GatewayUrlError::Host(Excerpt::of(s))),
        }
    }
}

/// Why a text is not a [`GatewayUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayUrlError {
    /// It has this character.
    #[error("character {0:?} is not allowed in a gateway address")]
    Char(char),
    /// Its host does not start with a letter, a digit or a bracket.
    #[error("{0} names no host")]
    Host(Excerpt),
    /// It has this many bytes.
    #[error("gateway address of {0} bytes, at most {max} allowed", max = GatewayUrl::MAX_LEN)]
    Len(usize),
    /// It does not start with `http://` or `https://`.
    #[error("{0} starts with neither http:// nor https://")]
    Scheme(Excerpt),
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://[::1]:8080")]
    #[case("https://ipfs.example/a%20b/(c)'*,;=~!$&+")]
    fn accepts_what_needs_no_escaping(#[case] url: &str) {
        assert_eq!(url.parse::<GatewayUrl>().unwrap().as_str(), url);
    }

    #[rstest]
    #[case("")]
    #[case("http://")]
    #[case("HTTP://ipfs.example")]
    #[case("http://]ipfs")]
    #[case("http://-ipfs")]
    #[case("http://user@ipfs.example")]
    #[case("http://ipfs.example?x")]
    #[case("http://ipfs.example#x")]
    #[case("http://ipfs.example/a b")]
    #[case("http://ipfs.example/\"")]
    #[case("http://ipfs.example/\u{e9}")]
    #[case("javascript://x")]
    fn refuses_the_rest(#[case] url: &str) {
        assert!(url.parse::<GatewayUrl>().is_err());
    }

    #[test]
    fn a_hundred_characters_are_the_most() {
        let url = |len: usize| format!("http://{}", "a".repeat(len - 7));
        assert!(url(100).parse::<GatewayUrl>().is_ok());
        assert_eq!(url(101).parse::<GatewayUrl>(), Err(GatewayUrlError::Len(101)));
    }
}
