//! One WebSocket connection, from handshake to end.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Error, Message, Utf8Bytes,
        error::ProtocolError,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tokio_util::sync::CancellationToken;

use super::{LinkLimits, Shared, actor::Command, backlog::Backlog, outbox::Outbox};
use crate::gun::{
    Counters, DropReason, Intake, LinkId, LinkIntake, Origin, Side, Taken, WallClock,
};

/// A peer that takes nothing of a frame for so long is too slow.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the end of a connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Longer frames may have many signatures, and are read beside the other tasks.
const LONG_FRAME: usize = 64 << 10;

/// What a connection needs of its peer.
#[derive(Debug)]
pub(super) struct Connection {
    link: LinkId,
    side: Side,
    outbox: Arc<Outbox>,
    commands: mpsc::Sender<Command>,
    backlog: Backlog,
    intake: Arc<Intake>,
    counters: Arc<Counters>,
    limits: LinkLimits,
    wall: WallClock,
    cancel: CancellationToken,
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The other end has closed it, or it broke.
    ByPeer,
    /// We are stopping.
    Cancelled,
    Dropped(DropReason),
}

/// How much of a frame is read at once: thousands of idle connections keep such a buffer each.
const BUFFER: usize = 4 << 10;

/// Settings of the WebSocket: small buffers and our limit of frames.
pub(super) fn socket_config(frame_bytes: usize) -> WebSocketConfig {
    // Those a little too long are answered, all others end the connection before they are read.
    let most = frame_bytes.saturating_add(64 << 10);
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(most))
        .max_frame_size(Some(most))
}

impl Connection {
    pub(super) fn new(shared: &Shared, side: Side) -> Self {
        let link = shared.next_id.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self {
            link: LinkId(link),
            side,
            outbox: Arc::new(Outbox::new(shared.links.queue_bytes, shared.links.gather)),
            commands: shared.commands.clone(),
            backlog: shared.backlog.clone(),
            intake: Arc::clone(&shared.intake),
            counters: Arc::clone(&shared.counters),
            limits: shared.links.clone(),
            wall: shared.wall.clone(),
            cancel: shared.cancel.clone(),
        }
    }

    /// Counts that the connection could not be made.
    #[cfg(feature = "client")]
    pub(super) fn count_failure(&self) {
        self.counters.dials_failed(1);
    }

    /// Counts that the other end did not shake hands.
    #[cfg(feature = "relay")]
    pub(super) fn count_no_handshake(&self) {
        self.counters.handshakes_failed(1);
    }

