//! XLSX and ODS: the library unpacks shared texts (XLSX) or all cells (ODS) into memory, so what a file would unpack to is
//! measured first. Cells come out as a person sees them: 4711 and not 4711.0, the value of a formula and not the formula.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock, Mutex};

use calamine::{Data, DataRef, ExcelDateTime, Ods, Reader, Xlsx};
use regex::bytes::Regex;
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::{Flaw, FlawKind, Format, KEPT_OF_LONG_CELL, MAX_CELL_BYTES, MAX_COLUMNS, Options, Row, Table, TableError};

/// The most that all parts of a file may unpack to.
const MAX_INFLATED_BYTES: u64 = 256_000_000;
/// The most cells that an ODS file may have after its repetitions are written out; each takes some 50 bytes.
const MAX_ODS_CELLS: u64 = 5_000_000;
/// Rows that wait between the thread that unpacks and the one that reads.
const ROWS_WAITING: usize = 256;

type Bytes = Cursor<Arc<[u8]>>;

/// Checks what the file would unpack to, and reads the header of the sheet.
pub(super) fn open(path: &Path, options: &Options) -> Result<Table, TableError> {
    let bytes = load(path)?;
    let sha256 = Sha256::digest(&bytes).into();
    let kind = measure(path, &bytes)?;
    let found = match kind {
        Spreadsheet::Xlsx => xlsx(path, &bytes)?.sheet_names(),
        Spreadsheet::Ods => ods(path, &bytes)?.sheet_names(),
    };
    let sheet = match &options.sheet {
        None => found.first().cloned(),
        Some(wanted) => found.iter().find(|name| name.eq_ignore_ascii_case(wanted)).cloned(),
    };
    let Some(sheet) = sheet else {
        return Err(TableError::NoSheet {
            path: path.to_owned(),
            sheet: crate::reading::shown(options.sheet.as_deref().unwrap_or("1")),
            found: found.iter().map(|name| crate::reading::shown(name)).collect(),
        });
    };
    let mut rows = unpack(path, bytes, kind, &sheet);
    let header = loop {
        let Some(row) = rows.next().transpose()? else {
            return Err(TableError::NoHeader { path: path.to_owned() });
        };
        if row.cells.values().any(|cell| !cell.text.trim().is_empty()) {
            break row;
        }
    };
    let last = header.cells.iter().rev().find(|(_, cell)| !cell.text.trim().is_empty());
    let width = last.map_or(0, |(place, _)| place + 1);
    if width > MAX_COLUMNS {
        return Err(TableError::TooManyColumns { path: path.to_owned() });
    }
    let name = |place| {
        header
            .cells
            .get(&place)
            .map_or_else(String::new, |cell| cell.text.trim().to_owned())
    };
    Ok(Table {
        path: path.to_owned(),
        format: match kind {
            Spreadsheet::Xlsx => Format::Xlsx { sheet },
            Spreadsheet::Ods => Format::Ods { sheet },
        },
        encoding: None,
        columns: (0..width).map(name).collect(),
        rows: 0,
        sha256,
    })
}

/// All rows below the header.
pub(super) fn rows(
    table: &Table,
    sheet: &str,
    digest: &Arc<Mutex<Sha256>>,
) -> Result<impl Iterator<Item = Result<Row, TableError>> + Send + use<>, TableError> {
    let bytes = load(&table.path)?;
    digest.lock().expect("nobody panics while hashing").update(&bytes);
    // Again: it may be another file by now.
    let kind = measure(&table.path, &bytes)?;
    let columns = table.columns.len();
    let mut rows = unpack(&table.path, bytes, kind, sheet);
    let mut header_passed = false;
    Ok(std::iter::from_fn(move || {
        loop {
            let row = match rows.next()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            let blank = row.cells.values().all(|cell| cell.text.trim().is_empty());
            if header_passed || blank {
                if !blank {
                    return Some(Ok(row.into_row(columns)));
                }
                continue;
            }
            header_passed = true;
        }
    }))
}

#[derive(Clone, Copy)]
enum Spreadsheet {
    Xlsx,
    Ods,
}

