//! The JSON-RPC methods of the node, without HTTP: a body comes in, a [`Reply`] goes out.
//!
//! Source: `spec/hive.md`, sections 6 and 6.2: what a broadcaster, a block reader and four unmodified clients call.

mod accounts;
mod blocks;
mod broadcast;
mod constants;
mod control;
mod credits;
mod names;
mod params;
mod posts;
mod properties;
mod transactions;

use alive_core::Timestamp;
use serde_json::Value;

use crate::{block_id::TransactionId, json_form::JsonForm, time::TimePoint};

use super::{
    engine::Devnet,
    jsonrpc::{Call, Fault, Incoming, Request},
    switches::AnswerFault,
};

/// Most requests of one batch. Our own limit.
const MAX_BATCH: usize = 1000;
/// Bytes of answers to one batch after which the rest of its requests is refused. Our own limit.
const MAX_BATCH_ANSWER: usize = 32 << 20;

/// The answer to one body.
#[derive(Debug)]
pub(super) struct Reply {
    /// What the shell does to it.
    pub(super) fault: Option<AnswerFault>,
    pub(super) is_batch: bool,
    pub(super) parts: Vec<Part>,
}

/// The answer to one request.
#[derive(Debug)]
pub(super) enum Part {
    /// What to answer once the transaction is in a block or expired ([`Devnet::inclusion`]).
    AfterInclusion {
        id: Value,
        wait: Inclusion,
    },
    Ready(String),
}

/// A transaction that a client waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inclusion {
    transaction: TransactionId,
    expiration: TimePoint,
}

/// What a method gives.
enum Answer {
    AfterInclusion(Inclusion),
    Json(String),
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        Self::Json(value.to_string())
    }
}

type Answered = Result<Answer, Fault>;

impl Part {
    /// The part that answers a wait.
    pub(super) fn included(id: &Value, result: String) -> Self {
        Self::Ready(Request::answer(id, &Ok(result)))
    }

    /// The answer to a wait that the end of the node cuts short.
    pub(super) fn stopped(id: &Value) -> Self {
        Self::fault(id, Fault::server("the node shuts down"))
    }

    fn fault(id: &Value, fault: Fault) -> Self {
        Self::Ready(Request::answer(id, &Err(fault)))
    }
}

impl Reply {
    /// The body of the answer; waits must have been replaced.
    pub(super) fn into_body(self) -> String {
        let texts = self.parts.into_iter().filter_map(|part| match part {
            Part::AfterInclusion { .. } => None,
            Part::Ready(text) => Some(text),
        });
        let texts: Vec<String> = texts.collect();
        if self.is_batch { format!("[{}]", texts.join(",")) } else { texts.concat() }
    }
}

impl Devnet {
    /// Answers the body of a request, whatever it is. `now` only tells how old the head block is.
    pub(super) fn respond(&mut self, body: &[u8], now: Timestamp) -> Reply {
        let mut fault = None;
        match Incoming::read(body, MAX_BATCH) {
            Incoming::Single(request) => {
                let parts = vec![self.answer(request, now, &mut fault)];
                Reply { fault, is_batch: false, parts }
            }
            Incoming::Batch(requests) => {
                let mut bytes = 0;
                let answer = |request: Request| {
                    let part = if bytes > MAX_BATCH_ANSWER {
                        Part::fault(&request.id, Fault::server("the batch asks for too much"))
                    } else {
                        self.answer(request, now, &mut fault)
                    };
                    if let Part::Ready(text) = &part {
                        bytes += text.len();
                    }
                    part
                };
                let parts = requests.into_iter().map(answer).collect();
                Reply { fault, is_batch: true, parts }
            }
        }
    }

    fn answer(
        &mut self,
        request: Request,
        now: Timestamp,
        fault: &mut Option<AnswerFault>,
    ) -> Part {
        let Request { id, call } = request;
        let text = match call.and_then(|call| self.call_or_fail(&call, now, fault)) {
            Ok(Answer::AfterInclusion(wait)) => return Part::AfterInclusion { id, wait },
            Ok(Answer::Json(result)) => Request::answer(&id, &Ok(result)),
            Err(fault) => Request::answer(&id, &Err(fault)),
        };
        Part::Ready(text)
    }

