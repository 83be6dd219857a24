//! Posts, which make a stream visible on DTube: [`post`] and [`edit`].
//!
//! The link of a stream's post is the stream's, so that viewers find one by the other. What the json says is up to the
//! author; no format was ever published. Source: `spec/avalon.md`, section 7.3.

use std::fmt::Write as _;

use crate::{
    json_text::{JsonText, push_string, utf16_len},
    playlist::MAX_JSON_LEN,
    transaction::Transaction,
    unsendable::Unsendable,
};

/// `COMMENT`: makes a post, or replaces its json.
pub const COMMENT: u8 = 4;
/// `COMMENT_EDIT`: replaces the json of a post without spending votes.
pub const COMMENT_EDIT: u8 = 28;
/// Longest tag, in UTF-16 code units. Source: `spec/avalon.md`, section 1.
pub const MAX_TAG_LEN: usize = 25;
/// Longest link of a post, in UTF-16 code units.
pub const MAX_POST_LINK_LEN: usize = 50;

/// What a post says, besides who posts and when.
///
/// ```
/// use alive_avalon::{JsonText, post::{Post, edit, post}};
/// let json = JsonText::of(r#"{"title":"Live now"}"#)?;
/// let new = Post { link: "stream1", json: &json, votes: 1, tag: "alive", parent: None };
/// let transaction = post("alice", &new, 1_700_000_000_000)?;
/// assert!(transaction.as_text().as_str().starts_with(r#"{"type":4,"data":{"link":"stream1","#));
/// assert!(edit("alice", "stream1", &json, 1_700_000_000_001).is_ok());
/// assert!(post("alice", &Post { tag: "a.b", ..new }, 1).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a transaction of this type has just these")]
pub struct Post<'a> {
    /// Its link: 1 to 50 code units.
    pub link: &'a str,
    /// What it says: an object of at most 60,000 code units.
    pub json: &'a JsonText,
    /// The voting power that the author spends on it, not zero.
    pub votes: i64,
    /// The tag of that vote: at most 25 code units, no dot and no dollar sign.
    pub tag: &'a str,
    /// The post that it answers: author and link.
    pub parent: Option<(&'a str, &'a str)>,
}

/// The transaction that makes a post. A second one of the same link replaces the json and spends votes again, so change a
/// post with [`edit`].
///
/// # Errors
/// [`PostError`], what a node would refuse.
pub fn post(author: &str, post: &Post<'_>, ts_ms: i64) -> Result<Transaction, PostError> {
    check(post.link, post.json)?;
    if post.votes == 0 {
        return Err(PostError::Votes);
    }
    if utf16_len(post.tag) > MAX_TAG_LEN || post.tag.contains(['.', '$']) {
        return Err(PostError::Tag);
    }
    let mut data = r#"{"link":"#.to_owned();
    push_string(&mut data, post.link);
    if let Some((author, link)) = post.parent {
        data.push_str(r#","pa":"#);
        push_string(&mut data, author);
        data.push_str(r#","pp":"#);
        push_string(&mut data, link);
    }
    // Writing to a string does not fail.
    let _ = write!(data, r#","json":{},"vt":{},"tag":"#, post.json, post.votes);
    push_string(&mut data, post.tag);
    data.push('}');
    transaction(COMMENT, data, author, ts_ms)
}

/// The transaction that replaces the json of a post.
///
/// # Errors
/// [`PostError`], what a node would refuse.
pub fn edit(
    author: &str,
    link: &str,
    json: &JsonText,
    ts_ms: i64,
) -> Result<Transaction, PostError> {
    check(link, json)?;
    let mut data = r#"{"link":"#.to_owned();
    push_string(&mut data, link);
    let _ = write!(data, r#","json":{json}}}"#);
    transaction(COMMENT_EDIT, data, author, ts_ms)
}

/// Why there is no such post.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// The json is no object, or too long.
    #[error("the json of a post is an object of at most {MAX_JSON_LEN} characters")]
    Json,
    /// The link has another length.
    #[error("the link of a post has 1 to {MAX_POST_LINK_LEN} characters")]
    Link,
    /// The tag is too long, or has a dot or a dollar sign.
    #[error("a tag has at most {MAX_TAG_LEN} characters, no dot and no dollar sign")]
    Tag,
    /// Nodes cannot keep what it says.
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
    /// A post is voted for with no votes.
    #[error("a post takes votes of its author, not zero")]
    Votes,
}

fn check(link: &str, json: &JsonText) -> Result<(), PostError> {
    if !(1..=MAX_POST_LINK_LEN).contains(&utf16_len(link)) {
        return Err(PostError::Link);
    }
    if !json.root().is_object() || json.utf16_len() > MAX_JSON_LEN {
        return Err(PostError::Json);
    }
    Ok(())
}

fn transaction(kind: u8, data: String, author: &str, ts_ms: i64) -> Result<Transaction, PostError> {
    // It was put together of pieces that are written as JavaScript does.
    let data = JsonText::of_canonical(data);
    Ok(Transaction::new(kind, &data, author, ts_ms)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_would_refuse_is_not_made() {
        let (json, list) = (JsonText::of("{}").unwrap(), JsonText::of("[]").unwrap());
        let good =
            Post { link: "a", json: &json, votes: -1, tag: "", parent: Some(("bob", "é\"")) };
        let made = post("alice", &good, 1).unwrap();
        let again = JsonText::of(made.as_text().as_str()).unwrap();
        assert_eq!(&again, made.as_text(), "it is written as JavaScript does");
        let long = "x".repeat(51);
        for (bad, why) in [
            (Post { link: "", ..good }, PostError::Link),
            (Post { link: &long, ..good }, PostError::Link),
            (Post { json: &list, ..good }, PostError::Json),
            (Post { votes: 0, ..good }, PostError::Votes),
            (Post { tag: &long, ..good }, PostError::Tag),
            (Post { tag: "$", ..good }, PostError::Tag),
        ] {
            assert_eq!(post("alice", &bad, 1).unwrap_err(), why);
        }
        assert_eq!(edit("alice", "a", &list, 1).unwrap_err(), PostError::Json);
    }
}
