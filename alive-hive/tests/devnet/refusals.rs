//! What the development node refuses, asked over HTTP, with the code, the name and the words of hived.

use std::collections::BTreeSet;

use alive_hive::{
    CustomJson, HiveNetwork, JsonForm, KeyPrefix, PrivateKey, RecoverableSignature, Role,
    SignAlgorithm, SignedTransaction, Transaction,
    devnet::{DevnetConfig, DevnetServer},
};
use rstest::rstest;
use serde_json::{Value, json};

use super::support::{
    at, build, call, comment, config, data, error, key, node, open, result, serve_at_start, sign,
};

const BROADCAST: &str = "condenser_api.broadcast_transaction";

fn legacy(signed: &SignedTransaction) -> Value {
    signed.to_json(JsonForm::Legacy, &KeyPrefix::STM)
}

/// Code, name and text of the refusal of a broadcast, in each of the ways to broadcast.
async fn refusal(server: &DevnetServer, signed: &SignedTransaction) -> (i64, String, String) {
    let condenser = error(server, BROADCAST, json!([legacy(signed)])).await;
    let nai = signed.to_json(JsonForm::Hf26, &KeyPrefix::STM);
    let appbase =
        error(server, "network_broadcast_api.broadcast_transaction", json!({ "trx": nai })).await;
    let method = "condenser_api.broadcast_transaction_synchronous";
    let synchronous = error(server, method, json!([legacy(signed)])).await;
    assert_eq!((&condenser, &condenser), (&appbase, &synchronous));
    assert_eq!(condenser["code"], -32003);
    let frame = &condenser["data"]["stack"][0];
    assert!(frame["format"].is_string() && frame["data"].is_object());
    assert!(frame["context"]["timestamp"].as_str().unwrap().len() == 19);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let code = condenser["data"]["code"].as_i64().unwrap();
    (code, text(&condenser["data"]["name"]), text(&condenser["message"]))
}

fn posting() -> PrivateKey {
    key("alice", Role::Posting)
}

fn custom(change: impl FnOnce(&mut CustomJson)) -> CustomJson {
    let mut op = CustomJson::posting("alice", "alive-test", "{}");
    change(&mut op);
    op
}

fn names(count: usize) -> BTreeSet<String> {
    (0..count).map(|number| format!("user{number:03}")).collect()
}

#[rstest]
#[case::id_of_33_bytes(custom(|op| op.id = "é".repeat(16) + "x"), "Operation ID length exceeded. Max: 32 Current: 33")]
#[case::json_too_long(custom(|op| op.json = format!("\"{}\"", "x".repeat(8191))), "Operation JSON must be less than 8192 bytes.")]
#[case::no_auth(custom(|op| op.required_posting_auths.clear()), "at least one account must be specified")]
#[case::auths_of_41(custom(|op| op.required_auths = names(40)), "Authority membership exceeded. Max: 40 Current: 41")]
#[case::no_json(custom(|op| op.json = "hello".into()), "JSON is not valid JSON")]
#[case::empty_json(custom(|op| op.json.clear()), "JSON is not valid JSON")]
#[case::name_of_17_bytes(custom(|op| op.required_posting_auths = ["a".repeat(17)].into()), "Input too large")]
#[tokio::test]
async fn limits_of_custom_json_are_those_of_hived(#[case] op: CustomJson, #[case] words: &str) {
    let server = node().await;
    let signed = server.with(|node| sign(build(node, vec![op.into()]), &[&posting()]));
    let (code, name, text) = refusal(&server, &signed).await;
    assert_eq!((code, name.as_str()), (10, "assert_exception"));
    assert!(text.starts_with("Assert Exception:") && text.contains(words), "{text}");
}

#[rstest]
#[case(custom(|op| op.id = "é".repeat(16)))]
#[case(custom(|op| op.id.clear()))]
#[case(custom(|op| op.json = format!("\"{}\"", "x".repeat(8190))))]
#[case(custom(|op| op.json = "{} trailing [".into()))]
#[case(custom(|op| op.json = "[1,]".into()))]
#[case(custom(|op| op.json = "\"raw\nline\"".into()))]
#[case(custom(|op| op.json = "nul".into()))]
#[tokio::test]
async fn what_hived_takes_is_taken_and_in_a_block_byte_for_byte(#[case] op: CustomJson) {
    let server = node().await;
    let signed = server.with(|node| sign(build(node, vec![op.clone().into()]), &[&posting()]));
    result(&server, BROADCAST, json!([legacy(&signed)])).await;
    server.with(|node| node.produce_block(at(3))).unwrap();
    let block = result(&server, "condenser_api.get_block", json!([2])).await;
    assert_eq!(block["transactions"][0]["operations"][0][1]["json"], op.json.as_str());
}

