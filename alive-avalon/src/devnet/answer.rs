//! What a development node answers to a request: [`Answer`], made without clock and sockets.
//!
//! Source: `spec/avalon.md`, section 9.

use std::borrow::Cow;

use crate::{
    account::AccountKey, digest::Hash, json_text::JsonText, transaction::SignedTransaction,
    validate::MASTER,
};

use super::{
    accounts::Record,
    engine::{Devnet, NotTaken, is_of},
    switches::Switches,
};

/// Longest body of a request, in bytes.
pub(super) const MAX_BODY: usize = 100_000;
/// Most names that `/accounts` looks up at once.
const MAX_NAMES: usize = 100;
/// Most items of a history.
const MAX_HISTORY: usize = 50;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Content type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
    /// The transaction whose block must be waited for before this is sent.
    pub(super) waits_for: Option<Hash>,
}

impl Answer {
    fn json(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self { status, content_type: "application/json; charset=utf-8", body, waits_for: None }
    }

    fn error(status: u16, words: &str) -> Self {
        Self::json(status, serde_json::json!({ "error": words }).to_string())
    }

    /// Express sends texts as HTML.
    fn text(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self { status, content_type: "text/html; charset=utf-8", body, waits_for: None }
    }

    fn not_found() -> Self {
        Self::text(404, "Not Found")
    }

    pub(super) fn page(status: u16, words: &str) -> Self {
        Self::text(
            status,
            format!("<!DOCTYPE html>\n<html><body><pre>{words}</pre></body></html>\n"),
        )
    }

    /// What a request gets whose transaction came into no block in time.
    pub(super) fn timed_out() -> Self {
        Self::error(408, "transaction timeout")
    }
}

