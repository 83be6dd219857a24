//! What the tests of this crate share: accounts whose keys are made of their names, and what they sign.

use alive_avalon::{AvalonPlain, is_user_name};
use alive_core::{
    Network,
    backend::{PublicKeyBytes, SignatureScheme as _},
};
use alive_hive::{
    GraphenePlain, PrivateKey, RecoverableSignature, Role, SignAlgorithm, is_account_name,
};

use crate::{
    AccessRequest, Account, Family, FieldValue, KeySet, Message, Moment, Networks, StreamChat,
    Verified,
};

/// The stream of most tests.
pub(crate) const STREAM: &str = "hive/techcoderx/live-1";

pub(crate) fn networks() -> Networks {
    Networks::new([
        Family::new(Network::hive(), GraphenePlain, is_account_name),
        Family::new("blurt".parse().unwrap(), GraphenePlain, is_account_name),
        Family::new(Network::avalon(), AvalonPlain, is_user_name).with_recovery_id(),
    ])
    .unwrap()
}

pub(crate) fn chat(stream: &str) -> StreamChat {
    StreamChat::new(networks(), stream.parse().unwrap()).unwrap()
}

pub(crate) fn account(text: &str) -> Account {
    let (network, name) = text.split_once('/').unwrap();
    networks().account(network, name).unwrap()
}

pub(crate) fn ms(ms: f64) -> Moment {
    Moment::from_ms(ms).unwrap()
}

/// The key pair of an account.
pub(crate) fn key(account: &str) -> (PrivateKey, PublicKeyBytes) {
    let key = PrivateKey::from_password(account, Role::Posting, "").unwrap();
    let public = key.public_key().into();
    (key, public)
}

pub(crate) fn keys_of(account: &str) -> KeySet {
    [key(account).1].into_iter().collect()
}

/// A signature of this text with the key of the account: of both families, as text and recovery id.
pub(crate) fn sign(signer: &str, text: &str) -> (String, Option<u8>) {
    let (secret, _) = key(signer);
    if signer.starts_with("avalon/") {
        let secret = alive_avalon::PrivateKey::from_bytes(&secret.to_bytes()).unwrap();
        let signed = AvalonPlain::sign(&AvalonPlain.digest(text.as_bytes()), &secret);
        let (text, id) = signed.split_once(',').unwrap();
        return (text.to_owned(), Some(id.parse().unwrap()));
    }
    let digest = GraphenePlain.digest(text.as_bytes());
    (RecoverableSignature::sign(&digest, &secret, SignAlgorithm::Dhive).to_string(), None)
}

/// A message that the account signed for [`STREAM`].
pub(crate) fn message(sender: &str, time: f64, text: &str) -> Message {
    signed_by(sender, sender, time, text)
}

/// A message in the name of `sender` that another account signed.
pub(crate) fn signed_by(signer: &str, sender: &str, time: f64, text: &str) -> Message {
    let account = account(sender);
    let (s, r) = sign(signer, &chat(STREAM).message_text(&account, ms(time), text));
    let mut fields = vec![
        ("u", FieldValue::Text(account.name().as_str().into())),
        ("n", FieldValue::Text(account.network().as_str().into())),
        ("s", FieldValue::Text(s.into())),
        ("t", FieldValue::Number(time)),
        ("m", FieldValue::Text(text.into())),
    ];
    fields.extend(r.map(|r| ("r", FieldValue::Number(r.into()))));
    Message::from_fields(&networks(), fields).unwrap()
}

/// A message that was signed and checked.
pub(crate) fn verified(sender: &str, time: f64, text: &str) -> Verified<Message> {
    let recovered = chat(STREAM).recover(message(sender, time, text)).unwrap();
    recovered.allow(&keys_of(sender)).unwrap()
}

/// A request that the account signed for [`STREAM`].
pub(crate) fn request(sender: &str, time: f64) -> AccessRequest {
    let account = account(sender);
    let (s, r) = sign(sender, &chat(STREAM).request_text(&account, ms(time)));
    let mut fields = vec![("s", FieldValue::Text(s.into())), ("t", FieldValue::Number(time))];
    fields.extend(r.map(|r| ("r", FieldValue::Number(r.into()))));
    AccessRequest::from_fields(&networks(), account, fields).unwrap()
}
