//! Golden vectors of the kind `api.halive`.

use std::time::Duration;

use alive_core::{
    AccountName, BlockChanges, Index, Network, SignedOp,
    backend::{
        BlockRef, Commit, SharedAccountKeys, SharedStorage, SharedStreamStore, StreamStore as _,
    },
    conformance::{Kind, judge},
    memory::{MemoryAccountKeys, MemoryStorage, MemoryStreamStore},
};
use axum::{
    body::{Body, to_bytes},
    http::{Request, header},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    api::Api,
    playlists::{PlaylistConfig, Playlists},
    resolver::{Resolver, ResolverConfig},
};

/// Every kind that this crate checks.
pub const KINDS: &[Kind] =
    &[Kind { name: "api.halive", check: |input, want| judge(on_a_runtime(input), want) }];

/// More than any answer of these routes has.
const MAX_ANSWER: usize = 64 << 20;

#[derive(Clone, Debug, Deserialize)]
struct Input {
    accounts: Vec<AccountName>,
    ops: Vec<InputOp>,
    last_processed_block: u64,
    path: String,
}

#[derive(Clone, Debug, Deserialize)]
struct InputOp {
    ts: String,
    account: String,
    json: String,
}

/// Answers on a thread of its own: the caller may be on a runtime, where no other can be entered.
fn on_a_runtime(input: &Value) -> Result<Value, String> {
    let input = Input::deserialize(input).map_err(|why| why.to_string())?;
    let answering = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.map_err(|why| why.to_string())?.block_on(answer(input))
    });
    answering.join().map_err(|_| "the request panicked".to_owned())?
}

async fn answer(input: Input) -> Result<Value, String> {
    let network = Network::hive();
    let accounts = MemoryAccountKeys::new(network.clone());
    for account in &input.accounts {
        accounts.set(account.clone(), alive_core::backend::AccountAuthority::default());
    }
    let store = SharedStreamStore::new(MemoryStreamStore::default());
    fill(&store, &network, &input).await?;
    let storage = SharedStorage::new(MemoryStorage::default());
    let resolver = Resolver::new(storage, None, ResolverConfig::default());
    let config = PlaylistConfig::default().first_wait(Duration::ZERO);
    let playlists = Playlists::new(store.clone(), resolver, None, None, config);
    let accounts = Some(SharedAccountKeys::new(accounts));
    let (events, _) = tokio::sync::broadcast::channel(1);
    let router = Api::new(network, store, accounts, playlists, None, events).router(Duration::MAX);

    let request = Request::get(&input.path).body(Body::empty()).map_err(|why| why.to_string())?;
    let response = router.oneshot(request).await.map_err(|why| why.to_string())?;
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_owned();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), MAX_ANSWER).await.map_err(|why| why.to_string())?;
    let body: Value = serde_json::from_slice(&body).map_err(|why| format!("no JSON: {why}"))?;
    Ok(json!({"status": status, "content_type": content_type, "json": body}))
}

/// Applies the operations and commits all they changed with the last block.
async fn fill(store: &SharedStreamStore, network: &Network, input: &Input) -> Result<(), String> {
    let mut index = Index::default();
    let mut changes = Vec::new();
    for op in &input.ops {
        let at = op.ts.parse().map_err(|why| format!("ts: {why}"))?;
        let signed = SignedOp::from_parts(&[&op.account], &op.json);
        changes.extend(signed.ok().and_then(|signed| index.apply(&signed, at).ok()));
    }
    let Some(previous) = input.last_processed_block.checked_sub(1) else { return Ok(()) };
    let id = |num: u64| format!("{num:040x}").parse().map_err(|why| format!("block: {why}"));
    let num = input.last_processed_block;
    let block = BlockChanges {
        at: BlockRef { num, id: id(num)? },
        previous: BlockRef { num: previous, id: id(previous)? },
        changes,
        new_accounts: Vec::new(),
    };
    let step = Commit::Apply { blocks: vec![block], irreversible: num };
    store.commit(network, &step).await.map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_is_noticed() {
        let check = KINDS[0].check;
        let input = json!({"accounts": [], "ops": [], "last_processed_block": 7, "path": "/"});
        let want = |block: u64| {
            json!({"status": 200, "content_type": "application/json",
                "json": {"db_version": 1, "last_processed_block": block}})
        };
        assert_eq!(check(&input, &want(7)), Ok(()));
        assert!(check(&input, &want(8)).is_err());
    }

    #[tokio::test]
    async fn it_runs_within_a_runtime() {
        a_wrong_answer_is_noticed();
    }
}
