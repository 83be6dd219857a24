//! Who takes part in a chat, as the API of the original tells.

use std::sync::Arc;

use alive_chat::{ChatTransport as _, Entry, Family, Item, Moment, Networks, Rule};
use alive_core::{
    Network, StreamId,
    backend::{AccountAuthority, Authority, SharedAccountKeys},
    memory::MemoryAccountKeys,
};
use alive_db::{
    chat::{ChatDb, ChatParticipants},
    rest::SharedParticipants,
    sea::KeyPair,
};
use alive_hive::{GraphenePlain, HiveNetwork, PrivateKey, PublicKey, is_account_name};
use serde_json::json;

use crate::support::Client;

fn role(key: u8) -> Authority {
    let key = PrivateKey::from_bytes(&[key; 32]).unwrap().public_key();
    Authority { threshold: 1, keys: vec![(key.into(), 1)], accounts: Vec::new() }
}

fn text(key: u8) -> String {
    let key = PrivateKey::from_bytes(&[key; 32]).unwrap().public_key();
    key.to_text(&HiveNetwork::hive().key_prefix)
}

#[tokio::test]
async fn participants_are_told_with_the_keys_that_their_chains_tell() {
    let blurt: Network = "blurt".parse().unwrap();
    let networks = [Network::hive(), blurt.clone()];
    let families = networks.map(|name| Family::new(name, GraphenePlain, is_account_name));
    let networks = Networks::new(families).unwrap();
    let stream: StreamId = "hive/techcoderx/live-1".parse().unwrap();
    let client = Client::new();
    let keys = Arc::new(KeyPair::generate().unwrap());
    let chat = ChatDb::new(Arc::clone(&client.database), networks.clone())
        .with_user(Arc::clone(&keys))
        .with_streamer(keys.public().clone());
    for (network, name, value) in [
        ("hive", "alice", 1.0),
        ("hive", "bobby", 0.0),
        ("hive", "nobody", 1.0),
        ("blurt", "carol", 1.0),
    ] {
        let rule = Rule::Participant(networks.account(network, name).unwrap());
        let author = keys.public().to_string().parse().unwrap();
        let entry = Entry { author, rule, value, state: Moment::EPOCH };
        chat.publish(&stream, Item::Entry(entry)).await.unwrap();
    }
    let names: Vec<_> =
        chat.participants(&stream).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["blurt/carol", "hive/alice", "hive/nobody", "hive/techcoderx"]);

    let hive = MemoryAccountKeys::new(Network::hive());
    let authority = AccountAuthority { posting: role(1), active: role(2), owner: role(1) };
    hive.set("alice".parse().unwrap(), authority);
    hive.set(
        "techcoderx".parse().unwrap(),
        AccountAuthority { posting: role(3), ..AccountAuthority::default() },
    );
    let write = |_: &Network, key: &alive_core::backend::PublicKeyBytes| {
        PublicKey::from_bytes(key.0).unwrap().to_text(&HiveNetwork::hive().key_prefix)
    };
    let chains = vec![SharedAccountKeys::new(hive)];
    let participants = ChatParticipants::new(chat, stream, chains, write);
    let api = client.api.clone().with_participants(SharedParticipants::new(participants));
    assert!(api.user().is_none());
    client.get("/fetchParticipantsKeys").await.error(401, "Not logged in");
    client.user("streamer1").await;
    let want = json!({ "hive": { "alice": [text(1), text(2)], "techcoderx": [text(3)] } });
    client.get("/fetchParticipantsKeys").await.is(200, want);
}
