//! The pages: what stands in them, what their scripts check, and whether they play in a real browser.
#![cfg(test)]

mod chains;
mod chat;
#[path = "../node/chatters.rs"]
#[expect(dead_code, reason = "the tests of the routes need more of it")]
mod chatters;
mod chatting;
mod documents;
mod driver;
mod packages;
mod play;
mod players;
mod scripts;
mod stage;
#[path = "../node/support.rs"]
#[expect(dead_code, reason = "the tests of the lists need more of it")]
mod support;
