//! JSON lines: one object on each line. Its keys are the columns; a key that is missing is an empty cell. What a library
//! would take silently is refused: a key given twice, and anything nested.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sha2::Sha256;

use super::text::{self, Survey};
use super::{
    Flaw, FlawKind, Format, KEPT_OF_LONG_CELL, MAX_CELL_BYTES, MAX_COLUMNS, MAX_ROW_BYTES, Row, Table, TableError,
};

/// The longest key that becomes a column.
const MAX_KEY_BYTES: usize = 256;

/// Collects the keys of all lines.
pub(super) fn open(path: &Path, survey: &Survey) -> Result<Table, TableError> {
    let mut table = Table {
        path: path.to_owned(),
        format: Format::JsonLines {
            encoding: survey.encoding.name.name(),
        },
        encoding: Some(survey.encoding),
        columns: Vec::new(),
        rows: 0,
        sha256: survey.sha256,
    };
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut lines = lines(&table, &Arc::default())?;
    while let Some(line) = lines.next_line()? {
        for (key, _) in line.object().map(|object| object.0).unwrap_or_default() {
            if !places.contains_key(&key) && key.len() <= MAX_KEY_BYTES {
                if places.len() == MAX_COLUMNS {
                    return Err(TableError::TooManyColumns { path: path.into() });
                }
                table.columns.push(key.clone());
                places.insert(key, places.len());
            }
        }
    }
    if table.columns.is_empty() {
        return Err(TableError::kind(
            path,
            "no list: none of its lines is a JSON object with a key",
        ));
    }
    Ok(table)
}

/// All lines as rows.
pub(super) fn rows(
    table: &Table,
    digest: &Arc<Mutex<Sha256>>,
) -> Result<impl Iterator<Item = Result<Row, TableError>> + Send + use<>, TableError> {
    let mut lines = lines(table, digest)?;
    let names = table.columns.iter().cloned();
    let places: HashMap<String, usize> = names.enumerate().map(|(place, name)| (name, place)).collect();
    Ok(std::iter::from_fn(move || {
        let line = lines.next_line().transpose()?;
        Some(line.map(|line| line.into_row(&places)))
    }))
}

fn lines(table: &Table, digest: &Arc<Mutex<Sha256>>) -> Result<Lines, TableError> {
    let encoding = table.encoding.expect("a text has an encoding");
    Ok(Lines {
        table: table.path.clone(),
        input: text::open(&table.path, encoding, digest)?,
        number: 0,
    })
}

struct Lines {
    table: std::path::PathBuf,
    input: Box<dyn BufRead + Send>,
    number: u64,
}
struct Line {
    number: u64,
    /// At most [`MAX_ROW_BYTES`]; what is behind is passed over.
    bytes: Vec<u8>,
    too_long: bool,
}

impl Lines {
    fn next_line(&mut self) -> Result<Option<Line>, TableError> {
        let mut line = Line {
            number: self.number + 1,
            bytes: Vec::new(),
            too_long: false,
        };
        let mut any = false;
        loop {
            let piece = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(|source| TableError::read(&self.table, source))?,
            };
            if piece.is_empty() {
                self.number += u64::from(any);
                return Ok(any.then_some(line));
            }
            any = true;
            let end = piece.iter().position(|b| *b == b'\n');
            let part = &piece[..end.unwrap_or(piece.len())];
            if line.bytes.len() + part.len() > MAX_ROW_BYTES {
                line.too_long = true;
            } else {
                line.bytes.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                self.number += 1;
                return Ok(Some(line));
            }
        }
    }
}

impl Line {
    fn is_blank(&self) -> bool {
        !self.too_long && self.bytes.iter().all(u8::is_ascii_whitespace)
    }

