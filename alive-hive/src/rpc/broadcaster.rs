//! Signs operations and puts them on a chain: [`HiveBroadcaster`].

mod config;
mod error;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use alive_core::{
    AccountName, Network, Op,
    backend::{BroadcastError, Broadcaster, Receipt},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

use crate::{
    block_id::{BlockId, TransactionId},
    keys::{PrivateKey, Role},
    network::HiveNetwork,
    operation::{CustomJson, Operation},
    serialize::Pack,
    signature::SignAlgorithm,
    time::TimePoint,
    transaction::{RequiredAuthorities, Tapos, Transaction},
};

use super::{
    client::{RpcClient, RpcError},
    delivery::{Delivery, End, Step, most},
    inclusion::{Finding, Proof, Search},
    ledger::{Attempt, Ledger},
    node::{ChainNode, Known, is_unknown_method},
    node_error::NodeErrorKind,
};

pub use config::{BroadcasterConfig, Confirm};
pub use error::SubmitError;

/// How often operations are signed anew before a submission fails. Our own limit.
const MAX_BUILDS: u32 = 5;
/// Every so many looks at what was seen in a block one goes through the blocks: the node that is asked may be wrong.
const LOOKS_PER_PROOF: u32 = 8;
/// Custom operations of one account that a block takes. Source: `spec/hive.md`, section 4.3.
const MAX_CUSTOM_OPS: u32 = 5;

/// Proof that operations are in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HiveReceipt {
    /// The transaction that holds them.
    pub transaction_id: TransactionId,
    /// Number of the block that holds it.
    pub block_num: u32,
    /// Id of that block. A later look at the chain tells by it whether the block was replaced.
    pub block_id: BlockId,
    /// How certain it is to stay.
    pub confirmed: Confirm,
}

/// Publishes operations of one account with one key.
///
/// Operations that are submitted once are on the chain once, whatever nodes answer: the same bytes are sent again as
/// long as they are valid, and others are signed only when the blocks of at least half of the nodes prove that the first
/// can never be in one. What was given up on the way (a dropped future, a failure) is gone on with, not begun anew, when
/// the same operations are submitted again. What was seen in a block and lost to a micro-fork is sent again before
/// anything else.
///
/// This holds while fewer than half of the nodes lie: one of three, two of five. One or two nodes have to be trusted,
/// since nobody contradicts what they say is not in any block; with one that lies an operation can be on the chain
/// twice. It holds for what one broadcaster has signed, of which the last 256 that were given up are remembered: one made
/// after a restart knows nothing of it. Whoever restarts looks at the chain first, and sends nothing again that must not
/// be there twice; a push may be, since it counts once for its sequence number.
///
/// Expirations and their end are judged by the chain's time, never by the clock. Transactions lean on the last
/// irreversible block, so that no micro-fork makes them void. The key is compared with the account's authorities before
/// the first use: one of the wrong role never signs. At most 5 custom operations wait for a block at a time, the chain
/// takes no more; further submissions wait their turn, in order.
/// Source: `spec/hive.md`, sections 4.2 to 4.4, 5.5 and 6.1.
///
/// ```
/// use alive_core::{Op, backend::Broadcaster};
/// use alive_hive::{HiveNetwork, PrivateKey, rpc};
/// # async fn run(key: PrivateKey) -> Result<(), Box<dyn std::error::Error>> {
/// let client = rpc::RpcClient::new(rpc::RpcConfig::new(["https://api.hive.blog"])?)?;
/// let config = rpc::BroadcasterConfig::default();
/// let alice =
///     rpc::HiveBroadcaster::new(client, HiveNetwork::hive(), "alice".parse()?, key, config);
/// let receipt = alice.broadcast(&Op::from_json(r#"{"op":1,"link":"stream1"}"#)?).await?;
/// println!("{} is in block {}", receipt.transaction, receipt.block);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HiveBroadcaster {
    node: ChainNode,
    account: AccountName,
    key: PrivateKey,
    config: BroadcasterConfig,
    /// Authorities that the key was found to meet.
    approved: Mutex<BTreeSet<(Role, String)>>,
    ledger: Mutex<Ledger>,
    /// Room in the next block.
    room: Semaphore,
    /// Whose turn it is to sign and send.
    turn: tokio::sync::Mutex<()>,
}

