//! The chat beside the player, in a real browser.

use std::net::SocketAddr;

use alive_chat::{ChatSession, Rule};
use alive_core::backend::SharedStorage;
use alive_hive::{HiveNetwork, Role};
use alive_node::{ChatConfig, NodeConfig, PagesConfig};
use alive_storage::MemoryStorage;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    chatters::{Chatters, configure_chat, key},
    driver::Browser,
    stage::Stage,
    support::{Bench, config, push_segment, segments, stream_id},
};

const WATCH: &str = "/watch/hive/alice/s";

/// A stream with a chat, whose streamer lets in who asks.
struct Hall {
    stage: Stage,
    chatters: Chatters,
    desk: ChatSession,
}

impl Hall {
    async fn open() -> Self {
        Self::with(config()).await
    }

    async fn with(config: NodeConfig) -> Self {
        let chatters = Chatters::new(stream_id());
        let rooms = chatters.rooms(ChatConfig::default());
        let chunks = alive_core::memory::MemoryStorage::default();
        let shared = SharedStorage::new(chunks.clone());
        let mut bench = Bench::over(config, chunks, shared, |b| b.chat(rooms)).await;
        bench.block(&[configure_chat(), push_segment(0, &segments(0..1)[0])]).await;
        let stage = Stage { bench, content: MemoryStorage::default() };
        let desk = chatters.desk();
        Self { stage, chatters, desk }
    }

    fn host(&self) -> String {
        self.stage.bench.node.address().to_string()
    }

    fn url(&self) -> String {
        self.stage.url(WATCH)
    }
}

fn posting(name: &str) -> String {
    key(name, Role::Posting).to_wif().to_string()
}

#[tokio::test]
async fn what_the_operator_offers_is_offered_and_nothing_else() {
    for (offered, connect) in [
        (vec![], "connect-src 'self';"),
        (
            vec!["https://api.example", "http://127.0.0.1:1/rpc/"],
            "connect-src 'self' https://api.example http://127.0.0.1:1;",
        ),
    ] {
        let pages = offered.iter().map(|url| url.parse().unwrap());
        let pages = pages.fold(PagesConfig::default(), PagesConfig::chat_keys_from);
        let hall = Hall::with(config().pages(pages)).await;
        let html = [("Accept", "text/html")];
        let page = hall.stage.bench.ask("GET", WATCH, &html).await;
        let policy = page.header("content-security-policy").to_owned();
        assert!(policy.contains(connect) && policy.contains("media-src 'self' blob:;"), "{policy}");
        let text = page.text();
        assert_eq!(text.contains("id=\"chat-keys-from\""), !offered.is_empty());
        for url in &offered {
            let url = url.trim_end_matches('/');
            assert!(text.contains(&format!("<option value=\"{url}\">{url}</option>")), "{text}");
        }
        // A player in somebody else's page has no chat.
        let player = hall.stage.bench.ask("GET", "/embed/hive/alice/s", &html).await;
        assert!(player.header("content-security-policy").contains("connect-src 'self';"));
        hall.desk.stop().await;
    }
}

