//! Signs operations and puts them on the chain: [`AvalonBroadcaster`].

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alive_core::{
    AccountName, ChainView, ContentId, Link, LiveKey, Network, Op, Seq,
    backend::{BroadcastError, Broadcaster, Cause, Receipt},
};

use crate::{
    account::Account,
    json_text::JsonText,
    keys::PrivateKey,
    playlist::{PLAYLIST_JSON, PLAYLIST_PUSH, Playlist},
    stream_tx::{StreamTx, StreamTxError},
    transaction::Transaction,
    unsendable::Unsendable,
};

use super::{
    BACKEND,
    attempt::{Attempt, Found},
    client::RpcClient,
    error::RpcError,
    node::{ChainNode, Said},
};

/// How often an operation is signed anew before its broadcast fails. Our own limit.
const MAX_BUILDS: usize = 5;
/// How many answers in a row may be missing before a broadcast fails. Our own limit.
const MAX_SILENCE: usize = 10;
/// How many transactions are remembered whose broadcast was given up. Our own limit.
const MAX_PENDING: usize = 32;
/// Of how many playlists the json is remembered. Our own limit.
const MAX_JSONS: usize = 64;

/// Settings of an [`AvalonBroadcaster`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BroadcasterConfig {
    /// How many blocks must stand on the one with the transaction before it counts as published.
    pub confirmations: u64,
    /// Time between two looks for the transaction in a block.
    pub poll_interval: Duration,
}

impl BroadcasterConfig {
    /// Sets how many blocks must stand on the one with the transaction.
    #[must_use]
    pub fn confirmations(self, blocks: u64) -> Self {
        Self { confirmations: blocks, ..self }
    }

    /// Sets the time between two looks.
    #[must_use]
    pub fn poll_interval(self, interval: Duration) -> Self {
        Self { poll_interval: interval, ..self }
    }
}

impl Default for BroadcasterConfig {
    fn default() -> Self {
        Self { confirmations: 0, poll_interval: Duration::from_secs(1) }
    }
}

/// Publishes operations of one account with one of its keys.
///
/// A broadcast never gets an operation into two blocks: the same bytes are sent again as long as a block may take them,
/// also when the broadcast was given up and is asked for anew, and others are signed only once those can be in no block
/// any more. A transaction's time is that of the head block, so that a wrong clock does no harm. Nothing is sent to the
/// call that waits for confirmation, since it can crash nodes, and nothing is ever popped.
///
/// ```
/// use alive_avalon::{PrivateKey, rpc};
/// use alive_core::{Op, backend::Broadcaster};
/// # async fn run(key: PrivateKey) -> Result<(), Box<dyn std::error::Error>> {
/// let client = rpc::RpcClient::new(rpc::RpcConfig::new(["https://avalon.d.tube"])?)?;
/// let config = rpc::BroadcasterConfig::default();
/// let alice = rpc::AvalonBroadcaster::new(client, "alice".parse()?, key, config);
/// let receipt = alice.broadcast(&Op::from_json(r#"{"op":1,"link":"stream1"}"#)?).await?;
/// println!("{} is in block {}", receipt.transaction, receipt.block);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AvalonBroadcaster {
    node: ChainNode,
    network: Network,
    account: AccountName,
    key: PrivateKey,
    config: BroadcasterConfig,
    memory: Mutex<Memory>,
}

/// What is known from one broadcast to the next.
#[derive(Debug, Default)]
struct Memory {
    /// Transactions on their way, by what they publish.
    pending: VecDeque<(Task, Attempt)>,
    /// The json of playlists as we last made it.
    jsons: VecDeque<(Link, JsonText)>,
    /// Time of the last transaction: no two have the same.
    last_ts_ms: i64,
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Task {
    Chat(Link, ContentId),
    Op(Op),
    Transaction(Box<str>),
}

impl AvalonBroadcaster {
    /// A broadcaster that signs for the account with a key that may sign types 25 and 26.
    pub fn new(
        client: RpcClient,
        account: AccountName,
        key: PrivateKey,
        config: BroadcasterConfig,
    ) -> Self {
        let (node, memory) = (ChainNode { client }, Mutex::default());
        Self { node, network: Network::avalon(), account, key, config, memory }
    }

