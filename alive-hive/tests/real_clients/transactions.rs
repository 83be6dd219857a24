//! Random transactions as a client could send them: [`Sample`].

use alive_hive::{
    Asset, AssetSymbol, Beneficiary, BlockId, Comment, CommentExtension, CommentOptions,
    CustomJson, Operation, PrivateKey, Tapos, TimePoint, Transaction, Transfer, Vote,
};
use proptest::{
    collection::{btree_map, btree_set, vec},
    option,
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

/// wax knows no later times.
const LAST_SECS: u32 = i32::MAX.unsigned_abs();
/// Greater amounts lose digits in clients that count in floating point.
const MAX_AMOUNT: i64 = 1 << 50;

/// A transaction and who signs it.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) transaction: Transaction,
    pub(crate) keys: Vec<PrivateKey>,
    /// Account, role and master password.
    pub(crate) login: [String; 3],
}

/// So many samples; the same seed gives the same ones.
pub(crate) fn samples(count: usize, seed: u64) -> Vec<Sample> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = any_sample();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let operations = vec(any_operation(), 1..4);
    let keys = btree_set(any::<[u8; 32]>(), 1..3);
    let login = (any_name(), "owner|active|posting|memo", "[!-~]{1,32}");
    (any::<[u8; 20]>(), 0..=LAST_SECS, operations, keys, login).prop_filter_map(
        "a scalar above the order",
        |(block, expiration, operations, scalars, (account, role, password))| {
            let keys = scalars.iter().map(PrivateKey::from_bytes).collect::<Result<_, _>>().ok()?;
            let expiration = TimePoint::from_unix_secs(expiration);
            let tapos = Tapos::of(&BlockId::from_bytes(block));
            let transaction = Transaction::new(tapos, expiration, operations);
            transaction.validate().ok()?;
            Some(Sample { transaction, keys, login: [account, role, password] })
        },
    )
}

fn any_operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => any_custom_json().prop_map(Operation::from),
        2 => any_comment().prop_map(Operation::from),
        2 => any_comment_options().prop_map(Operation::from),
        1 => any_transfer().prop_map(Operation::from),
        1 => (any_name(), any_name(), any_permlink(), -10_000..=10_000_i16).prop_map(
            |(voter, author, permlink, weight)| Vote { voter, author, permlink, weight }.into()
        ),
    ]
}

fn any_custom_json() -> impl Strategy<Value = CustomJson> {
    let names = || btree_set(any_name(), 0..4);
    (names(), names(), "\\PC{0,8}", any_json()).prop_map(|(active, posting, id, json)| CustomJson {
        required_auths: active,
        required_posting_auths: posting,
        id,
        json,
    })
}

fn any_comment() -> impl Strategy<Value = Comment> {
    let metadata = prop_oneof![Just(String::new()), any_json()];
    (
        prop_oneof![Just(String::new()), any_name()],
        [any_permlink(), any_permlink()],
        any_name(),
        "\\PC{0,60}",
        any_text(),
        metadata,
    )
        .prop_map(
            |(parent_author, [parent_permlink, permlink], author, title, body, json_metadata)| {
                Comment {
                    parent_author,
                    parent_permlink,
                    author,
                    permlink,
                    title,
                    body,
                    json_metadata,
                }
            },
        )
}

fn any_comment_options() -> impl Strategy<Value = CommentOptions> {
    let shares = btree_map(any_name(), 1..1250_u16, 1..=8);
    (
        any_name(),
        any_permlink(),
        0..MAX_AMOUNT,
        0..=10_000_u16,
        any::<[bool; 2]>(),
        option::of(shares),
    )
        .prop_map(|(author, permlink, amount, percent_hbd, [votes, curation], shares)| {
            let share = |(account, weight)| Beneficiary { account, weight };
            let shares = shares.into_iter();
            let extension = shares
                .map(|all| CommentExtension::Beneficiaries(all.into_iter().map(share).collect()));
            CommentOptions {
                author,
                permlink,
                max_accepted_payout: Asset { amount, symbol: AssetSymbol::Hbd },
                percent_hbd,
                allow_votes: votes,
                allow_curation_rewards: curation,
                extensions: extension.collect(),
            }
        })
}

fn any_transfer() -> impl Strategy<Value = Transfer> {
    let symbol = prop_oneof![Just(AssetSymbol::Hbd), Just(AssetSymbol::Hive)];
    (any_name(), any_name(), 1..MAX_AMOUNT, symbol, any_text()).prop_map(
        |(from, to, amount, symbol, memo)| Transfer {
            from,
            to,
            amount: Asset { amount, symbol },
            memo,
        },
    )
}

/// A name that the chain would have.
fn any_name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z][a-z0-9-]{1,13}[a-z0-9]", "[a-z][a-z0-9][a-z]\\.[a-z][a-z0-9-]{1,9}[a-z0-9]"]
}

fn any_permlink() -> impl Strategy<Value = String> {
    "[a-z0-9-]{1,60}"
}

/// Text of all scripts, with line breaks and tabs, on either side of the lengths that take one more byte to count.
fn any_text() -> impl Strategy<Value = String> {
    "(\\PC|[\t\n\r\"\\\\]){1,160}"
}

/// Strict JSON, compact or with white space in it.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(4, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(any_permlink(), inner, 0..4).prop_map(|members| json!(members)),
        ]
    });
    (tree, any::<bool>()).prop_map(
        |(value, is_pretty)| {
            if is_pretty { format!("{value:#}") } else { value.to_string() }
        },
    )
}
