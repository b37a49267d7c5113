//! Law and standards: every citation in the source and in the English templates has a row in
//! `docs/law-and-standards.md`, and every row is still cited by the files it names.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

const TABLE: &str = "docs/law-and-standards.md";
/// The other languages of a template cite the same, in their own way of writing.
const TEMPLATES: [&str; 6] = [
    "templates/authority/en.hbs",
    "templates/controller/en.hbs",
    "templates/individual/en.discreet.hbs",
    "templates/individual/en.hbs",
    "templates/labels/en.yaml",
    "templates/public/en.hbs",
];
const ARTICLE: &str = r"\d+(?:\([0-9a-z]+\))*";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// Every way in which the law and the standards are cited. In templates an article stands before the name of its law.
struct Patterns {
    line_break: Regex,
    law: Regex,
    law_in_template: Regex,
    article: Regex,
    recitals: Regex,
    number: Regex,
    periods: Regex,
    rfc: Regex,
    other: Regex,
}
impl Patterns {
    fn new() -> Self {
        Self {
            line_break: regex(r"\s*\n\s*(?:///|//!|//|--|#)?[ \t]*"),
            law: regex(&format!(
                r"GDPR Art\. {ARTICLE}(?:(?:, | and |, and | or )(?:Art\. )?{ARTICLE})*"
            )),
            law_in_template: regex(&format!(r"Art\. {ARTICLE}")),
            article: regex(ARTICLE),
            recitals: regex(r"[Rr]ecitals? \d+(?:, \d+)*"),
            number: regex(r"\d+"),
            periods: regex(r"1182/71 Art\. \d+(?:\(\d+\))?(?:(?: to |-)\(\d+\))?"),
            rfc: regex(r"RFC (\d+)(?: (§\d+(?:\.\d+)*))?"),
            other: regex(r"EDPB Guidelines \d+/\d+|CVE-\d+-\d+|ISO 3166(?:-\d)?|ISO 639|TR-02102|XOAUTH2"),
        }
    }

    /// What a text cites, each in the spelling of the table.
    fn citations(&self, text: &str, is_template: bool) -> BTreeSet<String> {
        // A citation may be broken by the end of a comment's line.
        let text = self.line_break.replace_all(text, " ");
        let mut found = BTreeSet::new();
        let law = if is_template { &self.law_in_template } else { &self.law };
        for citation in law.find_iter(&text) {
            let articles = self.article.find_iter(citation.as_str());
            found.extend(articles.map(|article| format!("GDPR Art. {}", article.as_str())));
        }
        for citation in self.recitals.find_iter(&text) {
            let numbers = self.number.find_iter(citation.as_str());
            found.extend(numbers.map(|number| format!("GDPR recital {}", number.as_str())));
        }
        found.extend(self.periods.find_iter(&text).map(|found| found.as_str().to_owned()));
        found.extend(self.other.find_iter(&text).map(|found| found.as_str().to_owned()));
        for citation in self.rfc.captures_iter(&text) {
            found.insert(match citation.get(2) {
                Some(section) => format!("RFC {} {}", &citation[1], section.as_str()),
                None => format!("RFC {}", &citation[1]),
            });
        }
        found
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if ["rs", "sql", "yaml"]
            .iter()
            .any(|end| path.extension() == Some(end.as_ref()))
        {
            files.push(path);
        }
    }
}

/// By file, relative to the repository: what it cites.
fn cited() -> BTreeMap<String, BTreeSet<String>> {
    let patterns = Patterns::new();
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    files.extend(TEMPLATES.map(|path| root().join(path)));
    files
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let found = patterns.citations(&text, TEMPLATES.contains(&name.as_str()));
            (name, found)
        })
        .collect()
}

/// A line of the table.
struct Row {
    line: usize,
    citations: Vec<String>,
    files: Vec<String>,
    obeyed: String,
}