    /// Whether the key alone may stream for the account, by its types, weight and threshold. Ask before a stream begins.
    ///
    /// # Errors
    /// [`RpcError`]: nodes cannot be reached, or there is no such account.
    pub async fn may_stream(&self) -> Result<bool, RpcError> {
        let account: Option<Account> = self.node.account(self.account.as_str()).await?;
        let account = account.ok_or(RpcError::Answer("an account that exists"))?;
        let kinds = [PLAYLIST_JSON.into(), PLAYLIST_PUSH.into()];
        Ok(account.can_sign_alone(&self.key.public_key(), &kinds))
    }

    /// Where a stream goes on: the number behind its last push. `None` if there is no such stream yet.
    ///
    /// # Errors
    /// [`ResumeError`]: it has ended, is full, or nodes do not tell.
    pub async fn resume_point(&self, link: &Link) -> Result<Option<ResumePoint>, ResumeError> {
        let playlist = self.node.playlist(self.account.as_str(), link.as_str()).await?;
        let Some(playlist) = playlist else { return Ok(None) };
        let json = self.json_of(link, Some(&playlist)).await?.ok_or(ResumeError::UnknownJson)?;
        if json.root().member("ended").is_some_and(|ended| ended.as_str() == "true") {
            return Err(ResumeError::Ended);
        }
        let next_seq = playlist.next_id().ok_or(ResumeError::Full)?;
        Ok(Some(ResumePoint { next_seq, json }))
    }

    /// How far a stream is, as a publisher needs to know to go on with it, from the state that nodes keep instead of from
    /// all blocks. `None` if there is no such stream yet.
    ///
    /// # Errors
    /// As [`resume_point`](Self::resume_point).
    pub async fn chain_view(&self, link: &Link) -> Result<Option<ChainView>, ResumeError> {
        if self.resume_point(link).await?.is_none() {
            return Ok(None);
        }
        let playlist = self.node.playlist(self.account.as_str(), link.as_str()).await?;
        let Some(playlist) = playlist else { return Ok(None) };
        let mut view = ChainView::default();
        for signed in playlist.stream_ops(&self.account, link.as_str()).into_iter().flatten() {
            if let Op::Push(push) = signed.op {
                view.pushes.insert(push.seq, push.src);
            }
        }
        // The end of the gap-free run.
        let mut next = Some(Seq::ZERO);
        while let Some(seq) = next.filter(|seq| view.pushes.contains_key(seq)) {
            view.finalized = Some(seq);
            next = seq.next();
        }
        Ok(Some(view))
    }

    /// Publishes a transaction of another kind, such as a post, and waits for its block. Its time is set to that of the head
    /// block, and anew only after what was signed before can be in no block any more.
    ///
    /// # Errors
    /// As [`broadcast`](Broadcaster::broadcast).
    pub async fn publish(&self, transaction: &Transaction) -> Result<Receipt, BroadcastError> {
        let task = Task::Transaction(transaction.at(1).as_text().as_str().into());
        let build = |ts_ms| Ok(transaction.at(ts_ms));
        self.carry_out(&task, &build).await.map_err(Failure::into_error)
    }

    /// Announces an archive of a stream's chat in the json of its playlist, which may have ended.
    ///
    /// # Errors
    /// As [`broadcast`](Broadcaster::broadcast); also when no node tells the json, which would be lost, or it has no room.
    pub async fn announce_chat(
        &self,
        link: &Link,
        archive: &ContentId,
    ) -> Result<Receipt, BroadcastError> {
        let known = async {
            let playlist = self.node.playlist(self.account.as_str(), link.as_str()).await?;
            let json = self.json_of(link, playlist.as_ref()).await?;
            let json = json.as_ref().map(JsonText::root);
            Ok::<_, Failure>(StreamTx::chat_archive(link, archive, json)?)
        };
        let tx = known.await.map_err(Failure::into_error)?;
        let task = Task::Chat(link.clone(), *archive);
        let build = |ts_ms| tx.clone().into_transaction(self.account.as_str(), ts_ms);
        let receipt = self.carry_out(&task, &build).await.map_err(Failure::into_error)?;
        self.remember_json(link, &tx);
        Ok(receipt)
    }

    async fn carry_out(
        &self,
        task: &Task,
        build: &(dyn Fn(i64) -> Result<Transaction, Unsendable> + Sync),
    ) -> Result<Receipt, Failure> {
        for _ in 0..MAX_BUILDS {
            let known = {
                let memory = self.memory();
                memory.pending.iter().find(|(known, _)| known == task).map(|(_, one)| one.clone())
            };
            let attempt = match known {
                Some(attempt) => attempt,
                None => self.sign(build).await?,
            };
            match self.carry(task, attempt).await? {
                Carried::InBlock(receipt) => return Ok(receipt),
                Carried::Void => {}
            }
        }
        Err(Failure::Expired)
    }

