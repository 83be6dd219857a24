//! Round trips of transactions made of any operations, and the fuzz bodies over any bytes.
#![cfg(test)]

use std::collections::BTreeMap;

use alive_hive::{
    AccountCreate, AccountUpdate2, Asset, AssetSymbol, Authority, Beneficiary, ChainId, Comment,
    CommentExtension, CommentOptions, CustomJson, JsonForm, KeyPrefix, NoExtensions, Operation,
    Pack, PrivateKey, PublicKey, SignAlgorithm, SignedTransaction, TimePoint, Transaction,
    Transfer, TransferToVesting, Vote, fuzzing,
};
use proptest::{collection, option, prelude::*};

fn any_asset() -> impl Strategy<Value = Asset> {
    let symbol =
        prop_oneof![Just(AssetSymbol::Hbd), Just(AssetSymbol::Hive), Just(AssetSymbol::Vests)];
    (any::<i64>(), symbol).prop_map(|(amount, symbol)| Asset { amount, symbol })
}

fn any_key() -> impl Strategy<Value = PublicKey> {
    (0..=255_u8).prop_map(|number| match number {
        0 => PublicKey::NULL,
        number => PrivateKey::from_bytes(&[number; 32]).map_or(PublicKey::NULL, |k| k.public_key()),
    })
}

fn any_authority() -> impl Strategy<Value = Authority> {
    let accounts = collection::btree_map("[a-z]{3,16}", any::<u16>(), 0..3);
    let keys: BoxedStrategy<BTreeMap<_, _>> =
        collection::btree_map(any_key(), any::<u16>(), 0..3).boxed();
    (any::<u32>(), accounts, keys).prop_map(|(weight_threshold, account_auths, key_auths)| {
        Authority { weight_threshold, account_auths, key_auths }
    })
}

fn any_social() -> impl Strategy<Value = Operation> {
    let names = || collection::btree_set("\\PC{0,16}", 0..4);
    prop_oneof![
        (names(), names(), "\\PC{0,32}", any::<String>()).prop_map(
            |(active, posting, id, json)| {
                CustomJson { required_auths: active, required_posting_auths: posting, id, json }
                    .into()
            }
        ),
        (any::<[String; 3]>(), any::<i16>()).prop_map(|([voter, author, permlink], weight)| {
            Vote { voter, author, permlink, weight }.into()
        }),
        any::<[String; 7]>().prop_map(|texts| {
            let [parent_author, parent_permlink, author, permlink, title, body, json_metadata] =
                texts;
            let comment = Comment {
                parent_author,
                parent_permlink,
                author,
                permlink,
                title,
                body,
                json_metadata,
            };
            comment.into()
        }),
        (any::<[String; 2]>(), any_asset(), any::<(u16, bool, bool)>(), any_shares()).prop_map(
            |([author, permlink], max_accepted_payout, (percent_hbd, votes, curation), shares)| {
                let options = CommentOptions {
                    author,
                    permlink,
                    max_accepted_payout,
                    percent_hbd,
                    allow_votes: votes,
                    allow_curation_rewards: curation,
                    extensions: shares.into_iter().map(CommentExtension::Beneficiaries).collect(),
                };
                options.into()
            }
        ),
    ]
}

fn any_shares() -> impl Strategy<Value = Vec<Vec<Beneficiary>>> {
    let share = (any::<String>(), any::<u16>())
        .prop_map(|(account, weight)| Beneficiary { account, weight });
    collection::vec(collection::vec(share, 0..4), 0..3)
}

fn any_money() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (any::<[String; 3]>(), any_asset())
            .prop_map(|([from, to, memo], amount)| { Transfer { from, to, amount, memo }.into() }),
        (any::<[String; 2]>(), any_asset()).prop_map(|([from, to], amount)| TransferToVesting {
            from,
            to,
            amount
        }
        .into()),
        (
            any::<[String; 3]>(),
            any_asset(),
            [any_authority(), any_authority(), any_authority()],
            any_key()
        )
            .prop_map(
                |(
                    [creator, new_account_name, json_metadata],
                    fee,
                    [owner, active, posting],
                    memo_key,
                )| {
                    AccountCreate {
                        fee,
                        creator,
                        new_account_name,
                        owner,
                        active,
                        posting,
                        memo_key,
                        json_metadata,
                    }
                    .into()
                }
            ),
        (
            any::<[String; 3]>(),
            [option::of(any_authority()), option::of(any_authority()), option::of(any_authority())],
            option::of(any_key()),
        )
            .prop_map(
                |(
                    [account, json_metadata, posting_json_metadata],
                    [owner, active, posting],
                    memo_key,
                )| {
                    let extensions = NoExtensions;
                    AccountUpdate2 {
                        account,
                        owner,
                        active,
                        posting,
                        memo_key,
                        json_metadata,
                        posting_json_metadata,
                        extensions,
                    }
                    .into()
                }
            ),
    ]
}

