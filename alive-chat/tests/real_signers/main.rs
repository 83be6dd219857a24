//! Messages that unmodified libraries sign verify here, and ours verify there: hive-tx, raw libsecp256k1 with the text of
//! keys made by hand as hivecrypt does, and javalon's own.
//!
//! They need Node.js with npm; the packages come from their registry once.
#![cfg(test)]

mod node;

use std::num::NonZeroUsize;

use alive_avalon::{AvalonPlain, is_user_name};
use alive_chat::{AccessRequest, Account, Family, KeySet, Message, Moment, Networks, StreamChat};
use alive_core::{Network, backend::SignatureScheme as _};
use alive_hive::{GraphenePlain, PrivateKey, RecoverableSignature, SignAlgorithm, is_account_name};
use serde_json::{Value, json};

use node::ask;

fn chat() -> StreamChat {
    let networks = Networks::new([
        Family::new(Network::hive(), GraphenePlain, is_account_name),
        Family::new("blurt".parse().unwrap(), GraphenePlain, is_account_name),
        Family::new(Network::avalon(), AvalonPlain, is_user_name).with_recovery_id(),
    ]);
    StreamChat::new(networks.unwrap(), "hive/techcoderx/live-1".parse().unwrap()).unwrap()
}

fn hive_key() -> PrivateKey {
    PrivateKey::from_bytes(&[7; 32]).unwrap()
}

fn avalon_key() -> alive_avalon::PrivateKey {
    alive_avalon::PrivateKey::from_bytes(&[9; 32]).unwrap()
}

fn hive_keys() -> KeySet {
    [hive_key().public_key().into()].into_iter().collect()
}

fn avalon_keys() -> KeySet {
    [avalon_key().public_key().into()].into_iter().collect()
}

/// Texts that languages differ in when they make bytes of them, and enough of them that every recovery id occurs.
fn samples() -> Vec<(Account, Moment, String)> {
    let chat = chat();
    let texts = ["hello", "é😀\u{2028}\"\\\n\t", "_/_", "\u{0}\u{7f}", "مرحبا", "e\u{301}"];
    let mut samples = Vec::new();
    for n in 0..24_u16 {
        let text = format!("{} {n}", texts[usize::from(n) % texts.len()]);
        let time = Moment::EPOCH.after_ms(1_795_219_380_221.0 + f64::from(n) * 0.5);
        for who in ["hive", "blurt", "avalon"] {
            let account = chat.networks().account(who, "alice").unwrap();
            samples.push((account, time, text.clone()));
        }
    }
    samples
}

fn verifies(account: &Account, time: Moment, text: &str, s: &Value, r: Option<&Value>) -> bool {
    let chat = chat();
    let mut json = json!({
        "u": account.name().as_str(), "n": account.network().as_str(), "s": s, "t": 0, "m": text,
    });
    if let Some(r) = r {
        json["r"] = r.clone();
    }
    let json = json.to_string().replace("\"t\":0", &format!("\"t\":{time}"));
    let message = Message::from_json(chat.networks(), &json).unwrap();
    let is_avalon = account.network() == &Network::avalon();
    let keys = if is_avalon { avalon_keys() } else { hive_keys() };
    chat.recover(message).unwrap().allow(&keys).is_some()
}

#[test]
#[ignore = "needs node.js, npm and packages"]
fn what_others_sign_verifies_here() {
    let (chat, samples) = (chat(), samples());
    let texts: Vec<_> = samples
        .iter()
        .map(|(account, time, text)| chat.message_text(account, *time, text))
        .collect();
    let (wif, avalon) = (hive_key().to_wif(), avalon_key().to_base58());
    let job = json!({ "texts": texts, "wif": wif.as_str(), "avalon": avalon.as_str() });
    let signed = ask("sign", &job);
    assert_eq!(signed.as_array().unwrap().len(), samples.len());
    for ((account, time, text), signed) in samples.iter().zip(signed.as_array().unwrap()) {
        if account.network() == &Network::avalon() {
            let signed = &signed["avalon"];
            assert!(verifies(account, *time, text, &signed["s"], Some(&signed["r"])), "{text:?}");
        } else {
            for library in ["hiveTx", "raw"] {
                let holds = verifies(account, *time, text, &signed[library], None);
                assert!(holds, "{library} {account} {text:?}");
            }
        }
        if account.network() != &Network::avalon() {
            let later = time.after_ms(1.0);
            assert!(!verifies(account, later, text, &signed["hiveTx"], None), "re-dated");
        }
    }
    let alice = chat.networks().account("hive", "alice").unwrap();
    let time = Moment::EPOCH.after_ms(1e12);
    let job = json!({
        "texts": [chat.request_text(&alice, time)], "wif": wif.as_str(), "avalon": avalon.as_str(),
    });
    let signed = ask("sign", &job)[0]["hiveTx"].clone();
    let request = json!({ "s": signed, "t": 1e12 }).to_string();
    let request = AccessRequest::from_json(chat.networks(), alice, &request).unwrap();
    assert!(chat.recover(request).unwrap().allow(&hive_keys()).is_some());
}

