//! `alive export` and `alive import`: a whole stream in one file.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use alive_core::{AccountName, Link, Stream, StreamId};
use alive_node::{StreamArchive, archived_stream, export_stream, import_stream};
use alive_storage::DiskStorage;
use anyhow::{Context as _, ensure};

use crate::{
    chain::{Chain, ChainArgs},
    output,
    verify::parse_stream,
};

/// Bytes that are written at once.
const PIECE: usize = 256 << 10;

/// Which chain tells what the stream is, and which store has its content.
#[derive(Debug, clap::Args)]
struct Between {
    /// Folder of the block store.
    #[arg(long, env = "ALIVE_STORE", default_value = "alive-store", value_name = "FOLDER")]
    store: PathBuf,
    /// The first block to read.
    #[arg(long, env = "ALIVE_FROM_BLOCK", default_value_t = 1, value_name = "BLOCK")]
    from_block: u32,
    #[command(flatten)]
    chain: ChainArgs,
}

impl Between {
    fn open(&self) -> anyhow::Result<DiskStorage> {
        DiskStorage::open_dir(&self.store)
            .with_context(|| format!("block store in {}", self.store.display()))
    }

    /// The stream as the chain tells it.
    async fn stream(
        &self,
        chain: &Chain,
        account: &AccountName,
        link: &Link,
    ) -> anyhow::Result<Stream> {
        let index = chain.index(self.from_block, |_, _| {}).await?;
        let stream = index.stream(account, link).cloned();
        stream.with_context(|| format!("the chain has no stream {account}/{link}"))
    }
}

/// Writes a stream to one file: its playlists, chunks and segments. An ended stream goes in whole, one that lives as far as it is
/// final. The file is an archive of IPFS blocks that any IPFS node takes and plays.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: alive export alice/launch launch.car --store alive-streamer-data/store"
)]
pub(crate) struct ExportArgs {
    /// The stream.
    #[arg(value_name = "AUTHOR/LINK", value_parser = parse_stream)]
    stream: (AccountName, Link),
    /// The file to write; it must not be there.
    #[arg(value_name = "FILE.car")]
    file: PathBuf,
    #[command(flatten)]
    between: Between,
}

/// Takes a stream out of a file into a block store, if it is what the chain says: every push, chunk and segment, and nothing
/// else. Otherwise nothing is stored.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: alive import launch.car --store alive-node-data/store")]
pub(crate) struct ImportArgs {
    /// The file.
    #[arg(value_name = "FILE.car")]
    file: PathBuf,
    #[command(flatten)]
    between: Between,
}

pub(crate) async fn export(args: ExportArgs) -> anyhow::Result<()> {
    let (account, link) = args.stream;
    let chain = args.between.chain.one()?;
    let stream = args.between.stream(&chain, &account, &link).await?;
    let id = StreamId::new(chain.network().clone(), account, link);
    let store = args.between.open()?;
    let to = args.file;
    let archive = tokio::task::spawn_blocking(move || write(&to, &store, &id, &stream)).await??;
    tell("exported", &archive);
    output::line(format_args!("bytes     {}", output::bytes(archive.bytes)));
    Ok(())
}

/// Writes beside the place and moves there, so that a file of this name is always whole.
fn write(
    to: &Path,
    store: &DiskStorage,
    id: &StreamId,
    stream: &Stream,
) -> anyhow::Result<StreamArchive> {
    ensure!(!to.exists(), "{} is there already", to.display());
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
        .with_context(|| format!("cannot write beside {}", to.display()))?;
    let mut writer = BufWriter::with_capacity(PIECE, file);
    let archive = export_stream(store.store(), id, stream, &mut writer)?;
    writer.flush()?;
    let file = writer.into_inner()?;
    file.as_file().sync_all()?;
    file.persist_noclobber(to).with_context(|| to.display().to_string())?;
    Ok(archive)
}

pub(crate) async fn import(args: ImportArgs) -> anyhow::Result<()> {
    let place = args.file.display().to_string();
    let open = || File::open(&args.file).with_context(|| place.clone());
    let file = open()?;
    let limit = file.metadata()?.len();
    let id = tokio::task::spawn_blocking(move || archived_stream(file, limit)).await??;
    let chain = args.between.chain.one()?;
    let network = chain.network();
    ensure!(
        id.network == *network,
        "{place} is of {}, choose it with --network; {network} was asked for",
        id.network
    );
    let stream = args.between.stream(&chain, &id.account, &id.link).await?;
    let (store, file) = (args.between.open()?, open()?);
    let work = move || {
        let archive = import_stream(file, limit, store.store(), &id, &stream)?;
        anyhow::Ok((id, archive))
    };
    let (id, archive) = tokio::task::spawn_blocking(work).await??;
    output::line(format_args!("stream    {id}"));
    tell("imported", &archive);
    Ok(())
}

fn tell(what: &str, archive: &StreamArchive) {
    output::line(format_args!("root      {}", archive.root));
    output::line(format_args!(
        "{what}  pushes 0 to {}, {} segments of the source, {} blocks",
        archive.last, archive.segments, archive.blocks
    ));
    if !archive.without.is_empty() {
        let without: Vec<_> = archive.without.iter().map(ToString::to_string).collect();
        output::line(format_args!(
            "without   {}: their content is no chunk of the stream",
            without.join(", ")
        ));
    }
}
