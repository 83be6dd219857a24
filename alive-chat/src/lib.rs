#![doc = include_str!("../README.md")]

mod approval;
mod archive;
mod blacklist;
#[cfg(feature = "testing")]
pub mod conformance;
mod desk;
mod fields;
#[cfg(test)]
mod fixtures;
#[doc(hidden)]
pub mod fuzzing;
mod intake;
mod json_text;
mod limits;
mod look_alike;
mod memory;
#[cfg(test)]
mod memory_tests;
mod message;
mod moderation;
mod moment;
mod networks;
mod paths;
mod request;
mod room;
mod rules;
mod safe_text;
#[cfg(feature = "session")]
mod session;
mod sign;
mod stream_chat;
#[cfg(feature = "testing")]
pub mod testing;
mod transport;
mod verified;

pub use approval::{ApprovalPolicy, Approver, Decision, check_applicant};
pub use archive::{
    ArchiveError, ArchiveFilter, ArchiveLine, ArchiveLog, ArchiveReader, ArchiveSorter,
    ArchiveWriteError, ArchiveWriter, LogError, SortError, SortedMessages,
};
pub use blacklist::{BLACKLIST_INTERVAL, Blacklist, SharedBlacklist};
pub use desk::{DeskEffect, RequestDesk};
pub use fields::{FieldValue, MessageError, SignatureText};
pub use intake::Peer;
pub use limits::Rate;
pub use look_alike::{resembles, skeleton};
pub use memory::MemoryChat;
pub use message::Message;
pub use moderation::{Entry, Hidden, Rule, Rulebook};
pub use moment::Moment;
pub use networks::{Account, AccountError, Family, Networks, NetworksError};
pub use request::AccessRequest;
pub use room::{Room, RoomConfig, RoomEffect};
pub use rules::{
    Arrival, MAX_DRIFT_MS, MAX_REQUEST_AHEAD_MS, Refusal, Standing, check_message_time,
    check_request_time, check_sender,
};
pub use safe_text::SafeText;
#[cfg(feature = "session")]
pub use session::{
    ChatSession, Joined, Outcome, SessionBackends, SessionConfig, SessionError, SessionEvent,
    SessionEvents, SessionUpdate, system_clock,
};
pub use sign::{SharedSigner, SignError, Signer, SignerError};
pub use stream_chat::{Signed, StreamChat};
pub use transport::{
    ChatEvent, ChatEvents, ChatTransport, Delivery, HistoryPage, Item, SharedChatTransport,
};
pub use verified::{KeySet, Recovered, Verified};