    /// Serves the connection to its end.
    pub(super) async fn run<S>(self, socket: WebSocketStream<S>, origin: Origin) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (link, side, outbox) = (self.link, self.side, Arc::clone(&self.outbox));
        if self.commands.send(Command::Connect { link, side, origin, outbox }).await.is_err() {
            return Ended::Cancelled;
        }
        let mut socket = socket;
        let ended = self.serve(&mut socket).await;
        let _stopped = self.commands.send(Command::Disconnect { link }).await;
        let (code, reason) = match ended {
            Ended::ByPeer => return ended,
            Ended::Cancelled => (CloseCode::Away, String::new()),
            Ended::Dropped(reason) => {
                tracing::debug!(?link, %reason, "a peer is dropped");
                match reason {
                    DropReason::Silent => self.counters.links_silent(1),
                    DropReason::Slow => self.counters.links_slow(1),
                    _ => {}
                }
                self.counters.links_dropped(1);
                (CloseCode::Policy, reason.to_string())
            }
        };
        let frame = CloseFrame { code, reason: reason.into() };
        // A courtesy: the connection ends anyway.
        let _late = timeout(CLOSE_TIMEOUT, socket.close(Some(frame))).await;
        ended
    }

    async fn serve<S>(&self, socket: &mut WebSocketStream<S>) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let start = Instant::now();
        let mut budget = LinkIntake::new(self.intake.limits(), start.into_std());
        let mut heard = start;
        // Made once, not for every message: each registers with the runtime.
        let (cancelled, beat) =
            (self.cancel.cancelled(), sleep_until(start + self.limits.heartbeat));
        tokio::pin!(cancelled, beat);
        let mut resume: Option<Instant> = None;
        loop {
            if let ControlFlow::Break(ended) = self.write(socket).await {
                return ended;
            }
            tokio::select! {
                () = &mut cancelled => return Ended::Cancelled,
                () = self.outbox.filled() => {}
                () = async { sleep_until(resume.unwrap_or(start)).await }, if resume.is_some() => {
                    resume = None;
                }
                () = &mut beat => {
                    if heard.elapsed() >= self.limits.silence {
                        return Ended::Dropped(DropReason::Silent);
                    }
                    beat.as_mut().reset(Instant::now() + self.limits.heartbeat);
                    if self.side == Side::Accepted {
                        self.outbox.push(&"[]".into());
                    }
                    // Every WebSocket answers this, so that silence means that it is gone.
                    if let Err(ended) = feed(socket, Message::Ping(Bytes::new())).await {
                        return ended;
                    }
                }
                message = socket.next(), if resume.is_none() => {
                    heard = Instant::now();
                    // Before it is read: what waits takes no more memory than its text.
                    let room = match &message {
                        Some(Ok(Message::Text(text))) => {
                            Some(self.backlog.enter(text.len(), &self.counters).await)
                        }
                        _ => None,
                    };
                    let taken = match message {
                        Some(Ok(Message::Text(text))) => self.take(&mut budget, text).await,
                        Some(Ok(Message::Close(_))) | None => return Ended::ByPeer,
                        Some(Err(error)) => return self.broken(&error),
                        // Pings are answered beneath us; binary frames are not GUN's.
                        Some(Ok(_)) => {
                            budget.spend(1);
                            Taken::default()
                        }
                    };
                    if let Some(answer) = taken.answer {
                        self.outbox.push(&answer.into());
                    }
                    if let Some(room) = room.filter(|_| !taken.messages.is_empty()) {
                        let (link, messages) = (self.link, taken.messages);
                        let command = Command::Messages { link, messages, room };
                        if self.commands.send(command).await.is_err() {
                            return Ended::Cancelled;
                        }
                    }
                    if let Some(reason) = taken.fault {
                        return Ended::Dropped(reason);
                    }
                    let wait = budget.wait(self.intake.limits(), Instant::now().into_std());
                    if !wait.is_zero() {
                        self.counters.throttled(1);
                        resume = Some(Instant::now() + wait);
                    }
                }
            }
        }
    }

    /// What ends a connection that gives no more messages.
    fn broken(&self, error: &Error) -> Ended {
        match error {
            Error::Capacity(_) => {
                self.counters.oversized(1);
                Ended::Dropped(DropReason::Oversized)
            }
            // It was simply cut.
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ended::ByPeer,
            Error::Protocol(_) | Error::Utf8(_) => {
                self.counters.bad_frames(1);
                Ended::Dropped(DropReason::Broken)
            }
            _ => Ended::ByPeer,
        }
    }

    async fn take(&self, budget: &mut LinkIntake, text: Utf8Bytes) -> Taken {
        let now = self.wall.now();
        if text.len() < LONG_FRAME {
            return self.intake.take(budget, &text, now.at, now.millis);
        }
        let (intake, mut moved) = (Arc::clone(&self.intake), budget.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let taken = intake.take(&mut moved, &text, now.at, now.millis);
            (moved, taken)
        });
        // It fails only when the runtime ends.
        let Ok((back, taken)) = reading.await else { return Taken::default() };
        *budget = back;
        taken
    }

    /// Sends what waits, unless that has become too much meanwhile.
    async fn write<S>(&self, socket: &mut WebSocketStream<S>) -> ControlFlow<Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        tokio::select! {
            // Mostly all can be written at once, and nothing has to be waited for.
            biased;
            written = self.write_all(socket) => if let Err(ended) = written {
                return ControlFlow::Break(ended);
            },
            () = self.outbox.overflowed() => {}
        }
        match self.outbox.closed() {
            Some(reason) => ControlFlow::Break(Ended::Dropped(reason)),
            None => ControlFlow::Continue(()),
        }
    }

    async fn write_all<S>(&self, socket: &mut WebSocketStream<S>) -> Result<(), Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        while let Some(frame) = self.outbox.next_frame() {
            feed(socket, Message::text(frame)).await?;
        }
        // Pings and answers to pings wait, too.
        match timeout(WRITE_TIMEOUT, socket.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended::ByPeer),
            Err(_) => Err(Ended::Dropped(DropReason::Slow)),
        }
    }
}

async fn feed<S>(socket: &mut WebSocketStream<S>, message: Message) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match timeout(WRITE_TIMEOUT, socket.feed(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Ended::ByPeer),
        Err(_) => Err(Ended::Dropped(DropReason::Slow)),
    }
}