impl HiveBroadcaster {
    /// A broadcaster that signs for the account with this key, which is its posting key unless it shall do more than
    /// post.
    pub fn new(
        client: RpcClient,
        network: HiveNetwork,
        account: AccountName,
        key: PrivateKey,
        config: BroadcasterConfig,
    ) -> Self {
        Self {
            node: ChainNode::new(client, network),
            account,
            key,
            config,
            approved: Mutex::default(),
            ledger: Mutex::default(),
            room: Semaphore::new(MAX_CUSTOM_OPS as usize),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Puts operations into a block, all in one transaction, and waits until they are as certain to stay as the
    /// settings ask for.
    ///
    /// Those submitted one after the other are on the chain in that order, unless a micro-fork takes one back: what must
    /// stand behind others waits for [`settle`](Self::settle). Dropping the future does not take them back;
    /// submitting the same operations again goes on with what was begun.
    ///
    /// ```
    /// use alive_hive::{CustomJson, rpc::{HiveBroadcaster, SubmitError}};
    /// # async fn run(alice: HiveBroadcaster) -> Result<(), SubmitError> {
    /// let follow = CustomJson::posting("alice", "follow", r#"["follow",{"what":["blog"]}]"#);
    /// let receipt = alice.submit(vec![follow.into()]).await?;
    /// println!("{} in block {}", receipt.transaction_id, receipt.block_id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SubmitError`] says whether trying again may help.
    pub async fn submit(&self, operations: Vec<Operation>) -> Result<HiveReceipt, SubmitError> {
        let deadline = Instant::now().checked_add(self.config.patience);
        let deadline = deadline.unwrap_or_else(Instant::now);
        let draft = Transaction::new(NO_TAPOS, TimePoint::from_unix_secs(0), operations);
        draft.validate()?;
        let customs = custom_ops(&draft.operations);
        if customs > MAX_CUSTOM_OPS {
            return Err(SubmitError::TooManyCustomOps { found: customs });
        }
        let mut turn = Some(self.turn.lock().await);
        self.check_key(&draft.required_authorities()).await?;
        // Whoever has room gives it back without a turn, so this does not wait for itself.
        let _room = self.room.acquire_many(customs).await.map_err(|_| RpcError::NoNode)?;
        self.revive(deadline).await?;
        while self.ledger().is_full() {
            self.check_patience(deadline)?;
            sleep(self.config.poll_interval).await;
            self.revive(deadline).await?;
        }
        self.publish(&draft.operations, deadline, || drop(turn.take())).await
    }

    /// Waits until nothing that was seen in a block can be taken back any more, and sends again what a micro-fork drops
    /// meanwhile. There is nothing to wait for where submissions are [confirmed](Confirm) as irreversible.
    ///
    /// # Errors
    /// As for [`submit`](Self::submit); [`SubmitError::Unsettled`] names the oldest that could still be replaced when the
    /// patience ended. It stays watched.
    pub async fn settle(&self) -> Result<(), SubmitError> {
        let deadline = Instant::now().checked_add(self.config.patience);
        let deadline = deadline.unwrap_or_else(Instant::now);
        loop {
            {
                let _turn = self.turn.lock().await;
                self.revive(deadline).await?;
            }
            if self.ledger().seen().is_empty() {
                return Ok(());
            }
            self.check_patience(deadline)?;
            sleep(self.config.poll_interval).await;
        }
    }

    /// The account that signs.
    pub fn account(&self) -> &AccountName {
        &self.account
    }

    /// Signs, carries, and begins anew while that is safe.
    async fn publish(
        &self,
        operations: &[Operation],
        deadline: Instant,
        mut sent: impl FnMut(),
    ) -> Result<HiveReceipt, SubmitError> {
        let mut refused = None;
        for _ in 0..MAX_BUILDS {
            let (mut claim, mut attempt, delivery) = self.begin(operations).await?;
            match self.carry(&mut attempt, delivery, deadline, &mut sent).await? {
                Carried::InBlock(receipt) => {
                    claim.settle(receipt.confirmed == Confirm::Seen);
                    return Ok(receipt);
                }
                Carried::Refused(error) => {
                    // The claim is given up, not settled: the same operations go on with the same bytes.
                    self.forget_key(&error);
                    return Err(error.into());
                }
                Carried::Failed(error) => {
                    // What is owed goes on with the same bytes: a node may be wrong, and twice is worse than late.
                    if !self.ledger().is_owed(operations) {
                        claim.settle(false);
                    }
                    self.forget_key(&error);
                    return Err(error.into());
                }
                Carried::Void(error) => {
                    claim.settle(false);
                    refused = error;
                }
            }
        }
        Err(SubmitError::Expired { builds: MAX_BUILDS, source: refused })
    }

    /// Goes on with what was given up, or signs.
    async fn begin(
        &self,
        operations: &[Operation],
    ) -> Result<(Claim<'_>, Attempt, Delivery), SubmitError> {
        let claimed = self.ledger().claim(operations);
        if let Some((serial, attempt)) = claimed {
            let delivery = Delivery::resumed(self.config.confirm);
            return Ok((Claim { by: self, serial: Some(serial) }, attempt, delivery));
        }
        let attempt = self.sign(operations).await?;
        let serial = self.ledger().open(attempt.clone());
        let delivery = Delivery::new(self.config.confirm);
        Ok((Claim { by: self, serial: Some(serial) }, attempt, delivery))
    }

    async fn sign(&self, operations: &[Operation]) -> Result<Attempt, SubmitError> {
        let head = self.node.head().await?;
        // A reference that no micro-fork takes away, unless nobody tells its id.
        let reference = self.node.irreversible_id(&head).await.unwrap_or(head.id);
        let mut expiration = head.time.after_secs(self.config.expiration_secs);
        let (transaction, id) = loop {
            let tapos = Tapos::of(&reference);
            let transaction = Transaction::new(tapos, expiration, operations.to_vec());
            let id = transaction.id(Pack::Legacy);
            if !self.ledger().has(&id) {
                break (transaction, id);
            }
            // The same operations on the same head are to be on the chain twice.
            expiration = expiration.after_secs(1);
        };
        let chain_id = &self.node.network.chain_id;
        let signed = transaction.sign(&[&self.key], chain_id, SignAlgorithm::Dhive);
        signed.validate()?;
        Ok(Attempt { signed, search: Search::new(id, expiration, Tapos::of(&reference)), looks: 0 })
    }

    /// Does what the delivery says until it ends. `sent` is called once the bytes are with a node, or will not be.
    async fn carry(
        &self,
        attempt: &mut Attempt,
        mut delivery: Delivery,
        deadline: Instant,
        mut sent: impl FnMut(),
    ) -> Result<Carried, SubmitError> {
        let id = attempt.id();
        let mut step = delivery.begin();
        loop {
            let is_over = matches!(step, Step::End(_));
            if !is_over && Instant::now() >= deadline {
                return Err(SubmitError::Unsettled { transaction_id: id });
            }
            step = match step {
                Step::End(End::Delivered { block, is_final }) => {
                    return Ok(Carried::InBlock(HiveReceipt {
                        transaction_id: id,
                        block_num: block.block_num(),
                        block_id: block,
                        confirmed: if is_final { Confirm::Irreversible } else { Confirm::Seen },
                    }));
                }
                Step::End(End::Failed(error)) => return Ok(Carried::Failed(error)),
                Step::End(End::Refused(error)) => return Ok(Carried::Refused(error)),
                Step::End(End::Void(error)) => {
                    tracing::info!(%id, "the transaction is void, the operations are signed anew");
                    return Ok(Carried::Void(error));
                }
                Step::Look { everywhere } => {
                    sent();
                    sleep(self.config.poll_interval).await;
                    let known = if everywhere {
                        most(&self.node.find_everywhere(&id, attempt.expiration()).await)
                    } else {
                        self.look(attempt).await.ok()
                    };
                    delivery.found(known)
                }
                Step::Prove => delivery.proven(self.node.prove(&mut attempt.search).await),
                Step::Send { everywhere: false } => {
                    delivery.sent(self.node.broadcast(&attempt.signed).await)
                }
                Step::Send { everywhere: true } => {
                    delivery.sent(self.node.broadcast_everywhere(&attempt.signed).await)
                }
                Step::SendLater => {
                    sleep(self.config.poll_interval).await;
                    Step::Send { everywhere: false }
                }
                Step::Verify { block, is_final } => {
                    let settled =
                        if is_final { self.node.settled_block(block, &id).await } else { None };
                    let found = match settled {
                        None => self.node.block_with(block, &id).await,
                        settled => Ok(settled),
                    };
                    delivery.verified(is_final, settled.is_some(), &found)
                }
            };
        }
    }

    /// Asks one node, through its blocks where none tells the status of transactions.
    async fn look(&self, attempt: &mut Attempt) -> Result<Known, RpcError> {
        let found = self.node.find_transaction(&attempt.id(), attempt.expiration()).await;
        match found {
            Err(error) if is_unknown_method(&error) => {}
            answered => return answered,
        }
        Ok(match self.node.search_any(&mut attempt.search).await? {
            Finding::InBlock(id) => Known::InBlock(id.block_num()),
            Finding::Irreversible(id) => Known::Irreversible(id.block_num()),
            // Whether it waits somewhere nobody says.
            Finding::NotYet => Known::Unknown,
            Finding::Void => Known::Void,
        })
    }

    /// Brings back what was seen in a block that is no more part of the chain, one after the other as it was submitted.
    async fn revive(&self, deadline: Instant) -> Result<(), SubmitError> {
        self.repay(deadline).await?;
        let mut seen = self.ledger().seen();
        let asked: Vec<_> = seen.iter().map(|one| (one.id(), one.expiration())).collect();
        for (attempt, known) in seen.iter_mut().zip(self.node.find_many(&asked).await) {
            let id = attempt.id();
            let known = match known {
                Err(error) if is_unknown_method(&error) => self.look(attempt).await,
                known => known,
            };
            let is_due = self.ledger().count_look(&id).is_multiple_of(LOOKS_PER_PROOF);
            let is_gone = match known? {
                Known::InBlock(_) | Known::Pending if !is_due => false,
                Known::Irreversible(num)
                    if !is_due && self.node.settled_block(num, &id).await.is_some() =>
                {
                    self.ledger().forget(&id);
                    false
                }
                Known::Unknown => true,
                // It is due, or the node says what only the blocks of all can tell.
                _ => match self.node.prove(&mut attempt.search).await {
                    Proof::Irreversible(_) => {
                        self.ledger().forget(&id);
                        false
                    }
                    Proof::Void => true,
                    Proof::InBlock(_) | Proof::Open => false,
                },
            };
            if is_gone {
                tracing::info!(%id, "a micro-fork dropped it");
                self.ledger().reopen(&id);
                self.repay(deadline).await?;
            }
        }
        Ok(())
    }

    /// Whether there is time left to wait for what was seen to settle.
    fn check_patience(&self, deadline: Instant) -> Result<(), SubmitError> {
        match self.ledger().seen().first().map(Attempt::id) {
            Some(transaction_id) if Instant::now() >= deadline => {
                Err(SubmitError::Unsettled { transaction_id })
            }
            _ => Ok(()),
        }
    }

    /// Publishes again what is owed. What fails stays owed: nothing may overtake it, least of all the end of a stream.
    async fn repay(&self, deadline: Instant) -> Result<(), SubmitError> {
        loop {
            let owed = self.ledger().owed();
            let Some(operations) = owed else { return Ok(()) };
            self.publish(&operations, deadline, || {}).await?;
            self.ledger().repaid();
        }
    }

    /// Refuses a key that may not sign for these operations.
    async fn check_key(&self, needed: &RequiredAuthorities) -> Result<(), SubmitError> {
        let needs = |role: Role, names: &BTreeSet<String>| -> Vec<(Role, String)> {
            names.iter().map(|name| (role, name.clone())).collect()
        };
        let needs = [
            needs(Role::Owner, &needed.owner),
            needs(Role::Active, &needed.active),
            needs(Role::Posting, &needed.posting),
        ]
        .concat();
        if needs.iter().all(|need| self.approved().contains(need)) {
            return Ok(());
        }
        self.node.check_key(&self.key.public_key(), needed).await??;
        self.approved().extend(needs);
        Ok(())
    }

    /// Keys change: what a node refuses is looked up again next time.
    fn forget_key(&self, error: &RpcError) {
        let is_it =
            error.node().is_some_and(|error| error.kind() == NodeErrorKind::MissingAuthority);
        if is_it {
            self.approved().clear();
        }
    }

    fn approved(&self) -> MutexGuard<'_, BTreeSet<(Role, String)>> {
        self.approved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broadcaster for HiveBroadcaster {
    async fn broadcast(&self, op: &Op) -> Result<Receipt, BroadcastError> {
        let data =
            CustomJson::posting(self.account.as_str(), &self.config.custom_json_id, op.to_json());
        let receipt = self.submit(vec![data.into()]).await.map_err(SubmitError::into_backend)?;
        let transaction = receipt.transaction_id.to_string().into();
        Ok(Receipt { transaction, block: receipt.block_num.into() })
    }

    async fn settle(&self) -> Result<(), BroadcastError> {
        self.settle().await.map_err(SubmitError::into_backend)
    }

    fn account(&self) -> &AccountName {
        &self.account
    }

    fn network(&self) -> &Network {
        &self.node.network.name
    }
}

/// How carrying a transaction ended.
enum Carried {
    Failed(RpcError),
    InBlock(HiveReceipt),
    Refused(RpcError),
    Void(Option<RpcError>),
}

/// An entry of the ledger that somebody waits for. Dropped before it is settled, it is given up.
#[derive(Debug)]
struct Claim<'a> {
    by: &'a HiveBroadcaster,
    serial: Option<u64>,
}

impl Claim<'_> {
    fn settle(&mut self, is_watched: bool) {
        if let Some(serial) = self.serial.take() {
            self.by.ledger().settle(serial, is_watched);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(serial) = self.serial.take() {
            self.by.ledger().give_up(serial);
        }
    }
}

/// Stands in until the reference is known; operations are judged without it.
const NO_TAPOS: Tapos = Tapos { ref_block_num: 0, ref_block_prefix: 0 };

/// The most custom operations that any one account has among these.
fn custom_ops(operations: &[Operation]) -> u32 {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for operation in operations {
        if let Operation::CustomJson(op) = operation {
            for account in op.required_auths.union(&op.required_posting_auths) {
                *counts.entry(account).or_default() += 1;
            }
        }
    }
    counts.into_values().max().unwrap_or_default()
}
