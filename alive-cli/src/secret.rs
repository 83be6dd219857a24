//! Private keys: from the environment, a file or a prompt, never from the command line.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use alive_hive::PrivateKey;
use anyhow::Context as _;
use zeroize::Zeroizing;

/// The environment variable that may hold a posting key.
const KEY_VARIABLE: &str = "ALIVE_POSTING_KEY";

/// The environment variable that may hold a key of Avalon.
const AVALON_KEY_VARIABLE: &str = "ALIVE_AVALON_KEY";

/// Where the keys are.
#[derive(Debug, clap::Args)]
pub(crate) struct KeyArgs {
    /// File that holds the posting key as WIF. Without it the key is taken from `ALIVE_POSTING_KEY`, or asked for.
    #[arg(long, env = "ALIVE_POSTING_KEY_FILE", value_name = "FILE")]
    posting_key_file: Option<PathBuf>,
    /// File that holds a key of the account on Avalon, in base58: its main key, or a custom key for types 25 and 26.
    /// Without it the key is taken from `ALIVE_AVALON_KEY`, or asked for.
    #[arg(long, env = "ALIVE_AVALON_KEY_FILE", value_name = "FILE")]
    avalon_key_file: Option<PathBuf>,
}

impl KeyArgs {
    /// Reads the posting key. Its text is wiped from memory as soon as it is parsed.
    pub(crate) fn read(&self) -> anyhow::Result<PrivateKey> {
        let (text, from) =
            text_of(self.posting_key_file.as_deref(), KEY_VARIABLE, "Posting key (WIF): ")?;
        parse_wif(text.trim()).with_context(|| from)
    }

    /// Reads the key of Avalon in the same way.
    pub(crate) fn read_avalon(&self) -> anyhow::Result<alive_avalon::PrivateKey> {
        let (text, from) =
            text_of(self.avalon_key_file.as_deref(), AVALON_KEY_VARIABLE, "Avalon key (base58): ")?;
        text.trim().parse().context("not a private key of Avalon").with_context(|| from)
    }
}

/// A secret from a file, the environment or a prompt, and where it is from.
pub(crate) fn text_of(
    file: Option<&Path>,
    variable: &str,
    prompt: &str,
) -> anyhow::Result<(Zeroizing<String>, String)> {
    match (file, std::env::var(variable)) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path);
            let place = format!("key file {}", path.display());
            Ok((Zeroizing::new(text.with_context(|| place.clone())?), place))
        }
        (None, Ok(text)) => Ok((Zeroizing::new(text), variable.to_owned())),
        (None, Err(_)) => Ok((ask(prompt, variable)?, "the key typed in".to_owned())),
    }
}

/// Asks for a secret without showing it; `variable` might have held it.
pub(crate) fn ask(prompt: &str, variable: &str) -> anyhow::Result<Zeroizing<String>> {
    if !std::io::stdin().is_terminal() {
        anyhow::bail!("no key: set {variable} or name its file, or run in a terminal");
    }
    Ok(Zeroizing::new(rpassword::prompt_password(prompt)?))
}

/// Reads a WIF; the error never repeats it.
pub(crate) fn parse_wif(text: &str) -> anyhow::Result<PrivateKey> {
    text.parse::<PrivateKey>().context("not a private key in WIF")
}
