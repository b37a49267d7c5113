//! Why a file as a whole cannot be read as a list.

use std::path::{Path, PathBuf};

use super::MAX_COLUMNS;

/// A file that is no list that can be read. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is no ordinary file; save the list in a file first, because it is read more than once", path.display())]
    NotAFile { path: PathBuf },
    #[error("{} is empty", path.display())]
    Empty { path: PathBuf },
    #[error("{} is {what}", path.display())]
    Kind { path: PathBuf, what: &'static str },
    #[error("{} is one JSON array; write one object on each line: jq -c '.[]' list.json > list.jsonl", path.display())]
    JsonArray { path: PathBuf },
    #[error("{} has no sheets; leave --sheet out", path.display())]
    NoSheets { path: PathBuf },
    #[error("{} has no sheet `{sheet}`; it has: {}", path.display(), .found.join(", "))]
    NoSheet {
        path: PathBuf,
        sheet: String,
        found: Vec<String>,
    },
    #[error("{} cannot be read as a spreadsheet; save it as CSV in UTF-8", path.display())]
    Sheet {
        path: PathBuf,
        #[source]
        source: calamine::Error,
    },
    #[error("{} cannot be unpacked; save it again, or save it as CSV in UTF-8", path.display())]
    Zip {
        path: PathBuf,
        #[source]
        source: zip::result::ZipError,
    },
    #[error(
        "{} has more than {} MB once unpacked ({what}); save it as CSV in UTF-8, which may have any size",
        path.display(), limit / 1_000_000
    )]
    TooLarge { path: PathBuf, what: String, limit: u64 },
    #[error(
        "there is no encoding `{label}`; known are the labels of the WHATWG Encoding Standard, such as utf-8, windows-1252, iso-8859-15"
    )]
    NoSuchEncoding { label: String },
    #[error("the header of {} has bytes that are no text in {encoding}; say which encoding it is with --encoding", path.display())]
    HeaderNotText { path: PathBuf, encoding: &'static str },
    #[error("{} has no header: its first row must name the columns", path.display())]
    NoHeader { path: PathBuf },
    #[error("{} has more than {MAX_COLUMNS} columns; leave out those that are not needed", path.display())]
    TooManyColumns { path: PathBuf },
    #[error(
        "a quotation mark in row {row} of {} (line {line}) is never closed, so nothing after it can be told apart; close it or take it away",
        path.display()
    )]
    OpenQuote { path: PathBuf, row: u64, line: u64 },
}

impl TableError {
    pub(super) fn read(path: &Path, source: std::io::Error) -> Self {
        TableError::Read {
            path: path.to_owned(),
            source,
        }
    }
    pub(super) fn kind(path: &Path, what: &'static str) -> Self {
        TableError::Kind {
            path: path.to_owned(),
            what,
        }
    }
}
