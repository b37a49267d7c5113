//! Rows from a list that a person exported somewhere: CSV in any usual spelling and JSON lines, which stream, and XLSX and
//! ODS, which are bounded. What kind a file is shows in its content, not in its name.
//!
//! Whatever the file holds, memory stays bounded, and nothing is guessed silently: a byte that is no text, a row that is
//! cut wrongly or a cell that is too long comes out as a [`Flaw`] of that row, with its number as a spreadsheet program
//! shows it. Knows nothing of addresses or persons.

mod delimited;
mod error;
mod json_lines;
mod sheet;
#[cfg(test)]
mod tests;
mod text;

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use sha2::{Digest, Sha256};

pub use error::TableError;
use text::Encoding;

/// The longest cell taken. An OpenPGP certificate with many signatures has some 30 KiB.
pub const MAX_CELL_BYTES: usize = 64 * 1024;
/// The longest row taken.
pub const MAX_ROW_BYTES: usize = 1024 * 1024;
/// More columns than any list of persons has; XLSX allows 16,384.
pub const MAX_COLUMNS: usize = 500;
/// How much of a cell that is too long is kept, so that a person can find it.
const KEPT_OF_LONG_CELL: usize = 200;

/// What the person says about a file where it does not say so itself.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The sheet of an XLSX or ODS file; its first one otherwise.
    pub sheet: Option<String>,
    /// The encoding of a CSV file, by any label of the WHATWG Encoding Standard, such as `windows-1252`.
    pub encoding: Option<String>,
}

/// One row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// As a spreadsheet program numbers it: the header is row 1. In JSON lines, the line.
    pub number: u64,
    /// The line of the file on which the row begins; a row with line breaks in its cells has several. `None` in sheets.
    pub line: Option<u64>,
    /// One for each column; of a flawed row as far as they can be read.
    pub cells: Vec<String>,
    pub flaw: Option<Flaw>,
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flaw {
    pub kind: FlawKind,
    /// Counts from 0; `None` where the row as a whole is meant.
    pub column: Option<usize>,
}

/// How a row can be unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlawKind {
    /// Longer than [`MAX_CELL_BYTES`].
    CellTooLong,
    /// Longer than [`MAX_ROW_BYTES`].
    RowTooLong,
    /// Bytes that mean nothing in the file's encoding.
    NotText,
    Nul,
    /// More or fewer cells than the header.
    Ragged,
    /// The cell shows an error of the spreadsheet program, such as `#N/A`.
    CellError,
    NotJson,
    KeyTwice,
    Nested,
}

/// What kind of list a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "format", rename_all = "snake_case")]
pub enum Format {
    Csv {
        delimiter: char,
        encoding: &'static str,
        /// The encoding was guessed from the text, because the file does not say and is no UTF-8.
        encoding_guessed: bool,
    },
    JsonLines {
        encoding: &'static str,
    },
    Xlsx {
        sheet: String,
        /// Sheets of the file that are not read.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        others: Vec<String>,
    },
    Ods {
        sheet: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        others: Vec<String>,
    },
}

/// A list, looked through once: what it is, what its columns are called, and how many rows it has.
#[derive(Debug, Clone)]
pub struct Table {
    path: PathBuf,
    format: Format,
    encoding: Option<Encoding>,
    columns: Vec<String>,
    rows: u64,
    sha256: [u8; 32],
}

impl Table {
    /// Looks through the whole file and finds out all that must be known before the first row is used.
    ///
    /// # Errors
    /// [`TableError`] says what makes the file as a whole unusable, and what to do.
    pub fn open(path: &Path, options: &Options) -> Result<Self, TableError> {
        let mut file = regular_file(path)?;
        let mut beginning = Vec::new();
        file.by_ref()
            .take(8192)
            .read_to_end(&mut beginning)
            .map_err(|source| TableError::read(path, source))?;
        if beginning.is_empty() {
            return Err(TableError::Empty { path: path.into() });
        }
        file.rewind().map_err(|source| TableError::read(path, source))?;
        let mut table = match kind_of(&beginning, options.encoding.is_some()) {
            Kind::Zip => sheet::open(path, options)?,
            Kind::Other(what) => return Err(TableError::kind(path, what)),
            Kind::Text => {
                if options.sheet.is_some() {
                    return Err(TableError::NoSheets { path: path.into() });
                }
                let survey = text::survey(path, file, options.encoding.as_deref())?;
                match survey.begins_with {
                    Some('[') => return Err(TableError::JsonArray { path: path.into() }),
                    Some('{') => json_lines::open(path, &survey)?,
                    _ => delimited::open(path, &survey)?,
                }
            }
        };
        // What is wrong with the file as a whole is found now, before anything of it is used.
        let mut rows = table.rows()?;
        for row in &mut rows {
            row?;
            table.rows += 1;
        }
        Ok(table)
    }

