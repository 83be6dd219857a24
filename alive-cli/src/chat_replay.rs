//! `alive chat replay`: an archived chat, verified line by line.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::PathBuf,
};

use alive_avalon::rpc as avalon;
use alive_chat::{ArchiveReader, Moment, StreamChat, system_clock};
use alive_core::{ContentId, GatewayUrl, StreamId};
use alive_storage::{DiskStorage, GatewayStorage};
use anyhow::{Context as _, bail, ensure};

use crate::{
    chain::{Chain, ChainArgs},
    chat::{home, networks},
    chat_content::Source,
    chat_gather::Keys,
    chat_terminal::Screen,
    output, post,
};

/// No stream of the protocol is older.
const EARLIEST: Moment = Moment::EPOCH;

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
    /// Largest archive that is fetched, in bytes. One of a gateway lies in a temporary file while it is read.
    #[arg(long, default_value_t = 16 << 30, value_name = "BYTES", conflicts_with = "file")]
    max_bytes: u64,
    #[command(flatten)]
    chain: ChainArgs,
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
    let source = open(&args)?;
    for archive in archives {
        output::line(format_args!("archive {archive}"));
        let content = source.open(&archive, args.max_bytes).await;
        let content = content.with_context(|| format!("archive {archive}"))?;
        let printed = print(&chat, BufReader::new(content), &mut keys).await;
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

fn open(args: &ReplayArgs) -> anyhow::Result<Source> {
    match (&args.store, &args.gateway) {
        (Some(folder), _) => Ok(Source::Disk(DiskStorage::open_dir(folder)?)),
        (None, Some(gateway)) => Ok(Source::Gateway(GatewayStorage::new(gateway.clone())?)),
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
