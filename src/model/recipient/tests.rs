//! Rows as people write them, and what they come to.

use super::*;

fn row(cells: &[&str]) -> Row {
    Row {
        number: 2,
        line: Some(2),
        cells: cells.iter().map(|cell| (*cell).to_owned()).collect(),
        flaw: None,
    }
}
fn columns(header: &str) -> Columns {
    let names: Vec<String> = header.split(',').map(str::to_owned).collect();
    Columns::of(&names, &[]).unwrap()
}
fn read(header: &str, cells: &[&str]) -> Understood {
    understand(&columns(header), &row(cells))
}
#[track_caller]
fn person(header: &str, cells: &[&str]) -> Recipient {
    match read(header, cells) {
        Understood::Usable(recipient) => *recipient,
        other => panic!("{cells:?}: {other:?}"),
    }
}
#[track_caller]
fn refused(header: &str, cells: &[&str]) -> Unusable {
    match read(header, cells) {
        Understood::Unusable { why, .. } => why,
        other => panic!("{cells:?}: {other:?}"),
    }
}

#[test]
fn addresses_that_are_taken() {
    for (cell, address, domain, flags) in [
        ("anna@example.lu", "anna@example.lu", "example.lu", Flags::default()),
        (
            " JEAN.Dupont@Example.FR\u{a0}",
            "JEAN.Dupont@Example.FR",
            "example.fr",
            Flags::default(),
        ),
        (
            "jürgen@müller.example",
            "jürgen@müller.example",
            "xn--mller-kva.example",
            Flags::default(),
        ),
        (
            "o'brien+payroll@example.org",
            "o'brien+payroll@example.org",
            "example.org",
            Flags::default(),
        ),
        ("\"a b\"@example.org", "", "", Flags::default()),
        (
            "Anna Weber <anna@example.lu>",
            "anna@example.lu",
            "example.lu",
            Flags::DISPLAY_FORM,
        ),
        ("Info@example.lu", "Info@example.lu", "example.lu", Flags::ROLE),
    ] {
        if address.is_empty() {
            // Quoted local parts with spaces break more programs than they serve people.
            assert_eq!(refused("email", &[cell]).reason, Reason::AddressCharacters);
            continue;
        }
        let found = mailable(trim(cell)).unwrap();
        assert_eq!(
            (found.address.as_str(), found.domain.as_str(), found.flags),
            (address, domain, flags)
        );
    }
}

#[test]
fn addresses_that_are_not() {
    for (cell, reason) in [
        ("", Reason::NoAddress),
        ("  ", Reason::NoAddress),
        ("<>", Reason::NoAddress),
        ("not-an-address", Reason::AddressWithoutAt),
        ("anna@example.lu, bob@example.lu", Reason::SeveralAddresses),
        ("anna@example.lu;bob@example.lu", Reason::SeveralAddresses),
        ("anna@example.lu bob@example.lu", Reason::SeveralAddresses),
        ("anna@example.lu\nBcc: all@example.org", Reason::SeveralAddresses),
        ("anna@example.lu\nX-Header: 1", Reason::LineBreak),
        ("<anna@example.lu> <b>", Reason::AddressCharacters),
        ("anna @example.lu", Reason::AddressCharacters),
        ("anna\u{200e}@exam ple.lu", Reason::AddressCharacters),
        ("a(b)@example.lu", Reason::AddressLocalPart),
        ("@example.lu", Reason::AddressLocalPart),
        ("anna@localhost", Reason::AddressDomain),
        ("anna@[127.0.0.1]", Reason::AddressDomain),
        ("anna@10.0.0.1", Reason::AddressDomain),
        ("anna@example..lu", Reason::AddressDomain),
        ("anna@-x.lu", Reason::AddressDomain),
    ] {
        assert_eq!(mailable(trim(cell)).err(), Some(reason), "{cell:?}");
        let why = refused("name,email", &["Anna", cell]);
        assert_eq!((why.reason, why.column), (reason, Some(1)));
    }
}

#[test]
fn nothing_that_could_stand_in_a_header_breaks_one() {
    for (cell, reason) in [
        ("Eve\nBcc: everyone@example.org", Reason::LineBreak),
        ("Eve\r\nX: y", Reason::LineBreak),
        ("Eve\u{2028}x", Reason::LineBreak),
        ("Eve\u{1b}[2J", Reason::ControlCharacter),
        ("Eve\u{202e}gpj.exe", Reason::ControlCharacter),
        (&"x".repeat(201), Reason::TooLong),
        (&"é".repeat(201), Reason::TooLong),
    ] {
        for column in ["name", "first_name", "language", "country", "person_id"] {
            let why = refused(&format!("email,{column}"), &["anna@example.lu", cell]);
            assert_eq!((why.reason, why.column), (reason, Some(1)), "{column}");
        }
    }
    let anna = person(
        "email,name,street",
        &["anna@example.lu", "李小龍", "1, rue X\nBâtiment B"],
    );
    assert_eq!(
        anna.fields.first("street"),
        Some("1, rue X\nBâtiment B"),
        "postal addresses have lines"
    );
}

