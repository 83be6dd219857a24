//! How a recorder numbers its files: [`NumberedName`].

/// A name with the segment's number in it, such as `stream12.ts` or `out007.ts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NumberedName<'a> {
    before: &'a str,
    after: &'a str,
    /// Digits that a number is filled up to with zeros; `None` when the name leaves that open.
    width: Option<usize>,
}

impl<'a> NumberedName<'a> {
    /// Finds the number in the name of the segment that has it. The last place counts, so that in `cam1-1.ts` it is the
    /// number and not the camera. `None` when it is in no place, as with names made of the time of day.
    pub(super) fn find(name: &'a str, number: u64) -> Option<Self> {
        // The digit of `.mp4` is no number.
        let mut end = name.rfind('.').unwrap_or(name.len());
        loop {
            let stop = name.get(..end)?.rfind(|c: char| c.is_ascii_digit())? + 1;
            let head = name.get(..stop)?;
            let start = head.trim_end_matches(|c: char| c.is_ascii_digit()).len();
            let digits = head.get(start..)?;
            if digits.parse() == Ok(number) {
                let padded = digits.len() > 1 && digits.starts_with('0');
                return Some(Self {
                    before: name.get(..start)?,
                    after: name.get(stop..)?,
                    width: padded.then_some(digits.len()),
                });
            }
            end = start;
        }
    }

    /// The number in another name of this kind.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(self.before)?.strip_suffix(self.after)?;
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let padded = digits.len() > 1 && digits.starts_with('0');
        let fits = match self.width {
            Some(width) if padded => digits.len() == width,
            Some(width) => digits.len() >= width,
            // `%02d` shows only in numbers below 10, which may be the ones that are looked for.
            None => true,
        };
        (plain && fits).then(|| digits.parse().ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("stream12.ts", 12, "stream7.ts", Some(7))]
    #[case("stream12.ts", 12, "stream13.ts.tmp", None)]
    #[case("stream12.ts", 12, "stream.ts", None)]
    #[case("stream12.ts", 12, "stream-7.ts", None)]
    #[case("out007.ts", 7, "out1234.ts", Some(1234))]
    #[case("out007.ts", 7, "out08.ts", None)]
    #[case("out007.ts", 7, "out8.ts", None)]
    #[case("out12.ts", 12, "out08.ts", Some(8))]
    #[case("cam1-1.ts", 1, "cam1-2.ts", Some(2))]
    #[case("7.ts", 7, "8.ts", Some(8))]
    #[case("день7.ts", 7, "день8.ts", Some(8))]
    #[case("s4.mp4", 4, "s8.mp4", Some(8))]
    #[case("s1.ts", 1, "s99999999999999999999.ts", None)]
    fn names_of_a_kind_have_numbers(
        #[case] known: &str,
        #[case] number: u64,
        #[case] other: &str,
        #[case] want: Option<u64>,
    ) {
        assert_eq!(NumberedName::find(known, number).unwrap().number(other), want);
    }

    #[rstest]
    #[case("2026-11-21 20-00-00.ts", 3)]
    #[case("", 0)]
    #[case("stream.ts", 0)]
    #[case("stream1.ts", 2)]
    fn a_name_without_the_number_is_of_no_kind(#[case] name: &str, #[case] number: u64) {
        assert_eq!(NumberedName::find(name, number), None);
    }

    proptest! {
        #[test]
        fn every_name_finds_its_siblings(
            before in "[a-z0-9é_-]{0,8}[a-z_-]",
            after in "(\\.[a-z]{1,4})?",
            width in 0_usize..6,
            number in 0_u64..20_000,
            other in 0_u64..20_000,
        ) {
            let name = |n: u64| format!("{before}{n:0width$}{after}");
            let (known, sibling) = (name(number), name(other));
            let kind = NumberedName::find(&known, number).unwrap();
            prop_assert_eq!(kind.number(&known), Some(number));
            // A width that the known name hides may make shorter names look strange, but never changes a number.
            if let Some(found) = kind.number(&sibling) {
                prop_assert_eq!(found, other);
            } else {
                prop_assert!(kind.width.is_some());
            }
        }
    }
}
