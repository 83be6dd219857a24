//! `alive devnet`: a development chain.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use alive_hive::{
    KeyPrefix, PrivateKey, Role,
    devnet::{DevAccount, DevnetConfig, serve},
};
use anyhow::Context as _;

use crate::{asked_to_stop, output};

/// Runs a development chain that unmodified Hive clients can broadcast to. It is for tests: its keys are worth nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: alive devnet --account alice=secret --account bob=secret")]
pub(crate) struct Args {
    /// An account and the master password that its keys come from; may be given several times.
    #[arg(long = "account", env = "ALIVE_DEVNET_ACCOUNTS", value_delimiter = ',', value_name = "NAME=PASSWORD",
          default_value = "alice=alice", value_parser = parse_account)]
    accounts: Vec<(String, String)>,
    /// Where to listen.
    #[arg(
        long,
        env = "ALIVE_DEVNET_LISTEN",
        default_value = "127.0.0.1:8090",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,
    /// Milliseconds between blocks.
    #[arg(long, env = "ALIVE_DEVNET_BLOCK_MS", default_value_t = 3000, value_name = "MS")]
    block_ms: u64,
    /// Folder of the block log; without it the chain is gone when the program ends.
    #[arg(long, env = "ALIVE_DEVNET_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
}

fn parse_account(text: &str) -> Result<(String, String), String> {
    let (name, password) = text.split_once('=').ok_or("write NAME=PASSWORD")?;
    Ok((name.to_owned(), password.to_owned()))
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut config = DevnetConfig::default()
        .address(args.listen)
        .block_interval(Duration::from_millis(args.block_ms));
    if let Some(folder) = args.data {
        config = config.folder(folder);
    }
    for (name, password) in &args.accounts {
        let account = DevAccount::from_password(name, password);
        config = config.account(account.with_context(|| format!("account {name}"))?);
        let key = PrivateKey::from_password(name, Role::Posting, password)?;
        let public = key.public_key().to_text(&KeyPrefix::STM);
        output::line(format_args!("account {name}, posting key {public}"));
    }
    let server = serve(config).await?;
    output::line(format_args!("listening on {}", server.url()));
    asked_to_stop().await;
    server.shutdown().await;
    Ok(())
}
