//! Why the node does not take a transaction: [`TransactionError`].

use alive_core::Excerpt;
use serde_json::{Map, Value, json};

use crate::{
    asset::Asset,
    authority::AuthorityError,
    keys::Role,
    signature::SignatureError,
    time::TimePoint,
    transaction::{Tapos, Transaction},
    validate::{
        Invalid, InvalidOperation, MAX_CUSTOM_JSON_AUTHS, MAX_CUSTOM_JSON_BYTES, MAX_NAME_BYTES,
    },
};

use super::{credits::NotEnough, jsonrpc::Fault, posts::PostKey};

/// Why the node does not take a transaction.
///
/// Over JSON-RPC each becomes the error that hived answers with, its code, name and telling words.
/// Source: `spec/hive.md`, section 6.1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// The account to create exists already.
    #[error("account {0} already exists")]
    AccountExists(Box<str>),
    /// The account has as many custom operations waiting for the next block as a block takes.
    #[error("account {0} already submitted {MAX_CUSTOM_OPS} custom json operation(s) this block.")]
    CustomOpLimit(Box<str>),
    /// It is in a block or waits for one already. For a client this is success.
    #[error("Duplicate transaction check failed")]
    Duplicate,
    /// Two signatures come from the same key.
    #[error("Duplicate signature detected")]
    DuplicateSignature,
    /// It expired before the head block.
    #[error("expired at {expiration}, the head block is of {head}")]
    Expired {
        /// When it expired.
        expiration: TimePoint,
        /// Time of the head block.
        head: TimePoint,
    },
    /// It would expire later than a day after the head block, an hour on chains of the former rule.
    #[error("expires at {expiration}, too long after the head block of {head}")]
    ExpiresTooLate {
        /// When it expires.
        expiration: TimePoint,
        /// Time of the head block.
        head: TimePoint,
    },
    /// An account would have to pay, and accounts of a development chain have nothing.
    #[error("account {account} does not have sufficient funds for {amount}")]
    Funds {
        /// Who would pay.
        account: Box<str>,
        /// How much.
        amount: Asset,
    },
    /// It breaks a rule that holds whatever the state of the chain.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The signatures do not meet an authority that it needs.
    #[error("Missing {} Authority {account}", title(*role))]
    MissingAuthority {
        /// Which authority.
        role: Role,
        /// Of which account.
        account: Box<str>,
    },
    /// Operations of the posting authority share a transaction with others, under the rule that forbids it.
    #[error(
        "Transactions with operations required posting authority cannot be combined with transactions requiring \
         active or owner authority."
    )]
    MixedAuthorities,
    /// The account that pays has not enough resource credits.
    #[error(
        "Account: {account} has {has} RC, needs {needs} RC. Please wait to transact, or power up HIVE."
    )]
    NotEnoughCredits {
        /// Who pays.
        account: Box<str>,
        /// What it has.
        has: u64,
        /// What the transaction costs.
        needs: u64,
    },
    /// It breaks a rule of posts and votes.
    #[error(transparent)]
    Post(#[from] PostRefusal),
    /// A signature is refused.
    #[error("{}", signature_text(.0))]
    Signature(SignatureError),
    /// The block that it leans on is not one of this chain's last 65536.
    #[error(
        "block {} of prefix {} is not part of this chain",
        .0.ref_block_num,
        .0.ref_block_prefix
    )]
    Tapos(Tapos),
    /// Too many transactions wait for a block.
    #[error("too many transactions are pending")]
    TooManyPending,
    /// There is no such account.
    #[error("unknown key: no account {0}")]
    UnknownAccount(Excerpt),
    /// A signature is of a key that nothing needs, under the rule that forbids it.
    #[error("Unnecessary signature(s) detected")]
    UnneededSignature,
}

impl From<AuthorityError> for TransactionError {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::Missing { role, account } => Self::MissingAuthority { role, account },
            AuthorityError::MixedWithPosting => Self::MixedAuthorities,
            AuthorityError::UnknownAccount(name) => Self::unknown_account(&name),
            AuthorityError::UnneededSignature => Self::UnneededSignature,
        }
    }
}