/// What the video asks for in vain is no fault of the chat.
const NO_VIDEO: &str = "status of 404";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn a_visitor_asks_is_let_in_speaks_and_is_banned() {
    let hall = Hall::open().await;
    let mut browser = Browser::start();
    browser.open(&hall.url());
    browser.until_text("chat-link", "Connected");
    assert_eq!(browser.evaluate("document.getElementById('chat-say').hidden"), true);

    // A key that is not to be given to a page, a key of another, and what is none.
    browser.evaluate("document.getElementById('chat-in').open = true");
    browser.fill("#chat-account", "bob");
    for (text, answer) in [
        (key("bob", Role::Owner).to_wif().to_string(), "use the posting key"),
        (key("carol", Role::Posting).to_wif().to_string(), "no key of hive/bob"),
        ("5abc".to_owned(), "no private key"),
    ] {
        browser.fill("#chat-key", &text);
        browser.press("Enter");
        browser.until_text("chat-note", answer);
    }
    browser.sign_in("bob", &posting("bob"));
    browser.until_standing("unknown");
    assert_eq!(browser.evaluate("document.getElementById('chat-key').value"), "");
    assert_eq!(browser.evaluate("document.activeElement.id"), "chat-ask");
    browser.press("Enter");
    browser.until_standing("approved");

    // From anywhere in the page to writing, and back, without a mouse.
    browser.evaluate("document.activeElement.blur()");
    browser.press("c");
    assert_eq!(browser.evaluate("document.activeElement.id"), "chat-text");
    browser.say("good evening, km");
    let line = browser.until_said("good evening, km");
    assert!(line.contains("hive/bob") && !line.contains("streamer"), "{line}");
    browser.until_text("chat-checked", "1 good");
    assert_eq!(browser.evaluate("document.getElementById('chat-text').value"), "");
    assert!(!browser.evaluate("document.getElementById('video').muted").as_bool().unwrap());
    browser.press("Escape");
    assert_eq!(browser.evaluate("document.activeElement.id"), "video");
    let stored = browser
        .evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])");
    assert_eq!(stored, r#"[{},{},""]"#, "nothing is kept unless wished");

    hall.chatters.publish(&hall.chatters.message("alice", "welcome, bob")).await;
    let line = browser.until_said("welcome, bob");
    assert!(line.contains("streamer") && !line.contains("NOT"), "{line}");

    hall.chatters.rule(Rule::SlowMode, 600.0).await;
    browser.until_text("chat-note", "Slow mode: ");
    assert_eq!(browser.evaluate("document.getElementById('chat-send').disabled"), true);
    hall.chatters.rule(Rule::SlowMode, 0.0).await;
    browser.until("!document.getElementById('chat-send').disabled");

    hall.chatters.rule_on("bob", 0.0).await;
    browser.until_standing("banned");
    browser.until_text("chat-note", "You are banned");
    browser.until("document.querySelectorAll('#chat-log li').length === 1");
    assert_eq!(browser.said(), ["welcome, bob"], "what he said is hidden");
    assert_eq!(browser.evaluate("document.getElementById('chat-say').hidden"), true);
    hall.chatters.rule_on("bob", 1.0).await;
    browser.until_standing("approved");
    browser.until_said("good evening, km");
    browser.click("#chat-out");
    browser.until_standing("reader");
    browser.saw_only(NO_VIDEO, &[hall.host()]);
    hall.desk.stop().await;
}

