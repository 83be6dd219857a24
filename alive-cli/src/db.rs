//! `alive db`: an AliveDB server, alone.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use alive_core::{CachedAccountKeys, KeyCacheConfig, Network, backend::SharedAccountKeys};
use alive_db::{
    gun::{Peer, Relay, RelayLimits},
    rest::{HttpAddress, Listener, RestConfig, Settings, TokenIssuer, metrics, serve},
};
use alive_hive::{
    HiveNetwork,
    rpc::{HiveAccountKeys, RpcClient, RpcConfig},
};
use anyhow::{Context as _, bail, ensure};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    asked_to_stop,
    chain::{Kind, known_network},
    db_api::{self, ApiChains, ReadyApi},
    live, output,
};

/// Runs AliveDB: a GUN peer that browsers, streamers and nodes connect to at /gun, its graph on disk, and the REST API of
/// the original. Settings have the original's names, also in the environment; but it listens on this machine only, unless
/// told otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: alive db --gun-host 0.0.0.0 --peer http://other.example:3007/gun")]
pub(crate) struct Args {
    /// Folder for the graph and the secret of access tokens.
    #[arg(
        long,
        aliases = ["data-dir", "data_dir"],
        env = "ALIVEDB_DATA_DIR",
        default_value = "alive-db-data",
        value_name = "FOLDER"
    )]
    data: PathBuf,
    /// Another peer to share everything with that either is asked for. May be given several times.
    #[arg(
        long = "peer",
        alias = "peers",
        env = "ALIVEDB_PEERS",
        value_delimiter = ',',
        value_name = "URL"
    )]
    peers: Vec<String>,
    /// Where the REST API listens.
    #[arg(
        long,
        alias = "http_host",
        env = "ALIVEDB_HTTP_HOST",
        default_value = "127.0.0.1",
        value_name = "HOST"
    )]
    http_host: String,
    /// Its port, 0 for any free one; or the path of a Unix socket.
    #[arg(
        long,
        alias = "http_port",
        env = "ALIVEDB_HTTP_PORT",
        default_value = "3006",
        value_name = "PORT"
    )]
    http_port: String,
    /// Where GUN peers connect. The original takes them from everywhere, 0.0.0.0.
    #[arg(
        long,
        alias = "gun_host",
        env = "ALIVEDB_GUN_HOST",
        default_value = "127.0.0.1",
        value_name = "HOST"
    )]
    gun_host: String,
    /// The port for GUN peers, 0 for any free one.
    #[arg(
        long,
        alias = "gun_port",
        env = "ALIVEDB_GUN_PORT",
        default_value = "3007",
        value_name = "PORT"
    )]
    gun_port: String,
    /// Who is logged in at the start, by alias. The password comes from `ALIVEDB_LOGIN_PASSWORD`, from its file, or is
    /// asked for.
    #[arg(
        long,
        alias = "login_id",
        env = "ALIVEDB_LOGIN_ID",
        value_name = "ALIAS",
        conflicts_with = "login_pub"
    )]
    login_id: Option<String>,
    /// Who is logged in at the start, by public key.
    #[arg(
        long,
        alias = "login_pub",
        env = "ALIVEDB_LOGIN_PUB",
        value_name = "KEY",
        allow_hyphen_values = true
    )]
    login_pub: Option<String>,
    /// File that holds the password.
    #[arg(long, env = "ALIVEDB_LOGIN_PASSWORD_FILE", value_name = "FILE")]
    login_password_file: Option<PathBuf>,
    /// Take segments only with an access token, which accounts of Hive get for a signature over a recent block.
    #[arg(
        long,
        alias = "require_access_token",
        env = "ALIVEDB_REQUIRE_ACCESS_TOKEN",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        value_name = "true|false"
    )]
    require_access_token: String,
    /// How many blocks old what is signed may be.
    #[arg(
        long,
        alias = "auth_timeout_blocks",
        env = "ALIVEDB_AUTH_TIMEOUT_BLOCKS",
        default_value = "20",
        value_name = "BLOCKS"
    )]
    auth_timeout_blocks: String,
    /// The name of this service in what is signed and in tokens.
    #[arg(
        long,
        alias = "auth_identifier",
        env = "ALIVEDB_AUTH_IDENTIFIER",
        default_value = "alivedb_login",
        value_name = "NAME"
    )]
    auth_identifier: String,
    /// How long a token counts.
    #[arg(
        long,
        alias = "auth_token_expiry",
        env = "ALIVEDB_AUTH_TOKEN_EXPIRY",
        default_value = "86400",
        value_name = "SECONDS"
    )]
    auth_token_expiry: String,
    /// API node of Hive that is asked for accounts and blocks; several are tried in order. Access tokens need one.
    #[arg(
        long = "hive-node",
        aliases = ["hive-api", "hive_api"],
        env = "ALIVEDB_HIVE_API",
        value_delimiter = ',',
        value_name = "URL"
    )]
    hive_nodes: Vec<String>,
    /// The network of that node: `hive`, or `devnet` for `alive devnet`.
    #[arg(
        long,
        env = "ALIVEDB_NETWORK",
        default_value = "hive",
        value_parser = known_network,
        value_name = "NETWORK"
    )]
    network: Kind,
    /// Chat to follow, `NETWORK/AUTHOR/LINK`, for whoever is logged in: good requests for access are approved, and
    /// `/fetchParticipantsKeys` tells who takes part.
    #[arg(
        long,
        alias = "chat_listener",
        env = "ALIVEDB_CHAT_LISTENER",
        value_name = "NETWORK/AUTHOR/LINK"
    )]
    chat_listener: Option<String>,
    /// API node of Blurt that is asked for the keys of its accounts in that chat.
    #[arg(
        long = "blurt-node",
        aliases = ["blurt-api", "blurt_api"],
        env = "ALIVEDB_BLURT_API",
        value_delimiter = ',',
        value_name = "URL"
    )]
    blurt_nodes: Vec<String>,
    /// Let other machines create users, log in, and push without a token. Whoever can, pushes as the user that is logged
    /// in.
    #[arg(long, env = "ALIVEDB_REMOTE_USERS")]
    remote_users: bool,
}