    /// From the first row to the last: another pass over the file.
    ///
    /// # Errors
    /// The file cannot be read any more.
    pub fn rows(&self) -> Result<Rows, TableError> {
        let digest = Arc::new(Mutex::new(Sha256::new()));
        let source: Source = match &self.format {
            Format::Csv { delimiter, .. } => Box::new(delimited::rows(self, *delimiter, &digest)?),
            Format::JsonLines { .. } => Box::new(json_lines::rows(self, &digest)?),
            Format::Xlsx { sheet, .. } | Format::Ods { sheet, .. } => Box::new(sheet::rows(self, sheet, &digest)?),
        };
        Ok(Rows { source, digest })
    }

    pub fn format(&self) -> &Format {
        &self.format
    }
    /// The header, as the file has it; of JSON lines all keys, in the order in which they first occur.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }
    /// How many rows there are below the header; blank ones do not count.
    pub fn row_count(&self) -> u64 {
        self.rows
    }
    /// Of the whole file.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The rows of one pass. Blank rows are left out.
pub struct Rows {
    source: Source,
    digest: Arc<Mutex<Sha256>>,
}
type Source = Box<dyn Iterator<Item = Result<Row, TableError>> + Send>;

impl Rows {
    /// The digest of what this pass has read: of the whole file once the rows have ended. Another one than
    /// [`Table::sha256`] shows that the file was replaced.
    pub fn sha256(&self) -> [u8; 32] {
        let digest = self.digest.lock().expect("nobody panics while hashing");
        digest.clone().finalize().into()
    }
}
impl Iterator for Rows {
    type Item = Result<Row, TableError>;
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.source.next()? {
                Ok(row) if row.flaw.is_none() && row.cells.iter().all(|cell| cell.trim().is_empty()) => {}
                other => return Some(other),
            }
        }
    }
}

/// Hashes what goes through it.
struct Hashing<R> {
    inner: R,
    digest: Arc<Mutex<Sha256>>,
}
impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let mut digest = self.digest.lock().expect("nobody panics while hashing");
        digest.update(&buffer[..count]);
        Ok(count)
    }
}

fn regular_file(path: &Path) -> Result<File, TableError> {
    // A pipe that nobody writes to would keep us waiting.
    let opened = File::options()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path);
    let file = opened.map_err(|source| TableError::read(path, source))?;
    let facts = file.metadata().map_err(|source| TableError::read(path, source))?;
    // A list is read more than once, which a pipe cannot give.
    if facts.is_file() {
        Ok(file)
    } else {
        Err(TableError::NotAFile { path: path.into() })
    }
}

enum Kind {
    Zip,
    Text,
    Other(&'static str),
}

fn is_markup(beginning: &[u8]) -> bool {
    let text = beginning.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(beginning);
    text.trim_ascii_start().starts_with(b"<")
}

/// By the first bytes; NUL bytes are no sign of anything where a person says which encoding it is.
fn kind_of(beginning: &[u8], is_encoding_given: bool) -> Kind {
    let begins = |mark: &[u8]| beginning.starts_with(mark);
    if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") {
        Kind::Zip
    } else if begins(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") {
        Kind::Other("an old Excel file, or one with a password; open it and save it as XLSX or CSV without a password")
    } else if begins(b"\x1F\x8B")
        || begins(b"BZh")
        || begins(b"\xFD7zXZ")
        || begins(b"(\xB5/\xFD")
        || begins(b"7z\xBC\xAF")
    {
        Kind::Other("a packed file; unpack it first")
    } else if begins(b"%PDF") {
        Kind::Other("a PDF; export the list as CSV instead")
    } else if is_markup(beginning) {
        Kind::Other(
            "a page of HTML or XML, as some programs export tables under the name of Excel; open it in a spreadsheet program and save it as XLSX or CSV",
        )
    } else if begins(b"-----BEGIN PGP MESSAGE") {
        Kind::Other("an encrypted file; decrypt it first")
    } else if begins(b"\xFF\xFE\0\0") || begins(b"\0\0\xFE\xFF") {
        Kind::Other("text in UTF-32; save it as CSV in UTF-8")
    } else if begins(b"\xFF\xFE") || begins(b"\xFE\xFF") || is_encoding_given {
        Kind::Text
    } else if let [1..=255, 0, 1..=255, 0, ..] = beginning {
        Kind::Other("text in UTF-16 without a byte order mark; add --encoding utf-16le, or save it as CSV in UTF-8")
    } else if let [0, 1..=255, 0, 1..=255, ..] = beginning {
        Kind::Other("text in UTF-16 without a byte order mark; add --encoding utf-16be, or save it as CSV in UTF-8")
    } else if beginning.iter().take(4).filter(|b| **b == 0).count() >= 2 {
        Kind::Other("no text, and no other kind of list that is known; save the list as CSV in UTF-8")
    } else {
        Kind::Text
    }
}
