//! As much of a client as viewers need, over one connection: [`Connection`].

use std::{collections::HashMap, io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

/// The longest that anything may take: longer than anybody waits for a segment, on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection that stays open from one request to the next.
pub(crate) struct Connection(BufReader<TcpStream>);

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(BufReader::new(in_time(TcpStream::connect(address)).await?)))
    }

    /// Asks and reads the whole answer.
    pub(crate) async fn ask(&mut self, path: &str, headers: &str) -> io::Result<Answer> {
        self.send(path, headers).await?;
        let (status, headers) = self.head().await?;
        let length = headers.get("content-length").map_or(Some(0), |length| length.parse().ok());
        let mut body = vec![0; length.ok_or_else(|| io::Error::other("no length"))?];
        in_time(self.0.read_exact(&mut body)).await?;
        Ok(Answer { status, headers, body })
    }

    /// Asks and waits for nothing.
    pub(crate) async fn send(&mut self, path: &str, headers: &str) -> io::Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        in_time(self.0.write_all(request.as_bytes())).await
    }

    /// The status and the headers of what comes.
    pub(crate) async fn head(&mut self) -> io::Result<(u16, HashMap<String, String>)> {
        let status = self.line().await?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no answer"))?;
        let mut headers = HashMap::new();
        loop {
            let line = self.line().await?;
            match line.split_once(": ") {
                Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
                None => return Ok((status, headers)),
            };
        }
    }

    /// The next line, without its end.
    pub(crate) async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if in_time(self.0.read_line(&mut line)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Takes a few bytes of what comes.
    pub(crate) async fn taste(&mut self) -> io::Result<()> {
        in_time(self.0.read_exact(&mut [0; 9])).await.map(drop)
    }
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
