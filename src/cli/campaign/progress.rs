//! The live line of long work: how far it is, how fast, what came of it, how long it still takes. On a terminal only; it
//! takes more lines where the window is narrow, and leaves nothing behind.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tokio::time::Instant;

use crate::cli::Context;
use crate::model::plural::{counted, grouped};

/// What the speed is reckoned from: long enough for a number that can be read, short enough to show that it stalls.
const WINDOW: Duration = Duration::from_secs(10);
/// Windows that do not say how wide they are.
const USUAL_WIDTH: usize = 80;
const WIDEST_BAR: usize = 30;
/// Nothing can be seen on a shorter one.
const NARROWEST_BAR: usize = 10;

/// The live line, or nothing where there is no terminal.
pub struct LiveLine<'a> {
    context: &'a Context,
    live: Option<Live>,
}
struct Live {
    speed: Speed,
    /// How many lines of it stand on the screen.
    lines: usize,
    /// What is counted, as one: `row`; nothing where that is plain.
    unit: &'static str,
}

impl<'a> LiveLine<'a> {
    /// On standard error, if that is a terminal and nothing is written for a program.
    pub fn on(context: &'a Context, unit: &'static str) -> Self {
        let live = (!context.out.json && io::stderr().is_terminal()).then(|| Live {
            speed: Speed::default(),
            lines: 0,
            unit,
        });
        Self { context, live }
    }
    pub fn is_shown(&self) -> bool {
        self.live.is_some()
    }
    /// `facts` are numbers with their words: 3 deferred.
    pub fn shows(&mut self, done: u64, total: u64, facts: &[(u64, &str)]) {
        let Some(live) = &mut self.live else { return };
        let rate = live.speed.with(Instant::now(), done);
        let width = terminal_size::terminal_size_of(io::stderr()).map_or(USUAL_WIDTH, |(w, _)| w.0.into());
        live.draws(&lay_out(done, total, live.unit, rate, facts, width));
    }
    /// A note above the line, or where notes go.
    pub fn note(&mut self, text: &str) {
        if let Some(live) = &mut self.live {
            live.draws("");
        }
        self.context.out.note(text);
    }
    /// Takes the line away; so does dropping it, with an error in hand.
    pub fn ends(self) {}
}
impl Drop for LiveLine<'_> {
    fn drop(&mut self) {
        if let Some(live) = &mut self.live {
            live.draws("");
        }
    }
}
impl Live {
    /// Puts `text` in the place of what stands there, in one write. A terminal that is gone is no reason to stop the work.
    fn draws(&mut self, text: &str) {
        let mut page = String::new();
        for line in 0..self.lines {
            page.push_str(if line > 0 { "\x1b[A\r\x1b[2K" } else { "\r\x1b[2K" });
        }
        page.push_str(&text.replace('\n', "\r\n"));
        self.lines = text.lines().count();
        let mut screen = io::stderr().lock();
        let _ = screen.write_all(page.as_bytes()).and_then(|()| screen.flush());
    }
}

/// Steps per second, of the last [`WINDOW`].
#[derive(Default)]
struct Speed {
    looks: VecDeque<(Instant, u64)>,
}
impl Speed {
    /// The speed, now that this much is done; unknown at the first look.
    fn with(&mut self, now: Instant, done: u64) -> Option<f64> {
        // The last look before the window stays, so that there is something to compare with.
        while self.looks.get(1).is_some_and(|(at, _)| now - *at >= WINDOW) {
            self.looks.pop_front();
        }
        self.looks.push_back((now, done));
        let (since, before) = *self.looks.front()?;
        let seconds = (now - since).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        (seconds > 0.0).then(|| done.saturating_sub(before) as f64 / seconds)
    }
}

