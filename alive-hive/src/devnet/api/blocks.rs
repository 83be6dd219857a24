//! `block_api`, and `condenser_api.get_block`. Source: `spec/hive.md`, section 5.3.

use serde_json::{Value, json};

use crate::{
    devnet::{block_record::BlockRecord, engine::Devnet, jsonrpc::Fault},
    json_form::JsonForm,
};

use super::{Answer, Answered, params};

/// Most blocks of one answer. Source: `spec/hive.md`, section 5.3.
const MAX_RANGE: u32 = 1000;
/// Bytes after which a range is cut short, as at the head. Our own limit.
const MAX_RANGE_BYTES: usize = 16 << 20;

impl Devnet {
    pub(super) fn get_block(&self, params: &Value) -> Answered {
        let num = params::number(params::named(params, "block_num")?)?;
        let block = self.block_text(num)?;
        Ok(Answer::Json(block.map_or("{}".into(), |block| format!(r#"{{"block":{block}}}"#))))
    }

    pub(super) fn get_block_header(&self, params: &Value) -> Answered {
        let num = params::number(params::named(params, "block_num")?)?;
        let Some(block) = self.block(num)? else { return Ok(json!({}).into()) };
        Ok(json!({ "header": unsigned_header(&block) }).into())
    }

    pub(super) fn get_block_header_condenser(&self, params: &Value) -> Answered {
        let block = self.block(params::number(params::first(params)?)?)?;
        Ok(block.map_or(Value::Null, |block| unsigned_header(&block)).into())
    }

    pub(super) fn get_block_range(&self, params: &Value) -> Answered {
        let start = params::number(params::named(params, "starting_block_num")?)?;
        let count = params::number(params::named(params, "count")?)?;
        if !(1..=MAX_RANGE).contains(&count) {
            return Err(Fault::assertion("You can only ask for 1000 blocks at a time"));
        }
        let mut answer = String::from(r#"{"blocks":["#);
        for num in start..start.saturating_add(count) {
            let Some(block) = self.block_text(num)? else { break };
            if num > start {
                answer.push(',');
            }
            answer.push_str(&block);
            if answer.len() > MAX_RANGE_BYTES {
                break;
            }
        }
        answer.push_str("]}");
        Ok(Answer::Json(answer))
    }

    pub(super) fn get_block_condenser(&self, params: &Value) -> Answered {
        let num = params::number(params::first(params)?)?;
        let Some(block) = self.block(num)? else { return Ok(Value::Null.into()) };
        let prefix = &self.config.network.key_prefix;
        let json = block.to_json(JsonForm::Legacy, prefix).map_err(failed)?;
        Ok(json.into())
    }

    pub(super) fn block(&self, num: u32) -> Result<Option<BlockRecord>, Fault> {
        let prefix = &self.config.network.key_prefix;
        let read = |text: String| BlockRecord::read(text.as_bytes(), prefix).map_err(failed);
        self.block_text(num)?.map(read).transpose()
    }

    /// The block as it stands in the log, which is the JSON of `block_api`.
    fn block_text(&self, num: u32) -> Result<Option<String>, Fault> {
        let visible = self.switches.visible(self.head_num());
        let Some(index) = num.checked_sub(1).filter(|_| num <= visible) else { return Ok(None) };
        let bytes = self.log.read(index as usize).map_err(failed)?;
        bytes.map(|bytes| String::from_utf8(bytes).map_err(failed)).transpose()
    }
}

fn unsigned_header(block: &BlockRecord) -> Value {
    let mut header = block.header.to_json();
    if let Some(members) = header.as_object_mut() {
        members.remove("witness_signature");
    }
    header
}

/// The log could not be read: nothing that the client did.
fn failed(error: impl std::fmt::Display) -> Fault {
    Fault::server(&error.to_string())
}
