//! Form-decoded queries: [`Query`].

use std::borrow::Cow;

/// The parameters of a query in their order. `+` is a space; what is no UTF-8 is replaced, so it names nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Most parameters that are read; no request that means something has as many.
    const MAX: usize = 256;

    /// Reads any query.
    pub(super) fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let owned =
            |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned());
        Self(pairs.take(Self::MAX).map(owned).collect())
    }

    /// All values of a parameter.
    pub(super) fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that is given once; several contradict each other and count as none.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(given, _)| given == name);
        let first = values.next().map(|(_, value)| value.as_str());
        values.next().map_or(first, |_| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_absent_once_or_repeated() {
        let query = Query::parse(Some("a=1&b=x+y%2Bz&&c&a=2&%66=g"));
        assert_eq!((query.one("a"), query.all("a").count()), (None, 2));
        assert_eq!(query.one("b"), Some("x y+z"));
        assert_eq!(query.one("c"), Some(""));
        assert_eq!(query.one("f"), Some("g"));
        assert_eq!(query.one("g"), None);
    }
}
