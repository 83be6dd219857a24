//! The chat beside the player. What its script needs to know stands in it as data.

use alive_core::StreamId;
use maud::{Markup, html};

use super::{address, assets};
use crate::chat::ChatRooms;

/// Most characters of a message, as readers take it. Source: `spec/alivedb.md`, section 8.3.
const MAX_CHARS: &str = "2000";
/// Longest name of an account that any network has, with room to spare.
const MAX_NAME: &str = "64";

/// What stands beside the player of a stream that has a chat.
///
/// `apis` are those that visitors may ask for the keys of Hive's accounts instead of this node.
pub(super) fn beside(id: &StreamId, rooms: &ChatRooms, apis: &[String]) -> Markup {
    let networks: Vec<_> = rooms.networks().collect();
    let known = serde_json::json!(networks).to_string();
    let streamer = format!("{}/{}", id.network, id.account);
    html! {
        aside #chat .chat aria-label="Chat" data-chat=(format!("{}/chat", address::stream(id)))
            data-path=(id) data-streamer=(streamer) data-networks=(known)
        {
            link rel="stylesheet" href=(assets::address("chat.css"));
            script type="module" src=(assets::address("chat.mjs")) {}
            div.chat-head {
                h2 { "Chat" }
                span #chat-link role="status" data-state="wait" { "Connecting" }
            }
            noscript { p { "The chat needs JavaScript." } }
            ol #chat-log role="log" aria-label="Messages" aria-live="off" tabindex="0" {}
            button #chat-newer type="button" hidden { "Newer messages" }
            p #chat-note role="status" {}
            form #chat-say hidden {
                label for="chat-text" { "Message" }
                div.chat-line {
                    input #chat-text type="text" maxlength=(MAX_CHARS) autocomplete="off" enterkeyhint="send" required;
                    button #chat-send type="submit" { "Send" }
                }
            }
            div #chat-me hidden {
                span { "You are " bdi #chat-name {} }
                button #chat-ask type="button" hidden { "Ask for access" }
                button #chat-out type="button" { "Sign out" }
            }
            (enter(&networks))
            details.chat-about {
                summary { "How this chat works" }
                p {
                    "Your browser checks the signature of every message: " span #chat-checked { "none yet" } ". "
                    "Which keys an account has, who may write and what is hidden, this node tells."
                }
                @if !apis.is_empty() { (keys_from(apis)) }
                p {
                    kbd { "c" } " write · " kbd { "Enter" } " send · " kbd { "Esc" } " back to the player"
                }
            }
        }
    }
}

/// Who is believed about keys?
fn keys_from(apis: &[String]) -> Markup {
    html! {
        p {
            label for="chat-keys-from" { "Keys of Hive accounts from " }
            select #chat-keys-from autocomplete="off" {
                option value="" selected { "this node" }
                @for api in apis { option value=(api) { (api) } }
            }
        }
    }
}

/// Who are you?
fn enter(networks: &[crate::chat::NetworkForm<'_>]) -> Markup {
    html! {
        details #chat-in {
            summary { "Take part" }
            form #chat-enter {
                label for="chat-account" { "Account" }
                div.chat-line {
                    select #chat-network aria-label="Network" {
                        @for network in networks { option { (network.name()) } }
                    }
                    input #chat-account type="text" maxlength=(MAX_NAME) autocapitalize="none" autocomplete="off"
                        spellcheck="false" required;
                }
                button #chat-keychain type="button" hidden { "Sign in with Hive Keychain" }
                label for="chat-key" { "Private posting key" }
                input #chat-key type="password" autocomplete="off" spellcheck="false" aria-describedby="chat-key-note";
                p #chat-key-note {
                    "The key stays in this page: it is never sent, and forgotten when you leave. Never give an active or owner "
                    "key to a page."
                }
                label.chat-check {
                    input #chat-keep type="checkbox";
                    " Keep it until this tab is closed"
                }
                button type="submit" { "Sign in with the key" }
            }
        }
    }
}
