//! The chain of the development node, stepped by hand: what it takes, what it refuses, what it remembers.

use super::support::{at, authority, build, config, data, key, open, sign, start};
use alive_hive::{
    AccountCreate, AccountUpdate2, Asset, AssetSymbol, BlockId, CustomJson, Invalid, NoExtensions,
    Operation, Pack, RecoverableSignature, Role, SignatureError, Tapos, Transaction, Transfer,
    devnet::{
        DevAccount, Devnet, DevnetConfig, DevnetError, LogError, MAX_CUSTOM_OPS, TransactionError,
        TransactionStatus,
    },
};
use proptest::prelude::*;
use tempfile::TempDir;

#[test]
fn a_transaction_is_in_the_next_block_and_then_irreversible() {
    let mut node = open(config());
    let id = node.push_transaction(data(&node, "{}")).unwrap();
    assert_eq!(node.status(&id, None), TransactionStatus::WithinMempool);
    let block = node.produce_block(at(3)).unwrap().block_num();
    assert_eq!(node.status(&id, None), TransactionStatus::WithinReversibleBlock(block));
    node.produce_block(at(6)).unwrap();
    assert_eq!(node.status(&id, None), TransactionStatus::WithinIrreversibleBlock(block));
    assert_eq!(node.pending(), 0);
}

#[test]
fn the_same_transaction_is_refused_while_it_waits_and_when_it_is_in_a_block() {
    let mut node = open(config());
    let signed = data(&node, "{}");
    node.push_transaction(signed.clone()).unwrap();
    assert_eq!(node.push_transaction(signed.clone()), Err(TransactionError::Duplicate));
    node.produce_block(at(3)).unwrap();
    assert_eq!(node.push_transaction(signed), Err(TransactionError::Duplicate));
}

#[test]
fn a_transaction_expires_with_the_head_block() {
    let mut node = open(config());
    let late = data(&node, "1");
    let (expiration, id) = (late.transaction.expiration, late.id(Pack::Legacy));
    node.produce_block(at(60)).unwrap();
    let head = node.head_time();
    assert_eq!(node.push_transaction(late), Err(TransactionError::Expired { expiration, head }));
    assert_eq!(node.status(&id, Some(expiration)), TransactionStatus::Unknown);
    node.produce_block(at(63)).unwrap();
    assert_eq!(node.status(&id, Some(expiration)), TransactionStatus::ExpiredReversible);
    node.produce_block(at(66)).unwrap();
    assert_eq!(node.status(&id, Some(expiration)), TransactionStatus::ExpiredIrreversible);
}

#[test]
fn a_waiting_transaction_that_expires_is_in_no_block() {
    let mut node = open(config());
    let signed = data(&node, "1");
    let (expiration, id) = (signed.transaction.expiration, signed.id(Pack::Legacy));
    node.push_transaction(signed).unwrap();
    node.produce_block(at(61)).unwrap();
    assert_eq!(node.pending(), 0);
    assert_eq!(node.status(&id, Some(expiration)), TransactionStatus::ExpiredReversible);
}

#[test]
fn an_expiration_more_than_a_day_ahead_is_refused() {
    let mut node = open(config());
    let with = |secs| {
        let mut transaction = data(&node, "{}").transaction;
        transaction.expiration = node.head_time().after_secs(secs);
        sign(transaction, &[&key("alice", Role::Posting)])
    };
    let (day, more) = (with(86_400), with(86_401));
    assert!(matches!(node.push_transaction(more), Err(TransactionError::ExpiresTooLate { .. })));
    node.push_transaction(day).unwrap();
}

#[test]
fn a_transaction_must_lean_on_a_block_of_this_chain() {
    let mut node = open(config());
    let mut other: [u8; 20] = *node.head().as_bytes();
    other[4] ^= 1;
    let tapos = Tapos::of(&BlockId::from_bytes(other));
    let mut transaction = data(&node, "{}").transaction;
    transaction.ref_block_prefix = tapos.ref_block_prefix;
    let signed = sign(transaction, &[&key("alice", Role::Posting)]);
    assert_eq!(node.push_transaction(signed), Err(TransactionError::Tapos(tapos)));
}

