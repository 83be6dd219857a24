//! What hived refuses before it looks at accounts: [`Transaction::validate`].
//!
//! The rules for `custom_json`, names and sizes are those of `spec/hive.md`, section 4.3. The bounds of the other
//! operations are hived's as far as they are generally known; they matter for the development node and for clients
//! that want to hear of a mistake before they broadcast.

use crate::{
    asset::{Asset, AssetSymbol},
    authority::Authority,
    comment_extension::{Beneficiary, CommentExtension},
    operation::{
        AccountCreate, AccountUpdate2, Comment, CommentOptions, CustomJson, Operation, Transfer,
        TransferToVesting, Vote,
    },
    serialize::Pack,
    strict_json::{StrictJsonError, check_strict_json},
    transaction::{SignedTransaction, Transaction},
};

/// Longest account name, in bytes.
pub const MAX_NAME_BYTES: usize = 16;
/// Shortest account name, and shortest part of one between dots, in bytes.
pub const MIN_NAME_BYTES: usize = 3;
/// Most accounts in both lists of a `custom_json` together.
pub const MAX_CUSTOM_JSON_AUTHS: usize = 40;
/// Longest id of a `custom_json`, in bytes.
pub const MAX_CUSTOM_JSON_ID_BYTES: usize = 32;
/// Longest data of a `custom_json`, in bytes.
pub const MAX_CUSTOM_JSON_BYTES: usize = 8192;
/// Title and permlink are shorter than this, in bytes.
const TEXT_BYTES: usize = 256;
/// A memo is shorter than this, in bytes.
const MEMO_BYTES: usize = 2048;
/// 100 percent, as the chain counts shares.
const HUNDRED_PERCENT: u16 = 10_000;
/// A post has fewer beneficiaries than this.
const BENEFICIARIES: usize = 128;

/// Whether a new account could have this name: 3 to 16 bytes, parts of at least 3 between dots, each starting with a
/// letter, ending with a letter or digit, of lower-case letters, digits and dashes.
///
/// ```
/// assert!(alive_hive::is_account_name("alive.test"));
/// assert!(!alive_hive::is_account_name("abc.de"));
/// ```
pub fn is_account_name(name: &str) -> bool {
    let part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.len() >= MIN_NAME_BYTES
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.last().is_some_and(|byte| *byte != b'-')
            && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    name.len() <= MAX_NAME_BYTES && name.split('.').all(part)
}

/// Why a transaction is refused whatever the state of the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// An operation breaks a rule.
    #[error("operation {index} ({name}): {reason}")]
    Operation {
        /// Which operation, from 0.
        index: usize,
        /// Its name.
        name: &'static str,
        /// Which rule.
        reason: InvalidOperation,
    },
    /// It has no operation.
    #[error("a transaction needs an operation")]
    NoOperations,
    /// It has this many bytes.
    #[error("{0} bytes, {max} allowed", max = Transaction::MAX_BYTES)]
    TooLarge(usize),
}

