//! Why the node does not take a transaction: [`TransactionError`].

use alive_core::Excerpt;

use crate::{
    asset::Asset,
    authority::AuthorityError,
    keys::Role,
    signature::SignatureError,
    time::TimePoint,
    transaction::Tapos,
    validate::{Invalid, MAX_NAME_BYTES},
};

use super::jsonrpc::Fault;

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
    /// It would expire more than a day after the head block.
    #[error("expires at {expiration}, more than a day after the head block of {head}")]
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

/// Custom operations of one account in one block. Source: `spec/hive.md`, section 4.3.
pub const MAX_CUSTOM_OPS: usize = 5;

/// Codes and names of hived's exceptions. Source: `spec/hive.md`, section 6.1.
const ASSERT: (i64, &str, &str) = (10, "assert_exception", "Assert Exception");
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
const UNKNOWN_KEY: (i64, &str, &str) = (13, "N5boost16exception_detail", "unknown key");

impl TransactionError {
    /// An account that is not there; its name is cut if it is no name at all.
    pub(super) fn unknown_account(name: &str) -> Self {
        const { assert!(MAX_NAME_BYTES <= 32, "an excerpt keeps every name whole") }
        Self::UnknownAccount(Excerpt::of(name))
    }

    /// The answer to a JSON-RPC client.
    pub(super) fn to_fault(&self) -> Fault {
        let (code, name, message) = self.exception();
        Fault::exception(code, name, message, &self.to_string())
    }

    fn exception(&self) -> (i64, &'static str, &'static str) {
        match self {
            Self::AccountExists(_)
            | Self::CustomOpLimit(_)
            | Self::Duplicate
            | Self::Funds { .. }
            | Self::Invalid(_)
            | Self::Signature(_)
            | Self::TooManyPending => ASSERT,
            Self::DuplicateSignature => DUPLICATE_SIGNATURE,
            Self::Expired { .. } | Self::ExpiresTooLate { .. } => EXPIRATION,
            Self::MissingAuthority { role, .. } => missing(*role),
            Self::MixedAuthorities => MIXED,
            Self::Tapos(_) => TAPOS,
            Self::UnknownAccount(_) => UNKNOWN_KEY,
            Self::UnneededSignature => IRRELEVANT_SIGNATURE,
        }
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
    use serde_json::Value;

    use super::*;

    fn body(error: &TransactionError) -> Value {
        serde_json::from_str(&error.to_fault().to_json()).unwrap()
    }

    #[rstest]
    #[case(TransactionError::Duplicate, 10, "Duplicate transaction check failed")]
    #[case(TransactionError::DuplicateSignature, 3_060_000, "Duplicate signature detected")]
    #[case(TransactionError::Signature(SignatureError::HighS), 10, "signature is not canonical")]
    #[case(TransactionError::CustomOpLimit("alice".into()), 10, "already submitted 5 custom json")]
    #[case(TransactionError::unknown_account("nobody"), 13, "unknown key")]
    #[case(
        TransactionError::MissingAuthority { role: Role::Posting, account: "alice".into() },
        3_030_000,
        "missing required posting authority: Missing Posting Authority alice"
    )]
    #[case(
        TransactionError::MissingAuthority { role: Role::Owner, account: "alice".into() },
        3_020_000,
        "Missing Owner Authority alice"
    )]
    #[case(
        TransactionError::Tapos(Tapos { ref_block_num: 1, ref_block_prefix: 2 }),
        4_030_200,
        "transaction tapos exception"
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
        let format = body["data"]["stack"][0]["format"].as_str().unwrap();
        assert!(body["message"].as_str().unwrap().ends_with(format), "{body}");
        assert!(body["data"]["stack"][0]["data"].is_object());
    }
}