fn load(path: &Path) -> Result<Arc<[u8]>, TableError> {
    let failed = |source| TableError::read(path, source);
    let mut bytes = Vec::new();
    let file = super::regular_file(path)?;
    file.take(MAX_INFLATED_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_INFLATED_BYTES {
        return Err(too_large(path, "as it is".to_owned()));
    }
    Ok(bytes.into())
}

fn too_large(path: &Path, what: String) -> TableError {
    TableError::TooLarge {
        path: path.to_owned(),
        what,
        limit: MAX_INFLATED_BYTES,
    }
}

/// Finds out what the parts unpack to: first as the file declares it, at once; then by unpacking, because a file may lie.
fn measure(path: &Path, bytes: &Arc<[u8]>) -> Result<Spreadsheet, TableError> {
    let broken = |source| TableError::Zip {
        path: path.to_owned(),
        source,
    };
    let mut archive = ZipArchive::new(Cursor::new(Arc::clone(bytes))).map_err(broken)?;
    let has = |name: &str| archive.file_names().any(|found| found.is_ok_and(|found| found == name));
    let kind = if has("xl/workbook.xml") {
        Spreadsheet::Xlsx
    } else if has("xl/workbook.bin") {
        return Err(TableError::kind(path, "a binary Excel file; save it as XLSX or CSV"));
    } else if has("content.xml") {
        Spreadsheet::Ods
    } else {
        return Err(TableError::kind(path, "a ZIP file and no list; unpack it first"));
    };
    let mut declared = 0_u64;
    for index in 0..archive.len() {
        declared = declared.saturating_add(archive.by_index_raw(index).map_err(broken)?.size());
        if declared > MAX_INFLATED_BYTES {
            return Err(too_large(path, "as it declares".to_owned()));
        }
    }
    let mut room = MAX_INFLATED_BYTES;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(broken)?;
        let is_content = part.name().is_ok_and(|name| name == "content.xml");
        let mut part = part.take(room + 1);
        let unpacked = if is_content && matches!(kind, Spreadsheet::Ods) {
            let mut xml = Vec::new();
            let read = part
                .read_to_end(&mut xml)
                .map_err(|source| TableError::read(path, source))?;
            check_repetitions(path, &xml)?;
            read as u64
        } else {
            std::io::copy(&mut part, &mut std::io::sink()).map_err(|source| TableError::read(path, source))?
        };
        room = room
            .checked_sub(unpacked)
            .ok_or_else(|| too_large(path, "more than it declares".to_owned()))?;
    }
    Ok(kind)
}

/// ODS writes equal cells and rows once, with how often they are repeated: a few bytes may stand for any number of cells.
fn check_repetitions(path: &Path, xml: &[u8]) -> Result<(), TableError> {
    static TAG: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"<table:(table-row|table-cell|covered-table-cell)\b([^>]*)>").expect("constant"));
    static REPEATED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"repeated\s*=\s*["']\s*(\d+)"#).expect("constant"));
    let mut rows = 1_u64;
    let mut cells = 0_u64;
    for tag in TAG.captures_iter(xml) {
        let attributes = &tag[2];
        let times = REPEATED.captures(attributes).map_or(1, |found| {
            let digits = std::str::from_utf8(&found[1]).unwrap_or_default();
            digits.parse().unwrap_or(u64::MAX)
        });
        if &tag[1] == b"table-row" {
            rows = times;
        } else if !attributes.ends_with(b"/") {
            // A cell without content is not written out behind the last one that has some.
            cells = cells.saturating_add(rows.saturating_mul(times));
        }
        if cells > MAX_ODS_CELLS {
            return Err(TableError::kind(
                path,
                "a sheet of more than 5 million cells; save it as CSV in UTF-8",
            ));
        }
    }
    Ok(())
}

fn sheet_error(path: &Path, source: impl Into<calamine::Error>) -> TableError {
    TableError::Sheet {
        path: path.to_owned(),
        source: source.into(),
    }
}
fn xlsx(path: &Path, bytes: &Arc<[u8]>) -> Result<Xlsx<Bytes>, TableError> {
    Xlsx::new(Cursor::new(Arc::clone(bytes))).map_err(|source| sheet_error(path, source))
}
fn ods(path: &Path, bytes: &Arc<[u8]>) -> Result<Ods<Bytes>, TableError> {
    Ods::new(Cursor::new(Arc::clone(bytes))).map_err(|source| sheet_error(path, source))
}

/// A cell as a person sees it.
#[derive(Default)]
struct Cell {
    text: String,
    is_error: bool,
}
/// A row as the file has it: only the cells that are there.
struct SheetRow {
    number: u64,
    cells: BTreeMap<usize, Cell>,
}
impl SheetRow {
    fn into_row(self, columns: usize) -> Row {
        let mut row = Row {
            number: self.number,
            line: None,
            cells: vec![String::new(); columns],
            flaw: None,
        };
        let mut flawed = |kind, column| {
            row.flaw.get_or_insert(Flaw { kind, column });
        };
        for (place, mut cell) in self.cells {
            let Some(space) = row.cells.get_mut(place) else {
                if !cell.text.trim().is_empty() {
                    flawed(FlawKind::Ragged, None);
                }
                continue;
            };
            if cell.is_error {
                flawed(FlawKind::CellError, Some(place));
            } else if cell.text.len() > MAX_CELL_BYTES {
                flawed(FlawKind::CellTooLong, Some(place));
                cell.text = cell.text.chars().take(KEPT_OF_LONG_CELL).collect();
            } else if cell.text.contains('\0') {
                flawed(FlawKind::Nul, Some(place));
            }
            *space = cell.text;
        }
        row
    }
}

