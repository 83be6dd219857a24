//! Encryption of segments: [`Key`] and the [`KeySet`] in force. Nothing here decrypts.

use std::sync::Arc;

use crate::line_text::{Quoted, Word};

/// One `EXT-X-KEY` that encrypts: how, and where its key is.
///
/// `METHOD=NONE` is no key; it is the empty [`KeySet`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    method: Word<'a>,
    uri: Quoted<'a>,
    iv: Option<Word<'a>>,
    format: Option<Quoted<'a>>,
    format_versions: Option<Quoted<'a>>,
}

impl<'a> Key<'a> {
    /// The method that stands for no encryption.
    pub(crate) const NONE: &'static str = "NONE";

    /// A key of the default format, without an initialisation vector.
    ///
    /// # Errors
    /// The method is `NONE`.
    pub fn new(method: Word<'a>, uri: Quoted<'a>) -> Result<Self, KeyError> {
        if method.as_str() == Self::NONE {
            return Err(KeyError);
        }
        Ok(Self { method, uri, iv: None, format: None, format_versions: None })
    }

    /// With this initialisation vector.
    #[must_use]
    pub fn with_iv(self, iv: Option<Word<'a>>) -> Self {
        Self { iv, ..self }
    }

    /// With this format; `None` is the default, `identity`.
    #[must_use]
    pub fn with_format(self, format: Option<Quoted<'a>>) -> Self {
        Self { format, ..self }
    }

    /// With these versions of the format.
    #[must_use]
    pub fn with_format_versions(self, format_versions: Option<Quoted<'a>>) -> Self {
        Self { format_versions, ..self }
    }

    /// `METHOD`.
    pub fn method(&self) -> &Word<'a> {
        &self.method
    }

    /// `URI` of the key.
    pub fn uri(&self) -> &Quoted<'a> {
        &self.uri
    }

    /// `IV`.
    pub fn iv(&self) -> Option<&Word<'a>> {
        self.iv.as_ref()
    }

    /// `KEYFORMAT` as written.
    pub fn format(&self) -> Option<&Quoted<'a>> {
        self.format.as_ref()
    }

    /// `KEYFORMATVERSIONS`.
    pub fn format_versions(&self) -> Option<&Quoted<'a>> {
        self.format_versions.as_ref()
    }

    /// The format that decides which earlier key this one replaces.
    fn format_name(&self) -> &str {
        self.format.as_ref().map_or("identity", Quoted::as_str)
    }

    fn into_owned(self) -> Key<'static> {
        Key {
            method: self.method.into_owned(),
            uri: self.uri.into_owned(),
            iv: self.iv.map(Word::into_owned),
            format: self.format.map(Quoted::into_owned),
            format_versions: self.format_versions.map(Quoted::into_owned),
        }
    }
}

/// A method that is no encryption was given as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("METHOD=NONE ends encryption and is no key")]
pub struct KeyError;

/// The keys in force for a segment, at most one per format; empty for a segment in the clear.
///
/// Cloning it is cheap: segments share it by reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet<'a>(Option<Arc<[Arc<Key<'a>>]>>);

impl<'a> KeySet<'a> {
    /// Most formats in one set. Four are in use anywhere; the limit keeps a hostile list from growing a set without end.
    pub const MAX_FORMATS: usize = 8;

    /// Whether the segment is in the clear.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The keys, in the order in which their formats appeared.
    pub fn iter(&self) -> impl Iterator<Item = &Key<'a>> {
        self.shared().iter().map(Arc::as_ref)
    }

    /// This set and `key`, which takes the place of a key of the same format.
    ///
    /// # Errors
    /// It would hold more than [`MAX_FORMATS`](Self::MAX_FORMATS) keys.
    pub fn with(&self, key: Key<'a>) -> Result<Self, KeySetError> {
        let mut keys = self.shared().to_vec();
        if let Some(old) = keys.iter_mut().find(|old| old.format_name() == key.format_name()) {
            *old = Arc::new(key);
        } else if keys.len() < Self::MAX_FORMATS {
            keys.push(Arc::new(key));
        } else {
            return Err(KeySetError);
        }
        Ok(Self(Some(keys.into())))
    }

    /// The keys to write so that a reader with `before` in force has this set; `None` when it must forget `before`.
    pub(crate) fn changes_since<'s>(&'s self, before: &'s Self) -> Option<Vec<&'s Key<'a>>> {
        let (old, new) = (before.shared(), self.shared());
        let extends = old.len() <= new.len()
            && old.iter().zip(new).all(|(old, new)| old.format_name() == new.format_name());
        let changed = |at: usize, key: &Arc<Key<'a>>| old.get(at).is_none_or(|old| old != key);
        extends.then(|| {
            let changes = new.iter().enumerate().filter(|&(at, key)| changed(at, key));
            changes.map(|(_, key)| key.as_ref()).collect()
        })
    }

    /// Whether both are one set in memory, which is quicker to see than that they are equal.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    pub(crate) fn into_owned(self) -> KeySet<'static> {
        let own = |key: &Arc<Key<'a>>| Arc::new(Key::clone(key).into_owned());
        KeySet(self.0.map(|keys| keys.iter().map(own).collect()))
    }

    fn shared(&self) -> &[Arc<Key<'a>>] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// The set is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {max} key formats at once", max = KeySet::MAX_FORMATS)]
pub struct KeySetError;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(format: &str, uri: &str) -> Key<'static> {
        let quoted = |text: &str| Quoted::new(text.to_owned()).unwrap();
        Key::new(Word::new("AES-128").unwrap(), quoted(uri))
            .unwrap()
            .with_format(Some(quoted(format)))
    }

    #[test]
    fn a_key_takes_the_place_of_the_one_of_its_format() {
        let first = KeySet::default().with(key("a", "1")).unwrap().with(key("b", "2")).unwrap();
        let second = first.with(key("a", "3")).unwrap();
        let uris = |set: &KeySet<'_>| set.iter().map(|k| k.uri().to_string()).collect::<Vec<_>>();
        assert_eq!(
            (uris(&first), uris(&second)),
            (vec!["1".into(), "2".into()], vec!["3".into(), "2".into()])
        );
    }

    #[test]
    fn no_format_and_identity_are_one_format() {
        let set = KeySet::default().with(key("a", "1").with_format(None)).unwrap();
        assert_eq!(set.with(key("identity", "2")).unwrap().iter().count(), 1);
    }

    #[test]
    fn a_set_has_a_limit() {
        let fill = |set: KeySet<'static>, n| set.with(key(&format!("f{n}"), "k")).unwrap();
        let full = (0..KeySet::MAX_FORMATS).fold(KeySet::default(), fill);
        assert_eq!(full.with(key("one-more", "k")), Err(KeySetError));
        assert!(full.with(key("f0", "other")).is_ok());
    }

    #[test]
    fn none_is_no_key() {
        assert_eq!(Key::new(Word::new("NONE").unwrap(), Quoted::new("k").unwrap()), Err(KeyError));
    }
}
