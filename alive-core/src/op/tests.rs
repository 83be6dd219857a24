use proptest::prelude::*;
use rstest::rstest;

use super::*;

const CID: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

#[rstest]
#[case(r#"{"op":3,"link":"a"}"#, "op: \"3\" is not an integer from 0 to 2")]
#[case(r#"{"link":"a"}"#, "op: missing")]
#[case(r#"{"op":1}"#, "link: missing")]
#[case(r#"{"op":1,"link":7}"#, "link: \"7\" is not a string")]
#[case(
    r#"{"op":0,"link":"a","seq":17281,"src":"x"}"#,
    "seq: \"17281\" is not an integer from 0 to 17280"
)]
#[case(r#"{"op":0,"link":"a","seq":1}"#, "src: missing")]
#[case(r#"{"op":2,"link":"a","storage":"tape"}"#, "storage: \"tape\" is neither ipfs nor skynet")]
#[case("[]", "payload: not a JSON object at line 1, column 0")]
fn a_refusal_names_the_field_and_the_reason(#[case] json: &str, #[case] why: &str) {
    assert_eq!(Op::from_json(json).unwrap_err().to_string(), why);
}

/// Source: `spec/indexer.md`, section 2, "Ops that halt the original indexer".
#[rstest]
#[case(r#"{"op":2,"link":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#.to_owned())]
#[case(r#"{"op":2,"link":"\u0000"}"#.to_owned())]
#[case(format!(r#"{{"op":0,"link":"a","seq":0,"src":"{CID}","len":99.9999999}}"#))]
#[case(format!(r#"{{"op":0,"link":"a","seq":2147483648,"src":"{CID}"}}"#))]
#[case(format!(r#"{{"op":0,"link":"a","seq":0,"src":"b{}"}}"#, "a".repeat(64)))]
fn what_halted_the_original_is_only_refused(#[case] json: String) {
    assert!(Op::from_json(&json).is_err());
}

#[rstest]
#[case("1", true)]
#[case("1.0", true)]
#[case("0", false)]
#[case("true", false)]
#[case("\"1\"", false)]
#[case("{\"deep\":[1]}", false)]
fn only_the_number_1_is_a_discontinuity_and_nothing_refuses(#[case] d: &str, #[case] is: bool) {
    let json = format!(r#"{{"op":0,"link":"a","seq":0,"src":"{CID}","len":1,"d":{d}}}"#);
    let Op::Push(push) = Op::from_json(&json).unwrap() else { panic!("a push") };
    assert_eq!(push.discontinuity, is);
}

const MAP: &str = "QmWATWQ7fVPP2EFGu71UkfnqhYXDYH566qy47CnJDgvs8u";

#[rstest]
#[case(format!("\"{MAP}\""), true)]
#[case(format!("\"Q\\u006d{}\"", &MAP[2..]), true)]
#[case("\"AACogzrAimYPG42tDOKhS3lXZD8YvlF8Q8R17afe95iV2Q\"".to_owned(), false)]
#[case("\"init.mp4\"".to_owned(), false)]
#[case("null".to_owned(), false)]
#[case("7".to_owned(), false)]
#[case("[\"x\"]".to_owned(), false)]
#[case("{\"deep\":[1]}".to_owned(), false)]
fn only_content_of_the_same_storage_is_a_section_and_nothing_refuses(
    #[case] map: String,
    #[case] is: bool,
) {
    for quality in Quality::ALL {
        let key = quality.section_key();
        let json = format!(r#"{{"op":0,"link":"a","seq":0,"src":"{CID}","len":1,"{key}":{map}}}"#);
        let Op::Push(push) = Op::from_json(&json).unwrap() else { panic!("a push") };
        let want = is.then(|| MAP.parse().unwrap());
        assert_eq!(push.renditions.section(quality), want.as_ref());
        assert_eq!(push.renditions.sections().count(), usize::from(is));
        assert!(push.renditions.is_empty());
    }
}

fn any_op() -> impl Strategy<Value = Op> {
    let link = "[A-Za-z0-9_-]{1,50}".prop_map(|link| link.parse::<Link>().unwrap());
    let id = any::<[u8; 32]>().prop_map(|digest| {
        let hash = multihash::Multihash::wrap(0x12, &digest).unwrap();
        ContentId::from_cid(&cid::Cid::new_v1(0x55, hash)).unwrap()
    });
    let transcoded = proptest::collection::btree_map(0..4_usize, id.clone(), 0..4);
    let sections = proptest::collection::btree_map(0..5_usize, id.clone(), 0..3);
    let length = proptest::option::of(1..SegmentDuration::LIMIT_MICROS);
    let push = (link.clone(), 0..=17_280_u64, id, length, (transcoded, sections), any::<bool>())
        .prop_map(|(link, seq, src, len, (transcoded, sections), discontinuity)| {
            let mut renditions = Renditions::default();
            for (at, id) in transcoded {
                renditions.insert(Quality::TRANSCODED[at], id);
            }
            for (at, id) in sections {
                renditions.insert_section(Quality::ALL[at], id);
            }
            let len = len.map(|micros| SegmentDuration::from_micros(micros).unwrap());
            let seq = Seq::new(seq).unwrap();
            Op::Push(Push { link, seq, src, len, renditions, discontinuity })
        });
    let key = proptest::option::of("[A-Za-z0-9_.-]{1,100}");
    let gateway = proptest::option::of("https?://[a-z][a-z0-9:/.%&'=]{0,60}");
    let also = proptest::option::of("|avalon/[a-z.-]{1,9}/[a-z]{1,9}(,blurt/x/y)?");
    let configure = (link.clone(), any::<bool>(), any::<bool>(), key, gateway, also).prop_map(
        |(link, skynet, live, key, gateway, also)| {
            Op::Configure(Configure {
                link,
                storage: if skynet { StorageKind::Skynet } else { StorageKind::Ipfs },
                l2: live.then_some(LiveLayer::GunDb),
                live_key: key.map(|key| key.parse().unwrap()),
                gateway: gateway.map(|url| url.parse().unwrap()),
                also: also.map(|names| names.parse().unwrap()),
            })
        },
    );
    prop_oneof![push, link.prop_map(|link| Op::End(End { link })), configure]
}

proptest! {
    #[test]
    fn json_round_trips(op in any_op()) {
        let json = op.to_json();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        prop_assert_eq!(Op::from_json(&json).unwrap(), op);
    }

    #[test]
    fn of_two_equal_keys_the_last_counts(op in any_op(), first in "0|[1-9][0-9]{0,2}") {
        let json = op.to_json().replacen("{\"op\":", &format!("{{\"op\":{first},\"op\":"), 1);
        prop_assert_eq!(Op::from_json(&json).unwrap(), op);
    }

    #[test]
    fn no_text_is_a_panic(text in ".*") {
        let _ = Op::from_json(&text);
    }
}
