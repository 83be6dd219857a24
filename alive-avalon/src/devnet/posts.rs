//! Posts of a development chain: [`Post`].

use std::fmt::Write as _;

use crate::json_text::JsonText;

use super::accounts::{number, quoted};

/// A vote for a post.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Vote {
    pub(super) user: String,
    pub(super) at_ms: i64,
    pub(super) votes: f64,
    pub(super) tag: String,
}

/// A post or an answer to one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Post {
    pub(super) author: String,
    pub(super) link: String,
    pub(super) parent: Option<(String, String)>,
    pub(super) json: JsonText,
    pub(super) children: Vec<(String, String)>,
    pub(super) votes: Vec<Vote>,
    pub(super) at_ms: i64,
}

impl Post {
    /// What a node answers. Source: `spec/avalon.md`, section 7.3.
    pub(super) fn to_json(&self) -> JsonText {
        let id = quoted(&format!("{}/{}", self.author, self.link));
        let mut text = format!(
            r#"{{"_id":{id},"author":{},"link":{}"#,
            quoted(&self.author),
            quoted(&self.link)
        );
        if let Some((author, link)) = &self.parent {
            let _ = write!(text, r#","pa":{},"pp":{}"#, quoted(author), quoted(link));
        }
        let _ = write!(text, r#","json":{},"child":["#, self.json);
        let children = self.children.iter();
        let children =
            children.map(|(author, link)| format!("[{},{}]", quoted(author), quoted(link)));
        text.push_str(&children.collect::<Vec<_>>().join(","));
        let votes: Vec<_> = self.votes.iter().map(Vote::to_json).collect();
        let _ = write!(text, r#"],"votes":[{}],"ts":{},"tags":{{"#, votes.join(","), self.at_ms);
        let mut tags: Vec<(&str, f64)> = Vec::new();
        for vote in self.votes.iter().filter(|vote| !vote.tag.is_empty()) {
            match tags.iter_mut().find(|(tag, _)| *tag == vote.tag) {
                Some((_, sum)) => *sum += vote.votes.abs(),
                None => tags.push((&vote.tag, vote.votes.abs())),
            }
        }
        let tags: Vec<_> =
            tags.into_iter().map(|(tag, sum)| format!("{}:{}", quoted(tag), number(sum))).collect();
        let _ = write!(text, r#"{}}},"dist":0}}"#, tags.join(","));
        JsonText::of(&text).unwrap_or_else(|_| JsonText::of_canonical("null"))
    }
}

impl Vote {
    fn to_json(&self) -> String {
        let Self { user, at_ms, votes, tag } = self;
        let (user, tag, votes) = (quoted(user), quoted(tag), number(*votes));
        format!(r#"{{"u":{user},"ts":{at_ms},"vt":{votes},"tag":{tag}}}"#)
    }
}
