//! What a session tells of itself, for people: bars on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;

use alive_core::{SegmentNumber, Stage};
use alive_streamer::{Found, Progress, Waiting};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::output;

/// Steps of a segment from the recorder to the chain.
const STEPS: u64 = 5;
/// Finished bars that stay in sight.
const KEPT_BARS: usize = 16;

/// Shows everything that a session says until the session is gone.
pub(crate) async fn show(mut events: Receiver<Progress>) {
    let mut display = Display::new();
    loop {
        match events.recv().await {
            Ok(event) => display.event(&event),
            Err(RecvError::Lagged(missed)) => display.say(&format!("({missed} events not shown)")),
            Err(RecvError::Closed) => return display.close(),
        }
    }
}

enum Display {
    Bars { all: MultiProgress, bars: BTreeMap<SegmentNumber, ProgressBar> },
    Lines(BTreeMap<SegmentNumber, Box<str>>),
}

impl Display {
    fn new() -> Self {
        if output::is_terminal() {
            Self::Bars { all: MultiProgress::new(), bars: BTreeMap::new() }
        } else {
            Self::Lines(BTreeMap::new())
        }
    }

    fn event(&mut self, event: &Progress) {
        match event {
            Progress::Found(found) => self.found(found),
            Progress::Stage { number, stage } => self.stage(*number, *stage),
            Progress::Pushed { seq, transaction, block } => {
                self.say(&format!("push {seq} in block {block} as {transaction}"));
            }
            Progress::Ended { transaction, block } => {
                self.say(&format!("stream ended in block {block} as {transaction}"));
            }
            // Between two segments there is nothing to say.
            Progress::Waiting(Waiting::Segment) => {}
            Progress::Waiting(what) => self.say(&match what {
                Waiting::List => "waiting for the recorder's playlist".to_owned(),
                Waiting::NewRecording { old } => {
                    format!("{old} is an old recording; waiting for a new one")
                }
                Waiting::Recording => "waiting for a recording".to_owned(),
                other => format!("waiting: {other:?}"),
            }),
            Progress::Warning(warning) => {
                self.say(&format!("warning: {}", output::causes(warning)));
            }
            Progress::Stopping => self.say("stopping: publishing what is left"),
            _ => {}
        }
    }

    fn found(&mut self, found: &Found) {
        let codecs = found.codecs.as_deref().unwrap_or("unknown codecs");
        let size = output::bytes(found.size);
        match self {
            Self::Bars { all, bars } => {
                let bar = ProgressBar::new(STEPS).with_style(style());
                bar.set_prefix(format!("{:<16} {:>8} s {size:>10}", found.name, found.duration));
                bar.set_message("waiting");
                bars.insert(found.number, all.add(bar));
                while bars.len() > KEPT_BARS {
                    bars.pop_first();
                }
            }
            Self::Lines(names) => {
                names.insert(found.number, found.name.clone());
                let cut = if found.discontinuity { ", after a discontinuity" } else { "" };
                output::line(format_args!(
                    "{}: waiting ({} s, {size}, {codecs}{cut})",
                    found.name, found.duration
                ));
            }
        }
    }

    fn stage(&mut self, number: SegmentNumber, stage: Stage) {
        let (step, text) = match stage {
            Stage::Storing => (1, "storing"),
            Stage::Stored => (2, "stored"),
            Stage::Cached => (3, "cached"),
            Stage::Bundling => (4, "bundling"),
            Stage::OnChain => (STEPS, "on chain"),
        };
        match self {
            Self::Bars { bars, .. } => {
                if let Some(bar) = bars.get(&number) {
                    bar.set_position(step);
                    bar.set_message(text);
                    if step == STEPS {
                        bar.abandon();
                    }
                }
            }
            Self::Lines(names) => {
                let name =
                    names.get(&number).map_or_else(|| number.to_string(), ToString::to_string);
                output::line(format_args!("{name}: {text}"));
                if step == STEPS {
                    names.remove(&number);
                }
            }
        }
    }

    fn say(&self, text: &str) {
        match self {
            // A terminal that went away is no reason to stop publishing.
            Self::Bars { all, .. } => drop(all.println(text)),
            Self::Lines(_) => output::line(text),
        }
    }

    fn close(&self) {
        if let Self::Bars { bars, .. } = self {
            for bar in bars.values() {
                bar.abandon();
            }
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix} [{bar:10}] {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▓░")
}
