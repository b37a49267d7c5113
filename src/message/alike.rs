//! Work that goes line by line, over texts of which each is nearly the one before: the messages of a campaign differ in a
//! line or two. One text and what came of it is kept by each thread; of the next only the lines that differ are worked
//! on. What comes out is the same as without it.

use std::cell::RefCell;
use std::thread::LocalKey;

/// Longer texts are not kept.
const KEPT_MOST_BYTES: usize = 64 * 1024;
/// Bytes compared at once.
const STRIDE: usize = 128;

/// A text that others are compared with, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Kept<O> {
    text: String,
    made: O,
    seams: Vec<Seam>,
}

/// The start of a line of which nothing depends on more than the line before it.
#[derive(Debug, Clone, Copy)]
struct Seam {
    in_text: usize,
    in_made: usize,
}

/// What is being made of a text, or of a part of it.
#[derive(Debug)]
pub(super) struct Making<O> {
    pub out: O,
    seams: Vec<Seam>,
}
impl<O: Output> Making<O> {
    /// Says that nothing of what follows byte `at` of the part depends on more than the line before it.
    pub(super) fn seam(&mut self, at: usize) {
        self.seams.push(Seam {
            in_text: at,
            in_made: self.out.length(),
        });
    }
}

/// What a text is made into.
pub(super) trait Output: Default + Clone {
    fn length(&self) -> usize;
    fn append(&mut self, from: &Self, range: std::ops::Range<usize>);
}
impl Output for String {
    fn length(&self) -> usize {
        self.len()
    }
    fn append(&mut self, from: &Self, range: std::ops::Range<usize>) {
        self.push_str(&from[range]);
    }
}
impl Output for Vec<u8> {
    fn length(&self) -> usize {
        self.len()
    }
    fn append(&mut self, from: &Self, range: std::ops::Range<usize>) {
        self.extend_from_slice(&from[range]);
    }
}

/// What `work` makes of `text`. It is given the text or a part of it that begins and ends at seams, and whether that is the
/// beginning of the text; it names the seams.
pub(super) fn make<O: Output>(
    kept: &'static LocalKey<RefCell<Kept<O>>>,
    text: &str,
    work: impl Fn(&str, bool, &mut Making<O>),
) -> O {
    kept.with_borrow_mut(|kept| {
        let (start, end) = kept.alike(text);
        let (from, to) = (start.in_text, text.len() - (kept.text.len() - end.in_text));
        let mut making = Making {
            out: O::default(),
            seams: Vec::new(),
        };
        if to - from > text.len() / 2 {
            work(text, true, &mut making);
            if text.len() <= KEPT_MOST_BYTES {
                // Where the text ends within a line, another one may go on with it.
                if !text.ends_with('\n') {
                    making.seams.pop_if(|seam| seam.in_text == text.len());
                }
                *kept = Kept {
                    text: text.to_owned(),
                    made: making.out.clone(),
                    seams: making.seams,
                };
            }
            return making.out;
        }
        making.out.append(&kept.made, 0..start.in_made);
        work(&text[from..to], from == 0, &mut making);
        making.out.append(&kept.made, end.in_made..kept.made.length());
        making.out
    })
}

impl<O: Output> Kept<O> {
    /// The seams of the kept text up to which and from which on `text` is the same.
    fn alike(&self, text: &str) -> (Seam, Seam) {
        let (old, new) = (self.text.as_bytes(), text.as_bytes());
        let before = common_start(old, new);
        let first = self.seams.partition_point(|seam| seam.in_text <= before);
        let start = match first {
            0 => Seam { in_text: 0, in_made: 0 },
            n => self.seams[n - 1],
        };
        let after = common_end(&old[start.in_text..], &new[start.in_text..]);
        // The line before it must be the same too.
        let same_from = old.len() - after;
        let line_before = memchr::memchr(b'\n', &old[same_from..]).map(|at| same_from + at + 1);
        let end = line_before.and_then(|line| {
            let next = self.seams.partition_point(|seam| seam.in_text <= line);
            self.seams.get(next).copied()
        });
        let whole = Seam {
            in_text: old.len(),
            in_made: self.made.length(),
        };
        (start, end.unwrap_or(whole))
    }
}

