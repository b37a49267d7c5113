//! What a spreadsheet file would unpack to, found out before the library unpacks it: a few bytes may stand for any number
//! of cells. Walks over the XML with the same reader as the library, so that both see the same.

use std::io::{self, BufRead, BufReader, Cursor, Read, Write};
use std::path::Path;

use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use super::Whole;
use crate::reading::table::TableError;

/// The most that all parts of a file may unpack to.
pub(super) const MAX_INFLATED_BYTES: u64 = 256_000_000;
/// The most cells that an ODS file may have after its repetitions are written out; each takes some 50 bytes.
const MAX_ODS_CELLS: u64 = 5_000_000;
/// The most shared texts of an XLSX file: a text without content takes 5 bytes in the file and 24 in memory.
const MAX_SHARED_TEXTS: u64 = 10_000_000;
/// The most of an XLSX file's styles: each takes some hundred bytes, and Excel allows 65,490.
const MAX_STYLES_BYTES: u64 = 8_000_000;

#[derive(Clone, Copy)]
pub(super) enum Spreadsheet {
    Xlsx,
    Ods,
}

pub(super) fn too_large(path: &Path, what: String) -> TableError {
    TableError::TooLarge {
        path: path.to_owned(),
        what,
        limit: MAX_INFLATED_BYTES,
    }
}

/// Finds out what the parts unpack to: first as the file declares it, at once; then by unpacking, because a file may lie.
pub(super) fn measure(path: &Path, bytes: &Whole) -> Result<Spreadsheet, TableError> {
    let broken = |source| TableError::Zip {
        path: path.to_owned(),
        source,
    };
    let unread = |source| TableError::read(path, source);
    let mut archive = ZipArchive::new(Cursor::new(bytes.clone())).map_err(broken)?;
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
        let name = part
            .name()
            .map_or_else(|_| String::new(), |name| name.to_ascii_lowercase());
        let (is_content, is_styles) = (name == "content.xml", name.ends_with("styles.xml"));
        let mut part = Counted {
            inner: part.take(room + 1),
            read: 0,
        };
        match kind {
            Spreadsheet::Ods if is_content => ods(path, BufReader::new(&mut part))?,
            Spreadsheet::Ods => {}
            Spreadsheet::Xlsx => {
                let mut texts = SharedTexts::default();
                io::copy(&mut part, &mut texts).map_err(unread)?;
                if texts.found > MAX_SHARED_TEXTS {
                    return Err(TableError::kind(
                        path,
                        "a workbook of more than 10 million texts; save it as CSV in UTF-8",
                    ));
                }
                if is_styles && part.read > MAX_STYLES_BYTES {
                    return Err(TableError::kind(
                        path,
                        "a workbook with far too many formats; save it as CSV in UTF-8",
                    ));
                }
            }
        }
        // What the walk left over.
        io::copy(&mut part, &mut io::sink()).map_err(unread)?;
        room = room
            .checked_sub(part.read)
            .ok_or_else(|| too_large(path, "more than it declares".to_owned()))?;
    }
    Ok(kind)
}

/// Counts what is read through it.
struct Counted<R> {
    inner: R,
    read: u64,
}
impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}

/// Counts the tags `<si>` in what is written to it, whatever their prefix, and keeps nothing.
#[derive(Default)]
struct SharedTexts {
    found: u64,
    /// The last three bytes.
    last: [u8; 3],
}
impl Write for SharedTexts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            let ends = matches!(byte, b'>' | b'/' | b' ' | b'\t' | b'\r' | b'\n');
            self.found += u64::from(ends && matches!(self.last, [b'<' | b':', b's', b'i']));
            self.last = [self.last[1], self.last[2], *byte];
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What has been met of an ODS file.
#[derive(Default)]
struct Walk {
    /// Cells that the library keeps while it reads.
    kept: u64,
    /// Bytes of their texts.
    bytes: u64,
    /// Of the sheet: rows down to here, the first and the last with content, and the widest.
    rows: u64,
    first: Option<u64>,
    last: u64,
    width: u64,
    in_table: bool,
    row: Option<OdsRow>,
}
/// A row while it is read.
struct OdsRow {
    times: u64,
    /// Cells up to the last one with content, and those without content behind it.
    width: u64,
    empty: u64,
    bytes: u64,
    cell: Option<OdsCell>,
}
struct OdsCell {
    times: u64,
    bytes: u64,
    has_content: bool,
}

