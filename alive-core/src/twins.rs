//! One stream on several networks: [`Twins`], the names that it has on the others.
//!
//! An account's name on one chain proves nothing about the account of that name on another. So two streams are one only
//! if each names the other in its configure, which takes a signature on both chains: see [`Twins::are_mutual`].

use std::{fmt, str::FromStr, sync::Arc};

use crate::{
    account::Network,
    stream::Settings,
    stream_id::{StreamId, StreamIdError},
    text::{Excerpt, serde_as_text},
};

/// The names of a stream on other networks, one on each: `also` of a configure.
///
/// As text they are parted by commas, `avalon/alice/show`; the empty text is none. An extension of ours: other indexers
/// ignore the field, and what cannot be read counts as absent.
///
/// ```
/// use alive_core::{Configure, Op, Twins};
/// let twins: Twins = "avalon/alice/show".parse()?;
/// let configure = Configure { also: Some(twins.clone()), ..Configure::new("show".parse()?) };
/// let json = Op::Configure(configure).to_json();
/// assert_eq!(json, r#"{"op":2,"link":"show","also":"avalon/alice/show"}"#);
/// assert_eq!(twins.iter().next().map(|id| id.account.as_str()), Some("alice"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Twins(Arc<[StreamId]>);
serde_as_text!(Twins);

impl Twins {
    /// Most names. Our own limit: there are two chains today.
    pub const MAX: usize = 7;

