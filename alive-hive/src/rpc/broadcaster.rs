//! Signs operations and puts them on a chain: [`HiveBroadcaster`].

use std::time::Duration;

use alive_core::{
    AccountName, DEFAULT_CUSTOM_JSON_ID, Network, Op,
    backend::{BroadcastError, Broadcaster, Receipt},
};

use crate::{
    block_id::TransactionId,
    json_form::JsonForm,
    keys::PrivateKey,
    network::HiveNetwork,
    operation::CustomJson,
    serialize::Pack,
    signature::SignAlgorithm,
    transaction::{SignedTransaction, Tapos, Transaction},
    validate::Invalid,
};

use super::{
    BACKEND,
    client::{RpcClient, RpcError},
    inclusion::Inclusion,
    node::{ChainNode, Known},
    node_error::Remedy,
};

/// How long a transaction is valid. Source: `spec/hive.md`, section 4.3.
const EXPIRATION_SECS: u32 = 60;
/// How often an operation is signed anew before its broadcast fails. Our own limit.
const MAX_BUILDS: usize = 5;
/// How many answers in a row may be missing before a broadcast fails. Our own limit.
const MAX_SILENCE: usize = 10;

/// Settings of a [`HiveBroadcaster`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BroadcasterConfig {
    /// The id of the custom operations, at most 32 bytes.
    pub custom_json_id: Box<str>,
    /// Time between two looks for the transaction in a block.
    pub poll_interval: Duration,
}

impl BroadcasterConfig {
    /// Sets the id of the custom operations.
    #[must_use]
    pub fn custom_json_id(self, id: impl Into<Box<str>>) -> Self {
        Self { custom_json_id: id.into(), ..self }
    }

    /// Sets the time between two looks.
    #[must_use]
    pub fn poll_interval(self, interval: Duration) -> Self {
        Self { poll_interval: interval, ..self }
    }
}

impl Default for BroadcasterConfig {
    fn default() -> Self {
        Self {
            custom_json_id: DEFAULT_CUSTOM_JSON_ID.into(),
            poll_interval: Duration::from_secs(1),
        }
    }
}

/// Publishes operations of one account with its posting key.
///
/// One broadcast never gets an operation into two blocks: the same bytes are sent again as long as they are valid, and
/// others are signed only once those can never be in a block any more. A node's "duplicate" is success. The chain id
/// of the node is compared before the first signature.
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
}

impl HiveBroadcaster {
    /// A broadcaster that signs for the account with its posting key.
    pub fn new(
        client: RpcClient,
        network: HiveNetwork,
        account: AccountName,
        key: PrivateKey,
        config: BroadcasterConfig,
    ) -> Self {
        Self { node: ChainNode::new(client, network), account, key, config }
    }

    async fn publish(&self, op: &Op) -> Result<Receipt, Failure> {
        self.node.check_chain().await?;
        let mut refused = Failure::Expired;
        for _ in 0..MAX_BUILDS {
            match self.build(op).await?.carry(self).await? {
                Carried::InBlock(receipt) => return Ok(receipt),
                Carried::Void(Some(error)) => refused = error.into(),
                Carried::Void(None) => {}
            }
        }
        Err(refused)
    }

    async fn build(&self, op: &Op) -> Result<Attempt, Failure> {
        let head = self.node.head().await?;
        let data =
            CustomJson::posting(self.account.as_str(), &self.config.custom_json_id, op.to_json());
        let expiration = head.time.after_secs(EXPIRATION_SECS);
        let transaction = Transaction::new(Tapos::of(&head.id), expiration, vec![data.into()]);
        transaction.validate()?;
        let id = transaction.id(Pack::Legacy);
        let chain_id = &self.node.network.chain_id;
        let signed = transaction.sign(&[&self.key], chain_id, SignAlgorithm::Dhive);
        Ok(Attempt { signed, id, inclusion: Inclusion::new(id, expiration, head.num) })
    }
}

impl Broadcaster for HiveBroadcaster {
    async fn broadcast(&self, op: &Op) -> Result<Receipt, BroadcastError> {
        self.publish(op).await.map_err(Failure::into_error)
    }

    fn account(&self) -> &AccountName {
        &self.account
    }

    fn network(&self) -> &Network {
        &self.node.network.name
    }
}