/// Settings of the original that this command has no use for.
const WITHOUT_USE: [&str; 1] = ["chat_middleware_enabled"];
/// A client of the API waits for the answer.
const DEADLINE: Duration = Duration::from_secs(10);

impl Args {
    /// The settings, checked as the original's are.
    fn settings(&self) -> anyhow::Result<Settings> {
        let settings = Settings::read(|name| match name {
            "peers" => Some(self.peers.join(",")),
            "http_host" => Some(self.http_host.clone()),
            "http_port" => Some(self.http_port.clone()),
            "gun_host" => Some(self.gun_host.clone()),
            "gun_port" => Some(self.gun_port.clone()),
            "login_id" => self.login_id.clone(),
            "login_pub" => self.login_pub.clone(),
            "require_access_token" => Some(self.require_access_token.clone()),
            "auth_timeout_blocks" => Some(self.auth_timeout_blocks.clone()),
            "auth_identifier" => Some(self.auth_identifier.clone()),
            "auth_token_expiry" => Some(self.auth_token_expiry.clone()),
            "chat_listener" => self.chat_listener.clone(),
            // The folder and the chain are read as they are given; the password only when somebody is to be logged in.
            _ => None,
        });
        Ok(settings?)
    }

    /// Who gives out access tokens, if they are asked for.
    fn issuer(&self, settings: &Settings) -> anyhow::Result<Option<TokenIssuer>> {
        if !settings.require_access_token {
            return Ok(None);
        }
        ensure!(
            !self.hive_nodes.is_empty(),
            "access tokens need a chain to check signatures and blocks against: give --hive-node, the address of an API \
             node of Hive"
        );
        let Kind::Hive(network) = self.network.clone() else {
            bail!("access tokens are for accounts of Hive");
        };
        ensure!(network.name == Network::hive(), "access tokens are for accounts of Hive");
        let client = client(&self.hive_nodes, "--hive-node")?;
        let tokens = settings.tokens.clone();
        Ok(Some(db_api::token_issuer(&self.data, client, network, tokens)?))
    }

