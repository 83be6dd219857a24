//! `alive key`: making, deriving and checking keys.

use alive_hive::{KeyPrefix, PrivateKey, Role};
use anyhow::Context as _;

use crate::{output, secret};

/// Makes, derives and checks keys. A private key is printed only by `new` and `derive`, whose purpose that is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: alive key new")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
    /// Prefix of public keys: STM on Hive, TST on its testnet, BLT on Blurt.
    #[arg(long, global = true, default_value = "STM", env = "ALIVE_KEY_PREFIX")]
    prefix: KeyPrefix,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Derives the key of a role from an account's master password, which is asked for.
    #[command(after_help = "Example: alive key derive --account alice --role posting")]
    Derive {
        /// The account.
        #[arg(long, env = "ALIVE_ACCOUNT")]
        account: String,
        /// The role.
        #[arg(long, env = "ALIVE_ROLE", default_value = "posting")]
        role: Role,
    },
    /// Makes a new random key and prints its private and its public form.
    #[command(after_help = "Example: alive key new --prefix TST")]
    New,
    /// Prints the public key of a private key, which is read from the environment, a file or a prompt.
    #[command(after_help = "Example: ALIVE_POSTING_KEY=… alive key public")]
    Public(secret::KeyArgs),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    match &args.action {
        Action::Derive { account, role } => {
            const VARIABLE: &str = "ALIVE_MASTER_PASSWORD";
            let password = match std::env::var(VARIABLE) {
                Ok(password) => zeroize::Zeroizing::new(password),
                Err(_) => secret::ask("Master password: ", VARIABLE)?,
            };
            print_pair(&PrivateKey::from_password(account, *role, &password)?, &args.prefix);
        }
        Action::New => print_pair(&random_key()?, &args.prefix),
        Action::Public(key) => output::line(key.read()?.public_key().to_text(&args.prefix)),
    }
    Ok(())
}

/// A key from the operating system's randomness.
pub(crate) fn random_key() -> anyhow::Result<PrivateKey> {
    let mut scalar = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(scalar.as_mut()).context("no randomness from the operating system")?;
    // Fails once in 2^128 times, when the number is beyond the curve's order.
    Ok(PrivateKey::from_bytes(&scalar)?)
}

fn print_pair(key: &PrivateKey, prefix: &KeyPrefix) {
    output::line(format_args!("private {}", key.to_wif().as_str()));
    output::line(format_args!("public  {}", key.public_key().to_text(prefix)));
}
