//! The chats that a node shows beside its player.

use alive_chat::SharedBlacklist;
use alive_core::{Network, backend::SharedStreamStore};
use alive_node::{ChatConfig, ChatRooms};

use crate::{
    chain::Chain,
    chat::{Blacklists, networks},
    live::LivePeer,
    output,
};

/// The chats of all streams in `store`, carried by this peer; accounts are verified on these chains. None where a network
/// cannot chat.
pub(crate) fn rooms(
    peer: &LivePeer,
    chains: &[Chain],
    store: SharedStreamStore,
    config: ChatConfig,
) -> anyhow::Result<Option<ChatRooms>> {
    let networks = match networks(chains) {
        Ok(networks) => networks,
        Err(why) => {
            output::warning(format_args!("no chat beside the player: {why}"));
            return Ok(None);
        }
    };
    let keys = chains.iter().map(Chain::account_keys).collect::<anyhow::Result<Vec<_>>>()?;
    let transport = peer.chats(networks.clone(), store);
    let rooms = ChatRooms::new(networks, transport, keys, config);
    let hive = chains.iter().find(|chain| chain.network() == &Network::hive());
    Ok(Some(match hive {
        Some(hive) => rooms.blacklist(SharedBlacklist::new(Blacklists::of(hive)?)),
        None => rooms,
    }))
}
