//! What an owner lets others write into his space: [`Certificate`].

use super::{key::PublicKey, sign::Signed, user_node::refused};
use crate::{
    gun::{Put, Refused},
    json::{Json, Text},
};

/// A certificate whose owner's signature has been checked.
///
/// `{"c":who,"e":until,"w":what}`. Source: `spec/alivedb.md`, section 5.2; where its text is silent, what the original
/// takes, less its holes: an expiry or a pattern that cannot be read allows nothing, `+` counts without a path, too, and
/// a list of writers needs no `*`.
#[derive(Debug)]
pub(super) struct Certificate(Json);

impl Certificate {
    /// Checks that the owner signed it.
    pub(super) fn open(signed: &Signed, owner: &PublicKey) -> Result<Self, Refused> {
        let said = signed.verify(owner);
        said.map(Self).map_err(|_| refused("Certificate is not by the owner."))
    }

    /// Whether it lets this writer put this value.
    pub(super) fn allows(&self, put: Put<'_>, writer: &str) -> Result<(), Refused> {
        let names = |who: &Json| who.as_text().is_some_and(|who| who == writer || who == "*");
        let named = match self.0.member("c") {
            Some(Json::Array(list)) => list.iter().any(names),
            Some(one) => names(one),
            None => false,
        };
        if !named {
            return Err(refused("Certificate does not name the writer."));
        }
        if let Some(until) = self.0.member("e") {
            let until = match until {
                Json::Number(until) => Some(*until),
                Json::Text(until) => until.as_str().and_then(|text| text.parse::<f64>().ok()),
                _ => None,
            };
            // A time that is no number allows nothing, either.
            if !until.is_some_and(|until| put.state.millis() < until) {
                return Err(refused("Certificate expired."));
            }
        }
        if self.0.member("wb").is_some() {
            return Err(refused("Certificate with a block list."));
        }
        let covers = |pattern: &Json| covers(pattern, put, writer);
        let covered = match self.0.member("w") {
            Some(Json::Array(list)) => list.iter().any(covers),
            Some(one) => covers(one),
            None => false,
        };
        if covered { Ok(()) } else { Err(refused("Certificate verification fail.")) }
    }
}

/// Whether one pattern of a certificate covers the place of a value.
fn covers(pattern: &Json, put: Put<'_>, writer: &str) -> bool {
    let soul = put.soul.as_bytes();
    let path = soul.iter().position(|&byte| byte == b'/').and_then(|at| soul.get(at + 1..));
    let path = path.unwrap_or_default();
    let whole = if path.is_empty() {
        put.key.clone()
    } else {
        let joined = [path, put.key.as_bytes()].join(&b'/');
        let Some(joined) = Text::from_bytes(&joined) else { return false };
        joined
    };
    let Some(path) = Text::from_bytes(path) else { return false };
    let placed = match (pattern.member("#"), pattern.member(".")) {
        (Some(of_path), Some(of_key)) => matches(&path, of_path) && matches(put.key, of_key),
        (Some(of_path), None) => matches(&path, of_path) || matches(&whole, of_path),
        (None, Some(of_key)) => matches(put.key, of_key),
        (None, None) => matches(&whole, pattern),
    };
    let must_name = match pattern.member("+") {
        None => false,
        Some(Json::Text(text)) if !text.as_bytes().contains(&b'*') => false,
        Some(_) => true,
    };
    let names = |text: &Text| {
        text.as_bytes().windows(writer.len().max(1)).any(|part| part == writer.as_bytes())
    };
    placed && (!must_name || names(&path) || names(put.key))
}

/// Whether a text matches a LEX: itself, `{"=":text}`, `{"*":prefix}`, or `{">":from,"<":to}`, both ends included.
fn matches(text: &Text, lex: &Json) -> bool {
    if let Some(exact) = lex.as_text() {
        return text == exact;
    }
    let bound = |name| lex.member(name).map(Json::as_text);
    match (bound("="), bound("*"), bound(">"), bound("<")) {
        (Some(exact), _, _, _) => exact == Some(text),
        (None, Some(prefix), _, _) => {
            prefix.is_some_and(|prefix| text.as_bytes().starts_with(prefix.as_bytes()))
        }
        (None, None, Some(from), Some(to)) => {
            from.is_some_and(|from| text >= from) && to.is_some_and(|to| text <= to)
        }
        (None, None, Some(from), None) => from.is_some_and(|from| text >= from),
        (None, None, None, Some(to)) => to.is_some_and(|to| text <= to),
        (None, None, None, None) => false,
    }
}
