//! Settings in layers: a flag wins over the environment, which wins over a TOML file, which wins over the default.
//!
//! The file has a table for each command, with the command's long flags as keys. It works as a source of defaults, so
//! every setting is described in one place, its flag. A key that is no flag is refused. Keys of accounts are no flags.
//! Where a command has commands of its own, a key is a setting of all of them that have the flag.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context as _, bail};
use clap::{Command, CommandFactory, FromArgMatches};
use toml::{Table, Value};

/// The file that is read when no other is named.
const DEFAULT_FILE: &str = "alive.toml";

/// Parses the command line over the settings file. Wrong flags end the program with clap's own message.
pub(crate) fn parse<C: CommandFactory + FromArgMatches>() -> anyhow::Result<C> {
    let command = match settings_file()? {
        None => C::command(),
        Some((path, text)) => with_defaults(C::command(), &text)
            .with_context(|| format!("settings file {}", path.display()))?,
    };
    let matches = command.get_matches();
    C::from_arg_matches(&matches).map_err(|error| error.exit())
}

/// The settings file: named by `--config`, by `ALIVE_CONFIG`, or lying in the current folder.
fn settings_file() -> anyhow::Result<Option<(PathBuf, String)>> {
    let named = named_file(std::env::args_os()).or_else(|| std::env::var_os("ALIVE_CONFIG"));
    let path = PathBuf::from(named.clone().unwrap_or_else(|| DEFAULT_FILE.into()));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("settings file {}", path.display())),
    }
}

fn named_file(args: impl Iterator<Item = OsString>) -> Option<OsString> {
    let mut args = args.skip(1);
    while let Some(arg) = args.next() {
        if arg == "--config" {
            return args.next();
        }
        if let Some(path) = arg.to_str().and_then(|arg| arg.strip_prefix("--config=")) {
            return Some(path.into());
        }
    }
    None
}

fn with_defaults(mut command: Command, text: &str) -> anyhow::Result<Command> {
    for (name, value) in text.parse::<Table>()? {
        let Value::Table(settings) = value else {
            bail!(
                "{name} stands outside of a table; write it under [stream], [node] or another command"
            );
        };
        if command.find_subcommand(&name).is_none() {
            bail!("there is no command {name}");
        }
        for (key, value) in settings {
            let values = as_defaults(&value).with_context(|| format!("[{name}] {key}"))?;
            let mut is_known = false;
            command = command.mut_subcommand(&name, |command| {
                set_default(command, &key, &values, &mut is_known)
            });
            if !is_known {
                bail!("[{name}] {key} is no setting of that command");
            }
        }
    }
    Ok(command)
}

/// Gives a flag of the command, or of commands within it, these values where the command line and the environment say
/// nothing.
fn set_default(mut command: Command, key: &str, values: &[String], is_known: &mut bool) -> Command {
    if let Some(id) = flag(&command, key) {
        *is_known = true;
        let values = values.to_vec();
        return command.mut_arg(id, |arg| arg.required(false).default_values(values));
    }
    let within = command.get_subcommands().map(|sub| sub.get_name().to_owned());
    for name in within.collect::<Vec<_>>() {
        command = command.mut_subcommand(name, |sub| set_default(sub, key, values, is_known));
    }
    command
}

fn flag(command: &Command, key: &str) -> Option<clap::Id> {
    command.get_arguments().find(|arg| arg.get_long() == Some(key)).map(|arg| arg.get_id().clone())
}