/// How many bytes two texts have in common at their start.
fn common_start(old: &[u8], new: &[u8]) -> usize {
    let strides = old.chunks_exact(STRIDE).zip(new.chunks_exact(STRIDE));
    let same = STRIDE * strides.take_while(|(a, b)| a == b).count();
    let rest = old[same..].iter().zip(&new[same..]);
    same + rest.take_while(|(a, b)| a == b).count()
}

/// How many bytes two texts have in common at their end.
fn common_end(old: &[u8], new: &[u8]) -> usize {
    let strides = old.rchunks_exact(STRIDE).zip(new.rchunks_exact(STRIDE));
    let same = STRIDE * strides.take_while(|(a, b)| a == b).count();
    let rest = old[..old.len() - same]
        .iter()
        .rev()
        .zip(new[..new.len() - same].iter().rev());
    same + rest.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    thread_local! {
        static KEPT: RefCell<Kept<String>> = RefCell::default();
    }

    /// Lines in angle brackets, runs of empty lines as one: each depends on the line before it.
    fn work(part: &str, begins: bool, making: &mut Making<String>) {
        let mut at = 0;
        let mut blank = begins;
        for line in part.split_inclusive('\n') {
            at += line.len();
            let is_blank = line == "\n";
            if !(is_blank && blank) {
                making.out.push_str(&format!("<{}>", line.trim_end()));
            }
            blank = is_blank;
            if !blank {
                making.seam(at);
            }
        }
    }
    fn anew(text: &str) -> String {
        let mut making = Making {
            out: String::new(),
            seams: Vec::new(),
        };
        work(text, true, &mut making);
        making.out
    }

    #[test]
    fn only_what_differs_is_worked_on() {
        let seen = RefCell::new(Vec::new());
        let letter = |name: &str| {
            let lines: Vec<String> = (0..50).map(|n| format!("line {n}\n")).collect();
            format!("{}Dear {name}\n{}", lines.concat(), lines.concat())
        };
        for name in ["Anna", "Ben", "Christina"] {
            let made = make(&KEPT, &letter(name), |part, begins, making| {
                seen.borrow_mut().push(part.len());
                work(part, begins, making);
            });
            assert_eq!(made, anew(&letter(name)));
        }
        let seen = seen.into_inner();
        assert_eq!(seen[0], letter("Anna").len());
        assert!(seen[1] < 40 && seen[2] < 40, "{seen:?}");
    }

    #[test]
    fn a_line_that_the_next_text_goes_on_with_stays_one_line() {
        let before: String = (0..50).map(|n| format!("line {n}\n")).collect();
        for ending in ["Example", "Example S.A.", "Example S.A. of Luxembourg\n"] {
            let text = format!("{before}{ending}");
            assert_eq!(make(&KEPT, &text, work), anew(&text));
        }
    }

    proptest! {
        #[test]
        fn what_comes_out_is_the_same(texts in prop::collection::vec(prop::collection::vec(0..6_u8, 0..60), 1..12)) {
            for lines in texts {
                let lines: Vec<&str> = lines
                    .iter()
                    .map(|n| ["\n", "a\n", "b\n", "é\n", "longer than the others\n", "no end"][usize::from(*n)])
                    .collect();
                let text = lines.concat();
                prop_assert_eq!(make(&KEPT, &text, work), anew(&text));
            }
        }

        #[test]
        fn one_line_changed_anywhere(at in 0..40_usize, with in "[\na-cé]{0,9}") {
            let mut lines: Vec<String> = (0..40).map(|n| format!("line {}\n", n % 7)).collect();
            let first = lines.concat();
            lines[at] = with;
            let second = lines.concat();
            prop_assert_eq!(make(&KEPT, &first, work), anew(&first));
            prop_assert_eq!(make(&KEPT, &second, work), anew(&second));
        }
    }
}
