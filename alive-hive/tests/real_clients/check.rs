//! What we sign is what each client would have signed, and what they sign we take: random transactions, both ways.

use std::{
    env,
    hash::{BuildHasher as _, Hasher as _, RandomState},
};

use alive_hive::{
    ChainId, HiveNetwork, JsonForm, KeyPrefix, Operation, Pack, PrivateKey, PublicKey, RecoverRule,
    RecoverableSignature, Role, SignAlgorithm, SignedTransaction,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    client::Client,
    transactions::{Sample, samples},
};

/// The seed of a run that failed, to run it again.
const SEED: &str = "ALIVE_TEST_SEED";

/// Another sample every time, unless the seed is given.
#[expect(clippy::print_stdout, reason = "a test that fails shows it, so that it can be run again")]
fn seed() -> u64 {
    let given = env::var(SEED).ok().map(|seed| seed.parse().unwrap());
    let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("{SEED}={seed}");
    seed
}

/// Our signatures of one pack, by both algorithms in turn.
fn signed(sample: &Sample, chain: &ChainId, pack: Pack) -> SignedTransaction {
    let digest = sample.transaction.digest(chain, pack);
    let algorithms = [SignAlgorithm::Dhive, SignAlgorithm::Hived];
    let pairs = sample.keys.iter().zip(algorithms.into_iter().cycle());
    let sign = |(key, algorithm)| RecoverableSignature::sign(&digest, key, algorithm);
    SignedTransaction {
        transaction: sample.transaction.clone(),
        signatures: pairs.map(sign).collect(),
    }
}

fn case(sample: &Sample, network: &HiveNetwork) -> Value {
    let (chain, prefix) = (&network.chain_id, &network.key_prefix);
    let key = &sample.keys[0];
    json!({
        "legacy": signed(sample, chain, Pack::Legacy).to_json(JsonForm::Legacy, prefix),
        "hf26": signed(sample, chain, Pack::Hf26).to_json(JsonForm::Hf26, prefix),
        "wif": key.to_wif().as_str(),
        "hex": hex::encode(*key.to_bytes()),
        "login": sample.login,
    })
}

#[rstest]
#[case::beem(Client::Beem, HiveNetwork::hive(), 60)]
#[case::beem_for_a_testnet(Client::Beem, HiveNetwork::hive_testnet(), 30)]
#[case::dhive(Client::Dhive, HiveNetwork::hive(), 400)]
#[case::dhive_for_a_testnet(Client::Dhive, HiveNetwork::hive_testnet(), 100)]
#[case::hive_tx(Client::HiveTx, HiveNetwork::hive(), 400)]
#[case::wax(Client::Wax, HiveNetwork::hive(), 400)]
#[case::wax_for_the_mirrornet(Client::Wax, HiveNetwork::hive_mirrornet(), 100)]
#[ignore = "needs node.js, npm, python3 and packages"]
fn transactions_signatures_and_keys_are_alike_both_ways(
    #[case] client: Client,
    #[case] network: HiveNetwork,
    #[case] count: usize,
) {
    let samples = samples(count, seed());
    let cases: Vec<Value> = samples.iter().map(|sample| case(sample, &network)).collect();
    let job = json!({
        "cases": cases,
        "chainId": network.chain_id,
        "prefix": network.key_prefix,
    });
    let answers = client.run("check", &job);
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), samples.len());
    for (sample, answer) in samples.iter().zip(answers) {
        compare(client, &network, sample, answer);
    }
}

fn compare(client: Client, network: &HiveNetwork, sample: &Sample, theirs: &Value) {
    let prefix = &network.key_prefix;
    let is_same_pack = |theirs: &Value, pack| {
        let transaction = &sample.transaction;
        assert_eq!(theirs["id"], transaction.id(pack).to_string(), "{sample:?}");
        let digest = transaction.digest(&network.chain_id, pack);
        assert_eq!(theirs["digest"], hex::encode(digest), "{sample:?}");
        let public = |key: &PrivateKey| key.public_key().to_text(prefix);
        // Whom our signatures are from, as the client recovers it.
        assert_eq!(theirs["keys"], json!(sample.keys.iter().map(public).collect::<Vec<_>>()));
        // Whom the client's signature is from, as we recover it.
        let signature: RecoverableSignature = text(&theirs["signature"]).parse().unwrap();
        let signer = signature.recover(&digest, RecoverRule::LowS);
        assert_eq!(signer, Ok(sample.keys[0].public_key()), "{sample:?}");
        // Two of the four always sign alike, and we like them.
        let ours = |algorithm| RecoverableSignature::sign(&digest, &sample.keys[0], algorithm);
        match client {
            Client::Dhive => assert_eq!(signature, ours(SignAlgorithm::Dhive)),
            Client::Wax => assert_eq!(signature, ours(SignAlgorithm::Hived)),
            Client::Beem | Client::HiveTx => {}
        }
    };
    is_same_pack(theirs, Pack::Legacy);
    assert_ne!(theirs["verified"], false);
    if client == Client::Wax {
        is_same_pack(&theirs["hf26"], Pack::Hf26);
        let id = sample.transaction.id(Pack::Legacy);
        assert_eq!(theirs["hf26"]["legacyId"], id.to_string());
        // From one JSON form to the other, by hived's own code.
        let again = theirs["again"]["operations"].as_array().unwrap().iter();
        let again = again.map(|operation| Operation::from_json(operation, prefix).unwrap());
        assert_eq!(again.collect::<Vec<_>>(), sample.transaction.operations);
    }
    compare_keys(sample, theirs, prefix);
}

fn compare_keys(sample: &Sample, theirs: &Value, prefix: &KeyPrefix) {
    let key = &sample.keys[0];
    assert_eq!(theirs["wif"], key.to_wif().as_str());
    let read: PrivateKey = text(&theirs["wif"]).parse().unwrap();
    assert_eq!(read.public_key(), key.public_key());
    assert_eq!(theirs["public"], key.public_key().to_text(prefix));
    assert_eq!(PublicKey::from_text(text(&theirs["public"]), prefix), Ok(key.public_key()));
    let [account, role, password] = &sample.login;
    let role = match role.as_str() {
        "active" => Role::Active,
        "memo" => Role::Memo,
        "owner" => Role::Owner,
        _ => Role::Posting,
    };
    let login = PrivateKey::from_password(account, role, password).unwrap();
    assert_eq!(theirs["login"], login.to_wif().as_str());
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}
