//! Posts as a node tells them: [`find_post`].

use alive_core::AccountName;
use serde_json::json;

use crate::post::{ExistingPost, PostError};

use super::{RpcClient, RpcError};

/// Asks for a post by its author and name, `None` if there is none.
///
/// ```
/// use alive_hive::{post::Permlink, rpc};
/// # async fn run(client: rpc::RpcClient) -> Result<(), Box<dyn std::error::Error>> {
/// let permlink = Permlink::of(&"stream1".parse()?);
/// if let Some(post) = rpc::find_post(&client, &"alice".parse()?, permlink.as_str()).await? {
///     println!("{}", post.title());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`FindPostError`]: no node answers, or the answer is another post or none that could be edited.
pub async fn find_post(
    client: &RpcClient,
    author: &AccountName,
    permlink: &str,
) -> Result<Option<ExistingPost>, FindPostError> {
    let answer = match client.call("condenser_api.get_content", json!([author, permlink])).await {
        // Some nodes answer an error where there is nothing.
        Err(error) if says_there_is_none(&error) => return Ok(None),
        answer => answer?,
    };
    let found = ExistingPost::from_json(&answer)?;
    // A node that gives another post must not make us overwrite ours with its text.
    match &found {
        Some(post) if post.author() != author.as_str() || post.permlink() != permlink => {
            Err(RpcError::Answer("the post that was asked for").into())
        }
        _ => Ok(found),
    }
}

fn says_there_is_none(error: &RpcError) -> bool {
    error.node().is_some_and(|error| error.message().contains("does not exist"))
}

/// Why a post is not found or cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindPostError {
    /// It is none, or none that could be edited.
    #[error(transparent)]
    Post(#[from] PostError),
    /// The node cannot be asked.
    #[error("the node does not tell the post")]
    Rpc(#[from] RpcError),
}
