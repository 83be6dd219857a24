//! Whether a node takes a transaction: [`validate`], the checks of the reference node in their order.

use crate::{
    account::Account,
    authority::{self, AuthorityError, Signatures},
    bson::{self, BsonRefusal},
    digest::Hash,
    json_ref::JsonRef,
    json_text::{JsonText, utf16_len},
    playlist::{Playlist, PlaylistRefusal, PlaylistTx},
    transaction::{Parts, SIGNING, pieces},
    user_name::is_user_name,
};

/// How long after its time a transaction can be put into a block, in milliseconds.
/// Source of these: `spec/avalon.md`, section 1.
pub const TX_EXPIRATION_MS: i64 = 60_000;
/// How long before its time a transaction is taken, in milliseconds.
pub const TX_EXPIRATION_MAX_MS: i64 = 3_600_000;
/// The account that rules the chain and pays no bandwidth.
pub const MASTER: &str = "dtube";

/// Types that only the master may use.
const MASTER_ONLY: [i64; 2] = [14, 15];
/// Types that pass through BSON when they are checked. Source: `spec/avalon.md`, section 5.
const BSON_CHECKED: [i64; 19] =
    [3, 4, 5, 6, 10, 13, 19, 20, 25, 26, 28, 29, 31, 33, 34, 36, 37, 38, 39];
/// The greatest type there is; 9 is none.
const LAST_TYPE: i64 = 39;

/// What must be known of a chain to judge a transaction.
pub trait ChainState {
    /// An account.
    fn account(&self, name: &str) -> Option<&Account>;

    /// A playlist.
    fn playlist(&self, sender: &str, link: &str) -> Option<&Playlist>;

    /// Whether a block that counts holds this transaction already.
    fn is_recent(&self, hash: &Hash) -> bool;

    /// Checks the data of a transaction that is not about playlists.
    ///
    /// # Errors
    /// The words of the refusal. A chain that does not know the type says so.
    fn check_other(&self, kind: i64, sender: &str, transaction: &Parts<'_>) -> Result<(), String> {
        let _ = (sender, transaction);
        Err(format!("forbidden transaction type {kind}"))
    }
}

/// The two times that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The clock when a node is asked, the block's time inside a block; in milliseconds since 1970.
    pub now_ms: i64,
    /// Time of the last block.
    pub head_ms: i64,
}

/// A transaction that passed all checks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Valid {
    /// Its type.
    pub kind: i64,
    /// Its sender.
    pub sender: Box<str>,
    /// Its id.
    pub hash: Hash,
    /// Its own time.
    pub ts_ms: i64,
    /// The bandwidth it takes.
    pub cost: usize,
}