    /// The object on this line, or why it is none. A blank line is an empty object.
    fn object(&self) -> Result<Object, FlawKind> {
        if self.too_long {
            return Err(FlawKind::RowTooLong);
        }
        if self.is_blank() {
            return Ok(Object(Vec::new()));
        }
        if self.bytes.contains(&0) {
            return Err(FlawKind::Nul);
        }
        let text = std::str::from_utf8(&self.bytes).map_err(|_| FlawKind::NotText)?;
        serde_json::from_str(text).map_err(|error| {
            let said = error.to_string();
            if said.starts_with(TWICE) {
                FlawKind::KeyTwice
            } else {
                FlawKind::NotJson
            }
        })
    }

    fn into_row(self, places: &HashMap<String, usize>) -> Row {
        let mut row = Row {
            number: self.number,
            line: Some(self.number),
            cells: vec![String::new(); places.len()],
            flaw: None,
        };
        let object = match self.object() {
            Ok(object) => object,
            Err(kind) => {
                row.flaw = Some(Flaw { kind, column: None });
                // The line itself, so that a person can find and mend it.
                if let Some(first) = row.cells.first_mut() {
                    let kept = self.bytes.len().min(MAX_CELL_BYTES);
                    *first = String::from_utf8_lossy(&self.bytes[..kept]).into_owned();
                }
                return row;
            }
        };
        for (key, value) in object.0 {
            let Some(place) = places.get(&key).copied() else {
                row.flaw.get_or_insert(Flaw {
                    kind: FlawKind::RowTooLong,
                    column: None,
                });
                continue;
            };
            let (mut cell, flaw) = match value {
                Value::Text(text) if text.contains('\0') => (text, Some(FlawKind::Nul)),
                Value::Text(text) => (text, None),
                Value::Nested => (String::new(), Some(FlawKind::Nested)),
            };
            let too_long = cell.len() > MAX_CELL_BYTES;
            if too_long {
                cell = cell.chars().take(KEPT_OF_LONG_CELL).collect();
            }
            if let Some(kind) = too_long.then_some(FlawKind::CellTooLong).or(flaw) {
                row.flaw.get_or_insert(Flaw {
                    kind,
                    column: Some(place),
                });
            }
            row.cells[place] = cell;
        }
        row
    }
}

/// How our own error begins; told apart from the library's by it.
const TWICE: &str = "key given twice";

/// Keys and values in their order.
struct Object(Vec<(String, Value)>);
enum Value {
    Text(String),
    Nested,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut pairs: Vec<(String, Value)> = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if pairs.iter().any(|(known, _)| *known == key) {
                        return Err(A::Error::custom(TWICE));
                    }
                    if pairs.len() == MAX_COLUMNS {
                        return Err(A::Error::custom("too many keys"));
                    }
                    pairs.push((key, map.next_value()?));
                }
                Ok(Object(pairs))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// A text, a number, a truth value or nothing; a list of such is one text with commas.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cell;
        impl<'de> Visitor<'de> for Cell {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number, true, false, null or a list of them")
            }
            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Text(value.to_string()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
                Ok(Value::Text(number.to_string()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
                Ok(Value::Text(number.to_string()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
                Ok(Value::Text(number.to_string()))
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Text(String::new()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                let mut texts = Vec::new();
                let mut nested = false;
                while let Some(item) = list.next_element::<Item>()? {
                    match item.0 {
                        Some(text) => texts.push(text),
                        None => nested = true,
                    }
                }
                Ok(if nested {
                    Value::Nested
                } else {
                    Value::Text(texts.join(", "))
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value::Nested)
            }
        }
        deserializer.deserialize_any(Cell)
    }
}

/// One element of a list; `None` when it is nested itself.
struct Item(Option<String>);
impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value: serde_json::Value = Deserialize::deserialize(deserializer)?;
        Ok(Item(match value {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Number(number) => Some(number.to_string()),
            serde_json::Value::Bool(value) => Some(value.to_string()),
            serde_json::Value::Null => Some(String::new()),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
        }))
    }
}
