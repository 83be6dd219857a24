//! Posts of the development node: made, edited, restricted, voted for, read again; undone by forks, kept on disk.

use alive_hive::{
    Asset, AssetSymbol, Beneficiary, CommentExtension, CommentOptions, Operation, Role,
    TransactionId, Vote,
    devnet::{Devnet, DevnetError, Fate, PostRefusal, TransactionError},
};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{at, comment, config, error, open, result, serve_at_start, signed_by};

type Pushed = Result<TransactionId, TransactionError>;

/// A chain whose first block is old enough that the time between two posts has passed.
fn chain() -> Devnet {
    open(config().irreversible_lag(10))
}

fn push(node: &mut Devnet, author: &str, operation: impl Into<Operation>) -> Pushed {
    let signed = signed_by(node, author, Role::Posting, operation);
    node.push_transaction(signed)
}

fn refused(refusal: PostRefusal) -> Pushed {
    Err(TransactionError::Post(refusal))
}

fn options(author: &str, permlink: &str) -> CommentOptions {
    CommentOptions {
        author: author.into(),
        permlink: permlink.into(),
        max_accepted_payout: hbd(1_000_000_000),
        percent_hbd: 10_000,
        allow_votes: true,
        allow_curation_rewards: true,
        extensions: Vec::new(),
    }
}

fn hbd(amount: i64) -> Asset {
    Asset { amount, symbol: AssetSymbol::Hbd }
}

fn beneficiaries(names: &[&str]) -> Vec<CommentExtension> {
    let share = |name: &&str| Beneficiary { account: (*name).into(), weight: 100 };
    vec![CommentExtension::Beneficiaries(names.iter().map(share).collect())]
}

fn vote(voter: &str, weight: i16) -> Vote {
    Vote { voter: voter.into(), author: "alice".into(), permlink: "p".into(), weight }
}

/// A chain with a post of alice in a block.
fn with_post() -> Devnet {
    let mut node = chain();
    push(&mut node, "alice", comment("alice", "p", None)).unwrap();
    node.produce_block(at(3)).unwrap();
    node
}

#[test]
fn posts_wait_five_minutes_answers_and_edits_three_seconds() {
    let mut node = with_post();
    let second = || comment("alice", "second", None);
    let edit = || comment("alice", "p", None);
    let answer = |permlink: &str| comment("alice", permlink, Some(("alice", "p")));
    // Made at the time of the block before it, as hived has it: now is three seconds later.
    assert_eq!(push(&mut node, "alice", second()), refused(PostRefusal::TooSoon));
    push(&mut node, "alice", edit()).unwrap();
    let again = comment("alice", "p", None);
    let mut again = alive_hive::Comment { body: "again".into(), ..again };
    assert_eq!(push(&mut node, "alice", again.clone()), refused(PostRefusal::EditTooSoon));
    push(&mut node, "alice", answer("answer")).unwrap();
    assert_eq!(push(&mut node, "alice", answer("another")), refused(PostRefusal::ReplyTooSoon));
    node.produce_block(at(6)).unwrap();
    again.body = "later".into();
    push(&mut node, "alice", again).unwrap();
    node.produce_block(at(300)).unwrap();
    assert_eq!(push(&mut node, "alice", second()), refused(PostRefusal::TooSoon));
    node.produce_block(at(301)).unwrap();
    push(&mut node, "alice", second()).unwrap();
    let account = node.account("alice").unwrap();
    assert_eq!((account.post_count, account.last_root_post.to_string()), (3, at(301).to_string()));
}

#[test]
fn without_an_interval_posts_follow_each_other() {
    let mut node = open(config().root_post_interval(std::time::Duration::ZERO));
    for number in 0..3 {
        push(&mut node, "alice", comment("alice", &format!("p{number}"), None)).unwrap();
    }
}

#[test]
fn an_answer_needs_its_parent_and_an_edit_keeps_it() {
    let mut node = with_post();
    let lost = push(&mut node, "bob", comment("bob", "a", Some(("alice", "nothing"))));
    assert!(matches!(lost, Err(TransactionError::Post(PostRefusal::NoPost { .. }))));
    push(&mut node, "bob", comment("bob", "a", Some(("alice", "p")))).unwrap();
    node.produce_block(at(6)).unwrap();
    let as_root = push(&mut node, "bob", comment("bob", "a", None));
    assert_eq!(as_root, refused(PostRefusal::ParentChanged));
    let below_itself = push(&mut node, "bob", comment("bob", "a", Some(("bob", "a"))));
    assert_eq!(below_itself, refused(PostRefusal::ParentChanged));
    push(&mut node, "bob", comment("bob", "a", Some(("alice", "p")))).unwrap();
}

