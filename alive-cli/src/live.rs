//! The live layer of a command: an AliveDB peer within the process, and the streamer's user on it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use alive_chat::{Networks, SharedChatTransport};
use alive_core::{
    Configure, Link, LiveLayer, Op,
    backend::{SharedLiveCache, SharedStreamStore},
};
use alive_db::{
    chat::ChatDb,
    gun::{DiskGraph, Peer, PeerConfig, Relay, RelayLimits},
    live_cache::AliveDb,
    rest::{RestApi, RestConfig},
    sea::{KeyPair, PublicKey, UserSpace},
};
use anyhow::{Context as _, bail, ensure};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use crate::{db_api, output, secret_file};

/// The variable that may hold the password of the streamer's user.
const PASSWORD_VARIABLE: &str = "ALIVE_LIVE_PASSWORD";
/// The file of the streamer's keys in his data folder.
const KEY_FILE: &str = "live-key.json";

/// How a process takes part in AliveDB; without any of these it does not.
#[derive(Debug, clap::Args)]
pub(crate) struct LiveArgs {
    /// AliveDB peer, such as that of a node or of `alive db`, where segments are before the chain has them. May be given
    /// several times.
    #[arg(long = "live-peer", env = "ALIVE_LIVE_PEER", value_delimiter = ',', value_name = "URL")]
    live_peers: Vec<String>,
    /// Be such a peer for others, at /gun of this address.
    #[arg(long, env = "ALIVE_LIVE_LISTEN", value_name = "ADDRESS")]
    live_listen: Option<SocketAddr>,
}

impl LiveArgs {
    /// Whether there is to be a live layer.
    pub(crate) fn is_on(&self) -> bool {
        self.live_listen.is_some() || !self.live_peers.is_empty()
    }

    /// Starts the peer, if there is to be one; what it knows outlives the process if `graph` names a file.
    pub(crate) async fn start(&self, graph: Option<&Path>) -> anyhow::Result<Option<LivePeer>> {
        if !self.is_on() {
            return Ok(None);
        }
        self.start_peer(graph).await.map(Some)
    }

    /// Starts the peer, even if nobody is to reach it but this process.
    pub(crate) async fn start_peer(&self, graph: Option<&Path>) -> anyhow::Result<LivePeer> {
        let peer = LivePeer { peer: open_peer(graph).await? };
        if let Some(address) = self.live_listen {
            let url = peer.listen(address).await?;
            output::line(format_args!("live peers at {url}"));
        }
        for url in &self.live_peers {
            peer.dial(url).await.context("--live-peer")?;
        }
        Ok(peer)
    }
}

/// A peer that lets in only what its owner has signed, where a space has an owner; its graph in `graph`, if that names a
/// file.
pub(crate) async fn open_peer(graph: Option<&Path>) -> anyhow::Result<Peer> {
    let mut config = PeerConfig::default();
    if let Some(path) = graph.map(Path::to_owned) {
        let place = path.display().to_string();
        // Opening repairs what a crash has left, which may take a while.
        let disk = tokio::task::spawn_blocking(move || DiskGraph::open(&path)).await?;
        config =
            config.disk(disk.with_context(|| format!("{place}, is another process using it?"))?);
    }
    Ok(Peer::start(config, UserSpace::default())?)
}

/// Says what a peer has done, when it has ended.
pub(crate) fn log_counts(peer: &Peer) {
    let counts = peer.counts();
    tracing::info!(
        puts = counts.puts,
        gets = counts.gets,
        messages = counts.messages,
        unadmitted = counts.unadmitted,
        quota_refused = counts.quota_refused,
        links_dropped = counts.links_dropped,
        disk_errors = counts.disk_errors,
        "AliveDB peer stopped"
    );
}

/// A peer at work.
#[derive(Clone, Debug)]
pub(crate) struct LivePeer {
    peer: Peer,
}

impl LivePeer {
    /// One that forgets everything when it stops.
    pub(crate) async fn in_memory() -> anyhow::Result<Self> {
        Ok(Self { peer: open_peer(None).await? })
    }

