//! The promises of a [`ChatTransport`], for all who write one (feature `testing`).
#![expect(clippy::panic, reason = "a suite fails by panicking")]

use alive_core::StreamId;
use futures_util::StreamExt as _;

use crate::{
    message::Message,
    transport::{ChatEvent, ChatTransport, Item},
};

/// Checks every promise of a [`ChatTransport`] with messages of a chat that nobody has written to: at least four, in the
/// order of their times. The transport must hold all of them, and let a subscriber lag behind by as many.
///
/// # Panics
/// A promise is broken; the message says which.
pub async fn chat_transport(
    transport: &impl ChatTransport,
    stream: &StreamId,
    other: &StreamId,
    messages: &[Message],
) {
    assert!(messages.len() >= 4, "the suite needs four messages");
    assert_eq!(history(transport, stream, 10).await, [], "nobody has written yet");
    let (early, late) = messages.split_at(messages.len() / 2);
    for message in early {
        publish(transport, stream, message).await;
    }
    let Ok(mut events) = transport.subscribe(stream).await else { panic!("subscribe must answer") };
    for message in late {
        publish(transport, stream, message).await;
    }
    for limit in [1, 3, 1000] {
        let read = history(transport, stream, limit).await;
        assert_eq!(read, messages, "a late joiner reads all in order, {limit} at a time");
    }
    for message in late {
        match events.next().await {
            Some(ChatEvent::Came(delivery)) => {
                assert_eq!(
                    delivery.item,
                    Item::Message(message.clone()),
                    "in the order of publishing"
                );
            }
            other => panic!("a subscriber hears what is published, not {other:?}"),
        }
    }
    assert_eq!(history(transport, other, 10).await, [], "streams are apart");
}

async fn publish(transport: &impl ChatTransport, stream: &StreamId, message: &Message) {
    let taken = transport.publish(stream, Item::Message(message.clone())).await;
    assert!(taken.is_ok(), "publish must take a message: {taken:?}");
}

async fn history(transport: &impl ChatTransport, stream: &StreamId, limit: usize) -> Vec<Message> {
    let (mut messages, mut from) = (Vec::new(), None);
    loop {
        let Ok(page) = transport.history(stream, from, limit).await else {
            panic!("history must answer")
        };
        assert!(page.items.len() <= limit, "a page is no longer than asked for");
        messages.extend(page.items.into_iter().filter_map(|delivery| match delivery.item {
            Item::Message(message) => Some(message),
            _ => None,
        }));
        from = page.next;
        if from.is_none() {
            return messages;
        }
    }
}