/// Which rule of posts and votes an operation breaks, in hived's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostRefusal {
    /// It names beneficiaries after the first vote.
    #[error("Comment must not have been voted on before specifying beneficiaries.")]
    BeneficiariesAfterVote,
    /// It names beneficiaries a second time.
    #[error("Comment already has beneficiaries specified.")]
    BeneficiariesTwice,
    /// Rewards for voters cannot be allowed again.
    #[error("Curation rewards cannot be re-enabled.")]
    CurationAgain,
    /// The account edited a post in the same three seconds.
    #[error("Can only perform one comment edit per block.")]
    EditTooSoon,
    /// The share of HBD can only become smaller.
    #[error("A comment cannot accept a greater percent HBD.")]
    GreaterPercent,
    /// The highest payout can only become smaller.
    #[error("A comment cannot accept a greater payout.")]
    GreaterPayout,
    /// There is no such account to share with.
    #[error("Beneficiary \"{0}\" must exist.")]
    NoBeneficiary(Box<str>),
    /// There is no such post.
    #[error("unknown key: no post {permlink} of {author}")]
    NoPost {
        /// Who would have written it.
        author: Excerpt,
        /// Its permlink.
        permlink: Excerpt,
    },
    /// The author allows no votes.
    #[error("Votes are not allowed on the comment.")]
    NoVotes,
    /// Its seven days are over.
    #[error("Updating parameters for comment that is paid out is forbidden.")]
    OptionsAfterPayout,
    /// It restricts a post that has votes.
    #[error(
        "One of the included comment options requires the comment to have no rshares allocated to it."
    )]
    OptionsAfterVote,
    /// An edit names another parent than the post has.
    #[error("The parent of a comment cannot change.")]
    ParentChanged,
    /// A permlink has something else than small letters, digits and dashes.
    #[error("Invalid permlink character: {0}")]
    PermlinkCharacter(char),
    /// A permlink is empty.
    #[error("Permlink is not a valid size.")]
    PermlinkSize,
    /// The account answered somebody in the same three seconds.
    #[error("You may only comment once every 3 seconds.")]
    ReplyTooSoon,
    /// The same account gave the same vote before.
    #[error("Your current vote on this comment is identical to this vote.")]
    SameVote,
    /// The account posted a short while ago.
    #[error("You may only post once every 5 minutes.")]
    TooSoon,
    /// More beneficiaries than a node lets pass.
    #[error("Cannot specify more than 8 beneficiaries.")]
    TooManyBeneficiaries,
    /// The seven days of the post are over.
    #[error("Votes evaluating for comment that is paid out is forbidden.")]
    VoteAfterPayout,
    /// A first vote has no weight.
    #[error("Vote weight cannot be 0.")]
    VoteOfNothing,
    /// Votes cannot be allowed again.
    #[error("Voting cannot be re-enabled.")]
    VotesAgain,
}

impl PostRefusal {
    pub(super) fn no_post((author, permlink): &PostKey) -> Self {
        Self::NoPost { author: Excerpt::of(author), permlink: Excerpt::of(permlink) }
    }

    /// hived's condition that does not hold, where its error names one that clients look for.
    fn condition(&self) -> &'static str {
        match self {
            Self::EditTooSoon => "_now - auth.last_post_edit >= HIVE_MIN_COMMENT_EDIT_INTERVAL: ",
            Self::OptionsAfterPayout | Self::VoteAfterPayout => "comment_cashout: ",
            Self::ReplyTooSoon => "( _now - auth.last_post ) >= HIVE_MIN_REPLY_INTERVAL_HF20: ",
            Self::SameVote => "itr->vote_percent != o.weight: ",
            Self::TooSoon => "( _now - auth.last_root_post ) > HIVE_MIN_ROOT_COMMENT_INTERVAL: ",
            _ => "",
        }
    }
}

/// Custom operations of one account in one block. Source: `spec/hive.md`, section 4.3.
pub const MAX_CUSTOM_OPS: usize = 5;

/// Codes and names of hived's exceptions. Source: `spec/hive.md`, section 6.1.
const ASSERT: (i64, &str, &str) = (10, "assert_exception", "Assert Exception");
const CREDITS: (i64, &str, &str) = (4_100_100, "not_enough_rc_exception", "not enough RC");
const EXPIRATION: (i64, &str, &str) =
    (4_030_100, "transaction_expiration_exception", "transaction expiration exception");
const TAPOS: (i64, &str, &str) =
    (4_030_200, "transaction_tapos_exception", "transaction tapos exception");
const DUPLICATE_SIGNATURE: (i64, &str, &str) =
    (3_060_000, "tx_duplicate_sig", "duplicate signature included");
const IRRELEVANT_SIGNATURE: (i64, &str, &str) =
    (3_050_000, "tx_irrelevant_sig", "irrelevant signature included");
