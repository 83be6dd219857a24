//! Nodes of one chain in memory, with faults by the dice: what the client and the broadcaster are tested against under a
//! paused clock. Only what they ask is answered, and signatures are not judged.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use alive_core::Timestamp;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    authority::Authority,
    block::SignedBlock,
    block_id::{BlockId, TransactionId},
    header::BlockHeader,
    json_form::JsonForm,
    keys::{PrivateKey, PublicKey, Role},
    merkle::MerkleRoot,
    network::{HiveNetwork, KeyPrefix},
    operation::Operation,
    serialize::Pack,
    time::TimePoint,
    transaction::{SignedTransaction, Tapos},
};

use super::{
    client::{RpcClient, RpcError},
    config::RpcConfig,
    wire::{Reply, Wire},
};

/// Time of the first block.
pub(super) const START: u32 = 1_795_219_200;
/// Seconds between blocks.
pub(super) const SLOT: u32 = 3;
/// Blocks between the head and the last irreversible one.
const LAG: usize = 4;
const MAX_PENDING_CUSTOM_OPS: usize = 5;

/// What may happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The node says it is busy, and does nothing.
    Busy,
    /// A transaction is taken and thrown away; other requests are answered.
    Forget,
    /// A page for people, and nothing done.
    Html,
    /// A transaction comes to the other nodes only blocks later.
    Late,
    /// It is done, but the answer does not arrive.
    LoseAnswer,
    /// The answer belongs to another request.
    OtherId,
    /// The node asks for a pause.
    Pause,
    /// Nothing arrives.
    Refuse,
    /// It takes long, up to longer than anybody waits.
    Slow,
    /// The answer breaks off.
    Truncate,
}

pub(super) const FAULTS: [Fault; 10] = [
    Fault::Busy,
    Fault::Forget,
    Fault::Html,
    Fault::Late,
    Fault::LoseAnswer,
    Fault::OtherId,
    Fault::Pause,
    Fault::Refuse,
    Fault::Slow,
    Fault::Truncate,
];

/// How a node is.
#[derive(Clone, Debug)]
pub(super) struct Nature {
    /// Blocks that it is behind.
    pub(super) behind: usize,
    /// What its chain is.
    pub(super) network: HiveNetwork,
    /// Methods that it does not have.
    pub(super) lacks: BTreeSet<&'static str>,
    /// How often it lies about transactions, heads, headers and blocks, in percent.
    pub(super) lies: u64,
    /// What may happen to a request, in percent.
    pub(super) faults: u64,
    /// Whether it answers nothing at all.
    pub(super) is_dead: bool,
    /// Whether it takes batches.
    pub(super) takes_batches: bool,
}

impl Default for Nature {
    fn default() -> Self {
        Self {
            behind: 0,
            network: HiveNetwork::hive(),
            lacks: BTreeSet::new(),
            lies: 0,
            faults: 0,
            is_dead: false,
            takes_batches: true,
        }
    }
}

/// The nodes and their chain.
#[derive(Debug)]
pub(super) struct Net {
    state: Mutex<World>,
    start: Instant,
    /// What the clock on the wall shows too much, in seconds.
    skew: i64,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) nodes: Vec<Nature>,
    /// Every request that came, as node and method.
    pub(super) asked: Vec<(usize, String)>,
    blocks: Vec<Block>,
    /// What nodes that lie were sent.
    heard: Vec<SignedTransaction>,
    /// What waits for a block, and from which block on it may be in one.
    pool: Vec<(SignedTransaction, usize)>,
    dice: u64,
    forks: usize,
    key: PrivateKey,
    signer: Authority,
}

#[derive(Clone, Debug)]
struct Block {
    id: BlockId,
    time: u32,
    transactions: Vec<SignedTransaction>,
    json: Value,
}

impl Net {
    /// Nodes of a chain that begins now, whose only account signs with this key.
    pub(super) fn new(nodes: Vec<Nature>, signer: PublicKey, seed: u64) -> Arc<Self> {
        let mut world = World {
            nodes,
            asked: Vec::new(),
            blocks: Vec::new(),
            heard: Vec::new(),
            pool: Vec::new(),
            dice: seed,
            forks: 0,
            key: PrivateKey::from_bytes(&[9; 32]).unwrap(),
            signer: Authority::single(signer),
        };
        (0..=LAG).for_each(|_| world.produce());
        Arc::new(Self { state: Mutex::new(world), start: Instant::now(), skew: 0 })
    }

