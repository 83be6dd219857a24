//! What a viewer gets: a stream's playlist and segments, read over HTTP.

use std::time::{Duration, Instant};

use alive_playlist::MediaPlaylist;
use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use reqwest::{Client, Url};

/// Time between two looks at a live playlist.
const LOOK: Duration = Duration::from_millis(10);

/// When segments appeared in a live playlist.
#[derive(Debug)]
pub(crate) struct Watched {
    /// For each place of the list, when it was first seen.
    pub(crate) seen: Vec<Instant>,
}

/// Watches a playlist until the stream has ended. What is listed may never change while it lives.
pub(crate) async fn watch(url: String, expected: usize) -> anyhow::Result<Watched> {
    let client = Client::builder().timeout(Duration::from_secs(10)).build()?;
    let mut seen = Vec::with_capacity(expected);
    let mut before: Vec<String> = Vec::new();
    loop {
        let (uris, ended) = list(&client, &url).await?;
        let now = Instant::now();
        ensure!(ended || uris.starts_with(&before), "the live playlist changed what it had listed");
        seen.resize(seen.len().max(uris.len()), now);
        if ended {
            return Ok(Watched { seen });
        }
        before = uris;
        tokio::time::sleep(LOOK).await;
    }
}

/// Reads an ended stream: the bytes of every segment, in the order of its list.
pub(crate) async fn read_all(url: &str) -> anyhow::Result<Vec<Bytes>> {
    let client = Client::builder().timeout(Duration::from_secs(30)).build()?;
    let (uris, ended) = list(&client, url).await?;
    ensure!(ended, "the playlist has no end");
    let base = Url::parse(url)?;
    let mut segments = Vec::with_capacity(uris.len());
    for uri in uris {
        let answer = client.get(base.join(&uri)?).send().await?.error_for_status()?;
        segments.push(answer.bytes().await.with_context(|| uri)?);
    }
    Ok(segments)
}

/// The segments of a playlist and whether it has its end. A stream that nobody has indexed yet is an empty list.
async fn list(client: &Client, url: &str) -> anyhow::Result<(Vec<String>, bool)> {
    let answer = client.get(url).send().await?;
    if answer.status() == reqwest::StatusCode::NOT_FOUND {
        return Ok((Vec::new(), false));
    }
    let text = answer.error_for_status()?.bytes().await?;
    let list = MediaPlaylist::read(&text).context("the node's playlist")?;
    if list.segments().iter().any(|segment| segment.gap) {
        bail!("the playlist has gaps");
    }
    let uris = list.segments().iter().map(|segment| segment.uri.as_str().to_owned()).collect();
    Ok((uris, list.header().ended))
}
