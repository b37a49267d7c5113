//! CSV as programs really write it (RFC 4180 and its neighbours): any of four delimiters, quoted cells with line breaks,
//! LF, CRLF or CR. Written here and not taken from a library because each cell and each row must stay bounded while it is
//! cut, and because a quotation mark that is never closed must be noticed.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sha2::Sha256;

use super::text::{self, Survey};
use super::{
    Flaw, FlawKind, Format, KEPT_OF_LONG_CELL, MAX_CELL_BYTES, MAX_COLUMNS, MAX_ROW_BYTES, Row, Table, TableError,
};

const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];
/// Rows by which a guessed delimiter is checked.
const ROWS_TO_CHECK: usize = 50;
/// A quoted cell that goes on so long was opened by mistake.
const OPEN_QUOTE_BYTES: u64 = 16 << 20;

/// Finds the header and the delimiter.
pub(super) fn open(path: &Path, survey: &Survey) -> Result<Table, TableError> {
    let mut table = Table {
        path: path.to_owned(),
        format: Format::Csv {
            delimiter: ',',
            encoding: survey.encoding.name.name(),
            encoding_guessed: survey.encoding.guessed,
        },
        encoding: Some(survey.encoding),
        columns: Vec::new(),
        rows: 0,
        sha256: survey.sha256,
    };
    let mut best: Option<(usize, usize, char)> = None;
    for delimiter in DELIMITERS {
        let mut records = records(&table, delimiter, &Arc::default())?;
        let Some(header) = header(&mut records)? else {
            return Err(TableError::NoHeader { path: path.into() });
        };
        let wanted = records.declared.is_none_or(|declared| declared == delimiter);
        let columns = header.cells.len();
        if !wanted || columns < 2 {
            continue;
        }
        let mut alike = 0;
        for _ in 0..ROWS_TO_CHECK {
            // What is wrong further on is said later, with the right delimiter.
            match records.next_record() {
                Ok(Some(record)) => alike += usize::from(record.cells.len() == columns),
                _ => break,
            }
        }
        if best.is_none_or(|(most, columns_then, _)| (alike, columns) > (most, columns_then)) {
            best = Some((alike, columns, delimiter));
        }
    }
    let delimiter = best.map_or(',', |(_, _, delimiter)| delimiter);
    if let Format::Csv { delimiter: place, .. } = &mut table.format {
        *place = delimiter;
    }
    let mut records = records(&table, delimiter, &Arc::default())?;
    let Some(header) = header(&mut records)? else {
        return Err(TableError::NoHeader { path: path.into() });
    };
    match header.flaw.map(|flaw| flaw.kind) {
        Some(FlawKind::NotText | FlawKind::Nul) => Err(TableError::HeaderNotText {
            path: path.into(),
            encoding: survey.encoding.name.name(),
        }),
        Some(_) => Err(TableError::TooManyColumns { path: path.into() }),
        None => {
            table.columns = header.cells.iter().map(|name| name.trim().to_owned()).collect();
            Ok(table)
        }
    }
}

/// All rows below the header.
pub(super) fn rows(
    table: &Table,
    delimiter: char,
    digest: &Arc<Mutex<Sha256>>,
) -> Result<impl Iterator<Item = Result<Row, TableError>> + Send + use<>, TableError> {
    let mut records = records(table, delimiter, digest)?;
    header(&mut records)?;
    let columns = table.columns.len();
    Ok(std::iter::from_fn(move || {
        let record = records.next_record().transpose()?;
        Some(record.map(|record| record.into_row(columns)))
    }))
}

/// The first record that is not blank, after a line `sep=;` by which Excel declares its delimiter.
fn header(records: &mut Records) -> Result<Option<Record>, TableError> {
    while let Some(record) = records.next_record()? {
        let joined = record.cells.join("");
        if joined.trim().is_empty() && record.flaw.is_none() {
            continue;
        }
        if let Some(declared) = record.cells.first().and_then(|cell| cell.strip_prefix("sep="))
            && records.declared.is_none()
        {
            // Cut by that very delimiter, nothing is left of it in the cell.
            let own = char::from(records.delimiter);
            records.declared = Some(declared.chars().next().unwrap_or(own));
            continue;
        }
        return Ok(Some(record));
    }
    Ok(None)
}

fn records(table: &Table, delimiter: char, digest: &Arc<Mutex<Sha256>>) -> Result<Records, TableError> {
    let encoding = table.encoding.expect("a text has an encoding");
    Ok(Records {
        path: table.path.clone(),
        input: text::open(&table.path, encoding, digest)?,
        delimiter: delimiter as u8,
        declared: None,
        number: 0,
        line: 1,
        after_return: false,
    })
}

