//! A chain that forks at will, and nodes that show it, each with its own lie.

use std::sync::{Arc, Mutex};

use alive_hive::BlockId;
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::support::{block, ours, transaction};

/// A chain in memory: ids and texts of its blocks, from number 1.
#[derive(Clone, Default)]
pub(crate) struct Chain {
    blocks: Vec<(BlockId, String)>,
    pub(crate) irreversible: usize,
    /// Makes every block another one.
    salt: u32,
}

impl Chain {
    pub(crate) fn head(&self) -> usize {
        self.blocks.len()
    }

    pub(crate) fn id(&self, num: usize) -> BlockId {
        self.blocks[num - 1].0
    }

    /// Adds a block with these payloads.
    pub(crate) fn push(&mut self, payloads: &[String]) {
        self.salt += 1;
        let previous = self.blocks.last().map_or(BlockId::ZERO, |last| last.0);
        let transactions: Vec<String> =
            payloads.iter().map(|payload| transaction(&ours(payload))).collect();
        self.blocks.push(block(previous, self.salt, &transactions));
    }

    pub(crate) fn push_empty(&mut self, count: usize) {
        for _ in 0..count {
            self.push(&[]);
        }
    }

    /// Takes back the last blocks.
    pub(crate) fn pop(&mut self, count: usize) {
        self.blocks.truncate(self.blocks.len() - count);
    }

    /// The same chain up to `num`, and other blocks from there on.
    pub(crate) fn fork_at(&self, num: usize) -> Self {
        let mut other = self.clone();
        other.blocks.truncate(num);
        other.salt += 1_000_000;
        other.push_empty(self.head() - num);
        other
    }

    fn texts(&self, start: usize, count: usize) -> Vec<&str> {
        let blocks = self.blocks.iter().skip(start - 1).take(count);
        blocks.map(|(_, text)| text.as_str()).collect()
    }

    fn result(&self, request: &Value) -> Result<String, Value> {
        let params = &request["params"];
        match request["method"].as_str().unwrap() {
            "database_api.get_config" => Ok(
                json!({ "HIVE_CHAIN_ID": alive_hive::ChainId::HIVE, "HIVE_ADDRESS_PREFIX": "STM" })
                    .to_string(),
            ),
            "condenser_api.get_dynamic_global_properties" => Ok(json!({
                "head_block_number": self.head(), "head_block_id": self.id(self.head()),
                "time": "2026-11-21T00:00:00", "last_irreversible_block_num": self.irreversible,
            })
            .to_string()),
            "block_api.get_block_range" => {
                let number = |name: &str| usize::try_from(params[name].as_u64().unwrap()).unwrap();
                let texts = self.texts(number("starting_block_num"), number("count"));
                Ok(format!(r#"{{"blocks":[{}]}}"#, texts.join(",")))
            }
            "block_api.get_block" => {
                let number = usize::try_from(params["block_num"].as_u64().unwrap()).unwrap();
                let text = self.texts(number, 1);
                Ok(text.first().map_or("{}".into(), |text| format!(r#"{{"block":{text}}}"#)))
            }
            "condenser_api.get_block" => {
                let number = usize::try_from(params[0].as_u64().unwrap()).unwrap();
                Ok(self.texts(number, 1).first().map_or("null".into(), ToString::to_string))
            }
            other => Err(json!({ "code": -32601, "message": format!("no method {other}") })),
        }
    }
}

/// What a node makes of the true answer.
pub(crate) type Lie = Box<dyn FnMut(&Value, Result<String, Value>) -> Said + Send>;

pub(crate) enum Said {
    /// This result or error.
    Answer(Result<String, Value>),
    /// This body, which is no JSON-RPC.
    Garbage(String),
    /// Nothing, for ever.
    Silence,
}

/// What a node shows; the test changes it between two steps.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) chain: Arc<Mutex<Chain>>,
    lie: Arc<Mutex<Lie>>,
    /// How often it was asked for blocks.
    pub(crate) asked: Arc<Mutex<usize>>,
}

impl Node {
    pub(crate) fn honest(chain: Chain) -> Self {
        Self::lying(chain, |_, answer| Said::Answer(answer))
    }

    pub(crate) fn lying(
        chain: Chain,
        lie: impl FnMut(&Value, Result<String, Value>) -> Said + Send + 'static,
    ) -> Self {
        let lie: Lie = Box::new(lie);
        Self {
            chain: Arc::new(Mutex::new(chain)),
            lie: Arc::new(Mutex::new(lie)),
            asked: Arc::default(),
        }
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Chain) -> T) -> T {
        act(&mut self.chain.lock().unwrap())
    }

    pub(crate) async fn serve(&self, tasks: &mut JoinSet<()>) -> String {
        let router = Router::new().route("/", post(answer)).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    fn say(&self, request: &Value) -> Said {
        if request["method"].as_str().unwrap().contains("get_block") {
            *self.asked.lock().unwrap() += 1;
        }
        let answer = self.with(|chain| chain.result(request));
        (self.lie.lock().unwrap())(request, answer)
    }
}

async fn answer(State(node): State<Node>, body: String) -> Response {
    let request: Value = serde_json::from_str(&body).unwrap();
    let id = &request["id"];
    match node.say(&request) {
        Said::Answer(Ok(result)) => {
            format!(r#"{{"jsonrpc":"2.0","result":{result},"id":{id}}}"#).into_response()
        }
        Said::Answer(Err(error)) => {
            json!({ "jsonrpc": "2.0", "error": error, "id": id }).to_string().into_response()
        }
        Said::Garbage(text) => (StatusCode::OK, text).into_response(),
        Said::Silence => std::future::pending().await,
    }
}
