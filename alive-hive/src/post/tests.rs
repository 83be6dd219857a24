use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::{comment_extension::CommentExtension, fuzzing, operation::CommentOptions};

const CID: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

fn stream(link: &str) -> StreamId {
    format!("hive/alice/{link}").parse().unwrap()
}

fn post() -> NewPost {
    NewPost::new(stream("stream1"), "Live tonight", "See you at eight.")
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn hive() -> HiveNetwork {
    HiveNetwork::hive()
}

/// What a node tells of a post whose metadata is this text.
fn answer(json_metadata: &str) -> Value {
    json!({
        "id": 7, "author": "alice", "permlink": "stream1", "category": "music", "parent_author": "",
        "parent_permlink": "music", "title": "Live tonight", "body": "See you at eight.",
        "json_metadata": json_metadata, "net_votes": 3,
    })
}

fn existing(json_metadata: &str) -> ExistingPost {
    ExistingPost::from_json(&answer(json_metadata)).unwrap().unwrap()
}

fn comment(operation: &Operation) -> &Comment {
    match operation {
        Operation::Comment(comment) => comment,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_post_names_its_stream_its_program_and_its_tags() {
    let post = post().tags(vec![tag("music"), tag("live")]).image("https://example.org/a.png");
    let operations = post.operations(&hive()).unwrap();
    assert_eq!(operations.len(), 1, "the usual payout needs no operation");
    let comment = comment(&operations[0]);
    assert_eq!((comment.parent_author.as_str(), comment.parent_permlink.as_str()), ("", "music"));
    assert_eq!((comment.author.as_str(), comment.permlink.as_str()), ("alice", "stream1"));
    let metadata: Value = serde_json::from_str(&comment.json_metadata).unwrap();
    let want = json!({
        "app": concat!("alive/", env!("CARGO_PKG_VERSION")),
        "format": "markdown",
        "tags": ["music", "live"],
        "image": ["https://example.org/a.png"],
        "alive": { "network": "hive", "author": "alice", "link": "stream1" },
    });
    assert_eq!(metadata, want);
}

#[test]
fn payout_options_come_behind_the_post_with_sorted_beneficiaries() {
    let options = PayoutOptions {
        allow_votes: false,
        beneficiaries: "carol:0.01,bob:2.5".parse().unwrap(),
        max_payout: "5.000 HBD".parse().unwrap(),
        percent_hbd: 0,
        ..PayoutOptions::default()
    };
    let operations = post().options(options).operations(&hive()).unwrap();
    let beneficiary =
        |account: &str, weight| crate::Beneficiary { account: account.into(), weight };
    let shares = vec![beneficiary("bob", 250), beneficiary("carol", 1)];
    let want = CommentOptions {
        author: "alice".into(),
        permlink: "stream1".into(),
        max_accepted_payout: "5.000 HBD".parse().unwrap(),
        percent_hbd: 0,
        allow_votes: false,
        allow_curation_rewards: true,
        extensions: vec![CommentExtension::Beneficiaries(shares)],
    };
    assert_eq!(operations[1..], [want.into()]);

    let declined =
        PayoutOptions { max_payout: "0.000 HBD".parse().unwrap(), ..PayoutOptions::default() };
    let operations = post().options(declined).operations(&hive()).unwrap();
    assert!(matches!(&operations[1], Operation::CommentOptions(op) if op.extensions.is_empty()));
}

#[test]
fn only_networks_whose_options_are_hives_take_options() {
    let on = |network: HiveNetwork, options| {
        let stream = format!("{}/alice/s", network.name).parse().unwrap();
        NewPost::new(stream, "t", "b").options(options).operations(&network)
    };
    let other = || PayoutOptions { percent_hbd: 0, ..PayoutOptions::default() };
    for network in [HiveNetwork::blurt(), HiveNetwork::steem()] {
        assert_eq!(on(network.clone(), PayoutOptions::default()).unwrap().len(), 1);
        let error = on(network, other());
        assert!(matches!(error, Err(PostError::NoOptions(_))), "{error:?}");
    }
    assert_eq!(on(HiveNetwork::hive_mirrornet(), other()).unwrap().len(), 2);
    let error = post().operations(&HiveNetwork::blurt());
    assert!(matches!(error, Err(PostError::OtherNetwork { .. })), "{error:?}");
}

#[rstest]
#[case("t", "", "body must not be empty")]
#[case("", "b", "needs a title")]
#[case(&"é".repeat(128), "b", "title of 256 bytes, at most 255")]
#[case("t", &"x".repeat(65_500), "65536 allowed")]
fn what_the_chain_would_refuse_is_refused_here(
    #[case] title: &str,
    #[case] body: &str,
    #[case] words: &str,
) {
    let error = NewPost::new(stream("s"), title, body).operations(&hive()).unwrap_err();
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn a_payout_in_another_currency_and_a_share_of_more_than_all_are_refused() {
    let refused = |options| post().options(options).operations(&hive()).is_err();
    let max_payout = "1.000 HIVE".parse().unwrap();
    assert!(refused(PayoutOptions { max_payout, ..PayoutOptions::default() }));
    assert!(refused(PayoutOptions { percent_hbd: 10_001, ..PayoutOptions::default() }));
    let max_payout = "-1.000 HBD".parse().unwrap();
    assert!(refused(PayoutOptions { max_payout, ..PayoutOptions::default() }));
}

#[test]
fn tags_are_few_and_each_once() {
    let many = |count: usize| (0..count).map(|number| tag(&format!("t{number}"))).collect();
    assert!(post().tags(many(MAX_TAGS)).operations(&hive()).is_ok());
    let error = post().tags(many(MAX_TAGS + 1)).operations(&hive());
    assert_eq!(error, Err(PostError::TooManyTags(11)));
    let twice = post().tags(vec![tag("a"), tag("b"), tag("a")]).operations(&hive());
    assert_eq!(twice, Err(PostError::TagTwice(tag("a"))));
    for text in ["", "A", "1a", "a-", "a_b", "é", &"a".repeat(25)] {
        assert!(text.parse::<Tag>().is_err(), "{text}");
    }
}

#[rstest]
#[case("bob", "ACCOUNT:PERCENT")]
#[case("bob:", "ACCOUNT:PERCENT")]
#[case("bob:1.234", "ACCOUNT:PERCENT")]
#[case("bob:-1", "ACCOUNT:PERCENT")]
#[case("bob:+1", "ACCOUNT:PERCENT")]
#[case("bob:99999", "ACCOUNT:PERCENT")]
#[case("bob:1,", "ACCOUNT:PERCENT")]
#[case("b:1", "cannot be an account")]
#[case("bob:0", "no share")]
#[case("bob:1,bob:2", "twice")]
#[case("bob:60,carol:40.01", "100.01 %")]
#[case("aaa:1,bbb:1,ccc:1,ddd:1,eee:1,fff:1,ggg:1,hhh:1,iii:1", "more than 8")]
fn wrong_beneficiaries_are_refused_with_a_reason(#[case] text: &str, #[case] words: &str) {
    let error = text.parse::<Beneficiaries>().unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
}

#[test]
fn links_of_other_forms_get_names_that_differ() {
    let of = |link: &str| Permlink::of(&link.parse().unwrap()).to_string();
    assert_eq!(of("stream-1"), "stream-1");
    let others = ["Live", "lIve", "live_", "_live", "live-", "LIVE"].map(of);
    for (index, name) in others.iter().enumerate() {
        assert!(!others[..index].contains(name), "{name}");
    }
}

#[test]
fn an_edit_keeps_everything_else_byte_for_byte() {
    let text = concat!(
        r#"{ "app" : "peakd/2023.2.3", "big":18446744073709551615,"#,
        r#""price":1.10,"tags":["music" , "\u00e9"],"app":"twice","alive":{"network":"hive","#,
        r#""author":"alice","link":"stream1","mood":{"a":[1e400]},"chat":[5,"x"]},"users":[]}"#,
    );
    let mut post = existing(text);
    assert!(!post.is_changed());
    post.link_to(&stream("stream1")).unwrap();
    assert!(!post.is_changed());
    assert!(post.add_chat_archive(&CID.parse().unwrap()));
    post.set_ended();
    let operation = post.operation(&hive()).unwrap();
    let comment = comment(&operation);
    let want = concat!(
        r#"{"app":"peakd/2023.2.3","big":18446744073709551615,"#,
        r#""price":1.10,"tags":["music" , "\u00e9"],"app":"twice","alive":{"network":"hive","#,
        r#""author":"alice","link":"stream1","mood":{"a":[1e400]},"chat":[5,"x","CID"],"#,
        r#""ended":true},"users":[]}"#,
    );
    assert_eq!(comment.json_metadata, want.replace("CID", CID));
    let kept = (comment.title.as_str(), comment.body.as_str(), comment.parent_permlink.as_str());
    assert_eq!(kept, ("Live tonight", "See you at eight.", "music"));

    // What was written reads back, and the same edit changes nothing.
    let mut again = existing(&comment.json_metadata);
    assert!(again.metadata().is_ended());
    assert_eq!(again.metadata().chat_archives(), [CID.parse().unwrap()]);
    again.set_ended();
    assert!(!again.add_chat_archive(&CID.parse().unwrap()));
    assert!(!again.is_changed());
}

#[test]
fn title_and_text_can_be_changed_and_not_emptied() {
    let mut post = existing("");
    post.set_title("New");
    post.set_body("Other.");
    assert!(post.is_changed());
    let operation = post.operation(&hive()).unwrap();
    assert_eq!(
        (comment(&operation).title.as_str(), comment(&operation).body.as_str()),
        ("New", "Other.")
    );
    assert_eq!(comment(&operation).json_metadata, "{}");
    post.set_title("");
    assert_eq!(post.operation(&hive()), Err(PostError::NoTitle));
    post.set_title("t");
    post.set_body("");
    assert!(matches!(post.operation(&hive()), Err(PostError::Invalid(_))));
}

#[test]
fn a_post_about_another_stream_or_on_another_network_is_not_changed() {
    let other = r#"{"alive":{"network":"hive","author":"alice","link":"other"}}"#;
    let error = existing(other).link_to(&stream("stream1")).unwrap_err();
    assert!(error.to_string().contains("hive/alice/other"), "{error}");
    let error = existing(other).operation(&HiveNetwork::blurt());
    assert!(matches!(error, Err(PostError::OtherNetwork { .. })), "{error:?}");
}

#[rstest]
#[case(json!(null))]
#[case(json!({ "author": "", "permlink": "" }))]
fn a_post_that_is_not_there_is_none(#[case] answer: Value) {
    assert!(ExistingPost::from_json(&answer).unwrap().is_none());
}

#[rstest]
#[case("not json", "json_metadata")]
#[case("[]", "json_metadata")]
#[case("\"text\"", "json_metadata")]
#[case("{} x", "json_metadata")]
#[case("{\"a\":NaN}", "json_metadata")]
fn metadata_that_cannot_be_kept_stops_an_edit(#[case] text: &str, #[case] words: &str) {
    let error = ExistingPost::from_json(&answer(text)).unwrap_err();
    assert!(error.to_string().contains(words), "{error}");
}

#[rstest]
#[case(json!([]))]
#[case(json!({ "author": 5 }))]
#[case(json!({ "author": "alice" }))]
fn an_answer_of_another_shape_is_an_error(#[case] answer: Value) {
    assert!(matches!(ExistingPost::from_json(&answer), Err(PostError::Answer(_))));
}

#[rstest]
#[case(r#"{"alive":5}"#)]
#[case(r#"{"alive":{"network":"hive","author":"alice"}}"#)]
#[case(r#"{"alive":{"network":"hive","author":["alice"],"link":"s"}}"#)]
#[case(r#"{"alive":{"network":"HIVE!","author":"alice","link":"s"}}"#)]
#[case(r#"{"alive":{"network":"hive","author":"alice","link":"a/b"}}"#)]
#[case(r#"{"alive":{"ended":"true","chat":"Qm"}}"#)]
#[case(r#"{"alive":{"ended":1,"chat":{"0":"Qm"}}}"#)]
fn hostile_members_name_no_stream_and_are_no_end(#[case] text: &str) {
    let metadata: PostMetadata = text.parse().unwrap();
    assert_eq!((metadata.stream(), metadata.is_ended()), (None, false));
    assert!(metadata.chat_archives().is_empty());
}

#[test]
fn nesting_beyond_what_the_chain_takes_is_refused_and_nothing_overflows() {
    let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let mut post = existing(&deep(90));
    post.set_ended();
    assert!(post.operation(&hive()).is_ok());
    for levels in [98, 127, 128, 100_000] {
        if let Ok(Some(mut post)) = ExistingPost::from_json(&answer(&deep(levels))) {
            post.set_ended();
            assert!(post.operation(&hive()).is_err(), "{levels}");
        }
    }
}

#[test]
fn archives_are_bounded() {
    let many = vec![CID; 1000];
    let mut metadata = PostMetadata::default();
    metadata.set("alive", &json!({ "chat": many }));
    assert_eq!(metadata.chat_archives().len(), PostMetadata::MAX_ARCHIVES);
    let other = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n".parse().unwrap();
    assert!(!metadata.add_chat_archive(&other));
}

/// Texts that are more often objects than any text would be.
fn any_metadata() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"alive\"",
        "\"ended\"",
        "\"chat\"",
        "\"link\"",
        "\"a\"",
        "true",
        "1.10",
        "\"hive\"",
        "\"network\"",
        "\"author\"",
        "null",
        " ",
        "{\"alive\":{",
        "}}",
        "\"\\u0061live\":{\"link\":\"s\"},",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat()),
        "[ -~]{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_metadata_survives_an_edit(text in any_metadata()) {
        fuzzing::post_metadata(text.as_bytes());
    }

    #[test]
    fn any_post_of_good_parts_is_one_that_reads_back(
        link in "[A-Za-z0-9_-]{1,50}",
        title in "\\PC{1,60}",
        body in "\\PC{1,200}",
    ) {
        let stream = stream(&link);
        let operations = NewPost::new(stream.clone(), title.clone(), body).operations(&hive()).unwrap();
        let comment = comment(&operations[0]);
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        prop_assert!(comment.permlink.bytes().all(legal) && comment.permlink.len() < 64);
        let answer = json!({
            "author": comment.author, "permlink": comment.permlink, "parent_author": "",
            "parent_permlink": comment.parent_permlink, "title": comment.title,
            "body": comment.body, "json_metadata": comment.json_metadata,
        });
        let post = ExistingPost::from_json(&answer).unwrap().unwrap();
        prop_assert_eq!(post.metadata().stream(), Some(stream));
        prop_assert!(!post.is_changed());
    }

    #[test]
    fn beneficiaries_print_to_what_reads_back(
        shares in prop::collection::btree_map("[a-z]{3,10}", 1_u16..1250, 0..8),
    ) {
        let mut all = Beneficiaries::default();
        for (account, share) in &shares {
            all.add(account, *share).unwrap();
        }
        prop_assert_eq!(all.to_string().parse(), Ok(all));
    }
}
