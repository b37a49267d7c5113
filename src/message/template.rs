//! Texts from templates: what a notice or a message to a person says, in words that are edited in `templates/` and never
//! here. A template is plain text with `{{facts}}`; values are filled in and never evaluated.
//!
//! Templates and labels come with the program; a file of the same name in the home's `templates/` replaces one. Each is
//! compiled at first use, and refused as a whole if it names a fact that does not exist. Knows nothing of mail, OpenPGP
//! or stores.

mod check;
mod helpers;
pub mod labels;
mod layout;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{LazyLock, OnceLock};

use handlebars::{Context, Handlebars, Template};
use include_dir::{Dir, include_dir};
use serde::Serialize;
use serde_json::Value;

use self::helpers::HELPERS;
use self::labels::Labels;
use super::facts::{NoticeFacts, PersonFacts, sample};
use crate::model::notice::NoticeKind;
use crate::reading;

pub use self::check::paths;
pub use self::layout::WIDTH;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The longest template or label file taken: 256 KiB. The built-in ones have some 12 KiB.
const MAX_FILE_BYTES: u64 = 256 * 1024;
/// How a template's subject line begins, in every language.
const SUBJECT: &str = "Subject:";

/// A text ready to be made into a mail: the subject is one line, the text has lines of at most [`WIDTH`] columns (a longer
/// word excepted) that end in LF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub subject: String,
    pub text: String,
}

/// Who a template speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// A supervisory authority (GDPR Art. 33).
    Authority,
    /// One affected person (GDPR Art. 34).
    Individual,
}
impl Audience {
    pub const ALL: [Audience; 2] = [Audience::Authority, Audience::Individual];
    /// Its folder in `templates/`.
    pub fn name(self) -> &'static str {
        match self {
            Audience::Authority => "authority",
            Audience::Individual => "individual",
        }
    }
}

/// Something wrong in a template or label file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `authority/fr.hbs`; for an overlay its whole path.
    pub file: String,
    /// From 1; 0 where it concerns the file as a whole.
    pub line: usize,
    /// From 1; 0 where it concerns the line or file as a whole.
    pub column: usize,
    pub problem: String,
}
impl Finding {
    fn whole(file: &str, problem: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            problem: problem.into(),
        }
    }
}
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}: {}", self.file, self.problem),
            (line, 0) => write!(f, "{}:{line}: {}", self.file, self.problem),
            (line, column) => write!(f, "{}:{line}:{column}: {}", self.file, self.problem),
        }
    }
}

/// Why a text cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("no {audience} template in language `{language}`; there are: {have}")]
    Language {
        audience: &'static str,
        language: String,
        have: String,
    },
    #[error("cannot read the template folder or file {path}")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} is larger than the {} KiB a template may have", MAX_FILE_BYTES / 1024)]
    TooLarge { path: String },
    /// The first finding, and how many more there are.
    #[error("{first}{}; correct the file, or move it away so that the built-in one is used", and_more(*.more))]
    Faulty { first: Finding, more: usize },
}

fn and_more(more: usize) -> String {
    match more {
        0 => String::new(),
        n => format!(" (and {n} more; see `breachpost templates check`)"),
    }
}

/// All templates and labels: built-in ones, and those of an overlay in their place.
pub struct Templates {
    templates: BTreeMap<(Audience, String), Entry<Compiled>>,
    labels: BTreeMap<String, Entry<Labels>>,
    /// Files of the overlay that nothing uses.
    strays: Vec<Finding>,
}

/// A file, and what was made of it at first use.
struct Entry<T> {
    file: String,
    source: String,
    made: OnceLock<Result<T, Vec<Finding>>>,
}
impl<T> Entry<T> {
    fn new(file: String, source: String) -> Self {
        Self {
            file,
            source,
            made: OnceLock::new(),
        }
    }
    fn get(&self, make: impl FnOnce(&str, &str) -> Result<T, Vec<Finding>>) -> Result<&T, &[Finding]> {
        let made = self.made.get_or_init(|| make(&self.file, &self.source));
        made.as_ref().map_err(Vec::as_slice)
    }
}

fn faulty(findings: &[Finding]) -> TemplateError {
    TemplateError::Faulty {
        first: findings[0].clone(),
        more: findings.len() - 1,
    }
}

/// A template that has been parsed and checked.
struct Compiled {
    engine: Handlebars<'static>,
}

