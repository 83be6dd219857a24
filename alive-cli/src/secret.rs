//! Private keys: from the environment, a file or a prompt, never from the command line.

use std::{io::IsTerminal as _, path::PathBuf};

use alive_hive::PrivateKey;
use anyhow::Context as _;
use zeroize::Zeroizing;

/// The environment variable that may hold a posting key.
const KEY_VARIABLE: &str = "ALIVE_POSTING_KEY";

/// Where the posting key is.
#[derive(Debug, clap::Args)]
pub(crate) struct KeyArgs {
    /// File that holds the posting key as WIF. Without it the key is taken from `ALIVE_POSTING_KEY`, or asked for.
    #[arg(long, env = "ALIVE_POSTING_KEY_FILE", value_name = "FILE")]
    posting_key_file: Option<PathBuf>,
}

impl KeyArgs {
    /// Reads the key. Its text is wiped from memory as soon as it is parsed.
    pub(crate) fn read(&self) -> anyhow::Result<PrivateKey> {
        let (text, from) = match (&self.posting_key_file, std::env::var(KEY_VARIABLE)) {
            (Some(path), _) => {
                let text = std::fs::read_to_string(path);
                let place = format!("key file {}", path.display());
                (Zeroizing::new(text.with_context(|| place.clone())?), place)
            }
            (None, Ok(text)) => (Zeroizing::new(text), KEY_VARIABLE.to_owned()),
            (None, Err(_)) => (ask("Posting key (WIF): ")?, "the key typed in".to_owned()),
        };
        parse_wif(text.trim()).with_context(|| from)
    }
}

/// Asks for a secret without showing it.
pub(crate) fn ask(prompt: &str) -> anyhow::Result<Zeroizing<String>> {
    if !std::io::stdin().is_terminal() {
        anyhow::bail!("no key: set {KEY_VARIABLE} or --posting-key-file, or run in a terminal");
    }
    Ok(Zeroizing::new(rpassword::prompt_password(prompt)?))
}

/// Reads a WIF; the error never repeats it.
pub(crate) fn parse_wif(text: &str) -> anyhow::Result<PrivateKey> {
    text.parse::<PrivateKey>().context("not a private key in WIF")
}
