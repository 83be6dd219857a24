//! Transactions in, and what became of them.

use alive_core::Timestamp;
use serde_json::{Value, json};

use crate::{
    block_id::TransactionId,
    devnet::{
        engine::{Devnet, TransactionStatus},
        jsonrpc::Fault,
    },
    time::TimePoint,
    transaction::SignedTransaction,
};

use super::{Answer, Answered, Inclusion, params};

impl Devnet {
    /// `condenser_api.broadcast_transaction`.
    pub(super) fn broadcast_condenser(&mut self, params: &Value) -> Answered {
        self.push_json(params::first(params)?).map(|_| json!({}).into())
    }

    /// `condenser_api.broadcast_transaction_synchronous`: the answer waits for the block.
    pub(super) fn broadcast_synchronous(&mut self, params: &Value) -> Answered {
        self.push_json(params::first(params)?).map(Answer::AfterInclusion)
    }

    /// `network_broadcast_api.broadcast_transaction`.
    pub(super) fn broadcast_appbase(&mut self, params: &Value, now: Timestamp) -> Answered {
        if let Some(max_age) = params.get("max_block_age") {
            let max_age = max_age
                .as_i64()
                .ok_or_else(|| Fault::bad_params("max_block_age: not a number of seconds"))?;
            let age = now.since(self.head_time().into()).as_secs();
            if u64::try_from(max_age).is_ok_and(|max_age| age > max_age) {
                return Err(Fault::assertion("the head block is older than max_block_age"));
            }
        }
        self.push_json(params::named(params, "trx")?).map(|_| json!({}).into())
    }

    /// `transaction_status_api.find_transaction`.
    pub(super) fn find_transaction(&self, params: &Value) -> Answered {
        let id: TransactionId =
            params::parsed(params::named(params, "transaction_id")?, "transaction_id")?;
        let expiration = params.get("expiration").map(|time| params::parsed(time, "expiration"));
        let expiration = expiration.transpose()?;
        let Some(place) = self.history.find(&id) else {
            return Ok(status_json(self.status(&id, expiration)).into());
        };
        if place.block > self.switches.visible(self.head_num()) {
            return Ok(status_json(TransactionStatus::Unknown).into());
        }
        let mut status = status_json(self.status(&id, expiration));
        if let Some(members) = status.as_object_mut() {
            members.insert("rc_cost".into(), place.rc_cost.into());
        }
        Ok(status.into())
    }

    /// The answer to a synchronous broadcast, `None` while the transaction waits.
    pub(in crate::devnet) fn inclusion(&self, wait: &Inclusion) -> Option<String> {
        let Inclusion { transaction, expiration } = *wait;
        if let Some(place) = self.history.find(&transaction) {
            let (block, index) = (place.block, place.index);
            let mut answer = included(&transaction, block, &json!(index), false);
            if let Some(members) = answer.as_object_mut() {
                members.insert("rc_cost".into(), place.rc_cost.into());
            }
            return Some(answer.to_string());
        }
        let is_waiting = self.status(&transaction, None) == TransactionStatus::WithinMempool;
        let is_void = !is_waiting || self.head_time() > expiration;
        is_void.then(|| included(&transaction, self.head_num(), &json!(-1), true).to_string())
    }

    fn push_json(&mut self, transaction: &Value) -> Result<Inclusion, Fault> {
        let prefix = &self.config.network.key_prefix;
        let signed = SignedTransaction::from_json(transaction, prefix)
            .map_err(|error| Fault::bad_params(&format!("transaction: {error}")))?;
        let expiration: TimePoint = signed.transaction.expiration;
        let pushed = self.push_transaction(signed);
        let transaction = pushed.map_err(|refused| refused.to_fault())?;
        Ok(Inclusion { transaction, expiration })
    }
}

fn included(id: &TransactionId, block: u32, index: &Value, is_expired: bool) -> Value {
    json!({ "id": id, "block_num": block, "trx_num": index, "expired": is_expired })
}

fn status_json(status: TransactionStatus) -> Value {
    match status {
        TransactionStatus::ExpiredIrreversible => json!({ "status": "expired_irreversible" }),
        TransactionStatus::ExpiredReversible => json!({ "status": "expired_reversible" }),
        TransactionStatus::TooOld => json!({ "status": "too_old" }),
        TransactionStatus::Unknown => json!({ "status": "unknown" }),
        TransactionStatus::WithinIrreversibleBlock(block) => {
            json!({ "status": "within_irreversible_block", "block_num": block })
        }
        TransactionStatus::WithinMempool => json!({ "status": "within_mempool" }),
        TransactionStatus::WithinReversibleBlock(block) => {
            json!({ "status": "within_reversible_block", "block_num": block })
        }
    }
}
