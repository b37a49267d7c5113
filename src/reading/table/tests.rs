//! Lists as programs really write them, and as nobody should.

use std::io::Write;

use proptest::prelude::*;
use rust_xlsxwriter::{ExcelDateTime, Format as CellFormat, Formula, Workbook};
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
fn spreadsheets_show_what_a_person_sees() {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet().set_name("Persons").unwrap();
    for (place, name) in ["email", "number", "born", "total", "note"].iter().enumerate() {
        sheet.write(1, place as u16, *name).unwrap();
    }
    sheet.write(2, 0, "a@b.lu").unwrap();
    sheet.write(2, 1, 4711).unwrap();
    let date = CellFormat::new().set_num_format("dd.mm.yyyy");
    let born = ExcelDateTime::from_ymd(1975, 3, 4).unwrap();
    sheet.write_with_format(2, 2, &born, &date).unwrap();
    sheet.write(2, 3, Formula::new("=1+1").set_result("2")).unwrap();
    sheet.write(2, 4, 0.5).unwrap();
    sheet.write(4, 0, "=cmd|' /C calc'!A0").unwrap();
    sheet.write(4, 9, "beyond the header").unwrap();
    let other = book.add_worksheet().set_name("Other").unwrap();
    other.write(0, 0, "mail").unwrap();
    let bytes = book.save_to_buffer().unwrap();

    let (table, rows) = read(&bytes);
    assert_eq!(
        table.format(),
        &Format::Xlsx {
            sheet: "Persons".into(),
            others: vec!["Other".into()]
        }
    );
    assert_eq!(cells(&rows[0]), ["a@b.lu", "4711", "1975-03-04", "2", "0.5"]);
    assert_eq!((rows[0].number, rows[0].line), (3, None));
    assert_eq!(
        rows[1].cells[0], "=cmd|' /C calc'!A0",
        "a text that looks like a formula"
    );
    assert_eq!(flaws(&rows), [(5, FlawKind::Ragged, None)]);
    let named = Options {
        sheet: Some("other".into()),
        ..Options::default()
    };
    assert_eq!(read_with(&bytes, &named).0.columns(), ["mail"]);
    let missing = Options {
        sheet: Some("Third".into()),
        ..Options::default()
    };
    let error = Table::open(file(&bytes).path(), &missing).unwrap_err().to_string();
    assert!(error.contains("Persons, Other"), "{error}");
}

/// Numbers that are names of something: as the sheet shows them, whatever the program that wrote it thinks they are.
#[test]
fn numbers_come_out_as_they_are_shown() {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    let format = |code: &str| CellFormat::new().set_num_format(code);
    sheet.write(0, 0, "email").unwrap();
    for (place, (value, code, _)) in (1_u16..).zip(SHOWN) {
        sheet.write(0, place, format!("c{place}")).unwrap();
        sheet.write_with_format(1, place, value, &format(code)).unwrap();
    }
    sheet.write(1, 0, "a@b.lu").unwrap();
    sheet.write_with_format(2, 0, "c@d.lu", &format("00000")).unwrap();
    sheet.write_with_format(2, 1, "01067", &format("@")).unwrap();
    let (_, rows) = read(&book.save_to_buffer().unwrap());
    let shown: Vec<&str> = SHOWN.iter().map(|(_, _, shown)| *shown).collect();
    assert_eq!(cells(&rows[0])[1..], shown);
    assert_eq!(cells(&rows[1])[..2], ["c@d.lu", "01067"]);
}
/// A number, its format, and what must come out.
const SHOWN: [(f64, &str, &str); 11] = [
    (1067.0, "00000", "01067"),
    (1067.0, "[$-407]00000", "01067"),
    (1067.0, "00000;@", "01067"),
    (54290.0, "0000", "54290"),
    (1067.0, "General", "1067"),
    (1067.0, "@", "1067"),
    (1_234_567.0, "General", "1234567"),
    (352_621_000_111.0, "0.00E+00", "352621000111"),
    (123_456_789_012_345.0, "#,##0", "123456789012345"),
    (0.5, "000", "0.5"),
    (-7.0, "000", "-7"),
];

#[test]
fn merged_cells_have_their_text_once() {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.write(0, 0, "email").unwrap();
    sheet.write(0, 1, "note").unwrap();
    sheet.write(1, 0, "a@b.lu").unwrap();
    sheet.write(2, 0, "c@d.lu").unwrap();
    sheet.merge_range(1, 1, 2, 1, "both", &CellFormat::new()).unwrap();
    let (_, rows) = read(&book.save_to_buffer().unwrap());
    assert_eq!(
        (cells(&rows[0]), cells(&rows[1])),
        (vec!["a@b.lu", "both"], vec!["c@d.lu", ""])
    );
}

