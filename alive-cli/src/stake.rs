//! `alive stake`: the rules by which transcoders are chosen, to play with.

use std::path::{Path, PathBuf};

use alive_core::conformance::VectorFile;
use alive_stake::{
    MatureState, MilestoneState, Ranked, State,
    scenario::{Outcome, Run, Scenario, Step},
};
use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::output;

/// Plays the rules by which stake decides who transcodes. No chain is touched and no real tokens are involved.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: alive stake run docs/src/guides/renditions-by-stake.json")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Runs a scenario: a line for each action with what it did or why it was refused, then the final state.
    #[command(after_help = "Example: alive stake run vectors/stake.mature.json --case m-move-bond")]
    Run {
        /// A scenario (`params` and `actions`), or a file of golden vectors.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Which case of a file of golden vectors.
        #[arg(long, value_name = "NAME")]
        case: Option<String>,
        /// Prints results, pools after each action and the final state as JSON, in the form of the vectors.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let Action::Run { file, case, json } = &args.action;
    let scenario = read(file, case.as_deref()).with_context(|| file.display().to_string())?;
    let run = scenario.run()?;
    if *json {
        output::line(format_args!("{:#}", run.to_json()));
        return Ok(());
    }
    print_steps(&scenario, &run);
    match run.stake.state() {
        State::Mature(state) => print_mature(&state, &run.stake.candidates()),
        State::Milestone2017(state) => print_milestone(&state),
        // A rule set of the future still has its JSON form.
        _ => output::line(format_args!("{:#}", run.to_json())),
    }
    Ok(())
}

fn read(path: &Path, case: Option<&str>) -> anyhow::Result<Scenario> {
    let size = std::fs::metadata(path)?.len();
    if size > u64::try_from(Scenario::MAX_BYTES)? {
        bail!("{size} bytes, at most {} are read", Scenario::MAX_BYTES);
    }
    let text = std::fs::read_to_string(path)?;
    let is_vectors = serde_json::from_str::<Value>(&text)?.get("format").is_some();
    match (is_vectors, case) {
        (false, None) => Ok(text.parse()?),
        (false, Some(_)) => bail!("--case is for files of golden vectors, this is a scenario"),
        (true, _) => {
            let file = VectorFile::parse(&text).map_err(anyhow::Error::msg)?;
            let found = file.cases.iter().find(|known| Some(known.name.as_str()) == case);
            let names = || file.cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>();
            let found =
                found.with_context(|| format!("choose one with --case: {}", names().join(", ")))?;
            Ok(Scenario::from_json(&found.input)?)
        }
    }
}

fn print_steps(scenario: &Scenario, run: &Run) {
    let mut table = Table::new(["", "block", "from", "call", "outcome"]);
    for (at, (action, step)) in scenario.actions().iter().zip(&run.steps).enumerate() {
        let (block, from) = (action.block.to_string(), action.from.to_string());
        table.row([at.to_string(), block, from, action.text.clone(), outcome(step)]);
    }
    table.print();
}