    /// The same with a clock on the wall that is wrong.
    pub(super) fn skewed(self: Arc<Self>, secs: i64) -> Arc<Self> {
        let net = Arc::try_unwrap(self).unwrap();
        Arc::new(Self { skew: secs, ..net })
    }

    pub(super) fn client(
        self: &Arc<Self>,
        change: impl FnOnce(RpcConfig) -> RpcConfig,
    ) -> RpcClient {
        let nodes =
            (0..self.world().nodes.len()).map(|index| format!("http://node:{}", 7000 + index));
        let config = RpcConfig::new(nodes).unwrap().timeout(Duration::from_secs(5));
        RpcClient::over(Wire::Sim(Arc::clone(self)), change(config))
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.state.lock().unwrap()
    }

    /// Makes blocks for ever, with a micro-fork now and then.
    pub(super) async fn run(&self, forks: bool) {
        loop {
            sleep(Duration::from_secs(SLOT.into())).await;
            let mut world = self.world();
            if forks && world.roll().is_multiple_of(8) {
                world.fork();
            }
            world.produce();
        }
    }

    pub(super) fn clock(&self) -> Timestamp {
        let since = i64::try_from(self.start.elapsed().as_secs()).unwrap();
        let now = i64::from(START) + i64::try_from(LAG).unwrap() * i64::from(SLOT) + since;
        Timestamp::from_unix_ms((now + self.skew) * 1000)
    }

    pub(super) async fn post(&self, node: &Url, body: &str) -> Result<Reply, RpcError> {
        let index = usize::from(node.port().unwrap()) - 7000;
        let request: Value = serde_json::from_str(body).unwrap();
        let (fault, dice) = self.world().fault(index);
        if self.world().nodes[index].is_dead {
            std::future::pending::<()>().await;
        }
        let reply = |status, pause, body: String| Reply { body: body.into_bytes(), pause, status };
        let ok = |body| Ok(reply(StatusCode::OK, None, body));
        let answer = || self.world().answer(index, &request, fault);
        // Every answer takes its time.
        sleep(Duration::from_millis(10 + dice % 90)).await;
        match fault {
            Some(Fault::Html) => ok("<html>maintenance</html>".into()),
            Some(Fault::LoseAnswer) => {
                answer();
                Ok(reply(StatusCode::BAD_GATEWAY, None, String::new()))
            }
            Some(Fault::OtherId) => {
                ok(json!({ "jsonrpc": "2.0", "result": {}, "id": 0 }).to_string())
            }
            Some(Fault::Pause) => {
                let pause = Some(Duration::from_secs(dice % 20));
                Ok(reply(StatusCode::TOO_MANY_REQUESTS, pause, "slow down".into()))
            }
            Some(Fault::Refuse) => Err(RpcError::Status(StatusCode::BAD_GATEWAY)),
            Some(Fault::Slow) => {
                let answer = answer();
                sleep(Duration::from_millis(dice % 9000)).await;
                ok(answer)
            }
            Some(Fault::Truncate) => {
                let answer = answer();
                ok(answer.get(..answer.len() / 2).unwrap_or_default().into())
            }
            _ => ok(answer()),
        }
    }
}

impl World {
    pub(super) fn roll(&mut self) -> u64 {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.dice >> 33
    }

    fn fault(&mut self, index: usize) -> (Option<Fault>, u64) {
        let (happens, which, dice) = (self.roll() % 100, self.roll(), self.roll());
        let faults = self.nodes[index].faults;
        let which = FAULTS[usize::try_from(which).unwrap() % FAULTS.len()];
        ((happens < faults).then_some(which), dice)
    }

    fn head(&self) -> &Block {
        self.blocks.last().unwrap()
    }

    /// All json texts on the chain, in order.
    pub(super) fn published(&self) -> Vec<String> {
        let operations = self.blocks.iter().flat_map(|block| &block.transactions);
        let operations = operations.flat_map(|one| &one.transaction.operations);
        let text = |operation: &Operation| match operation {
            Operation::CustomJson(op) => op.json.clone(),
            other => other.name().to_owned(),
        };
        operations.map(text).collect()
    }

    /// What the chain has under that id.
    pub(super) fn transaction(&self, id: &TransactionId) -> Option<SignedTransaction> {
        let mut transactions = self.blocks.iter().flat_map(|block| &block.transactions);
        transactions.find(|one| one.id(Pack::Legacy) == *id).cloned()
    }

    /// How many operations each block has.
    pub(super) fn sizes(&self) -> Vec<usize> {
        self.blocks.iter().map(|block| block.transactions.len()).collect()
    }