    /// The peer itself.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Takes connections of other peers; gives the URL to dial.
    pub(crate) async fn listen(&self, address: SocketAddr) -> anyhow::Result<String> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
        Ok(Relay::start(&self.peer, listener, RelayLimits::default())?.url())
    }

    /// Connects to another peer, again and again.
    pub(crate) async fn dial(&self, url: &str) -> anyhow::Result<()> {
        Ok(self.peer.dial(url).await?)
    }

    /// The segments of all streams whose key is in `store`.
    pub(crate) fn reader(&self, store: SharedStreamStore) -> SharedLiveCache {
        SharedLiveCache::new(AliveDb::reader(Arc::new(self.peer.clone()), store))
    }

    /// The chats of all streams whose key is in `store`.
    pub(crate) fn chats(
        &self,
        networks: Networks,
        store: SharedStreamStore,
    ) -> SharedChatTransport {
        let chats = ChatDb::new(Arc::new(self.peer.clone()), networks).with_store(store);
        SharedChatTransport::new(chats)
    }

    /// The segments of the streamer with these keys.
    pub(crate) fn writer(&self, keys: Arc<KeyPair>) -> Writer {
        let public = keys.public().clone();
        let cache = AliveDb::writer(Arc::new(self.peer.clone()), keys);
        Writer { public, cache: SharedLiveCache::new(cache) }
    }

    /// Logs in as a user of AliveDB, by alias or public key.
    async fn log_in(&self, who: &str, password: &str) -> anyhow::Result<Writer> {
        let api = RestApi::new(Arc::new(self.peer.clone()), RestConfig::default());
        if who.parse::<PublicKey>().is_ok() {
            api.login_by_key(who, password).await?;
        } else {
            api.login(who, password).await?;
        }
        let (public, cache) = (api.user(), api.live_cache());
        let (public, cache) = public.zip(cache).context("nobody is logged in")?;
        Ok(Writer { public, cache: SharedLiveCache::new(cache) })
    }

    /// How many new values have come from other peers, each segment at once.
    pub(crate) fn puts(&self) -> u64 {
        self.peer.counts().puts
    }

    /// Ends it.
    pub(crate) async fn stop(&self) {
        self.peer.stop().await;
        log_counts(&self.peer);
    }
}

/// Where a streamer's segments go.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    /// His key, which his stream has to be configured with.
    pub(crate) public: PublicKey,
    pub(crate) cache: SharedLiveCache,
}

impl Writer {
    /// The operation that tells readers of the stream the key.
    pub(crate) fn configure(&self, link: Link) -> anyhow::Result<Configure> {
        Ok(Configure {
            l2: Some(LiveLayer::GunDb),
            live_key: Some(self.public.to_string().parse()?),
            ..Configure::new(link)
        })
    }
}

/// The streamer's side.
#[derive(Debug, clap::Args)]
pub(crate) struct StreamerArgs {
    #[command(flatten)]
    live: LiveArgs,
    /// File of the AliveDB keys that segments are signed with, as `SEA.pair()` of gun writes them; made on the first
    /// start. By default `live-key.json` in the data folder.
    #[arg(long, env = "ALIVE_LIVE_KEY_FILE", value_name = "FILE", conflicts_with = "live_user")]
    live_key_file: Option<PathBuf>,
    /// Sign as this user of AliveDB instead, named by alias or public key. The password comes from
    /// `ALIVE_LIVE_PASSWORD`, from its file, or is asked for.
    #[arg(long, env = "ALIVE_LIVE_USER", value_name = "USER", allow_hyphen_values = true)]
    live_user: Option<String>,
    /// File that holds the user's password.
    #[arg(long, env = "ALIVE_LIVE_PASSWORD_FILE", value_name = "FILE", requires = "live_user")]
    live_password_file: Option<PathBuf>,
    /// Put the key on the chain even if the stream has another one there.
    #[arg(long, env = "ALIVE_LIVE_REPLACE_KEY")]
    live_replace_key: bool,
}

