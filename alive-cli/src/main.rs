//! The `alive` program: every part of the Alive protocol from one command line.

mod archive;
mod attested;
mod chain;
mod chat;
mod chat_archive;
mod chat_content;
mod chat_gather;
mod chat_line;
mod chat_listener;
mod chat_networks;
mod chat_page;
mod chat_replay;
mod chat_room;
mod chat_terminal;
mod cid;
mod configure;
mod conformance;
mod cost;
mod db;
mod db_api;
mod demo;
mod devnet;
mod finished;
mod haf;
mod index;
mod key;
mod live;
mod login_chain;
mod node;
mod node_faces;
mod output;
mod post;
mod progress;
mod readback;
mod recorder;
mod secret;
mod secret_file;
mod settings;
mod stake;
mod storage;
mod store;
mod stream;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Of the time in which a node answers ten thousand waiting viewers, glibc's own spends 22 % on its lists of free chunks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Live streams that nobody can take down.
///
/// Settings come from flags, then from the environment (`ALIVE_…`), then from a TOML file with a table for each command.
#[derive(Debug, Parser)]
#[command(name = "alive", version, arg_required_else_help = true, propagate_version = true)]
struct Cli {
    /// Settings file; `alive.toml` in the current folder is read when there is one.
    #[arg(long, global = true, env = "ALIVE_CONFIG", value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Joins, archives and replays the chat of a stream.
    Chat(chat::Args),
    /// Computes the content id of a file as IPFS does.
    Cid(cid::Args),
    /// Creates a stream or changes its settings on the chain.
    Configure(configure::Args),
    /// Runs golden vectors and reports every case that does not hold.
    Conformance(conformance::Args),
    /// Tells what a stream costs on the chain and whether its account can pay.
    Cost(cost::Args),
    /// Runs an AliveDB server: the live layer's peer and its REST API.
    Db(db::Args),
    /// Streams a recording through the whole system on this machine and checks every byte that comes back.
    Demo(demo::Args),
    /// Runs a development chain that clients of Hive or Avalon can broadcast to.
    Devnet(devnet::Args),
    /// Ends a stream on the chain.
    End(configure::EndArgs),
    /// Writes a whole stream to one file.
    Export(archive::ExportArgs),
    /// Takes a whole stream out of a file, if it is what the chain says.
    Import(archive::ImportArgs),
    /// Makes, derives and checks keys.
    Key(key::Args),
    /// Indexes a chain and serves playlists and content.
    Node(Box<node::Args>),
    /// Makes, changes or shows the post that tells people of a stream.
    Post(post::Args),
    /// Serves and checks a block store.
    Store(store::Args),
    /// Plays the rules by which stake decides who makes a stream's renditions.
    Stake(stake::Args),
    /// Watches a recorder's folder and publishes what it writes.
    Stream(stream::Args),
    /// Walks a stream from the chain down to every segment's bytes and says what holds.
    Verify(verify::Args),
}

fn main() -> ExitCode {
    output::init_logs();
    let cli = match settings::parse::<Cli>() {
        Ok(cli) => cli,
        Err(error) => return output::failure(&error),
    };
    let outcome = match cli.command {
        Command::Cid(args) => cid::run(&args),
        Command::Conformance(args) => return conformance::run(&args),
        Command::Key(args) => key::run(&args),
        Command::Stake(args) => stake::run(&args),
        Command::Chat(args) => block_on(chat::run(args)),
        Command::Configure(args) => block_on(configure::run(args)),
        Command::Cost(args) => block_on(cost::run(args)),
        Command::Db(args) => block_on(db::run(args)),
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Devnet(args) => block_on(devnet::run(args)),
        Command::End(args) => block_on(configure::run_end(args)),
        Command::Export(args) => block_on(archive::export(args)),
        Command::Import(args) => block_on(archive::import(args)),
        Command::Node(args) => block_on(node::run(*args)),
        Command::Post(args) => block_on(post::run(args)),
        Command::Store(args) => block_on(store::run(args)),
        Command::Stream(args) => block_on(stream::run(args)),
        Command::Verify(args) => block_on(verify::run(args)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failure(&error),
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    /// Threads for work on files. Tokio's default of 512 is more than any disk has use for, and the allocator holds a
    /// megabyte or two ready for each.
    const BLOCKING_THREADS: usize = 64;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().max_blocking_threads(BLOCKING_THREADS).build()?.block_on(command)
}

/// Resolves when the program is asked to stop, by Ctrl-C or a termination signal. It listens from the call on: whoever is
/// told that the program is ready may ask at once.
fn asked_to_stop() -> impl Future<Output = ()> + Send {
    #[cfg(unix)]
    let terminate = {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::terminate()).and_then(|terminate| {
            let interrupt = signal(SignalKind::interrupt())?;
            Ok((terminate, interrupt))
        })
    };
    async move {
        #[cfg(unix)]
        if let Ok((mut terminate, mut interrupt)) = terminate {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        // Without signals the program runs until it is killed, which it survives.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
