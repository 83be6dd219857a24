#![doc = include_str!("../README.md")]

mod account;
mod authority;
mod bandwidth;
mod block;
mod bson;
#[cfg(feature = "testing")]
pub mod conformance;
mod design_2021;
#[cfg(feature = "devnet")]
pub mod devnet;
mod digest;
#[doc(hidden)]
pub mod fuzzing;
mod json_ref;
mod json_text;
mod keys;
mod playlist;
pub mod post;
#[cfg(feature = "rpc")]
pub mod rpc;
mod scheme;
mod signature;
mod stream_tx;
mod transaction;
mod unsendable;
mod user_name;
mod validate;

pub use account::{Account, AccountError, AccountKey, CustomKey, KeyOfOther};
pub use authority::{AuthorityError, Signatures, verify as verify_signatures};
pub use bandwidth::{Growing, Growth, MAX_BANDWIDTH};
pub use block::{Block, BlockError, BlockHashing, FIRST_PLAYLIST_BLOCK};
pub use bson::BsonRefusal;
pub use design_2021::{Design2021, Refusal2021};
pub use digest::{Hash, HashError};
pub use json_ref::{JsonMember, JsonRef};
pub use json_text::{JsonText, JsonTextError, JsonTextReason};
pub use keys::{KeyError, PrivateKey, PublicKey};
pub use playlist::{
    MAX_CONTENT_LEN, MAX_ENTRIES, MAX_ENTRY_ID, MAX_JSON_LEN, MAX_LINK_LEN, MIN_LINK_LEN,
    PLAYLIST_JSON, PLAYLIST_POP, PLAYLIST_PUSH, Playlist, PlaylistRefusal, PlaylistTx,
};
pub use scheme::AvalonPlain;
pub use signature::{RecoveryId, Signature, SignatureTextError};
pub use stream_tx::{StreamTx, StreamTxError, chat_archives, stream_ops, stream_ops_of};
pub use transaction::{Parts, SignedTransaction, Transaction};
pub use unsendable::{MAX_DEPTH, Unsendable};
pub use user_name::{MAX_NAME_LEN, is_user_name};
pub use validate::{
    ChainState, MASTER, Moment, Refusal, TX_EXPIRATION_MAX_MS, TX_EXPIRATION_MS, Valid, validate,
};