/// What is known of the key that a stream is configured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Configured {
    /// This one, or none.
    Key(Option<String>),
    /// Nobody was asked.
    Unknown,
}

impl StreamerArgs {
    /// Starts the peer and opens the streamer's user, if there is to be a live layer. The keys stay in `folder`.
    pub(crate) async fn start(&self, folder: &Path) -> anyhow::Result<Option<(LivePeer, Writer)>> {
        let Some(peer) = self.live.start(None).await? else {
            let is_for_nothing = self.live_user.is_some() || self.live_key_file.is_some();
            ensure!(
                !is_for_nothing,
                "a user of AliveDB needs --live-peer or --live-listen, to share segments with somebody"
            );
            return Ok(None);
        };
        let writer = match &self.live_user {
            Some(who) => {
                let password = self.password()?;
                let writer = peer.log_in(who, &password).await;
                writer.with_context(|| {
                    format!("AliveDB user {who}, asked of the peers that can be reached")
                })?
            }
            None => {
                let file = self.live_key_file.clone().unwrap_or_else(|| folder.join(KEY_FILE));
                if let Some(folder) = file.parent() {
                    std::fs::create_dir_all(folder)
                        .with_context(|| folder.display().to_string())?;
                }
                peer.writer(Arc::new(read_keys(&file)?))
            }
        };
        output::line(format_args!("live key {}", writer.public));
        Ok(Some((peer, writer)))
    }

    /// The operation that makes readers of the stream follow this key, if one is needed. A stream that is another key's is
    /// not taken over by chance.
    pub(crate) fn operation(
        &self,
        writer: &Writer,
        link: &Link,
        configured: &Configured,
    ) -> anyhow::Result<Option<Op>> {
        let ours = writer.public.to_string();
        match configured {
            Configured::Key(Some(key)) if *key == ours => return Ok(None),
            Configured::Key(Some(key)) if !self.live_replace_key => bail!(
                "the stream is configured for the AliveDB key {key}, but segments would be signed with {ours}; use the \
                 file of that key or its user (--live-key-file, --live-user), or give --live-replace-key"
            ),
            _ => {}
        }
        Ok(Some(Op::Configure(writer.configure(link.clone())?)))
    }

    fn password(&self) -> anyhow::Result<Zeroizing<String>> {
        db_api::password(self.live_password_file.as_deref(), PASSWORD_VARIABLE)
    }
}

/// A file of keys, as gun's `SEA.pair()` gives them. The public ones follow from the others.
#[derive(serde::Deserialize)]
struct KeyFile<'s> {
    #[serde(rename = "pub")]
    public: Option<&'s str>,
    #[serde(rename = "priv")]
    sign: &'s str,
    #[serde(rename = "epriv")]
    agree: &'s str,
}

/// Reads the keys of a file that must be there and that only its owner can read.
pub(crate) fn read_existing_keys(file: &Path) -> anyhow::Result<KeyPair> {
    let text = secret_file::read_existing(file)?;
    parse_keys(&text).with_context(|| format!("key file {}", file.display()))
}

/// Reads the keys, or makes them.
fn read_keys(file: &Path) -> anyhow::Result<KeyPair> {
    let text = secret_file::read_or_make(file, || Ok(print_keys(&KeyPair::generate()?)))?;
    parse_keys(&text).with_context(|| format!("key file {}", file.display()))
}

fn print_keys(keys: &KeyPair) -> Zeroizing<String> {
    // All four are base64url: nothing in them needs an escape.
    Zeroizing::new(format!(
        "{{\"pub\":\"{}\",\"priv\":\"{}\",\"epub\":\"{}\",\"epriv\":\"{}\"}}\n",
        keys.public(),
        *keys.private_text(),
        keys.exchange(),
        *keys.exchange_private_text()
    ))
}

