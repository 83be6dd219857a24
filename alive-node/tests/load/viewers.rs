//! Those who watch: [`Viewer`], and what they [`saw`](Seen).

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    http::{Answer, Connection},
    random::Random,
    served::{SEGMENT_BYTES, STREAMER},
};

/// What a viewer came for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Asks for the next segment's list and waits, again and again, as players of live streams do.
    Blocking,
    /// Takes delta updates.
    Delta,
    /// Follows events.
    Events,
    /// Takes the whole list again and again, if it has changed.
    Lists,
    /// Chooses a quality.
    Multivariant,
    /// Opens pages.
    Pages,
    /// Fetches segments.
    Segments,
    /// Takes windows, with segments from other gateways too.
    Windows,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Blocking,
        Self::Delta,
        Self::Events,
        Self::Lists,
        Self::Multivariant,
        Self::Pages,
        Self::Segments,
        Self::Windows,
    ];
}

/// What all viewers saw.
#[derive(Default)]
pub(crate) struct Seen {
    visits: [AtomicU64; Kind::ALL.len()],
    answers: AtomicU64,
    left: AtomicU64,
    errors: Mutex<Vec<String>>,
}

impl Seen {
    /// Most errors that are kept: the first tell enough.
    const ERRORS: usize = 20;

    pub(crate) fn visits(&self, kind: Kind) -> u64 {
        let place = Kind::ALL.iter().position(|other| *other == kind).unwrap();
        self.visits[place].load(Ordering::Relaxed)
    }

    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    pub(crate) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    pub(crate) fn errors(&self) -> Vec<String> {
        self.errors.lock().unwrap().clone()
    }

    fn error(&self, error: String) {
        let mut errors = self.errors.lock().unwrap();
        if errors.len() < Self::ERRORS {
            errors.push(error);
        }
    }
}

/// Somebody who comes, watches for a while, and leaves, again and again.
pub(crate) struct Viewer {
    address: SocketAddr,
    random: Random,
    seen: Arc<Seen>,
}

impl Viewer {
    /// Most requests of a visit.
    const REQUESTS: u64 = 8;
    /// The longest pause between two visits, in milliseconds.
    const PAUSE: u64 = 100;

    pub(crate) fn new(address: SocketAddr, number: u64, seen: Arc<Seen>) -> Self {
        Self { address, random: Random::new(number), seen }
    }

