//! The post that links to a stream: [`NewPost`] makes it, [`ExistingPost`] edits it.
//!
//! A stream is found by whoever knows its link; a post tells people of it. It is an ordinary `comment` without a parent,
//! whose `json_metadata` has, beside what every front end writes there, a member that names the stream:
//!
//! ```json
//! {"app":"alive/0.1.0","format":"markdown","tags":["music"],
//!  "alive":{"network":"hive","author":"alice","link":"stream1","ended":true,"chat":["bafy…"]}}
//! ```
//!
//! An edit keeps whatever else it finds there, byte for byte. The rules for `comment` and `comment_options` are those of
//! `spec/hive.md`, section 4.1; the form of the member is our own, since the original program has none.

mod beneficiaries;
mod existing;
mod metadata;
mod options;
mod permlink;

use alive_core::StreamId;

pub use beneficiaries::{Beneficiaries, BeneficiariesError};
pub use existing::ExistingPost;
pub use metadata::{MetadataError, PostMetadata};
pub use options::PayoutOptions;
pub use permlink::{Permlink, Tag, TagError};

use crate::{
    block_id::BlockId,
    json_form::JsonError,
    network::{HiveNetwork, Symbol},
    operation::{Comment, Operation},
    time::TimePoint,
    transaction::{Tapos, Transaction},
    validate::Invalid,
};

/// Most tags of a post. Front ends show no more; the chain does not care.
pub const MAX_TAGS: usize = 10;
/// What a post's metadata calls the program that made it.
const APP: &str = concat!("alive/", env!("CARGO_PKG_VERSION"));
/// The category of a post that has no tags.
const CATEGORY: &str = "alive";

/// A post that is to be made.
///
/// ```
/// use alive_hive::{HiveNetwork, post::{NewPost, PayoutOptions}};
/// let stream = "hive/alice/stream1".parse()?;
/// let post = NewPost::new(stream, "Live tonight", "See you at eight.")
///     .tags(vec!["music".parse()?, "live".parse()?])
///     .options(PayoutOptions { beneficiaries: "bob:5".parse()?, ..PayoutOptions::default() });
/// let operations = post.operations(&HiveNetwork::hive())?;
/// assert_eq!(operations.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPost {
    stream: StreamId,
    title: String,
    body: String,
    tags: Vec<Tag>,
    image: Option<String>,
    options: PayoutOptions,
}

impl NewPost {
    /// A post about a stream, its text in Markdown, with the usual payout.
    pub fn new(stream: StreamId, title: impl Into<String>, body: impl Into<String>) -> Self {
        let (title, body, options) = (title.into(), body.into(), PayoutOptions::default());
        Self { stream, title, body, tags: Vec::new(), image: None, options }
    }

    /// Sets what it is about. The first tag is the category, or a community such as `hive-123456`.
    #[must_use]
    pub fn tags(self, tags: Vec<Tag>) -> Self {
        Self { tags, ..self }
    }

    /// Sets the address of a picture that front ends show beside it.
    #[must_use]
    pub fn image(self, url: impl Into<String>) -> Self {
        Self { image: Some(url.into()), ..self }
    }

    /// Sets who is paid, and how.
    #[must_use]
    pub fn options(self, options: PayoutOptions) -> Self {
        Self { options, ..self }
    }

    /// Its name on the chain: the same for the same link, always.
    pub fn permlink(&self) -> Permlink {
        Permlink::of(&self.stream.link)
    }

    /// Its metadata.
    pub fn metadata(&self) -> PostMetadata {
        let mut metadata = PostMetadata::default();
        metadata.set("app", &APP);
        metadata.set("format", &"markdown");
        if !self.tags.is_empty() {
            metadata.set("tags", &self.tags);
        }
        if let Some(image) = &self.image {
            metadata.set("image", &[image]);
        }
        metadata.set_stream(&self.stream);
        metadata
    }

    /// The operations that make it, for one transaction: the post, and its payout where that is not the usual one.
    ///
    /// # Errors
    /// [`PostError`] says what the chain would refuse.
    pub fn operations(&self, network: &HiveNetwork) -> Result<Vec<Operation>, PostError> {
        if self.stream.network != network.name {
            let (stream, network) = (self.stream.clone(), network.name.to_string());
            return Err(PostError::OtherNetwork { stream, network });
        }
        if self.title.is_empty() {
            return Err(PostError::NoTitle);
        }
        check_tags(&self.tags)?;
        let (author, permlink) = (self.stream.account.to_string(), self.permlink().to_string());
        let category = self.tags.first().map_or(CATEGORY, Tag::as_str);
        let mut operations = vec![Operation::Comment(Comment {
            parent_author: String::new(),
            parent_permlink: category.to_owned(),
            author: author.clone(),
            permlink: permlink.clone(),
            title: self.title.clone(),
            body: self.body.clone(),
            json_metadata: self.metadata().to_string(),
        })];
        if self.options != PayoutOptions::default() {
            // Elsewhere the operation has other fields, and signing Hive's would sign what nobody asked for.
            if network.debt != Some(Symbol::HBD) {
                return Err(PostError::NoOptions(network.name.to_string()));
            }
            operations.push(self.options.to_operation(author, permlink));
        }
        validate(&operations)?;
        Ok(operations)
    }
}

fn check_tags(tags: &[Tag]) -> Result<(), PostError> {
    if tags.len() > MAX_TAGS {
        return Err(PostError::TooManyTags(tags.len()));
    }
    let twice = |(index, tag): (usize, &Tag)| tags.iter().take(index).any(|before| before == tag);
    match tags.iter().enumerate().find(|one| twice(*one)) {
        Some((_, tag)) => Err(PostError::TagTwice(tag.clone())),
        None => Ok(()),
    }
}

/// Refuses what hived refuses, by the one place that knows.
fn validate(operations: &[Operation]) -> Result<(), PostError> {
    let never = TimePoint::from_unix_secs(0);
    let transaction = Transaction::new(Tapos::of(&BlockId::ZERO), never, operations.to_vec());
    Ok(transaction.validate()?)
}

/// Why there is no such post.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// The answer of a node is no post.
    #[error("the node's answer is no post")]
    Answer(#[from] JsonError),
    /// The chain would refuse an operation.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The metadata cannot be kept, so the post is not changed.
    #[error("the post's json_metadata")]
    Metadata(#[from] MetadataError),
    /// Payout options have another form there.
    #[error("posts of {0} take no payout options from this program; leave them out")]
    NoOptions(String),
    /// Front ends show no post without a title.
    #[error("a post needs a title")]
    NoTitle,
    /// The post is about another stream.
    #[error("the post is about {found}, not about {stream}")]
    OtherStream {
        /// What its metadata names.
        found: StreamId,
        /// What was asked for.
        stream: StreamId,
    },
    /// The stream is one of another network.
    #[error("{stream} is not a stream of {network}")]
    OtherNetwork {
        /// The stream.
        stream: StreamId,
        /// The network that the post is for.
        network: String,
    },
    /// The tag stands there twice.
    #[error("the tag {0} stands there twice")]
    TagTwice(Tag),
    /// So many tags.
    #[error("{0} tags, at most {MAX_TAGS} allowed")]
    TooManyTags(usize),
}

#[cfg(test)]
mod tests;
