//! `alive cost`: what a stream costs on the chain, and whether its account can pay.

use std::{path::PathBuf, time::Duration};

use alive_core::{AccountName, Link};
use alive_hive::{
    TimePoint,
    cost::{Forecast, Manabar, RcSnapshot, Resource, StreamCost, StreamPlan},
    rpc,
};
use anyhow::Context as _;
use serde_json::{Value, json};

use crate::{
    chain::{Chain, ChainArgs},
    output,
};

/// Tells how many transactions a stream needs, what they take of the account's resource credits, and whether it can pay.
///
/// A node tells the prices and the account's credits. Without one, give `--params` with what `--save` once wrote, or
/// `--example` for the main chain as it was in August 2026, and the credits with `--credits` and `--max-credits`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: alive cost --account alice --hours 3 --renditions 2")]
pub(crate) struct Args {
    /// The account that streams; without it only the cost is told.
    #[arg(long, env = "ALIVE_ACCOUNT")]
    account: Option<AccountName>,
    /// The stream's link; its length counts.
    #[arg(long, env = "ALIVE_LINK", default_value = "my-stream")]
    link: Link,
    /// Length of the stream in hours.
    #[arg(long, env = "ALIVE_HOURS", default_value_t = 1.0, value_name = "HOURS")]
    hours: f64,
    /// Seconds between pushes, 0 to 300; 0 pushes every segment at once.
    #[arg(long, env = "ALIVE_INTERVAL", default_value_t = 60.0, value_name = "SECONDS")]
    interval: f64,
    /// Seconds of a segment.
    #[arg(long, env = "ALIVE_SEGMENT", default_value_t = 10.0, value_name = "SECONDS")]
    segment: f64,
    /// Transcoded renditions beside the source, 0 to 4.
    #[arg(long, env = "ALIVE_RENDITIONS", default_value_t = 0, value_name = "COUNT")]
    renditions: usize,
    /// Take the prices from this file instead of a node.
    #[arg(long, env = "ALIVE_COST_PARAMS", value_name = "FILE", conflicts_with = "example")]
    params: Option<PathBuf>,
    /// Take the prices that the main chain had in August 2026 instead of a node's.
    #[arg(long, env = "ALIVE_COST_EXAMPLE")]
    example: bool,
    /// Write the prices into this file, for `--params`.
    #[arg(long, env = "ALIVE_COST_SAVE", value_name = "FILE")]
    save: Option<PathBuf>,
    /// Credits that the account has now, where no node is asked.
    #[arg(long, env = "ALIVE_CREDITS", value_name = "RC", requires = "max_credits")]
    credits: Option<u64>,
    /// Most credits that the account can have, where no node is asked.
    #[arg(long, env = "ALIVE_MAX_CREDITS", value_name = "RC")]
    max_credits: Option<u64>,
    /// Print JSON.
    #[arg(long, env = "ALIVE_JSON")]
    json: bool,
    #[command(flatten)]
    chain: ChainArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let chain = args.chain.one()?;
    chain.hive().context("cost")?;
    let snapshot = snapshot(&args, &chain).await?;
    if let Some(path) = &args.save {
        let text = serde_json::to_string_pretty(&snapshot.to_json())?;
        std::fs::write(path, text).with_context(|| format!("{}", path.display()))?;
    }
    let cost = plan(&args, &chain)?.cost(&snapshot.sizes, &snapshot.prices)?;
    let forecast = forecast(&args, &chain, &cost).await?;
    if args.json {
        output::line(to_json(&cost, forecast.as_ref()));
    } else {
        print(&cost, forecast.as_ref());
    }
    Ok(())
}

/// What to warn of before a stream starts: that its account cannot pay for it. Nothing if it can, if no node tells (a
/// stream must not wait for a warning), or if the chain is none that has a price.
pub(crate) async fn warning(chain: &Chain, plan: StreamPlan) -> Option<String> {
    let plan = plan.custom_json_id(chain.custom_json_id());
    let told = rpc::forecast(&chain.hive_client().ok()?, &plan).await;
    told.ok().filter(|(_, forecast)| !forecast.can_pay()).map(|(_, forecast)| forecast.to_string())
}

