#![doc = include_str!("../README.md")]

mod asset;
mod authority;
mod block;
mod block_id;
mod block_reader;
mod block_text;
mod comment_extension;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod cost;
#[cfg(feature = "devnet")]
pub mod devnet;
mod extract;
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "haf")]
pub mod haf;
mod header;
mod hex_text;
mod json_form;
#[cfg(any(feature = "devnet", feature = "forward"))]
mod jsonrpc;
mod key_changes;
mod keys;
mod merkle;
mod network;
mod nonce;
mod operation;
mod plain_transactions;
pub mod post;
#[cfg(feature = "rpc")]
pub mod rpc;
mod scan;
mod scheme;
mod serialize;
mod sign;
mod signature;
mod strict_json;
mod time;
mod transaction;
mod validate;

pub use asset::{Asset, AssetError, AssetSymbol};
pub use authority::{
    Authority, AuthorityError, AuthorityRule, MAX_ACCOUNTS, MAX_DEPTH, MAX_MEMBERS,
};
pub use block::{BlockMismatch, ReportedBlock, SignedBlock};
pub use block_id::{BlockId, TransactionId};
pub use block_reader::{BlockReader, BlockTextError};
pub use comment_extension::{Beneficiary, CommentExtension};
pub use extract::{BlockAnswer, ExtractedBlock, ExtractedOp, extract_blocks};
pub use header::{
    BlockHeader, ChainVersion, ChainVersionError, HeaderError, HeaderExtension, SignedHeader,
};
pub use hex_text::HexError;
pub use json_form::{JsonError, JsonForm, JsonReason};
pub use key_changes::accounts_with_new_keys;
pub use keys::{KeyError, PrivateKey, PublicKey, Role};
pub use merkle::MerkleRoot;
pub use network::{
    ChainId, HiveNetwork, HiveNetworkError, KeyPrefix, KeyPrefixError, Symbol, SymbolError,
};
pub use operation::{
    AccountCreate, AccountUpdate2, Comment, CommentOptions, CustomJson, Operation, Transfer,
    TransferToVesting, Vote,
};
pub use scheme::GraphenePlain;
pub use serialize::{DecodeError, DecodeReason, NoExtensions, Pack};
pub use signature::{RecoverRule, RecoverableSignature, SignAlgorithm, SignatureError};
pub use strict_json::{MAX_JSON_DEPTH, StrictJsonError, check_strict_json};
pub use time::{TimePoint, TimePointError};
pub use transaction::{RequiredAuthorities, SignedTransaction, Tapos, Transaction};
pub use validate::{
    Invalid, InvalidOperation, MAX_CUSTOM_JSON_AUTHS, MAX_CUSTOM_JSON_BYTES,
    MAX_CUSTOM_JSON_ID_BYTES, MAX_NAME_BYTES, MIN_NAME_BYTES, is_account_name,
};
