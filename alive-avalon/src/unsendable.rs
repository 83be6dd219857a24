//! What no node takes, whatever its rules: [`Unsendable`].

use alive_core::Excerpt;

use crate::json_ref::JsonRef;

/// Most arrays and objects open at once. The reference node walks through transactions by recursion and throws where its
/// stack ends, some thousands deep; the bound is ours.
pub const MAX_DEPTH: usize = 1000;

/// Data that passes through the reference node changed, or makes it throw. It is refused before it is signed.
/// Source: `spec/avalon.md`, section 5.1, "Sane rule for our client".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsendable {
    /// More arrays and objects are open at once than a node can walk through.
    #[error("more than {MAX_DEPTH} arrays and objects are open at once")]
    Depth,
    /// A key that means something else in JavaScript or BSON.
    #[error("a node cannot keep the key {0}")]
    Key(Excerpt),
    /// A key with the character NUL.
    #[error("a key holds the character NUL")]
    Nul,
    /// A string with half a character.
    #[error("a string holds a surrogate without a partner")]
    Surrogate,
}

/// Checks every key and every string.
pub(crate) fn check_sendable(json: JsonRef<'_>) -> Result<(), Unsendable> {
    if json.depth() > MAX_DEPTH {
        return Err(Unsendable::Depth);
    }
    let mut left = vec![json];
    while let Some(json) = left.pop() {
        if json.is_string() && json.to_text().is_none() {
            return Err(Unsendable::Surrogate);
        }
        left.extend(json.items());
        for (key, value) in json.members() {
            let Some(key) = key.to_text() else { return Err(Unsendable::Surrogate) };
            if key.contains('\0') {
                return Err(Unsendable::Nul);
            }
            if key == "_bsontype" || key == "__proto__" {
                return Err(Unsendable::Key(Excerpt::of(&key)));
            }
            left.push(value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JsonText;

    #[test]
    fn what_the_reference_node_would_lose_is_refused_at_any_depth() {
        let check = |json: &str| check_sendable(JsonText::of(json).unwrap().root());
        assert_eq!(check(r#"{"a":[{"$ref":"\u0000","_id":{}}],"b":"é😀"}"#), Ok(()));
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(&nested(MAX_DEPTH)), Ok(()));
        assert_eq!(check(&nested(MAX_DEPTH + 1)), Err(Unsendable::Depth));
        assert_eq!(check(r#"{"a":["\ud800"]}"#), Err(Unsendable::Surrogate));
        assert_eq!(check(r#"[{"\udc00":1}]"#), Err(Unsendable::Surrogate));
        assert_eq!(check(r#"[[{"a\u0000":1}]]"#), Err(Unsendable::Nul));
        for key in ["_bsontype", "__proto__"] {
            let refused = check(&format!(r#"{{"a":{{"{key}":null}}}}"#));
            assert_eq!(refused, Err(Unsendable::Key(Excerpt::of(key))));
        }
    }
}
