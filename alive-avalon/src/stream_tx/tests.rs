use alive_core::{Index, Timestamp};
use rstest::rstest;

use super::*;
use crate::PrivateKey;

const CID: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

/// What readers of a block make of a transaction with this data.
fn read(kind: u8, data: &str) -> Vec<Result<SignedOp, RefusedOp>> {
    let data = JsonText::of(data).unwrap();
    let key = PrivateKey::from_bytes(&[1; 32]).unwrap();
    let signed = Transaction::new(kind, &data, "alice", 1_700_000_000_000).unwrap().sign(&[&key]);
    stream_ops(&signed.parts())
}

fn op(payload: &str) -> Op {
    Op::from_json(payload).unwrap()
}

/// The operations as the payloads that Hive would carry, `-` for a refused one.
fn payloads(ops: &[Result<SignedOp, RefusedOp>]) -> Vec<String> {
    ops.iter().map(|op| op.as_ref().map_or("-".into(), |signed| signed.op.to_json())).collect()
}

fn push(seq: u16, more: &str) -> String {
    format!(r#"{{"op":0,"seq":{seq},"link":"show","src":"{CID}"{more}}}"#)
}

#[rstest]
#[case(r#"{"op":2,"link":"show"}"#)]
#[case(r#"{"op":2,"link":"show","storage":"skynet","l2":"gundb","pub":"a.b","gw":"https://g.example/it's","also":"hive/alice/show"}"#)]
#[case(&push(0, ""))]
#[case(&push(10_000, r#","len":10.033334,"d":1"#))]
#[case(&push(7, &format!(r#","len":10.0,"240":"{CID}","480":"{CID}","720":"{CID}","1080":"{CID}""#)))]
fn an_operation_survives_its_transaction(#[case] payload: &str) {
    let op = op(payload);
    let key = PrivateKey::from_bytes(&[1; 32]).unwrap();
    let transaction = StreamTx::of(&op, None).unwrap().into_transaction("alice", 1).unwrap();
    let again = JsonText::of(transaction.as_text().as_str()).unwrap();
    assert_eq!(&again, transaction.as_text(), "it is written as JavaScript does");
    let ops = stream_ops(&transaction.sign(&[&key]).parts());
    assert_eq!(ops, [Ok(SignedOp { account: "alice".parse().unwrap(), op })]);
}

#[test]
fn a_configure_and_an_end_keep_what_the_json_says_already() {
    let known = JsonText::of(r#"{"live":true,"pub":"a.b","l2":"gundb","title":"é"}"#).unwrap();
    let configure = op(r#"{"op":2,"link":"show","gw":"https://g.example"}"#);
    let tx = StreamTx::of(&configure, Some(known.root())).unwrap();
    let want = r#"{"live":true,"pub":"a.b","l2":"gundb","title":"é","gw":"https://g.example"}"#;
    assert_eq!(tx.new_json().unwrap().as_str(), want);
    let end = op(r#"{"op":1,"link":"show"}"#);
    let tx = StreamTx::of(&end, tx.new_json().as_ref().map(JsonText::root)).unwrap();
    assert_eq!(tx.new_json().unwrap().as_str(), want.replace('}', r#","ended":true}"#));
    assert_eq!(StreamTx::of(&end, None), Err(StreamTxError::UnknownJson));
    let ended = tx.new_json().unwrap();
    assert_eq!(StreamTx::of(&configure, Some(ended.root())), Err(StreamTxError::Ended));
}

#[test]
fn archives_of_the_chat_are_announced_once_each() {
    let known = JsonText::of(r#"{"live":true,"ended":true}"#).unwrap();
    let (link, archive) = ("show".parse().unwrap(), CID.parse().unwrap());
    let tx = StreamTx::chat_archive(&link, &archive, Some(known.root())).unwrap();
    let json = tx.new_json().unwrap();
    assert_eq!(chat_archives(json.root()), [archive]);
    assert!(json.root().member("ended").is_some());
    let again = StreamTx::chat_archive(&link, &archive, Some(json.root())).unwrap();
    assert_eq!(again.new_json(), Some(json));
}

#[test]
fn what_avalon_cannot_carry_is_refused_before_it_is_signed() {
    let refused = |payload: &str| StreamTx::of(&op(payload), None).unwrap_err();
    assert_eq!(refused(r#"{"op":2,"link":"ab"}"#), StreamTxError::LinkLen(2));
    assert_eq!(refused(&push(10_001, "")), StreamTxError::Sequence(10_001));
}

#[test]
fn a_stream_of_the_original_streamer_is_read() {
    let json = r#"{"live":true,"pub":"a4DA.gGMw","l2":"gundb"}"#;
    let configured = read(25, &format!(r#"{{"link":"show","json":{json}}}"#));
    assert_eq!(payloads(&configured), [r#"{"op":2,"link":"show","l2":"gundb","pub":"a4DA.gGMw"}"#]);
    let pushed = read(26, &format!(r#"{{"link":"show","seq":[[1,"{CID}"],[0,"{CID},10.003"]]}}"#));
    assert_eq!(payloads(&pushed), [push(0, r#","len":10.003"#), push(1, "")]);
    let json = json.replace('}', r#","ended":true}"#);
    let ended = read(25, &format!(r#"{{"link":"show","json":{json}}}"#));
    let end = r#"{"op":1,"link":"show"}"#;
    assert_eq!(payloads(&ended)[1..], [end]);
}

#[rstest]
#[case::text_length("10 s")]
#[case::nothing("")]
#[case::another_column("10.0,d")]
#[case::zero("0.0")]
#[case::not_a_number("nan")]
fn a_push_with_a_length_that_is_none_is_refused(#[case] length: &str) {
    let read = read(26, &format!(r#"{{"link":"show","seq":[[0,"{CID},{length}"]]}}"#));
    assert_eq!(payloads(&read), ["-"]);
}

#[test]
fn lengths_are_numbers_as_python_prints_them() {
    let read = read(26, &format!(r#"{{"link":"show","seq":[[0,"{CID},1e-05"]]}}"#));
    assert_eq!(payloads(&read), [push(0, r#","len":0.00001"#)]);
}

#[rstest]
#[case::another_type(3, r#"{"link":"show"}"#)]
#[case::the_old_push(20, r#"{"link":"show","hash":{"src":"Qm"}}"#)]
#[case::a_pop(27, r#"{"link":"show","seq":[0]}"#)]
#[case::an_ordinary_playlist(25, r#"{"link":"show","json":{"title":"songs"}}"#)]
#[case::not_quite_ended(25, r#"{"link":"show","json":{"ended":1,"live":"true"}}"#)]
#[case::broken_for_the_chain(26, r#"{"link":"show","seq":[[0,""]]}"#)]
fn what_is_no_operation_is_passed_over(#[case] kind: u8, #[case] data: &str) {
    assert_eq!(read(kind, data), []);
}

#[test]
fn a_transaction_with_another_hash_is_passed_over() {
    let transaction = StreamTx::of(&op(&push(0, "")), None).unwrap();
    let transaction = transaction.into_transaction("alice", 1).unwrap();
    let key = PrivateKey::from_bytes(&[1; 32]).unwrap();
    let forged = transaction.sign(&[&key]).to_string().replace(CID, &CID.replace("AwQH", "AwQJ"));
    let forged = crate::SignedTransaction::from_json(&forged).unwrap();
    assert_eq!(stream_ops(&forged.parts()), []);
}

#[test]
fn links_that_are_none_of_ours_are_refused_and_their_sender_is_known() {
    let refused = read(25, r#"{"link":"a b/c","json":{"live":true}}"#);
    let [Err(RefusedOp { account: Some(account), .. })] = refused.as_slice() else {
        panic!("{refused:?}")
    };
    assert_eq!(account.as_str(), "alice");
}

#[test]
fn after_the_end_a_stream_is_frozen_though_the_chain_takes_more() {
    let mut index = Index::default();
    let mut accepted = Vec::new();
    for (kind, data) in [
        (25, r#"{"link":"show","json":{"live":true,"pub":"a.b"}}"#.to_owned()),
        (26, format!(r#"{{"link":"show","seq":[[0,"{CID}"]]}}"#)),
        (25, r#"{"link":"show","json":{"live":true,"pub":"a.b","ended":true}}"#.to_owned()),
        (26, format!(r#"{{"link":"show","seq":[[1,"{CID}"]]}}"#)),
        (25, r#"{"link":"show","json":{"live":true}}"#.to_owned()),
    ] {
        for op in read(kind, &data) {
            accepted.push(index.apply(&op.unwrap(), Timestamp::EPOCH).is_ok());
        }
    }
    // Settings of an ended stream may still change, its content and its end may not.
    assert_eq!(accepted, [true, true, true, true, false, true]);
    let (_, stream) = index.streams().next().unwrap();
    assert!(stream.info().ended && stream.pushes().count() == 1);
}

#[test]
fn a_playlist_of_a_node_tells_its_stream() {
    let answer = format!(
        r#"{{"_id":"alice/show","ts":5,"json":{{"live":true,"ended":true}},"playlist":{{"0":"{CID},10.0","2":"{CID}"}}}}"#
    );
    let playlist = Playlist::read(JsonText::of(&answer).unwrap().root()).unwrap();
    assert_eq!(playlist.to_json("alice/show").as_str(), answer);
    let ops = playlist.stream_ops(&"alice".parse().unwrap(), "show");
    let (configure, end) = (r#"{"op":2,"link":"show"}"#, r#"{"op":1,"link":"show"}"#);
    let want = [configure.into(), push(0, r#","len":10.0"#), push(2, ""), end.into()];
    assert_eq!(payloads(&ops), want);
    assert_eq!((playlist.next_id(), playlist.is_ended()), (Some(3), true));
}
