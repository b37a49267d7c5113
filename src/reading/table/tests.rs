//! Lists as programs really write them, and as nobody should.

mod sheets;

use std::io::Write;

use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::*;

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}
fn open(bytes: &[u8]) -> Result<Table, TableError> {
    Table::open(file(bytes).path(), &Options::default())
}
/// The table and all its rows.
#[track_caller]
fn read(bytes: &[u8]) -> (Table, Vec<Row>) {
    read_with(bytes, &Options::default())
}
#[track_caller]
fn read_with(bytes: &[u8], options: &Options) -> (Table, Vec<Row>) {
    let file = file(bytes);
    let table = Table::open(file.path(), options).unwrap();
    let mut rows = table.rows().unwrap();
    let all: Vec<Row> = rows.by_ref().map(Result::unwrap).collect();
    assert_eq!(rows.sha256(), table.sha256(), "each pass reads the whole file");
    assert_eq!(all.len() as u64, table.row_count());
    assert!(all.iter().all(|row| row.cells.len() == table.columns().len()));
    (table, all)
}
fn cells(row: &Row) -> Vec<&str> {
    row.cells.iter().map(String::as_str).collect()
}
/// Number, line, flaw and its column.
fn flaws(rows: &[Row]) -> Vec<(u64, FlawKind, Option<usize>)> {
    rows.iter()
        .filter_map(|row| row.flaw.map(|flaw| (row.number, flaw.kind, flaw.column)))
        .collect()
}
fn encoded(label: &str, text: &str) -> Vec<u8> {
    match label {
        "utf-8 with mark" => [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
        "utf-16le" => text.encode_utf16().fold(vec![0xFF, 0xFE], |all, unit| {
            [all, unit.to_le_bytes().to_vec()].concat()
        }),
        "utf-16be" => text.encode_utf16().fold(vec![0xFE, 0xFF], |all, unit| {
            [all, unit.to_be_bytes().to_vec()].concat()
        }),
        label => encoding_rs::Encoding::for_label(label.as_bytes())
            .unwrap()
            .encode(text)
            .0
            .into_owned(),
    }
}

#[test]
fn every_delimiter_in_every_encoding_with_every_line_end() {
    for delimiter in [",", ";", "\t", "|"] {
        for encoding in ["utf-8", "utf-8 with mark", "utf-16le", "utf-16be", "windows-1252"] {
            for line_end in ["\n", "\r\n", "\r"] {
                let text = [
                    "Prénom|E-Mail|Straße",
                    "Jürgen|j@müller.example|Äußere Gasse",
                    "Zoë|z@example.lu|Où",
                ]
                .join(line_end)
                .replace('|', delimiter);
                let (table, rows) = read(&encoded(encoding, &text));
                let named = format!("{delimiter:?} {encoding} {line_end:?}: {table:?}");
                assert_eq!(table.columns(), ["Prénom", "E-Mail", "Straße"], "{named}");
                assert_eq!(
                    cells(&rows[0]),
                    ["Jürgen", "j@müller.example", "Äußere Gasse"],
                    "{named}"
                );
                assert_eq!((rows.len(), rows[1].number, rows[1].line), (2, 3, Some(3)), "{named}");
                let Format::Csv {
                    delimiter: found,
                    encoding_guessed,
                    ..
                } = table.format()
                else {
                    panic!("{named}");
                };
                assert_eq!(
                    (found.to_string().as_str(), *encoding_guessed),
                    (delimiter, encoding == "windows-1252")
                );
            }
        }
    }
    let western = Options {
        encoding: Some("ISO-8859-15".into()),
        ..Options::default()
    };
    let (_, rows) = read_with(b"email,price\na@b.lu,5 \xA4", &western);
    assert_eq!(rows[0].cells[1], "5 €");
}

#[test]
fn rows_keep_their_numbers_whatever_stands_in_them() {
    let text = "email,note\r\n\"a@b.lu\",\"first\r\nsecond \"\"quoted\"\", with comma\"\r\n\r\n,\r\nc@d.lu,\"\"\r\n e@f.lu ,x\"y\"\r\n";
    let (_, rows) = read(text.as_bytes());
    let seen: Vec<_> = rows.iter().map(|row| (row.number, row.line, cells(row))).collect();
    assert_eq!(
        seen,
        [
            (2, Some(2), vec!["a@b.lu", "first\r\nsecond \"quoted\", with comma"]),
            (5, Some(6), vec!["c@d.lu", ""]),
            (6, Some(7), vec![" e@f.lu ", "x\"y\""]),
        ],
        "blank rows count as rows of the sheet, not as rows of the list"
    );
    let (table, rows) = read(b"sep=;\nemail;name\na@b.lu;A");
    assert_eq!(
        (table.columns(), rows[0].number),
        (&["email".to_owned(), "name".to_owned()][..], 3)
    );
    let (table, rows) = read(b"\n\nemail\na@b.lu\n");
    assert_eq!(
        (table.columns().len(), rows[0].number),
        (1, 4),
        "one column needs no delimiter"
    );
    let (_, rows) = read(b"email,name\na@b.lu,A,,\n");
    assert_eq!(flaws(&rows), [], "empty cells at the end are harmless");
}

#[test]
fn what_cannot_be_read_is_a_flaw_of_its_row() {
    let long = "x".repeat(1_000_000);
    let many = ",".repeat(600);
    let text = [
        &b"email,name\n"[..],
        b"ok@b.lu,M\xC3\xBCller\n",
        b"mixed@b.lu,M\xFCller\n",
        b"nul@b.lu,a\0b\n",
        format!("long@b.lu,{long}\n").as_bytes(),
        b"short@b.lu\n",
        b"much@b.lu,a,b\n",
        format!("wide@b.lu,a{many}b\n").as_bytes(),
        "ok@b.lu,Zoë\n".as_bytes(),
    ]
    .concat();
    let (_, rows) = read(&text);
    assert_eq!(
        flaws(&rows),
        [
            (3, FlawKind::NotText, Some(1)),
            (4, FlawKind::Nul, Some(1)),
            (5, FlawKind::CellTooLong, Some(1)),
            (6, FlawKind::Ragged, None),
            (7, FlawKind::Ragged, None),
            (8, FlawKind::Ragged, None),
        ]
    );
    assert_eq!(cells(&rows[7]), ["ok@b.lu", "Zoë"], "and the rows after it are whole");
    assert!(rows[3].cells[1].len() <= KEPT_OF_LONG_CELL);
    let wide = format!("email,a,b\n{}\nok@b.lu,x,y", "\"é\",".repeat(300_000));
    assert_eq!(flaws(&read(wide.as_bytes()).1).len(), 1, "a row of megabytes");
    let half = [
        &b"\xFF\xFEe\0m\0a\0i\0l\0\n\0a\0@\0b\0.\0l\0u\0\n\0"[..],
        b"\x00\xD8x\0",
    ]
    .concat();
    assert_eq!(
        flaws(&read(&half).1),
        [(3, FlawKind::NotText, Some(0))],
        "half a surrogate pair"
    );
}

#[test]
fn files_that_are_no_lists_say_what_to_do() {
    for (bytes, words) in [
        (&b""[..], "is empty"),
        (b"\n \n", "has no header"),
        (b"\xEF\xBB\xBF", "has no header"),
        (b"[{\"email\":\"a@b.lu\"}]", "jq -c"),
        (b"email,name\n\"a@b.lu,A\nc@d.lu,C\n", "row 2 of"),
        (b"{\n", "none of its lines"),
        (b"%PDF-1.7", "is a PDF"),
        (b"<html><table><tr><td>email", "HTML or XML"),
        (b"\xEF\xBB\xBF<?xml version=\"1.0\"?>", "HTML or XML"),
        (b"\r\n <table>", "HTML or XML"),
        (b"\x1F\x8B\x08", "unpack it first"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "old Excel file"),
        (b"e\0m\0a\0i\0l\0", "--encoding utf-16le"),
        (b"\0e\0m\0a\0i\0l", "--encoding utf-16be"),
        (b"\xFF\xFE\0\0e\0\0\0", "in UTF-32"),
        (b"\0\0\0\0\0\0", "no text"),
        (b"PK\x03\x04nonsense", "cannot be unpacked"),
        (b"\xFFmail\xFF,name\nx,\xC3\xA9\xC3\xA9\xC3\xA9", "--encoding"),
    ] {
        let error = open(bytes).map(|table| format!("{table:?}")).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
    let wide = vec![b','; MAX_COLUMNS + 5];
    assert!(matches!(
        open(&[b"a", &wide[..], b"b"].concat()),
        Err(TableError::TooManyColumns { .. })
    ));
    let unknown = Options {
        encoding: Some("klingon".into()),
        ..Options::default()
    };
    let error = Table::open(file(b"email\na@b.lu").path(), &unknown).unwrap_err();
    assert!(matches!(error, TableError::NoSuchEncoding { .. }));
    let folder = tempfile::tempdir().unwrap();
    // A pipe that nobody writes to must not keep anybody waiting.
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in [folder.path(), &pipe, Path::new("/dev/zero"), Path::new("/dev/null")] {
        let error = Table::open(path, &Options::default()).unwrap_err();
        assert!(
            matches!(error, TableError::NotAFile { .. }),
            "{}: {error}",
            path.display()
        );
    }
    let missing = Table::open(&folder.path().join("missing.csv"), &Options::default()).unwrap_err();
    assert!(matches!(missing, TableError::Read { .. }));
}

#[test]
fn an_encoding_that_the_file_does_not_tell_is_taken_from_the_person() {
    let text = "email,name\r\na@b.lu,Zoë\r\n";
    for (label, bytes) in [
        (
            "utf-16le",
            text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
        ),
        ("utf-16be", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ] {
        let said = Options {
            encoding: Some(label.into()),
            ..Options::default()
        };
        let (table, rows) = read_with(&bytes, &said);
        assert_eq!(
            (table.columns().len(), cells(&rows[0])),
            (2, vec!["a@b.lu", "Zoë"]),
            "{label}"
        );
    }
}

/// Half of the rows in one encoding, half in another: those that cannot be read are named, the others come in.
#[test]
fn two_encodings_in_one_file() {
    let mut bytes = b"email,name\n".to_vec();
    for n in 0..1_000 {
        bytes.extend(format!("p{n}@b.lu,").bytes());
        bytes.extend_from_slice(if n % 2 == 0 {
            "Jürgen\n".as_bytes()
        } else {
            b"J\xFCrgen\n"
        });
    }
    let (table, rows) = read(&bytes);
    assert!(matches!(
        table.format(),
        Format::Csv {
            encoding: "UTF-8",
            encoding_guessed: true,
            ..
        }
    ));
    let wanted: Vec<_> = (0..500).map(|n| (2 * n + 3, FlawKind::NotText, Some(1))).collect();
    assert_eq!(flaws(&rows), wanted);
}

#[test]
fn json_lines() {
    let text = concat!(
        "{\"email\":\"a@b.lu\",\"data\":[\"name\",\"iban\"],\"number\":4711,\"active\":true,\"note\":null}\n",
        "\n",
        "{\"email\":\"c@d.lu\",\"email\":\"e@f.lu\"}\n",
        "{\"email\":\"c@d.lu\",\"name\":{\"first\":\"C\"}}\n",
        "{\"email\":\"c@d.lu\"\n",
        "[1]\n",
        "{\"email\":\"g@h.lu\",\"city\":\"Wiltz\"}\r\n",
    );
    let deep = format!("{{\"email\":{}1{}}}\n", "[".repeat(100_000), "]".repeat(100_000));
    let long = format!("{{\"email\":\"{}\"}}\n", "x".repeat(MAX_ROW_BYTES));
    let (table, rows) = read(format!("{text}{deep}{long}").as_bytes());
    assert_eq!(
        table.columns(),
        ["email", "data", "number", "active", "note", "name", "city"]
    );
    assert_eq!(cells(&rows[0]), ["a@b.lu", "name, iban", "4711", "true", "", "", ""]);
    assert_eq!(
        flaws(&rows),
        [
            (3, FlawKind::KeyTwice, None),
            (4, FlawKind::Nested, Some(5)),
            (5, FlawKind::NotJson, None),
            (6, FlawKind::NotJson, None),
            (8, FlawKind::NotJson, None),
            (9, FlawKind::RowTooLong, None),
        ]
    );
    assert_eq!((rows[5].cells[0].as_str(), rows[5].number), ("g@h.lu", 7));
}

#[test]
fn a_file_that_was_replaced_has_another_digest() {
    let mut file = file(b"email\na@b.lu\n");
    let table = Table::open(file.path(), &Options::default()).unwrap();
    let mut rows = table.rows().unwrap();
    assert_eq!(rows.by_ref().count(), 1);
    assert_eq!(rows.sha256(), table.sha256());
    file.write_all(b"c@d.lu\n").unwrap();
    let mut rows = table.rows().unwrap();
    assert_eq!(rows.by_ref().count(), 2);
    assert_ne!(rows.sha256(), table.sha256());
}

proptest! {
    /// What a CSV library writes is read back, cell by cell.
    #[test]
    fn what_is_written_is_read(rows in prop::collection::vec(prop::collection::vec("[a-zé,;\"\r\n ]{0,8}", 3), 1..20)) {
        let mut writer = csv::Writer::from_writer(b"one,two,three\n".to_vec());
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let (_, read) = read(&writer.into_inner().unwrap());
        let wanted: Vec<_> = rows.iter().filter(|row| row.iter().any(|cell| !cell.trim().is_empty())).collect();
        prop_assert_eq!(read.iter().map(|row| &row.cells).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn any_bytes_end_in_rows_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let with_header = [b"email,name\n", &bytes[..]].concat();
        for bytes in [&bytes, &with_header] {
            if let Ok(table) = open(bytes) {
                prop_assert!(!table.columns().is_empty() || table.row_count() == 0);
            }
        }
    }
}
