//! `alive devnet`: a development chain.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use alive_avalon::devnet as avalon;
use alive_hive::{
    ChainId, HiveNetwork, KeyPrefix, PrivateKey, PublicKey, Role,
    devnet::{DevAccount, Devnet, DevnetConfig, Switches, serve_chain},
};
use anyhow::{Context as _, bail, ensure};
use tokio::task::spawn_blocking;

use crate::{
    asked_to_stop,
    chain::{Kind, known_network},
    output,
};

/// Runs a development chain that unmodified clients of Hive or Avalon can broadcast to. It is for tests: its keys are worth nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: alive devnet --account alice:secret --account bob:secret

A node that loses every fifth answer and forks now and then, and that clients may control:
  alive devnet --control --irreversible-distance 5 --faults \\
    '{\"answers\":[{\"fault\":{\"kind\":\"lost\"},\"per_mille\":200}],\"forks\":{\"blocks\":2,\"per_mille\":100}}'")]
pub(crate) struct Args {
    /// An account, and the master password that its four keys come from, or one key for everything: a private key
    /// (WIF) or a public key. May be given several times.
    #[arg(long = "account", env = "ALIVE_DEVNET_ACCOUNTS", value_delimiter = ',', value_name = "NAME:PASSWORD",
          default_value = "alice:alice", value_parser = parse_account)]
    accounts: Vec<(String, String)>,
    /// Where to listen.
    #[arg(
        long,
        env = "ALIVE_DEVNET_LISTEN",
        default_value = "127.0.0.1:8090",
        default_value_if("network", "avalon", "127.0.0.1:3001"),
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,
    /// Time between blocks, such as `3s` or `150ms`.
    #[arg(long, env = "ALIVE_DEVNET_BLOCK_TIME", default_value = "3s", value_name = "TIME",
          value_parser = parse_time)]
    block_time: Duration,
    /// How many blocks behind the head is the last one that no fork can replace; 0 makes each block final at once.
    #[arg(long, env = "ALIVE_DEVNET_IRREVERSIBLE_DISTANCE", default_value_t = DevnetConfig::HIVE_LAG,
          value_name = "BLOCKS")]
    irreversible_distance: u32,
    /// Most resource credits that an account has; they come back in five days. Without it nobody runs out of them.
    #[arg(long, env = "ALIVE_DEVNET_RC_LIMIT", value_name = "CREDITS")]
    rc_limit: Option<u64>,
    /// Least time between two posts of an account, such as `5m`; `0s` allows any number.
    #[arg(long, env = "ALIVE_DEVNET_POST_INTERVAL", default_value = "5m", value_name = "TIME",
          value_parser = parse_time)]
    post_interval: Duration,
    /// Lets clients make accounts, blocks, forks and faults by the calls of `alive_devnet`.
    #[arg(long, env = "ALIVE_DEVNET_CONTROL")]
    control: bool,
    /// Faults that the node shows on purpose: the JSON of `alive_devnet.set_switches`.
    #[arg(long, env = "ALIVE_DEVNET_FAULTS", value_name = "JSON", value_parser = parse_faults)]
    faults: Option<Switches>,
    /// The same for a chain of Avalon: the JSON of `POST /alive_devnet/switches`.
    #[arg(long, env = "ALIVE_DEVNET_AVALON_FAULTS", value_name = "JSON", value_parser = parse_avalon_faults)]
    avalon_faults: Option<avalon::Switches>,
    /// The network whose chain id, key prefix and rules the chain has: `hive`, `hive_mirrornet`, `hive_testnet`,
    /// `blurt`, `steem`, or any other of the family by its parameters, as `mine,chain-id=HEX,prefix=TST`; or `avalon`,
    /// whose accounts have one key: of a password, or a private or public key in base58.
    #[arg(long, env = "ALIVE_DEVNET_NETWORK", default_value = "hive", value_parser = known_network, value_name = "NETWORK")]
    network: Kind,
    /// Another chain id than that of the network, 64 hexadecimal digits.
    #[arg(long, env = "ALIVE_DEVNET_CHAIN_ID", value_name = "HEX")]
    chain_id: Option<ChainId>,
    /// Other letters in front of public keys than those of the network.
    #[arg(long, env = "ALIVE_DEVNET_KEY_PREFIX", value_name = "LETTERS")]
    key_prefix: Option<KeyPrefix>,
    /// Folder of the block log; without it the chain is gone when the program ends.
    #[arg(long, env = "ALIVE_DEVNET_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
}

