//! `alive store`: the embedded block store by itself.

use std::{net::SocketAddr, path::PathBuf};

use alive_node::ServerLimits;
use alive_storage::{
    DiskStorage, DiskStore,
    cid::{self, Cid},
    serve::{AccessToken, Face, FaceConfig},
};
use anyhow::{Context as _, bail, ensure};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{asked_to_stop, output};

/// The environment variable that may hold the token of the RPC.
const TOKEN_VARIABLE: &str = "ALIVE_STORE_TOKEN";

/// Works on an embedded block store, such as that of `alive stream` (`alive-streamer-data/store`) or `alive node`
/// (`alive-node-data/store`), while nobody else has it open.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Reads every block of the store and checks it against its id, and with --repair mends what can be mended.
    Check(CheckArgs),
    /// Serves the store as Kubo serves its own: RPC under /api/v0/, gateway under /ipfs/.
    Serve(ServeArgs),
}

/// Which store.
#[derive(Debug, clap::Args)]
struct StoreArgs {
    /// Folder of the store.
    #[arg(long, env = "ALIVE_STORE", default_value = "alive-store", value_name = "FOLDER")]
    store: PathBuf,
}

impl StoreArgs {
    fn open(&self) -> anyhow::Result<DiskStorage> {
        DiskStorage::open_dir(&self.store)
            .with_context(|| format!("block store in {}", self.store.display()))
    }
}

/// Clients of Kubo's HTTP API work with it unchanged. Whoever reaches the RPC can write to the store, so any other address
/// than loopback asks for a token.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: alive store serve --store alive-node-data/store")]
struct ServeArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Where to listen.
    #[arg(
        long,
        env = "ALIVE_STORE_LISTEN",
        default_value = "127.0.0.1:5001",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,
    /// File that holds the token which clients present as `Authorization: Bearer …`; or set `ALIVE_STORE_TOKEN`.
    #[arg(long, env = "ALIVE_STORE_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Most bytes of one upload.
    #[arg(long, env = "ALIVE_STORE_UPLOAD_BYTES", default_value_t = FaceConfig::default().upload_bytes, value_name = "BYTES")]
    upload_bytes: u64,
}

impl ServeArgs {
    fn token(&self) -> anyhow::Result<Option<AccessToken>> {
        let (text, from) = match (&self.token_file, std::env::var(TOKEN_VARIABLE)) {
            (Some(path), _) => {
                let from = format!("token file {}", path.display());
                (std::fs::read_to_string(path).with_context(|| from.clone())?, from)
            }
            (None, Ok(text)) => (text, TOKEN_VARIABLE.to_owned()),
            (None, Err(_)) => return Ok(None),
        };
        let text = Zeroizing::new(text);
        Ok(Some(text.trim().parse().with_context(|| from)?))
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Check(args) => tokio::task::spawn_blocking(move || check(&args)).await?,
        Command::Serve(args) => serve(args).await,
    }
}

/// Tells what is wrong, and fails unless all is well or has been repaired. What a repair cannot bring back are the bytes of
/// damaged blocks; it forgets them, so that storing or fetching the content again brings them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: alive store check --store alive-node-data/store --repair")]
struct CheckArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Forget damaged blocks, cut torn ends and take up packs that the index does not know.
    #[arg(long, conflicts_with = "rebuild")]
    repair: bool,
    /// Make the index again from the packs: for an index that cannot be read. Small files and pins, which are only in it, are
    /// lost.
    #[arg(long)]
    rebuild: bool,
}

fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let place = || format!("block store in {}", args.store.store.display());
    // Opening a store that is not there would make one, and find it sound.
    ensure!(args.store.store.is_dir(), "{} is not there", place());
    let store = if args.rebuild {
        DiskStore::rebuild(&args.store.store).with_context(place)?
    } else {
        DiskStore::open(&args.store.store).with_context(place)?
    };
    let report = if args.repair { store.repair() } else { store.check() }.with_context(place)?;
    output::line(format_args!("{} blocks, {}", report.blocks, output::bytes(report.bytes)));
    for hash in &report.listed {
        // Of the block only its hash is known, not what it was of.
        output::line(format_args!("DAMAGED {}", Cid::new_v1(cid::RAW, *hash)));
    }
    let more = report.damaged.saturating_sub(u64::try_from(report.listed.len())?);
    if more > 0 {
        output::line(format_args!("DAMAGED {more} more"));
    }
    for root in &report.incomplete {
        output::line(format_args!("INCOMPLETE {root} is to be kept, and not all of it is here"));
    }
    if report.torn_packs + report.unknown_packs > 0 {
        output::line(format_args!(
            "{} packs with a torn end, {} that the index does not know",
            report.torn_packs, report.unknown_packs
        ));
    }
    if report.is_sound() {
        output::line("the store is sound");
        return Ok(());
    }
    if !args.repair {
        bail!("the store is not sound; --repair mends what can be mended");
    }
    let after = store.check().with_context(place)?;
    ensure!(after.is_sound(), "{}: not all could be mended", place());
    output::line("repaired");
    if !after.incomplete.is_empty() {
        output::line(format_args!(
            "{} roots are not whole: store or fetch their content again",
            after.incomplete.len()
        ));
    }
    Ok(())
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let mut config = FaceConfig::default().upload_bytes(args.upload_bytes);
    match args.token()? {
        Some(token) => config = config.token(token),
        None if args.listen.ip().is_loopback() => {}
        None => bail!("{} is no loopback address: give a token with --token-file", args.listen),
    }
    let router = Face::new(args.store.open()?, config).router();
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let stop = asked_to_stop();
    output::line(format_args!("listening on http://{}", listener.local_addr()?));
    let cancel = CancellationToken::new();
    let server =
        tokio::spawn(alive_node::serve(listener, router, ServerLimits::default(), cancel.clone()));
    stop.await;
    cancel.cancel();
    Ok(server.await?)
}
