//! Transactions and operations of blocks, as explorers and wallets look at them: `get_transaction`, `get_ops_in_block`;
//! and whether the signatures of one would do: `verify_authority`.
//!
//! The chain has no operations of its own ("virtual" ones), so there are none to show.

use serde_json::{Value, json};

use crate::{
    block_id::TransactionId,
    devnet::{
        block_record::BlockRecord,
        engine::{Devnet, packs_to_try},
        jsonrpc::Fault,
    },
    json_form::JsonForm,
    transaction::SignedTransaction,
};

use super::{Answered, params};

impl Devnet {
    /// `account_history_api.get_transaction`.
    pub(super) fn get_transaction(&self, params: &Value) -> Answered {
        self.transaction_json(params::named(params, "id")?, JsonForm::Hf26)
    }

    /// `condenser_api.get_transaction`.
    pub(super) fn get_transaction_condenser(&self, params: &Value) -> Answered {
        self.transaction_json(params::first(params)?, JsonForm::Legacy)
    }

    /// `account_history_api.get_ops_in_block`.
    pub(super) fn get_ops_in_block(&self, params: &Value) -> Answered {
        let num = params::number(params::named(params, "block_num")?)?;
        let only_virtual = params.get("only_virtual").and_then(Value::as_bool).unwrap_or_default();
        let ops = self.operations_json(num, only_virtual, JsonForm::Hf26)?;
        Ok(json!({ "ops": ops }).into())
    }

    /// `condenser_api.get_ops_in_block`.
    pub(super) fn get_ops_in_block_condenser(&self, params: &Value) -> Answered {
        let num = params::number(params::first(params)?)?;
        let only_virtual = params.get(1).and_then(Value::as_bool).unwrap_or_default();
        Ok(self.operations_json(num, only_virtual, JsonForm::Legacy)?.into())
    }

    /// `database_api.verify_authority`: like hived, an error where the authority is missing.
    pub(super) fn verify_authority(&self, params: &Value) -> Answered {
        self.check_signatures(params::named(params, "trx")?)?;
        Ok(json!({ "valid": true }).into())
    }

    /// `condenser_api.verify_authority`.
    pub(super) fn verify_authority_condenser(&self, params: &Value) -> Answered {
        self.check_signatures(params::first(params)?)?;
        Ok(Value::Bool(true).into())
    }

    fn check_signatures(&self, transaction: &Value) -> Result<(), Fault> {
        let prefix = &self.config.network.key_prefix;
        let signed = SignedTransaction::from_json(transaction, prefix)
            .map_err(|error| Fault::bad_params(&format!("transaction: {error}")))?;
        let pack = self.authorized_pack(&signed, packs_to_try(&signed));
        pack.map(drop).map_err(|refused| refused.to_fault())
    }

    fn transaction_json(&self, id: &Value, form: JsonForm) -> Answered {
        let id: TransactionId = params::parsed(id, "id")?;
        let unknown = || Fault::assertion(&format!("Unknown Transaction {id}"));
        let place = self.history.find(&id).ok_or_else(unknown)?;
        let block = self.block(place.block)?.ok_or_else(unknown)?;
        let found = block.transactions.get(place.index).ok_or_else(unknown)?;
        let mut json = found.signed.to_json(form, &self.config.network.key_prefix);
        if let Some(members) = json.as_object_mut() {
            members.insert("transaction_id".into(), json!(id));
            members.insert("block_num".into(), json!(place.block));
            members.insert("transaction_num".into(), json!(place.index));
        }
        Ok(json.into())
    }

    fn operations_json(
        &self,
        num: u32,
        only_virtual: bool,
        form: JsonForm,
    ) -> Result<Value, Fault> {
        let block = if only_virtual { None } else { self.block(num)? };
        Ok(block.iter().flat_map(|block| self.operations_of(block, form)).collect())
    }