/// Its number was not recorded; clients tell it by its words.
const MIXED: (i64, &str, &str) = (
    3_000_000,
    "tx_combined_auths_with_posting",
    "posting authority combined with other authorities",
);
const UNKNOWN_KEY: (i64, &str, &str) = (
    13,
    "N5boost16exception_detail10clone_implINS0_19error_info_injectorISt12out_of_rangeEEEE",
    "unknown key",
);

impl TransactionError {
    /// An account that is not there; its name is cut if it is no name at all.
    pub(super) fn unknown_account(name: &str) -> Self {
        const { assert!(MAX_NAME_BYTES <= 32, "an excerpt keeps every name whole") }
        Self::UnknownAccount(Excerpt::of(name))
    }

    /// The answer to a JSON-RPC client.
    pub(super) fn to_fault(&self) -> Fault {
        let (code, name, message) = self.exception();
        let (format, values) = self.format();
        Fault::exception(code, name, message, &format, &values)
    }

    fn exception(&self) -> (i64, &'static str, &'static str) {
        match self {
            Self::DuplicateSignature => DUPLICATE_SIGNATURE,
            Self::Expired { .. } | Self::ExpiresTooLate { .. } => EXPIRATION,
            Self::MissingAuthority { role, .. } => missing(*role),
            Self::MixedAuthorities => MIXED,
            Self::NotEnoughCredits { .. } => CREDITS,
            Self::Post(PostRefusal::NoPost { .. }) | Self::UnknownAccount(_) => UNKNOWN_KEY,
            Self::Tapos(_) => TAPOS,
            Self::UnneededSignature => IRRELEVANT_SIGNATURE,
            _ => ASSERT,
        }
    }

    /// What happened, as hived writes it: a text with names for the values beside it.
    fn format(&self) -> (String, Map<String, Value>) {
        let of = |format: &str, values: Value| match values {
            Value::Object(values) => (format.to_owned(), values),
            _ => (format.to_owned(), Map::new()),
        };
        match self {
            Self::CustomOpLimit(account) => of(
                "insert_info.first->second <= HIVE_CUSTOM_OP_BLOCK_LIMIT: Account ${a} already \
                 submitted ${n} custom json operation(s) this block.",
                json!({ "a": account, "n": MAX_CUSTOM_OPS }),
            ),
            Self::Duplicate => {
                of("!is_known_transaction( trx_id ): Duplicate transaction check failed", json!({}))
            }
            Self::Expired { expiration, head } => of(
                "now < trx.expiration: transaction expired at ${expiration}, now ${now}",
                json!({ "expiration": expiration, "now": head }),
            ),
            Self::ExpiresTooLate { expiration, head } => of(
                "trx.expiration <= now + fc::seconds(HIVE_MAX_TIME_UNTIL_EXPIRATION): transaction \
                 expires at ${expiration}, now ${now}",
                json!({ "expiration": expiration, "now": head }),
            ),
            Self::Funds { account, amount } => of(
                "Account ${acc} does not have sufficient funds for balance adjustment. Required: \
                 ${r}, Current: ${c}",
                json!({
                    "acc": account,
                    "r": amount.to_string(),
                    "c": Asset { amount: 0, symbol: amount.symbol }.to_string(),
                }),
            ),
            Self::Invalid(invalid) => {
                let (format, values) = invalid_format(invalid);
                of(format, values)
            }
            Self::MissingAuthority { role, account } => {
                of(&format!("Missing {} Authority ${{id}}", title(*role)), json!({ "id": account }))
            }
            Self::NotEnoughCredits { account, has, needs } => of(
                "Account: ${account} has ${rc_current} RC, needs ${rc_needed} RC. Please wait to \
                 transact, or power up HIVE.",
                json!({ "account": account, "rc_current": has, "rc_needed": needs }),
            ),
            Self::Post(refusal) => of(&format!("{}{refusal}", refusal.condition()), json!({})),
            Self::Tapos(tapos) => of(
                "trx.ref_block_prefix == tapos_block_summary.block_id: block ${num} of prefix \
                 ${prefix} is not part of this chain",
                json!({ "num": tapos.ref_block_num, "prefix": tapos.ref_block_prefix }),
            ),
            other => of(&other.to_string(), json!({})),
        }
    }
}

impl From<NotEnough> for TransactionError {
    fn from(NotEnough { account, has, needs }: NotEnough) -> Self {
        Self::NotEnoughCredits { account, has, needs }
    }
}