impl Devnet {
    /// Answers a request. `path` is still encoded and has no query; `is_json` tells whether the content type is that
    /// of JSON.
    pub fn respond(
        &mut self,
        method: &str,
        path: &str,
        is_json: bool,
        body: &[u8],
        now_ms: i64,
    ) -> Answer {
        let parts: Vec<Cow<'_, str>> = path
            .trim_start_matches('/')
            .split('/')
            .map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy())
            .collect();
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        match (method, parts.as_slice()) {
            ("GET", parts) => self.get(parts, now_ms),
            ("POST", ["transact"]) => self.transact(is_json, body, now_ms, false),
            ("POST", ["transactWaitConfirm"]) => self.transact(is_json, body, now_ms, true),
            ("POST", ["alive_devnet", action]) => self.control(action, body, now_ms),
            _ => Answer::page(404, "Cannot do that"),
        }
    }

    fn get(&self, parts: &[&str], now_ms: i64) -> Answer {
        let found = match parts {
            ["count"] => Some(Answer::json(200, format!(r#"{{"count":{}}}"#, self.visible_head()))),
            ["block", num] => return self.block_answer(num),
            ["account", name] => self.state.accounts.get(*name).map(json),
            ["accounts", names] => Some(self.accounts_answer(names)),
            ["accountByKey", key] => Some(self.by_key(key)),
            ["tx", hash] => return self.transaction_answer(hash),
            ["playlist", author, link] => return self.playlist_answer(author, link),
            ["content", author, link] => {
                let post = self.state.posts.get(&format!("{author}/{link}"));
                post.map(|post| Answer::json(200, post.to_json().as_str()))
            }
            ["history", name, last] => Some(self.history(name, last, "0")),
            ["history", name, last, skip] => Some(self.history(name, last, skip)),
            ["config"] => Some(Answer::json(200, CONFIG)),
            ["schedule"] => Some(Answer::json(200, self.schedule())),
            ["allminers"] => Some(Answer::json(200, format!("[{}]", self.leader()))),
            ["leader", MASTER] => Some(Answer::json(200, self.leader())),
            ["bw", name] => {
                let record = self.state.accounts.get(*name);
                let bandwidth = record.and_then(|record| record.account.bandwidth_at(now_ms));
                bandwidth.map(|own| Answer::json(200, super::accounts::number(own.value)))
            }
            _ => None,
        };
        found.unwrap_or_else(Answer::not_found)
    }

    fn block_answer(&self, num: &str) -> Answer {
        let block = num.parse().ok().and_then(|num| self.visible_block(num));
        match block {
            Some(block) => Answer::json(200, block.as_text().as_str()),
            None => Answer::not_found(),
        }
    }

    fn accounts_answer(&self, names: &str) -> Answer {
        let records = names.split(',').take(MAX_NAMES);
        let records = records.filter_map(|name| self.state.accounts.get(name));
        let counted = |record: &Record| {
            let json = record.to_json();
            let lists = r#""follows":[],"followers":[]"#;
            json.as_str().replacen(lists, r#""followersCount":0,"followsCount":0"#, 1)
        };
        let list: Vec<_> = records.map(counted).collect();
        Answer::json(200, format!("[{}]", list.join(",")))
    }

    fn by_key(&self, key: &str) -> Answer {
        let (mut main, mut custom) = (Vec::new(), Vec::new());
        for (name, record) in self.state.accounts.iter() {
            if record.account.main_key.as_str() == key {
                main.push(name);
            }
            if record.account.keys.iter().any(|known| known.key.as_str() == key) {
                custom.push(name);
            }
        }
        Answer::json(200, serde_json::json!([main, custom]).to_string())
    }

    fn transaction_answer(&self, hash: &str) -> Answer {
        let hash: Option<Hash> = hash.parse().ok();
        let block = hash.as_ref().and_then(|hash| self.block_of(hash));
        let found = block.zip(hash).and_then(|(block, hash)| {
            let mut all = block.transactions();
            let parts = all.find(|parts| parts.computed_hash() == hash)?;
            let body = parts.whole.as_str().strip_suffix('}')?;
            Some(Answer::json(200, format!(r#"{body},"includedInBlock":{}}}"#, block.num())))
        });
        found.unwrap_or_else(|| Answer::error(404, "transaction not found"))
    }

    fn playlist_answer(&self, author: &str, link: &str) -> Answer {
        let id = format!("{author}/{link}");
        let Some(playlist) = self.state.playlists.get(&id) else {
            return Answer::error(404, "playlist does not exist");
        };
        let text = playlist.to_json(&id);
        if self.switches.hides_json {
            let (shown, hidden) =
                (text.as_str(), format!(r#""json":{}"#, playlist.json().as_str()));
            return Answer::json(200, shown.replacen(&hidden, r#""json":{}"#, 1));
        }
        Answer::json(200, text.as_str())
    }

    /// Newest first, each transaction of the account with its block's number.
    fn history(&self, name: &str, last: &str, skip: &str) -> Answer {
        let before = match last.parse() {
            Ok(0) | Err(_) => self.visible_head() + 1,
            Ok(last) => self.visible_head().saturating_add(1).min(last),
        };
        let skip: usize = skip.parse().unwrap_or_default();
        let mut items = Vec::new();
        for block in self.blocks_before(before) {
            let mine: Vec<_> = block.transactions().filter(|tx| is_of(tx, name)).collect();
            for parts in mine.iter().rev() {
                let body = parts.whole.as_str().strip_suffix('}').unwrap_or_default();
                items.push(format!(r#"{body},"includedInBlock":{}}}"#, block.num()));
            }
            if items.len() >= skip + MAX_HISTORY {
                break;
            }
        }
        let items: Vec<_> = items.into_iter().skip(skip).take(MAX_HISTORY).collect();
        Answer::json(200, format!("[{}]", items.join(",")))
    }

    fn transact(&mut self, is_json: bool, body: &[u8], now_ms: i64, waits: bool) -> Answer {
        if body.len() > MAX_BODY {
            return Answer::page(413, "PayloadTooLargeError: request entity too large");
        }
        // What is not said to be JSON is read as an empty object.
        let body = if is_json && !body.is_empty() { body } else { b"{}" };
        let text = std::str::from_utf8(body).ok().and_then(|text| JsonText::of(text).ok());
        let Some(text) = text.filter(|text| text.root().is_object() || text.root().is_array())
        else {
            return Answer::page(400, "SyntaxError: Unexpected token in JSON");
        };
        let transaction = SignedTransaction::of_canonical(text.as_str());
        let hash = transaction.hash();
        match self.take(transaction, now_ms) {
            Ok(head) => {
                let waits_for = Some(hash).filter(|_| waits);
                Answer { waits_for, ..Answer::text(200, head.to_string()) }
            }
            Err(NotTaken::Full) => Answer::text(500, "Internal Server Error"),
            Err(NotTaken::Refused(refusal)) => Answer::error(500, &refusal.to_string()),
        }
    }

    /// The calls that no real node has.
    fn control(&mut self, action: &str, body: &[u8], now_ms: i64) -> Answer {
        if !self.config.is_controllable {
            return Answer::not_found();
        }
        match action {
            "switches" => match serde_json::from_slice::<Switches>(body) {
                Ok(switches) => {
                    self.set_switches(switches);
                    Answer::json(200, "{}")
                }
                Err(error) => Answer::error(400, &error.to_string()),
            },
            "block" => match self.produce_block(now_ms) {
                Ok(num) => Answer::json(200, num.to_string()),
                Err(error) => Answer::error(500, &error.to_string()),
            },
            "pop" => {
                let count =
                    std::str::from_utf8(body).ok().and_then(|text| text.trim().parse().ok());
                match self.pop_blocks(count.unwrap_or(1), true) {
                    Ok(()) => Answer::json(200, self.head().num().to_string()),
                    Err(error) => Answer::error(400, &error.to_string()),
                }
            }
            _ => Answer::not_found(),
        }
    }

    /// What a request that waits for a transaction gets, once that is decided.
    pub(super) fn confirmed(&self, hash: &Hash) -> Option<Answer> {
        if self.block_of(hash).is_some() {
            return Some(Answer::text(200, self.visible_head().to_string()));
        }
        // Dropped at a block: no answer will ever come.
        (!self.is_waiting(hash)).then(Answer::timed_out)
    }

    fn leader(&self) -> String {
        let record = self.state.accounts.get(MASTER);
        let key = record.and_then(|record| record.account.leader_key.as_ref());
        let key = super::accounts::quoted(key.map(AccountKey::as_str).unwrap_or_default());
        format!(r#"{{"name":"{MASTER}","balance":0,"node_appr":0,"pub_leader":{key}}}"#)
    }

    fn schedule(&self) -> String {
        let (head, leader) = (self.visible_head(), self.leader());
        format!(r#"{{"block":{head},"shuffle":[{leader}],"active":[{leader}],"backup":[]}}"#)
    }
}

fn json(record: &Record) -> Answer {
    Answer::json(200, record.to_json().as_str())
}

/// The parameters of hard fork 6 that clients may look at. Source: `spec/avalon.md`, section 1.
const CONFIG: &str = r#"{"accountMaxLength":50,"accountMinLength":1,"block0ts":1601477849000,"blockTime":3000,"bwGrowth":36000000,"bwMax":64000,"jsonMaxBytes":60000,"keyIdMaxLength":25,"leaders":15,"masterName":"dtube","masterPub":"","maxDrift":200,"maxKeys":25,"maxTxPerBlock":200,"originHash":"da5fe18d0844f1f97bf5a94e7780dec18b4ab015e32383ede77158e059bacbb2","playlistContentLinkMax":101,"playlistContentLinkMin":1,"playlistLinkMax":50,"playlistLinkMin":3,"playlistSequenceIdMax":10000,"playlistSequenceMax":1000,"tagMaxLength":25,"txExpirationMax":3600000,"txExpirationTime":60000}"#;