/// An XLSX file with this sheet, and these shared texts and styles.
fn xlsx(rows: &str, texts: &str, styles: &str) -> Vec<u8> {
    let of = |name: &str, inside: &str| {
        format!(
            "<{name} xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\">{inside}</{name}>"
        )
    };
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let relations = format!(
        "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
         <Relationship Id=\"r1\" Type=\"{kind}/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
         <Relationship Id=\"r2\" Type=\"{kind}/sharedStrings\" Target=\"sharedStrings.xml\"/></Relationships>"
    );
    let root = format!(
        "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
         <Relationship Id=\"r1\" Type=\"{kind}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
    );
    zip(&[
        ("_rels/.rels", root.as_bytes()),
        (
            "xl/workbook.xml",
            of(
                "workbook",
                "<sheets><sheet name=\"One\" sheetId=\"1\" r:id=\"r1\"/></sheets>",
            )
            .as_bytes(),
        ),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        (
            "xl/worksheets/sheet1.xml",
            of("worksheet", &format!("<sheetData>{rows}</sheetData>")).as_bytes(),
        ),
        ("xl/sharedStrings.xml", of("sst", texts).as_bytes()),
        ("xl/styles.xml", of("styleSheet", styles).as_bytes()),
    ])
}

#[test]
fn a_small_workbook_that_would_be_large_is_cut_or_refused() {
    let header = "<row r=\"1\"><c t=\"s\"><v>0</v></c><c t=\"s\"><v>1</v></c></row>";
    let good = "<row r=\"9\"><c t=\"s\"><v>2</v></c></row>";
    let texts =
        |last: &str| format!("<si><t>email</t></si><si><t>note</t></si><si><t>a@b.lu</t></si><si><t>{last}</t></si>");
    let cell = "<c t=\"s\"><v>3</v></c>";

    // One long text in a thousand cells, and one that is just short enough.
    let long = format!("{header}<row r=\"2\">{}</row>{good}", cell.repeat(1_000));
    let (_, rows) = read(&xlsx(&long, &texts(&"x".repeat(1_000_000)), ""));
    assert_eq!(flaws(&rows), [(2, FlawKind::CellTooLong, Some(0))]);
    let (_, rows) = read(&xlsx(&long, &texts(&"x".repeat(MAX_CELL_BYTES)), ""));
    assert_eq!(flaws(&rows), [(2, FlawKind::Ragged, None)]);
    assert_eq!(cells(&rows[1]), ["a@b.lu", ""], "and the rows after it are whole");
    let wide_header = (0..40)
        .map(|n| format!("<c t=\"inlineStr\"><is><t>c{n}</t></is></c>"))
        .collect::<String>();
    let wide = format!("<row r=\"1\">{wide_header}</row><row r=\"2\">{}</row>", cell.repeat(40));
    let (_, rows) = read(&xlsx(&wide, &texts(&"x".repeat(MAX_CELL_BYTES)), ""));
    assert_eq!(flaws(&rows), [(2, FlawKind::RowTooLong, None)]);

    let endless = format!("{header}<row r=\"2\">{}</row>", "<c/>".repeat(20_000));
    let styles = format!("<cellXfs>{}</cellXfs>", "<xf/>".repeat(1_700_000));
    for (bomb, words) in [
        (xlsx(&endless, &texts(""), ""), "more than 500 columns"),
        (xlsx(header, &"<si/>".repeat(10_000_001), ""), "10 million texts"),
        (xlsx(header, &texts(""), &styles), "too many formats"),
    ] {
        assert!(bomb.len() < 1_000_000);
        let error = open(&bomb).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

/// A ZIP file with these parts.
fn zip(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in parts {
        let deflated = zip::write::SimpleFileOptions::default();
        writer.start_file(*name, deflated).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
fn ods(rows: &str) -> Vec<u8> {
    let content = format!(
        "<office:document-content xmlns:office=\"o\" xmlns:table=\"t\" xmlns:text=\"x\"><office:body><office:spreadsheet>\
         <table:table table:name=\"Liste\">{rows}</table:table></office:spreadsheet></office:body></office:document-content>"
    );
    ods_of(&content)
}
fn ods_of(content: &str) -> Vec<u8> {
    zip(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", b"<manifest:manifest xmlns:manifest=\"m\"/>"),
        ("content.xml", content.as_bytes()),
    ])
}

#[test]
fn open_document_sheets() {
    let text = |text: &str| {
        format!("<table:table-cell office:value-type=\"string\"><text:p>{text}</text:p></table:table-cell>")
    };
    let number =
        "<table:table-cell office:value-type=\"float\" office:value=\"4711\"><text:p>4711</text:p></table:table-cell>";
    let blank = "<table:table-row table:number-rows-repeated=\"1048570\"><table:table-cell table:number-columns-repeated=\"16384\"/></table:table-row>";
    let rows = format!(
        "<table:table-row>{}{}</table:table-row><table:table-row>{}{number}</table:table-row>{blank}",
        text("email"),
        text("number"),
        text("zoë@example.lu")
    );
    let (table, rows) = read(&ods(&rows));
    assert_eq!(
        (table.columns(), table.format()),
        (
            &["email".to_owned(), "number".to_owned()][..],
            &Format::Ods {
                sheet: "Liste".into(),
                others: Vec::new()
            }
        )
    );
    assert_eq!(
        (cells(&rows[0]), rows[0].number, rows.len()),
        (vec!["zoë@example.lu", "4711"], 2, 1)
    );
}

#[test]
fn a_small_open_document_that_would_be_large_is_refused() {
    let cell = |attributes: &str, inside: &str| {
        format!("<table:table-cell office:value-type=\"string\" {attributes}>{inside}</table:table-cell>")
    };
    let row = |attributes: &str, inside: &str| format!("<table:table-row {attributes}>{inside}</table:table-row>");
    let text = cell("", "<text:p>x</text:p>");
    let far = "<table:table-cell table:number-columns-repeated=\"16000\"/>";
    let valued = "<table:table-cell office:value=\"1\" table:number-columns-repeated=\"16000\"/>";
    let long = "y".repeat(100_000);
    for (what, rows) in [
        ("rows", row("table:number-rows-repeated=\"1000000\"", &text.repeat(10))),
        (
            "a sign of the tag in another value",
            row("a=\">\" table:number-rows-repeated=\"1000000\"", &text.repeat(10)),
        ),
        (
            "columns",
            row(
                "",
                &cell("table:number-columns-repeated=\"9000000\"", "<text:p>x</text:p>"),
            ),
        ),
        (
            "cells before the one with content",
            row("", &format!("{far}{text}")).repeat(500),
        ),
        ("values without a text", row("", valued).repeat(500)),
        (
            "rows before the one with content",
            format!(
                "{}{}{}",
                row("", &text),
                row("table:number-rows-repeated=\"1000000\"", "<table:table-cell/>"),
                row("", &text.repeat(10))
            ),
        ),
    ] {
        let error = open(&ods(&rows)).map(|_| what).unwrap_err().to_string();
        assert!(error.contains("5 million cells"), "{what}: {error}");
    }
    for (what, rows) in [
        (
            "a long text",
            row(
                "",
                &cell(
                    "table:number-columns-repeated=\"4000\"",
                    &format!("<text:p>{long}</text:p>"),
                ),
            ),
        ),
        (
            "spaces",
            row("", &cell("", "<text:p><text:s text:c=\"4000000000\"/></text:p>")),
        ),
    ] {
        let error = open(&ods(&rows)).map(|_| what).unwrap_err().to_string();
        assert!(error.contains("save it as CSV"), "{what}: {error}");
    }
    for (what, rows) in [
        ("a note without its end", row("", &cell("", "<office:annotation>"))),
        ("a row in a row", row("", &row("", &text))),
        ("no number", row("table:number-rows-repeated=\"many\"", &text)),
    ] {
        let error = open(&ods(&rows)).map(|_| what).unwrap_err().to_string();
        assert!(error.contains("save it as CSV"), "{what}: {error}");
    }
    // The library would look for the end for ever.
    let cut = ods_of("<d><table:table table:name=\"Liste\"><table:table-row></table:table-row>");
    assert!(open(&cut).unwrap_err().to_string().contains("not in order"));
}

#[test]
fn what_unpacks_to_too_much_is_refused_before_it_is_unpacked() {
    let zeros = vec![b' '; 257_000_000];
    let bomb = zip(&[("xl/workbook.xml", b"<workbook/>"), ("xl/sharedStrings.xml", &zeros)]);
    assert!(bomb.len() < 2_000_000);
    let error = open(&bomb).unwrap_err();
    assert!(
        matches!(&error, TableError::TooLarge { what, .. } if what == "as it declares"),
        "{error}"
    );
    assert!(error.to_string().contains("save it as CSV"), "{error}");
    // The same with a lie about its size, in the local header and in the directory.
    let size = 257_000_000_u32.to_le_bytes();
    let mut liar = bomb;
    let places: Vec<usize> = (0..liar.len() - 4).filter(|at| liar[*at..*at + 4] == size).collect();
    assert!(!places.is_empty());
    for at in places {
        liar[at..at + 4].copy_from_slice(&1000_u32.to_le_bytes());
    }
    assert!(open(&liar).is_err());
    assert!(
        open(&zip(&[("letter.txt", b"hello")]))
            .unwrap_err()
            .to_string()
            .contains("no list")
    );
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
