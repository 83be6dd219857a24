use alive_core::backend::{Authority, SignatureError};
use rstest::rstest;

use super::*;

const NOW: f64 = 1_795_219_527.75;

fn secret() -> Secret {
    Secret::new(&[7; 32]).unwrap()
}

fn claims() -> Claims {
    Claims {
        user: "alice".parse().unwrap(),
        link: "s-1".parse().unwrap(),
        app: "alivedb_login".into(),
        network: Network::hive(),
        iat: NOW,
        exp: NOW + 10.0,
    }
}

fn verify(token: &str) -> Result<Claims, ClaimsError> {
    Claims::verify(token, &secret(), "alivedb_login", NOW)
}

/// A token of any header and claims, signed with our secret all the same.
fn forged(header: &str, claims: &str) -> String {
    let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let signed = format!("{}.{}", part(header), part(claims));
    let tag = hmac::sign(&secret().0, signed.as_bytes());
    format!("{signed}.{}", BASE64URL_NOPAD.encode(tag.as_ref()))
}

#[test]
fn a_token_says_what_it_was_made_of() {
    let token = claims().sign(&secret());
    assert_eq!(verify(&token), Ok(claims()));
    assert!(
        token.starts_with("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."),
        "the header of the original"
    );
}

#[rstest]
#[case(9.99, Ok(()))]
#[case(10.24, Ok(()))]
#[case(10.25, Err(ClaimsError::Expired))]
#[case(99.0, Err(ClaimsError::Expired))]
fn a_token_counts_until_a_whole_second_reaches_its_end(
    #[case] later: f64,
    #[case] expected: Result<(), ClaimsError>,
) {
    let claims = Claims { exp: (NOW + 10.0).ceil(), ..claims() };
    let got = Claims::verify(&claims.sign(&secret()), &secret(), "alivedb_login", NOW + later);
    assert_eq!(got.map(drop), expected);
}

#[rstest]
#[case::unsigned(r#"{"alg":"none"}"#)]
#[case::another_length(r#"{"alg":"HS512"}"#)]
#[case::public_key(r#"{"alg":"RS256"}"#)]
#[case::lower_case(r#"{"alg":"hs256"}"#)]
#[case::no_text(r#"{"alg":["HS256"]}"#)]
#[case::nothing("{}")]
fn only_one_algorithm_counts(#[case] header: &str) {
    let claims = Json::Object(claims().to_object()).print();
    assert_eq!(verify(&forged(header, &claims)), Err(ClaimsError::Algorithm));
}

#[test]
fn a_token_of_another_secret_or_service_does_not_count() {
    let other = Secret::new(&[8; 32]).unwrap();
    assert_eq!(verify(&claims().sign(&other)), Err(ClaimsError::Signature));
    let app = Claims { app: "other".into(), ..claims() };
    assert_eq!(verify(&app.sign(&secret())), Err(ClaimsError::App));
}

