//! What access tokens of AliveDB need of Hive: [`HiveLogin`].

use alive_db::rest::{ChainUnavailable, LoginChain};
use alive_hive::rpc::{RpcCall, RpcClient, RpcError};
use serde_json::{Value, json, value::RawValue};

/// Recent blocks, asked from a node each time.
#[derive(Clone, Debug)]
pub(crate) struct HiveLogin {
    client: RpcClient,
}

impl HiveLogin {
    /// The chain of this client.
    pub(crate) fn new(client: RpcClient) -> Self {
        Self { client }
    }
}

impl LoginChain for HiveLogin {
    async fn block_id(&self, num: u64) -> Result<Option<String>, ChainUnavailable> {
        // Block numbers of Hive have 32 bits.
        let Ok(num) = u32::try_from(num) else { return Ok(None) };
        let calls = [
            RpcCall::new("condenser_api.get_block", json!([num])),
            RpcCall::new("block_api.get_block", json!({ "block_num": num })),
        ];
        let asked = self.client.ask_any(&calls, |shape, block| read_id(shape, num, block)).await;
        asked.map_err(unavailable)
    }

    async fn head_num(&self) -> Result<u64, ChainUnavailable> {
        let calls = [
            RpcCall::new("condenser_api.get_dynamic_global_properties", json!([])),
            RpcCall::new("database_api.get_dynamic_global_properties", json!({})),
        ];
        let asked = self.client.ask_any(&calls, |_, properties| {
            let properties = parse(properties)?;
            properties
                .get("head_block_number")
                .and_then(Value::as_u64)
                .ok_or(RpcError::Answer("the number of the head"))
        });
        asked.await.map_err(unavailable)
    }
}

/// The id in a block's answer; `None` if there is no such block. The appbase API wraps the block.
fn read_id(shape: usize, num: u32, answer: &RawValue) -> Result<Option<String>, RpcError> {
    let answer = parse(answer)?;
    let block = if shape == 0 { Some(&answer) } else { answer.get("block") };
    let Some(block) = block.filter(|block| !block.is_null()) else { return Ok(None) };
    let id = block.get("block_id").and_then(Value::as_str);
    // An id begins with the number of its block.
    let id = id.filter(|id| id.len() == 40 && id.starts_with(&format!("{num:08x}")));
    id.map(|id| Some(id.to_owned())).ok_or(RpcError::Answer("the id of the block asked for"))
}

fn parse(answer: &RawValue) -> Result<Value, RpcError> {
    serde_json::from_str(answer.get()).map_err(|_| RpcError::Answer("JSON"))
}

fn unavailable(error: RpcError) -> ChainUnavailable {
    tracing::warn!(%error, "the chain cannot be asked for a login");
    ChainUnavailable(error.into())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ID: &str = "0000000a00000000000000000000000000000000";

    fn read(shape: usize, answer: &str) -> Result<Option<String>, ()> {
        let answer = RawValue::from_string(answer.to_owned()).unwrap();
        read_id(shape, 10, &answer).map_err(drop)
    }

    #[test]
    fn both_apis_give_the_id_of_a_block() {
        let block = format!(r#"{{"block_id":"{ID}"}}"#);
        assert_eq!(read(0, &block), Ok(Some(ID.to_owned())));
        assert_eq!(read(1, &format!(r#"{{"block":{block}}}"#)), Ok(Some(ID.to_owned())));
    }

    #[test]
    fn a_block_that_is_not_there_has_none() {
        assert_eq!(read(0, "null"), Ok(None));
        assert_eq!(read(1, "{}"), Ok(None));
        assert_eq!(read(1, r#"{"block":null}"#), Ok(None));
    }

    #[rstest]
    #[case("{}")]
    #[case("[]")]
    #[case(r#"{"block_id":5}"#)]
    #[case(r#"{"block_id":"0000000a"}"#)]
    #[case(r#"{"block_id":"0000000b00000000000000000000000000000000"}"#)]
    fn what_is_no_block_of_this_number_is_a_failure_of_the_node(#[case] answer: &str) {
        assert_eq!(read(0, answer), Err(()));
    }
}
