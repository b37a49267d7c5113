//! Texts from templates: what a notice or a message to a person says, in words that are edited in `templates/` and never
//! here. A template is plain text with `{{facts}}`; values are filled in and never evaluated.
//!
//! Templates and labels come with the program; a file of the same name in the home's `templates/` replaces one. Each is
//! compiled at first use, and refused as a whole if it names a fact that does not exist. Knows nothing of mail, OpenPGP
//! or stores.

mod check;
mod compiled;
mod filled;
mod finding;
mod helpers;
mod html;
pub mod labels;
mod layout;
pub mod lint;
mod overlay;
mod program;
mod review;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use include_dir::{Dir, include_dir};
use serde::Serialize;

use self::compiled::{Compiled, Values};
use self::labels::Labels;
use super::facts::{NoticeFacts, PersonFacts, PersonName, sample};
use crate::model::notice::NoticeKind;
use crate::reading;

pub use self::check::paths;
pub use self::filled::{Block, Filled};
pub use self::finding::{Finding, Severity};
pub use self::layout::WIDTH;
pub(super) use self::layout::may_part;
pub use self::review::Review;

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
    /// Everybody, where persons cannot be told one by one (GDPR Art. 34(3)(c)).
    Public,
    /// The controller, told by its processor (GDPR Art. 33(2)).
    Controller,
    /// An organisation that has to act as well: a bank, an insurer, another controller.
    Partner,
    /// Our own staff, who will be asked.
    Internal,
}
impl Audience {
    pub const ALL: [Audience; 6] = [
        Audience::Authority,
        Audience::Individual,
        Audience::Public,
        Audience::Controller,
        Audience::Partner,
        Audience::Internal,
    ];
    /// Its folder in `templates/`.
    pub fn name(self) -> &'static str {
        match self {
            Audience::Authority => "authority",
            Audience::Individual => "individual",
            Audience::Public => "public",
            Audience::Controller => "controller",
            Audience::Partner => "partner",
            Audience::Internal => "internal",
        }
    }
    /// Are its templates filled with [`PersonFacts`]? The others are filled with [`NoticeFacts`].
    pub fn speaks_to_persons(self) -> bool {
        matches!(self, Audience::Individual | Audience::Public)
    }
}

/// How a message to a person is worded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Variant {
    #[default]
    Plain,
    /// Does not name the controller: for a sender whose name alone would tell something about the person.
    Discreet,
}

/// One template among all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    audience: Audience,
    variant: Variant,
    language: String,
}
impl Key {
    fn plain(audience: Audience, language: &str) -> Self {
        Self {
            audience,
            variant: Variant::Plain,
            language: language.to_owned(),
        }
    }
    /// Who it is for, in words.
    fn what(&self) -> &'static str {
        match self.variant {
            Variant::Plain => self.audience.name(),
            Variant::Discreet => "discreet individual",
        }
    }
}

/// A message to persons that differs in nothing but their name, written as far as it is the same for all: a campaign has
/// few of them and millions of names.
pub struct Shared {
    compiled: Compiled,
    /// The template's.
    file: String,
    values: Values,
    unknown: String,
    language: String,
    /// Who is named as the controller.
    sender: String,
}
impl Shared {
    /// The message to this person.
    ///
    /// # Errors
    /// [`TemplateError::Faulty`] if it has no subject.
    pub fn fill(&self, person: &PersonName) -> Result<Filled, TemplateError> {
        let own = Values::of(&OwnFacts { person });
        let filled = self
            .compiled
            .fill(&self.file, &self.values, &own, &self.unknown, &self.language);
        filled.map_err(|finding| faulty(&[finding]))
    }
}