impl Args {
    fn network(&self) -> anyhow::Result<HiveNetwork> {
        let Kind::Hive(mut network) = self.network.clone() else {
            bail!("a chain of Avalon has no parameters of Hive");
        };
        network.chain_id = self.chain_id.unwrap_or(network.chain_id);
        network.key_prefix = self.key_prefix.unwrap_or(network.key_prefix);
        Ok(network)
    }

    fn config(&self) -> anyhow::Result<DevnetConfig> {
        ensure!(self.avalon_faults.is_none(), "--avalon-faults is for --network avalon");
        let network = self.network()?;
        let mut config = DevnetConfig::default()
            .address(self.listen)
            .block_interval(self.block_time)
            .irreversible_lag(self.irreversible_distance)
            .root_post_interval(self.post_interval)
            .network(network.clone());
        if let Some(folder) = &self.data {
            config = config.folder(folder);
        }
        if let Some(most) = self.rc_limit {
            config = config.credits(most);
        }
        if self.control {
            config = config.controllable();
        }
        for (name, secret) in &self.accounts {
            let account = account(name, secret, &network.key_prefix);
            config = config.account(account.with_context(|| format!("account {name}"))?);
        }
        Ok(config)
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    if matches!(args.network, Kind::Avalon) {
        return run_avalon(args).await;
    }
    let config = args.config()?;
    let prefix = config.network.key_prefix;
    for account in &config.accounts {
        for key in account.posting.key_auths.keys() {
            let key = key.to_text(&prefix);
            output::line(format_args!("account {}, posting key {key}", account.name));
        }
    }
    output::line(format_args!("chain id {}", config.network.chain_id));
    // Reading a long chain takes a while and blocks the thread.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let now = alive_core::Timestamp::EPOCH.after(now);
    let mut chain = spawn_blocking(move || Devnet::open(config, now)).await??;
    if let Some(switches) = args.faults {
        chain.set_switches(switches);
    }
    let server = serve_chain(chain).await?;
    let stop = asked_to_stop();
    output::line(format_args!("listening on {}", server.url()));
    stop.await;
    server.shutdown().await;
    Ok(())
}

async fn run_avalon(args: Args) -> anyhow::Result<()> {
    let of_hive = args.rc_limit.is_some() || args.faults.is_some() || args.chain_id.is_some();
    ensure!(
        !of_hive && args.key_prefix.is_none(),
        "--rc-limit, --faults, --chain-id and --key-prefix are for networks of Hive's family"
    );
    let mut config =
        avalon::DevnetConfig::default().address(args.listen).block_interval(args.block_time);
    if let Some(folder) = &args.data {
        config = config.folder(folder);
    }
    if args.control {
        config = config.controllable();
    }
    for (name, secret) in &args.accounts {
        ensure!(alive_avalon::is_user_name(name), "{name} cannot be an account of Avalon");
        let key = match (secret.parse::<alive_avalon::PrivateKey>(), secret.parse()) {
            (Ok(private), _) => private.public_key(),
            (_, Ok(public)) => public,
            _ => {
                // It protects nothing, and whoever wants to stream needs it.
                let private = avalon::dev_key(name, secret);
                let text = private.to_base58();
                output::line(format_args!("account {name}, private key {}", text.as_str()));
                private.public_key()
            }
        };
        output::line(format_args!("account {name}, key {key}"));
        config = config.account(avalon::DevAccount::new(name, key));
    }
    let server = avalon::serve(config).await?;
    if let Some(switches) = args.avalon_faults {
        server.with(|chain| chain.set_switches(switches));
    }
    let stop = asked_to_stop();
    output::line(format_args!("listening on {}", server.url()));
    stop.await;
    server.shutdown().await;
    Ok(())
}

/// One key for everything, or four of a master password.
fn account(name: &str, secret: &str, prefix: &KeyPrefix) -> anyhow::Result<DevAccount> {
    if let Ok(key) = secret.parse::<PrivateKey>() {
        return Ok(DevAccount::with_key(name, key.public_key())?);
    }
    if let Ok(key) = PublicKey::from_text(secret, prefix) {
        return Ok(DevAccount::with_key(name, key)?);
    }
    // Its keys are the same on every chain.
    PrivateKey::from_password(name, Role::Posting, secret)?;
    Ok(DevAccount::from_password(name, secret)?)
}

fn parse_account(text: &str) -> Result<(String, String), String> {
    // No name holds either sign, and a password may hold both.
    let (name, secret) = text.split_once([':', '=']).ok_or("write NAME:PASSWORD")?;
    Ok((name.to_owned(), secret.to_owned()))
}

fn parse_faults(text: &str) -> Result<Switches, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn parse_avalon_faults(text: &str) -> Result<avalon::Switches, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// `3s`, `150ms`, `5m`; a number alone is in seconds.
fn parse_time(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).unwrap_or((text, ""));
    let number: u64 = number.parse().map_err(|_| format!("{text} is no time such as 3s"))?;
    let millis = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1000),
        "m" => Some(60_000),
        _ => None,
    };
    let millis = millis.and_then(|unit| number.checked_mul(unit));
    let millis = millis.ok_or_else(|| format!("{text} is no time such as 3s, 150ms or 5m"))?;
    Ok(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn config(args: &[&str]) -> Result<DevnetConfig, String> {
        let all = std::iter::once("alive").chain(args.iter().copied());
        let cli = Cli::try_parse_from(all).map_err(|error| error.to_string())?;
        cli.args.config().map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn accounts_have_a_password_or_one_key() {
        let key = PrivateKey::from_password("bob", Role::Active, "x").unwrap();
        let wif = format!("bob:{}", key.to_wif().as_str());
        let public = format!("carol={}", key.public_key().to_text(&KeyPrefix::STM));
        let args = ["--account", "alice:a:b=c", "--account", &wif, "--account", &public];
        let accounts = config(&args).unwrap().accounts;
        assert_eq!(accounts[0], DevAccount::from_password("alice", "a:b=c").unwrap());
        for (account, name) in accounts[1..].iter().zip(["bob", "carol"]) {
            assert_eq!(*account, DevAccount::with_key(name, key.public_key()).unwrap());
        }
        assert!(config(&["--account", "alice"]).unwrap_err().contains("NAME:PASSWORD"));
        assert!(config(&["--account", "Al:x"]).unwrap_err().contains("account Al"));
    }

    #[test]
    fn every_flag_reaches_the_configuration() {
        let id = "42".repeat(32);
        let config = config(&[
            "--block-time",
            "150ms",
            "--irreversible-distance",
            "7",
            "--rc-limit",
            "1000",
            "--post-interval",
            "0s",
            "--control",
            "--network",
            "blurt",
            "--chain-id",
            &id,
            "--key-prefix",
            "ABC",
            "--data",
            "folder",
        ])
        .unwrap();
        assert_eq!(config.block_interval, Some(Duration::from_millis(150)));
        assert_eq!((config.irreversible_lag, config.credits), (7, Some(1000)));
        assert_eq!((config.root_post_interval, config.is_controllable), (Duration::ZERO, true));
        assert_eq!(config.network.name.as_str(), "blurt");
        assert_eq!(config.network.chain_id.to_string(), id);
        assert_eq!(config.network.key_prefix.as_str(), "ABC");
        assert_eq!(config.folder, Some("folder".into()));
    }

    #[test]
    fn a_chain_of_avalon_listens_where_its_nodes_do() {
        let parse = |args: &[&str]| {
            let all = std::iter::once("alive").chain(args.iter().copied());
            Cli::try_parse_from(all).map(|cli| cli.args.listen.port())
        };
        assert_eq!(parse(&[]).unwrap(), 8090);
        assert_eq!(parse(&["--network", "avalon"]).unwrap(), 3001);
        assert_eq!(parse(&["--network", "avalon", "--listen", "127.0.0.1:9"]).unwrap(), 9);
        assert!(config(&["--network", "nowhere"]).unwrap_err().contains("nowhere"));
        assert!(config(&["--avalon-faults", "{}"]).is_err());
    }

    #[test]
    fn times_have_a_unit_or_are_seconds() {
        let millis = |text| parse_time(text).map(|time| time.as_millis());
        assert_eq!(millis("3s"), Ok(3000));
        assert_eq!(millis("3"), Ok(3000));
        assert_eq!(millis("150ms"), Ok(150));
        assert_eq!(millis("5m"), Ok(300_000));
        for wrong in
            ["", "s", "3h", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615s"]
        {
            assert!(millis(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn faults_are_read_strictly() {
        let parse = |text: &str| {
            Cli::try_parse_from(["alive", "--faults", text]).map(|cli| cli.args.faults)
        };
        assert!(parse(r#"{"is_stalled":true}"#).unwrap().unwrap().is_stalled);
        assert!(parse(r#"{"stalled":true}"#).unwrap_err().to_string().contains("stalled"));
        assert!(parse("{").is_err());
    }
}
