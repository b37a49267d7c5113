//! XLSX and ODS: the library unpacks shared texts (XLSX) or all cells (ODS) into memory, so what a file would unpack to is
//! measured first. Cells come out as a person sees them: 4711 and not 4711.0, the value of a formula and not the formula.

mod measure;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use calamine::{Data, DataRef, ExcelDateTime, Ods, Reader, Style, Xlsx};
use sha2::{Digest, Sha256};

use self::measure::{MAX_INFLATED_BYTES, Spreadsheet, too_large};
use super::{
    Flaw, FlawKind, Format, KEPT_OF_LONG_CELL, MAX_CELL_BYTES, MAX_COLUMNS, MAX_ROW_BYTES, Options, Row, Table,
    TableError,
};

/// The columns that a sheet of these programs may have at most.
const MOST_COLUMNS: usize = 16_384;
/// Rows that wait between the thread that unpacks and the one that reads; each has at most some [`MAX_ROW_BYTES`].
const ROWS_WAITING: usize = 64;

/// A file in memory; shared, so that no pass over it copies it.
#[derive(Clone)]
struct Whole(Arc<Vec<u8>>);
impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
type Bytes = Cursor<Whole>;

/// Checks what the file would unpack to, and reads the header of the sheet.
pub(super) fn open(path: &Path, options: &Options) -> Result<Table, TableError> {
    let bytes = load(path)?;
    let sha256 = Sha256::digest(&bytes).into();
    let kind = measure::measure(path, &bytes)?;
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
    let others = found.iter().filter(|name| **name != sheet);
    let others = others.map(|name| crate::reading::shown(name)).collect();
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
            Spreadsheet::Xlsx => Format::Xlsx { sheet, others },
            Spreadsheet::Ods => Format::Ods { sheet, others },
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
    let kind = measure::measure(&table.path, &bytes)?;
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

fn load(path: &Path) -> Result<Whole, TableError> {
    let failed = |source| TableError::read(path, source);
    let mut bytes = Vec::new();
    let file = super::regular_file(path)?;
    file.take(MAX_INFLATED_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_INFLATED_BYTES {
        return Err(too_large(path, "as it is".to_owned()));
    }
    Ok(Whole(Arc::new(bytes)))
}

fn sheet_error(path: &Path, source: impl Into<calamine::Error>) -> TableError {
    TableError::Sheet {
        path: path.to_owned(),
        source: source.into(),
    }
}
fn xlsx(path: &Path, bytes: &Whole) -> Result<Xlsx<Bytes>, TableError> {
    Xlsx::new(Cursor::new(bytes.clone())).map_err(|source| sheet_error(path, source))
}
fn ods(path: &Path, bytes: &Whole) -> Result<Ods<Bytes>, TableError> {
    Ods::new(Cursor::new(bytes.clone())).map_err(|source| sheet_error(path, source))
}

/// A cell as a person sees it.
#[derive(Default)]
struct Cell {
    /// The beginning of it where it is too long.
    text: String,
    flaw: Option<FlawKind>,
}

/// A row as the file has it: only the cells that are there.
#[derive(Default)]
struct SheetRow {
    number: u64,
    cells: BTreeMap<usize, Cell>,
    bytes: usize,
}
impl SheetRow {
    fn at(number: u64) -> Self {
        Self {
            number,
            ..Self::default()
        }
    }

    /// One text may stand in every cell of a sheet, and be as long as the file: what is too much is not kept.
    fn add(&mut self, place: usize, mut cell: Cell) {
        if cell.text.is_empty() && cell.flaw.is_none() {
            return;
        }
        self.bytes += cell.text.len();
        if self.bytes > MAX_ROW_BYTES {
            cell.text.clear();
            cell.flaw = Some(FlawKind::RowTooLong);
        }
        self.cells.insert(place, cell);
    }

    fn into_row(self, columns: usize) -> Row {
        let mut row = Row {
            number: self.number,
            line: None,
            cells: vec![String::new(); columns],
            flaw: None,
        };
        for (place, cell) in self.cells {
            let flaw = match row.cells.get_mut(place) {
                Some(space) => {
                    let flaw = cell.flaw.or(cell.text.contains('\0').then_some(FlawKind::Nul));
                    *space = cell.text;
                    flaw.map(|kind| Flaw {
                        kind,
                        column: (kind != FlawKind::RowTooLong).then_some(place),
                    })
                }
                None if cell.text.trim().is_empty() => None,
                None => Some(Flaw {
                    kind: FlawKind::Ragged,
                    column: None,
                }),
            };
            row.flaw = row.flaw.or(flaw);
        }
        row
    }
}

/// Unpacks on a thread of its own, a few rows ahead: the library's reader borrows from its workbook.
fn unpack(
    path: &Path,
    bytes: Whole,
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

fn send_xlsx(path: &Path, bytes: &Whole, sheet: &str, rows: &Sender) -> Result<(), TableError> {
    let mut workbook = xlsx(path, bytes)?;
    let failed = |source| sheet_error(path, source);
    let mut cells = workbook.worksheet_cells_reader(sheet).map_err(failed)?;
    let mut row = SheetRow::at(0);
    while let Some((cell, style)) = cells.next_cell_with_style_id().map_err(failed)? {
        let (number, place) = cell.get_position();
        let (number, place) = (u64::from(number) + 1, place as usize);
        if place >= MOST_COLUMNS {
            return Err(TableError::TooManyColumns { path: path.to_owned() });
        }
        if number != row.number {
            let whole = std::mem::replace(&mut row, SheetRow::at(number));
            if rows.send(Ok(whole)).is_err() {
                return Ok(());
            }
        }
        row.add(place, shown_xlsx(cell.get_value(), cells.styles().get(style)));
    }
    let _ = rows.send(Ok(row));
    Ok(())
}

fn send_ods(path: &Path, bytes: &Whole, sheet: &str, rows: &Sender) -> Result<(), TableError> {
    let range = ods(path, bytes)?
        .worksheet_range(sheet)
        .map_err(|source| sheet_error(path, source))?;
    let (first_row, first_column) = range.start().unwrap_or_default();
    for (offset, cells) in range.rows().enumerate() {
        let mut row = SheetRow::at(u64::from(first_row) + offset as u64 + 1);
        for (place, data) in cells.iter().enumerate() {
            row.add(place + first_column as usize, shown(data));
        }
        if rows.send(Ok(row)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn shown_xlsx(data: &DataRef<'_>, style: Option<&Style>) -> Cell {
    match data {
        DataRef::SharedString(text) => plain(text),
        DataRef::Float(number) => plain(&with_zeros(*number, style)),
        other => shown(&Data::from(other.clone())),
    }
}

/// A number as its format shows it where the format is made of zeros: a postcode 1067 as 01067. Of other formats only
/// separators and currencies would come, which no list of persons needs.
fn with_zeros(number: f64, style: Option<&Style>) -> String {
    let text = number.to_string();
    let format = style.and_then(|style| style.number_format.as_ref());
    let width = format.and_then(|format| zeros(&format.format_code));
    match width {
        Some(width) if text.bytes().all(|byte| byte.is_ascii_digit()) => format!("{text:0>width$}"),
        _ => text,
    }
}

/// How many digits a format of zeros shows at least; its first section is for positive numbers, and may begin with the
/// language it is meant for: `[$-407]00000`.
fn zeros(format: &str) -> Option<usize> {
    let positive = format.split(';').next().unwrap_or_default();
    let digits = match positive.strip_prefix("[$").and_then(|rest| rest.split_once(']')) {
        Some((_, digits)) => digits,
        None => positive,
    };
    let all_zeros = !digits.is_empty() && digits.bytes().all(|byte| byte == b'0');
    (all_zeros && digits.len() <= 255).then_some(digits.len())
}

fn shown(data: &Data) -> Cell {
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
            flaw: Some(FlawKind::CellError),
        },
    }
}

fn plain(text: &str) -> Cell {
    match text.len() > MAX_CELL_BYTES {
        true => Cell {
            text: text.chars().take(KEPT_OF_LONG_CELL).collect(),
            flaw: Some(FlawKind::CellTooLong),
        },
        false => Cell {
            text: text.to_owned(),
            flaw: None,
        },
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