fn outcome(step: &Step) -> String {
    let listed = match &step.outcome {
        Ok(Outcome::Applied(effects)) => {
            effects.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        Ok(Outcome::Elected(order)) if order.is_empty() => "nobody is elected".to_owned(),
        Ok(Outcome::Elected(order)) => {
            let order: Vec<_> = order.iter().map(ToString::to_string).collect();
            format!("elected: {}", order.join(", then "))
        }
        Ok(_) => "done".to_owned(),
        Err(refusal) => return format!("refused: {refusal}"),
    };
    if listed.is_empty() { "done".to_owned() } else { listed }
}

fn print_mature(state: &MatureState, candidates: &[Ranked]) {
    output::line(format_args!(
        "\nblock {}, round {}, last initialised {}; supply {}, inflation {} of 1000000000",
        state.block, state.round, state.last_initialized_round, state.total_supply, state.inflation
    ));
    print_ranked("pool", &state.active_pool);
    print_ranked("outside of the pool", candidates);
    let mut table = Table::new(["transcoder", "active", "keeps", "shares", "price", "last reward"]);
    for (name, transcoder) in &state.transcoders {
        table.row([
            name.to_string(),
            yes(transcoder.active),
            percent(transcoder.reward_cut),
            percent(transcoder.fee_share),
            transcoder.price.to_string(),
            format!("round {}", transcoder.last_reward_round),
        ]);
    }
    table.print_after_a_line();
    let mut table = Table::new(["account", "balance", "status", "bond", "earned", "to", "locked"]);
    for (name, balance) in &state.balances {
        let mut row = [name.to_string(), balance.to_string()].to_vec();
        if let Some(delegator) = state.delegators.get(name) {
            let earned = delegator.pending_stake.map(|stake| stake.minus(delegator.bonded_amount));
            let locks: Vec<_> = delegator
                .locks
                .iter()
                .map(|lock| format!("{} until round {}", lock.amount, lock.withdraw_round))
                .collect();
            row.extend([
                format!("{:?}", delegator.status).to_lowercase(),
                delegator.bonded_amount.to_string(),
                earned.and_then(Result::ok).map_or_else(String::new, |earned| earned.to_string()),
                delegator.delegate.as_ref().map_or_else(String::new, ToString::to_string),
                locks.join(", "),
            ]);
        }
        table.row(row);
    }
    table.print_after_a_line();
}

fn print_milestone(state: &MilestoneState) {
    let minted = state.minted_per_reward.map_or_else(|| "no".to_owned(), |m| m.to_string());
    output::line(format_args!(
        "\nblock {}, round {}, last initialised {}; supply {}, {minted} tokens for a reward",
        state.block, state.round, state.last_initialized_round, state.total_supply,
    ));
    print_ranked("active", &state.active_pool);
    print_ranked("candidates", &state.candidate_pool);
    print_ranked("set of the round", &state.round_set);
    let mut table = Table::new(["transcoder", "registered", "own bond", "keeps", "last reward"]);
    for (name, transcoder) in &state.transcoders {
        table.row([
            name.to_string(),
            yes(transcoder.registered),
            transcoder.bonded_amount.to_string(),
            format!("{} %", transcoder.block_reward_cut),
            format!("round {}, cycle {}", transcoder.reward_round, transcoder.reward_cycle),
        ]);
    }
    table.print_after_a_line();
    let mut table = Table::new(["account", "balance", "status", "bond", "with rewards", "to"]);
    for (name, balance) in &state.balances {
        let mut row = [name.to_string(), balance.to_string()].to_vec();
        if let Some(delegator) = state.delegators.get(name) {
            let with_rewards = delegator.stake_with_rewards;
            row.extend([
                format!("{:?}", delegator.status).to_lowercase(),
                delegator.bonded_amount.to_string(),
                with_rewards.map_or_else(|| "no result".to_owned(), |stake| stake.to_string()),
                delegator.transcoder.as_ref().map_or_else(String::new, ToString::to_string),
            ]);
        }
        table.row(row);
    }
    table.print_after_a_line();
}

fn print_ranked(name: &str, entries: &[Ranked]) {
    let entries: Vec<_> =
        entries.iter().map(|entry| format!("{} {}", entry.account, entry.stake)).collect();
    let entries = if entries.is_empty() { "nobody".to_owned() } else { entries.join(", ") };
    output::line(format_args!("{name}: {entries}"));
}

fn yes(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// Millionths as percent, all four digits that there can be.
fn percent(millionths: u64) -> String {
    format!("{}.{:04} %", millionths / 10_000, millionths % 10_000)
}

/// Rows of text in columns as wide as they must be.
struct Table(Vec<Vec<String>>);

impl Table {
    fn new<const N: usize>(heads: [&str; N]) -> Self {
        Self(vec![heads.map(str::to_owned).to_vec()])
    }

    fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.0.push(cells.into());
    }

    /// Prints the table unless it has only its heads.
    fn print_after_a_line(&self) {
        if self.0.len() > 1 {
            output::line("");
            self.print();
        }
    }

    fn print(&self) {
        let columns = self.0.first().map_or(0, Vec::len);
        let width = |at: usize| {
            let cells = self.0.iter().filter_map(|row: &Vec<String>| row.get(at));
            cells.map(|cell: &String| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.0 {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            output::line(line.trim_end());
        }
    }
}
