//! AliveDB's REST API with a chain behind it, as `alive db` and `alive node` serve it: access tokens, the user of the start,
//! the chat whose requests the user answers.

use std::{path::Path, sync::Arc};

use alive_chat::SharedBlacklist;
use alive_core::{
    StreamId,
    backend::{AccountKeys as _, SharedAccountKeys},
};
use alive_db::{
    gun::Peer,
    rest::{RestApi, RestConfig, SharedLoginChain, SharedParticipants, TokenConfig, TokenIssuer},
    sea::PublicKey,
    token::Secret,
};
use alive_hive::{
    GraphenePlain, HiveNetwork,
    rpc::{HiveAccountKeys, RpcClient},
};
use anyhow::{Context as _, ensure};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    chat::Blacklists, chat_listener::ChatListener, login_chain::HiveLogin, output, secret,
    secret_file,
};

/// An API and what works in the name of its user.
pub(crate) struct ReadyApi {
    pub(crate) api: RestApi<Peer>,
    listener: Option<tokio::task::JoinHandle<()>>,
}

/// The chains behind an API.
#[derive(Debug, Default)]
pub(crate) struct ApiChains {
    /// Who may sign for accounts, for each network.
    pub(crate) keys: Vec<SharedAccountKeys>,
    /// A node that tells the blacklists of Hive, where the chat is one of Hive.
    pub(crate) blacklists: Option<RpcClient>,
}

impl ReadyApi {
    /// An API over what a peer holds. The listener follows the `chat`, if there is one, until `cancel`.
    pub(crate) fn new(
        peer: &Peer,
        config: RestConfig,
        tokens: Option<TokenIssuer>,
        chat: Option<StreamId>,
        chains: ApiChains,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let database = Arc::new(peer.clone());
        let api = match tokens {
            None => RestApi::new(database, config),
            Some(tokens) => RestApi::with_tokens(database, config, tokens),
        };
        let Some(chat) = chat else { return Ok(Self { api, listener: None }) };
        ensure!(
            chains.keys.iter().any(|keys| keys.network() == &chat.network),
            "the chat of {chat} needs a node of its network"
        );
        let blacklist = chains.blacklists.map(|client| SharedBlacklist::new(Blacklists(client)));
        let listener = ChatListener::new(peer, chat, chains.keys, blacklist, api.logins())?;
        let api = api.with_participants(SharedParticipants::new(listener.clone()));
        let listener = tokio::spawn(listener.run(cancel.clone()));
        Ok(Self { api, listener: Some(listener) })
    }

    /// Waits until nothing works in the user's name any more, after the cancellation.
    pub(crate) async fn ended(self) -> anyhow::Result<()> {
        if let Some(listener) = self.listener {
            listener.await?;
        }
        Ok(())
    }
}

/// Gives out access tokens for accounts of Hive. The secret behind them is kept in `data`.
pub(crate) fn token_issuer(
    data: &Path,
    client: RpcClient,
    network: HiveNetwork,
    config: TokenConfig,
) -> anyhow::Result<TokenIssuer> {
    let client = client.of_network(network.clone());
    let secret = secret_file::read_or_make(&data.join("token-secret"), || {
        Ok(Secret::generate().context("the system gives no randomness")?.1)
    })?;
    let secret = Secret::new(secret.trim().as_bytes()).with_context(|| {
        format!("token-secret in {}: less than {} bytes", data.display(), Secret::MIN_LEN)
    })?;
    Ok(TokenIssuer::new(
        config,
        secret,
        SharedAccountKeys::new(HiveAccountKeys::new(client.clone(), network)),
        Arc::new(GraphenePlain),
        SharedLoginChain::new(HiveLogin::new(client)),
    ))
}

/// Logs a user in at the start, by alias or by public key.
pub(crate) async fn log_in(api: &RestApi<Peer>, who: &str, password: &str) -> anyhow::Result<()> {
    let done = match who.parse::<PublicKey>() {
        Ok(_) => api.login_by_key(who, password).await,
        Err(_) => api.login(who, password).await,
    };
    done.with_context(|| format!("user {who}"))?;
    output::line(format_args!("logged in as {who}"));
    Ok(())
}

/// The password of that user: from a file, the variable, or a prompt.
pub(crate) fn password(file: Option<&Path>, variable: &str) -> anyhow::Result<Zeroizing<String>> {
    let (text, from) = secret::text_of(file, variable, "Password of the AliveDB user: ")?;
    let password = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    ensure!(!password.is_empty(), "{from}: the password is empty");
    Ok(password)
}
