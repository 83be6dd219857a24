//! `alive chat archive` and `alive chat replay`: a chat as a file that anybody can verify.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Cursor},
    path::PathBuf,
    time::Duration,
};

use alive_avalon::rpc as avalon;
use alive_chat::{Account, ArchiveReader, ArchiveWriter, KeySet, Moment, StreamChat, system_clock};
use alive_core::{
    ContentId, GatewayUrl, StreamId,
    backend::{AccountKeys as _, SharedAccountKeys, SharedStorage, Storage as _},
};
use alive_storage::{DiskStorage, GatewayStorage};
use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;

use crate::{
    chain::{Chain, ChainArgs},
    chat::{ChatArgs, home, networks},
    chat_room::caught_up,
    chat_terminal::Screen,
    output, post,
    secret::KeyArgs,
    storage::StorageArgs,
};

/// Largest archive that is fetched, in bytes: several million messages.
const MAX_ARCHIVE_BYTES: usize = 1 << 30;
/// Most messages of one archive that this command writes.
const MAX_MESSAGES: usize = 200_000;
/// How long reading the chat may take.
const PATIENCE: Duration = Duration::from_mins(10);

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

/// Prints the archived chat of a stream. The chain tells which archives there are; every signature is checked again with the
/// keys that accounts have on their chains now.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: alive chat replay hive/alice/launch --gateway http://127.0.0.1:3010"
)]
pub(crate) struct ReplayArgs {
    /// The stream.
    #[arg(value_name = "NETWORK/AUTHOR/LINK")]
    stream: StreamId,
    /// Gateway that serves the archive; nothing it says is believed unchecked.
    #[arg(long, env = "ALIVE_GATEWAY", value_name = "URL")]
    gateway: Option<GatewayUrl>,
    /// Folder of a local block store that has it, instead of a gateway.
    #[arg(long, env = "ALIVE_STORE", value_name = "FOLDER", conflicts_with = "gateway")]
    store: Option<PathBuf>,
    /// An archive in a file, whatever the chain says.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["gateway", "store"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    chain: ChainArgs,
}

pub(crate) async fn archive(args: ArchiveArgs) -> anyhow::Result<()> {
    let chains = args.chat.chain.chains()?;
    let chain = home(&chains, &args.chat.stream)?;
    if !args.local {
        args.storage.check_lasting()?;
        // Whatever keeps it from being named is found out before anything is done.
        check_place(chain, &args.chat.stream).await?;
    }
    let connected = args.chat.connect(None, MAX_MESSAGES, |config, _| config).await?;
    let written = write(&args, &connected.session).await;
    connected.stop().await;
    let (text, count) = written?;
    ensure!(count > 0, "the chat has no messages; is the peer the one that has it?");
    output::line(format_args!("{count} messages, {}", output::bytes(text.len().try_into()?)));
    if let Some(path) = &args.out {
        std::fs::write(path, &text).with_context(|| path.display().to_string())?;
        output::line(format_args!("written to {}", path.display()));
    }
    if args.local {
        return Ok(());
    }
    let storage = args.storage.open(&args.data.join("store")).await?;
    let stored = storage.put.put(Bytes::from(text)).await;
    storage.shutdown().await;
    let id = stored.context("storing the archive")?;
    output::line(format_args!("archive {id}"));
    announce(chain, &args, &id).await
}