/// Unpacks on a thread of its own, a few rows ahead: the library's reader borrows from its workbook.
fn unpack(
    path: &Path,
    bytes: Arc<[u8]>,
    kind: Spreadsheet,
    sheet: &str,
) -> impl Iterator<Item = Result<SheetRow, TableError>> + Send + use<> {
    let (rows, waiting): (SyncSender<_>, Receiver<_>) = sync_channel(ROWS_WAITING);
    let (path, sheet) = (path.to_owned(), sheet.to_owned());
    // Ends when the rows do, or when nobody waits for more.
    std::thread::spawn(move || {
        let done = match kind {
            Spreadsheet::Xlsx => send_xlsx(&path, &bytes, &sheet, &rows),
            Spreadsheet::Ods => send_ods(&path, &bytes, &sheet, &rows),
        };
        if let Err(error) = done {
            let _ = rows.send(Err(error));
        }
    });
    waiting.into_iter()
}

type Sender = SyncSender<Result<SheetRow, TableError>>;

fn send_xlsx(path: &Path, bytes: &Arc<[u8]>, sheet: &str, rows: &Sender) -> Result<(), TableError> {
    let mut workbook = xlsx(path, bytes)?;
    let failed = |source| sheet_error(path, source);
    let mut cells = workbook.worksheet_cells_reader(sheet).map_err(failed)?;
    let mut row = SheetRow {
        number: 0,
        cells: BTreeMap::new(),
    };
    while let Some(cell) = cells.next_cell().map_err(failed)? {
        let (number, place) = cell.get_position();
        let number = u64::from(number) + 1;
        if number != row.number {
            let whole = std::mem::replace(
                &mut row,
                SheetRow {
                    number,
                    cells: BTreeMap::new(),
                },
            );
            if rows.send(Ok(whole)).is_err() {
                return Ok(());
            }
        }
        row.cells.insert(place as usize, shown_xlsx(cell.get_value()));
    }
    let _ = rows.send(Ok(row));
    Ok(())
}

fn send_ods(path: &Path, bytes: &Arc<[u8]>, sheet: &str, rows: &Sender) -> Result<(), TableError> {
    let range = ods(path, bytes)?
        .worksheet_range(sheet)
        .map_err(|source| sheet_error(path, source))?;
    let (first_row, first_column) = range.start().unwrap_or_default();
    for (offset, cells) in range.rows().enumerate() {
        let cells = cells.iter().enumerate();
        let row = SheetRow {
            number: u64::from(first_row) + offset as u64 + 1,
            cells: cells
                .map(|(place, data)| (place + first_column as usize, shown_ods(data)))
                .collect(),
        };
        if rows.send(Ok(row)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn shown_xlsx(data: &DataRef<'_>) -> Cell {
    match data {
        DataRef::SharedString(text) => plain(text),
        other => shown_ods(&Data::from(other.clone())),
    }
}

fn shown_ods(data: &Data) -> Cell {
    match data {
        Data::Empty => Cell::default(),
        Data::String(text) => plain(text),
        // Without a fraction Rust prints none: 4711, and never 4.711e3.
        Data::Float(number) => plain(&number.to_string()),
        Data::Int(number) => plain(&number.to_string()),
        Data::Bool(value) => plain(if *value { "true" } else { "false" }),
        Data::DateTime(moment) => plain(&day(moment)),
        Data::DateTimeIso(text) | Data::DurationIso(text) => plain(text.strip_suffix("T00:00:00").unwrap_or(text)),
        Data::Error(error) => Cell {
            text: error.to_string(),
            is_error: true,
        },
    }
}

fn plain(text: &str) -> Cell {
    Cell {
        text: text.to_owned(),
        is_error: false,
    }
}

/// A date as ISO 8601 has it, with the time of day where there is one.
fn day(moment: &ExcelDateTime) -> String {
    if moment.is_duration() {
        return moment.as_f64().to_string();
    }
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    match (hour, minute, second) {
        (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
    }
}
