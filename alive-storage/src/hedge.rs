//! Asking several at once, but not all at once: [`race`].

use std::{future::Future, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until};

/// More patience than anybody has, and not so much that adding it to a time overflows.
const MOST_PATIENCE: Duration = Duration::from_hours(24);

/// Asks the first, and the next one when an asked one fails or `patience` with the latest has passed. The first success
/// wins and the others are dropped. If nobody succeeds, every failure is returned in the order in which they came.
pub(crate) async fn race<T, E, F>(
    order: &[usize],
    patience: impl Fn(usize) -> Duration,
    ask: impl Fn(usize) -> F,
) -> Result<T, Vec<(usize, E)>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut running = FuturesUnordered::new();
    let (mut rest, mut failed) = (order.iter().copied(), Vec::new());
    let start = |who: usize| {
        let asked = ask(who);
        (Instant::now() + patience(who).min(MOST_PATIENCE), async move { (who, asked.await) })
    };
    let mut next_at = Instant::now();
    let mut ask_next = true;
    loop {
        if std::mem::take(&mut ask_next)
            && let Some(who) = rest.next()
        {
            let (until, asked) = start(who);
            next_at = until;
            running.push(asked);
        }
        let more = rest.len() > 0;
        tokio::select! {
            biased;
            answer = running.next() => match answer {
                Some((_, Ok(won))) => return Ok(won),
                Some((who, Err(error))) => {
                    failed.push((who, error));
                    ask_next = true;
                }
                None => return Err(failed),
            },
            () = sleep_until(next_at), if more => ask_next = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::sleep;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(100);

    /// Who was asked when, in milliseconds, where each answers after a time, well or not.
    async fn run(answers: &[(u64, bool)]) -> (Result<usize, Vec<usize>>, Vec<(usize, u128)>, u128) {
        let (start, asked) = (Instant::now(), Mutex::new(Vec::new()));
        let order: Vec<usize> = (0..answers.len()).collect();
        let ask = |who: usize| {
            asked.lock().unwrap().push((who, start.elapsed().as_millis()));
            let (after, good) = answers[who];
            async move {
                sleep(Duration::from_millis(after)).await;
                if good { Ok(who) } else { Err(()) }
            }
        };
        let won = race(&order, |_| PATIENCE, ask).await;
        let won = won.map_err(|failed| failed.into_iter().map(|(who, ())| who).collect());
        (won, asked.into_inner().unwrap(), start.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_answer_asks_nobody_else() {
        assert_eq!(run(&[(50, true), (1, true)]).await, (Ok(0), vec![(0, 0)], 50));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_one_gets_a_rival_and_may_still_win() {
        let asked = vec![(0, 0), (1, 100)];
        assert_eq!(run(&[(150, true), (500, true)]).await, (Ok(0), asked.clone(), 150));
        assert_eq!(run(&[(9000, true), (20, true)]).await, (Ok(1), asked, 120));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_asks_the_next_at_once() {
        let asked = vec![(0, 0), (1, 10), (2, 30)];
        assert_eq!(run(&[(10, false), (20, false), (5, true)]).await, (Ok(2), asked, 35));
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_all_failures_are_told() {
        let (won, ..) = run(&[(250, false), (20, false), (20, false)]).await;
        assert_eq!(won, Err(vec![1, 2, 0]));
        assert_eq!(run(&[]).await, (Err(vec![]), vec![], 0));
    }
}
