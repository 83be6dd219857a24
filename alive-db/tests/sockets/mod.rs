//! A client of a relay that says what it likes: [`connect`], [`say`], [`next`], [`closed`].

use std::time::Duration;

use alive_db::gun::{Counts, Peer, Relay};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// Whatever takes longer does not come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Connects, and hears the relay's greeting.
pub(crate) async fn connect(relay: &Relay) -> Socket {
    let url = format!("ws://{}/gun", relay.address());
    let (mut socket, _) = timeout(DEADLINE, connect_async(url)).await.unwrap().unwrap();
    assert_eq!(next(&mut socket).await["dam"], "?");
    socket
}

/// The next message; a batch of one counts as one.
pub(crate) async fn next(socket: &mut Socket) -> Value {
    loop {
        match timeout(DEADLINE, socket.next()).await.unwrap().unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Close(frame) => panic!("closed: {frame:?}"),
            _ => {}
        }
    }
}

/// Sends a text, whatever it is.
pub(crate) async fn say(socket: &mut Socket, text: impl ToString) {
    socket.send(Message::text(text.to_string())).await.unwrap();
}

/// Reads to the end of a connection; the reason of its close.
pub(crate) async fn closed(socket: &mut Socket) -> Option<String> {
    let reading = async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(Some(frame)) = message {
                return Some(frame.reason.to_string());
            }
        }
        None
    };
    timeout(DEADLINE, reading).await.unwrap()
}

/// Waits until a peer has counted what is wanted.
pub(crate) async fn until(peer: &Peer, holds: impl Fn(&Counts) -> bool) -> Counts {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let counts = peer.counts();
        if holds(&counts) {
            return counts;
        }
        assert!(Instant::now() < deadline, "still {counts:?}");
        sleep(Duration::from_millis(5)).await;
    }
}