/// A row as it was cut.
struct Record {
    number: u64,
    line: u64,
    cells: Vec<String>,
    flaw: Option<Flaw>,
    /// Cells that were there, with those that were not kept.
    count: usize,
}
impl Record {
    fn into_row(mut self, columns: usize) -> Row {
        let surplus = self.cells.get(columns..).unwrap_or_default();
        let fits = self.count == columns || (self.count > columns && surplus.iter().all(|cell| cell.trim().is_empty()));
        // A line break alone is a blank row, not one that lacks all its cells.
        let blank = self.cells.iter().all(|cell| cell.trim().is_empty());
        let flaw = match self.flaw {
            Some(flaw) => Some(Flaw {
                column: flaw.column.filter(|column| *column < columns),
                ..flaw
            }),
            None if !fits && !blank => Some(Flaw {
                kind: FlawKind::Ragged,
                column: None,
            }),
            None => None,
        };
        self.cells.resize(columns, String::new());
        Row {
            number: self.number,
            line: Some(self.line),
            cells: self.cells,
            flaw,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    CellBegins,
    Plain,
    Quoted,
    /// After a quotation mark inside a quoted cell: it ended the cell, unless another one follows.
    QuoteInQuoted,
}

/// Cuts a text into records.
struct Records {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    delimiter: u8,
    /// By a first line `sep=;`.
    declared: Option<char>,
    number: u64,
    line: u64,
    /// The last byte was a CR that ended a record or counted as a line: a LF right behind it is the same line break.
    after_return: bool,
}

/// A record while it is being cut.
struct Cutting {
    record: Record,
    state: State,
    delimiter: u8,
    /// The cell that is not ended yet.
    cell: Vec<u8>,
    /// Whether it holds anything, be it a line break alone.
    begun: bool,
    bytes: u64,
    too_long: bool,
    /// As in [`Records`].
    line: u64,
    after_return: bool,
}

impl Records {
    fn next_record(&mut self) -> Result<Option<Record>, TableError> {
        let mut cutting = self.begin();
        loop {
            let piece = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(|source| TableError::read(&self.path, source))?,
            };
            let at_end = piece.is_empty();
            if cutting.state == State::Quoted && (at_end || cutting.bytes > OPEN_QUOTE_BYTES) {
                return Err(TableError::OpenQuote {
                    path: self.path.clone(),
                    row: cutting.record.number,
                    line: cutting.record.line,
                });
            }
            if at_end && !cutting.begun {
                return Ok(None);
            }
            let (used, ended) = cutting.take(piece);
            self.input.consume(used);
            (self.line, self.after_return) = (cutting.line, cutting.after_return);
            if ended || at_end {
                self.number += 1;
                cutting.end_cell();
                return Ok(Some(cutting.record));
            }
        }
    }

    fn begin(&self) -> Cutting {
        Cutting {
            record: Record {
                number: self.number + 1,
                line: self.line,
                cells: Vec::new(),
                flaw: None,
                count: 0,
            },
            state: State::CellBegins,
            delimiter: self.delimiter,
            cell: Vec::new(),
            begun: false,
            bytes: 0,
            too_long: false,
            line: self.line,
            after_return: self.after_return,
        }
    }
}

impl Cutting {
    /// Cuts on: how many bytes were used, and whether the record ends with them.
    fn take(&mut self, piece: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while at < piece.len() {
            let byte = piece[at];
            if self.after_return {
                self.after_return = false;
                if byte == b'\n' {
                    // A LF inside quotes belongs to the cell all the same.
                    if self.state == State::Quoted {
                        self.push(b"\n");
                    }
                    at += 1;
                    continue;
                }
            }
            self.begun = true;
            match (self.state, byte) {
                (State::Quoted, b'"') => self.state = State::QuoteInQuoted,
                (State::Quoted, _) => {
                    let run = piece[at..].iter().position(|b| matches!(b, b'"' | b'\n' | b'\r'));
                    let run = run.unwrap_or(piece.len() - at);
                    if run == 0 {
                        self.push(&[byte]);
                        self.line += 1;
                        self.after_return = byte == b'\r';
                    } else {
                        self.push(&piece[at..at + run]);
                        at += run - 1;
                    }
                }
                (State::QuoteInQuoted, b'"') => {
                    self.push(b"\"");
                    self.state = State::Quoted;
                }
                (State::CellBegins, b'"') => self.state = State::Quoted,
                (_, b'\n' | b'\r') => {
                    self.line += 1;
                    self.after_return = byte == b'\r';
                    return (at + 1, true);
                }
                (_, byte) if byte == self.delimiter => {
                    self.end_cell();
                    self.state = State::CellBegins;
                }
                _ => {
                    self.state = State::Plain;
                    let delimiter = self.delimiter;
                    let ends = |b: &u8| *b == delimiter || matches!(b, b'\n' | b'\r');
                    let run = piece[at..].iter().position(ends).unwrap_or(piece.len() - at).max(1);
                    self.push(&piece[at..at + run]);
                    at += run - 1;
                }
            }
            at += 1;
        }
        (at, false)
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if self.too_long {
            return;
        }
        if self.cell.len() + bytes.len() > MAX_CELL_BYTES {
            self.too_long = true;
            self.cell.truncate(KEPT_OF_LONG_CELL);
            self.flawed(FlawKind::CellTooLong, self.record.count);
        } else if self.bytes > MAX_ROW_BYTES as u64 {
            self.flawed(FlawKind::RowTooLong, usize::MAX);
        } else {
            self.cell.extend_from_slice(bytes);
        }
    }

    fn end_cell(&mut self) {
        let bytes = std::mem::take(&mut self.cell);
        let place = self.record.count;
        self.record.count += 1;
        if self.record.count > MAX_COLUMNS {
            if self.record.cells.len() == MAX_COLUMNS && !bytes.is_empty() {
                self.flawed(FlawKind::Ragged, usize::MAX);
            }
            return;
        }
        self.too_long = false;
        if bytes.contains(&0) {
            self.flawed(FlawKind::Nul, place);
        }
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            self.flawed(FlawKind::NotText, place);
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        });
        self.record.cells.push(text);
    }

    /// The first flaw of a row is the one that is told.
    fn flawed(&mut self, kind: FlawKind, cell: usize) {
        self.record.flaw.get_or_insert(Flaw {
            kind,
            column: (cell < MAX_COLUMNS).then_some(cell),
        });
    }
}
