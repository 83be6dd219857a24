//! Lists of accounts that somebody does not want: [`blacklisted`].

use alive_core::AccountName;
use serde_json::json;

use crate::validate::is_account_name;

use super::{RpcClient, RpcError};

/// Most names that are taken of one answer. Our own limit; a chat cannot do more with them.
const MAX_NAMES: usize = 100_000;

/// Asks for the accounts that are blacklisted for `observer`: by himself, and by the lists that he follows, as far as the
/// node counts those. Only nodes with Hivemind know. Names that no account can have are passed over.
///
/// Source: `spec/alivedb.md`, section 8.5.
///
/// ```
/// use alive_hive::rpc;
/// # async fn run(client: rpc::RpcClient) -> Result<(), Box<dyn std::error::Error>> {
/// for name in rpc::blacklisted(&client, &"alice".parse()?).await? {
///     println!("alice does not want {name}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// No node answers, or the answer is no list.
pub async fn blacklisted(
    client: &RpcClient,
    observer: &AccountName,
) -> Result<Vec<AccountName>, RpcError> {
    let params = json!({ "observer": observer, "follow_type": "blacklisted" });
    let answer = client.call("bridge.get_follow_list", params).await?;
    let list = answer.as_array().ok_or(RpcError::Answer("a list of accounts"))?;
    let names = list.iter().filter_map(|item| {
        // Some versions give the names alone.
        let name = item.get("name").unwrap_or(item).as_str()?;
        is_account_name(name).then(|| name.parse().ok()).flatten()
    });
    Ok(names.take(MAX_NAMES).collect())
}
