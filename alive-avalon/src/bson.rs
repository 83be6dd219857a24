//! Whether a transaction survives the reference node's way through BSON: [`check`].
//!
//! The node refuses transactions that come back from BSON as others, and throws at some. Nothing is converted here:
//! these are the rules of what comes back the same. Source: `spec/avalon.md`, section 5.1.

use crate::{
    json_ref::{JsonMember, JsonRef},
    json_text::{JsonText, array_index},
    unsendable::MAX_DEPTH,
};

/// Why a transaction does not survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BsonRefusal {
    /// It comes back as another one.
    #[error("unserializable transaction, perhaps due to non-utf8 character?")]
    Changed,
    /// A key makes the reference node throw.
    #[error("a key of the transaction makes nodes throw")]
    Throws,
}

/// Checks a transaction without hash and signature. Both are checked with the rest here, which makes no difference:
/// they are texts without surrogates, or were refused before.
pub(crate) fn check(transaction: JsonRef<'_>) -> Result<(), BsonRefusal> {
    if transaction.depth() > MAX_DEPTH {
        return Err(BsonRefusal::Throws);
    }
    let mut left = vec![transaction];
    while let Some(json) = left.pop() {
        if json.is_string() && json.to_text().is_none() {
            return Err(BsonRefusal::Changed);
        }
        left.extend(json.items());
        if json.is_object() {
            check_object(json)?;
            left.extend(json.members().map(|(_, value)| value));
        }
    }
    Ok(())
}

fn check_object(object: JsonRef<'_>) -> Result<(), BsonRefusal> {
    for (key, value) in object.members() {
        let Some(name) = key.to_text() else { return Err(BsonRefusal::Changed) };
        if name.contains('\0') || (name == "_bsontype" && !value.is_null()) {
            return Err(BsonRefusal::Throws);
        }
        if name == "__proto__" && shows_members(value) {
            return Err(BsonRefusal::Changed);
        }
    }
    if is_database_reference(object) && !comes_back_as_reference(object) {
        return Err(BsonRefusal::Changed);
    }
    Ok(())
}

/// Whether a value that became a prototype shows members, of its own or of its own prototype.
fn shows_members(json: JsonRef<'_>) -> bool {
    let mut left = vec![json];
    while let Some(json) = left.pop() {
        if json.items().next().is_some() {
            return true;
        }
        for (key, value) in json.members() {
            if !key.is_text("__proto__") {
                return true;
            }
            left.push(value);
        }
    }
    false
}

/// Whether BSON's reader takes an object for a database reference.
fn is_database_reference(object: JsonRef<'_>) -> bool {
    let reference = object.member("$ref").is_some_and(JsonRef::is_string);
    let id = object.member("$id").is_some_and(|id| !id.is_null());
    let database = object.member("$db").is_none_or(|db| db.is_null() || db.is_string());
    let known = |(key, _): JsonMember<'_>| {
        let dollar = key.as_str().starts_with("\"$");
        !dollar || ["$ref", "$id", "$db"].iter().any(|known| key.is_text(known))
    };
    reference && id && database && object.members().all(known)
}

/// Whether a database reference is written in the order in which it comes back, and whole.
fn comes_back_as_reference(object: JsonRef<'_>) -> bool {
    let name = object.member("$ref").and_then(JsonRef::to_text).unwrap_or_default();
    if name.matches('.').count() == 1 || object.member("$db").is_some_and(JsonRef::is_null) {
        return false;
    }
    let named = |(key, _): &JsonMember<'_>| array_index(key.as_str().as_bytes()).is_none();
    let keys: Vec<_> = object.members().filter(named).map(|(key, _)| key).collect();
    let in_front = matches!(keys.as_slice(), [first, second, ..]
        if first.is_text("$ref") && second.is_text("$id"));
    let database = keys.iter().position(|key| key.is_text("$db"));
    in_front && database.is_none_or(|at| at + 1 == keys.len())
}