/// What one person's message has of its own: a part of [`PersonFacts`], which a template sees in its place.
#[derive(Serialize)]
struct OwnFacts<'a> {
    person: &'a PersonName,
}
impl OwnFacts<'_> {
    const NAMES: [&'static str; 1] = ["person"];
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
    templates: BTreeMap<Key, Entry<Compiled>>,
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
            overlay::read(folder, &mut templates)?;
        }
        Ok(templates)
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
        let (audience, variant) = match (audience, ending) {
            (Some(audience), "hbs") => (audience, Variant::Plain),
            (Some(Audience::Individual), "discreet.hbs") => (Audience::Individual, Variant::Discreet),
            (None, "yaml") if folder == "labels" => {
                self.labels.insert(language.to_owned(), Entry::new(file, source));
                return true;
            }
            _ => return false,
        };
        let key = Key {
            variant,
            ..Key::plain(audience, language)
        };
        self.templates.insert(key, Entry::new(file, source));
        true
    }

    /// The languages in which this audience can be written to, in alphabetical order.
    pub fn languages(&self, audience: Audience) -> Vec<&str> {
        self.languages_of(audience, Variant::Plain)
    }

    /// Whether this audience can be written to in this language and variant.
    pub fn speaks(&self, audience: Audience, variant: Variant, language: &str) -> bool {
        let key = Key {
            variant,
            ..Key::plain(audience, language)
        };
        self.templates.contains_key(&key) && self.labels.contains_key(language)
    }

    /// The languages in which there is this variant.
    pub fn languages_of(&self, audience: Audience, variant: Variant) -> Vec<&str> {
        let fitting = self
            .templates
            .keys()
            .filter(|k| k.audience == audience && k.variant == variant);
        let with_labels = fitting.filter(|k| self.labels.contains_key(&k.language));
        with_labels.map(|k| k.language.as_str()).collect()
    }

    /// Every template: for whom, how worded, in which language, and who has reviewed it.
    pub fn list(&self) -> impl Iterator<Item = (Audience, Variant, &str, Review)> {
        self.templates.iter().map(|(key, entry)| {
            let review = Review::in_head(&entry.source);
            (key.audience, key.variant, key.language.as_str(), review)
        })
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
    pub fn source(&self, audience: Audience, variant: Variant, language: &str) -> Result<&str, TemplateError> {
        let key = Key {
            variant,
            ..Key::plain(audience, language)
        };
        self.entry(&key).map(|entry| entry.source.as_str())
    }

    /// A digest (lower-case hex SHA-256) over the bytes of all that a message to this audience can be made from: every
    /// variant in every language, and the words of the languages.
    pub fn digest(&self, audience: Audience) -> String {
        let templates = self.templates.iter().filter(|(key, _)| key.audience == audience);
        let templates = templates.map(|(key, entry)| (format!("{}/{}", key.what(), key.language), &entry.source));
        let labels = self
            .labels
            .iter()
            .map(|(language, entry)| (format!("labels/{language}"), &entry.source));
        let mut all = String::new();
        for (name, source) in templates.chain(labels) {
            all.push_str(&format!("{name} {}\n", super::token::sha256_hex(source.as_bytes())));
        }
        super::token::sha256_hex(all.as_bytes())
    }

    fn entry(&self, key: &Key) -> Result<&Entry<Compiled>, TemplateError> {
        self.templates.get(key).ok_or_else(|| TemplateError::Language {
            audience: key.what(),
            language: key.language.clone(),
            have: self.languages_of(key.audience, key.variant).join(", "),
        })
    }

    /// The text of a notice to an authority, in the language of the facts.
    ///
    /// # Errors
    /// [`TemplateError::Language`] if there is no such template, [`TemplateError::Faulty`] if it cannot be used.
    pub fn render_notice(&self, facts: &NoticeFacts) -> Result<Rendered, TemplateError> {
        self.render_notice_for(Audience::Authority, facts)
    }

    /// The text of a notice to a controller, a partner or our own staff, in the language of the facts.
    ///
    /// # Errors
    /// As for [`Templates::render_notice`]; also for an audience that is told with [`PersonFacts`].
    pub fn render_notice_for(&self, audience: Audience, facts: &NoticeFacts) -> Result<Rendered, TemplateError> {
        let key = Key::plain(audience, &facts.language);
        Ok(self.fill(&key, facts, &facts.unknown)?.rendered())
    }

    /// The text of a message to one affected person, in the language and the variant of the facts.
    ///
    /// # Errors
    /// As for [`Templates::render_notice`].
    pub fn render_individual(&self, facts: &PersonFacts) -> Result<Rendered, TemplateError> {
        Ok(self.fill_individual(facts)?.rendered())
    }

    /// As [`Templates::render_individual`], to be had as text and as HTML.
    ///
    /// # Errors
    /// As for [`Templates::render_notice`].
    pub fn fill_individual(&self, facts: &PersonFacts) -> Result<Filled, TemplateError> {
        self.shared(facts)?.fill(&facts.person)
    }

    /// What all are told alike who share these facts but for their name.
    ///
    /// # Errors
    /// As for [`Templates::render_notice`].
    pub fn shared(&self, facts: &PersonFacts) -> Result<Shared, TemplateError> {
        let key = Key {
            variant: match facts.discreet {
                true => Variant::Discreet,
                false => Variant::Plain,
            },
            ..Key::plain(Audience::Individual, &facts.language)
        };
        let (file, compiled) = self.compiled(&key)?;
        let values = Values::of(facts);
        Ok(Shared {
            compiled: compiled.filled_but(&values, &OwnFacts::NAMES),
            file: file.to_owned(),
            values,
            unknown: facts.unknown.clone(),
            language: facts.language.clone(),
            sender: facts.controller.name.clone().unwrap_or_default(),
        })
    }

    /// The text that tells everybody (GDPR Art. 34(3)(c)), in the language of the facts, as text and as HTML.
    ///
    /// # Errors
    /// As for [`Templates::render_notice`].
    pub fn fill_public(&self, facts: &PersonFacts) -> Result<Filled, TemplateError> {
        self.fill(&Key::plain(Audience::Public, &facts.language), facts, &facts.unknown)
    }

    /// One message in several languages, for a person whose language is not known: the languages are named first, then
    /// each has the whole message, in the order of `facts`. There must be one at least.
    ///
    /// # Errors
    /// As for [`Templates::render_notice`].
    pub fn fill_stacked(&self, facts: &[Arc<Shared>], person: &PersonName) -> Result<Filled, TemplateError> {
        let parts = facts.iter().map(|facts| {
            let labels = self.labels(&facts.language)?;
            Ok((labels, facts.fill(person)?))
        });
        let parts = parts.collect::<Result<Vec<_>, TemplateError>>()?;
        let sender = facts.first().map(|facts| facts.sender.as_str());
        Ok(Filled::stacked(sender.unwrap_or_default(), &parts))
    }

    fn fill(&self, key: &Key, facts: &impl Serialize, unknown: &str) -> Result<Filled, TemplateError> {
        let (file, compiled) = self.compiled(key)?;
        compiled
            .fill(file, &Values::of(facts), &Values::none(), unknown, &key.language)
            .map_err(|finding| faulty(&[finding]))
    }

    /// With the name of its file.
    fn compiled(&self, key: &Key) -> Result<(&str, &Compiled), TemplateError> {
        let entry = self.entry(key)?;
        let compiled = entry.get(|file, source| Compiled::new(key.audience, file, source));
        Ok((&entry.file, compiled.map_err(faulty)?))
    }

    /// Everything that is wrong: files that cannot be used, words that are missing, facts that do not exist. Each template
    /// is also filled in with a complete example, and what it says to a person is judged ([`lint`]).
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = self.strays.clone();
        for (language, entry) in &self.labels {
            match entry.get(|file, source| read_labels(language, file, source)) {
                Err(found) => findings.extend_from_slice(found),
                Ok(labels) => findings.extend(labels.flaws().into_iter().map(|f| Finding::whole(&entry.file, f))),
            }
        }
        for (key, entry) in &self.templates {
            if let Err(found) = entry.get(|file, source| Compiled::new(key.audience, file, source)) {
                findings.extend_from_slice(found);
                continue;
            }
            let language = &key.language;
            if !self.labels.contains_key(language) {
                let problem = format!("cannot be used: labels/{language}.yaml is missing");
                findings.push(Finding::whole(&entry.file, problem));
                continue;
            }
            let Ok(labels) = self.labels(language) else { continue };
            findings.extend(self.check_with_sample(key, entry, labels));
        }
        for language in self.languages(Audience::Individual) {
            findings.extend(self.check_stacked(language));
        }
        findings.dedup();
        findings
    }

    /// What the labels make of a subject in several languages; the texts are those of the single messages.
    fn check_stacked(&self, language: &str) -> Vec<Finding> {
        let Ok(labels) = self.labels(language) else {
            return Vec::new();
        };
        let facts = sample::person(labels);
        let Ok(shared) = self.shared(&facts) else {
            return Vec::new();
        };
        let Ok(filled) = self.fill_stacked(&[Arc::new(shared)], &facts.person) else {
            return Vec::new();
        };
        let file = self.labels.get(language).map_or("", |entry| entry.file.as_str());
        let judged = lint::lint(&filled.rendered(), &facts, &lint::Matter::sample(), file);
        let of_labels = |f: &Finding| f.severity > Severity::Note && f.code.starts_with("subject.");
        judged.into_iter().filter(of_labels).collect()
    }

    fn check_with_sample(&self, key: &Key, entry: &Entry<Compiled>, labels: &Labels) -> Vec<Finding> {
        let notice = |kind| {
            let facts = sample::notice(kind, labels);
            self.fill(key, &facts, &facts.unknown).err()
        };
        let failed = match key.audience {
            Audience::Individual | Audience::Public => {
                let facts = match key.variant {
                    Variant::Plain => sample::person(labels),
                    Variant::Discreet => sample::discreet(labels),
                };
                match self.fill(key, &facts, &facts.unknown) {
                    Ok(filled) => {
                        let judged = lint::lint(&filled.rendered(), &facts, &lint::Matter::sample(), &entry.file);
                        return judged.into_iter().filter(|f| f.severity > Severity::Note).collect();
                    }
                    Err(error) => vec![error],
                }
            }
            _ => NoticeKind::ALL.into_iter().filter_map(notice).collect(),
        };
        let findings = failed.into_iter().map(|error| match error {
            TemplateError::Faulty { first, .. } => first,
            other => Finding::whole(&entry.file, other.to_string()),
        });
        findings.collect()
    }
}

fn read_labels(language: &str, file: &str, source: &str) -> Result<Labels, Vec<Finding>> {
    let mut labels: Labels =
        reading::yaml(file, source.as_bytes()).map_err(|e| vec![Finding::at(file, e.line, e.column, e.message)])?;
    labels.code = language.to_owned();
    Ok(labels)
}
