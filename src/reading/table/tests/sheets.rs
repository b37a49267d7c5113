//! Workbooks and open documents: what their cells show, and those that would unpack to too much.

use std::io::Write;

use rust_xlsxwriter::{ExcelDateTime, Format as CellFormat, Formula, Workbook};

use super::*;

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
