//! Attribute lists: `NAME=value,NAME="value"`. R12.

use alive_core::Excerpt;

use super::error::AttributeProblem;

/// The attributes of one tag, each name once.
pub(super) struct Attributes<'a>(Vec<(&'a str, Value<'a>)>);

/// A value as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Plain(&'a str),
    Quoted(&'a str),
}

impl<'a> Value<'a> {
    /// The text, without quotes.
    pub(super) fn text(self) -> &'a str {
        match self {
            Self::Plain(text) | Self::Quoted(text) => text,
        }
    }
}

impl<'a> Attributes<'a> {
    /// Splits a list, checking the form of every attribute, known or not.
    pub(super) fn parse(mut text: &'a str) -> Result<Self, AttributeProblem> {
        let mut all = Vec::new();
        while !text.is_empty() || !all.is_empty() {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            check_name(name)?;
            let (value, rest) = split_value(name, value)?;
            all.push((name, value));
            match rest {
                None => break,
                Some(rest) => text = rest,
            }
        }
        check_names_differ(&all)?;
        Ok(Self(all))
    }

    /// An attribute, if it is there.
    pub(super) fn find(&self, name: &str) -> Option<Value<'a>> {
        self.0.iter().find(|(other, _)| *other == name).map(|&(_, value)| value)
    }

    /// An attribute that must be there.
    pub(super) fn require(&self, name: &'static str) -> Result<Value<'a>, AttributeProblem> {
        self.find(name).ok_or(AttributeProblem::Missing(name))
    }

    /// An attribute that must be in quotes if it is there.
    pub(super) fn quoted(&self, name: &'static str) -> Result<Option<&'a str>, AttributeProblem> {
        match self.find(name) {
            None => Ok(None),
            Some(Value::Quoted(text)) => Ok(Some(text)),
            Some(Value::Plain(text)) => Err(form(name, text, "in quotes")),
        }
    }

    /// An attribute that must not be in quotes if it is there.
    pub(super) fn plain(&self, name: &'static str) -> Result<Option<&'a str>, AttributeProblem> {
        match self.find(name) {
            None => Ok(None),
            Some(Value::Plain(text)) => Ok(Some(text)),
            Some(Value::Quoted(text)) => Err(form(name, text, "without quotes")),
        }
    }
}

/// A value that is not what its attribute asks for.
pub(super) fn form(name: &'static str, text: &str, form: &'static str) -> AttributeProblem {
    AttributeProblem::Form { name, text: Excerpt::of(text), form }
}

fn check_name(name: &str) -> Result<(), AttributeProblem> {
    let is_name_byte = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
    match () {
        () if name.is_empty() => Err(AttributeProblem::EmptyName),
        () if name.contains(' ') => Err(AttributeProblem::Blank),
        () if !name.bytes().all(is_name_byte) => Err(AttributeProblem::Name(Excerpt::of(name))),
        () => Ok(()),
    }
}

/// Splits a value from what follows its comma; `None` when nothing follows.
fn split_value<'a>(
    name: &str,
    text: &'a str,
) -> Result<(Value<'a>, Option<&'a str>), AttributeProblem> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, rest) = quoted.split_once('"').ok_or(AttributeProblem::OpenQuote)?;
        return match rest.strip_prefix(',') {
            Some(next) => Ok((Value::Quoted(value), Some(next))),
            None if rest.is_empty() => Ok((Value::Quoted(value), None)),
            None if rest.starts_with(' ') => Err(AttributeProblem::Blank),
            None => Err(AttributeProblem::StrayQuote(Excerpt::of(name))),
        };
    }
    let (value, rest) = text.split_once(',').map_or((text, None), |(v, rest)| (v, Some(rest)));
    match () {
        () if value.is_empty() => Err(AttributeProblem::EmptyValue(Excerpt::of(name))),
        () if value.contains(' ') => Err(AttributeProblem::Blank),
        () if value.contains('"') => Err(AttributeProblem::StrayQuote(Excerpt::of(name))),
        () => Ok((Value::Plain(value), rest)),
    }
}

/// Sorts instead of comparing each with each: a line has room for 16 000 attributes.
fn check_names_differ(all: &[(&str, Value<'_>)]) -> Result<(), AttributeProblem> {
    let mut names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let twice = names.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(*a),
        _ => None,
    });
    twice.map_or(Ok(()), |name| Err(AttributeProblem::Twice(Excerpt::of(name))))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn commas_and_equals_signs_in_quotes_belong_to_the_value() {
        let list = Attributes::parse(r#"URI="a,b=c",X-1=0x1F,EMPTY="""#).unwrap();
        assert_eq!(list.find("URI"), Some(Value::Quoted("a,b=c")));
        assert_eq!(list.find("X-1"), Some(Value::Plain("0x1F")));
        assert_eq!(list.find("EMPTY"), Some(Value::Quoted("")));
        assert_eq!(list.find("OTHER"), None);
    }

    #[test]
    fn an_empty_list_has_no_attributes() {
        assert!(Attributes::parse("").unwrap().0.is_empty());
    }

    #[rstest]
    #[case(r#"URI="a"#)]
    #[case(r#"URI=""#)]
    #[case("A=1,A=2")]
    #[case("A=1,B=2,A=3")]
    #[case("=1")]
    #[case("A=1,")]
    #[case(",A=1")]
    #[case("A=1,,B=2")]
    #[case("A=")]
    #[case("A=,B=1")]
    #[case("A")]
    #[case("A,B=1")]
    #[case("A =1")]
    #[case("A= 1")]
    #[case("A=1 ,B=2")]
    #[case("A=1, B=2")]
    #[case(" A=1")]
    #[case("A=1 ")]
    #[case(r#"A="1" ,B=2"#)]
    #[case(r#"A="1"x"#)]
    #[case(r#"A=1"x""#)]
    #[case("a=1")]
    #[case("A_B=1")]
    fn a_broken_list_is_refused(#[case] text: &str) {
        assert!(Attributes::parse(text).is_err());
    }

    #[test]
    fn many_attributes_take_no_quadratic_time() {
        let list: Vec<_> = (0..13_000).map(|n| format!("{n}=1")).collect();
        let list = list.join(",");
        assert_eq!(Attributes::parse(&list).unwrap().0.len(), 13_000);
    }
}