fn rows() -> Vec<Row> {
    let table = fs::read_to_string(root().join(TABLE)).unwrap();
    let mut rows = Vec::new();
    for (number, line) in table.lines().enumerate() {
        let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            continue;
        };
        let cells: Vec<&str> = cells.split(" | ").collect();
        if cells[0] == "citation" {
            continue;
        }
        assert_eq!(cells.len(), 4, "{TABLE}:{}: a row has four cells", number + 1);
        let mut citations: Vec<String> = Vec::new();
        for citation in cells[0].split(", ") {
            // `§5` alone belongs to the document named before.
            citations.push(match (citation.strip_prefix('§'), citations.last()) {
                (Some(section), Some(before)) => {
                    let document: Vec<&str> = before.split(' ').take(2).collect();
                    format!("{} §{section}", document.join(" "))
                }
                _ => citation.to_owned(),
            });
        }
        rows.push(Row {
            line: number + 1,
            citations,
            files: cells[2]
                .split(", ")
                .map(|file| file.trim_matches('`').to_owned())
                .collect(),
            obeyed: cells[3].to_owned(),
        });
    }
    rows
}

#[test]
fn every_citation_has_a_row() {
    let listed: BTreeSet<String> = rows().into_iter().flat_map(|row| row.citations).collect();
    let mut missing = Vec::new();
    for (file, citations) in cited() {
        missing.extend(
            citations
                .difference(&listed)
                .map(|citation| format!("{file}: {citation}")),
        );
    }
    assert!(missing.is_empty(), "add a row to {TABLE} for\n{}", missing.join("\n"));
}

#[test]
fn every_row_is_still_cited_where_it_says() {
    let cited = cited();
    let everywhere: BTreeSet<&String> = cited.values().flatten().collect();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for row in rows() {
        for citation in &row.citations {
            if !everywhere.contains(citation) {
                wrong.push(format!("{TABLE}:{}: nothing cites {citation} any more", row.line));
            }
            if !seen.insert(citation.clone()) {
                wrong.push(format!("{TABLE}:{}: {citation} has a row already", row.line));
            }
        }
        for file in &row.files {
            let theirs = cited.get(file);
            if !theirs.is_some_and(|theirs| row.citations.iter().any(|citation| theirs.contains(citation))) {
                wrong.push(format!("{TABLE}:{}: {file} does not cite it", row.line));
            }
        }
        let verdict = row.obeyed.split(':').next().unwrap();
        if !["yes", "partly", "no"].contains(&verdict) {
            wrong.push(format!("{TABLE}:{}: obeyed is yes, partly or no", row.line));
        }
        if verdict != "yes" && !row.obeyed.contains(": ") {
            wrong.push(format!("{TABLE}:{}: say what is missing", row.line));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn citations_are_found_as_they_are_written() {
    let patterns = Patterns::new();
    let cases: [(&str, bool, &[&str]); 6] = [
        (
            "(GDPR Art. 33(1), 34(3)(a))",
            false,
            &["GDPR Art. 33(1)", "GDPR Art. 34(3)(a)"],
        ),
        (
            "/// by GDPR\n    /// Art. 33 and 34.",
            false,
            &["GDPR Art. 33", "GDPR Art. 34"],
        ),
        ("GDPR recitals 86, 88", false, &["GDPR recital 86", "GDPR recital 88"]),
        (
            "RFC 5321\n//! §4.5.3.1: 64 octets; RFC 2920",
            false,
            &["RFC 2920", "RFC 5321 §4.5.3.1"],
        ),
        (
            "Regulation 1182/71 Art. 3(1) to (3)",
            false,
            &["1182/71 Art. 3(1) to (3)"],
        ),
        ("under Art. 33(4) GDPR", true, &["GDPR Art. 33(4)"]),
    ];
    for (text, is_template, expected) in cases {
        let found: Vec<String> = patterns.citations(text, is_template).into_iter().collect();
        assert_eq!(found, expected, "{text}");
    }
}