/// Why a node refuses a transaction, in the words of the reference node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Signatures do not suffice.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// It does not survive BSON.
    #[error(transparent)]
    Bson(#[from] BsonRefusal),
    /// The clock is behind the account's last use of bandwidth; the reference says no more.
    #[error("error debug")]
    Clock,
    /// The data is no object.
    #[error("invalid tx data")]
    Data,
    /// It is in a block already.
    #[error("transaction already in chain")]
    Duplicate,
    /// It expired before the last block.
    #[error("invalid timestamp")]
    Expired,
    /// It has no hash.
    #[error("invalid tx hash")]
    HashForm,
    /// The hash is another one.
    #[error("invalid tx hash does not match")]
    HashMismatch,
    /// The master account does not use this type.
    #[error("master dao account cannot transact with type {0}")]
    Master(i64),
    /// Only the master account may use this type.
    #[error("only \"{MASTER}\" can execute this transaction type")]
    MasterOnly,
    /// An item of the list of signatures is no text and number.
    #[error("invalid multisig tx signature #{0}")]
    MultisigForm(usize),
    /// The account has too little bandwidth.
    #[error("need more bandwidth ({0} B)")]
    NeedBandwidth(i64),
    /// The account never had bandwidth.
    #[error("user has no bandwidth object")]
    NoBandwidth,
    /// A rule of its type.
    #[error("{0}")]
    Other(String),
    /// A rule of playlists.
    #[error(transparent)]
    Playlist(#[from] PlaylistRefusal),
    /// The sender is no name.
    #[error("invalid tx sender")]
    Sender,
    /// It has no signature.
    #[error("invalid tx signature")]
    SignatureForm,
    /// It has no time.
    #[error("invalid tx ts")]
    Time,
    /// It is too far in the future.
    #[error("timestamp expiration exceeds max limit of {TX_EXPIRATION_MAX_MS}ms")]
    TooEarly,
    /// It has no type.
    #[error("invalid tx type")]
    Type,
    /// There is no such type; the reference throws.
    #[error("forbidden transaction type {0}")]
    Unknown(i64),
}

/// Checks a transaction as a node does that was asked to publish it.
///
/// A pop of a missing playlist passes, as it does there; a node of ours refuses it beside. Source: `spec/avalon.md`,
/// section 5.
///
/// # Errors
/// [`Refusal`], of the first check that fails.
pub fn validate(
    transaction: &Parts<'_>,
    state: &impl ChainState,
    moment: Moment,
) -> Result<Valid, Refusal> {
    let form = form(transaction)?;
    let Form { kind, ref sender, ts_ms, ref signatures } = form;
    if sender == MASTER {
        if !master_may(kind) {
            return Err(Refusal::Master(kind));
        }
    } else if MASTER_ONLY.contains(&kind) {
        return Err(Refusal::MasterOnly);
    }
    if moment.head_ms - ts_ms > TX_EXPIRATION_MS {
        return Err(Refusal::Expired);
    }
    if ts_ms - moment.now_ms > TX_EXPIRATION_MAX_MS {
        return Err(Refusal::TooEarly);
    }
    let hash = transaction.computed_hash();
    let same = transaction.hash.and_then(JsonRef::quoted).is_some_and(|text| hash.is_written(text));
    if same && state.is_recent(&hash) {
        return Err(Refusal::Duplicate);
    }
    if !same {
        return Err(Refusal::HashMismatch);
    }
    if kind == 9 || kind > LAST_TYPE {
        return Err(Refusal::Unknown(kind));
    }
    if BSON_CHECKED.contains(&kind) {
        let body = JsonText::of_canonical(pieces(transaction.whole, &SIGNING).concat());
        bson::check(body.root())?;
    }
    let account = state.account(sender);
    let other = |name: &str| state.account(name);
    authority::verify(signatures, &hash, Some(kind), account, other)?;
    let cost = utf16_len(transaction.whole.as_str());
    let account = account.ok_or(AuthorityError::Invalid)?;
    check_bandwidth(account, cost, moment.now_ms)?;
    match transaction.data.and_then(|data| PlaylistTx::read(kind, data)) {
        Some(read) => {
            let read = read?;
            read.check(read.link().and_then(|link| state.playlist(sender, link)))?;
        }
        None => state.check_other(kind, sender, transaction).map_err(Refusal::Other)?,
    }
    Ok(Valid { kind, sender: sender.as_str().into(), hash, ts_ms, cost })
}

/// What every transaction has.
struct Form {
    kind: i64,
    sender: String,
    ts_ms: i64,
    signatures: Signatures,
}

fn form(transaction: &Parts<'_>) -> Result<Form, Refusal> {
    let kind = transaction.kind.ok_or(Refusal::Type)?;
    transaction.data.ok_or(Refusal::Data)?;
    let sender = transaction.sender.and_then(JsonRef::to_text);
    let sender = sender.filter(|name| is_user_name(name)).ok_or(Refusal::Sender)?;
    let ts_ms = transaction.ts_ms.ok_or(Refusal::Time)?;
    transaction
        .hash
        .filter(|hash| hash.is_string() && hash.is_truthy())
        .ok_or(Refusal::HashForm)?;
    let signature = transaction.signature.filter(|signature| signature.is_truthy());
    let signature = signature.ok_or(Refusal::SignatureForm)?;
    if signature.is_array() {
        for (at, item) in signature.items().enumerate() {
            let mut parts = item.items();
            let (text, id, more) = (parts.next(), parts.next(), parts.next());
            let text = text.is_some_and(JsonRef::is_string);
            let whole = id.and_then(JsonRef::to_number).is_some_and(|id| id.fract() == 0.0);
            if !(text && whole && more.is_none()) {
                return Err(Refusal::MultisigForm(at));
            }
        }
    }
    let signatures = Signatures::read(signature).ok_or(Refusal::SignatureForm)?;
    Ok(Form { kind, sender: sender.into_owned(), ts_ms, signatures })
}

/// Source: `spec/avalon.md`, section 5, "master account".
fn master_may(kind: i64) -> bool {
    matches!(kind, 0 | 4..=6 | 10..=15 | 17 | 19..=21 | 23..=30 | 32)
}

fn check_bandwidth(account: &Account, cost: usize, now_ms: i64) -> Result<(), Refusal> {
    account.bandwidth.ok_or(Refusal::NoBandwidth)?;
    let available = account.bandwidth_at(now_ms).ok_or(Refusal::Clock)?;
    #[expect(clippy::cast_precision_loss, reason = "a transaction is far shorter than 2^53")]
    let missing = cost as f64 - available.value;
    if missing > 0.0 && &*account.name != MASTER {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most the length of a transaction"
        )]
        return Err(Refusal::NeedBandwidth(missing as i64));
    }
    Ok(())
}