#[test]
fn signatures_must_meet_the_posting_authority_and_no_other_will_do() {
    let mut node = open(config());
    let op = || vec![CustomJson::posting("alice", "alive-test", "{}").into()];
    let missing =
        Err(TransactionError::MissingAuthority { role: Role::Posting, account: "alice".into() });
    for wrong in [key("bob", Role::Posting), key("alice", Role::Active), key("alice", Role::Owner)]
    {
        assert_eq!(node.push_transaction(sign(build(&node, op()), &[&wrong])), missing);
    }
    assert_eq!(node.push_transaction(sign(build(&node, op()), &[])), missing);
    let posting = key("alice", Role::Posting);
    let twice = sign(build(&node, op()), &[&posting, &posting]);
    assert_eq!(node.push_transaction(twice), Err(TransactionError::DuplicateSignature));
    let more = sign(build(&node, op()), &[&key("bob", Role::Active), &posting]);
    node.push_transaction(more).unwrap();
}

#[test]
fn a_signature_for_another_chain_is_refused() {
    let mut node = open(config());
    let transaction = data(&node, "{}").transaction;
    let signed = transaction.sign(
        &[&key("alice", Role::Posting)],
        &alive_hive::ChainId::BLURT,
        alive_hive::SignAlgorithm::Dhive,
    );
    assert!(matches!(
        node.push_transaction(signed),
        Err(TransactionError::MissingAuthority { .. })
    ));
}

#[test]
fn a_signature_that_is_none_is_refused() {
    let mut node = open(config());
    let mut signed = data(&node, "{}");
    let mut bytes = [0xff; 65];
    bytes[0] = 31;
    signed.signatures = vec![RecoverableSignature::from_bytes(bytes)];
    let refused = node.push_transaction(signed.clone()).unwrap_err();
    assert_eq!(refused, TransactionError::Signature(SignatureError::Scalar));
    bytes[1..33].fill(1);
    bytes[33..].copy_from_slice(&RecoverableSignature::HIVED_S_BOUND);
    signed.signatures = vec![RecoverableSignature::from_bytes(bytes)];
    let refused = node.push_transaction(signed).unwrap_err();
    assert_eq!(refused, TransactionError::Signature(SignatureError::HighS));
}

#[test]
fn weights_add_up_and_accounts_count_by_their_own_posting_authority() {
    let (one, two) = (key("one", Role::Posting), key("two", Role::Posting));
    let shared = authority(3, &[(&one, 1), (&two, 1)], &[("bob", 2)]);
    let team = DevAccount::from_password("team", "x").unwrap().posting(shared);
    let mut node = open(config().account(team));
    let op = |json| vec![CustomJson::posting("team", "alive-test", json).into()];
    let (bob, active) = (key("bob", Role::Posting), key("bob", Role::Active));
    for too_little in [&[&one, &two][..], &[&bob], &[&one, &active]] {
        assert!(node.push_transaction(sign(build(&node, op("1")), too_little)).is_err());
    }
    node.push_transaction(sign(build(&node, op("2")), &[&one, &bob])).unwrap();
}

#[test]
fn an_unknown_account_and_an_empty_or_wrong_operation_are_refused() {
    let mut node = open(config());
    let posting = key("alice", Role::Posting);
    let op = CustomJson::posting("nobody", "alive-test", "{}");
    let unknown = node.push_transaction(sign(build(&node, vec![op.into()]), &[&posting]));
    assert!(matches!(unknown, Err(TransactionError::UnknownAccount(_))));
    let empty = node.push_transaction(sign(build(&node, Vec::new()), &[&posting]));
    assert_eq!(empty, Err(TransactionError::Invalid(Invalid::NoOperations)));
    let wrong = node.push_transaction(data(&node, "not json"));
    assert!(matches!(wrong, Err(TransactionError::Invalid(Invalid::Operation { .. }))));
}

#[test]
fn a_sixth_custom_operation_of_an_account_waits_for_the_next_block() {
    let mut node = open(config());
    for number in 0..MAX_CUSTOM_OPS {
        node.push_transaction(data(&node, &number.to_string())).unwrap();
    }
    let sixth = data(&node, "6");
    let limit = Err(TransactionError::CustomOpLimit("alice".into()));
    assert_eq!(node.push_transaction(sixth.clone()), limit);
    node.produce_block(at(3)).unwrap();
    node.push_transaction(sixth).unwrap();
    let op = Operation::from(CustomJson::posting("bob", "alive-test", "{}"));
    let six = sign(build(&node, vec![op; 6]), &[&key("bob", Role::Posting)]);
    assert_eq!(node.push_transaction(six), Err(TransactionError::CustomOpLimit("bob".into())));
}

#[test]
fn nobody_can_pay() {
    let mut node = open(config());
    let amount = Asset { amount: 1, symbol: AssetSymbol::Hive };
    let pay = Transfer { from: "alice".into(), to: "bob".into(), amount, memo: String::new() };
    let signed = sign(build(&node, vec![pay.into()]), &[&key("alice", Role::Active)]);
    let refused = Err(TransactionError::Funds { account: "alice".into(), amount });
    assert_eq!(node.push_transaction(signed), refused);
}