#[tokio::test]
async fn names_in_a_list_count_once_and_the_lists_together() {
    let server = node().await;
    let mut json = server.with(|node| legacy(&data(node, "{}")));
    // 41 names of which two are the same: once each, they are 40, and refused only for what was not signed.
    let mut auths: Vec<String> = names(39).into_iter().collect();
    auths.extend(["alice".to_owned(), "alice".to_owned()]);
    json["operations"][0][1]["required_posting_auths"] = json!(auths);
    let refused = error(&server, BROADCAST, json!([json])).await;
    assert_eq!(refused["data"]["code"], 3_030_000, "{refused}");
    auths.push("zoe".to_owned());
    json["operations"][0][1]["required_posting_auths"] = json!(auths);
    let refused = error(&server, BROADCAST, json!([json])).await;
    let text = refused["message"].as_str().unwrap();
    assert!(text.ends_with("Authority membership exceeded. Max: 40 Current: 41"), "{text}");
}

#[rstest]
#[case(Role::Active, 3_030_000, "Missing Posting Authority alice")]
#[case(Role::Owner, 3_030_000, "Missing Posting Authority alice")]
#[case(Role::Memo, 3_030_000, "Missing Posting Authority alice")]
#[tokio::test]
async fn a_key_of_another_role_is_refused_with_the_role_and_the_name(
    #[case] role: Role,
    #[case] code: i64,
    #[case] words: &str,
) {
    let server = node().await;
    let transaction = server.with(|node| data(node, "{}").transaction);
    let (found, name, text) = refusal(&server, &sign(transaction, &[&key("alice", role)])).await;
    assert_eq!((found, name.as_str()), (code, "tx_missing_posting_auth"));
    assert_eq!(text, format!("missing required posting authority:{words}"));
}

#[tokio::test]
async fn each_authority_that_is_missing_has_its_own_code() {
    let server = node().await;
    let active = custom(|op| {
        op.required_posting_auths.clear();
        op.required_auths = ["alice".to_owned()].into();
    });
    let signed = server.with(|node| sign(build(node, vec![active.into()]), &[&posting()]));
    let (code, name, text) = refusal(&server, &signed).await;
    assert_eq!((code, name.as_str()), (3_010_000, "tx_missing_active_auth"));
    assert!(text.ends_with(":Missing Active Authority alice"), "{text}");
    let new = alive_hive::AccountUpdate2 {
        account: "alice".into(),
        owner: Some(super::support::authority(1, &[(&posting(), 1)], &[])),
        active: None,
        posting: None,
        memo_key: None,
        json_metadata: String::new(),
        posting_json_metadata: String::new(),
        extensions: alive_hive::NoExtensions,
    };
    let signed =
        server.with(|node| sign(build(node, vec![new.into()]), &[&key("alice", Role::Active)]));
    let (code, name, text) = refusal(&server, &signed).await;
    assert_eq!((code, name.as_str()), (3_020_000, "tx_missing_owner_auth"));
    assert!(text.ends_with(":Missing Owner Authority alice"), "{text}");
}

#[tokio::test]
async fn signatures_that_are_none_high_or_twice_are_told_apart() {
    let server = node().await;
    let good = server.with(|node| data(node, "{}"));
    let twice = sign(good.transaction.clone(), &[&posting(), &posting()]);
    let (code, name, text) = refusal(&server, &twice).await;
    assert_eq!((code, name.as_str()), (3_060_000, "tx_duplicate_sig"));
    assert!(text.contains("Duplicate signature detected"), "{text}");

    let mut bytes = [1; 65];
    bytes[0] = 31;
    bytes[33..].copy_from_slice(&RecoverableSignature::HIVED_S_BOUND);
    let high = RecoverableSignature::from_bytes(bytes);
    let high = SignedTransaction { signatures: vec![high], ..good.clone() };
    let (code, _, text) = refusal(&server, &high).await;
    assert!(code == 10 && text.contains("signature is not canonical"), "{text}");

    let none = RecoverableSignature::from_bytes([0xff; 65]);
    let none = SignedTransaction { signatures: vec![none], ..good.clone() };
    let (code, _, text) = refusal(&server, &none).await;
    assert!(code == 10 && text.contains("unable to reconstruct public key"), "{text}");

    // Not 65 bytes of hexadecimal: the parameters do not even parse.
    for text in ["", "1f", "zz", &"0".repeat(128), &"0".repeat(132)] {
        let mut json = legacy(&good);
        json["signatures"] = json!([text]);
        assert_eq!(error(&server, BROADCAST, json!([json])).await["code"], -32002, "{text:?}");
    }
}