/// Which rule an operation breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOperation {
    /// The field is no account name.
    #[error("{0} is no account name")]
    AccountName(&'static str),
    /// The amount is of the wrong currency, or not positive where it must be.
    #[error("{0} is not an amount that the chain takes here")]
    Amount(&'static str),
    /// This many accounts are to sign a `custom_json`.
    #[error("{0} accounts to sign, 1 to {MAX_CUSTOM_JSON_AUTHS} allowed")]
    Auths(usize),
    /// The beneficiaries are not sorted, stand there twice, are too many, or share more than everything.
    #[error("beneficiaries are unsorted, repeated, too many or share more than 100 %")]
    Beneficiaries,
    /// The field must not be empty.
    #[error("{0} must not be empty")]
    Empty(&'static str),
    /// The JSON text is not one that a client may send.
    #[error("{field}: {source}")]
    Json {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        source: StrictJsonError,
    },
    /// The field has this many bytes.
    #[error("{field} of {len} bytes, at most {max} allowed")]
    Len {
        /// The field.
        field: &'static str,
        /// Its bytes.
        len: usize,
        /// How many are allowed.
        max: usize,
    },
    /// The share is above 100 percent.
    #[error("{0} is above 100 %")]
    Percent(&'static str),
}

type Checked = Result<(), InvalidOperation>;
/// Says what is wrong with a text that must be JSON.
pub(crate) type JsonRule = fn(&str) -> Result<(), StrictJsonError>;

impl Transaction {
    /// Refuses what hived refuses whatever the state of the chain, and also a `custom_json` whose data is not strict
    /// JSON, which hived lets pass but readers do not.
    ///
    /// Not checked, since they need the chain: expiration, the referenced block, duplicates, authorities.
    ///
    /// # Errors
    /// [`Invalid`] says which operation breaks which rule.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.validate_with(check_strict_json)
    }

    /// [`Self::validate`] with another judge of what is JSON.
    fn validate_with(&self, json: JsonRule) -> Result<(), Invalid> {
        if self.operations.is_empty() {
            return Err(Invalid::NoOperations);
        }
        for (index, operation) in self.operations.iter().enumerate() {
            let name = operation.name();
            let invalid = |reason| Invalid::Operation { index, name, reason };
            check_operation(operation, json).map_err(invalid)?;
        }
        check_size(self.to_bytes(Pack::Legacy).len())
    }
}

impl SignedTransaction {
    /// [`Transaction::validate`], with the signatures counted in the size.
    ///
    /// # Errors
    /// [`Invalid`] says which operation breaks which rule.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.validate_with(check_strict_json)
    }

    /// [`Self::validate`] with another judge of what is JSON, as a node needs.
    pub(crate) fn validate_with(&self, json: JsonRule) -> Result<(), Invalid> {
        self.transaction.validate_with(json)?;
        check_size(self.to_bytes(Pack::Legacy).len())
    }
}

fn check_size(bytes: usize) -> Result<(), Invalid> {
    if bytes > Transaction::MAX_BYTES { Err(Invalid::TooLarge(bytes)) } else { Ok(()) }
}

fn check_operation(operation: &Operation, json: JsonRule) -> Checked {
    match operation {
        Operation::AccountCreate(op) => check_account_create(op, json),
        Operation::AccountUpdate2(op) => check_account_update(op, json),
        Operation::Comment(op) => check_comment(op, json),
        Operation::CommentOptions(op) => check_comment_options(op),
        Operation::CustomJson(op) => check_custom_json(op, json),
        Operation::Transfer(op) => check_transfer(op),
        Operation::TransferToVesting(op) => check_vesting(op),
        Operation::Vote(op) => check_vote(op),
    }
}

fn check_custom_json(op: &CustomJson, json: JsonRule) -> Checked {
    let auths = op.required_auths.len() + op.required_posting_auths.len();
    if auths == 0 || auths > MAX_CUSTOM_JSON_AUTHS {
        return Err(InvalidOperation::Auths(auths));
    }
    // Names are bounded here, since longer ones do not even parse, and not looked at more closely.
    for name in &op.required_auths {
        check_len("required_auths", name, MAX_NAME_BYTES)?;
    }
    for name in &op.required_posting_auths {
        check_len("required_posting_auths", name, MAX_NAME_BYTES)?;
    }
    check_len("id", &op.id, MAX_CUSTOM_JSON_ID_BYTES)?;
    check_len("json", &op.json, MAX_CUSTOM_JSON_BYTES)?;
    check_json("json", &op.json, json)
}

fn check_vote(op: &Vote) -> Checked {
    check_name("voter", &op.voter)?;
    check_name("author", &op.author)?;
    check_len("permlink", &op.permlink, TEXT_BYTES - 1)?;
    check_percent("weight", op.weight.unsigned_abs())
}

fn check_comment(op: &Comment, json: JsonRule) -> Checked {
    check_len("title", &op.title, TEXT_BYTES - 1)?;
    if op.body.is_empty() {
        return Err(InvalidOperation::Empty("body"));
    }
    if !op.parent_author.is_empty() {
        check_name("parent_author", &op.parent_author)?;
    }
    check_name("author", &op.author)?;
    check_len("parent_permlink", &op.parent_permlink, TEXT_BYTES - 1)?;
    check_len("permlink", &op.permlink, TEXT_BYTES - 1)?;
    check_metadata("json_metadata", &op.json_metadata, json)
}

fn check_comment_options(op: &CommentOptions) -> Checked {
    check_name("author", &op.author)?;
    check_len("permlink", &op.permlink, TEXT_BYTES - 1)?;
    check_amount("max_accepted_payout", op.max_accepted_payout, AssetSymbol::Hbd, 0)?;
    check_percent("percent_hbd", op.percent_hbd)?;
    op.extensions
        .iter()
        .try_for_each(|CommentExtension::Beneficiaries(shares)| check_beneficiaries(shares))
}

fn check_beneficiaries(shares: &[Beneficiary]) -> Checked {
    let names = shares.iter().map(|share| share.account.as_str());
    let sum: u32 = shares.iter().map(|share| u32::from(share.weight)).sum();
    let right = (1..BENEFICIARIES).contains(&shares.len())
        && sum <= u32::from(HUNDRED_PERCENT)
        && names.clone().is_sorted_by(|a, b| a < b);
    if !right {
        return Err(InvalidOperation::Beneficiaries);
    }
    names.into_iter().try_for_each(|name| check_name("beneficiaries", name))
}

fn check_transfer(op: &Transfer) -> Checked {
    check_name("from", &op.from)?;
    check_name("to", &op.to)?;
    if op.amount.symbol == AssetSymbol::Vests || op.amount.amount < 1 {
        return Err(InvalidOperation::Amount("amount"));
    }
    check_len("memo", &op.memo, MEMO_BYTES - 1)
}

fn check_vesting(op: &TransferToVesting) -> Checked {
    check_name("from", &op.from)?;
    if !op.to.is_empty() {
        check_name("to", &op.to)?;
    }
    check_amount("amount", op.amount, AssetSymbol::Hive, 1)
}

fn check_account_create(op: &AccountCreate, json: JsonRule) -> Checked {
    check_name("new_account_name", &op.new_account_name)?;
    check_name("creator", &op.creator)?;
    check_amount("fee", op.fee, AssetSymbol::Hive, 0)?;
    check_authority("owner", &op.owner)?;
    check_authority("active", &op.active)?;
    check_authority("posting", &op.posting)?;
    check_metadata("json_metadata", &op.json_metadata, json)
}

fn check_account_update(op: &AccountUpdate2, json: JsonRule) -> Checked {
    check_name("account", &op.account)?;
    let levels = [("owner", &op.owner), ("active", &op.active), ("posting", &op.posting)];
    for (field, authority) in levels {
        authority.iter().try_for_each(|authority| check_authority(field, authority))?;
    }
    check_metadata("json_metadata", &op.json_metadata, json)?;
    check_metadata("posting_json_metadata", &op.posting_json_metadata, json)
}

fn check_authority(field: &'static str, authority: &Authority) -> Checked {
    authority.account_auths.keys().try_for_each(|name| check_name(field, name))
}

fn check_name(field: &'static str, name: &str) -> Checked {
    if is_account_name(name) { Ok(()) } else { Err(InvalidOperation::AccountName(field)) }
}

fn check_len(field: &'static str, text: &str, max: usize) -> Checked {
    match text.len() {
        len if len > max => Err(InvalidOperation::Len { field, len, max }),
        _ => Ok(()),
    }
}

fn check_percent(field: &'static str, share: u16) -> Checked {
    if share > HUNDRED_PERCENT { Err(InvalidOperation::Percent(field)) } else { Ok(()) }
}

fn check_amount(field: &'static str, asset: Asset, symbol: AssetSymbol, min: i64) -> Checked {
    let right = asset.symbol == symbol && asset.amount >= min;
    if right { Ok(()) } else { Err(InvalidOperation::Amount(field)) }
}

fn check_json(field: &'static str, text: &str, json: JsonRule) -> Checked {
    json(text).map_err(|source| InvalidOperation::Json { field, source })
}

fn check_metadata(field: &'static str, text: &str, json: JsonRule) -> Checked {
    if text.is_empty() { Ok(()) } else { check_json(field, text, json) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        block_id::BlockId, signature::RecoverableSignature, time::TimePoint, transaction::Tapos,
    };

    fn of(operations: Vec<Operation>) -> Transaction {
        Transaction::new(Tapos::of(&BlockId::ZERO), TimePoint::from_unix_secs(0), operations)
    }

    fn why(operation: impl Into<Operation>) -> Option<InvalidOperation> {
        match of(vec![operation.into()]).validate() {
            Err(Invalid::Operation { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    #[rstest]
    #[case("alice", true)]
    #[case("a--b", true)]
    #[case("abc.def", true)]
    #[case("abc.de", false)]
    #[case("ab", false)]
    #[case("1abc", false)]
    #[case("abc-", false)]
    #[case("Abc", false)]
    #[case("abc..def", false)]
    #[case("abcdefghijklmnop", true)]
    #[case("abcdefghijklmnopq", false)]
    #[case("", false)]
    fn names_follow_the_rule_of_the_chain(#[case] name: &str, #[case] fits: bool) {
        assert_eq!(is_account_name(name), fits);
    }

    #[test]
    fn lengths_count_bytes_and_are_inclusive() {
        let id = |id: &str| why(CustomJson::posting("alice", id, "{}"));
        assert_eq!(id(&"é".repeat(16)), None);
        assert!(id(&"é".repeat(17)).is_some());
        let json = |len: usize| {
            why(CustomJson::posting("alice", "a", format!("\"{}\"", "x".repeat(len - 2))))
        };
        assert_eq!(json(8192), None);
        let refused = InvalidOperation::Len { field: "json", len: 8193, max: 8192 };
        assert_eq!(json(8193), Some(refused));
    }

    #[test]
    fn a_name_in_both_lists_counts_twice() {
        let mut op = CustomJson::posting("alice", "a", "{}");
        op.required_auths = (0..39).map(|number| format!("acct{number:02}")).collect();
        assert_eq!(why(op.clone()), None);
        op.required_auths.insert("alice".into());
        assert_eq!(why(op), Some(InvalidOperation::Auths(41)));
    }

    #[test]
    fn a_transaction_is_refused_when_its_signatures_make_it_too_large() {
        let json = format!("\"{}\"", "x".repeat(8000));
        let operations = vec![CustomJson::posting("alice", "a", json).into(); 8];
        let mut signed = SignedTransaction { transaction: of(operations), signatures: Vec::new() };
        assert_eq!(signed.validate(), Ok(()));
        signed.signatures = vec![RecoverableSignature::from_bytes([0; 65]); 22];
        assert!(matches!(signed.validate(), Err(Invalid::TooLarge(_))));
    }

    #[test]
    fn beneficiaries_must_be_sorted_and_share_at_most_everything() {
        let options = |shares: &[(&str, u16)]| {
            let share = |(account, weight): &(&str, u16)| Beneficiary {
                account: (*account).into(),
                weight: *weight,
            };
            why(CommentOptions {
                author: "alice".into(),
                permlink: "p".into(),
                max_accepted_payout: Asset { amount: 0, symbol: AssetSymbol::Hbd },
                percent_hbd: 10_000,
                allow_votes: true,
                allow_curation_rewards: true,
                extensions: vec![CommentExtension::Beneficiaries(
                    shares.iter().map(share).collect(),
                )],
            })
        };
        assert_eq!(options(&[("alice", 5000), ("bob", 5000)]), None);
        for wrong in
            [&[("bob", 1), ("alice", 1)][..], &[("bob", 1), ("bob", 1)], &[("bob", 10_001)], &[]]
        {
            assert_eq!(options(wrong), Some(InvalidOperation::Beneficiaries));
        }
    }
}