fn create(node: &Devnet, name: &str) -> alive_hive::SignedTransaction {
    let new = DevAccount::from_password(name, "new").unwrap();
    let op = AccountCreate {
        fee: Asset { amount: 0, symbol: AssetSymbol::Hive },
        creator: "alice".into(),
        new_account_name: name.into(),
        owner: new.owner,
        active: new.active,
        posting: new.posting,
        memo_key: new.memo_key,
        json_metadata: String::new(),
    };
    sign(build(node, vec![op.into()]), &[&key("alice", Role::Active)])
}

#[test]
fn an_account_made_by_a_transaction_can_act_at_once_and_goes_with_its_block() {
    let mut node = open(config());
    node.push_transaction(create(&node, "carol")).unwrap();
    let twice = sign(
        {
            let mut again = create(&node, "carol").transaction;
            again.expiration = again.expiration.after_secs(1);
            again
        },
        &[&key("alice", Role::Active)],
    );
    assert_eq!(node.push_transaction(twice), Err(TransactionError::AccountExists("carol".into())));
    let op = CustomJson::posting("carol", "alive-test", "{}");
    let posting = alive_hive::PrivateKey::from_password("carol", Role::Posting, "new").unwrap();
    let id = node.push_transaction(sign(build(&node, vec![op.into()]), &[&posting])).unwrap();
    let block = node.produce_block(at(3)).unwrap().block_num();
    assert_eq!(node.status(&id, None), TransactionStatus::WithinReversibleBlock(block));
    node.pop_blocks(1).unwrap();
    assert!(node.account("carol").is_some(), "her creation waits in the pool again");
    node.produce_block(at(100)).unwrap();
    assert!(node.account("carol").is_none(), "it expired there");
}