#[tokio::test]
async fn a_transaction_has_65536_bytes_at_most() {
    let server = node().await;
    let text = |len: usize| custom(|op| op.json = format!("\"{}\"", "x".repeat(len))).into();
    let with = |last: usize| {
        let mut ops = vec![text(8180); 7];
        ops.push(text(last));
        server.with(|node| sign(build(node, ops), &[&posting()]))
    };
    let size = |signed: &SignedTransaction| signed.to_bytes(alive_hive::Pack::Legacy).len();
    let full = with(8180 - (size(&with(8180)) - Transaction::MAX_BYTES));
    assert_eq!(size(&full), Transaction::MAX_BYTES);
    // The largest that fits fails for another reason, since it has eight custom operations.
    let (_, _, text) = refusal(&server, &full).await;
    assert!(text.contains("already submitted 5 custom json operation(s) this block."), "{text}");
    let more = with(8180);
    let (code, _, text) = refusal(&server, &more).await;
    assert_eq!(code, 10);
    let words = format!("Transaction too large - size = {}, limit 65536", size(&more));
    assert!(text.contains(&words), "{text}");
}

#[tokio::test]
async fn the_sixth_custom_operation_of_anyone_named_is_refused_until_the_next_block() {
    let server = serve_at_start(config()).await;
    let shared = |number: usize| {
        let both = custom(|op| {
            op.required_posting_auths.insert("bob".into());
            op.json = number.to_string();
        });
        let keys = [&posting(), &key("bob", Role::Posting)];
        server.with(|node| sign(build(node, vec![both.into()]), &keys))
    };
    for number in 0..5 {
        result(&server, BROADCAST, json!([legacy(&shared(number))])).await;
    }
    let bobs = CustomJson::posting("bob", "alive-test", "\"mine\"");
    let bobs =
        server.with(|node| sign(build(node, vec![bobs.into()]), &[&key("bob", Role::Posting)]));
    let (code, _, text) = refusal(&server, &bobs).await;
    assert_eq!(code, 10);
    let words = "Account bob already submitted 5 custom json operation(s) this block.";
    assert!(text.ends_with(words), "{text}");
    // A post is no custom operation.
    let post = server.with(|node| {
        sign(build(node, vec![comment("bob", "p", None).into()]), &[&key("bob", Role::Posting)])
    });
    result(&server, BROADCAST, json!([legacy(&post)])).await;
    server.with(|node| node.produce_block(at(3))).unwrap();
    result(&server, BROADCAST, json!([legacy(&bobs)])).await;
}

#[rstest]
#[case(json!(["fly", {}]))]
#[case(json!(["custom_json", { "id": "a" }]))]
#[case(json!(["custom_json", { "required_auths": [], "required_posting_auths": ["alice"], "id": 5, "json": "{}" }]))]
#[case(json!([18, {}]))]
#[case(json!({ "type": "fly_operation", "value": {} }))]
#[case(json!("custom_json"))]
#[tokio::test]
async fn an_operation_that_is_none_does_not_parse(#[case] operation: Value) {
    let server = node().await;
    let mut json = server.with(|node| legacy(&data(node, "{}")));
    json["operations"] = json!([operation]);
    assert_eq!(error(&server, BROADCAST, json!([json])).await["code"], -32002);
}

#[tokio::test]
async fn accounts_of_wrong_names_are_not_made_and_do_not_post() {
    let server = node().await;
    for name in ["ab", "Alice", "abc.de", "-abc", "abcdefghijklmnopq"] {
        let post = comment(name, "p", None);
        let signed = server.with(|node| sign(build(node, vec![post.into()]), &[&posting()]));
        let (code, _, text) = refusal(&server, &signed).await;
        assert!(code == 10 && text.contains("Account name in author is invalid"), "{text}");
    }
}

#[tokio::test]
async fn nothing_expires_later_than_a_day_after_the_head_block() {
    let server = node().await;
    let with = |secs: u32| {
        server.with(|node| {
            let mut transaction = data(node, &secs.to_string()).transaction;
            transaction.expiration = node.head_time().after_secs(secs);
            sign(transaction, &[&posting()])
        })
    };
    for secs in [0, 86_401] {
        let (code, name, text) = refusal(&server, &with(secs)).await;
        assert_eq!((code, name.as_str()), (4_030_100, "transaction_expiration_exception"));
        assert!(text.starts_with("transaction expiration exception:"), "{text}");
    }
    for secs in [1, 86_400] {
        result(&server, BROADCAST, json!([legacy(&with(secs))])).await;
    }
}

