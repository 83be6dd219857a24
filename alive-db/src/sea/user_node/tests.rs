use std::sync::LazyLock;

use rstest::rstest;

use super::*;
use crate::{
    json::Object,
    sea::{SignError, sign},
};

const NOW: f64 = 1_795_219_500_000.0;

struct User {
    keys: KeyPair,
    public: String,
}

impl User {
    fn new() -> Self {
        let keys = KeyPair::generate().unwrap();
        let public = keys.public().to_string();
        Self { keys, public }
    }

    fn soul(&self, path: &str) -> Text {
        format!("~{}{path}", self.public).into()
    }

    /// What this user would write at a soul, be it his or not.
    fn wrap(&self, soul: &Text, key: &str, json: &str, more: &str) -> Value {
        let value = Value::from_json(&Json::parse(json).unwrap()).unwrap();
        let put = Put { soul, key: &key.into(), value: &value, state: state() };
        let signature = encode_signature(&self.keys.sign(&digest(put, &value)).unwrap());
        Value::Text(format!(r#"{{":":{json},"~":"{signature}"{more}}}"#).into())
    }
}

static ALICE: LazyLock<User> = LazyLock::new(User::new);
static MALLORY: LazyLock<User> = LazyLock::new(User::new);

fn state() -> State {
    State::new(NOW - 5.5).unwrap()
}

fn open(soul: &Text, key: &str, value: &Value) -> Result<Option<Value>, Refused> {
    UserSpace::default().open(Put { soul, key: &key.into(), value, state: state() }, NOW)
}

#[rstest]
#[case("null", Value::Null)]
#[case("false", Value::Bool(false))]
#[case("\"\"", Value::from(""))]
#[case("{\"#\":\"anywhere\"}", Value::Link("anywhere".into()))]
#[case(r#""\ud800""#, Value::from_json(&Json::parse(r#""\ud800""#).unwrap()).unwrap())]
fn what_the_owner_signed_enters(#[case] json: &str, #[case] value: Value) {
    for path in ["", "/inbox", ".x/y", "/é"] {
        let soul = ALICE.soul(path);
        let wrapped = ALICE.wrap(&soul, "k", json, "");
        assert_eq!(open(&soul, "k", &wrapped), Ok(Some(value.clone())));
        let signed = sign_value(&ALICE.keys, &soul, &"k".into(), &value, state()).unwrap();
        assert_eq!(open(&soul, "k", &signed), Ok(Some(value.clone())));
    }
}

#[test]
fn extra_members_blanks_and_another_way_to_write_a_number_do_not_matter() {
    let soul = ALICE.soul("");
    let Value::Text(wrapped) = ALICE.wrap(&soul, "k", "10", ",\"x\":1") else { panic!() };
    let text = wrapped.to_str_lossy().replace(":10,", ": 1.0e1 , ");
    assert_eq!(
        open(&soul, "k", &Value::Text(text.into())),
        Ok(Some(Value::from_json(&Json::Number(10.0)).unwrap()))
    );
}

#[rstest]
#[case::plain(Value::from("hi"))]
#[case::number(Value::from_json(&Json::Number(1.0)).unwrap())]
#[case::deletion(Value::Null)]
#[case::link(Value::Link("x".into()))]
#[case::no_signature(Value::from(r#"{":":"hi"}"#))]
#[case::empty_signature(Value::from(r#"{":":"hi","~":""}"#))]
#[case::zero_signature(Value::Text(format!(r#"{{":":"hi","~":"{}=="}}"#, "A".repeat(86)).into()))]
#[case::other_key(ALICE.wrap(&ALICE.soul("/inbox"), "other", "\"hi\"", ""))]
#[case::other_soul(ALICE.wrap(&ALICE.soul("/outbox"), "msg", "\"hi\"", ""))]
#[case::stranger(MALLORY.wrap(&ALICE.soul("/inbox"), "msg", "\"hi\"", ""))]
#[case::no_value(Value::from(r#"{"~":"x"}"#))]
fn anything_else_in_a_users_space_is_refused(#[case] value: Value) {
    assert_eq!(open(&ALICE.soul("/inbox"), "msg", &value), Err(UNVERIFIED));
}

#[test]
fn a_signature_holds_for_its_state_only() {
    let soul = ALICE.soul("");
    let value = ALICE.wrap(&soul, "k", "1", "");
    for (ahead, enters) in [(0.0, true), (1.0, false), (0.001, false)] {
        let state = State::new(state().millis() + ahead).unwrap();
        let put = Put { soul: &soul, key: &"k".into(), value: &value, state };
        assert_eq!(UserSpace::default().admit(put, NOW).is_ok(), enters);
    }
}

#[test]
fn a_value_of_state_zero_is_neither_taken_nor_signed() {
    let (soul, zero) = (ALICE.soul(""), State::new(0.0).unwrap());
    let signed = sign_value(&ALICE.keys, &soul, &"k".into(), &Value::Null, zero);
    assert!(matches!(signed, Err(SignError::Unsignable(_))));
    let put = Put { soul: &soul, key: &"k".into(), value: &Value::Null, state: zero };
    let signature = encode_signature(&ALICE.keys.sign(&digest(put, &Value::Null)).unwrap());
    let value = Value::Text(format!(r#"{{":":null,"~":"{signature}"}}"#).into());
    assert!(UserSpace::default().admit(Put { value: &value, ..put }, NOW).is_err());
}

/// Hole 1 of the original: a stranger's value with his own key in `*`.
#[test]
fn a_stranger_does_not_write_by_naming_himself() {
    let soul = ALICE.soul("/hive/alice/s<?600");
    for more in [
        format!(r#","*":"{}""#, MALLORY.public),
        format!(r#","*":"{}","+":null"#, MALLORY.public),
        format!(r#","*":"{}","+":{{"m":1}}"#, MALLORY.public),
        r#","*":5"#.to_owned(),
        r#","*":null"#.to_owned(),
    ] {
        let value = MALLORY.wrap(&soul, "k", "\"forged\"", &more);
        let put = Put { soul: &soul, key: &"k".into(), value: &value, state: state() };
        assert!(UserSpace::default().admit(put, NOW).is_err(), "{more}");
        assert!(UserSpace::default().with_certificates().admit(put, NOW).is_err(), "{more}");
    }
}

/// Hole 2 of the original: one signature over `[object Object]` validates any object.
#[test]
fn a_signature_over_any_object_opens_nothing() {
    let soul = ALICE.soul("");
    let reusable = ALICE.keys.sign(&sha256(b"[object Object]")).unwrap();
    let value = format!(r#"{{":":"forged","~":"{}"}}"#, encode_signature(&reusable));
    assert_eq!(open(&soul, "k", &Value::Text(value.into())), Err(UNVERIFIED));
}

#[rstest]
#[case("~x.y", Some("x.y"))]
#[case("~x.y/a", Some("x.y"))]
#[case("~x.y.z/a", Some("x.y"))]
#[case("pre~x.y/a", Some("x.y"))]
#[case("~x.y~z.w", Some("x.y"))]
#[case("~x/y/z", Some("x.y"))]
#[case("~éx.y", Some(".x"))]
#[case("~😀x.y", Some("."))]
#[case("~.x", Some(".x"))]
#[case("pre~@x/y", Some(".x"))]
#[case("~x", None)]
#[case("~", None)]
#[case("~~a.b", None)]
#[case("plain/a.b", None)]
#[case("~x~y.z", None)]
fn owners_are_read_as_the_original_reads_them(#[case] soul: &str, #[case] expected: Option<&str>) {
    assert_eq!(owner(&soul.into()).as_deref(), expected);
}

#[rstest]
#[case("~x.y")]
#[case("pre~x.y/a")]
#[case("pre~@x/y")]
#[case("~.x")]
fn a_space_whose_owner_is_no_key_takes_nothing(#[case] soul: &str) {
    for value in [Value::from("hi"), Value::Null, ALICE.wrap(&soul.into(), "k", "1", "")] {
        assert_eq!(open(&soul.into(), "k", &value), Err(UNVERIFIED));
    }
}

#[test]
fn the_public_key_of_an_account_is_itself_and_not_signed() {
    let soul = ALICE.soul("");
    let own = Value::Text(ALICE.public.as_str().into());
    assert_eq!(open(&soul, "pub", &own), Ok(Some(own.clone())));
    let other = Value::Text(MALLORY.public.as_str().into());
    assert_eq!(open(&soul, "pub", &other), Err(refused("Account not same!")));
    assert!(open(&soul, "pub", &ALICE.wrap(&soul, "pub", "1", "")).is_err());
    assert_eq!(open(&ALICE.soul("/x"), "pub", &own), Err(UNVERIFIED));
}

#[rstest]
#[case("~@", "alice", "~@alice", true)]
#[case("~@", "alice", "~@bob", false)]
#[case("~@", "alice", "alice", false)]
#[case("~@alice", "~x.y", "~x.y", true)]
#[case("~@alice", "anything", "anything", true)]
#[case("~@alice", "~x.y", "~x.z", false)]
fn aliases_are_links_to_themselves(
    #[case] soul: &str,
    #[case] key: &str,
    #[case] to: &str,
    #[case] enters: bool,
) {
    assert_eq!(open(&soul.into(), key, &Value::Link(to.into())).is_ok(), enters);
    assert!(open(&soul.into(), key, &Value::from(to)).is_err());
    assert!(open(&soul.into(), key, &Value::Null).is_err());
}

#[rstest]
#[case("#", "{\"a\":1}", "", true)]
#[case("posts#", "x", "p#", true)]
#[case("posts#", "x", "a#b#", true)]
#[case("posts", "x", "p#", true)]
#[case("a#b", "x", "p", false)]
fn content_is_named_by_its_hash(
    #[case] soul: &str,
    #[case] text: &str,
    #[case] before: &str,
    #[case] enters: bool,
) {
    let hash = sha256(text.as_bytes());
    let names = [content_hash(text.as_bytes()), data_encoding::HEXLOWER.encode(&hash)];
    for name in names {
        assert_eq!(open(&soul.into(), &format!("{before}{name}"), &text.into()).is_ok(), enters);
        if soul.contains('#') {
            assert!(open(&soul.into(), &format!("{before}{name}"), &"other".into()).is_err());
        }
    }
}

#[test]
fn a_value_that_is_no_text_is_hashed_as_its_json() {
    let value = Value::from_json(&Json::Number(10.0)).unwrap();
    assert!(open(&"#".into(), &content_hash(b"10"), &value).is_ok());
    assert!(open(&"#".into(), &content_hash(b"\"10\""), &value).is_err());
}

#[test]
fn expired_values_are_left_out_before_any_other_check() {
    let soul = ALICE.soul("<?600");
    let judged = |age: f64| {
        let state = State::new(NOW - age).unwrap();
        let value = Value::from("not signed at all");
        let put = Put { soul: &soul, key: &"k".into(), value: &value, state };
        UserSpace::default().admit(put, NOW)
    };
    assert_eq!(judged(600_001.0), Ok(Admitted::Omit));
    assert_eq!(judged(600_000.0), Err(UNVERIFIED));
}

#[test]
fn only_the_own_space_is_signed_for() {
    for soul in [MALLORY.soul(""), "public".into(), "~@alice".into()] {
        let signed = sign_value(&ALICE.keys, &soul, &"k".into(), &Value::Null, state());
        assert!(matches!(signed, Err(SignError::Unsignable(_))), "{soul}");
    }
}

#[test]
fn remembering_keys_is_bounded_and_changes_no_answer() {
    let rules = UserSpace::default();
    let soul = ALICE.soul("");
    let value = ALICE.wrap(&soul, "k", "1", "");
    for n in 0..UserSpace::MAX_KEYS + 10 {
        let nobody = format!("~{n:043}.{n:043}").into();
        let put = Put { soul: &nobody, key: &"k".into(), value: &value, state: state() };
        assert_eq!(rules.admit(put, NOW), Err(UNVERIFIED));
    }
    assert!(rules.keys.lock().unwrap().len() <= UserSpace::MAX_KEYS);
    let put = Put { soul: &soul, key: &"k".into(), value: &value, state: state() };
    for _ in 0..2 {
        assert_eq!(rules.admit(put, NOW), Ok(Admitted::Keep));
    }
}

/// A certificate by `owner` and a value by `writer` at `path` of Alice's space.
fn by_certificate(owner: &User, writer: &User, certificate: &str, path: &str, key: &str) -> bool {
    let certificate = sign(&Json::parse(certificate).unwrap(), &owner.keys).unwrap().to_json();
    let more = format!(r#","+":{},"*":"{}""#, certificate.print(), writer.public);
    let soul = ALICE.soul(path);
    let value = writer.wrap(&soul, key, "\"hi\"", &more);
    let put = Put { soul: &soul, key: &key.into(), value: &value, state: state() };
    assert_eq!(UserSpace::default().admit(put, NOW), Err(NO_CERTIFICATES));
    UserSpace::default().with_certificates().admit(put, NOW).is_ok()
}

#[rstest]
#[case::by_name(r#"{"c":"MALLORY","w":{"*":"inbox"}}"#, true)]
#[case::in_a_list(r#"{"c":["bob","MALLORY"],"w":[{"*":"inbox"}]}"#, true)]
#[case::anyone(r#"{"c":"*","w":{"*":"inbox"}}"#, true)]
#[case::another(r#"{"c":"bob","w":{"*":"inbox"}}"#, false)]
#[case::a_name_with_a_star(r#"{"c":"bob*","w":{"*":"inbox"}}"#, false)]
#[case::nobody(r#"{"w":{"*":"inbox"}}"#, false)]
#[case::no_place(r#"{"c":"*"}"#, false)]
#[case::empty_place(r#"{"c":"*","w":{}}"#, false)]
#[case::place_of_another_type(r#"{"c":"*","w":{"*":5}}"#, false)]
#[case::other_place(r#"{"c":"*","w":{"*":"outbox"}}"#, false)]
#[case::exact(r#"{"c":"*","w":"inbox/a/msg"}"#, true)]
#[case::exact_path_only(r#"{"c":"*","w":"inbox/a"}"#, false)]
#[case::path(r##"{"c":"*","w":{"#":"inbox/a"}}"##, true)]
#[case::key(r#"{"c":"*","w":{".":{"=":"msg"}}}"#, true)]
#[case::both(r##"{"c":"*","w":{"#":{"*":"inbox"},".":"msg"}}"##, true)]
#[case::both_and_one_fails(r##"{"c":"*","w":{"#":{"*":"inbox"},".":"other"}}"##, false)]
#[case::range(r#"{"c":"*","w":{".":{">":"msa","<":"msz"}}}"#, true)]
#[case::outside_range(r#"{"c":"*","w":{".":{">":"msh","<":"msz"}}}"#, false)]
#[case::from(r#"{"c":"*","w":{".":{">":"msh"}}}"#, false)]
#[case::to(r#"{"c":"*","w":{".":{"<":"msh"}}}"#, true)]
#[case::must_name_the_writer(r#"{"c":"*","w":{"*":"inbox","+":"*"}}"#, false)]
#[case::later(r#"{"c":"*","e":1795219499994.6,"w":{"*":"inbox"}}"#, true)]
#[case::at_its_end(r#"{"c":"*","e":1795219499994.5,"w":{"*":"inbox"}}"#, false)]
#[case::end_as_text(r#"{"c":"*","e":"1795219499995","w":{"*":"inbox"}}"#, true)]
#[case::end_unreadable(r#"{"c":"*","e":null,"w":{"*":"inbox"}}"#, false)]
#[case::end_no_number(r#"{"c":"*","e":"never","w":{"*":"inbox"}}"#, false)]
#[case::block_list(r#"{"c":"*","w":{"*":"inbox"},"wb":"blocked"}"#, false)]
fn certificates_are_checked_in_full(#[case] certificate: &str, #[case] allows: bool) {
    let certificate = certificate.replace("MALLORY", &MALLORY.public);
    assert_eq!(by_certificate(&ALICE, &MALLORY, &certificate, "/inbox/a", "msg"), allows);
    assert!(!by_certificate(&MALLORY, &MALLORY, &certificate, "/inbox/a", "msg"));
}

#[test]
fn a_place_may_have_to_name_its_writer() {
    let certificate = r#"{"c":"*","w":{"*":"inbox","+":"*"}}"#;
    let named = format!("/inbox/{}", MALLORY.public);
    assert!(by_certificate(&ALICE, &MALLORY, certificate, &named, "msg"));
    assert!(by_certificate(&ALICE, &MALLORY, certificate, "/inbox", &MALLORY.public));
    assert!(!by_certificate(&ALICE, &MALLORY, certificate, "/inbox", "msg"));
}

#[test]
fn a_certificate_allows_what_its_writer_signed() {
    let certificate = format!(r#"{{"c":"{}","w":{{"*":"inbox"}}}}"#, MALLORY.public);
    let certificate = sign(&Json::parse(&certificate).unwrap(), &ALICE.keys).unwrap().to_json();
    let more = format!(r#","+":{},"*":"{}""#, certificate.print(), MALLORY.public);
    let soul = ALICE.soul("/inbox");
    let bob = User::new();
    let value = bob.wrap(&soul, "msg", "\"hi\"", &more);
    let put = Put { soul: &soul, key: &"msg".into(), value: &value, state: state() };
    assert_eq!(UserSpace::default().with_certificates().admit(put, NOW), Err(UNVERIFIED));
    // The owner needs none, and one beside his own value is no harm where they are known.
    let value = ALICE.wrap(&soul, "msg", "\"hi\"", ",\"+\":{}");
    let put = Put { value: &value, ..put };
    assert!(UserSpace::default().with_certificates().admit(put, NOW).is_ok());
    assert_eq!(UserSpace::default().admit(put, NOW), Err(NO_CERTIFICATES));
}

#[test]
fn an_object_without_a_soul_is_no_value() {
    assert!(Value::from_json(&Json::Object(Object::default())).is_err());
    let soul = ALICE.soul("");
    for json in ["{}", "[1]", "{\"#\":1}", "{\"#\":\"\"}", "1e400"] {
        let value = Value::Text(format!(r#"{{":":{json},"~":"{}=="}}"#, "A".repeat(86)).into());
        assert_eq!(open(&soul, "k", &value), Err(UNVERIFIED), "{json}");
    }
}