    async fn sign(
        &self,
        build: &(dyn Fn(i64) -> Result<Transaction, Unsendable> + Sync),
    ) -> Result<Attempt, Failure> {
        let head = self.node.count().await?;
        let head =
            self.node.block(head).await?.ok_or(RpcError::Answer("the block that it counts"))?;
        let ts_ms = {
            let mut memory = self.memory();
            memory.last_ts_ms = head.time_ms().max(memory.last_ts_ms + 1);
            memory.last_ts_ms
        };
        let signed = build(ts_ms).map_err(StreamTxError::from)?.sign(&[&self.key]);
        Ok(Attempt::new(signed, ts_ms, &head))
    }

    /// Sends a transaction, and again where needed, until it is in a block or void.
    async fn carry(&self, task: &Task, mut attempt: Attempt) -> Result<Carried, Failure> {
        // What may be out already is looked for first.
        let mut must_send = !attempt.may_be_out;
        let mut words: Option<Box<str>> = None;
        let mut silence = 0;
        loop {
            if must_send {
                let was_out = attempt.may_be_out;
                // Said before it is done, as this may be dropped in the middle of it.
                attempt.may_be_out = true;
                self.remember(task, &attempt);
                match self.node.transact(&attempt.signed).await {
                    Ok((Said::Taken, _)) => {}
                    Ok((Said::Busy, elsewhere)) => attempt.may_be_out = was_out || elsewhere,
                    Ok((Said::Refused(said), elsewhere)) if was_out || elsewhere => {
                        tracing::debug!(hash = %attempt.hash, %said, "refused, but it may be elsewhere");
                        words = Some(said);
                    }
                    Ok((Said::Refused(said), _)) => {
                        self.forget(task);
                        // A node whose clock or head is ahead: others may be signed at once.
                        let is_late = &*said == "invalid timestamp";
                        return if is_late {
                            Ok(Carried::Void)
                        } else {
                            Err(self.refusal(task, said))
                        };
                    }
                    // The answer is missing, not the request: the node may well have it.
                    Err(error) if error.is_transient() && silence < MAX_SILENCE => silence += 1,
                    Err(error) => return Err(error.into()),
                }
            }
            match attempt.look(&self.node).await {
                Ok(Found::InBlock { block, head })
                    if head.saturating_sub(block) < self.config.confirmations =>
                {
                    silence = 0;
                    // If its block is replaced, the next look finds it nowhere and it is sent again.
                    must_send = false;
                }
                Ok(Found::InBlock { block, .. }) => {
                    self.forget(task);
                    let transaction = attempt.hash.to_string().into();
                    return Ok(Carried::InBlock(Receipt { transaction, block }));
                }
                Ok(Found::Void) => {
                    self.forget(task);
                    return match words {
                        Some(said) => Err(self.refusal(task, said)),
                        None => Ok(Carried::Void),
                    };
                }
                Ok(Found::NotYet) => {
                    silence = 0;
                    // A node that has it says so again; one that lost it takes it again.
                    must_send = words.is_none();
                }
                Err(error) if error.is_transient() && silence < MAX_SILENCE => silence += 1,
                Err(error) => return Err(error.into()),
            }
            self.remember(task, &attempt);
            tokio::time::sleep(self.config.poll_interval).await;
        }
    }

    /// The json that the playlist of a link has now: what a node tells, else what we made it ourselves, else what the
    /// history of the account says, since most nodes tell none. `None` if nobody knows.
    async fn json_of(
        &self,
        link: &Link,
        playlist: Option<&Playlist>,
    ) -> Result<Option<JsonText>, RpcError> {
        let Some(playlist) = playlist else { return Ok(None) };
        if playlist.json().members().next().is_some() {
            return Ok(Some(JsonText::of_canonical(playlist.json().as_str())));
        }
        let ours = self.memory().jsons.iter().find(|(known, _)| known == link).cloned();
        match ours {
            Some((_, json)) => Ok(Some(json)),
            None => self.node.json_in_history(self.account.as_str(), link.as_str()).await,
        }
    }

