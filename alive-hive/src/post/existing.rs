//! A post that is on the chain: [`ExistingPost`].

use alive_core::{ContentId, StreamId};
use serde_json::Value;

use crate::{
    json_form::{Object, text},
    network::HiveNetwork,
    operation::{Comment, Operation},
};

use super::{PostError, PostMetadata, validate};

/// A post as a node tells it, to be read and changed.
///
/// A change keeps the title, the text and all of the metadata that it does not name.
///
/// ```
/// use alive_hive::{HiveNetwork, post::ExistingPost};
/// let answer = serde_json::json!({
///     "author": "alice", "permlink": "stream1", "parent_author": "", "parent_permlink": "music",
///     "title": "Live", "body": "Now.", "json_metadata": "{\"app\":\"peakd/1\"}",
/// });
/// let stream = "hive/alice/stream1".parse()?;
/// let mut post = ExistingPost::from_json(&answer)?.ok_or("no post")?;
/// post.link_to(&stream)?;
/// post.set_ended();
/// assert!(post.is_changed());
/// let edit = post.operation(&HiveNetwork::hive())?;
/// assert_eq!(edit.name(), "comment");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ExistingPost {
    before: Comment,
    comment: Comment,
    metadata: PostMetadata,
}

impl ExistingPost {
    /// Reads the answer of `condenser_api.get_content`; `None` if there is no such post, which nodes tell by an empty
    /// author or by `null`.
    ///
    /// # Errors
    /// [`PostError`]: the answer is no post, or its metadata is no JSON object, so that nothing could be kept of it.
    pub fn from_json(answer: &Value) -> Result<Option<Self>, PostError> {
        if answer.is_null() {
            return Ok(None);
        }
        let post = Object::of(answer)?;
        let member = |name| post.read(name, |value| text(value).map(str::to_owned));
        if member("author")?.is_empty() {
            return Ok(None);
        }
        let comment = Comment {
            parent_author: member("parent_author")?,
            parent_permlink: member("parent_permlink")?,
            author: member("author")?,
            permlink: member("permlink")?,
            title: member("title")?,
            body: member("body")?,
            json_metadata: member("json_metadata")?,
        };
        let metadata = comment.json_metadata.parse()?;
        Ok(Some(Self { before: comment.clone(), comment, metadata }))
    }

    /// Who wrote it.
    pub fn author(&self) -> &str {
        &self.comment.author
    }

    /// Its name.
    pub fn permlink(&self) -> &str {
        &self.comment.permlink
    }

    /// Its title.
    pub fn title(&self) -> &str {
        &self.comment.title
    }

    /// Its text.
    pub fn body(&self) -> &str {
        &self.comment.body
    }

    /// Its metadata.
    pub fn metadata(&self) -> &PostMetadata {
        &self.metadata
    }

    /// Says that it is about this stream, in case somebody's edit lost that.
    ///
    /// # Errors
    /// It is about another stream.
    pub fn link_to(&mut self, stream: &StreamId) -> Result<(), PostError> {
        match self.metadata.stream() {
            None => self.metadata.set_stream(stream),
            Some(found) if found == *stream => {}
            Some(found) => return Err(PostError::OtherStream { found, stream: stream.clone() }),
        }
        Ok(())
    }

    /// Sets the title.
    pub fn set_title(&mut self, title: impl Into<String>) {
        self.comment.title = title.into();
    }

    /// Sets the text.
    pub fn set_body(&mut self, body: impl Into<String>) {
        self.comment.body = body.into();
    }

    /// Says that the stream has ended.
    pub fn set_ended(&mut self) {
        if !self.metadata.is_ended() {
            self.metadata.set_ended();
        }
    }

    /// Adds an archive of the stream's chat; whether it is a new one and there was room for it.
    pub fn add_chat_archive(&mut self, archive: &ContentId) -> bool {
        self.metadata.add_chat_archive(archive)
    }

    /// Whether there is anything to write: hived refuses an edit that changes nothing.
    pub fn is_changed(&self) -> bool {
        let Comment { title, body, .. } = &self.comment;
        let same = (title, body) == (&self.before.title, &self.before.body);
        let metadata = self.before.json_metadata.parse::<PostMetadata>();
        !same || metadata.as_ref() != Ok(&self.metadata)
    }

    /// The operation that writes the changes.
    ///
    /// # Errors
    /// [`PostError`] says what the chain would refuse.
    pub fn operation(&self, network: &HiveNetwork) -> Result<Operation, PostError> {
        if let Some(stream) = self.metadata.stream().filter(|one| one.network != network.name) {
            return Err(PostError::OtherNetwork { stream, network: network.name.to_string() });
        }
        if self.comment.title.is_empty() && !self.before.title.is_empty() {
            return Err(PostError::NoTitle);
        }
        let json_metadata = self.metadata.to_string();
        let operation = Operation::Comment(Comment { json_metadata, ..self.comment.clone() });
        validate(std::slice::from_ref(&operation))?;
        Ok(operation)
    }
}
