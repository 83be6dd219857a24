//! What fuzz targets and their stable twins run.

use alive_core::Timestamp;
use serde_json::Value;

use super::{
    DevnetConfig,
    api::{Part, Reply},
    engine::Devnet,
};

/// Answers any body: the answer is JSON-RPC, and the node still makes blocks after it.
///
/// # Panics
/// When that does not hold.
pub fn request(data: &[u8]) {
    let config = DevnetConfig::default().by_hand().controllable().irreversible_lag(5);
    let Ok(mut node) = Devnet::open(config, Timestamp::EPOCH) else {
        return;
    };
    let reply: Reply = node.respond(data, Timestamp::EPOCH);
    let waits = reply.parts.iter().filter(|part| matches!(part, Part::AfterInclusion { .. }));
    assert_eq!(waits.count(), 0, "nobody can sign for an account here");
    let is_batch = reply.is_batch;
    let answer = serde_json::from_str::<Value>(&reply.into_body());
    let is_answer = |value: &Value| {
        value["jsonrpc"] == "2.0" && (value.get("result").is_some() != value.get("error").is_some())
    };
    match answer {
        Ok(Value::Array(answers)) => assert!(is_batch && answers.iter().all(is_answer)),
        Ok(answer) => assert!(!is_batch && is_answer(&answer)),
        Err(error) => assert!(data.is_empty() && error.is_eof(), "{error}"),
    }
    assert!(node.produce_block(Timestamp::EPOCH).is_ok());
}