    /// The chains that tell the keys of those who chat.
    fn chains(&self, settings: &Settings) -> anyhow::Result<ApiChains> {
        let mut chains = ApiChains::default();
        let Some(chat) = &settings.chat_listener else { return Ok(chains) };
        let Kind::Hive(hive) = self.network.clone() else {
            bail!("--chat-listener is for chats of Hive and Blurt");
        };
        let asked = [
            (hive, &self.hive_nodes, "--hive-node"),
            (HiveNetwork::blurt(), &self.blurt_nodes, "--blurt-node"),
        ];
        for (network, nodes, flag) in asked {
            let is_home = network.name == chat.network;
            ensure!(!is_home || !nodes.is_empty(), "the chat of {chat} needs a node: give {flag}");
            if nodes.is_empty() {
                continue;
            }
            let client = client(nodes, flag)?.of_network(network.clone());
            if is_home && network.name == Network::hive() {
                chains.blacklists = Some(client.clone());
            }
            let keys = HiveAccountKeys::new(client, network);
            let keys = CachedAccountKeys::new(keys, KeyCacheConfig::default());
            chains.keys.push(SharedAccountKeys::new(keys));
        }
        Ok(chains)
    }

    fn password(&self) -> anyhow::Result<Zeroizing<String>> {
        db_api::password(self.login_password_file.as_deref(), "ALIVEDB_LOGIN_PASSWORD")
    }
}

fn client(nodes: &[String], flag: &'static str) -> anyhow::Result<RpcClient> {
    Ok(RpcClient::new(RpcConfig::new(nodes).context(flag)?.deadline(DEADLINE))?)
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let settings = args.settings()?;
    for name in WITHOUT_USE {
        let variable = Settings::environment_name(name);
        if std::env::var_os(&variable).is_some_and(|value| !value.is_empty()) {
            output::warning(format_args!(
                "{variable} is of no use here: every reader of a chat judges its messages"
            ));
        }
    }
    std::fs::create_dir_all(&args.data).with_context(|| args.data.display().to_string())?;
    let issuer = args.issuer(&settings)?;
    let peer = live::open_peer(Some(&args.data.join("graph.redb"))).await?;
    let outcome = serve_until_stopped(&args, &settings, issuer, &peer).await;
    peer.stop().await;
    live::log_counts(&peer);
    outcome
}

