//! How much memory a process holds over time: [`Memory`].

use std::fmt;

/// What a process held, look by look.
pub(crate) struct Memory {
    process: u32,
    looks: Vec<u64>,
}

impl Memory {
    /// By how much the medians may differ, in bytes. An allocator returns pages when it likes to. In ten minutes some hundred
    /// thousand viewers come and go, so that this is some tens of bytes for each.
    const SLACK: u64 = 16 << 20;

    pub(crate) fn of(process: u32) -> Self {
        Self { process, looks: Vec::new() }
    }

    /// Notes what the process holds now.
    pub(crate) fn look(&mut self) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        self.looks.push(kilobytes << 10);
    }

    /// Holds what it had held after a third of the time, about.
    pub(crate) fn assert_no_growth(&self) {
        let (before, after) = (self.sixth(2), self.sixth(5));
        assert!(after <= before + Self::SLACK, "it grew: {self}");
    }

    /// The median of one sixth of the looks.
    fn sixth(&self, which: usize) -> u64 {
        let len = self.looks.len();
        let mut part = self.looks[len * which / 6..len * (which + 1) / 6].to_vec();
        part.sort_unstable();
        part[part.len() / 2]
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sixths: Vec<_> = (0..6).map(|which| (self.sixth(which) >> 20).to_string()).collect();
        write!(f, "{} in each sixth of the time", sixths.join(", "))
    }
}
