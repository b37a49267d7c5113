//! What an operator decides about the words of a campaign: the variant, HTML beside the text, texts in the persons'
//! languages where the record's free text is in another, and what those get whose language is not known. Judged against
//! the templates when the campaign is made, so that nothing is missing when the first message is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::message::facts::Discreet;
use crate::message::template::{Audience, Templates, Variant};
use crate::model::breach::Contact;
use crate::reading::{self, ReadError};

/// How the messages of a campaign are worded; a part of its content, and of what is approved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wording {
    /// Set: the controller is not named (the discreet variant), and this stands in its place.
    pub discreet: Option<Unnamed>,
    /// Whether each message also has the same text as HTML, which loads nothing.
    pub html: bool,
    /// By ISO 639-1 code: what stands in the place of the record's own words.
    pub texts: BTreeMap<String, Texts>,
    /// The bare address of the website where news will appear, to be typed by hand.
    pub updates_at: Option<String>,
    /// What persons get whose language is not known: one message with these languages under each other; none: the
    /// fallback language.
    pub stacked: Vec<String>,
}

/// What the operator typed for one language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Texts {
    pub what_happened: Option<String>,
    pub consequences: Option<String>,
    pub measures: Option<String>,
}

/// What stands in the place of the controller's name in a discreet message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unnamed {
    /// Neutral: "Data protection office, Luxembourg".
    pub sender: String,
    /// Where the person learns the rest; a telephone number at least.
    pub contact: Contact,
}
impl From<&Unnamed> for Discreet {
    fn from(unnamed: &Unnamed) -> Self {
        Self {
            sender: unnamed.sender.clone(),
            contact: unnamed.contact.clone(),
        }
    }
}

/// The file of `campaign create --texts`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    discreet: Option<Unnamed>,
    texts: BTreeMap<String, Texts>,
    updates_at: Option<String>,
    stacked: Vec<String>,
}

/// The words of a campaign cannot be used. Nothing has been stored.
#[derive(Debug, thiserror::Error)]
pub enum WordingError {
    #[error("the file of texts cannot be used")]
    File(#[from] ReadError),
    #[error("there is no message to individuals in `{language}`, which {place} asks for; there is: {}", known.join(", "))]
    Language {
        /// Where in the file.
        place: &'static str,
        language: String,
        known: Vec<String>,
    },
    #[error(
        "a discreet message needs a neutral sender and a telephone number; give them in the file of --texts as `discreet: \
         {{ sender: …, contact: {{ name: …, phone: … }} }}`"
    )]
    NotDiscreet,
    #[error("the {what} is empty or has more than one line; it stands in a header or in a sentence")]
    OneLine {
        /// `sender` or `updates_at`.
        what: &'static str,
    },
}

impl Wording {
    /// Reads the operator's file (YAML or JSON; `origin` names it in errors) and judges it. Without a file, the record's
    /// own words stand.
    ///
    /// # Errors
    /// A file that is not understood, a language that we do not have, a discreet message without a neutral sender.
    pub fn read(
        file: Option<(&str, &[u8])>,
        discreet: bool,
        html: bool,
        templates: &Templates,
    ) -> Result<Self, WordingError> {
        let file: File = match file {
            Some((origin, text)) => reading::yaml_or_json(origin, text)?,
            None => File::default(),
        };
        let wording = Self {
            discreet: file.discreet.filter(|_| discreet),
            html,
            texts: file.texts,
            updates_at: file.updates_at,
            stacked: file.stacked,
        };
        match &wording.discreet {
            None if discreet => return Err(WordingError::NotDiscreet),
            Some(unnamed) if unnamed.contact.phone.is_none() => return Err(WordingError::NotDiscreet),
            Some(unnamed) => one_line("sender", &unnamed.sender)?,
            None => {}
        }
        if let Some(site) = &wording.updates_at {
            one_line("updates_at", site)?;
        }
        let asked = wording.texts.keys().map(|language| ("texts", language));
        let stacked = wording.stacked.iter().map(|language| ("stacked", language));
        let known = templates.languages_of(Audience::Individual, wording.variant());
        match asked
            .chain(stacked)
            .find(|(_, language)| !known.contains(&language.as_str()))
        {
            Some((place, language)) => Err(WordingError::Language {
                place,
                language: reading::shown(language),
                known: known.into_iter().map(str::to_owned).collect(),
            }),
            None => Ok(wording),
        }
    }

    /// Which templates are filled.
    pub fn variant(&self) -> Variant {
        match self.discreet {
            Some(_) => Variant::Discreet,
            None => Variant::Plain,
        }
    }
}

fn one_line(what: &'static str, text: &str) -> Result<(), WordingError> {
    match text.trim().is_empty() || text.chars().any(char::is_control) {
        true => Err(WordingError::OneLine { what }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, discreet: bool) -> Result<Wording, WordingError> {
        let templates = Templates::load(None).unwrap();
        Wording::read(Some(("texts.yaml", text.as_bytes())), discreet, false, &templates)
    }

    #[test]
    fn a_file_says_all_that_is_needed_or_what_is_wrong() {
        let sound = "discreet: { sender: 'Data protection office', contact: { phone: '+352 1' } }\n\
                     updates_at: www.example.lu\nstacked: [fr, de]\ntexts: { de: { what_happened: 'Etwas.' } }\n";
        let wording = read(sound, true).unwrap();
        assert_eq!(wording.variant(), Variant::Discreet);
        assert_eq!(wording.texts["de"].what_happened.as_deref(), Some("Etwas."));
        let again: Wording = serde_json::from_value(serde_json::to_value(&wording).unwrap()).unwrap();
        assert_eq!(again, wording);
        assert_eq!(
            read(sound, false).unwrap().variant(),
            Variant::Plain,
            "only when it is asked for"
        );
        for (text, words) in [
            ("texts: { xx: {} }\n", "in `xx`, which texts asks for"),
            ("stacked: [de, xx]\n", "which stacked asks for"),
            (
                "updates_at: \"a\\nb\"\n",
                "the updates_at is empty or has more than one line",
            ),
            ("text: {}\n", "the file of texts cannot be used"),
        ] {
            assert!(read(text, false).unwrap_err().to_string().contains(words), "{text}");
        }
        for text in [
            "updates_at: www.example.lu\n",
            "discreet: { sender: Office, contact: { email: a@b.lu } }\n",
        ] {
            assert!(matches!(read(text, true), Err(WordingError::NotDiscreet)), "{text}");
        }
    }
}