impl Templates {
    /// Reads the built-in templates, and those in `overlay` (the home's `templates/`), if that folder exists. Nothing is
    /// compiled yet.
    ///
    /// # Errors
    /// [`TemplateError::Read`] and [`TemplateError::TooLarge`], for the overlay only.
    pub fn load(overlay: Option<&Path>) -> Result<Self, TemplateError> {
        let mut templates = Self {
            templates: BTreeMap::new(),
            labels: BTreeMap::new(),
            strays: Vec::new(),
        };
        for folder in BUILT_IN.dirs() {
            for file in folder.files() {
                let name = file.path().to_string_lossy().replace('\\', "/");
                let source = file.contents_utf8().unwrap_or_default();
                // Samples and the like are no templates: what is not placed is left out here, reported in an overlay.
                templates.place(&name, name.clone(), source.to_owned());
            }
        }
        if let Some(folder) = overlay.filter(|f| f.exists()) {
            templates.read_overlay(folder)?;
        }
        Ok(templates)
    }

    fn read_overlay(&mut self, folder: &Path) -> Result<(), TemplateError> {
        for part in Audience::ALL.map(Audience::name).into_iter().chain(["labels"]) {
            let part_folder = folder.join(part);
            if !part_folder.is_dir() {
                continue;
            }
            let failed = |path: &Path| {
                let path = path.display().to_string();
                move |source| TemplateError::Read { path, source }
            };
            for item in std::fs::read_dir(&part_folder).map_err(failed(&part_folder))? {
                let path = item.map_err(failed(&part_folder))?.path();
                let shown = path.display().to_string();
                let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
                    continue;
                };
                if name.starts_with('.') || !path.is_file() {
                    continue;
                }
                if path.metadata().map_err(failed(&path))?.len() > MAX_FILE_BYTES {
                    return Err(TemplateError::TooLarge { path: shown });
                }
                let source = std::fs::read_to_string(&path).map_err(failed(&path))?;
                if !self.place(&format!("{part}/{name}"), shown.clone(), source) {
                    let problem =
                        "is not used; a template is named by its language, such as `fr.hbs`, labels `fr.yaml`";
                    self.strays.push(Finding::whole(&shown, problem));
                }
            }
        }
        Ok(())
    }

    /// Takes a file by its place in the folder; false if it is neither template nor labels.
    fn place(&mut self, name: &str, file: String, source: String) -> bool {
        let Some((folder, name)) = name.split_once('/') else {
            return false;
        };
        let Some((language, ending)) = name.split_once('.') else {
            return false;
        };
        if !(2..=3).contains(&language.len()) || !language.bytes().all(|b| b.is_ascii_lowercase()) {
            return false;
        }
        let audience = Audience::ALL.into_iter().find(|a| a.name() == folder);
        match (audience, folder, ending) {
            (Some(audience), _, "hbs") => {
                self.templates
                    .insert((audience, language.to_owned()), Entry::new(file, source));
                true
            }
            (None, "labels", "yaml") => {
                self.labels.insert(language.to_owned(), Entry::new(file, source));
                true
            }
            _ => false,
        }
    }

    /// The languages in which this audience can be written to, in alphabetical order.
    pub fn languages(&self, audience: Audience) -> Vec<&str> {
        let of_audience = self.templates.keys().filter(|(a, _)| *a == audience);
        let with_labels = of_audience.filter(|(_, language)| self.labels.contains_key(language));
        with_labels.map(|(_, language)| language.as_str()).collect()
    }

    /// The words of a language, for [`NoticeFacts::new`] and [`PersonFacts::new`].
    ///
    /// # Errors
    /// [`TemplateError::Language`] if there are none, [`TemplateError::Faulty`] if the file cannot be used.
    pub fn labels(&self, language: &str) -> Result<&Labels, TemplateError> {
        let entry = self.labels.get(language).ok_or_else(|| TemplateError::Language {
            audience: "labels",
            language: language.to_owned(),
            have: self.labels.keys().cloned().collect::<Vec<_>>().join(", "),
        })?;
        entry
            .get(|file, source| read_labels(language, file, source))
            .map_err(faulty)
    }

    /// A template's text as it is used, comments included.
    ///
    /// # Errors
    /// [`TemplateError::Language`].
    pub fn source(&self, audience: Audience, language: &str) -> Result<&str, TemplateError> {
        let entry = self.templates.get(&(audience, language.to_owned()));
        entry
            .map(|entry| entry.source.as_str())
            .ok_or_else(|| self.no_language(audience, language))
    }

    fn no_language(&self, audience: Audience, language: &str) -> TemplateError {
        TemplateError::Language {
            audience: audience.name(),
            language: language.to_owned(),
            have: self.languages(audience).join(", "),
        }
    }

    /// The text of a notice to an authority, in the language of the facts.
    ///
    /// # Errors
    /// [`TemplateError::Language`] if there is no such template, [`TemplateError::Faulty`] if it cannot be used.
    pub fn render_notice(&self, facts: &NoticeFacts) -> Result<Rendered, TemplateError> {
        self.render(Audience::Authority, &facts.language, facts, &facts.unknown)
    }

    /// The text of a message to one affected person, in the language of the facts.
    ///
    /// # Errors
    /// As for [`Templates::render_notice`].
    pub fn render_individual(&self, facts: &PersonFacts) -> Result<Rendered, TemplateError> {
        self.render(Audience::Individual, &facts.language, facts, &facts.unknown)
    }

    fn render(
        &self,
        audience: Audience,
        language: &str,
        facts: &impl Serialize,
        unknown: &str,
    ) -> Result<Rendered, TemplateError> {
        let key = (audience, language.to_owned());
        let entry = self
            .templates
            .get(&key)
            .ok_or_else(|| self.no_language(audience, language))?;
        let compiled = entry
            .get(|file, source| compile(audience, file, source))
            .map_err(faulty)?;
        compiled
            .render(&entry.file, facts, unknown)
            .map_err(|finding| faulty(&[finding]))
    }

    /// Everything that is wrong: files that cannot be used, words that are missing, facts that do not exist. Each template
    /// is also filled in with a complete example.
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = self.strays.clone();
        for (language, entry) in &self.labels {
            match entry.get(|file, source| read_labels(language, file, source)) {
                Err(found) => findings.extend_from_slice(found),
                Ok(labels) => findings.extend(labels.flaws().into_iter().map(|f| Finding::whole(&entry.file, f))),
            }
        }
        for ((audience, language), entry) in &self.templates {
            if let Err(found) = entry.get(|file, source| compile(*audience, file, source)) {
                findings.extend_from_slice(found);
                continue;
            }
            if !self.labels.contains_key(language) {
                let problem = format!("cannot be used: labels/{language}.yaml is missing");
                findings.push(Finding::whole(&entry.file, problem));
                continue;
            }
            let Ok(labels) = self.labels(language) else { continue };
            let rendered = match audience {
                Audience::Authority => NoticeKind::ALL
                    .into_iter()
                    .map(|kind| self.render_notice(&sample::notice(kind, labels)))
                    .collect::<Vec<_>>(),
                Audience::Individual => vec![self.render_individual(&sample::person(labels))],
            };
            for error in rendered.into_iter().filter_map(Result::err) {
                findings.push(match error {
                    TemplateError::Faulty { first, .. } => first,
                    other => Finding::whole(&entry.file, other.to_string()),
                });
            }
        }
        findings.dedup();
        findings
    }
}