/// The error never repeats what is in the file.
fn parse_keys(text: &str) -> anyhow::Result<KeyPair> {
    let form = r#"it is no {"pub":…,"priv":…,"epub":…,"epriv":…}"#;
    let Ok(file) = serde_json::from_str::<KeyFile<'_>>(text) else { bail!(form) };
    let keys = KeyPair::from_texts(file.sign, file.agree).ok().context(form)?;
    let is_whole = file.public.is_none_or(|public| public == keys.public().to_string());
    ensure!(is_whole, "pub does not belong to priv");
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: StreamerArgs,
    }

    fn args(args: &[&str]) -> StreamerArgs {
        let all = std::iter::once("alive").chain(args.iter().copied());
        Cli::try_parse_from(all).unwrap().args
    }

    async fn writer() -> (LivePeer, Writer) {
        let peer = LivePeer::in_memory().await.unwrap();
        let writer = peer.writer(Arc::new(KeyPair::generate().unwrap()));
        (peer, writer)
    }

    #[tokio::test]
    async fn a_key_that_the_chain_lacks_is_put_there() {
        let (_peer, writer) = writer().await;
        let link: Link = "s".parse().unwrap();
        for configured in [Configured::Unknown, Configured::Key(None)] {
            let op = args(&[]).operation(&writer, &link, &configured).unwrap().unwrap();
            let Op::Configure(op) = op else { panic!("{op:?}") };
            assert_eq!(op.live_key.unwrap().as_str(), writer.public.to_string());
            assert_eq!((op.link, op.l2), (link.clone(), Some(LiveLayer::GunDb)));
        }
        let own = Configured::Key(Some(writer.public.to_string()));
        assert_eq!(args(&[]).operation(&writer, &link, &own).unwrap(), None);
    }

    #[tokio::test]
    async fn a_stream_of_another_key_is_taken_over_only_when_told_to() {
        let (_peer, writer) = writer().await;
        let link: Link = "s".parse().unwrap();
        let other = Configured::Key(Some("other.key".to_owned()));
        let error = args(&[]).operation(&writer, &link, &other).unwrap_err().to_string();
        assert!(error.contains("other.key") && error.contains("--live-replace-key"), "{error}");
        let op = args(&["--live-replace-key"]).operation(&writer, &link, &other).unwrap();
        assert!(matches!(op, Some(Op::Configure(_))));
    }

    #[test]
    fn keys_are_kept_in_a_file_that_gun_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(KEY_FILE);
        let keys = read_keys(&file).unwrap();
        assert_eq!(read_keys(&file).unwrap().public(), keys.public());
        let text = std::fs::read_to_string(&file).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names.len(), 4);
        assert!(["pub", "priv", "epub", "epriv"].iter().all(|name| names.contains(name)));
        assert_eq!(json["epub"], keys.exchange().to_string());
    }

    #[test]
    fn a_file_that_holds_no_keys_is_refused_and_not_repeated() {
        let [one, other] = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
        let text = print_keys(&one);
        assert!(parse_keys(&text).is_ok());
        let mixed = text.replace(&one.public().to_string(), &other.public().to_string());
        assert!(parse_keys(&mixed).unwrap_err().to_string().contains("does not belong"));
        let cut = text.replace(&*one.private_text(), "hushhush");
        for wrong in ["", "{}", "hush", r#"{"priv":5,"epriv":5}"#, &cut] {
            let error = format!("{:#}", parse_keys(wrong).unwrap_err());
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[rstest]
    #[case(&["--live-user", "alice", "--live-key-file", "x"])]
    #[case(&["--live-password-file", "x"])]
    fn flags_that_make_no_sense_together(#[case] args: &[&str]) {
        let all = std::iter::once("alive").chain(args.iter().copied());
        assert!(Cli::try_parse_from(all).is_err());
    }

    #[tokio::test]
    async fn a_user_without_anybody_to_share_with_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = args(&["--live-user", "alice"]).start(folder.path()).await.unwrap_err();
        assert!(error.to_string().contains("--live-peer"), "{error}");
        assert!(args(&[]).start(folder.path()).await.unwrap().is_none());
    }
}