    /// A call as the switches want it: an error of choice stands in for the answer, any other fault is done to the
    /// whole answer, the first one of a batch. The switches themselves can always be called.
    fn call_or_fail(
        &mut self,
        call: &Call,
        now: Timestamp,
        fault: &mut Option<AnswerFault>,
    ) -> Answered {
        if call.api != "alive_devnet" && fault.is_none() {
            match self.switches.fault_of(&format!("{}.{}", call.api, call.method)) {
                Some(AnswerFault::Error { code, message }) => {
                    return Err(Fault::chosen(code, &message));
                }
                chosen => *fault = chosen,
            }
        }
        self.call(call, now)
    }

    fn call(&mut self, call: &Call, now: Timestamp) -> Answered {
        let Call { api, method, params } = call;
        match api.as_str() {
            "account_by_key_api" => match method.as_str() {
                "get_key_references" => self.key_references_appbase(params),
                _ => Err(Fault::unknown_method(api, method)),
            },
            "account_history_api" => self.account_history_api(method, params),
            "alive_devnet" => self.alive_devnet(method, params, now),
            "block_api" => self.block_api(method, params),
            "bridge" => match method.as_str() {
                "get_follow_list" => self.get_follow_list(params),
                "get_post" => self.get_post(params),
                _ => Err(Fault::unknown_method(api, method)),
            },
            "condenser_api" => self.condenser_api(method, params),
            "database_api" => self.database_api(method, params),
            "network_broadcast_api" => match method.as_str() {
                "broadcast_transaction" => self.broadcast_appbase(params, now),
                _ => Err(Fault::unknown_method(api, method)),
            },
            "rc_api" => self.rc_api(method, params),
            "transaction_status_api" => match method.as_str() {
                "find_transaction" => self.find_transaction(params),
                _ => Err(Fault::unknown_method(api, method)),
            },
            _ => Err(Fault::unknown_method(api, method)),
        }
    }

    fn account_history_api(&self, method: &str, params: &Value) -> Answered {
        match method {
            "get_ops_in_block" => self.get_ops_in_block(params),
            "get_transaction" => self.get_transaction(params),
            _ => Err(Fault::unknown_method("account_history_api", method)),
        }
    }

    fn block_api(&self, method: &str, params: &Value) -> Answered {
        match method {
            "get_block" => self.get_block(params),
            "get_block_header" => self.get_block_header(params),
            "get_block_range" => self.get_block_range(params),
            _ => Err(Fault::unknown_method("block_api", method)),
        }
    }

    fn condenser_api(&mut self, method: &str, params: &Value) -> Answered {
        match method {
            "broadcast_transaction" => self.broadcast_condenser(params),
            "broadcast_transaction_synchronous" => self.broadcast_synchronous(params),
            "get_accounts" => self.get_accounts(params),
            "get_block" => self.get_block_condenser(params),
            "get_block_header" => self.get_block_header_condenser(params),
            "get_config" => params::none(params).map(|()| self.constants().into()),
            "get_content" => self.get_content(params),
            "get_dynamic_global_properties" => {
                params::none(params)?;
                Ok(self.properties(JsonForm::Legacy)?.into())
            }
            "get_key_references" => self.key_references_condenser(params),
            "get_ops_in_block" => self.get_ops_in_block_condenser(params),
            "get_transaction" => self.get_transaction_condenser(params),
            "get_version" => params::none(params).map(|()| self.version().into()),
            "lookup_account_names" => self.lookup_account_names(params),
            "lookup_accounts" => self.lookup_accounts(params),
            "verify_authority" => self.verify_authority_condenser(params),
            _ => Err(Fault::unknown_method("condenser_api", method)),
        }
    }

    fn database_api(&self, method: &str, params: &Value) -> Answered {
        match method {
            "find_accounts" => self.find_accounts(params),
            "find_comments" => self.find_comments(params),
            "get_config" => params::none(params).map(|()| self.constants().into()),
            "get_dynamic_global_properties" => {
                params::none(params)?;
                Ok(self.properties(JsonForm::Hf26)?.into())
            }
            "get_version" => params::none(params).map(|()| self.version().into()),
            "list_accounts" => self.list_accounts(params),
            "verify_authority" => self.verify_authority(params),
            "verify_signatures" => self.verify_signatures(params),
            _ => Err(Fault::unknown_method("database_api", method)),
        }
    }
}
