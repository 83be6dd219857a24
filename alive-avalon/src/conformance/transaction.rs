//! `avalon.transaction`: signing, and all checks of a node.

use std::collections::HashMap;

use alive_core::conformance::judge;
use serde_json::{Value, json};

use super::{Refused, list, text, whole};
use crate::{
    account::Account,
    digest::Hash,
    json_text::JsonText,
    keys::PrivateKey,
    playlist::Playlist,
    signature::Signature,
    transaction::{SignedTransaction, Transaction},
    validate::{ChainState, Moment, validate},
};

pub(super) fn check(input: &Value, want: &Value) -> Result<(), String> {
    judge(decide(input), want)
}

fn decide(input: &Value) -> Result<Value, Refused> {
    match text(input, "op")? {
        "sign" => {
            let transaction = Transaction::from_json(text(input, "tx_json")?)?;
            let key: PrivateKey = text(input, "private_b58")?.parse()?;
            let (signature, id) = Signature::sign(&transaction.hash(), &key);
            Ok(json!({
                "canonical_json": transaction.as_text().as_str(),
                "hash": transaction.hash().to_string(),
                "signature_b58": signature.to_string(),
                "signature_hex": hex::encode(signature.as_bytes()),
                "recid": id.as_u8(),
                "signed_json": transaction.sign_single(&key).as_text().as_str(),
                "multisig_json": transaction.sign(&[&key]).as_text().as_str(),
            }))
        }
        "verify" => {
            let transaction = SignedTransaction::from_json(text(input, "tx_json")?)?;
            let moment = Moment {
                now_ms: whole(input, "now_ms")?,
                head_ms: whole(input, "head_timestamp_ms")?,
            };
            validate(&transaction.parts(), &State::read(input)?, moment)?;
            Ok(json!({ "valid": true }))
        }
        other => Err(format!("unknown op {other:?}").into()),
    }
}

/// The accounts and playlists of a case.
struct State {
    accounts: HashMap<Box<str>, Account>,
    playlists: HashMap<String, Playlist>,
}

impl State {
    fn read(input: &Value) -> Result<Self, Refused> {
        let mut state = Self { accounts: HashMap::new(), playlists: HashMap::new() };
        for json in list(input, "accounts")? {
            let account = Account::read(JsonText::from(json).root())?;
            state.accounts.insert(account.name.clone(), account);
        }
        for json in list(input, "playlists")? {
            let playlist = Playlist::read(JsonText::from(json).root()).ok_or("no playlist")?;
            state.playlists.insert(text(json, "_id")?.to_owned(), playlist);
        }
        Ok(state)
    }
}

impl ChainState for State {
    fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name)
    }

    fn playlist(&self, sender: &str, link: &str) -> Option<&Playlist> {
        self.playlists.get(&format!("{sender}/{link}"))
    }

    fn is_recent(&self, _hash: &Hash) -> bool {
        false
    }
}