/// One signed transaction on its way.
struct Attempt {
    signed: SignedTransaction,
    id: TransactionId,
    inclusion: Inclusion,
}

/// How an attempt ended.
enum Carried {
    InBlock(Receipt),
    /// It can never be in a block, perhaps because the node refused it with this error.
    Void(Option<RpcError>),
}

/// What sending told.
enum Sent {
    /// The node has it.
    Taken,
    /// Send it again after a while.
    Again,
    /// The node will not take it.
    Refused(RpcError),
}

impl Attempt {
    /// Sends it, and again where needed, until it is in a block or void.
    async fn carry(mut self, by: &HiveBroadcaster) -> Result<Carried, Failure> {
        let prefix = &by.node.network.key_prefix;
        let json = self.signed.to_json(JsonForm::Legacy, prefix);
        let mut must_send = true;
        // Once it may have left us, only its status tells that it is void, whatever a node says to it.
        let mut may_be_out = false;
        // A node that is behind calls expired or unknown what another one, asked before it, may have taken.
        let is_one_of_many = by.node.client.node_count() > 1;
        let mut silence = 0;
        loop {
            if must_send {
                match sent(by.node.broadcast(json.clone()).await, &mut may_be_out) {
                    Sent::Again => {}
                    Sent::Refused(error) if may_be_out || (is_one_of_many && is_void(&error)) => {
                        tracing::debug!(%error, id = %self.id, "refused, but it may be elsewhere");
                        must_send = false;
                    }
                    Sent::Refused(error) if is_void(&error) => {
                        return Ok(Carried::Void(Some(error)));
                    }
                    Sent::Refused(error) => return Err(error.into()),
                    Sent::Taken => must_send = false,
                }
            }
            tokio::time::sleep(by.config.poll_interval).await;
            match self.inclusion.look(&by.node).await {
                Ok(Known::InBlock(block)) => {
                    let transaction = self.id.to_string().into();
                    return Ok(Carried::InBlock(Receipt { transaction, block: block.into() }));
                }
                Ok(Known::Pending) => must_send = false,
                Ok(Known::TooOld) => return Err(Failure::Lost),
                Ok(Known::Unknown) => must_send = true,
                Ok(Known::Void) => return Ok(Carried::Void(None)),
                Err(error) if error.is_transient() && silence < MAX_SILENCE => {
                    silence += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            silence = 0;
        }
    }
}

/// Judges what the node said to a transaction.
fn sent(answer: Result<(), RpcError>, may_be_out: &mut bool) -> Sent {
    match answer {
        Ok(()) => {
            *may_be_out = true;
            Sent::Taken
        }
        Err(error) => match error.node().map(|error| error.kind().remedy()) {
            Some(Remedy::Done) => {
                *may_be_out = true;
                Sent::Taken
            }
            Some(Remedy::Wait) if is_block_full(&error) => Sent::Again,
            Some(_) if !error.is_transient() => Sent::Refused(error),
            Some(Remedy::Wait) => Sent::Refused(error),
            // The answer is missing, not the request: the node may well have it.
            _ => {
                *may_be_out = true;
                Sent::Again
            }
        },
    }
}

/// Only the next block has to be waited for, unlike days for resource credits.
fn is_block_full(error: &RpcError) -> bool {
    error.node().is_some_and(|error| error.kind() == super::NodeErrorKind::CustomOpLimit)
}

/// Whether these bytes will never be taken, while others may.
fn is_void(error: &RpcError) -> bool {
    error.node().is_some_and(|error| error.kind().remedy() == Remedy::Rebuild)
}

/// Why an operation is not on the chain.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the transaction expired {MAX_BUILDS} times without a block taking it")]
    Expired,
    #[error("the operation cannot be put into a transaction")]
    Invalid(#[from] Invalid),
    #[error("the node does not remember whether the transaction was in a block")]
    Lost,
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

impl Failure {
    fn into_error(self) -> BroadcastError {
        let is_transient = match &self {
            Self::Expired | Self::Lost => true,
            Self::Invalid(_) => false,
            Self::Rpc(error) => error.is_transient() || is_void(error),
        };
        let (backend, source) = (BACKEND, Box::new(self));
        if is_transient {
            BroadcastError::Unavailable { backend, source }
        } else {
            BroadcastError::Refused { backend, source }
        }
    }
}
