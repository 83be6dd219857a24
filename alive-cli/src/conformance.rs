//! `alive conformance`: golden vectors of every kind that the workspace knows.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use alive_core::conformance::{Check, Kind, Report, VectorFile};
use anyhow::Context as _;

use crate::{chat_networks::ChatChains, output};

/// Runs vector files; folders are searched for `.json` files, two levels deep.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: alive conformance vectors")]
pub(crate) struct Args {
    /// Files or folders.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Every kind of every crate.
fn kinds() -> impl Iterator<Item = &'static dyn Check> {
    const CHAT: [Kind; 4] = alive_chat::conformance::kinds::<ChatChains>();
    let kinds = alive_core::conformance::KINDS
        .iter()
        .chain(&CHAT)
        .chain(alive_avalon::conformance::KINDS)
        .chain(alive_hive::conformance::KINDS)
        .chain(alive_storage::conformance::KINDS)
        .chain(alive_playlist::conformance::KINDS)
        .chain(alive_node::conformance::KINDS)
        .chain(alive_stake::conformance::KINDS)
        .chain(alive_db::conformance::KINDS);
    let texts = alive_db::conformance::TEXT_KINDS.iter().map(|kind| kind as &dyn Check);
    kinds.map(|kind| kind as &dyn Check).chain(texts)
}

/// A line per failing case, skipped kinds by name, and last the totals. Fails if any case failed or none could be read.
pub(crate) fn run(args: &Args) -> ExitCode {
    let mut total = Report::default();
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    let mut unreadable = false;
    for path in &args.paths {
        let files = match json_files(path, 2) {
            Ok(files) => files,
            Err(error) => {
                unreadable = true;
                output::failure(&error);
                continue;
            }
        };
        for path in files {
            match run_file(&path) {
                Ok((kind, report)) => {
                    for (case, why) in &report.failed {
                        output::line(format_args!("FAILED {kind} {case}: {why}"));
                    }
                    if report.skipped > 0 {
                        *skipped.entry(kind).or_default() += report.skipped;
                    }
                    total.passed += report.passed;
                    total.failed.extend(report.failed);
                }
                Err(error) => {
                    unreadable = true;
                    output::failure(&error);
                }
            }
        }
    }
    for (kind, count) in &skipped {
        output::line(format_args!("skipped {kind}: {count} cases of a kind not known here"));
    }
    let (failed, skipped) = (total.failed.len(), skipped.values().sum::<usize>());
    output::line(format_args!("{} passed, {failed} failed, {skipped} skipped", total.passed));
    if failed > 0 || unreadable { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run_file(path: &Path) -> anyhow::Result<(String, Report)> {
    let place = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(place)?;
    let file = VectorFile::parse(&text).map_err(anyhow::Error::msg).with_context(place)?;
    let report = file.run(kinds());
    Ok((file.kind, report))
}

/// The file itself, or the `.json` files of a folder and its folders, by name.
fn json_files(path: &Path, depth: usize) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = path.read_dir().with_context(|| path.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() && depth > 1 {
            files.extend(json_files(&path, depth - 1)?);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    Ok(files)
}