    /// The transaction for an operation as the chain is now.
    async fn stream_tx(&self, op: &Op) -> Result<StreamTx, Failure> {
        let known = match op {
            Op::Push(_) => None,
            Op::Configure(_) | Op::End(_) => {
                let (account, link) = (self.account.as_str(), op.link());
                let playlist = self.node.playlist(account, link.as_str()).await?;
                self.json_of(link, playlist.as_ref()).await?
            }
        };
        Ok(StreamTx::of(op, known.as_ref().map(JsonText::root))?)
    }

    fn refusal(&self, task: &Task, said: Box<str>) -> Failure {
        let configured = match task {
            Task::Op(op) => self.memory().jsons.iter().any(|(link, _)| link == op.link()),
            Task::Chat(..) | Task::Transaction(_) => false,
        };
        let is_transient = said.starts_with("need more bandwidth")
            || &*said == "error debug"
            // The node asked is behind the one that had our configure.
            || (configured && &*said == "playlist does not exist");
        Failure::Refused { said, is_transient }
    }

    fn remember(&self, task: &Task, attempt: &Attempt) {
        let mut memory = self.memory();
        match memory.pending.iter_mut().find(|(known, _)| known == task) {
            Some((_, known)) => *known = attempt.clone(),
            None => memory.pending.push_back((task.clone(), attempt.clone())),
        }
        if memory.pending.len() > MAX_PENDING {
            memory.pending.pop_front();
        }
    }

    /// What we made the json of a playlist, if we changed it.
    fn remember_json(&self, link: &Link, tx: &StreamTx) {
        let Some(json) = tx.new_json() else { return };
        let mut memory = self.memory();
        memory.jsons.retain(|(known, _)| known != link);
        memory.jsons.push_back((link.clone(), json));
        if memory.jsons.len() > MAX_JSONS {
            memory.jsons.pop_front();
        }
    }

    fn forget(&self, task: &Task) {
        self.memory().pending.retain(|(known, _)| known != task);
    }

    /// Nothing is left half done under the lock, so a poisoned one is as good as any.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broadcaster for AvalonBroadcaster {
    async fn broadcast(&self, op: &Op) -> Result<Receipt, BroadcastError> {
        let tx = self.stream_tx(op).await.map_err(Failure::into_error)?;
        let build = |ts_ms| tx.clone().into_transaction(self.account.as_str(), ts_ms);
        let receipt = self.carry_out(&Task::Op(op.clone()), &build).await;
        let receipt = receipt.map_err(Failure::into_error)?;
        self.remember_json(op.link(), &tx);
        Ok(receipt)
    }

    fn account(&self) -> &AccountName {
        &self.account
    }

    fn network(&self) -> &Network {
        &self.network
    }
}

/// Where a stream goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResumePoint {
    /// The next sequence number.
    pub next_seq: u16,
    /// The json of its playlist.
    pub json: JsonText,
}

impl ResumePoint {
    /// The key that signs the stream's segments on AliveDB, if its playlist names one.
    pub fn live_key(&self) -> Option<LiveKey> {
        self.json.root().member("pub")?.to_text()?.parse().ok()
    }
}

/// Why a stream cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// It has ended.
    #[error("the stream has ended")]
    Ended,
    /// No further number fits into the playlist.
    #[error("the playlist is full, begin a new link")]
    Full,
    /// Nodes do not tell.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// Whether it has ended stands in the json, which no node told.
    #[error("no node tells the json of the playlist, so it may have ended")]
    UnknownJson,
}

/// How an attempt ended.
enum Carried {
    InBlock(Receipt),
    /// It can never be in a block.
    Void,
}

/// Why an operation is not on the chain.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the transaction expired {MAX_BUILDS} times without a block taking it")]
    Expired,
    #[error("the operation cannot be put into a transaction")]
    Op(#[from] StreamTxError),
    #[error("the node refused: {said}")]
    Refused { said: Box<str>, is_transient: bool },
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

impl Failure {
    fn into_error(self) -> BroadcastError {
        let is_transient = match &self {
            Self::Expired => true,
            Self::Op(_) => false,
            Self::Refused { is_transient, .. } => *is_transient,
            Self::Rpc(error) => error.is_transient(),
        };
        let (backend, source): (_, Cause) = (BACKEND, Box::new(self));
        if is_transient {
            BroadcastError::Unavailable { backend, source }
        } else {
            BroadcastError::Refused { backend, source }
        }
    }
}