#[test]
fn new_keys_count_from_the_next_transaction_on() {
    let mut node = open(config());
    let new = key("alice", Role::Memo);
    let op = AccountUpdate2 {
        account: "alice".into(),
        owner: None,
        active: None,
        posting: Some(authority(1, &[(&new, 1)], &[])),
        memo_key: None,
        json_metadata: String::new(),
        posting_json_metadata: r#"{"profile":{}}"#.into(),
        extensions: NoExtensions,
    };
    node.push_transaction(sign(build(&node, vec![op.into()]), &[&key("alice", Role::Active)]))
        .unwrap();
    assert!(node.push_transaction(data(&node, "1")).is_err());
    let op = CustomJson::posting("alice", "alive-test", "2");
    node.push_transaction(sign(build(&node, vec![op.into()]), &[&new])).unwrap();
    assert_eq!(node.account("alice").unwrap().posting_json_metadata, r#"{"profile":{}}"#);
}

#[test]
fn blocks_are_full_and_the_rest_waits() {
    let mut config = config();
    for number in 0..4 {
        let name = format!("user{number}");
        let account =
            DevAccount::with_key(&name, key("alice", Role::Posting).public_key()).unwrap();
        config = config.account(account);
    }
    let mut node = open(config);
    for number in 0..4 {
        let json = format!("\"{}\"", "x".repeat(8000));
        let op = CustomJson::posting(&format!("user{number}"), "alive-test", json);
        let ops = vec![Operation::from(op); 5];
        node.push_transaction(sign(build(&node, ops), &[&key("alice", Role::Posting)])).unwrap();
    }
    node.produce_block(at(3)).unwrap();
    assert_eq!(node.pending(), 1);
    node.produce_block(at(6)).unwrap();
    assert_eq!(node.pending(), 0);
}

#[test]
fn time_never_goes_back() {
    let mut node = open(config());
    node.produce_block(at(30)).unwrap();
    node.produce_block(start()).unwrap();
    assert_eq!(alive_core::Timestamp::from(node.head_time()), at(30));
}

#[test]
fn a_fork_replaces_blocks_by_others_and_brings_their_transactions_again() {
    let mut node = open(config().irreversible_lag(5));
    let id = node.push_transaction(data(&node, "{}")).unwrap();
    let first = node.produce_block(at(3)).unwrap();
    node.produce_block(at(6)).unwrap();
    node.pop_blocks(2).unwrap();
    assert_eq!(node.status(&id, None), TransactionStatus::WithinMempool);
    let second = node.produce_block(at(3)).unwrap();
    assert_eq!(first.block_num(), second.block_num());
    assert_ne!(first, second);
    assert_eq!(node.status(&id, None), TransactionStatus::WithinReversibleBlock(2));
}

#[test]
fn a_transaction_that_leans_on_a_replaced_block_is_void() {
    let mut node = open(config().irreversible_lag(5));
    node.produce_block(at(3)).unwrap();
    let signed = data(&node, "{}");
    node.push_transaction(signed).unwrap();
    node.pop_blocks(1).unwrap();
    assert_eq!(node.pending(), 0);
}

#[test]
fn irreversible_blocks_stay() {
    let mut node = open(config());
    for number in 1..5 {
        node.produce_block(at(3 * number)).unwrap();
    }
    assert_eq!(node.irreversible(), 4);
    assert!(matches!(node.pop_blocks(2), Err(DevnetError::Irreversible)));
    node.pop_blocks(1).unwrap();
    node.produce_block(at(30)).unwrap();
    node.finalize().unwrap();
    assert!(matches!(node.pop_blocks(1), Err(DevnetError::Irreversible)));
}

#[test]
fn a_chain_on_disk_is_the_same_after_reopening() {
    let folder = TempDir::new().unwrap();
    let config = config().folder(folder.path());
    let mut node = open(config.clone());
    node.push_transaction(create(&node, "carol")).unwrap();
    node.produce_block(at(3)).unwrap();
    let signed = data(&node, "{}");
    let id = node.push_transaction(signed.clone()).unwrap();
    node.produce_block(at(6)).unwrap();
    node.push_transaction(data(&node, "lost".len().to_string().as_str())).unwrap();
    let (head, time, irreversible) = (node.head(), node.head_time(), node.irreversible());
    drop(node);
    let mut node = Devnet::open(config.clone(), at(1000)).unwrap();
    assert_eq!((node.head(), node.head_time(), node.irreversible()), (head, time, irreversible));
    assert_eq!(node.status(&id, None), TransactionStatus::WithinReversibleBlock(3));
    assert!(node.account("carol").is_some());
    assert_eq!(node.pending(), 0, "what waits is not durable");
    assert_eq!(node.push_transaction(signed), Err(TransactionError::Duplicate));
    assert!(matches!(Devnet::open(config, start()), Err(DevnetError::Log(LogError::InUse))));
}

#[test]
fn a_chain_of_another_id_is_not_opened() {
    let folder = TempDir::new().unwrap();
    drop(open(config().folder(folder.path())));
    let other = config().folder(folder.path()).network(alive_hive::HiveNetwork::blurt());
    let opened = Devnet::open(other, start());
    assert!(matches!(opened, Err(DevnetError::Log(LogError::OtherChain))));
}

#[derive(Clone, Debug)]
enum Step {
    Pop(u32),
    Produce(u64),
    Push,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Push),
        4 => (0..40_u64).prop_map(Step::Produce),
        1 => (1..4_u32).prop_map(Step::Pop),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_happens_the_chain_on_disk_is_the_one_in_memory(steps in steps()) {
        let folder = TempDir::new().unwrap();
        let config: DevnetConfig = config().folder(folder.path()).irreversible_lag(3);
        let (mut node, mut clock) = (open(config.clone()), 0);
        let mut sent: Vec<(Transaction, _)> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Pop(count) => {
                    let head = node.head().block_num();
                    let can = head - node.irreversible() >= count;
                    prop_assert_eq!(node.pop_blocks(count).is_ok(), can);
                    prop_assert_eq!(node.head().block_num(), head - if can { count } else { 0 });
                }
                Step::Produce(secs) => {
                    clock += secs;
                    let before = node.head();
                    let block = node.produce_block(at(clock)).unwrap();
                    prop_assert_eq!(block.block_num(), before.block_num() + 1);
                }
                Step::Push => {
                    let signed = data(&node, &number.to_string());
                    let transaction = signed.transaction.clone();
                    if let Ok(id) = node.push_transaction(signed) {
                        sent.push((transaction, id));
                    }
                }
                Step::Reopen => {
                    let known = |node: &Devnet| {
                        let in_block = |(_, id): &(Transaction, _)| match node.status(id, None) {
                            TransactionStatus::WithinIrreversibleBlock(at)
                            | TransactionStatus::WithinReversibleBlock(at) => Some(at),
                            _ => None,
                        };
                        (node.head(), node.head_time(), sent.iter().map(in_block).collect::<Vec<_>>())
                    };
                    let before = known(&node);
                    drop(node);
                    node = Devnet::open(config.clone(), at(clock)).unwrap();
                    prop_assert_eq!(known(&node), before);
                }
            }
        }
    }
}