fn read_labels(language: &str, file: &str, source: &str) -> Result<Labels, Vec<Finding>> {
    let mut labels: Labels = reading::yaml(file, source.as_bytes()).map_err(|e| {
        vec![Finding {
            file: file.to_owned(),
            line: e.line,
            column: e.column,
            problem: e.message,
        }]
    })?;
    labels.code = language.to_owned();
    Ok(labels)
}

/// What the facts of an audience look like, complete.
fn shape(audience: Audience) -> &'static Value {
    static SHAPES: LazyLock<[Value; 2]> = LazyLock::new(sample::shapes);
    match audience {
        Audience::Authority => &SHAPES[0],
        Audience::Individual => &SHAPES[1],
    }
}

/// The three parts of a template file, each kept at its lines.
struct Parts {
    /// What stands before the subject: comments.
    head: String,
    subject: String,
    text: String,
}

fn split(file: &str, source: &str) -> Result<Parts, Finding> {
    let source = source.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    for (i, line) in source.split('\n').enumerate() {
        if let Some(column) = line.chars().position(|c| c.is_control() && c != '\t') {
            return Err(Finding {
                file: file.to_owned(),
                line: i + 1,
                column: column + 1,
                problem: "a control character; remove it".to_owned(),
            });
        }
    }
    let lines: Vec<&str> = source.split('\n').collect();
    let Some(at) = lines.iter().position(|l| l.starts_with(SUBJECT)) else {
        return Err(Finding::whole(
            file,
            format!("has no line that starts with `{SUBJECT}`"),
        ));
    };
    let subject = format!(
        "{}{}{}",
        "\n".repeat(at),
        " ".repeat(SUBJECT.len()),
        &lines[at][SUBJECT.len()..]
    );
    let mut text = "\n".repeat(at + 1);
    for line in &lines[at + 1..] {
        let hashes = line.bytes().take_while(|b| *b == b'#').count();
        let is_heading = (1..=3).contains(&hashes) && line[hashes..].starts_with(' ');
        let marks = if is_heading { hashes } else { 0 };
        text.extend(std::iter::repeat_n(layout::HEADING, marks));
        text.push_str(&line[marks..]);
        text.push('\n');
    }
    Ok(Parts {
        head: lines[..at].join("\n"),
        subject,
        text,
    })
}