fn as_defaults(value: &Value) -> anyhow::Result<Vec<String>> {
    Ok(match value {
        Value::String(text) => vec![text.clone()],
        Value::Integer(number) => vec![number.to_string()],
        Value::Float(number) => vec![number.to_string()],
        Value::Boolean(flag) => vec![flag.to_string()],
        Value::Array(values) => {
            let parts = values.iter().map(as_defaults).collect::<anyhow::Result<Vec<_>>>()?;
            parts.into_iter().flatten().collect()
        }
        Value::Datetime(_) | Value::Table(_) => bail!("a text, a number, true or false, or a list"),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: Sub,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Sub {
        Post(Post),
        Stream(Stream),
    }

    #[derive(Debug, clap::Args)]
    struct Post {
        #[command(subcommand)]
        action: Action,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Action {
        Create(Create),
        Show,
    }

    #[derive(Debug, clap::Args)]
    struct Create {
        #[arg(long)]
        title: String,
    }

    #[derive(Debug, clap::Args)]
    struct Stream {
        #[arg(long, default_value_t = 60)]
        interval: u64,
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        purge: bool,
        #[arg(long)]
        node: Vec<String>,
    }

    fn parse(file: &str, args: &[&str]) -> Result<Stream, String> {
        let command = with_defaults(Cli::command(), file).map_err(|e| e.to_string())?;
        let matches = command.try_get_matches_from(args).map_err(|e| e.to_string())?;
        match Cli::from_arg_matches(&matches).map_err(|e| e.to_string())?.command {
            Sub::Stream(stream) => Ok(stream),
            Sub::Post(post) => Err(format!("{post:?}")),
        }
    }

    const FILE: &str =
        "[stream]\ninterval = 5\nfolder = \"rec\"\npurge = true\nnode = [\"a\", \"b\"]\n";

    #[test]
    fn the_file_fills_in_what_no_flag_says() {
        let stream = parse(FILE, &["alive", "stream", "--interval", "7"]).unwrap();
        assert_eq!((stream.interval, stream.purge), (7, true));
        assert_eq!((stream.folder, stream.node), ("rec".into(), vec!["a".into(), "b".into()]));
    }

    #[test]
    fn a_key_is_a_setting_of_the_commands_within_a_command_that_have_it() {
        let file = "[post]\ntitle = \"Live\"";
        let create = parse(file, &["alive", "post", "create"]).unwrap_err();
        assert!(create.contains("title: \"Live\""), "{create}");
        let other = parse(file, &["alive", "post", "create", "--title", "Now"]).unwrap_err();
        assert!(other.contains("title: \"Now\""), "{other}");
        assert!(parse(file, &["alive", "post", "show"]).unwrap_err().contains("Show"));
        let unknown = parse("[post]\ncolour = 1", &["alive", "post", "show"]).unwrap_err();
        assert!(unknown.contains("no setting"), "{unknown}");
    }

    #[test]
    fn unknown_keys_and_tables_are_refused() {
        assert!(parse("[stream]\nposting-key = \"5J\"", &["alive", "stream"]).is_err());
        assert!(parse("[straem]\ninterval = 5", &["alive", "stream"]).is_err());
        assert!(parse("interval = 5", &["alive", "stream"]).is_err());
    }

    #[test]
    fn a_named_file_is_found_in_both_forms() {
        let args = |args: &[&str]| named_file(args.iter().map(OsString::from));
        assert_eq!(args(&["alive", "stream", "--config", "x"]), Some("x".into()));
        assert_eq!(args(&["alive", "--config=x"]), Some("x".into()));
        assert_eq!(args(&["alive", "node"]), None);
    }

    /// The example of the chapter "Running a node".
    const EXAMPLE: &str = include_str!("../../docs/src/guides/alive.toml");

    #[test]
    fn the_example_of_the_docs_names_every_setting_of_a_node_with_its_default() {
        let command = crate::Cli::command();
        let node = command.find_subcommand("node").unwrap();
        // What has no default is a comment.
        let uncommented = |line: &str| match line.strip_prefix("# ") {
            Some(rest) if rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => {
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        };
        let whole: String = EXAMPLE.lines().map(uncommented).collect();
        let table = |text: &str| text.parse::<Table>().unwrap()["node"].as_table().unwrap().clone();
        let (given, all) = (table(EXAMPLE), table(&whole));
        for arg in node.get_arguments().filter(|arg| !arg.is_global_set()) {
            let Some(long) = arg.get_long().filter(|long| !["help", "version"].contains(long))
            else {
                continue;
            };
            assert!(all.contains_key(long), "alive.toml says nothing of {long}");
            let default = arg.get_default_values().iter().map(|value| value.to_str().unwrap());
            let said = given.get(long).map(|value| as_defaults(value).unwrap()).unwrap_or_default();
            let default: Vec<_> = default.map(str::to_owned).collect();
            // A switch gets its default when the command is built.
            if arg.get_action().takes_values() {
                assert_eq!(said, default, "{long}: the default");
            }
        }
        for text in [EXAMPLE, &whole] {
            let command = with_defaults(crate::Cli::command(), text).unwrap();
            let matches = command.try_get_matches_from(["alive", "node"]).unwrap();
            crate::Cli::from_arg_matches(&matches).unwrap();
        }
    }
}
