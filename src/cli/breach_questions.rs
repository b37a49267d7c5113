//! The six things that matter at night: what, when noticed, whose data, how many, what was done, contact. May be left
//! half-way: what was said so far becomes the record.

use serde_json::{Value, json};

use super::ask::{AskError, Terminal};
use super::output::{Exit, Failure};
use crate::config::Config;
use crate::dispatch::office::zone_of_country;
use crate::model::breach::{Nature, Record, SubjectCategory, under_investigation};
use crate::model::time::parse_aware;

/// Asks, and makes a record of the answers.
///
/// # Errors
/// Left before the first answer, or answers that no record can hold.
pub fn ask(terminal: &mut Terminal, config: &Config) -> Result<Record, Failure> {
    let language = config
        .organisation
        .languages
        .first()
        .map_or("en", |language| language.as_str())
        .to_owned();
    let mut record = json!({ "language": language });
    let left = questions(terminal, config, &language, &mut record);
    match left {
        Ok(()) => {}
        Err(AskError::Ended) if record.get("title").is_some() => {
            let _ = terminal.say("Left half-way: what you said so far is kept. Go on with `breachpost breach update`.");
        }
        Err(error) => return Err(Failure::new(Exit::Person, error)),
    }
    Record::read("your answers", record.to_string().as_bytes()).map_err(|error| Failure::new(Exit::Usage, error))
}

fn questions(terminal: &mut Terminal, config: &Config, language: &str, record: &mut Value) -> Result<(), AskError> {
    terminal
        .say("Six questions. Enter takes what stands in brackets, or skips; Ctrl-D ends and keeps what you said.\n")?;

    let what = terminal.ask("1. What happened, in one sentence?", None, line)?;
    record["title"] = json!(what.chars().take(120).collect::<String>());
    record["summary"] = json!(what);
    let natures: Vec<(&str, &str)> = vec![
        (Nature::ALL[0].name(), "somebody saw or got data who should not have"),
        (Nature::ALL[1].name(), "data was changed"),
        (Nature::ALL[2].name(), "data is lost or cannot be reached"),
    ];
    // No default: a notice may say only what somebody said.
    let nature = terminal.ask_choice("   What was harmed first of all?", &natures, natures.len())?;
    record["nature"] = json!([natures[nature].0]);

    let zone = zone_of_country(config.organisation.country.as_str());
    terminal.say(&format!(
        "   (local time in {zone}; the 72 hours start when you were reasonably certain)"
    ))?;
    let aware = terminal.ask(
        "2. When did you become aware? (2026-11-18 10:20)",
        Some(""),
        |text| match text {
            "" => Ok(None),
            text => parse_aware(text, zone).map(Some).map_err(|error| error.to_string()),
        },
    )?;
    if let Some(aware) = aware {
        record["timeline"] = json!({ "aware_at": aware.with_timezone(&zone).to_rfc3339(), "input_tz": zone.name() });
    }

    let groups: Vec<(&str, &str)> = SubjectCategory::ALL.iter().map(|group| (group.name(), "")).collect();
    let unknown = groups.iter().position(|(name, _)| *name == "unknown");
    let group = terminal.ask_choice("3. Whose data is it?", &groups, unknown.unwrap_or(groups.len()))?;
    record["subjects"] = json!({ "categories": [groups[group].0] });

    let many = terminal.ask("4. How many persons, about?", Some(""), |text| match text {
        "" => Ok(None),
        text => text
            .replace([' ', '\'', '.'], "")
            .parse::<u64>()
            .map(Some)
            .map_err(|_| "a number, please".to_owned()),
    })?;
    if let Some(many) = many {
        record["subjects"]["persons"] = json!({ "min": many, "max": many, "precision": "approximate" });
    }

    let offered = under_investigation(language);
    let done = terminal.ask("5. What was done about it so far?", Some(offered.measures), line)?;
    record["measures"] = json!({ "taken": [{ "text": done }] });
    let consequences = terminal.ask(
        "   What may come of it for the persons?",
        Some(offered.consequences),
        line,
    )?;
    record["consequences"] = json!({ "text": consequences });

    let usual = config.organisation.contact.as_ref();
    let name = terminal.ask(
        "6. Whom may the authority ask? Name",
        usual.map(|usual| usual.name.as_str()),
        line,
    )?;
    let email = usual
        .and_then(|usual| usual.email.as_ref())
        .map_or("", |email| email.as_str());
    let email = terminal.ask("   E-mail", Some(email), optional)?;
    let phone = usual
        .and_then(|usual| usual.phone.as_ref())
        .map_or("", |phone| phone.as_str());
    let phone = terminal.ask("   Telephone", Some(phone), optional)?;
    let kind = usual.map_or("dpo", |usual| usual.kind.name());
    record["contact"] = json!({ "kind": kind, "name": name, "email": email, "phone": phone });
    Ok(())
}

fn line(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("please say it in a few words".to_owned()),
        text => Ok(text.to_owned()),
    }
}
fn optional(text: &str) -> Result<Option<String>, String> {
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}