/// An API of Hive that gives every account the keys of this one. It is of another origin than the page.
async fn api_with_keys_of(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut request, mut bytes) = (String::new(), [0; 4096]);
                while !request.ends_with("]]}") {
                    let read = stream.read(&mut bytes).await.unwrap_or(0);
                    if read == 0 {
                        return;
                    }
                    request.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
                }
                assert!(request.starts_with("POST / ") && !request.contains("Cookie"), "{request}");
                let (_, body) = request.split_once("\r\n\r\n").unwrap();
                let body: serde_json::Value = serde_json::from_str(body).unwrap();
                let role = |role| {
                    let text =
                        key(name, role).public_key().to_text(&HiveNetwork::hive().key_prefix);
                    json!({ "weight_threshold": 1, "account_auths": [], "key_auths": [[text, 1]] })
                };
                let accounts = body["params"][0].as_array().unwrap().iter().map(|account| {
                    let (posting, active) = (role(Role::Posting), role(Role::Active));
                    json!({ "name": account, "posting": posting, "active": active, "owner": role(Role::Owner) })
                });
                let result: Vec<_> = accounts.collect();
                let body = json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string();
                let head =
                    "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n";
                let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn a_visitor_chooses_whom_he_believes_about_keys() {
    let api = api_with_keys_of("bob").await;
    let url = format!("http://{api}");
    let pages = PagesConfig::default().chat_keys_from(url.parse().unwrap());
    let hall = Hall::with(config().pages(pages)).await;
    for name in ["bob", "carol"] {
        hall.chatters.rule_on(name, 1.0).await;
        hall.chatters.publish(&hall.chatters.message(name, &format!("I am {name}"))).await;
    }
    let mut browser = Browser::start();
    browser.open(&hall.url());
    browser.until_said("I am carol");
    browser.until_said("I am bob");
    browser.until_text("chat-checked", "2 good");
    assert_eq!(browser.evaluate("document.getElementById('chat-keys-from').value"), "");
    let choose = |url: &str| {
        format!(
            "(() => {{ const field = document.getElementById('chat-keys-from'); field.value = '{url}'; \
             field.dispatchEvent(new Event('change')); }})()"
        )
    };
    // By that API carol has other keys than she signs with.
    browser.evaluate(&choose(&url));
    browser.until_text("chat-checked", "1 good, 1 not shown");
    assert_eq!(browser.said(), ["I am bob"]);
    // It is a setting of the browser.
    browser.open(&hall.url());
    browser.until_text("chat-checked", "1 good, 1 not shown");
    assert_eq!(browser.evaluate("document.getElementById('chat-keys-from').value"), url);
    browser.evaluate(&choose(""));
    browser.until_text("chat-checked", "2 good");
    browser.until_said("I am carol");
    browser.saw_only(NO_VIDEO, &[hall.host(), api.to_string()]);

    // A node that offers none: the page has nothing to choose, and asks nobody, even if it is told to.
    let plain = Hall::open().await;
    browser.open(&plain.url());
    browser.until_text("chat-link", "Connected");
    assert_eq!(browser.evaluate("document.getElementById('chat-keys-from')"), json!(null));
    let asked =
        format!("fetch('{url}', {{ method: 'POST' }}).then(() => 'answered', () => 'refused')");
    assert_eq!(browser.evaluate(&asked), "refused");
    hall.desk.stop().await;
    plain.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn what_strangers_write_is_read_and_never_done() {
    let hall = Hall::open().await;
    hall.chatters.add("al1ce");
    for name in ["bob", "al1ce"] {
        hall.chatters.rule_on(name, 1.0).await;
    }
    let mut browser = Browser::start();
    browser.open(&hall.url());
    browser.until_text("chat-link", "Connected");
    let markup =
        "<img src=x onerror=alert(1)><script>alert(2)</script><a href=javascript:alert(3)>x</a>";
    let turned = "\u{202e}dlrow\u{2066}\u{1b}[2J\u{0}\r\n\u{feff}end";
    hall.chatters.publish(&hall.chatters.message("bob", markup)).await;
    hall.chatters.publish(&hall.chatters.message("bob", turned)).await;
    hall.chatters.publish(&hall.chatters.message("al1ce", "send me your key")).await;
    browser.until_said(markup);
    let line = browser.until_said("<202E>dlrow<2066><1B>[2J<0><D><A><FEFF>end");
    assert!(!line.contains(['\u{202e}', '\u{1b}']), "{line:?}");
    let line = browser.until_said("send me your key");
    assert!(line.contains("NOT the streamer"), "{line}");
    let inside = browser.evaluate(
        "[...document.querySelectorAll('#chat-log *')].map((e) => e.localName).filter((n) => \
         !['li', 'time', 'bdi', 'span'].includes(n))",
    );
    assert_eq!(inside, json!([]), "text became nothing else");
    browser.saw_only(NO_VIDEO, &[hall.host()]);
    hall.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn a_node_that_lies_about_who_said_what_is_not_believed() {
    let hall = Hall::open().await;
    hall.chatters.rule_on("bob", 1.0).await;
    let mut forged = hall.chatters.message("bob", "as I said");
    forged["m"] = "as I never said".into();
    let signed_elsewhere =
        Chatters { id: "hive/alice/other".parse().unwrap(), ..hall.chatters.clone() };
    let replayed = signed_elsewhere.message("bob", "said elsewhere");
    let good = hall.chatters.message("bob", "as I said");
    let mut browser = Browser::start();
    // The page is given a stream of events in place of the node's.
    let whole = json!({
        "connected": true, "caught_up": true, "slow_seconds": 0, "now": good["t"],
        "messages": [forged, replayed, good],
    });
    browser.act("before", json!({ "script": format!(
        "window.EventSource = class extends EventTarget {{ constructor(url) {{ super(); setTimeout(() => \
         this.dispatchEvent(new MessageEvent('chat', {{ data: JSON.stringify({whole}) }}))); }} \
         static CLOSED = 2; readyState = 1; close() {{}} }};"
    ) }));
    browser.open(&hall.url());
    browser.until_said("as I said");
    browser.until_text("chat-checked", "1 good, 2 not shown");
    assert_eq!(browser.said(), ["as I said"]);
    browser.saw_only(NO_VIDEO, &[hall.host()]);
    hall.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn keychain_signs_where_it_is() {
    let hall = Hall::open().await;
    let mut browser = Browser::start();
    // As the extension gives it to pages: the text goes in, an answer comes back later. The wallet's key is outside the page.
    browser.act(
        "keychain",
        json!({ "account": "bob", "key": &*key("bob", Role::Posting).to_wif(), "assets": asset_folder() }),
    );
    browser.open(&hall.url());
    browser.until_text("chat-link", "Connected");
    browser.evaluate("document.getElementById('chat-in').open = true");
    browser.until("!document.getElementById('chat-keychain').hidden");
    browser.fill("#chat-account", "@bob");
    browser.click("#chat-keychain");
    browser.until_standing("unknown");
    browser.click("#chat-ask");
    browser.until_standing("approved");
    browser.say("signed by an extension é😀");
    browser.until_said("signed by an extension é😀");
    let asked = browser.act("keychain_asked", json!({}));
    let asked = asked.as_array().unwrap();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!((&asked[0][0], &asked[0][2]), (&json!("bob"), &json!("Posting")));
    let request = asked[0][1].as_str().unwrap();
    assert!(request.starts_with("alivedb_chat_request_"), "{request}");
    assert!(request.ends_with("_bob_hive_hive/alice/s"), "{request}");
    let message = asked[1][1].as_str().unwrap();
    assert!(message.ends_with("_bob_hive_signed by an extension é😀_hive/alice/s"), "{message}");
    // Who says no has said nothing.
    browser.act("keychain_refuses", json!({}));
    browser.say("not this");
    browser
        .until_text("chat-note", "Hive Keychain has not signed: Request was canceled by the user.");
    assert_eq!(browser.evaluate("document.getElementById('chat-text').value"), "not this");
    assert_eq!(browser.said(), ["signed by an extension é😀"]);
    browser.saw_only(NO_VIDEO, &[hall.host()]);
    hall.desk.stop().await;
}

fn asset_folder() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/pages/assets")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn a_chat_goes_on_after_a_reload_and_a_lost_connection() {
    let hall = Hall::open().await;
    hall.chatters.rule_on("bob", 1.0).await;
    let line = Line::to(hall.stage.bench.node.address()).await;
    let url = format!("http://{}{WATCH}", line.address);
    let mut browser = Browser::start();
    browser.open(&url);
    browser.until_text("chat-link", "Connected");
    browser.evaluate("document.getElementById('chat-in').open = true");
    browser.click("#chat-keep");
    browser.sign_in("bob", &posting("bob"));
    browser.until_standing("approved");
    browser.open(&url);
    browser.until_standing("approved");
    line.cut();
    browser.until_text("chat-link", "Connecting again");
    hall.chatters.publish(&hall.chatters.message("alice", "while you were away")).await;
    line.mend();
    browser.until_text("chat-link", "Connected");
    browser.until_said("while you were away");
    browser.click("#chat-out");
    browser.open(&url);
    browser.until_text("chat-link", "Connected");
    browser.until_standing("reader");
    hall.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn the_chat_is_for_those_who_do_not_see_it_and_for_small_screens() {
    let hall = Hall::open().await;
    hall.chatters.rule_on("bob", 1.0).await;
    hall.chatters.rule_on("carol", 1.0).await;
    let mut browser = Browser::start();
    browser.open(&hall.url());
    browser.until_text("chat-link", "Connected");
    let words = [
        "good evening",
        "is this live?",
        "greetings from far away, where it is late and the rain does not end",
        "مرحبا",
        "👋",
    ];
    for (n, text) in words.iter().enumerate() {
        let who = ["bob", "carol", "alice"][n % 3];
        hall.chatters.publish(&hall.chatters.message(who, text)).await;
        browser.until_said(text);
    }
    browser.sign_in("bob", &posting("bob"));
    browser.until_standing("approved");
    let controls = browser.act("controls", json!({}));
    let has = |role: &str, name: &str| {
        controls.as_array().unwrap().iter().any(|c| c[0] == role && c[1] == name)
    };
    for (role, name) in [
        ("complementary", "Chat"),
        ("log", "Messages"),
        ("textbox", "Message"),
        ("button", "Send"),
        ("button", "Sign out"),
        ("heading", "Chat"),
    ] {
        assert!(has(role, name), "{role} {name}: {controls}");
    }
    assert_eq!(browser.evaluate("document.getElementById('chat-log').ariaLive"), "polite");
    browser.screenshot("chat");
    let beside = "(() => { const v = document.getElementById('video').getBoundingClientRect(); \
                  const c = document.getElementById('chat').getBoundingClientRect(); \
                  return c.left >= v.right && c.top < v.bottom; })()";
    assert_eq!(browser.evaluate(beside), true, "it stands beside the player");

    browser.click("#chat-out");
    browser.evaluate("document.getElementById('chat-in').open = true");
    browser.screenshot("chat-sign-in");
    let controls = browser.act("controls", json!({}));
    for (role, name) in [
        ("textbox", "Account"),
        ("combobox", "Network"),
        ("textbox", "Private posting key"),
        ("checkbox", "Keep it until this tab is closed"),
        ("button", "Sign in with the key"),
    ] {
        let found = controls.as_array().unwrap().iter().any(|c| c[0] == role && c[1] == name);
        assert!(found, "{role} {name}: {controls}");
    }

    browser.open_on_phone(&hall.url());
    browser.until_text("chat-link", "Connected");
    browser.until_said("👋");
    browser.sign_in("bob", &posting("bob"));
    browser.until_standing("approved");
    let below = "document.getElementById('chat').getBoundingClientRect().top >= \
                 document.getElementById('video').getBoundingClientRect().bottom";
    assert_eq!(browser.evaluate(below), true);
    let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.evaluate(overflow), 0, "nothing has to be pushed sideways");
    let small = "[...document.querySelectorAll('#chat button, #chat input, #chat select, #chat summary')] \
                 .filter((e) => e.checkVisibility() && e.type !== 'checkbox') \
                 .filter((e) => e.getBoundingClientRect().height < 36).map((e) => e.id || e.textContent)";
    assert_eq!(browser.evaluate(small), json!([]), "a finger finds everything");
    browser.screenshot("chat-phone");
    browser.saw_only(NO_VIDEO, &[hall.host()]);
    hall.desk.stop().await;
}

/// A line to the node that can be cut.
struct Line {
    address: SocketAddr,
    is_cut: watch::Sender<bool>,
}

impl Line {
    async fn to(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, is_cut) = (listener.local_addr().unwrap(), watch::Sender::new(false));
        let cuts = is_cut.subscribe();
        tokio::spawn(async move {
            while let Ok((mut browser, _)) = listener.accept().await {
                let mut cuts = cuts.clone();
                tokio::spawn(async move {
                    if *cuts.borrow() {
                        return;
                    }
                    let mut node = TcpStream::connect(node).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut browser, &mut node) => {}
                        _ = cuts.wait_for(|is_cut| *is_cut) => {}
                    }
                });
            }
        });
        Self { address, is_cut }
    }

    fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}
