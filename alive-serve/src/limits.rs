//! What clients of a server may take: [`Limits`].

use std::time::Duration;

/// What clients of a server may take.
///
/// ```
/// let limits = alive_serve::Limits::default().connections(4096);
/// assert_eq!(limits.connections, 4096);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many connections are open at once; more wait to be taken. 256 by default.
    pub connections: usize,
    /// How many bytes the head of a request may have, at least [`MIN_HEAD_BYTES`](Self::MIN_HEAD_BYTES). 16 KiB by default.
    pub head_bytes: usize,
    /// How many headers a request may have. 64 by default.
    pub headers: usize,
    /// How long the head of a request may take to arrive, and a connection may be idle between two. 15 seconds by default.
    pub head_timeout: Duration,
    /// How long a client may send nothing, once it has begun; `None`, the default, leaves that to who reads the body, as long
    /// answers need it, during which a client has nothing to send.
    pub read_timeout: Option<Duration>,
    /// How long a client may take nothing of an answer. 30 seconds by default.
    pub write_timeout: Duration,
    /// How long answers may go on after the server was told to stop. 5 seconds by default.
    pub grace: Duration,
}

impl Limits {
    /// Least bytes of [`head_bytes`](Self::head_bytes): hyper takes no less.
    pub const MIN_HEAD_BYTES: usize = 8192;

    /// Sets how many connections are open at once, at least one.
    #[must_use]
    pub fn connections(self, connections: usize) -> Self {
        Self { connections: connections.max(1), ..self }
    }

    /// Sets how many bytes the head of a request may have, at least [`MIN_HEAD_BYTES`](Self::MIN_HEAD_BYTES).
    #[must_use]
    pub fn head_bytes(self, head_bytes: usize) -> Self {
        Self { head_bytes: head_bytes.max(Self::MIN_HEAD_BYTES), ..self }
    }

    /// Sets how many headers a request may have.
    #[must_use]
    pub fn headers(self, headers: usize) -> Self {
        Self { headers, ..self }
    }

    /// Sets how long the head of a request may take.
    #[must_use]
    pub fn head_timeout(self, head_timeout: Duration) -> Self {
        Self { head_timeout, ..self }
    }

    /// Sets how long a client may send nothing.
    #[must_use]
    pub fn read_timeout(self, read_timeout: Option<Duration>) -> Self {
        Self { read_timeout, ..self }
    }

    /// Sets how long a client may take nothing of an answer.
    #[must_use]
    pub fn write_timeout(self, write_timeout: Duration) -> Self {
        Self { write_timeout, ..self }
    }

    /// Sets how long answers may go on after the server was told to stop.
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head_bytes: 16 << 10,
            headers: 64,
            head_timeout: Duration::from_secs(15),
            read_timeout: None,
            write_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(5),
        }
    }
}