/// hived's words for what is wrong whatever the state of the chain.
fn invalid_format(invalid: &Invalid) -> (&'static str, Value) {
    match invalid {
        Invalid::NoOperations => {
            ("operations.size() > 0: A transaction must have at least one operation", json!({}))
        }
        Invalid::Operation { name, reason, .. } => operation_format(name, reason),
        Invalid::TooLarge(bytes) => (
            "trx_size <= trx_size_limit: Transaction too large - size = ${trx_size}, limit \
             ${trx_size_limit}",
            json!({ "trx_size": bytes, "trx_size_limit": Transaction::MAX_BYTES }),
        ),
    }
}

fn operation_format(name: &str, reason: &InvalidOperation) -> (&'static str, Value) {
    match reason {
        InvalidOperation::AccountName(field) => (
            "Account name in ${field} is invalid: 3 to 16 characters, parts of letters, digits \
             and dashes",
            json!({ "field": field }),
        ),
        InvalidOperation::Amount(field) => {
            ("Amount in ${field} is invalid", json!({ "field": field }))
        }
        InvalidOperation::Auths(0) => {
            ("num_auths > 0: at least one account must be specified", json!({}))
        }
        InvalidOperation::Auths(count) => (
            "num_auths <= HIVE_MAX_AUTHORITY_MEMBERSHIP: Authority membership exceeded. Max: \
             ${max} Current: ${n}",
            json!({ "max": MAX_CUSTOM_JSON_AUTHS, "n": count }),
        ),
        InvalidOperation::Beneficiaries => (
            "Beneficiaries must be specified in sorted order (account ascending), at most 127, \
             and cannot allocate more than 100% of rewards to a comment",
            json!({}),
        ),
        InvalidOperation::Empty(field) if *field == "body" => ("Body is empty", json!({})),
        InvalidOperation::Empty(field) => ("${field} is empty", json!({ "field": field })),
        InvalidOperation::Json { .. } => ("JSON is not valid JSON", json!({})),
        InvalidOperation::Len { field, len, max } => len_format(name, field, *len, *max),
        InvalidOperation::Percent(field) if *field == "weight" => {
            ("Weight is not a HIVE percentage", json!({}))
        }
        InvalidOperation::Percent(_) => ("Percent cannot exceed 100%", json!({})),
    }
}

fn len_format(name: &str, field: &str, len: usize, max: usize) -> (&'static str, Value) {
    match (name, field) {
        ("custom_json", "id") => (
            "id.size() <= HIVE_CUSTOM_OP_ID_MAX_LENGTH: Operation ID length exceeded. Max: \
             ${max} Current: ${n}",
            json!({ "max": max, "n": len }),
        ),
        ("custom_json", "json") => (
            "o.json.length() <= HIVE_CUSTOM_OP_DATA_MAX_LENGTH: Operation JSON must be less than \
             ${bytes} bytes.",
            json!({ "bytes": MAX_CUSTOM_JSON_BYTES }),
        ),
        ("custom_json", _) => (
            "in_len <= sizeof(data): Input too large: (${is}) for fixed size string: (${fs})",
            json!({ "is": len, "fs": max }),
        ),
        (_, "title") => ("Title size limit exceeded.", json!({})),
        (_, "permlink" | "parent_permlink") => ("permlink is too long", json!({})),
        (_, "memo") => ("Transfer memo is too large", json!({})),
        _ => (
            "${field} of ${n} bytes is too long, at most ${max} allowed",
            json!({ "field": field, "n": len, "max": max }),
        ),
    }
}

fn missing(role: Role) -> (i64, &'static str, &'static str) {
    match role {
        Role::Active => (3_010_000, "tx_missing_active_auth", "missing required active authority"),
        Role::Memo => (3_000_000, "transaction_exception", "missing required memo authority"),
        Role::Owner => (3_020_000, "tx_missing_owner_auth", "missing required owner authority"),
        Role::Posting => {
            (3_030_000, "tx_missing_posting_auth", "missing required posting authority")
        }
    }
}

fn title(role: Role) -> &'static str {
    match role {
        Role::Active => "Active",
        Role::Memo => "Memo",
        Role::Owner => "Owner",
        Role::Posting => "Posting",
    }
}