/// ODS writes equal cells and rows once, with how often they are repeated.
fn ods(path: &Path, xml: impl BufRead) -> Result<(), TableError> {
    let too_many = || TableError::kind(path, "a sheet of more than 5 million cells; save it as CSV in UTF-8");
    let broken = || {
        TableError::kind(
            path,
            "an ODS file whose content is not in order; save it as CSV in UTF-8",
        )
    };
    let mut reader = quick_xml::Reader::from_reader(xml);
    reader.config_mut().expand_empty_elements = true;
    let (mut buffer, mut walk, mut open) = (Vec::new(), Walk::default(), 0_u64);
    loop {
        buffer.clear();
        let fits = match reader.read_event_into(&mut buffer).map_err(|_| broken())? {
            Event::Start(tag) => {
                open += 1;
                walk.begins(&tag)
            }
            Event::End(tag) => {
                open = open.checked_sub(1).ok_or_else(broken)?;
                walk.ends(tag.name().as_ref());
                true
            }
            Event::Text(text) => walk.says(text.len() as u64),
            Event::CData(text) => walk.says(text.len() as u64),
            Event::GeneralRef(_) => walk.says(1),
            // The library would wait for the end of a sheet for ever.
            Event::Eof if open > 0 => return Err(broken()),
            Event::Eof => return Ok(()),
            _ => true,
        };
        if !fits {
            return Err(broken());
        }
        if walk.is_too_much() {
            return Err(too_many());
        }
    }
}

impl Walk {
    /// False where no spreadsheet program writes such a tag.
    fn begins(&mut self, tag: &BytesStart<'_>) -> bool {
        match tag.name().as_ref() {
            "table:table" if self.in_table => return false,
            "table:table" => {
                // Of another sheet; what is kept adds up.
                *self = Self {
                    kept: self.kept + self.area(),
                    bytes: self.bytes,
                    in_table: true,
                    ..Self::default()
                };
            }
            "table:table-row" => {
                let Some(times) = number(tag, "table:number-rows-repeated") else {
                    return false;
                };
                let nested = self.row.is_some();
                self.row = Some(OdsRow {
                    times,
                    width: 0,
                    empty: 0,
                    bytes: 0,
                    cell: None,
                });
                return !nested;
            }
            "table:table-cell" | "table:covered-table-cell" => {
                let Some(row) = &mut self.row else { return false };
                let Some(times) = number(tag, "table:number-columns-repeated") else {
                    return false;
                };
                let mut cell = OdsCell {
                    times,
                    bytes: 0,
                    has_content: false,
                };
                for attribute in tag.attributes().with_checks(false) {
                    let Ok(attribute) = attribute else { return false };
                    let key = attribute.key.as_ref();
                    // An empty text is content too.
                    if key == "table:formula" || key.starts_with("office:") || key.starts_with("calcext:") {
                        cell.has_content = true;
                        cell.bytes += attribute.value.len() as u64;
                    }
                }
                let nested = row.cell.is_some();
                row.cell = Some(cell);
                return !nested;
            }
            "text:s" => {
                let Some(spaces) = number(tag, "text:c") else {
                    return false;
                };
                return self.says(spaces);
            }
            _ => {}
        }
        true
    }

    fn says(&mut self, bytes: u64) -> bool {
        if let Some(cell) = self.row.as_mut().and_then(|row| row.cell.as_mut()) {
            cell.bytes = cell.bytes.saturating_add(bytes);
            cell.has_content |= bytes > 0;
        }
        true
    }

    fn ends(&mut self, name: &str) {
        match name {
            "table:table" => self.in_table = false,
            "table:table-cell" | "table:covered-table-cell" => {
                let Some(row) = &mut self.row else { return };
                let Some(cell) = row.cell.take() else { return };
                if cell.has_content {
                    row.width = row.width.saturating_add(row.empty).saturating_add(cell.times);
                    row.empty = 0;
                    row.bytes = row.bytes.saturating_add(cell.bytes.saturating_mul(cell.times));
                } else {
                    row.empty = row.empty.saturating_add(cell.times);
                }
            }
            "table:table-row" => {
                let Some(row) = self.row.take() else { return };
                self.kept = self.kept.saturating_add(row.width);
                self.bytes = self.bytes.saturating_add(row.bytes.saturating_mul(row.times));
                if row.width > 0 {
                    self.first.get_or_insert(self.rows);
                    self.last = self.rows.saturating_add(row.times);
                    self.width = self.width.max(row.width);
                }
                self.rows = self.rows.saturating_add(row.times);
            }
            _ => {}
        }
    }

    /// The cells of the sheet once it is written out, from its first row with content to its last.
    fn area(&self) -> u64 {
        let rows = self.last.saturating_sub(self.first.unwrap_or(self.last));
        rows.saturating_mul(self.width)
    }

    fn is_too_much(&self) -> bool {
        let under_way = self
            .row
            .as_ref()
            .map_or(0, |row| row.cell.as_ref().map_or(0, |cell| cell.bytes));
        self.kept.saturating_add(self.area()) > 2 * MAX_ODS_CELLS
            || self.area() > MAX_ODS_CELLS
            || self.bytes.max(under_way) > MAX_INFLATED_BYTES
    }
}

/// A number of repetitions; once where it does not stand there, `None` where it is no number.
fn number(tag: &BytesStart<'_>, name: &str) -> Option<u64> {
    match tag.try_get_attribute(name).ok()? {
        None => Some(1),
        Some(attribute) => attribute.value.trim().parse().ok(),
    }
}
