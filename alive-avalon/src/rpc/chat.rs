//! Archives of a stream's chat, announced in the json of its playlist: [`find_chat_archives`].

use alive_core::{AccountName, ContentId, Link};

use crate::stream_tx::chat_archives;

use super::{client::RpcClient, error::RpcError, node::ChainNode};

/// Asks which archives of its chat a stream's playlist names; `None` if there is no such playlist.
///
/// Most nodes keep no json of playlists; then it is looked for in the history of the account. Nothing is believed by being
/// named here: an archive's messages are signed for their stream.
///
/// ```
/// use alive_avalon::rpc;
/// # async fn run(client: rpc::RpcClient) -> Result<(), Box<dyn std::error::Error>> {
/// let found = rpc::find_chat_archives(&client, &"alice".parse()?, &"stream1".parse()?).await?;
/// println!("{} archives", found.unwrap_or_default().len());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// No node can be reached, or none answers as it should.
pub async fn find_chat_archives(
    client: &RpcClient,
    account: &AccountName,
    link: &Link,
) -> Result<Option<Vec<ContentId>>, RpcError> {
    let node = ChainNode { client: client.clone() };
    let (account, link) = (account.as_str(), link.as_str());
    let Some(playlist) = node.playlist(account, link).await? else { return Ok(None) };
    if playlist.json().members().next().is_some() {
        return Ok(Some(chat_archives(playlist.json())));
    }
    let json = node.json_in_history(account, link).await?;
    Ok(Some(json.map(|json| chat_archives(json.root())).unwrap_or_default()))
}