    fn operations_of(&self, block: &BlockRecord, form: JsonForm) -> Vec<Value> {
        let mut all = Vec::new();
        for (trx_in_block, one) in block.transactions.iter().enumerate() {
            for (op_in_trx, op) in one.signed.transaction.operations.iter().enumerate() {
                all.push(json!({
                    "trx_id": one.id,
                    "block": block.id.block_num(),
                    "trx_in_block": trx_in_block,
                    "op_in_trx": op_in_trx,
                    "virtual_op": false,
                    "timestamp": block.time(),
                    "op": op.to_json(form, &self.config.network.key_prefix),
                }));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use alive_core::Timestamp;
    use rstest::rstest;

    use super::*;
    use crate::{
        devnet::{DevAccount, DevnetConfig},
        keys::{PrivateKey, Role},
        network::{ChainId, KeyPrefix},
        operation::CustomJson,
        signature::SignAlgorithm,
        transaction::{Tapos, Transaction},
    };

    fn chain() -> Devnet {
        let alice = DevAccount::from_password("alice", "x").unwrap();
        Devnet::open(DevnetConfig::default().account(alice).by_hand(), Timestamp::EPOCH).unwrap()
    }

    fn signed(node: &Devnet, role: Role) -> SignedTransaction {
        let ops = [1, 2].map(|n| CustomJson::posting("alice", "a", n.to_string()).into());
        let expiration = node.head_time().after_secs(60);
        let transaction = Transaction::new(Tapos::of(&node.head()), expiration, ops.to_vec());
        let key = PrivateKey::from_password("alice", role, "x").unwrap();
        transaction.sign(&[&key], &ChainId::HIVE, SignAlgorithm::Dhive)
    }

    fn ask(node: &mut Devnet, method: &str, params: &Value) -> Value {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = node.respond(call.to_string().as_bytes(), Timestamp::EPOCH).into_body();
        serde_json::from_str(&answer).unwrap()
    }

    /// A chain whose second block has a transaction of two operations.
    fn with_one() -> (Devnet, SignedTransaction, TransactionId) {
        let mut node = chain();
        let signed = signed(&node, Role::Posting);
        let id = node.push_transaction(signed.clone()).unwrap();
        node.produce_block(Timestamp::EPOCH).unwrap();
        (node, signed, id)
    }

    #[rstest]
    #[case("condenser_api.get_transaction", |id| json!([id]), JsonForm::Legacy)]
    #[case("account_history_api.get_transaction", |id| json!({ "id": id }), JsonForm::Hf26)]
    fn a_transaction_is_found_by_its_id_with_its_place(
        #[case] method: &str,
        #[case] params: fn(String) -> Value,
        #[case] form: JsonForm,
    ) {
        let (mut node, signed, id) = with_one();
        let mut found = ask(&mut node, method, &params(id.to_string()))["result"].take();
        let members = found.as_object_mut().unwrap();
        let place = ["transaction_id", "block_num", "transaction_num"];
        let place = place.map(|name| members.remove(name).unwrap());
        assert_eq!(place, [json!(id), json!(2), json!(0)]);
        assert_eq!(found, signed.to_json(form, &KeyPrefix::STM));

        let unknown = ask(&mut node, method, &params("0".repeat(40)));
        let message = unknown["error"]["message"].as_str().unwrap();
        assert!(message.contains("Unknown Transaction 00000"), "{message}");
        assert_eq!(ask(&mut node, method, &params("x".into()))["error"]["code"], -32002);
    }

    #[rstest]
    #[case("condenser_api.get_ops_in_block", |n, v| json!([n, v]), "", JsonForm::Legacy)]
    #[case(
        "account_history_api.get_ops_in_block",
        |n, v| json!({ "block_num": n, "only_virtual": v }),
        "/ops",
        JsonForm::Hf26
    )]
    fn the_operations_of_a_block_stand_in_their_order_with_their_place(
        #[case] method: &str,
        #[case] params: fn(u32, bool) -> Value,
        #[case] path: &str,
        #[case] form: JsonForm,
    ) {
        let (mut node, signed, id) = with_one();
        let mut ops = |num, only_virtual| {
            let answer = ask(&mut node, method, &params(num, only_virtual));
            answer["result"].pointer(path).unwrap().clone()
        };
        let want = |(index, op): (usize, &crate::operation::Operation)| {
            json!({
                "trx_id": id, "block": 2, "trx_in_block": 0, "op_in_trx": index,
                "virtual_op": false, "timestamp": "1970-01-01T00:00:00",
                "op": op.to_json(form, &KeyPrefix::STM),
            })
        };
        let want: Value = signed.transaction.operations.iter().enumerate().map(want).collect();
        assert_eq!(ops(2, false), want);
        for nothing in [ops(2, true), ops(1, false), ops(3, false), ops(0, false)] {
            assert_eq!(nothing, json!([]));
        }
    }

    #[rstest]
    #[case("condenser_api.verify_authority", |trx| json!([trx]), json!(true))]
    #[case("database_api.verify_authority", |trx| json!({ "trx": trx }), json!({ "valid": true }))]
    fn an_authority_is_judged_without_a_broadcast(
        #[case] method: &str,
        #[case] params: fn(Value) -> Value,
        #[case] valid: Value,
    ) {
        let mut node = chain();
        let trx =
            |signed: SignedTransaction| params(signed.to_json(JsonForm::Hf26, &KeyPrefix::STM));
        let (right, wrong) = (signed(&node, Role::Posting), signed(&node, Role::Memo));
        assert_eq!(ask(&mut node, method, &trx(right))["result"], valid);
        let refused = ask(&mut node, method, &trx(wrong));
        assert_eq!(refused["error"]["data"]["code"], 3_030_000);
        assert_eq!(ask(&mut node, method, &params(json!({})))["error"]["code"], -32002);
        assert_eq!(node.pending(), 0);
    }
}