async fn serve_until_stopped(
    args: &Args,
    settings: &Settings,
    issuer: Option<TokenIssuer>,
    peer: &Peer,
) -> anyhow::Result<()> {
    let gun = (&*settings.gun_host, settings.gun_port);
    let listener = TcpListener::bind(gun).await;
    let listener = listener.with_context(|| format!("cannot listen on {}:{}", gun.0, gun.1))?;
    let http = Listener::bind(&settings.http).await;
    let http = http.with_context(|| format!("cannot listen on {}", text_of(&settings.http)))?;
    let relay = Relay::start(peer, listener, RelayLimits::default())?;
    for url in &settings.peers {
        peer.dial(url).await.context("--peer")?;
    }
    let config = RestConfig::default().remote_users(args.remote_users);
    let cancel = CancellationToken::new();
    let chat = settings.chat_listener.clone();
    let ready = ReadyApi::new(peer, config, issuer, chat, args.chains(settings)?, &cancel)?;
    if let Some(who) = settings.login_id.as_deref().or(settings.login_pub.as_deref()) {
        db_api::log_in(&ready.api, who, &args.password()?).await?;
    }
    let address = http.address();
    let router = ready.api.router().merge(metrics(peer.clone()));
    let server = tokio::spawn(serve(http, router, cancel.clone()));
    let stop = asked_to_stop();
    output::line(format_args!("peers at {}", relay.url()));
    output::line(format_args!("API at {}", url(address, &settings.http)));
    tracing::info!(
        relay = %relay.url(),
        api = %url(address, &settings.http),
        data = %args.data.display(),
        peers = settings.peers.len(),
        tokens = settings.require_access_token,
        "started"
    );
    stop.await;
    cancel.cancel();
    server.await?;
    ready.ended().await?;
    if let HttpAddress::Unix(path) = &settings.http {
        // Nobody listens on it any more; the next start would replace it.
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

fn text_of(address: &HttpAddress) -> String {
    match address {
        HttpAddress::Tcp { host, port } => format!("{host}:{port}"),
        HttpAddress::Unix(path) => path.display().to_string(),
    }
}

fn url(address: Option<SocketAddr>, given: &HttpAddress) -> String {
    match address {
        Some(address) => format!("http://{address}"),
        None => format!("socket {}", text_of(given)),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn args(args: &[&str]) -> Args {
        let all = std::iter::once("alive").chain(args.iter().copied());
        Cli::try_parse_from(all).unwrap().args
    }

    #[test]
    fn the_defaults_are_the_originals_on_this_machine_only() {
        let settings = args(&[]).settings().unwrap();
        let original = Settings::read(|_| None).unwrap();
        assert_eq!(settings.http, original.http);
        assert_eq!(&*settings.gun_host, "127.0.0.1");
        assert_eq!(settings.gun_port, original.gun_port);
        assert_eq!(settings.tokens, original.tokens);
        assert!(!settings.require_access_token);
    }

    #[test]
    fn flags_may_be_written_as_the_original_writes_them() {
        let args = args(&[
            "--data_dir=d",
            "--peers=http://a/gun,http://b/gun",
            "--http_host=localhost",
            "--http_port=/run/db.sock",
            "--gun_host=0.0.0.0",
            "--gun_port=1",
            "--login_id=alice",
            "--require_access_token",
            "1",
            "--auth_timeout_blocks=5",
            "--auth_identifier=x",
            "--auth_token_expiry=9",
            "--hive_api=http://h",
            "--chat_listener=hive/alice/s",
            "--blurt_api=http://b",
        ]);
        let settings = args.settings().unwrap();
        assert_eq!((args.data, settings.peers.len()), ("d".into(), 2));
        assert_eq!(settings.http, HttpAddress::Unix("/run/db.sock".into()));
        assert_eq!((&*settings.gun_host, settings.gun_port), ("0.0.0.0", 1));
        assert_eq!(settings.login_id.as_deref(), Some("alice"));
        assert!(settings.require_access_token);
        let tokens = settings.tokens;
        assert_eq!((&*tokens.auth_identifier, tokens.timeout_blocks), ("x", 5));
        assert_eq!(tokens.expiry, Duration::from_secs(9));
        assert_eq!((&*args.hive_nodes[0], &*args.blurt_nodes[0]), ("http://h", "http://b"));
        assert_eq!(settings.chat_listener, Some("hive/alice/s".parse().unwrap()));
    }

    #[test]
    fn every_variable_of_the_original_is_understood_or_known_to_be_of_no_use() {
        let command = Cli::command();
        let mut known: Vec<_> = command.get_arguments().filter_map(|arg| arg.get_env()).collect();
        // Read where it is needed: no secret is a flag.
        known.push("ALIVEDB_LOGIN_PASSWORD".as_ref());
        for name in Settings::NAMES.iter().filter(|name| !WITHOUT_USE.contains(name)) {
            let variable = Settings::environment_name(name);
            assert!(known.contains(&variable.as_ref()), "{variable}");
        }
    }

    #[test]
    fn tokens_without_a_chain_are_refused() {
        let args = args(&["--require-access-token"]);
        let error = args.issuer(&args.settings().unwrap()).unwrap_err();
        assert!(error.to_string().contains("--hive-node"), "{error}");
    }

    #[test]
    fn values_that_are_none_are_named() {
        for (flag, name) in [("--gun-port=x", "gun_port"), ("--http-port=70000", "http_port")] {
            let error = args(&[flag]).settings().unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