#[rstest]
#[case("Upper", PostRefusal::PermlinkCharacter('U'))]
#[case("under_score", PostRefusal::PermlinkCharacter('_'))]
#[case("é", PostRefusal::PermlinkCharacter('é'))]
#[case("", PostRefusal::PermlinkSize)]
fn a_permlink_has_small_letters_digits_and_dashes(
    #[case] permlink: &str,
    #[case] refusal: PostRefusal,
) {
    let mut node = chain();
    assert_eq!(
        push(&mut node, "alice", comment("alice", permlink, None)),
        refused(refusal.clone())
    );
    // The category follows the same rule.
    let mut post = comment("alice", "p", None);
    post.parent_permlink = permlink.into();
    assert_eq!(push(&mut node, "alice", post), refused(refusal));
}

#[test]
fn options_only_become_stricter() {
    let mut node = with_post();
    let stricter = CommentOptions {
        max_accepted_payout: hbd(0),
        percent_hbd: 5000,
        allow_votes: false,
        allow_curation_rewards: false,
        ..options("alice", "p")
    };
    push(&mut node, "alice", stricter.clone()).unwrap();
    let back = [
        (
            CommentOptions { max_accepted_payout: hbd(1), ..stricter.clone() },
            PostRefusal::GreaterPayout,
        ),
        (CommentOptions { percent_hbd: 5001, ..stricter.clone() }, PostRefusal::GreaterPercent),
        (CommentOptions { allow_votes: true, ..stricter.clone() }, PostRefusal::VotesAgain),
        (
            CommentOptions { allow_curation_rewards: true, ..stricter.clone() },
            PostRefusal::CurationAgain,
        ),
    ];
    for (wider, refusal) in back {
        assert_eq!(push(&mut node, "alice", wider), refused(refusal));
    }
    assert_eq!(push(&mut node, "bob", vote("bob", 1)), refused(PostRefusal::NoVotes));
    let unknown = push(&mut node, "alice", options("alice", "nothing"));
    assert!(matches!(unknown, Err(TransactionError::Post(PostRefusal::NoPost { .. }))));
}

#[test]
fn beneficiaries_are_named_once_before_the_first_vote_and_exist() {
    let with = |names: &[&str]| CommentOptions {
        extensions: beneficiaries(names),
        ..options("alice", "p")
    };
    let mut node = with_post();
    let nobody = push(&mut node, "alice", with(&["bob", "nobody"]));
    assert_eq!(nobody, refused(PostRefusal::NoBeneficiary("nobody".into())));
    let nine: Vec<String> = ('a'..='i').map(|c| format!("alive.wit-{c}")).collect();
    let nine: Vec<&str> = nine.iter().map(String::as_str).collect();
    let too_many = push(&mut node, "alice", with(&nine));
    assert_eq!(too_many, refused(PostRefusal::TooManyBeneficiaries));
    push(&mut node, "alice", with(&nine[..8])).unwrap();
    assert_eq!(push(&mut node, "alice", with(&["bob"])), refused(PostRefusal::BeneficiariesTwice));

    let mut node = with_post();
    push(&mut node, "bob", vote("bob", 10_000)).unwrap();
    let late = push(&mut node, "alice", with(&["bob"]));
    assert_eq!(late, refused(PostRefusal::BeneficiariesAfterVote));
    let stricter = CommentOptions { allow_votes: false, ..options("alice", "p") };
    assert_eq!(push(&mut node, "alice", stricter), refused(PostRefusal::OptionsAfterVote));
    // What restricts nothing is fine after a vote.
    push(&mut node, "alice", options("alice", "p")).unwrap();
}

#[test]
fn a_vote_differs_from_the_one_before_and_has_a_post_within_seven_days() {
    let mut node = with_post();
    assert_eq!(push(&mut node, "bob", vote("bob", 0)), refused(PostRefusal::VoteOfNothing));
    push(&mut node, "bob", vote("bob", 100)).unwrap();
    node.produce_block(at(6)).unwrap();
    assert_eq!(push(&mut node, "bob", vote("bob", 100)), refused(PostRefusal::SameVote));
    push(&mut node, "bob", vote("bob", 0)).unwrap();
    // The post was made at the time of the first block.
    node.produce_block(at(7 * 24 * 3600 - 1)).unwrap();
    push(&mut node, "bob", vote("bob", -100)).unwrap();
    node.produce_block(at(7 * 24 * 3600)).unwrap();
    assert_eq!(push(&mut node, "bob", vote("bob", 5)), refused(PostRefusal::VoteAfterPayout));
    let late = push(&mut node, "alice", options("alice", "p"));
    assert_eq!(late, refused(PostRefusal::OptionsAfterPayout));
}

#[test]
fn a_transaction_that_fails_in_the_middle_changes_nothing() {
    let mut node = chain();
    let post = comment("alice", "p", None);
    let wrong = options("alice", "other");
    let both = vec![post.into(), wrong.into()];
    let signed = super::support::sign(
        super::support::build(&node, both),
        &[&super::support::key("alice", Role::Posting)],
    );
    assert!(node.push_transaction(signed).is_err());
    assert_eq!(node.account("alice").unwrap().post_count, 0);
    push(&mut node, "alice", comment("alice", "p", None)).unwrap();
}

