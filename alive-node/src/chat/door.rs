//! What a visitor sends, looked at before it goes to the others: [`Door`].
//!
//! Who only reads the transport checks all of this again. It is checked here so that a page hears at once why something does
//! not count, and so that this node brings nothing into AliveDB that nobody will show.

use std::time::Duration;

use alive_chat::{
    AccessRequest, Account, Arrival, KeySet, Message, MessageError, Networks, Refusal,
    SessionError, Signed, Standing, check_applicant, check_message_time, check_request_time,
    check_sender, system_clock,
};
use alive_core::backend::{
    AccountAuthority, AccountKeys as _, Authority, Digest, PublicKeyBytes, SharedAccountKeys,
    SignatureError,
};
use governor::clock::{Clock as _, DefaultClock};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::{board::Board, followed::Followed};

/// How long a chain may take to tell keys.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who is let in, and by which keys he is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door<'r> {
    pub(super) networks: &'r Networks,
    pub(super) keys: &'r [SharedAccountKeys],
}

/// A network as pages need to know it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct NetworkForm<'n> {
    pub(super) name: &'n str,
    /// Whether signatures are as Avalon's: base58, with a recovery id beside them.
    pub(super) recovery_id: bool,
}

impl<'n> NetworkForm<'n> {
    pub(crate) fn name(&self) -> &'n str {
        self.name
    }
}

/// Why something that was sent does not count.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Turned {
    #[error(transparent)]
    Form(#[from] MessageError),
    #[error("no such JSON object")]
    Json,
    #[error("the keys of the account cannot be had now")]
    Keys,
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the chat cannot be written to now")]
    Session(#[source] SessionError),
    #[error("its signature: {0}")]
    Signature(#[from] SignatureError),
    #[error("too soon after the message before: {} s to wait", .0.as_secs_f64().ceil())]
    Soon(Duration),
    #[error("the chat has not been read yet")]
    Unread,
}

impl Turned {
    /// A short name without details, by which these are counted.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Form(_) | Self::Json => "form",
            Self::Keys => "unavailable",
            Self::Refused(why) => why.name(),
            Self::Session(_) => "session",
            Self::Signature(_) => "signature",
            Self::Soon(_) => "rate",
            Self::Unread => "unread",
        }
    }
}

/// An account as a reader of the chat needs to know it.
#[derive(Debug, Serialize, ToSchema)]
#[expect(
    clippy::option_option,
    reason = "that there is no account and that nobody can tell differ"
)]
pub(crate) struct ChatAccount {
    /// Its full name, `network/name`.
    account: String,
    /// `approved`, `banned` or `unknown`.
    standing: &'static str,
    /// Its keys; null when there is no such account, absent when they cannot be had now.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Option<ChatKeys>>,
}

/// Public keys, 33 bytes each in hexadecimal digits.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ChatKeys {
    posting: Vec<String>,
    active: Vec<String>,
    owner: Vec<String>,
}

/// An access request as it is sent: with the account, which elsewhere stands in the path.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestForm<'j> {
    u: String,
    n: String,
    #[serde(borrow)]
    s: &'j RawValue,
    #[serde(borrow, default)]
    r: Option<&'j RawValue>,
    #[serde(borrow)]
    t: &'j RawValue,
}

