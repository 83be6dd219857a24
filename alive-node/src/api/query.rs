//! Form-decoded queries: [`Query`].

use percent_encoding::percent_decode;

/// The parameters of a query in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, Option<String>)>);

/// A parameter by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Param<'q> {
    Absent,
    /// Given once; `None` when it is not UTF-8 or holds a NUL, which nothing that exists does.
    Once(Option<&'q str>),
    Repeated,
}

impl Query {
    /// Reads any query; what has no meaning has no name that anybody asks for.
    pub(super) fn parse(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)))
        });
        Self(pairs.collect())
    }

    /// The names of all parameters.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// All parameters; `None` is a value as in [`Param::Once`].
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    pub(super) fn get(&self, name: &str) -> Param<'_> {
        let mut values = self.0.iter().filter(|(given, _)| given == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (None, _) => Param::Absent,
            (Some(value), None) => Param::Once(value.as_deref()),
            (Some(_), Some(_)) => Param::Repeated,
        }
    }
}

/// `+` is a space, percent escapes are UTF-8.
fn decode(text: &str) -> Option<String> {
    let spaced: Vec<u8> = text.bytes().map(|b| if b == b'+' { b' ' } else { b }).collect();
    let decoded = percent_decode(&spaced).decode_utf8().ok()?;
    (!decoded.contains('\0')).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parameter_is_absent_once_or_repeated() {
        let query = Query::parse(Some("a=1&b=x+y%2Bz&&c&a=2&d=%00&e=%ff&%66=g"));
        assert_eq!(query.get("a"), Param::Repeated);
        assert_eq!(query.get("b"), Param::Once(Some("x y+z")));
        assert_eq!(query.get("c"), Param::Once(Some("")));
        assert_eq!(query.get("d"), Param::Once(None));
        assert_eq!(query.get("e"), Param::Once(None));
        assert_eq!(query.get("f"), Param::Once(Some("g")));
        assert_eq!(query.get("g"), Param::Absent);
    }

    proptest! {
        #[test]
        fn any_text_is_a_query(text in "\\PC*", value in "\\PC*") {
            let _ = Query::parse(Some(&text));
            let plain = !value.contains('\0');
            let escaped = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
            let query = Query::parse(Some(&format!("x=1&v={escaped}")));
            prop_assert_eq!(query.get("v"), Param::Once(plain.then_some(value.as_str())));
        }
    }
}
