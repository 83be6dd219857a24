//! Text of strangers, shown so that it can do nothing but be read: [`SafeText`].

use std::fmt::{self, Write as _};

/// Shows a text of which no character acts: controls, terminal escapes, changes of direction, invisible characters and
/// line ends are shown as their number. The text itself is not changed: its signature holds for what was signed.
///
/// It is for terminals and logs. A page in a browser escapes HTML besides. Joiners of emoji and of scripts that need them
/// stay.
///
/// ```
/// use alive_chat::SafeText;
/// assert_eq!(SafeText("h\u{e9}llo \u{1f4fa}").to_string(), "h\u{e9}llo \u{1f4fa}");
/// assert_eq!(SafeText("\u{1b}[2J\u{202e}evil").to_string(), "<1B>[2J<202E>evil");
/// assert_eq!(SafeText("a\nb").to_string(), "a<A>b");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is a way to print a text and nothing else")]
pub struct SafeText<'a>(pub &'a str);

impl fmt::Display for SafeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut marks = 0;
        for c in self.0.chars() {
            marks = if is_mark(c) { marks + 1 } else { 0 };
            if acts(c) || marks > MAX_MARKS {
                write!(f, "<{:X}>", u32::from(c))?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Marks above and below one letter that are shown: more than any language stacks, too few to paint over other lines.
const MAX_MARKS: usize = 4;

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Whether a character does something to the text around it, or is there without being seen.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Soft hyphen, combining joiner, Arabic letter mark, Hangul fillers, Khmer inherent vowels, Mongolian separator.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            // Zero width space, marks of direction; the joiners 200C and 200D stay.
            | '\u{200b}' | '\u{200e}' | '\u{200f}'
            // Line and paragraph separators, embeddings and overrides.
            | '\u{2028}'..='\u{202e}'
            // Invisible operators, isolates, deprecated controls.
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
            // Byte order mark, annotations, tags.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A text as filters look at it: in lower case, without characters that cannot be seen.
pub(crate) fn searchable(text: &str) -> String {
    let seen = text.chars().filter(|c| (c.is_whitespace() || !acts(*c)) && !is_joiner(*c));
    seen.flat_map(char::to_lowercase).collect()
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn letters_of_every_script_and_emoji_stay() {
        for text in [
            "مرحبا",
            "שלום",
            "नमस्ते",
            "你好",
            "e\u{301}",
            "👨\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}",
            "می\u{200c}خواهم",
        ] {
            assert_eq!(SafeText(text).to_string(), text);
        }
    }

    #[test]
    fn what_turns_hides_or_paints_over_is_named() {
        for c in [
            '\0',
            '\u{7}',
            '\u{1b}',
            '\r',
            '\u{7f}',
            '\u{9b}',
            '\u{202a}',
            '\u{2066}',
            '\u{2069}',
            '\u{200b}',
            '\u{feff}',
            '\u{2028}',
            '\u{e0041}',
        ] {
            assert_eq!(SafeText(&c.to_string()).to_string(), format!("<{:X}>", u32::from(c)));
        }
        let tower = format!("a{}", "\u{301}".repeat(50));
        assert_eq!(SafeText(&tower).to_string().matches('\u{301}').count(), MAX_MARKS);
    }

    proptest! {
        #[test]
        fn nothing_that_is_shown_acts(text: String) {
            prop_assert!(!SafeText(&text).to_string().chars().any(acts));
        }
    }
}
