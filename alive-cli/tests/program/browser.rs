//! The real browser of the node's tests.

#[path = "../../../alive-node/tests/pages/chatting.rs"]
mod chatting;
#[path = "../../../alive-node/tests/pages/driver.rs"]
#[expect(dead_code, reason = "the player is tested elsewhere")]
mod driver;
#[path = "../../../alive-node/tests/pages/packages.rs"]
mod packages;

pub(crate) use driver::Browser;