    pub(super) fn produce(&mut self) {
        let count = self.blocks.len();
        let time = START + SLOT * u32::try_from(count).unwrap();
        let mut custom_ops = 0;
        let (mut chosen, mut left) = (Vec::new(), Vec::new());
        for (transaction, from) in std::mem::take(&mut self.pool) {
            let id = transaction.id(Pack::Legacy);
            let head_time = self.blocks.last().map_or(0, |block| block.time);
            // A node that is behind takes what the chain has; a fork that drops it makes two of it wait for the next block.
            let is_chosen = chosen.iter().any(|one: &SignedTransaction| one.id(Pack::Legacy) == id);
            let is_void = transaction.transaction.expiration.as_unix_secs() <= head_time
                || is_chosen
                || self.place_of(&id, count).is_some()
                || !self.has_tapos(transaction.transaction.tapos(), count);
            if is_void {
                continue;
            }
            let ops = transaction.transaction.operations.len();
            if from > count || custom_ops + ops > MAX_PENDING_CUSTOM_OPS {
                left.push((transaction, from));
            } else {
                custom_ops += ops;
                chosen.push(transaction);
            }
        }
        self.pool = left;
        let previous = self.blocks.last().map_or(BlockId::ZERO, |block| block.id);
        let witness = format!("witness-{}", self.forks);
        let block = self.seal(previous, time, witness, chosen);
        self.blocks.push(block);
    }

    fn seal(
        &self,
        previous: BlockId,
        time: u32,
        witness: String,
        transactions: Vec<SignedTransaction>,
    ) -> Block {
        let leaves = transactions.iter().map(|one| one.merkle_leaf(Pack::Legacy));
        let header = BlockHeader {
            previous,
            timestamp: TimePoint::from_unix_secs(time),
            witness,
            transaction_merkle_root: MerkleRoot::of(leaves),
            extensions: Vec::new(),
        };
        let block = SignedBlock { header: header.sign(&self.key).unwrap(), transactions };
        let json = block.to_json(JsonForm::Hf26, &KeyPrefix::STM).unwrap();
        let id = block.header.block_id().unwrap();
        Block { id, time, transactions: block.transactions, json }
    }

    /// The same blocks as a chain that fits together but never was: without the transactions, or with one that is told
    /// to be in it.
    fn forge(&mut self, start: usize, blocks: &[Block]) -> Vec<Value> {
        let mut previous = start
            .checked_sub(2)
            .and_then(|place| self.blocks.get(place))
            .map_or(BlockId::ZERO, |block| block.id);
        let mut forged = Vec::new();
        for block in blocks {
            let shown = self.roll().is_multiple_of(3).then(|| self.heard.last().cloned()).flatten();
            let shown = Vec::from_iter(shown);
            let block = self.seal(previous, block.time, "forger".into(), shown);
            previous = block.id;
            forged.push(block.json);
        }
        forged
    }

    /// Takes up to all reversible blocks back. Of their transactions some come again at once, some later, some never.
    pub(super) fn fork(&mut self) {
        let most = self.blocks.len() - irreversible(self.blocks.len());
        let count = usize::try_from(self.roll()).unwrap() % (most + 1);
        let keep = self.blocks.len() - count;
        let taken: Vec<Block> = self.blocks.drain(keep..).collect();
        self.forks += 1;
        for transaction in taken.into_iter().flat_map(|block| block.transactions) {
            match self.roll() % 4 {
                0 => {}
                1 => {
                    let later = keep + usize::try_from(self.roll()).unwrap() % 25;
                    self.pool.push((transaction, later));
                }
                _ => self.pool.push((transaction, keep)),
            }
        }
        // Time goes on: the chain is as long as before, but for what the next block adds.
        (0..count).for_each(|_| self.produce());
    }

    fn place_of(&self, id: &TransactionId, count: usize) -> Option<usize> {
        let has = |block: &Block| block.transactions.iter().any(|one| one.id(Pack::Legacy) == *id);
        self.blocks.iter().take(count).position(has)
    }

    fn has_tapos(&self, tapos: Tapos, count: usize) -> bool {
        self.blocks.iter().take(count).any(|block| Tapos::of(&block.id) == tapos)
    }

    fn answer(&mut self, index: usize, request: &Value, fault: Option<Fault>) -> String {
        let Some(requests) = request.as_array() else {
            return self.answer_one(index, request, fault).to_string();
        };
        if !self.nodes[index].takes_batches {
            let error = json!({ "code": -32600, "message": "no batches" });
            return json!({ "jsonrpc": "2.0", "error": error, "id": null }).to_string();
        }
        let mut answers: Vec<Value> =
            requests.iter().map(|one| self.answer_one(index, one, fault)).collect();
        answers.reverse();
        Value::Array(answers).to_string()
    }

