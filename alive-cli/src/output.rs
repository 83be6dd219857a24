//! All that the program prints. Results go to standard output, everything else to standard error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the one place that prints")]

use std::{fmt::Display, io::IsTerminal as _, process::ExitCode};

use tracing_subscriber::EnvFilter;

/// Prints a line of a result.
pub(crate) fn line(text: impl Display) {
    println!("{text}");
}

/// Prints what a person should know before it hurts.
pub(crate) fn warning(text: impl Display) {
    eprintln!("warning: {text}");
}

/// Prints an error with its causes and gives the code to end with.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

/// Whether a person watches standard output.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// What is logged by default: warnings, but for those of a session, which its progress shows.
const DEFAULT_LOGS: &str = "warn,alive_streamer=error";

/// Sends logs to standard error; `ALIVE_LOG` chooses which (`info`, `alive_node=debug`, …), warnings by default.
/// `ALIVE_LOG_FORMAT=json` makes each an object on a line of its own, for programs that collect logs.
pub(crate) fn init_logs() {
    let filter = EnvFilter::try_from_env("ALIVE_LOG");
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOGS)))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if std::env::var("ALIVE_LOG_FORMAT").is_ok_and(|format| format == "json") {
        logs.json().flatten_event(true).init();
    } else {
        logs.init();
    }
}

/// Bytes for people: `64.2 KiB`.
pub(crate) fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let value = count as f64;
    match count {
        0..1024 => format!("{count} B"),
        1024..0x10_0000 => format!("{:.1} KiB", value / 1024.0),
        _ => format!("{:.1} MiB", value / 1_048_576.0),
    }
}

/// An error with its causes in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