#[test]
fn on_a_chain_of_the_former_rule_nothing_expires_later_than_an_hour_after_the_head_block() {
    let blurt = HiveNetwork::blurt();
    let mut node = open(config().network(blurt.clone()));
    for (secs, fits) in [(3601, false), (3600, true)] {
        let mut transaction = data(&node, "{}").transaction;
        transaction.expiration = node.head_time().after_secs(secs);
        let signed = transaction.sign(&[&posting()], &blurt.chain_id, SignAlgorithm::Dhive);
        assert_eq!(node.push_transaction(signed).is_ok(), fits, "{secs}");
    }
}

#[tokio::test]
async fn a_chain_of_another_prefix_takes_its_own_keys_only() {
    let blurt = HiveNetwork::blurt();
    let server = serve_at_start(config().network(blurt.clone())).await;
    let signed = server.with(|node| {
        let op = CustomJson::posting("alice", "alive-test", "{}");
        build(node, vec![op.into()]).sign(&[&posting()], &blurt.chain_id, SignAlgorithm::Dhive)
    });
    result(&server, BROADCAST, json!([legacy(&signed)])).await;
    let accounts = result(&server, "condenser_api.get_accounts", json!([["alice"]])).await;
    let key = accounts[0]["memo_key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("BLT"), "{key}");
    let found = result(&server, "condenser_api.get_key_references", json!([[key]])).await;
    assert_eq!(found, json!([[]]), "a memo key is in no authority");
    let stm = key.replace("BLT", "STM");
    let wrong = error(&server, "condenser_api.get_key_references", json!([[stm]])).await;
    assert_eq!(wrong["code"], -32002);
}

#[tokio::test]
async fn a_request_that_is_none_has_its_code_and_a_batch_its_limit() {
    let server = node().await;
    let post = async |body: String| -> Value {
        let request = reqwest::Client::new().post(server.url()).body(body);
        request.send().await.unwrap().json().await.unwrap()
    };
    let one =
        json!({ "jsonrpc": "2.0", "method": "condenser_api.get_version", "params": [], "id": 1 });
    for (body, code) in [
        ("{".to_owned(), -32_700),
        ("[]".to_owned(), -32_600),
        (r#"{"jsonrpc":"2.0","method":"a.b","params":[],"id":{}}"#.to_owned(), -32_600),
        (r#"{"jsonrpc":"2.0","method":"a.b","params":[],"id":1}"#.to_owned(), -32_601),
        (r#"{"jsonrpc":"2.0","method":"condenser_api.get_version","id":1}"#.to_owned(), -32_001),
        (json!(vec![&one; 1001]).to_string(), -32_600),
    ] {
        assert_eq!(post(body.clone()).await["error"]["code"], code, "{body:.80}");
    }
    let many = post(json!(vec![&one; 1000]).to_string()).await;
    assert_eq!(many.as_array().unwrap().len(), 1000);
    assert_eq!(
        call(&server, "condenser_api.get_nothing", json!([])).await["error"]["code"],
        -32601
    );
}

#[test]
fn the_order_of_the_checks_is_that_of_hived() {
    use alive_hive::devnet::TransactionError;
    let mut node = open(DevnetConfig::default().by_hand().account(
        alive_hive::devnet::DevAccount::from_password("alice", super::support::PASSWORD).unwrap(),
    ));
    // Wrong in every way: expired, of another chain, invalid, unsigned. Each cure shows the next refusal.
    let mut transaction = data(&node, "hello").transaction;
    let (right_prefix, right_time) = (transaction.ref_block_prefix, transaction.expiration);
    transaction.ref_block_prefix ^= 1;
    transaction.expiration = node.head_time();
    let mut push = |transaction: &Transaction, keys: &[&PrivateKey]| {
        node.push_transaction(sign(transaction.clone(), keys))
    };
    assert!(matches!(push(&transaction, &[]), Err(TransactionError::Expired { .. })));
    transaction.expiration = right_time;
    assert!(matches!(push(&transaction, &[]), Err(TransactionError::Tapos(_))));
    transaction.ref_block_prefix = right_prefix;
    assert!(matches!(push(&transaction, &[]), Err(TransactionError::Invalid(_))));
    transaction.operations = vec![comment("alice", "Wrong", None).into()];
    assert!(matches!(push(&transaction, &[]), Err(TransactionError::MissingAuthority { .. })));
    assert!(matches!(push(&transaction, &[&posting()]), Err(TransactionError::Post(_))));
}

#[tokio::test]
async fn an_account_that_nobody_knows_has_the_code_of_hived() {
    let server = node().await;
    let op = CustomJson::posting("nobody", "alive-test", "{}");
    let signed = server.with(|node| sign(build(node, vec![op.into()]), &[&posting()]));
    let (code, name, text) = refusal(&server, &signed).await;
    assert!(code == 13 && name.starts_with("N5boost16exception_detail"), "{name}");
    assert!(text.starts_with("unknown key:"), "{text}");
}
