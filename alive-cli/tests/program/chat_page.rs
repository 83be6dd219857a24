//! The chat beside the player: a browser, a node, a terminal and a chain, each in a process of its own.

use std::sync::Arc;

use alive_chat::{ChatTransport as _, Family, Item, Message, Networks, StreamChat, system_clock};
use alive_core::{Network, backend::SignatureScheme as _};
use alive_db::chat::ChatDb;
use alive_hive::{
    GraphenePlain, PrivateKey, RecoverableSignature, Role, SignAlgorithm, is_account_name,
};
use serde_json::json;

use crate::{
    browser::Browser,
    chat::{Setting, Sitter},
    support::{Running, get, stdout},
};

const PAGE: &str = "/watch/hive/alice/launch";
const CHAT: &str = "/v1/networks/hive/streams/alice/launch/chat";

fn posting(name: &str) -> PrivateKey {
    PrivateKey::from_password(name, Role::Posting, name).unwrap()
}

/// A message of bob that is good but for what the streamer thinks of him, as JSON.
fn signed_by_bob(text: &str) -> (Networks, String) {
    let hive = Family::new(Network::hive(), GraphenePlain, is_account_name);
    let networks = Networks::new([hive]).unwrap();
    let chat = StreamChat::new(networks.clone(), "hive/alice/launch".parse().unwrap()).unwrap();
    let (bob, now) = (networks.account("hive", "bob").unwrap(), system_clock());
    let digest = GraphenePlain.digest(chat.message_text(&bob, now, text).as_bytes());
    let signature = RecoverableSignature::sign(&digest, &posting("bob"), SignAlgorithm::Dhive);
    let json = json!({
        "u": "bob", "n": "hive", "s": signature.to_string(), "t": now.as_ms(), "m": text,
    });
    (networks, json.to_string())
}

/// A node that follows the chain of the setting and has its chats, where it is, and where its AliveDB is.
fn node(setting: &Setting) -> (Running, String, String) {
    let args = ["node", "--listen", "127.0.0.1:0", "--live-listen", "127.0.0.1:0"];
    let mut node = Running::start(setting.chained(&args));
    let live = node.line("live peers at ");
    let url = node.line("listening on ");
    (node, url, live)
}

#[test]
#[ignore = "needs Chromium and npm"]
fn a_browser_and_a_terminal_chat_and_who_is_banned_is_refused_everywhere() {
    let mut setting = Setting::new();
    let (node, url, live) = node(&setting);
    setting.relay.clone_from(&live);
    let page = format!("{url}{PAGE}");
    while setting.runtime.block_on(get(&page)).is_err() {}
    let keys = setting.path("streamer.json");
    let as_streamer = ["--live-key-file", keys.to_str().unwrap(), "--approve", "by-hand"];
    let mut streamer = Sitter::start(setting.join("alice", &as_streamer));
    streamer.types("welcome to all");
    streamer.sees("hive/alice (streamer): welcome to all");

    let mut browser = Browser::start();
    browser.open(&page);
    let line = browser.until_said("welcome to all");
    assert!(line.contains("hive/alice") && line.contains("streamer"), "{line}");

    // Asks, waits, is let in.
    browser.sign_in("bob", &posting("bob").to_wif());
    browser.until_standing("unknown");
    browser.click("#chat-ask");
    browser.until_standing("asked");
    streamer.sees("hive/bob asks for access");
    assert_eq!(browser.evaluate("document.getElementById('chat-say').hidden"), true);
    streamer.types("/approve bob");
    browser.until_standing("approved");

    // Both ways, and whatever is in it.
    browser.say("hello from a browser \u{e9}\u{1f600} <b>x</b>");
    streamer.sees("hive/bob: hello from a browser \u{e9}\u{1f600} <b>x</b>");
    browser.until_said("hello from a browser \u{e9}\u{1f600} <b>x</b>");
    streamer.types("<img src=x onerror=alert(1)>\u{202e}\u{1b}[2J");
    browser.until_said("<img src=x onerror=alert(1)><202E><1B>[2J");
    browser.screenshot("chat-terminal");

    streamer.types("/ban bob");
    browser.until_standing("banned");
    browser.until("!document.getElementById('chat-log').textContent.includes('hive/bob')");

    // The page offers him nothing, the node takes nothing of him, nor does the terminal.
    assert_eq!(browser.evaluate("document.getElementById('chat-say').hidden"), true);
    let (networks, json) = signed_by_bob("over the node");
    let posted = browser.evaluate(&format!(
        "fetch('{CHAT}', {{ method: 'POST', body: {} }}).then(async (answer) => \
         [answer.status, (await answer.json()).detail])",
        serde_json::Value::from(json)
    ));
    assert_eq!(posted, json!([403, "the account is banned"]));
    let said = setting.say("bob", "over the terminal");
    let words = format!("{}{}", stdout(&said), String::from_utf8_lossy(&said.stderr));
    assert!(!said.status.success() && words.contains("banned"), "{words}");
    // Past all of them, into AliveDB itself, where anybody may write.
    let (_, json) = signed_by_bob("over AliveDB");
    let message = Message::from_json(&networks, &json).unwrap();
    setting.runtime.block_on(async {
        setting.peer.dial(&live).await.unwrap();
        let chat = ChatDb::new(Arc::new(setting.peer.clone()), networks);
        let stream = "hive/alice/launch".parse().unwrap();
        while setting.peer.holdings().links == 0 {
            tokio::task::yield_now().await;
        }
        chat.publish(&stream, Item::Message(message)).await.unwrap();
    });
    streamer.types("the last word");
    streamer.sees("hive/alice (streamer): the last word");
    browser.until_said("the last word");
    let said = browser.said();
    assert_eq!(
        said,
        ["welcome to all", "<img src=x onerror=alert(1)><202E><1B>[2J", "the last word"]
    );
    for line in streamer.heard() {
        assert!(!line.contains("over "), "{line}");
    }
    let listen = ["chat", "join", "hive/alice/launch", "--live-peer", &live, "--once"];
    let heard = stdout(&setting.chained(&listen).output().unwrap());
    assert!(heard.contains("the last word") && !heard.contains("over "), "{heard}");

    let host = url.trim_start_matches("http://").to_owned();
    browser.saw_only("Failed to load resource", &[host]);
    assert!(node.terminate().success());
}
