//! How much memory the process under load holds over time: [`Memory`].

use std::fmt;

use crate::served::Served;

/// What the process held, look by look.
#[derive(Default)]
pub(crate) struct Memory {
    looks: Vec<Look>,
}

/// What it held at one moment, in bytes, and how many requests it had answered by then.
#[derive(Clone, Copy, Default)]
struct Look {
    /// What is allocated and not freed.
    heap: u64,
    /// What the process takes of the machine: besides the heap, what the allocator and SQLite hold ready.
    resident: u64,
    answers: u64,
}

/// One of three equal parts of the time.
#[derive(Clone, Copy)]
enum Third {
    /// All that is kept for later is filled.
    First,
    Middle,
    Last,
}

impl Memory {
    /// By how much the heap may grow from the middle third to the last, in bytes. A cache is emptied in steps, and the blocks
    /// that the chain of this test holds are a few hundred bytes a second. In ten minutes this is some bytes a request.
    const HEAP_SLACK: u64 = 2 << 20;
    /// The same of what the process takes. Threads for work on files come and go, and an allocator returns their pages when it
    /// likes to.
    const RESIDENT_SLACK: u64 = 16 << 20;

    /// Notes what the process holds now.
    pub(crate) fn look(&mut self, served: &Served, answers: u64) {
        self.looks.push(Look { heap: served.heap(), resident: served.resident(), answers });
    }

    /// In the last third of the time it holds what it had held in the middle third.
    pub(crate) fn assert_no_growth(&self) {
        let (before, after) = (self.third(Third::Middle), self.third(Third::Last));
        assert!(after.heap <= before.heap + Self::HEAP_SLACK, "the heap grew: {self}");
        let limit = before.resident + Self::RESIDENT_SLACK;
        assert!(after.resident <= limit, "the process grew: {self}");
    }

    /// The medians of a third.
    fn third(&self, third: Third) -> Look {
        let len = self.looks.len();
        let part = match third {
            Third::First => 0..len / 3,
            Third::Middle => len / 3..len * 2 / 3,
            Third::Last => len * 2 / 3..len,
        };
        let median = |of: fn(&Look) -> u64| {
            let mut values: Vec<_> = self.looks[part.clone()].iter().map(of).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        Look {
            heap: median(|look| look.heap),
            resident: median(|look| look.resident),
            answers: median(|look| look.answers),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, third) in
            [("first", Third::First), ("middle", Third::Middle), ("last", Third::Last)]
        {
            let Look { heap, resident, answers } = self.third(third);
            writeln!(
                f,
                "| {name} third | {} kB of heap, {} kB of memory, after {answers} requests |",
                heap >> 10,
                resident >> 10
            )?;
        }
        let (before, after) = (self.third(Third::Middle), self.third(Third::Last));
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = |before: u64, after: u64, answers: u64| {
            (after as f64 - before as f64) / answers.max(1) as f64
        };
        let answers = after.answers - before.answers;
        write!(
            f,
            "| growth for each request | {:.1} bytes of heap, {:.1} bytes of memory |",
            rate(before.heap, after.heap, answers),
            rate(before.resident, after.resident, answers)
        )
    }
}