#[tokio::test]
async fn a_post_is_read_by_all_three_methods() {
    let server = serve_at_start(config()).await;
    let with = CommentOptions { extensions: beneficiaries(&["bob"]), ..options("alice", "p") };
    server.with(|node| {
        push(node, "alice", comment("alice", "p", None)).unwrap();
        push(node, "alice", with).unwrap();
        node.produce_block(at(3)).unwrap();
        push(node, "bob", comment("bob", "a", Some(("alice", "p")))).unwrap();
        push(node, "bob", vote("bob", 500)).unwrap();
        node.produce_block(at(6)).unwrap();
    });
    let content = result(&server, "condenser_api.get_content", json!(["alice", "p"])).await;
    let asked = json!({ "comments": [["alice", "p"], ["alice", "nothing"]] });
    let found = result(&server, "database_api.find_comments", asked).await;
    assert_eq!(found["comments"].as_array().unwrap().len(), 1);
    let asked = json!({ "author": "alice", "permlink": "p", "observer": "bob" });
    let bridge = result(&server, "bridge.get_post", asked).await;
    for post in [&content, &found["comments"][0], &bridge] {
        for (member, want) in [
            ("author", json!("alice")),
            ("permlink", json!("p")),
            ("title", json!("Title of p")),
            ("body", json!("Body of p")),
            ("category", json!("alive")),
            ("children", json!(1)),
            ("depth", json!(0)),
            ("beneficiaries", json!([{ "account": "bob", "weight": 100 }])),
            ("percent_hbd", json!(10_000)),
        ] {
            assert_eq!(post[member], want, "{member}");
        }
    }
    assert_eq!(content["max_accepted_payout"], "1000000.000 HBD");
    assert_eq!(found["comments"][0]["max_accepted_payout"]["nai"], "@@000000013");
    assert_eq!(content["json_metadata"], r#"{"app":"alive"}"#);
    assert_eq!(bridge["json_metadata"], json!({ "app": "alive" }));
    assert_eq!(content["active_votes"][0]["percent"], 500);
    assert_eq!(content["url"], "/alive/@alice/p");
    let answer = result(&server, "condenser_api.get_content", json!(["bob", "a"])).await;
    assert_eq!((&answer["depth"], &answer["root_author"]), (&json!(1), &json!("alice")));
    assert_eq!(answer["url"], "/alive/@alice/p#@bob/a");
    assert_eq!(answer["root_title"], "Title of p");

    let missing = result(&server, "condenser_api.get_content", json!(["alice", "x"])).await;
    assert_eq!((&missing["author"], &missing["permlink"]), (&json!(""), &json!("")));
    let params = json!({ "author": "alice", "permlink": "x" });
    assert_eq!(error(&server, "bridge.get_post", params).await["code"], -32602);
    for params in [json!(["alice"]), json!([1, 2]), Value::Null] {
        assert_eq!(error(&server, "condenser_api.get_content", params).await["code"], -32002);
    }
}

#[test]
fn a_fork_takes_a_post_away_or_brings_it_again_as_it_is_asked_to() {
    let mut node = with_post();
    node.fork(1, Fate::Return).unwrap();
    assert_eq!(node.account("alice").unwrap().post_count, 1);
    assert_eq!(node.pending(), 0, "it is in the new block");
    node.fork(1, Fate::Lose).unwrap();
    assert_eq!(node.account("alice").unwrap().post_count, 0);
    assert!(matches!(node.fork(5, Fate::Lose), Err(DevnetError::Irreversible)));
}

#[test]
fn posts_votes_and_options_are_there_again_after_reopening() {
    let folder = TempDir::new().unwrap();
    let config = config().folder(folder.path()).irreversible_lag(10);
    let mut node = open(config.clone());
    push(&mut node, "alice", comment("alice", "p", None)).unwrap();
    node.produce_block(at(3)).unwrap();
    push(&mut node, "alice", CommentOptions { percent_hbd: 1, ..options("alice", "p") }).unwrap();
    push(&mut node, "bob", vote("bob", 7)).unwrap();
    node.produce_block(at(6)).unwrap();
    drop(node);
    let mut node = open(config);
    assert_eq!(node.account("alice").unwrap().post_count, 1);
    let wider = push(&mut node, "alice", options("alice", "p"));
    assert_eq!(wider, refused(PostRefusal::GreaterPercent));
    assert_eq!(push(&mut node, "bob", vote("bob", 7)), refused(PostRefusal::SameVote));
    node.pop_blocks(1).unwrap();
    node.produce_block(at(100)).unwrap();
    push(&mut node, "bob", vote("bob", 7)).unwrap();
}
