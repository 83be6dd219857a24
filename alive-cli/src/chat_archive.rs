//! `alive chat archive`: a chat as a file that anybody can verify, stored and named on the chain.

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
};

use alive_avalon::rpc as avalon;
use alive_chat::{ArchiveFilter, Blacklist as _};
use alive_core::{AccountName, ContentId, Network, StreamId};
use alive_db::gun::{GraphLimits, PeerConfig};
use anyhow::{Context as _, ensure};
use tempfile::NamedTempFile;

use crate::{
    chain::Chain,
    chat::{Blacklists, ChatArgs, Opened, home},
    chat_content::put_file,
    chat_gather::{Gathered, Keys, Tally},
    output, post,
    secret::KeyArgs,
    storage::StorageArgs,
};

/// What of AliveDB is in memory at once, in bytes. Messages that were read make room for others; the list of all of them
/// stays, so it has most of the room.
const GRAPH_BYTES: usize = 128 << 20;
const LIST_BYTES: usize = 96 << 20;

/// Writes the chat of a stream to an archive: every accepted message that is not hidden, its signature checked. The archive is
/// stored, and named in the metadata of the stream's post (Hive) or in the json of its playlist (Avalon), so that
/// `alive chat replay` finds it by the chain alone.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: alive chat archive hive/alice/launch --live-peer http://127.0.0.1:3007/gun --api http://127.0.0.1:3010"
)]
pub(crate) struct ArchiveArgs {
    #[command(flatten)]
    chat: ChatArgs,
    #[command(flatten)]
    key: KeyArgs,
    /// Also write the archive to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Keep what later-banned users said before they were banned.
    #[arg(long)]
    keep_banned: bool,
    /// Another archive of this chat, or any file with a message as JSON in each line, whose messages are added. May be given
    /// several times.
    #[arg(long = "with", value_name = "FILE")]
    with: Vec<PathBuf>,
    /// Most messages that are read; without it only the disk is the limit.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true, value_name = "COUNT")]
    max_messages: u64,
    /// Neither store nor name it; --out says where to write it.
    #[arg(long, requires = "out")]
    local: bool,
    /// Folder of the block store.
    #[arg(
        long,
        env = "ALIVE_STREAMER_DATA",
        default_value = "alive-streamer-data",
        value_name = "FOLDER"
    )]
    data: PathBuf,
    #[command(flatten)]
    storage: StorageArgs,
}

pub(crate) async fn archive(args: ArchiveArgs) -> anyhow::Result<()> {
    let chains = args.chat.chain.chains()?;
    let chain = home(&chains, &args.chat.stream)?;
    if !args.local {
        args.storage.check_lasting()?;
        // Whatever keeps it from being named is found out before anything is done.
        check_place(chain, &args.chat.stream).await?;
    }
    let folder = work_folder(&args)?;
    let mut file = archive_file(&folder)?;
    let Tally { written, refused } = write(&args, &folder, file.as_file_mut()).await?;
    ensure!(written > 0, "the chat has no messages; is the peer the one that has it?");
    let bytes = output::bytes(file.as_file().metadata()?.len());
    output::line(format_args!("{written} messages, {bytes}"));
    if refused > 0 {
        output::line(format_args!("{refused} without a good signature are left out"));
    }
    let content = file.reopen()?;
    if let Some(path) = &args.out {
        file.as_file().sync_all()?;
        file.persist(path).with_context(|| path.display().to_string())?;
        output::line(format_args!("written to {}", path.display()));
    }
    if args.local {
        return Ok(());
    }
    let storage = args.storage.open(&args.data.join("store")).await?;
    let stored = put_file(&storage, content).await;
    storage.shutdown().await;
    let id = stored.context("storing the archive")?;
    output::line(format_args!("archive {id}"));
    announce(chain, &args, &id).await
}

/// Where the archive grows: beside the file that it is to become, or where the store is.
fn work_folder(args: &ArchiveArgs) -> anyhow::Result<PathBuf> {
    let Some(out) = &args.out else {
        std::fs::create_dir_all(&args.data).with_context(|| args.data.display().to_string())?;
        return Ok(args.data.clone());
    };
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok(parent.map_or_else(|| PathBuf::from("."), Path::to_owned))
}

