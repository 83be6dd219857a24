//! `alive cid`: the content id of a file.

use std::{fs::File, io::Read, path::PathBuf};

use alive_storage::{
    cid::Cid,
    unixfs::{self, ImportOptions, Profile},
};
use anyhow::Context as _;

use crate::output;

/// Prints the content id that `ipfs add` gives a file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: alive cid recording/stream0.ts --profile cid-v1-256k")]
pub(crate) struct Args {
    /// Files to read; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to cut and link the file.
    #[arg(long, default_value = "unixfs-v0-2015", env = "ALIVE_PROFILE",
          value_parser = ["unixfs-v0-2015", "legacy-cid-v0", "cid-v1-256k", "unixfs-v1-2025"])]
    profile: String,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let options = ImportOptions::from(args.profile.parse::<Profile>()?);
    for path in &args.files {
        let root = if path.as_os_str() == "-" {
            cid_of(std::io::stdin().lock(), options)
        } else {
            File::open(path).and_then(|file| cid_of(file, options))
        };
        let cid = root.with_context(|| path.display().to_string())?;
        output::line(format_args!("{cid} {}", path.display()));
    }
    Ok(())
}

/// Imports without keeping any block.
fn cid_of(reader: impl Read, options: ImportOptions) -> std::io::Result<Cid> {
    unixfs::import::<std::io::Error>(reader, options, &mut |_| Ok(())).map(|root| root.cid)
}