/// The archive as it stands now, and how many messages it has.
async fn write(
    args: &ArchiveArgs,
    session: &alive_chat::ChatSession,
) -> anyhow::Result<(Vec<u8>, u64)> {
    caught_up(session, PATIENCE).await?;
    let mut writer = ArchiveWriter::new(session.chat().clone(), Vec::new());
    for message in session.archive(args.keep_banned).await? {
        writer.push(&message)?;
    }
    let count = writer.len();
    Ok((writer.finish()?, count))
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

pub(crate) async fn replay(args: ReplayArgs) -> anyhow::Result<()> {
    let chains = args.chain.chains()?;
    let chat = StreamChat::new(networks(&chains)?, args.stream.clone())?;
    let mut keys = Keys::new(&chains)?;
    if let Some(path) = &args.file {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        return print(&chat, BufReader::new(file), &mut keys).await;
    }
    let archives = announced(home(&chains, &args.stream)?, &args.stream).await?;
    ensure!(!archives.is_empty(), "{} names no archive of its chat on the chain", args.stream);
    let storage = open(&args)?;
    for archive in archives {
        output::line(format_args!("archive {archive}"));
        let bytes = storage.get(&archive, MAX_ARCHIVE_BYTES).await;
        let bytes = bytes.with_context(|| format!("archive {archive}"))?;
        let printed = print(&chat, Cursor::new(bytes), &mut keys).await;
        printed.with_context(|| format!("archive {archive}"))?;
    }
    Ok(())
}

/// The archives that the chain names.
async fn announced(chain: &Chain, id: &StreamId) -> anyhow::Result<Vec<ContentId>> {
    if chain.is_avalon() {
        let client = chain.avalon_client()?;
        let found = avalon::find_chat_archives(&client, &id.account, &id.link).await?;
        return found.with_context(|| format!("{id} is not configured"));
    }
    let found = post::find(chain, id).await?;
    let post = found.with_context(|| format!("{id} has no post"))?;
    let metadata = post.metadata();
    let is_about = metadata.stream().is_none_or(|named| named == *id);
    ensure!(is_about, "the post links to another stream");
    Ok(metadata.chat_archives())
}

fn open(args: &ReplayArgs) -> anyhow::Result<SharedStorage> {
    match (&args.store, &args.gateway) {
        (Some(folder), _) => Ok(SharedStorage::new(DiskStorage::open_dir(folder)?)),
        (None, Some(gateway)) => Ok(SharedStorage::new(GatewayStorage::new(gateway.clone())?)),
        (None, None) => bail!("give --gateway, --store or --file"),
    }
}

/// Prints every message whose signature holds, and says how many lines have none.
async fn print(chat: &StreamChat, from: impl BufRead, keys: &mut Keys) -> anyhow::Result<()> {
    let screen = Screen::new(chat, output::is_terminal());
    let mut reader = ArchiveReader::new(chat.clone(), from).within(EARLIEST, system_clock());
    let (mut good, mut bad) = (0_u64, 0_u64);
    while let Some(line) = reader.next_line().context("this is no archive of a chat")? {
        let index = line.index();
        let known = match line.account().cloned() {
            Some(account) => keys.of(&account).await?,
            None => None,
        };
        match reader.judge(line, known) {
            Ok(message) => {
                good += 1;
                output::line(screen.message(&message));
            }
            Err(why) => {
                bad += 1;
                let why = output::causes(&why);
                output::line(screen.note(&format!("line {} does not count: {why}", index + 1)));
            }
        }
    }
    output::line(format_args!("{good} messages verified, {bad} refused"));
    ensure!(good > 0 || bad == 0, "no message of the archive holds");
    Ok(())
}

/// No stream of the protocol is older.
const EARLIEST: Moment = Moment::EPOCH;

/// The keys of accounts, asked for once.
struct Keys {
    chains: Vec<SharedAccountKeys>,
    known: HashMap<Account, Option<KeySet>>,
}

impl Keys {
    /// Most accounts that are remembered.
    const MAX: usize = 100_000;

    fn new(chains: &[Chain]) -> anyhow::Result<Self> {
        let chains = chains.iter().map(Chain::account_keys).collect::<Result<_, _>>()?;
        Ok(Self { chains, known: HashMap::new() })
    }

    /// The keys of an account, `None` if there is no such account.
    async fn of(&mut self, account: &Account) -> anyhow::Result<Option<&KeySet>> {
        if !self.known.contains_key(account) {
            let chain = self.chains.iter().find(|chain| chain.network() == account.network());
            let chain = chain.with_context(|| {
                format!("give --network for {}, to verify {account}", account.network())
            })?;
            let authority = chain.authority(account.name()).await;
            let authority = authority.with_context(|| format!("keys of {account}"))?;
            if self.known.len() >= Self::MAX {
                self.known.clear();
            }
            self.known.insert(account.clone(), authority.as_ref().map(KeySet::from));
        }
        Ok(self.known.get(account).and_then(Option::as_ref))
    }
}
