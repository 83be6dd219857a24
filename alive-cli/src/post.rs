//! `alive post`: the post that tells people of a stream.

use std::path::PathBuf;

use alive_core::{AccountName, ContentId, Link, StreamId};
use alive_hive::{
    Asset, AssetSymbol, Operation,
    post::{Beneficiaries, ExistingPost, NewPost, PayoutOptions, Permlink, Tag},
    rpc,
};
use anyhow::{Context as _, bail};
use serde_json::json;

use crate::{
    chain::{Chain, ChainArgs},
    configure::StreamArgs,
    output,
};

/// Makes, changes or shows the post that links to a stream.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Makes the post.
    Create(Box<CreateArgs>),
    /// Changes the post: what is given overwrites, what is not stays.
    Edit(Box<EditArgs>),
    /// Shows the post.
    Show(Box<ShowArgs>),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: alive post create --account alice --link launch --title \"We launch\" --tag music"
)]
struct CreateArgs {
    #[command(flatten)]
    stream: StreamArgs,
    /// Its title.
    #[arg(long, env = "ALIVE_POST_TITLE")]
    title: String,
    #[command(flatten)]
    text: TextArgs,
    /// What it is about; the first tag is the category or a community such as hive-123456. Up to ten.
    #[arg(long = "tag", env = "ALIVE_POST_TAGS", value_delimiter = ',', value_name = "TAG")]
    tags: Vec<Tag>,
    /// Address of a picture that front ends show beside it.
    #[arg(long, env = "ALIVE_POST_IMAGE", value_name = "URL")]
    image: Option<String>,
    /// Who shares the reward, in percent: bob:5,carol:2.5.
    #[arg(long, env = "ALIVE_POST_BENEFICIARIES", value_name = "ACCOUNT:PERCENT,…")]
    beneficiaries: Option<Beneficiaries>,
    /// Decline all rewards.
    #[arg(long, env = "ALIVE_POST_DECLINE")]
    decline_payout: bool,
    /// Take no votes.
    #[arg(long, env = "ALIVE_POST_NO_VOTES")]
    no_votes: bool,
    /// Take the reward in vested stake only, no part of it in the network's dollar.
    #[arg(long, env = "ALIVE_POST_POWER_UP")]
    power_up: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: alive post edit --account alice --link launch --ended --chat bafy…"
)]
struct EditArgs {
    #[command(flatten)]
    stream: StreamArgs,
    /// A new title.
    #[arg(long, env = "ALIVE_POST_TITLE")]
    title: Option<String>,
    #[command(flatten)]
    text: TextArgs,
    /// Say that the stream has ended.
    #[arg(long)]
    ended: bool,
    /// Content id of an archive of the stream's chat, to be named beside those already there.
    #[arg(long = "chat", value_name = "CONTENT ID")]
    chat_archives: Vec<ContentId>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: alive post show --account alice --link launch")]
struct ShowArgs {
    /// The account that streams.
    #[arg(long, env = "ALIVE_ACCOUNT")]
    account: AccountName,
    /// The stream's link.
    #[arg(long, env = "ALIVE_LINK")]
    link: Link,
    #[command(flatten)]
    chain: ChainArgs,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// The text, on the command line or in a file.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct TextArgs {
    /// Its text in Markdown.
    #[arg(long, env = "ALIVE_POST_BODY", value_name = "MARKDOWN")]
    body: Option<String>,
    /// A file with its text in Markdown.
    #[arg(long, env = "ALIVE_POST_BODY_FILE", value_name = "FILE")]
    body_file: Option<PathBuf>,
}

impl TextArgs {
    fn read(&self) -> anyhow::Result<Option<String>> {
        let Some(path) = &self.body_file else { return Ok(self.body.clone()) };
        let text = std::fs::read_to_string(path);
        text.map(Some).with_context(|| format!("--body-file {}", path.display()))
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Create(args) => create(*args).await,
        Command::Edit(args) => edit(*args).await,
        Command::Show(args) => show(&args).await,
    }
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let chain = one_of_hive(&args.stream.chain)?;
    let stream = args.stream.id(&chain);
    let text = args.text.read()?.context("give the text by --body or --body-file")?;
    // What is there already would be overwritten, wholly and without a question.
    if find(&chain, &stream).await?.is_some() {
        bail!("{stream} has a post already; change it by `alive post edit`");
    }
    let mut post = NewPost::new(stream, args.title, text).tags(args.tags);
    if let Some(image) = args.image {
        post = post.image(image);
    }
    let mut options = PayoutOptions {
        beneficiaries: args.beneficiaries.unwrap_or_default(),
        allow_votes: !args.no_votes,
        ..PayoutOptions::default()
    };
    if args.decline_payout {
        options.max_payout = Asset { amount: 0, symbol: AssetSymbol::Hbd };
    }
    if args.power_up {
        options.percent_hbd = 0;
    }
    let operations = post.options(options).operations(chain.hive()?)?;
    publish(&chain, args.stream, operations).await
}

async fn edit(args: EditArgs) -> anyhow::Result<()> {
    let chain = one_of_hive(&args.stream.chain)?;
    let stream = args.stream.id(&chain);
    let found = find(&chain, &stream).await?;
    let mut post =
        found.with_context(|| format!("{stream} has no post; make one by `alive post create`"))?;
    post.link_to(&stream)?;
    if let Some(title) = args.title {
        post.set_title(title);
    }
    if let Some(text) = args.text.read()? {
        post.set_body(text);
    }
    if args.ended {
        post.set_ended();
    }
    for archive in &args.chat_archives {
        let is_known = post.metadata().chat_archives().contains(archive);
        if !is_known && !post.add_chat_archive(archive) {
            bail!("the post has no room for another chat archive");
        }
    }
    if !post.is_changed() {
        output::line("nothing to change");
        return Ok(());
    }
    let operation = post.operation(chain.hive()?)?;
    publish(&chain, args.stream, vec![operation]).await
}

async fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let chain = one_of_hive(&args.chain)?;
    let stream = StreamId::new(chain.network().clone(), args.account.clone(), args.link.clone());
    let found = find(&chain, &stream).await?;
    let post = found.with_context(|| format!("{stream} has no post"))?;
    let metadata = post.metadata();
    let chats = metadata.chat_archives();
    if args.json {
        output::line(json!({
            "author": post.author(),
            "permlink": post.permlink(),
            "title": post.title(),
            "body": post.body(),
            "stream": metadata.stream().map(|stream| stream.to_string()),
            "ended": metadata.is_ended(),
            "chat": chats.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    output::line(format_args!("@{}/{}", post.author(), post.permlink()));
    output::line(post.title());
    match metadata.stream() {
        Some(named) if named == stream => output::line(format_args!("links to {named}")),
        Some(other) => output::line(format_args!("links to another stream, {other}")),
        None => output::line("links to no stream"),
    }
    if metadata.is_ended() {
        output::line("the stream has ended");
    }
    for chat in chats {
        output::line(format_args!("chat {chat}"));
    }
    output::line("");
    output::line(post.body());
    Ok(())
}

/// The chain that the post is on.
fn one_of_hive(args: &ChainArgs) -> anyhow::Result<Chain> {
    let chain = args.one()?;
    chain.hive().context("post")?;
    Ok(chain)
}

pub(crate) async fn find(chain: &Chain, stream: &StreamId) -> anyhow::Result<Option<ExistingPost>> {
    let permlink = Permlink::of(&stream.link);
    Ok(rpc::find_post(&chain.hive_client()?, &stream.account, permlink.as_str()).await?)
}

async fn publish(
    chain: &Chain,
    stream: StreamArgs,
    operations: Vec<Operation>,
) -> anyhow::Result<()> {
    let StreamArgs { account, link, key, .. } = stream;
    let name = format!("@{account}/{}", Permlink::of(&link));
    let broadcaster = chain.hive_broadcaster(account, key.read()?)?;
    let receipt = broadcaster.submit(operations).await?;
    output::line(format_args!(
        "{name} in block {} as {}",
        receipt.block_num, receipt.transaction_id
    ));
    broadcaster.settle().await?;
    Ok(())
}