    fn answer_one(&mut self, index: usize, request: &Value, fault: Option<Fault>) -> Value {
        let method = request["method"].as_str().unwrap();
        self.asked.push((index, method.to_owned()));
        let answered = if fault == Some(Fault::Busy) {
            Err((-32003, 0, "Unable to acquire READ lock".to_owned()))
        } else if self.nodes[index].lacks.contains(method) {
            Err((-32601, 0, format!("Could not find method {method}")))
        } else {
            self.call(index, method, &request["params"], fault)
        };
        match answered {
            Ok(result) => json!({ "jsonrpc": "2.0", "result": result, "id": request["id"] }),
            Err((code, inner, message)) => {
                let data = json!({ "code": inner, "name": "exception", "stack": [] });
                let error = json!({ "code": code, "message": message, "data": data });
                json!({ "jsonrpc": "2.0", "error": error, "id": request["id"] })
            }
        }
    }

    fn call(
        &mut self,
        index: usize,
        method: &str,
        params: &Value,
        fault: Option<Fault>,
    ) -> Result<Value, (i64, i64, String)> {
        let nature = self.nodes[index].clone();
        // A node that is behind knows no more of the chain than that.
        let count = self.blocks.len().saturating_sub(nature.behind).max(1);
        let lies = self.roll() % 100 < nature.lies;
        let (_, name) = method.split_once('.').unwrap();
        match name {
            "get_config" => Ok(json!({
                "HIVE_CHAIN_ID": nature.network.chain_id,
                "HIVE_ADDRESS_PREFIX": nature.network.key_prefix,
            })),
            "get_dynamic_global_properties" => Ok(self.properties(count, lies)),
            "get_accounts" => {
                let prefix = KeyPrefix::STM;
                let (signer, other) = (self.signer.to_json(&prefix), self.key.public_key());
                let other = Authority::single(other).to_json(&prefix);
                Ok(json!([{ "name": "alice", "posting": signer, "active": other, "owner": other }]))
            }
            "get_block_header" => {
                let num = usize::try_from(params["block_num"].as_u64().unwrap()).unwrap();
                let known = self.blocks.get(num - 1).filter(|_| num <= count);
                let mut header = known.map_or(json!({}), |block| json!({ "header": block.json }));
                if lies && known.is_some() {
                    let before = u32::try_from(num - 1).unwrap();
                    header["header"]["previous"] = json!(BlockId::numbered(before, [7; 20]));
                }
                Ok(header)
            }
            "get_block_range" => Ok(self.range(count, params, lies)),
            "find_transaction" => Ok(self.find(count, params, lies)),
            "broadcast_transaction" => {
                let json = if params.is_array() { &params[0] } else { &params["trx"] };
                let transaction = SignedTransaction::from_json(json, &KeyPrefix::STM).unwrap();
                self.take(count, transaction, fault, lies)
            }
            other => Err((-32601, 0, format!("Could not find method {other}"))),
        }
    }

    fn properties(&mut self, count: usize, lies: bool) -> Value {
        let block = self.blocks[count - 1].clone();
        let mut last = irreversible(count);
        let (mut num, mut id, mut time) = (block.id.block_num(), block.id, block.time);
        if lies {
            let far = u32::try_from(self.roll() % 1600).unwrap();
            (num, time) = match self.roll() % 3 {
                0 => (num + far, time + SLOT * far),
                1 => (num.saturating_sub(far).max(1), time.saturating_sub(SLOT * far)),
                _ => (num, time + SLOT * far),
            };
            id = BlockId::numbered(num, [7; 20]);
            last = usize::try_from(num).unwrap();
        }
        json!({
            "head_block_number": num, "head_block_id": id,
            "time": TimePoint::from_unix_secs(time),
            "last_irreversible_block_num": last,
        })
    }

