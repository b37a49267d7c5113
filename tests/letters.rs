//! Letters as a printer and a reader of PDF get them, through Poppler: the text can be read, searched and copied, and the
//! address stands where the window of the envelope is.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::fs;
use std::process::Command;

use breachpost::message::facts::sample;
use breachpost::message::letter::{Letters, Sheet, Window};
use breachpost::message::template::{Filled, Templates};

fn lines(text: &[&str]) -> Vec<String> {
    text.iter().map(|line| (*line).to_owned()).collect()
}
fn message(language: &str) -> Filled {
    let templates = Templates::load(None).unwrap();
    templates
        .fill_individual(&sample::person(templates.labels(language).unwrap()))
        .unwrap()
}
fn add(letters: &mut Letters, filled: &Filled, to: &[&str]) {
    let sheet = Sheet {
        sender: &lines(&[
            "Brasserie du Kirchberg S.A.",
            "12, rue Erasme, L-1468 Luxembourg",
            "+352 621 000 111",
        ]),
        to: &lines(to),
        marks: &lines(&["22 novembre 2026", "B-2026-001", "dlv_1"]),
        subject: &filled.subject,
        text: &filled.blocks(),
    };
    letters.add(&sheet).unwrap();
}
/// What one of Poppler's programs says of a file.
fn poppler(program: &str, more: &[&str], pdf: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters.pdf");
    fs::write(&file, pdf).unwrap();
    let ran = Command::new(program)
        .args(more)
        .arg(&file)
        .args(["-"].iter().filter(|_| program == "pdftotext"))
        .output();
    let ran = ran.unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.is_empty(), "{said}");
    String::from_utf8(ran.stdout).unwrap()
}
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_text_is_that_of_the_mail() {
    for language in ["en", "fr", "de", "nl", "lb", "pt"] {
        let filled = message(language);
        let mut letters = Letters::new(Window::Left, language);
        add(
            &mut letters,
            &filled,
            &["Łukasz Żółć", "ul. Główna 1", "00-001 Łódź", "POLAND"],
        );
        let text = flat(&poppler("pdftotext", &["-layout"], &letters.finish()));
        for name in ["Łukasz Żółć", "00-001 Łódź", "22 novembre 2026"] {
            assert!(text.contains(name), "{name} in {text}");
        }
        for word in filled.rendered().text.split_whitespace() {
            let is_line = word.chars().all(|c| matches!(c, '-' | '='));
            assert!(is_line || text.contains(word), "{word} of {language} in {text}");
        }
    }
}

#[test]
fn names_print_in_their_own_letters() {
    let names = [
        "Jiří Dvořák",
        "Ștefan Țîrlea",
        "Ωραία Παπαδοπούλου",
        "Георги Ъгълов",
        "Þóra Ðalsdóttir",
    ];
    let filled = message("fr");
    let mut letters = Letters::new(Window::Right, "fr");
    for name in names {
        add(&mut letters, &filled, &[name, "Rue 1", "L-1111 Luxembourg"]);
    }
    let pdf = letters.finish();
    let text = poppler("pdftotext", &[], &pdf);
    for name in names {
        assert!(text.contains(name), "{name} in {text}");
    }
    let fonts = poppler("pdffonts", &[], &pdf);
    let embedded: Vec<&str> = fonts.lines().skip(2).collect();
    assert_eq!(embedded.len(), 1, "{fonts}");
    // Embedded, cut to what is used, and readable as text.
    assert!(embedded[0].contains("yes yes yes"), "{fonts}");
}

/// DIN 5008 form B: the address in 27.3 mm below 62.7 mm, inside the window of 85 mm from 20 mm on; the one at the right
/// as NF Z 11-001 has it.
#[test]
fn the_address_stands_in_the_window() {
    let long = [
        "Frau Dr. Anne-Sophie Freifrau von Musterhausen",
        "Brasserie du Kirchberg S.A.",
        "c/o Weber",
        "12, rue Erasme",
        "L-1468 Luxembourg",
    ];
    for (window, left, right) in [(Window::Left, 25.0, 105.0), (Window::Right, 110.0, 190.0)] {
        let mut letters = Letters::new(window, "de");
        add(&mut letters, &message("de"), &long);
        let top = if window == Window::Left { 62.7 } else { 55.0 };
        let page = poppler("pdftotext", &["-bbox", "-l", "1"], &letters.finish());
        let attribute = |line: &str, name: &str| -> f32 {
            let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap();
            rest.split('"').next().unwrap().parse::<f32>().unwrap() / 72.0 * 25.4
        };
        for word in ["Frau", "Musterhausen", "c/o", "Weber", "L-1468"] {
            let places: Vec<&str> = page
                .lines()
                .filter(|line| line.contains(&format!(">{word}<")))
                .collect();
            let inside = places.iter().any(|line| {
                attribute(line, "xMin") >= left - 0.1
                    && attribute(line, "xMax") <= right
                    && attribute(line, "yMin") >= top - 0.1
                    && attribute(line, "yMax") <= top + 27.9
            });
            assert!(inside, "{word} at {places:?}");
        }
        let first = page.lines().find(|line| line.contains(">Frau<")).unwrap();
        assert!((attribute(first, "xMin") - left).abs() < 0.5, "{first}");
    }
}

#[test]
fn a_thousand_letters_are_a_small_file() {
    let filled = message("lb");
    let mut letters = Letters::new(Window::Left, "lb");
    for n in 0..1000 {
        add(
            &mut letters,
            &filled,
            &[&format!("Zoé {n}"), "Rue 1", "L-1111 Luxembourg"],
        );
    }
    let (pages, pdf) = (letters.pages(), letters.finish());
    assert!(pages >= 2000, "{pages}");
    assert!(pdf.len() < 4_000_000, "{} bytes", pdf.len());
    if let Some(kept) = std::env::var_os("KEEP_LETTERS") {
        fs::write(kept, pdf).unwrap();
    }
}