#[test]
fn one_person_is_one_whatever_the_spelling() {
    let key = |address: &str, name: &str| person("email,name", &[address, name]).key;
    let jean = key("jean.dupont@example.fr", "Jean Dupont");
    for (address, name) in [
        ("JEAN.DUPONT@Example.fr", "Jean Dupont"),
        ("jean.dupont@example.fr", " jean  DUPONT "),
        ("Jean Dupont <jean.dupont@example.fr>", "Jéan Dupont"),
    ] {
        assert_eq!(key(address, name), jean, "{address} {name}");
    }
    assert_eq!(key("a@müller.example", "A"), key("a@xn--mller-kva.example", "a"));
    let (marie, other) = (
        key("jean.dupont@example.fr", "Marie Dupont"),
        key("other@example.fr", "Jean Dupont"),
    );
    assert!(
        marie != jean && marie.0[..8] == jean.0[..8],
        "two persons at one address"
    );
    assert!(other != jean && other.0[..8] != jean.0[..8]);

    let by_id = |id: &str, address: &str| match read("id client,email", &[id, address]) {
        Understood::Usable(person) => Some(person.key),
        Understood::Unusable { key, .. } => key,
    };
    assert_eq!(by_id("17", "a@example.lu"), by_id(" 17 ", "b@example.lu"));
    assert_eq!(
        by_id("17", "nowhere"),
        by_id("17", "a@example.lu"),
        "known by the number all the same"
    );
    assert_eq!(by_id("", "nowhere"), None);
}

#[test]
fn names_languages_countries_and_data() {
    let anna = person(
        "E-Mail,Vorname,Nachname,Sprache,Land,Daten,Kundenberater",
        &[
            "a@example.lu",
            "Anna",
            "Weber",
            "Français",
            "luxemburg",
            "Name, Bankkonto; Schuhgröße",
            "Jo",
        ],
    );
    assert_eq!(
        (anna.language.as_deref(), anna.country.as_deref()),
        (Some("fr"), Some("LU"))
    );
    assert_eq!(anna.fields.first("name"), Some("Anna Weber"));
    assert_eq!(anna.fields.all("data"), ["basic_identity", "financial"]);
    assert_eq!(anna.fields.all("data_other"), ["Schuhgröße"]);
    assert_eq!(anna.fields.first("kundenberater"), Some("Jo"));
    assert_eq!(anna.flags, Flags::UNKNOWN_DATA);

    let header = "email,name,language,country";
    for (cells, flags) in [
        (["a@b.lu", "A", "xx", "LU"], Flags::UNKNOWN_LANGUAGE),
        (["a@b.lu", "A", "", "LU"], Flags::NO_LANGUAGE),
        (["a@b.lu", "", "fr", "LU"], Flags::NO_NAME),
        (["a@b.lu", "A", "fr", "Atlantis"], Flags::UNKNOWN_COUNTRY),
        (["a@b.lu", "=HYPERLINK(\"http://x.example\")", "fr", ""], Flags::FORMULA),
        (["a@b.lu", "-", "fr", ""], Flags::default()),
        (
            ["a@b.lu", "-----BEGIN PGP PUBLIC KEY BLOCK-----", "fr", ""],
            Flags::default(),
        ),
    ] {
        assert_eq!(person(header, &cells).flags, flags, "{cells:?}");
    }
}

#[test]
fn what_a_spreadsheet_would_compute_is_quoted_and_comes_back() {
    for cell in ["=1+1", "+352 621 000 111", "-", "@SUM(A1)", "plain", "", "'quoted'"] {
        let safe = formula_safe(cell);
        assert!(!safe.starts_with(['=', '+', '-', '@']));
        assert_eq!(unquoted(&safe), cell);
    }
    let back = person("bad_row,email,name", &["cmp_1:2", "a@b.lu", "'=1+1"]);
    assert_eq!(back.fields.first("name"), Some("=1+1"));
    assert_eq!(
        person("email,name", &["a@b.lu", "'=1+1"]).fields.first("name"),
        Some("'=1+1")
    );
}

#[test]
fn nothing_personal_is_printed() {
    let anna = person("email,name", &["anna@example.lu", "Anna Weber"]);
    let printed = format!("{anna:?} {:?} {:?}", anna.fields, anna.key);
    assert!(!printed.contains("anna") && !printed.contains("Weber"), "{printed}");
}