impl Door<'_> {
    /// Takes a message that was signed elsewhere and gives it to all.
    pub(crate) async fn say(&self, room: &Followed, json: &str) -> Result<Digest, Turned> {
        let message = Message::from_json(self.networks, json)?;
        let (now, account) = (system_clock(), message.account().clone());
        check_message_time(&message, now, Arrival::Live(now))?;
        check_sender(self.read_standing(room, &account).await?, false)?;
        let is_streamer = &account == room.session().chat().streamer();
        let wait = room.on_board(|board| board.wait(&account, message.time()));
        if let Some(ms) = wait.filter(|_| !is_streamer) {
            return Err(Turned::Soon(Duration::from_secs_f64(ms / 1000.0)));
        }
        let digest = self.check_key(room, message.clone()).await?;
        if room.on_board(|board| board.has(&digest)) {
            return Err(Refusal::Duplicate.into());
        }
        // Only what the account itself has signed counts, so nobody can use up the rate of another.
        room.accounts()
            .check_key(&account)
            .map_err(|until| Turned::Soon(until.wait_time_from(DefaultClock::default().now())))?;
        room.session().publish(message).await.map_err(turned)
    }

    /// Takes a request for access that was signed elsewhere and gives it to the streamer.
    pub(crate) async fn ask(&self, room: &Followed, json: &str) -> Result<(), Turned> {
        let request = read_request(self.networks, json)?;
        let now = system_clock();
        check_request_time(&request, now, now)?;
        check_applicant(self.read_standing(room, request.account()).await?, false)?;
        self.check_key(room, request.clone()).await?;
        room.session().publish_request(request).await.map_err(turned)
    }

    /// Reads the name of an account.
    pub(crate) fn account(&self, text: &str) -> Option<Account> {
        let (network, name) = text.split_once('/')?;
        self.networks.account(network, name).ok()
    }

    /// What is said about an account.
    pub(crate) async fn standing(
        &self,
        room: &Followed,
        account: &Account,
    ) -> Result<Standing, Turned> {
        room.session().standing(account).await.map_err(turned)
    }

    /// The same once the rules have been read: before, nobody would be known.
    async fn read_standing(&self, room: &Followed, account: &Account) -> Result<Standing, Turned> {
        if !room.on_board(Board::is_caught_up) {
            return Err(Turned::Unread);
        }
        self.standing(room, account).await
    }

    /// What a reader needs to know of an account.
    pub(crate) async fn known(&self, account: &Account, standing: Standing) -> ChatAccount {
        let keys = match self.authority(account, false).await {
            Ok(authority) => Some(authority.as_ref().map(ChatKeys::of)),
            Err(_) => None,
        };
        let standing = match standing {
            Standing::Approved => "approved",
            Standing::Banned => "banned",
            Standing::Unknown => "unknown",
        };
        ChatAccount { account: account.to_string(), standing, keys }
    }

    /// Checks that a key of the account made the signature, for this chat.
    async fn check_key<M: Signed>(&self, room: &Followed, signed: M) -> Result<Digest, Turned> {
        let account = signed.account().clone();
        let recovered = room.session().chat().recover(signed)?;
        for again in [false, true] {
            let Some(authority) = self.authority(&account, again).await? else {
                return Err(Refusal::NoAccount.into());
            };
            if recovered.is_allowed(&KeySet::from(&authority)) {
                return Ok(*recovered.digest());
            }
        }
        Err(Refusal::Key.into())
    }

    /// Asks the chain, `again` if what it said before may be out of date.
    async fn authority(
        &self,
        account: &Account,
        again: bool,
    ) -> Result<Option<AccountAuthority>, Turned> {
        let keys = self.keys.iter().find(|keys| keys.network() == account.network());
        let keys = keys.ok_or(Turned::Keys)?;
        let asked = async {
            if again {
                keys.authority_again(account.name()).await
            } else {
                keys.authority(account.name()).await
            }
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(authority)) => Ok(authority),
            Ok(Err(_)) | Err(_) => Err(Turned::Keys),
        }
    }
}

impl ChatKeys {
    fn of(authority: &AccountAuthority) -> Self {
        let text =
            |(PublicKeyBytes(key), _): &(PublicKeyBytes, _)| data_encoding::HEXLOWER.encode(key);
        let texts = |role: &Authority| role.keys.iter().map(text).collect();
        Self {
            posting: texts(&authority.posting),
            active: texts(&authority.active),
            owner: texts(&authority.owner),
        }
    }
}

/// Reads an access request as it is sent.
fn read_request(networks: &Networks, json: &str) -> Result<AccessRequest, Turned> {
    let RequestForm { u, n, s, r, t } = serde_json::from_str(json).map_err(|_| Turned::Json)?;
    let account = networks.account(&n, &u).map_err(MessageError::from)?;
    let r = r.map(|r| format!(",\"r\":{r}")).unwrap_or_default();
    let json = format!("{{\"s\":{s}{r},\"t\":{t}}}");
    Ok(AccessRequest::from_json(networks, account, &json)?)
}

/// Any text is a request or is not; one that is says the same when it is written and read again.
///
/// # Panics
/// It does not.
pub fn fuzz_request(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let networks = alive_chat::fuzzing::networks();
    let Ok(request) = read_request(&networks, text) else { return };
    let account = request.account().clone();
    let again = AccessRequest::from_json(&networks, account, &request.to_string());
    assert_eq!(again, Ok(request));
}

fn turned(error: SessionError) -> Turned {
    match error {
        SessionError::Refused(why) => Turned::Refused(why),
        other => Turned::Session(other),
    }
}
