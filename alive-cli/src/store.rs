//! `alive store`: the embedded block store by itself.

use std::{net::SocketAddr, path::PathBuf};

use alive_node::ServerLimits;
use alive_storage::{
    DiskStorage,
    serve::{AccessToken, Face, FaceConfig},
};
use anyhow::{Context as _, bail};
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
        Command::Serve(args) => serve(args).await,
    }
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
    output::line(format_args!("listening on http://{}", listener.local_addr()?));
    let cancel = CancellationToken::new();
    let server =
        tokio::spawn(alive_node::serve(listener, router, ServerLimits::default(), cancel.clone()));
    asked_to_stop().await;
    cancel.cancel();
    Ok(server.await?)
}