/// What is left to write: a piece of text, or a value that may hold such members.
enum Step<'a> {
    Text(&'a str),
    Value(JsonRef<'a>),
}

/// The text without members named `__proto__` at any level.
pub(crate) fn without_proto(text: &JsonText) -> JsonText {
    // Each level walks over all below it, so what is too deep to be taken stays as it is.
    if text.root().depth() > MAX_DEPTH {
        return text.clone();
    }
    let mut out = String::with_capacity(text.as_str().len());
    let mut left = vec![Step::Value(text.root())];
    while let Some(step) = left.pop() {
        let value = match step {
            Step::Text(text) => {
                out.push_str(text);
                continue;
            }
            Step::Value(value) if !value.as_str().contains("\"__proto__\":") => {
                out.push_str(value.as_str());
                continue;
            }
            Step::Value(value) => value,
        };
        let mut steps = Vec::new();
        if value.is_array() {
            for item in value.items() {
                steps.extend([
                    Step::Text(if steps.is_empty() { "[" } else { "," }),
                    Step::Value(item),
                ]);
            }
            steps.push(Step::Text("]"));
        } else if value.is_object() {
            steps.push(Step::Text("{"));
            for (key, value) in value.members().filter(|(key, _)| !key.is_text("__proto__")) {
                let comma = if steps.len() > 1 { "," } else { "" };
                let pieces = [Step::Text(comma), Step::Text(key.as_str()), Step::Text(":")];
                steps.extend(pieces);
                steps.push(Step::Value(value));
            }
            steps.push(Step::Text("}"));
        } else {
            steps.push(Step::Text(value.as_str()));
        }
        left.extend(steps.into_iter().rev());
    }
    JsonText::of_canonical(out)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn what_is_too_deep_throws_at_once() {
        let deep = format!("{}{}", r#"{"__proto__":"#.repeat(50_000), "}".repeat(50_000));
        assert!(JsonText::of(&deep.replace(":}", ":0}")).is_ok());
        let deep = JsonText::of(&deep.replace(":}", ":0}")).unwrap();
        assert_eq!(check(deep.root()), Err(BsonRefusal::Throws));
        assert_eq!(without_proto(&deep), deep);
    }

    fn checked(json: &str) -> Result<(), BsonRefusal> {
        check(JsonText::of(json).unwrap().root())
    }

    #[rstest]
    #[case(r#"{"a":"\u0000","b.c":1,"$d":2,"":3,"_bsontype":null}"#)]
    #[case(r#"{"$ref":"a","$id":1}"#)]
    #[case(r#"{"5":0,"$ref":"a","$id":1,"x":2,"$db":"d"}"#)]
    #[case(r#"{"$id":1,"$ref":"a","$x":0}"#)]
    #[case(r#"{"$id":null,"$ref":"a"}"#)]
    #[case(r#"{"$id":1,"$ref":5}"#)]
    #[case(r#"{"$id":1,"$ref":"a","$db":5}"#)]
    #[case(r#"{"$ref":"a.b.c","$id":1}"#)]
    #[case(r#"{"__proto__":null}"#)]
    #[case(r#"[{"__proto__":{}}]"#)]
    fn it_survives(#[case] json: &str) {
        assert_eq!(checked(json), Ok(()));
    }

    #[rstest]
    #[case(r#"{"a":["\ud800"]}"#)]
    #[case(r#"{"\ud800":1}"#)]
    #[case(r#"{"$id":1,"$ref":"a"}"#)]
    #[case(r#"{"x":2,"$ref":"a","$id":1}"#)]
    #[case(r#"{"$ref":"a","$id":1,"$db":"d","x":2}"#)]
    #[case(r#"{"$ref":"a","$id":1,"$db":null}"#)]
    #[case(r#"{"$ref":"a.b","$id":1}"#)]
    #[case(r#"{"__proto__":{"x":1}}"#)]
    #[case(r#"{"__proto__":{"__proto__":{"x":1}}}"#)]
    fn it_comes_back_changed(#[case] json: &str) {
        assert_eq!(checked(json), Err(BsonRefusal::Changed));
    }

    #[rstest]
    #[case(r#"{"a":{"b\u0000":1}}"#)]
    #[case(r#"{"a":{"_bsontype":"ObjectID"}}"#)]
    fn nodes_throw(#[case] json: &str) {
        assert_eq!(checked(json), Err(BsonRefusal::Throws));
    }

    #[rstest]
    #[case(
        r#"{"__proto__":1,"a":[{"__proto__":{"b":1},"c":2},[]],"d":{"__proto__":0}}"#,
        r#"{"a":[{"c":2},[]],"d":{}}"#
    )]
    #[case(r#"{"a":"\"__proto__\":"}"#, r#"{"a":"\"__proto__\":"}"#)]
    #[case("5", "5")]
    fn prototypes_are_left_out(#[case] json: &str, #[case] want: &str) {
        assert_eq!(without_proto(&JsonText::of(json).unwrap()).as_str(), want);
    }
}