#[test]
#[ignore = "needs node.js, npm and packages"]
fn what_we_sign_verifies_there() {
    let (chat, hive, avalon) = (chat(), hive_key(), avalon_key());
    let cases: Vec<Value> = samples()
        .iter()
        .map(|(account, time, text)| {
            let text = chat.message_text(account, *time, text);
            let digest = GraphenePlain.digest(text.as_bytes());
            let graphene = RecoverableSignature::sign(&digest, &hive, SignAlgorithm::Dhive);
            let signed = AvalonPlain::sign(&AvalonPlain.digest(text.as_bytes()), &avalon);
            let (s, r) = signed.split_once(',').unwrap();
            let r: u8 = r.parse().unwrap();
            json!({ "text": text, "graphene": graphene.to_string(), "s": s, "r": r })
        })
        .collect();
    let (wif, avalon) = (hive.to_wif(), avalon.to_base58());
    let checked =
        ask("check", &json!({ "cases": cases, "wif": wif.as_str(), "avalon": avalon.as_str() }));
    assert_eq!(checked.as_array().unwrap().len(), cases.len());
    for (case, checked) in cases.iter().zip(checked.as_array().unwrap()) {
        assert_eq!(*checked, json!({ "hiveTx": true, "raw": true, "avalon": true }), "{case}");
    }
}

/// Claim: at least 4 times the original's JavaScript on the same messages, one core each, in one run. Where the package that
/// it verifies with has a native library for the machine, that is libsecp256k1 again, and nobody is 4 times as fast: the
/// ratio is told.
#[test]
#[ignore = "needs node.js, npm and packages; a figure only in release"]
fn verifying_takes_a_quarter_of_the_javascript_at_most() {
    const COUNT: u16 = 4000;
    let (chat, hive) = (chat(), hive_key());
    let alice = chat.networks().account("hive", "alice").unwrap();
    let mut messages = Vec::with_capacity(COUNT.into());
    let (mut texts, mut signatures) = (Vec::new(), Vec::new());
    for n in 0..COUNT {
        let time = Moment::EPOCH.after_ms(1_795_219_380_221.0 + f64::from(n));
        let said = format!("message {n} of somebody who has something to say");
        let text = chat.message_text(&alice, time, &said);
        let digest = GraphenePlain.digest(text.as_bytes());
        let s = RecoverableSignature::sign(&digest, &hive, SignAlgorithm::Dhive).to_string();
        let json = format!(r#"{{"u":"alice","n":"hive","s":"{s}","t":{time},"m":"{said}"}}"#);
        messages.push(Message::from_json(chat.networks(), &json).unwrap());
        texts.push(text);
        signatures.push(s);
    }
    let wif = hive.to_wif();
    let job = |script: bool| json!({ "texts": texts, "signatures": signatures, "wif": wif.as_str(), "script": script });
    let keys = hive_keys();
    let ours = || {
        let all = messages.clone();
        let start = std::time::Instant::now();
        let recovered = chat.recover_all(all, NonZeroUsize::MIN).into_iter();
        let good = recovered.flatten().filter_map(|one| one.allow(&keys)).count();
        assert_eq!(good, usize::from(COUNT));
        start.elapsed().as_secs_f64()
    };
    // The best of some turns each, so that what else runs hurts neither.
    let per_sec = |seconds: f64| f64::from(COUNT) / seconds;
    let theirs = |script| {
        let job = job(script);
        let turns = (0..3).map(|_| ask("measure", &job).as_f64().unwrap() / 1e9);
        per_sec(turns.reduce(f64::min).unwrap())
    };
    let (script, native) = (theirs(true), theirs(false));
    let ours = per_sec((0..5).map(|_| ours()).reduce(f64::min).unwrap());
    node::say(&format!(
        "verified on one core: ours {ours:.0}/s; JavaScript {script:.0}/s, {:.1} times; JavaScript with native \
         libsecp256k1 {native:.0}/s, {:.1} times",
        ours / script,
        ours / native
    ));
    if !cfg!(debug_assertions) {
        assert!(ours >= 4.0 * script, "{ours:.0}/s against {script:.0}/s");
    }
}