    /// Names on other networks than each other's.
    ///
    /// # Errors
    /// [`TwinsError`]: there are too many, two are of one network, or an account's name is none that this can hold.
    pub fn new(ids: impl IntoIterator<Item = StreamId>) -> Result<Self, TwinsError> {
        let mut twins: Vec<StreamId> = Vec::new();
        for id in ids {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            if !id.account.as_str().chars().all(plain) {
                return Err(TwinsError::Account(Excerpt::of(id.account.as_str())));
            }
            if twins.iter().any(|known| known.network == id.network) {
                return Err(TwinsError::Network(id.network));
            }
            if twins.len() == Self::MAX {
                return Err(TwinsError::TooMany);
            }
            twins.push(id);
        }
        Ok(Self(twins.into()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &StreamId> {
        self.0.iter()
    }

    /// Whether this is one of the names.
    pub fn name(&self, id: &StreamId) -> bool {
        self.0.contains(id)
    }

    /// Whether two streams are one: they are on different networks, each names the other, and their content lives on the
    /// same storage.
    pub fn are_mutual(one: (&StreamId, &Settings), other: (&StreamId, &Settings)) -> bool {
        one.0.network != other.0.network
            && one.1.storage == other.1.storage
            && one.1.also.name(other.0)
            && other.1.also.name(one.0)
    }
}

impl fmt::Display for Twins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, id) in self.0.iter().enumerate() {
            write!(f, "{}{id}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for Twins {
    type Err = TwinsError;

    fn from_str(text: &str) -> Result<Self, TwinsError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let mut ids = Vec::new();
        // One more than allowed tells that there are too many; nobody makes this read on.
        for id in text.split(',').take(Self::MAX + 1) {
            ids.push(id.parse().map_err(TwinsError::Id)?);
        }
        Self::new(ids)
    }
}

/// Why a text is no [`Twins`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TwinsError {
    /// The account's name has other characters than letters, digits, dashes, dots and underscores.
    #[error("account {0} cannot be named by a stream of another network")]
    Account(Excerpt),
    /// A name is none of a stream.
    #[error("name on another network")]
    Id(#[source] StreamIdError),
    /// Two names are of this network.
    #[error("network {0} is named twice")]
    Network(Network),
    /// There are too many.
    #[error("more than {max} names on other networks", max = Twins::MAX)]
    TooMany,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::{Configure, StorageKind, Stream, Timestamp};

    #[rstest]
    #[case("", 0)]
    #[case("avalon/alice/show", 1)]
    #[case("avalon/al.i-c_e/show,blurt/bob/x", 2)]
    fn names_round_trip(#[case] text: &str, #[case] count: usize) {
        let twins: Twins = text.parse().unwrap();
        assert_eq!(twins.iter().count(), count);
        assert_eq!(twins.is_empty(), count == 0);
        assert_eq!(twins.to_string(), text);
    }

    #[rstest]
    #[case("avalon/alice")]
    #[case("avalon/alice/show,")]
    #[case("avalon/alice/show, blurt/alice/show")]
    #[case("avalon/alice/show,avalon/bob/show")]
    #[case("avalon/al\"ice/show")]
    #[case("avalon/al\\ice/show")]
    #[case("avalon/al/ice/show")]
    #[case("Avalon/alice/show")]
    fn others_are_refused(#[case] text: &str) {
        assert!(text.parse::<Twins>().is_err(), "{text}");
    }

    #[test]
    fn there_are_seven_at_most() {
        let names = |count| {
            let names: Vec<_> = (0..count).map(|at| format!("n{at}/a/show")).collect();
            names.join(",")
        };
        assert_eq!(names(7).parse::<Twins>().unwrap().iter().count(), Twins::MAX);
        assert_eq!(names(8).parse::<Twins>(), Err(TwinsError::TooMany));
        assert_eq!(names(9_999).parse::<Twins>(), Err(TwinsError::TooMany));
    }

    fn stream(also: &str, storage: StorageKind) -> Stream {
        let also = Some(also.parse().unwrap());
        let configure = Configure { storage, also, ..Configure::new("show".parse().unwrap()) };
        Stream::create(&configure, 0, 1, Timestamp::EPOCH)
    }

    #[rstest]
    #[case::both("avalon/bob/show", "hive/alice/show", true)]
    #[case::one_of_several("blurt/x/y,avalon/bob/show", "hive/alice/show", true)]
    #[case::one_only("avalon/bob/show", "", false)]
    #[case::the_other_only("", "hive/alice/show", false)]
    #[case::another_account("avalon/bob/show", "hive/alicf/show", false)]
    #[case::another_link("avalon/bob/show", "hive/alice/Show", false)]
    #[case::none("", "", false)]
    fn only_who_names_each_other_is_one_stream(
        #[case] of_hive: &str,
        #[case] of_avalon: &str,
        #[case] want: bool,
    ) {
        let (hive, avalon) =
            ("hive/alice/show".parse().unwrap(), "avalon/bob/show".parse().unwrap());
        let (one, other) =
            (stream(of_hive, StorageKind::Ipfs), stream(of_avalon, StorageKind::Ipfs));
        let settings = |stream: &Stream| Settings::clone(&stream.info().settings);
        let (one, other) = (settings(&one), settings(&other));
        assert_eq!(Twins::are_mutual((&hive, &one), (&avalon, &other)), want);
        assert_eq!(Twins::are_mutual((&avalon, &other), (&hive, &one)), want);
        let elsewhere = Settings { storage: StorageKind::Skynet, ..other };
        assert!(!Twins::are_mutual((&hive, &one), (&avalon, &elsewhere)));
    }

    #[test]
    fn a_network_holds_no_twins() {
        let (one, other) = ("hive/alice/a".parse().unwrap(), "hive/alice/b".parse().unwrap());
        let settings = |also| Settings::clone(&stream(also, StorageKind::Ipfs).info().settings);
        let (a, b) = (settings("hive/alice/b"), settings("hive/alice/a"));
        assert!(!Twins::are_mutual((&one, &a), (&other, &b)));
    }

    proptest! {
        #[test]
        fn any_text_that_is_read_is_written_the_same(text in "([a-z]{1,3}/[a-z\"., ]{0,3}/[a-z]{0,2},?){0,9}") {
            if let Ok(twins) = text.parse::<Twins>() {
                prop_assert_eq!(twins.to_string(), text);
            }
        }
    }
}