/// A file that goes away unless it is kept, and then is one like all others.
fn archive_file(folder: &Path) -> anyhow::Result<NamedTempFile> {
    let mut made = tempfile::Builder::new();
    made.prefix(".chat-archive-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        made.permissions(std::fs::Permissions::from_mode(0o666));
    }
    made.tempfile_in(folder).with_context(|| format!("a file in {}", folder.display()))
}

/// Writes the archive as it stands now.
async fn write(args: &ArchiveArgs, folder: &Path, to: &mut File) -> anyhow::Result<Tally> {
    let graph = GraphLimits::default().bytes(GRAPH_BYTES).node_bytes(LIST_BYTES);
    let opened = args.chat.open(PeerConfig::default().graph(graph)).await?;
    let Opened { chat, chains, streamer_key, peer, transport } = opened;
    let gathered = async {
        let gathered = Gathered::new(chat, streamer_key, folder, args.max_messages)?;
        gathered.with_history(&transport).await
    };
    let gathered = gathered.await;
    peer.stop().await;
    let mut gathered = gathered?;
    for path in &args.with {
        gathered = gathered.with_file(path).await?;
    }
    let blacklist = blacklist(&chains, &args.chat.stream).await;
    let filter = |rules| ArchiveFilter::new(rules, args.keep_banned).blacklist(blacklist);
    gathered.write(&mut Keys::new(&chains)?, filter, BufWriter::new(to)).await
}

/// Who is on the blacklists that the streamer follows: streams of Hive have them.
async fn blacklist(chains: &[Chain], id: &StreamId) -> Vec<AccountName> {
    let hive = chains.iter().find(|chain| chain.network() == &id.network);
    let Some(hive) = hive.filter(|hive| hive.network() == &Network::hive()) else {
        return Vec::new();
    };
    let names = async { anyhow::Ok(Blacklists::of(hive)?.names(&id.account).await?) };
    names.await.unwrap_or_else(|error| {
        output::warning(format_args!("blacklists cannot be read: {error:#}"));
        Vec::new()
    })
}

async fn check_place(chain: &Chain, id: &StreamId) -> anyhow::Result<()> {
    if chain.is_avalon() {
        let client = chain.avalon_client()?;
        let found = avalon::find_chat_archives(&client, &id.account, &id.link).await?;
        found.with_context(|| format!("{id} is not configured"))?;
        return Ok(());
    }
    let found = post::find(chain, id).await?;
    found.with_context(|| format!("{id} has no post; make one by `alive post create`"))?;
    Ok(())
}

/// Names the archive on the chain.
async fn announce(chain: &Chain, args: &ArchiveArgs, archive: &ContentId) -> anyhow::Result<()> {
    let id = &args.chat.stream;
    if chain.is_avalon() {
        let key = args.key.read_avalon()?;
        let broadcaster = chain.avalon_broadcaster(id.account.clone(), key)?;
        let receipt = broadcaster.announce_chat(&id.link, archive).await?;
        output::line(format_args!("named in block {} as {}", receipt.block, receipt.transaction));
        return Ok(());
    }
    let found = post::find(chain, id).await?;
    let mut post = found.with_context(|| format!("{id} has no post any more"))?;
    post.link_to(id)?;
    if post.metadata().chat_archives().contains(archive) {
        output::line("the post names it already");
        return Ok(());
    }
    ensure!(post.add_chat_archive(archive), "the post has no room for another chat archive");
    let operation = post.operation(chain.hive()?)?;
    let broadcaster = chain.hive_broadcaster(id.account.clone(), args.key.read()?)?;
    let receipt = broadcaster.submit(vec![operation]).await?;
    output::line(format_args!(
        "named in block {} as {}",
        receipt.block_num, receipt.transaction_id
    ));
    broadcaster.settle().await?;
    Ok(())
}