    pub(crate) async fn visit_until(mut self, end: Instant) {
        while Instant::now() < end {
            let place = usize::try_from(self.random.below(8)).unwrap();
            if let Err(why) = self.visit(Kind::ALL[place]).await {
                self.seen.error(format!("{:?}: {why}", Kind::ALL[place]));
            }
            self.seen.visits[place].fetch_add(1, Ordering::Relaxed);
            let pause = self.random.below(Self::PAUSE);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn visit(&mut self, kind: Kind) -> io::Result<()> {
        let mut connection = Connection::open(self.address).await?;
        let stream = self.stream(&mut connection).await?;
        let list = format!("/stream/{STREAMER}/{stream}.m3u8");
        let times = 1 + self.random.below(Self::REQUESTS);
        match kind {
            Kind::Blocking => self.wait(&mut connection, &list, times).await?,
            Kind::Delta => {
                for _ in 0..times {
                    let path = format!("{list}?_HLS_skip=YES");
                    self.list(&mut connection, &path, "Accept-Encoding: gzip\r\n").await?;
                }
            }
            Kind::Events => self.follow(&mut connection, &stream, times).await?,
            Kind::Lists => {
                let mut known = String::new();
                for _ in 0..times {
                    let answer = self.list(&mut connection, &list, &known).await?;
                    known = format!("If-None-Match: {}\r\n", answer.header("etag"));
                }
            }
            Kind::Multivariant => {
                let path = format!("/stream/{STREAMER}/{stream}/master.m3u8");
                self.list(&mut connection, &path, "").await?;
            }
            Kind::Pages => {
                let page = format!("/watch/hive/{STREAMER}/{stream}");
                for path in [&page, "/", "/v1/streams", "/health"] {
                    self.ask(&mut connection, path, "Accept: text/html\r\n").await?;
                }
            }
            Kind::Segments => self.fetch(&mut connection, &list, times).await?,
            Kind::Windows => {
                for _ in 0..times {
                    let seconds = 5 + self.random.below(30);
                    let gateway = self.random.below(3);
                    let path = format!("{list}?window={seconds}&gw=https://g{gateway}.example");
                    self.list(&mut connection, &path, "").await?;
                }
            }
        }
        if self.random.once_in(4) {
            // Leaves in the middle of an answer, or before it.
            connection.send(&list, "").await?;
            if self.random.once_in(2) {
                connection.taste().await?;
            }
            self.seen.left.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// What is on: mostly the newest stream, sometimes an older one.
    async fn stream(&mut self, connection: &mut Connection) -> io::Result<String> {
        let path = format!("/v1/streams?author={STREAMER}&limit=100");
        let answer = self.ask(connection, &path, "").await?;
        let page: serde_json::Value = serde_json::from_slice(&answer.body).map_err(wrong)?;
        let streams = page["streams"].as_array().ok_or_else(|| wrong("no streams"))?;
        let number = |link: &str| link.strip_prefix('s')?.parse::<usize>().ok();
        let mut links: Vec<_> =
            streams.iter().filter_map(|stream| stream["link"].as_str()).collect();
        links.sort_unstable_by_key(|link| number(link));
        // Of two that are live, the last may have nothing yet.
        let back = if self.random.once_in(5) { 1 + self.random.below(16) } else { 0 };
        let back = usize::try_from(back).unwrap().min(links.len().saturating_sub(1));
        let link = links.iter().rev().nth(back).ok_or_else(|| wrong("no stream"))?;
        Ok((*link).to_owned())
    }

    /// Waits for one segment after the other; sometimes leaves while it waits.
    async fn wait(&mut self, at: &mut Connection, list: &str, times: u64) -> io::Result<()> {
        let whole = self.list(at, list, "").await?;
        let first = whole.text().matches("#EXTINF").count();
        for number in (first..).take(usize::try_from(times).unwrap()) {
            let path = format!("{list}?_HLS_msn={number}&_HLS_skip=YES");
            if self.random.once_in(10) {
                self.seen.left.fetch_add(1, Ordering::Relaxed);
                return at.send(&path, "").await;
            }
            let answer = self.list(at, &path, "").await?;
            let ended = answer.text().ends_with("#EXT-X-ENDLIST\n");
            if !ended && last_number(answer.text()) < Some(number) {
                return Err(wrong(format!("{path}: {}", answer.text())));
            }
        }
        Ok(())
    }

    /// Fetches the last segments of a list and looks at their bytes.
    async fn fetch(&mut self, at: &mut Connection, list: &str, times: u64) -> io::Result<()> {
        let whole = self.list(at, list, "").await?;
        let uris: Vec<_> = whole.text().lines().filter(|line| line.starts_with("/ipfs/")).collect();
        for uri in uris.iter().rev().take(usize::try_from(times).unwrap()) {
            let segment = self.ask(at, uri, "").await?;
            if segment.body.len() != SEGMENT_BYTES {
                return Err(wrong(format!("{uri}: {} bytes", segment.body.len())));
            }
        }
        Ok(())
    }

    /// Follows what happens to a list.
    async fn follow(&mut self, at: &mut Connection, stream: &str, times: u64) -> io::Result<()> {
        let path = format!("/v1/streams/{STREAMER}/{stream}/events");
        at.send(&path, "").await?;
        let (status, _) = at.head().await?;
        if status != 200 {
            return Err(wrong(format!("{path}: {status}")));
        }
        self.seen.answers.fetch_add(1, Ordering::Relaxed);
        let mut events = 0;
        while events < times {
            let line = at.line().await?;
            events += u64::from(line.starts_with("event: "));
            if line.contains("\"ended\":true") {
                break;
            }
        }
        // The rest would have to be read before anything else could be asked for.
        *at = Connection::open(self.address).await?;
        Ok(())
    }

    /// Asks for a list.
    async fn list(&self, at: &mut Connection, path: &str, headers: &str) -> io::Result<Answer> {
        let answer = self.ask(at, path, headers).await?;
        let is_whole = answer.status == 304
            || answer.header("content-encoding") == "gzip"
            || (answer.text().starts_with("#EXTM3U\n") && answer.text().ends_with('\n'));
        if is_whole { Ok(answer) } else { Err(wrong(format!("{path}: {}", answer.text()))) }
    }

    /// Asks for anything that is there.
    async fn ask(&self, at: &mut Connection, path: &str, headers: &str) -> io::Result<Answer> {
        let answer = at.ask(path, headers).await;
        let answer = answer.map_err(|error| wrong(format!("{path}: {error}")))?;
        self.seen.answers.fetch_add(1, Ordering::Relaxed);
        match answer.status {
            200 | 304 => Ok(answer),
            status => Err(wrong(format!("{path}: {status} {}", answer.text()))),
        }
    }
}

/// The number of the last segment that a list names.
fn last_number(list: &str) -> Option<usize> {
    let (_, name) = list.rsplit_once("?filename=")?;
    name.split('.').next()?.parse().ok()
}

fn wrong(why: impl std::fmt::Display) -> io::Error {
    io::Error::other(why.to_string())
}
