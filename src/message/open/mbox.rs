//! Mail in mbox format: files with many of them, and the line that pipes and spools put before one.

/// How many mails lie in a file in mbox format: its `From ` lines that stand at the start or after an empty line, end
/// with a year and are followed by a header. Zero for a file that is no mbox.
pub fn mails_in_mbox(raw: &[u8]) -> usize {
    if !raw.starts_with(b"From ") {
        return 0;
    }
    let begins = |line: &[u8], next: &[u8]| {
        let line = line.trim_ascii_end();
        let year = line.len() > 20 && line[line.len() - 4..].iter().all(u8::is_ascii_digit);
        let colons = line.iter().filter(|b| **b == b':').count() >= 1;
        let header = next
            .iter()
            .position(|b| *b == b':')
            .is_some_and(|colon| colon > 0 && next[..colon].iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-'));
        line.starts_with(b"From ") && year && colons && header
    };
    let mut lines = raw.split(|b| *b == b'\n').peekable();
    let (mut mails, mut after_empty) = (0, true);
    while let Some(line) = lines.next() {
        let next = lines.peek().copied().unwrap_or_default();
        mails += usize::from(after_empty && begins(line, next));
        after_empty = line.trim_ascii_end().is_empty();
    }
    mails
}

/// Pipes and spools put a `From ` line before the headers.
pub(super) fn without_mbox_line(raw: &[u8]) -> &[u8] {
    let raw = raw.trim_ascii_start();
    match raw.iter().position(|b| *b == b'\n') {
        Some(end) if raw.starts_with(b"From ") || raw.starts_with(b">From ") => &raw[end + 1..],
        _ => raw,
    }
}