fn signature_text(error: &SignatureError) -> String {
    match error {
        SignatureError::HighS => "signature is not canonical".into(),
        other => format!("unable to reconstruct public key from signature: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::asset::AssetSymbol;

    fn body(error: &TransactionError) -> Value {
        serde_json::from_str(&error.to_fault().to_json()).unwrap()
    }

    fn invalid(name: &'static str, reason: InvalidOperation) -> TransactionError {
        Invalid::Operation { index: 0, name, reason }.into()
    }

    const HEAD: TimePoint = TimePoint::from_unix_secs(1_795_219_200);
    const HIVE: Asset = Asset { amount: 1500, symbol: AssetSymbol::Hive };

    #[rstest]
    #[case(TransactionError::Duplicate, 10, "Duplicate transaction check failed")]
    #[case(TransactionError::DuplicateSignature, 3_060_000, "Duplicate signature detected")]
    #[case(TransactionError::Signature(SignatureError::HighS), 10, "signature is not canonical")]
    #[case(
        TransactionError::CustomOpLimit("alice".into()),
        10,
        "Account alice already submitted 5 custom json operation(s) this block."
    )]
    #[case(TransactionError::unknown_account("nobody"), 13, "unknown key")]
    #[case(
        TransactionError::MissingAuthority { role: Role::Posting, account: "alice".into() },
        3_030_000,
        "missing required posting authority:Missing Posting Authority alice"
    )]
    #[case(
        TransactionError::MissingAuthority { role: Role::Owner, account: "alice".into() },
        3_020_000,
        "Missing Owner Authority alice"
    )]
    #[case(
        TransactionError::MissingAuthority { role: Role::Active, account: "alice".into() },
        3_010_000,
        "missing required active authority:Missing Active Authority alice"
    )]
    #[case(
        TransactionError::Tapos(Tapos { ref_block_num: 1, ref_block_prefix: 2 }),
        4_030_200,
        "transaction tapos exception"
    )]
    #[case(
        TransactionError::Expired { expiration: HEAD, head: HEAD },
        4_030_100,
        "transaction expiration exception"
    )]
    #[case(
        TransactionError::NotEnoughCredits { account: "alice".into(), has: 5, needs: 7 },
        4_100_100,
        "Account: alice has 5 RC, needs 7 RC. Please wait to transact, or power up HIVE."
    )]
    #[case(
        TransactionError::Funds { account: "alice".into(), amount: HIVE },
        10,
        "Account alice does not have sufficient funds for balance adjustment. Required: 1.500 HIVE, Current: 0.000 HIVE"
    )]
    #[case(Invalid::TooLarge(65_537).into(), 10, "Transaction too large - size = 65537, limit 65536")]
    #[case(Invalid::NoOperations.into(), 10, "at least one operation")]
    #[case(
        invalid("custom_json", InvalidOperation::Len { field: "id", len: 33, max: 32 }),
        10,
        "Operation ID length exceeded. Max: 32 Current: 33"
    )]
    #[case(
        invalid("custom_json", InvalidOperation::Len { field: "json", len: 8193, max: 8192 }),
        10,
        "Operation JSON must be less than 8192 bytes."
    )]
    #[case(
        invalid("custom_json", InvalidOperation::Auths(41)),
        10,
        "Authority membership exceeded. Max: 40 Current: 41"
    )]
    #[case(invalid("custom_json", InvalidOperation::Auths(0)), 10, "at least one account must be")]
    #[case(
        invalid("comment", InvalidOperation::Len { field: "title", len: 256, max: 255 }),
        10,
        "Title size limit exceeded."
    )]
    #[case(invalid("comment", InvalidOperation::Empty("body")), 10, "Body is empty")]
    #[case(PostRefusal::TooSoon.into(), 10, "You may only post once every 5 minutes.")]
    #[case(PostRefusal::PermlinkCharacter('A').into(), 10, "Invalid permlink character: A")]
    #[case(
        PostRefusal::no_post(&("alice".into(), "p".into())).into(),
        13,
        "unknown key"
    )]
    fn every_refusal_has_the_code_and_the_words_of_hived(
        #[case] error: TransactionError,
        #[case] code: i64,
        #[case] words: &str,
    ) {
        let body = body(&error);
        assert_eq!(body["code"], -32003);
        assert_eq!(body["data"]["code"], code);
        assert!(body["message"].as_str().unwrap().contains(words), "{body}");
        let general = body["data"]["message"].as_str().unwrap();
        assert!(body["message"].as_str().unwrap().starts_with(&format!("{general}:")), "{body}");
        let frame = &body["data"]["stack"][0];
        // Every name in the format has a value.
        let format = frame["format"].as_str().unwrap();
        for part in format.split("${").skip(1) {
            assert!(frame["data"].get(part.split_once('}').unwrap().0).is_some(), "{body}");
        }
        assert!(!body["message"].as_str().unwrap().contains("${"), "{body}");
    }
}