async fn snapshot(args: &Args, chain: &Chain) -> anyhow::Result<RcSnapshot> {
    if args.example {
        return Ok(RcSnapshot::mainnet_example());
    }
    let Some(path) = &args.params else {
        let asked = rpc::rc_snapshot(&chain.hive_client()?).await;
        return asked.context("--hive-node; without a node give --params or --example");
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let value: Value =
        serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
    RcSnapshot::from_json(&value).with_context(|| format!("{}", path.display()))
}

fn plan(args: &Args, chain: &Chain) -> anyhow::Result<StreamPlan> {
    let account = match &args.account {
        Some(account) => account.clone(),
        // As long as a name can be, so that nobody pays more.
        None => "a-long-name-here".parse()?,
    };
    let length = seconds(args.hours * 3600.0).context("--hours")?;
    Ok(StreamPlan::new(account, args.link.clone(), length)
        .interval(seconds(args.interval).context("--interval")?)
        .segment(seconds(args.segment).context("--segment")?)
        .renditions(args.renditions)
        .custom_json_id(chain.custom_json_id()))
}

fn seconds(number: f64) -> anyhow::Result<Duration> {
    Ok(Duration::try_from_secs_f64(number)?)
}

async fn forecast(
    args: &Args,
    chain: &Chain,
    cost: &StreamCost,
) -> anyhow::Result<Option<Forecast>> {
    let now = TimePoint::from_unix_secs(0);
    if let Some(max) = args.max_credits {
        let bar = Manabar { current: args.credits.unwrap_or(max), max, updated: now };
        return Ok(Some(Forecast::of(cost, &bar, now)));
    }
    let (Some(account), false, None) = (&args.account, args.example, &args.params) else {
        return Ok(None);
    };
    let (bar, now) = rpc::find_mana(&chain.hive_client()?, account).await?;
    let bar = bar.with_context(|| format!("there is no account {account}"))?;
    Ok(Some(Forecast::of(cost, &bar, now)))
}

fn print(cost: &StreamCost, forecast: Option<&Forecast>) {
    let head = ["transactions", "count", "bytes each", "RC each", "RC"];
    let [name, count, bytes, each, all] = head;
    output::line(format_args!("{name:<12} {count:>7} {bytes:>10} {each:>16} {all:>18}"));
    for item in cost.items() {
        let (name, count, bytes, each) = (item.name, item.count, item.bytes, item.cost.total);
        let all = item.total();
        output::line(format_args!("{name:<12} {count:>7} {bytes:>10} {each:>16} {all:>18}"));
    }
    let (count, bytes, all) = (cost.transactions(), cost.bytes(), cost.total());
    output::line(format_args!("{:<12} {count:>7} {bytes:>10} {:>16} {all:>18}", "all", ""));
    let every = cost.push_interval().as_secs_f64();
    output::line(format_args!("a push every {every:.1} s"));
    let Some(forecast) = forecast else { return };
    output::line(format_args!("{forecast}"));
    output::line(format_args!(
        "comes back meanwhile: {} RC; pushes that could go on for ever: {} an hour",
        forecast.regained,
        forecast.sustained_pushes_per_hour()
    ));
}

fn to_json(cost: &StreamCost, forecast: Option<&Forecast>) -> Value {
    let items = cost.items().map(|item| {
        let by_resource = Resource::ALL.map(|resource| {
            let used = item.used.get(resource);
            let rc = item.cost.by_resource.get(resource);
            (resource.name().to_owned(), json!({ "used": used, "rc": rc }))
        });
        json!({
            "name": item.name,
            "count": item.count,
            "bytes": item.bytes,
            "rc": item.cost.total,
            "rc_total": item.total(),
            "resources": serde_json::Map::from_iter(by_resource),
        })
    });
    let secs = |time: Duration| time.as_secs_f64();
    let forecast = forecast.map(|forecast| {
        json!({
            "can_pay": forecast.can_pay(),
            "has": forecast.has,
            "max": forecast.max,
            "left": forecast.left,
            "regained": forecast.regained,
            "runs_out_after_secs": forecast.runs_out_after.map(secs),
            "sustained_interval_secs": forecast.sustained_interval.map(secs),
            "sustained_pushes_per_hour": forecast.sustained_pushes_per_hour(),
            "wait_secs": forecast.wait.map(secs),
        })
    });
    json!({
        "transactions": cost.transactions(),
        "bytes": cost.bytes(),
        "rc": cost.total(),
        "push_interval_secs": secs(cost.push_interval()),
        "items": items.collect::<Vec<_>>(),
        "account": forecast,
    })
}