    fn range(&mut self, count: usize, params: &Value, lies: bool) -> Value {
        let start = usize::try_from(params["starting_block_num"].as_u64().unwrap()).unwrap();
        let len = usize::try_from(params["count"].as_u64().unwrap()).unwrap();
        let blocks = self.blocks.iter().take(count).skip(start.saturating_sub(1)).take(len);
        let mut blocks: Vec<Value> = blocks.map(|block| block.json.clone()).collect();
        if lies {
            // All transactions are gone, or the blocks are others than asked for, or it is another chain altogether.
            match self.roll() % 4 {
                0 => {
                    for block in &mut blocks {
                        block["transactions"] = json!([]);
                        block["transaction_ids"] = json!([]);
                    }
                }
                1 => {
                    let by = 1.min(blocks.len());
                    blocks.rotate_left(by);
                }
                _ => {
                    let real = self.blocks.iter().take(count).skip(start.saturating_sub(1));
                    let real: Vec<Block> = real.take(len).cloned().collect();
                    blocks = self.forge(start, &real);
                }
            }
        }
        json!({ "blocks": blocks })
    }

    fn find(&mut self, count: usize, params: &Value, lies: bool) -> Value {
        if lies {
            let head = self.head().id.block_num();
            return match self.roll() % 6 {
                0 => json!({ "status": "expired_irreversible" }),
                5 => json!({ "status": "within_mempool" }),
                1 => json!({ "status": "too_old" }),
                2 => json!({ "status": "within_irreversible_block", "block_num": head }),
                3 => json!({ "status": "within_reversible_block", "block_num": head }),
                _ => json!({ "status": "unknown" }),
            };
        }
        let id: TransactionId = params["transaction_id"].as_str().unwrap().parse().unwrap();
        let expiration: TimePoint = params["expiration"].as_str().unwrap().parse().unwrap();
        let last = irreversible(count);
        if let Some(place) = self.place_of(&id, count) {
            let is_final = place < last;
            let status =
                if is_final { "within_irreversible_block" } else { "within_reversible_block" };
            return json!({ "status": status, "block_num": place + 1 });
        }
        let before = |count: usize| expiration.as_unix_secs() < self.blocks[count - 1].time;
        let status = if self.pool.iter().any(|(one, _)| one.id(Pack::Legacy) == id) {
            "within_mempool"
        } else if before(last) {
            "expired_irreversible"
        } else if before(count) {
            "expired_reversible"
        } else {
            "unknown"
        };
        json!({ "status": status })
    }

    fn take(
        &mut self,
        count: usize,
        transaction: SignedTransaction,
        fault: Option<Fault>,
        lies: bool,
    ) -> Result<Value, (i64, i64, String)> {
        let assertion = |inner: i64, text: &str| Err((-32003, inner, text.to_owned()));
        if lies {
            // What it refuses it may pass on, now or later.
            self.heard.push(transaction.clone());
            if self.roll().is_multiple_of(2) {
                let fault = self.roll().is_multiple_of(2).then_some(Fault::Late);
                drop(self.take(count, transaction, fault, false));
            }
            return match self.roll() % 7 {
                0 => assertion(10, "Duplicate transaction check failed"),
                1 => assertion(4_030_100, "transaction expiration exception"),
                2 => assertion(4_030_200, "transaction tapos exception"),
                3 => assertion(3_030_000, "missing required posting authority"),
                4 => assertion(4_100_100, "not enough RC mana"),
                5 => assertion(10, "Account alice already submitted 5 custom json operation(s)"),
                _ => Ok(json!({})),
            };
        }
        let id = transaction.id(Pack::Legacy);
        let waits = self.pool.iter().any(|(one, _)| one.id(Pack::Legacy) == id);
        if waits || self.place_of(&id, count).is_some() {
            return assertion(10, "Duplicate transaction check failed");
        }
        let pending: usize =
            self.pool.iter().map(|(one, _)| one.transaction.operations.len()).sum();
        if pending + transaction.transaction.operations.len() > MAX_PENDING_CUSTOM_OPS {
            let text = "Account alice already submitted 5 custom json operation(s) this block.";
            return assertion(10, text);
        }
        if transaction.transaction.expiration.as_unix_secs() <= self.blocks[count - 1].time {
            return assertion(4_030_100, "transaction expiration exception");
        }
        if !self.has_tapos(transaction.transaction.tapos(), count) {
            return assertion(4_030_200, "transaction tapos exception");
        }
        let next = self.blocks.len();
        match fault {
            Some(Fault::Forget) => {}
            Some(Fault::Late) => {
                let later = next + usize::try_from(self.roll()).unwrap() % 25;
                self.pool.push((transaction, later));
            }
            _ => self.pool.push((transaction, next)),
        }
        Ok(json!({}))
    }
}

/// How many of that many blocks are irreversible.
fn irreversible(count: usize) -> usize {
    count.saturating_sub(LAG).max(1)
}

/// The key of the account.
pub(super) fn key() -> PrivateKey {
    PrivateKey::from_password("alice", Role::Posting, "simulated").unwrap()
}
