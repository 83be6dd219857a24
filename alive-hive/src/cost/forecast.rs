//! Whether an account can pay for a stream: [`Forecast`].

use std::{fmt, time::Duration};

use crate::time::TimePoint;

use super::{Manabar, REGENERATION_SECS, StreamCost};

/// How the credits of an account fare over a stream, if it does nothing else.
///
/// ```
/// use std::time::Duration;
/// use alive_hive::{TimePoint, cost::{Forecast, Manabar, ObjectSizes, Prices, StreamPlan}};
/// let plan = StreamPlan::new("alice".parse()?, "stream1".parse()?, Duration::from_secs(3600));
/// let cost = plan.cost(&ObjectSizes::HIVED, &Prices::mainnet_example())?;
/// let start: TimePoint = "2026-11-21T00:00:00".parse()?;
/// let poor = Manabar { current: cost.push().cost.total * 10, max: 1 << 40, updated: start };
/// assert!(Forecast::of(&cost, &poor, start).can_pay());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forecast {
    /// What the account has when the stream starts.
    pub has: u64,
    /// What is left when the stream has ended; `None` if it runs out before.
    pub left: Option<u64>,
    /// Most that it can have.
    pub max: u64,
    /// What the stream takes.
    pub needs: u64,
    /// What comes back during the stream, if there is room for it.
    pub regained: u64,
    /// When a transaction can no longer be paid for, from the start on.
    pub runs_out_after: Option<Duration>,
    /// Shortest time between pushes that the account can go on with for ever; `None` if it has nothing coming back.
    pub sustained_interval: Option<Duration>,
    /// How long to wait so that the whole stream can be paid for; `None` if waiting does not help.
    pub wait: Option<Duration>,
}

impl Forecast {
    /// Of a stream that starts at `start` by an account with these credits.
    pub fn of(cost: &StreamCost, bar: &Manabar, start: TimePoint) -> Self {
        let outcome = run(cost, *bar, start);
        let fits = |secs: u32| {
            let later = start.after_secs(secs);
            let bar = Manabar { current: bar.at(later), max: bar.max, updated: later };
            run(cost, bar, later).is_ok()
        };
        Self {
            has: bar.at(start),
            left: outcome.ok(),
            max: bar.max,
            needs: cost.total(),
            regained: bar.regained_over(cost.length().as_secs()),
            runs_out_after: outcome.err(),
            sustained_interval: sustained(cost.push().cost.total, bar.max),
            wait: shortest_wait(fits),
        }
    }

    /// Whether the account can pay for the whole stream.
    pub fn can_pay(&self) -> bool {
        self.left.is_some()
    }

    /// Most pushes in an hour that the account can go on with for ever.
    pub fn sustained_pushes_per_hour(&self) -> u64 {
        match self.sustained_interval {
            // Nothing to pay: as often as there are seconds, which no stream reaches.
            Some(Duration::ZERO) => 3600,
            Some(interval) => 3_600_000 / u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            None => 0,
        }
    }
}

/// What is left at the end, or when the credits run out.
fn run(cost: &StreamCost, mut bar: Manabar, start: TimePoint) -> Result<u64, Duration> {
    let at = |after: Duration| start.after_secs(u32::try_from(after.as_secs()).unwrap_or(u32::MAX));
    let mut take = |credits, after| bar.take(credits, at(after)).map_err(|_| after);
    for item in &cost.first {
        take(item.total(), Duration::ZERO)?;
    }
    let mut after = Duration::ZERO;
    for _ in 0..cost.push.count {
        // A push comes once its segments are recorded.
        after = after.saturating_add(cost.every).min(cost.length);
        take(cost.push.cost.total, after)?;
    }
    for item in &cost.last {
        take(item.total(), cost.length)?;
    }
    Ok(bar.at(at(cost.length)))
}

/// The time in which one push comes back, rounded up to milliseconds.
fn sustained(push: u64, max: u64) -> Option<Duration> {
    let whole = u128::from(push) * u128::from(REGENERATION_SECS) * 1000;
    if whole > 0 && (max == 0 || push > max) {
        return None;
    }
    u64::try_from(whole.div_ceil(u128::from(max.max(1)))).ok().map(Duration::from_millis)
}

/// The least number of seconds that fits; what fits, fits later, too, and after all came back nothing changes.
fn shortest_wait(fits: impl Fn(u32) -> bool) -> Option<Duration> {
    let (mut no, mut yes) = (0, u32::try_from(REGENERATION_SECS).unwrap_or(u32::MAX));
    if fits(0) {
        return Some(Duration::ZERO);
    }
    if !fits(yes) {
        return None;
    }
    while yes - no > 1 {
        let middle = no + (yes - no) / 2;
        if fits(middle) { yes = middle } else { no = middle }
    }
    Some(Duration::from_secs(yes.into()))
}

impl fmt::Display for Forecast {
    /// One sentence for people: what there is, what it takes, and what to do if that is not enough.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the stream takes {} RC, the account has {}",
            short(self.needs),
            short(self.has)
        )?;
        let Some(after) = self.runs_out_after else {
            let left = self.left.unwrap_or_default();
            return write!(f, " and will have {} at its end", short(left));
        };
        write!(f, " of {}: they run out after {}", short(self.max), Span(after))?;
        match (self.wait, self.sustained_interval) {
            (Some(wait), _) => write!(f, "; wait {} before it starts", Span(wait))?,
            (None, Some(every)) => {
                write!(f, "; a push every {} could go on for ever", Span(every))?;
            }
            (None, None) => {}
        }
        f.write_str(", push less often, or get more HIVE POWER or a delegation of credits")
    }
}

/// A number of credits with three digits, as wallets show them.
pub(super) fn short(credits: u64) -> String {
    let units = [(1_000_000_000_000_u64, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1000, "k")];
    match units.into_iter().find(|(unit, _)| credits >= *unit) {
        None => credits.to_string(),
        Some((unit, name)) => {
            let (whole, rest) = (credits / unit, (credits % unit) / (unit / 100));
            match whole {
                0..10 => format!("{whole}.{rest:02} {name}"),
                10..100 => format!("{whole}.{} {name}", rest / 10),
                _ => format!("{whole} {name}"),
            }
        }
    }
}

/// A time span in its two largest units.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0);
        match secs {
            0..120 => write!(f, "{secs} s"),
            120..7200 => write!(f, "{} min", secs.div_ceil(60)),
            7200..172_800 => write!(f, "{} h {} min", secs / 3600, secs % 3600 / 60),
            _ => write!(f, "{} d {} h", secs / 86_400, secs % 86_400 / 3600),
        }
    }
}