fn compile(audience: Audience, file: &str, source: &str) -> Result<Compiled, Vec<Finding>> {
    let parts = split(file, source).map_err(|f| vec![f])?;
    let parse = |source: &str| {
        Template::compile(source).map_err(|e| {
            let parsers_view = || {
                let (line, column) = e.pos().unwrap_or_default();
                let problem = "cannot be understood; compare it with templates/README.md".to_owned();
                (line, column, problem)
            };
            let (line, column, problem) = check::left_open(source).unwrap_or_else(parsers_view);
            let file = file.to_owned();
            vec![Finding {
                file,
                line,
                column,
                problem,
            }]
        })
    };
    let only_comments = |t: &Template| {
        t.elements.iter().all(|e| match e {
            handlebars::template::TemplateElement::Comment(_) => true,
            handlebars::template::TemplateElement::RawString(text) => text.trim().is_empty(),
            _ => false,
        })
    };
    if !only_comments(&parse(&parts.head)?) {
        return Err(vec![Finding::whole(
            file,
            format!("only comments may stand before `{SUBJECT}`"),
        )]);
    }
    let (subject, text) = (parse(&parts.subject)?, parse(&parts.text)?);
    let mut found = check::walk(file, &subject, shape(audience));
    found.extend(check::walk(file, &text, shape(audience)));
    if !found.is_empty() {
        return Err(found);
    }
    let mut engine = helpers::engine();
    engine.register_template("subject", subject);
    engine.register_template("text", text);
    Ok(Compiled { engine })
}

impl Compiled {
    fn render(&self, file: &str, facts: &impl Serialize, unknown: &str) -> Result<Rendered, Finding> {
        let failed = |e: handlebars::RenderError| Finding {
            file: file.to_owned(),
            line: e.line_no.unwrap_or_default(),
            column: e.column_no.unwrap_or_default(),
            problem: e.reason().to_string(),
        };
        let mut values = serde_json::to_value(facts).map_err(|e| Finding::whole(file, e.to_string()))?;
        clean(&mut values);
        let context = Context::from(values);
        let fill = |part| self.engine.render_with_context(part, &context).map_err(failed);
        let subject = layout::one_line(&fill("subject")?, unknown);
        if subject.is_empty() {
            return Err(Finding::whole(file, "the subject is empty"));
        }
        Ok(Rendered {
            subject,
            text: layout::lay_out(&fill("text")?, unknown),
        })
    }
}

/// Makes the texts of the facts harmless: line breaks become LF, tabs spaces; other control characters, and those that
/// turn the direction of writing, would hide or disguise what is said, and become U+FFFD. Nothing is refused here: a
/// notice must get through.
fn clean(value: &mut Value) {
    fn odd(c: char) -> bool {
        c.is_control() && c != '\n'
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    }
    match value {
        // Nearly every text is plain ASCII, which is seen at a glance.
        Value::String(text) if text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n')) => {}
        Value::String(text) if text.contains(odd) => {
            *text = text
                .replace("\r\n", "\n")
                .replace(['\r', '\u{2028}', '\u{2029}'], "\n")
                .replace('\t', " ");
            *text = text.replace(odd, "\u{FFFD}");
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(fields) => fields.values_mut().for_each(clean),
        _ => {}
    }
}