/// One line if it fits, with a bar if there is room; else several, each of whole pieces.
fn lay_out(done: u64, total: u64, unit: &str, rate: Option<f64>, facts: &[(u64, &str)], width: usize) -> String {
    // A terminal wraps when its last column is written.
    let width = width.saturating_sub(1).max(1);
    let all = if unit.is_empty() {
        grouped(total)
    } else {
        counted(total, unit)
    };
    let mut pieces = vec![format!("{} of {all}", grouped(done))];
    pieces.extend(rate.map(per_second));
    pieces.push(time_left(total.saturating_sub(done), rate));
    pieces.extend(facts.iter().map(|(n, word)| format!("{} {word}", grouped(*n))));
    pieces.retain(|piece| !piece.is_empty());
    let line = pieces.join(", ");
    let room = width.saturating_sub(line.chars().count() + 1);
    if room >= NARROWEST_BAR {
        return format!("{} {line}", bar(done, total, room.min(WIDEST_BAR)));
    }
    let mut text = String::new();
    let mut column = 0;
    for (i, piece) in pieces.iter().enumerate() {
        let comma = usize::from(i + 1 < pieces.len());
        let long = piece.chars().count() + comma;
        if i > 0 && column + 1 + long > width {
            text.push('\n');
            column = 0;
        } else if i > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(piece);
        text.push_str(if comma == 1 { "," } else { "" });
        column += long;
    }
    text
}

fn bar(done: u64, total: u64, width: usize) -> String {
    let all = u128::from(total.max(1));
    let full = usize::try_from(u128::from(done.min(total)) * width as u128 / all).unwrap_or(width);
    "█".repeat(full) + &"░".repeat(width - full)
}

fn per_second(rate: f64) -> String {
    match rate {
        rate if rate >= 9.95 => format!("{rate:.0}/s"),
        rate => format!("{rate:.1}/s"),
    }
}

fn time_left(left: u64, rate: Option<f64>) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let seconds = match rate {
        _ if left == 0 => return String::new(),
        Some(rate) if rate > 0.0 => (left as f64 / rate).ceil(),
        _ => return "time left not known".to_owned(),
    };
    let minutes = (seconds / 60.0).ceil();
    match (seconds, minutes) {
        (seconds, _) if seconds < 100.0 => format!("{seconds:.0} s left"),
        (_, minutes) if minutes < 100.0 => format!("{minutes:.0} min left"),
        (_, minutes) => format!("{:.0} h {:.0} min left", (minutes / 60.0).floor(), minutes % 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: [(u64, &str); 4] = [(1180, "informed"), (20, "deferred"), (31, "unreached"), (3, "in doubt")];

    #[test]
    fn it_fits_any_window() {
        for (width, wanted) in [
            (
                160,
                "████████████████░░░░░░░░░░░░░░ 1,234 of 2,300, 45/s, 24 s left, 1,180 informed, 20 deferred, 31 unreached, 3 in doubt",
            ),
            (
                100,
                "██████░░░░░░ 1,234 of 2,300, 45/s, 24 s left, 1,180 informed, 20 deferred, 31 unreached, 3 in doubt",
            ),
            (
                40,
                "1,234 of 2,300, 45/s, 24 s left,\n1,180 informed, 20 deferred,\n31 unreached, 3 in doubt",
            ),
            (
                8,
                "1,234 of 2,300,\n45/s,\n24 s left,\n1,180 informed,\n20 deferred,\n31 unreached,\n3 in doubt",
            ),
        ] {
            let text = lay_out(1234, 2300, "", Some(45.0), &FACTS, width);
            assert_eq!(text, wanted, "{width}");
        }
    }

    #[test]
    fn what_cannot_be_known_is_not_guessed() {
        for (left, rate, wanted) in [
            (5, None, "time left not known"),
            (5, Some(0.0), "time left not known"),
            (0, Some(0.0), ""),
            (99, Some(1.0), "99 s left"),
            (100, Some(1.0), "2 min left"),
            (1_000_000, Some(40.0), "6 h 57 min left"),
        ] {
            assert_eq!(time_left(left, rate), wanted, "{left} at {rate:?}");
        }
        assert_eq!((per_second(0.04), per_second(9.96)), ("0.0/s".into(), "10/s".into()));
        assert_eq!(bar(0, 0, 4), "░░░░");
    }

    #[test]
    fn the_speed_is_that_of_the_last_seconds() {
        let mut speed = Speed::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(speed.with(at(0), 500), None, "what was done before does not count");
        assert_eq!(speed.with(at(2), 600), Some(50.0));
        assert_eq!(speed.with(at(10), 1000), Some(50.0));
        for second in 11..=25 {
            speed.with(at(second), 1000);
        }
        assert_eq!(speed.with(at(26), 1000), Some(0.0), "it stalls");
        assert_eq!(speed.with(at(27), 990), Some(0.0), "a late bounce is no step back");
    }
}