#[rstest]
#[case("user")]
#[case("link")]
#[case("app")]
#[case("network")]
#[case("iat")]
#[case("exp")]
fn every_claim_is_needed_and_of_its_type(#[case] name: &'static str) {
    let all = claims().to_object();
    let without: Object = all.clone().into_iter().filter(|(key, _)| key != name).collect();
    for odd in [None, Some(Json::Null), Some(Json::Array(Vec::new())), Some(Json::Bool(true))] {
        let odd = odd.map(|value| (Text::from(name), value));
        let claims: Object = without.clone().into_iter().chain(odd).collect();
        let token = forged(r#"{"alg":"HS256"}"#, &Json::Object(claims).print());
        assert_eq!(verify(&token), Err(ClaimsError::Claim(name)));
    }
}

#[rstest]
#[case("", ClaimsError::Malformed)]
#[case("a", ClaimsError::Malformed)]
#[case("a.b", ClaimsError::Malformed)]
#[case("e30.e30.", ClaimsError::Unsigned)]
#[case("e30.e30.x", ClaimsError::Algorithm)]
#[case("e30.bm8.x", ClaimsError::Malformed)]
fn refuses_what_is_no_token(#[case] token: &str, #[case] error: ClaimsError) {
    assert_eq!(verify(token), Err(error));
    assert_eq!(verify(&"a".repeat(5000)), Err(ClaimsError::Malformed));
}

#[test]
fn a_secret_is_long_and_never_shows() {
    assert!(Secret::new(&[1; 31]).is_none());
    let (made, text) = Secret::generate().unwrap();
    let again = Secret::new(text.as_bytes()).unwrap();
    assert!(Claims::verify(&claims().sign(&made), &again, "alivedb_login", NOW).is_ok());
    assert_eq!(format!("{made:?}"), "Secret(…)");
}

/// Signatures are the text of the digest; the key says nothing.
#[derive(Debug)]
struct Plain;

impl SignatureScheme for Plain {
    fn digest(&self, message: &[u8]) -> [u8; 32] {
        let mut digest = [0; 32];
        digest.iter_mut().zip(message).for_each(|(to, byte)| *to = *byte);
        digest
    }

    fn recover(&self, _: &[u8; 32], signature: &str) -> Result<PublicKeyBytes, SignatureError> {
        let byte = signature.parse().map_err(|_| SignatureError::Form("a number"))?;
        Ok(PublicKeyBytes([byte; 33]))
    }
}

const MESSAGE: &str = "alice:s-1:alivedb_login:hive:100:0abc:7";

fn parse(text: &str) -> Result<LoginMessage, LoginError> {
    LoginMessage::parse(text, "alivedb_login")
}

#[test]
fn what_is_signed_is_all_but_the_signature() {
    let message = parse(MESSAGE).unwrap();
    let other = parse(&MESSAGE.replace(":7", ":8")).unwrap();
    assert_eq!(message.digest(&Plain), other.digest(&Plain));
    assert_eq!(message.digest(&Plain), Plain.digest(b"alice:s-1:alivedb_login:hive:100:0abc"));
    assert_eq!(message.signer(&Plain), Ok(PublicKeyBytes([7; 33])));
}

/// Holes 6 and 8 of the original: other bodies, a block number with something behind it.
#[rstest]
#[case::empty("")]
#[case::json("{\"message\":\"x\"}")]
#[case::six("alice:s-1:alivedb_login:hive:100:0abc")]
#[case::eight("alice:s-1:alivedb_login:hive:100:0abc:7:8")]
#[case::other_service("alice:s-1:other:hive:100:0abc:7")]
#[case::other_network("alice:s-1:alivedb_login:blurt:100:0abc:7")]
#[case::trailing("alice:s-1:alivedb_login:hive:100x:0abc:7")]
#[case::sign("alice:s-1:alivedb_login:hive:+100:0abc:7")]
#[case::no_number("alice:s-1:alivedb_login:hive::0abc:7")]
#[case::huge("alice:s-1:alivedb_login:hive:99999999999999999999:0abc:7")]
#[case::user("Alice:s-1:alivedb_login:hive:100:0abc:7")]
#[case::link("alice:s 1:alivedb_login:hive:100:0abc:7")]
fn refuses_messages_of_another_form(#[case] text: &str) {
    assert_eq!(parse(text), Err(LoginError::Format));
    assert_eq!(parse(&MESSAGE.replace("0abc", &"a".repeat(1024))), Err(LoginError::Format));
}

#[rstest]
#[case(Some("0abc"), 100, Ok(()))]
#[case(Some("0abc"), 120, Ok(()))]
#[case(Some("0abc"), 121, Err(LoginError::TimedOut))]
#[case(Some("0abc"), 90, Ok(()))]
#[case(Some("0ABC"), 100, Err(LoginError::BlockId))]
#[case(None, 100, Err(LoginError::BlockId))]
fn the_block_is_one_of_the_chain_and_recent(
    #[case] id: Option<&str>,
    #[case] head: u64,
    #[case] expected: Result<(), LoginError>,
) {
    assert_eq!(parse(MESSAGE).unwrap().check_block(id, head, 20), expected);
}

#[test]
fn only_a_key_that_may_post_alone_signs() {
    let with = |keys, threshold| {
        let posting = Authority { threshold, keys, accounts: Vec::new() };
        AccountAuthority { posting, ..AccountAuthority::default() }
    };
    let key = PublicKeyBytes([7; 33]);
    assert!(LoginMessage::check_signer(&key, &with(vec![(key, 1)], 1)).is_ok());
    assert!(LoginMessage::check_signer(&key, &with(vec![(key, 1)], 2)).is_err());
    assert!(
        LoginMessage::check_signer(&key, &with(vec![(PublicKeyBytes([8; 33]), 1)], 1)).is_err()
    );
    let mut active = with(Vec::new(), 1);
    active.active = with(vec![(key, 1)], 1).posting;
    assert!(
        LoginMessage::check_signer(&key, &active).is_err(),
        "only the posting authority counts"
    );
}