fn any_transaction() -> impl Strategy<Value = Transaction> {
    let operations = collection::vec(prop_oneof![any_social(), any_money()], 0..4);
    (any::<(u16, u32, u32)>(), operations).prop_map(|((num, prefix, expiration), operations)| {
        Transaction {
            ref_block_num: num,
            ref_block_prefix: prefix,
            expiration: TimePoint::from_unix_secs(expiration),
            operations,
        }
    })
}

proptest! {
    #[test]
    fn transactions_survive_both_packs(transaction in any_transaction()) {
        for pack in [Pack::Hf26, Pack::Legacy] {
            let bytes = transaction.to_bytes(pack);
            prop_assert_eq!(Transaction::from_bytes(&bytes, pack), Ok(transaction.clone()));
        }
        let same = transaction.to_bytes(Pack::Hf26) == transaction.to_bytes(Pack::Legacy);
        prop_assert_eq!(same, !transaction.packs_differ());
    }

    #[test]
    fn transactions_survive_both_json_forms(transaction in any_transaction()) {
        for form in [JsonForm::Hf26, JsonForm::Legacy] {
            let text = transaction.to_json(form, &KeyPrefix::TST).to_string();
            let json = serde_json::from_str(&text).unwrap();
            let read = Transaction::from_json(&json, &KeyPrefix::TST);
            prop_assert_eq!(read, Ok(transaction.clone()));
        }
    }

    #[test]
    fn signed_transactions_tell_their_signers(transaction in any_transaction(), first in 1..=255_u8) {
        let keys = [first, 7].map(|number| PrivateKey::from_bytes(&[number; 32]).ok());
        let keys = keys.iter().flatten().collect::<Vec<_>>();
        for algorithm in [SignAlgorithm::Dhive, SignAlgorithm::Hived] {
            let signed = transaction.clone().sign(&keys, &ChainId::BLURT, algorithm);
            let found = signed.signing_keys(&ChainId::BLURT, Pack::Legacy).unwrap();
            prop_assert_eq!(found, keys.iter().map(|key| key.public_key()).collect::<Vec<_>>());
            let bytes = signed.to_bytes(Pack::Legacy);
            prop_assert_eq!(SignedTransaction::from_bytes(&bytes, Pack::Legacy), Ok(signed));
        }
    }

    #[test]
    fn cut_or_longer_bytes_are_refused(transaction in any_transaction(), cut in any::<prop::sample::Index>()) {
        let mut bytes = transaction.to_bytes(Pack::Legacy);
        let cut = cut.index(bytes.len());
        prop_assert!(Transaction::from_bytes(&bytes[..cut], Pack::Legacy).is_err());
        bytes.push(0);
        prop_assert!(Transaction::from_bytes(&bytes, Pack::Legacy).is_err());
    }

    #[test]
    fn one_changed_byte_is_refused_or_reads_as_what_it_says(
        transaction in any_transaction(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let mut bytes = transaction.to_bytes(Pack::Legacy);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        fuzzing::transaction_bytes(&bytes);
    }

    #[test]
    fn fuzz_bodies_hold_for_any_bytes(data: Vec<u8>) {
        fuzzing::transaction_bytes(&data);
        fuzzing::transaction_json(&data);
        fuzzing::wif(&data);
        fuzzing::public_key_text(&data);
        fuzzing::block_json(&data);
        fuzzing::strict_json(&data);
        fuzzing::signature(&data);
    }

    #[test]
    fn fuzz_bodies_hold_for_texts_like_the_real_ones(
        json in "[\\[\\]{}\":,0-9eE.+\\- ntrufalsx\\\\]{0,40}",
        base58 in "(5[HJK]|STM[5-8])[1-9A-HJ-NP-Za-km-z]{47,51}",
        signature: [[u8; 32]; 3],
        header in 26..36_u8,
    ) {
        fuzzing::strict_json(json.as_bytes());
        fuzzing::wif(base58.as_bytes());
        fuzzing::public_key_text(base58.as_bytes());
        let [digest, r, s] = signature;
        fuzzing::signature(&[&digest[..], &[header], &r, &s].concat());
    }

    #[test]
    fn fuzz_bodies_hold_for_what_we_write(transaction in any_transaction()) {
        for form in [JsonForm::Hf26, JsonForm::Legacy] {
            let json = transaction.to_json(form, &KeyPrefix::STM);
            fuzzing::transaction_json(json.to_string().as_bytes());
            let block = serde_json::json!({
                "block_id": "05f5e10286ef0b174a57bcb8efd88e3d0df74b72",
                "previous": "05f5e1013d59dd6272c2aa0503316c7b119ea322",
                "timestamp": "2026-11-21T00:00:06",
                "witness": "alive.wit",
                "transaction_merkle_root": "0000000000000000000000000000000000000000",
                "extensions": [],
                "witness_signature": "1f".repeat(65),
                "transaction_ids": [transaction.id(Pack::Legacy)],
                "transactions": [json],
            });
            fuzzing::block_json(block.to_string().as_bytes());
        }
    }
}
