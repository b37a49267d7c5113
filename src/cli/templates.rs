//! `templates`: the wording, built in and your own.

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::Context;
use super::output::{Exit, Failure, table};
use crate::message::template::{Audience, Templates};

/// The wording of notices and messages: templates built in, and those of your own that replace them.
#[derive(Debug, Subcommand)]
pub enum TemplatesCommand {
    /// Which templates there are, by audience and language.
    #[command(after_help = "Examples:\n  breachpost templates list")]
    List,
    /// Check all templates: syntax, unknown facts, missing words; status 2 when something is wrong.
    #[command(after_help = "Examples:\n  breachpost templates check")]
    Check,
    /// Print a template as it is used: to change it, save it under templates/AUDIENCE/LANGUAGE.hbs in the home.
    #[command(after_help = "Examples:\n  breachpost templates show authority fr")]
    Show { audience: AudienceArg, language: String },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum AudienceArg {
    Authority,
    Individual,
}
impl From<AudienceArg> for Audience {
    fn from(arg: AudienceArg) -> Self {
        match arg {
            AudienceArg::Authority => Audience::Authority,
            AudienceArg::Individual => Audience::Individual,
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    audience: &'static str,
    language: &'a str,
}

pub fn run(command: TemplatesCommand, context: &Context) -> Result<Exit, Failure> {
    let overlay = context.home_if_any()?.map(|home| home.templates_dir());
    let templates = Templates::load(overlay.as_deref()).map_err(|error| Failure::new(Exit::Ours, error))?;
    match command {
        TemplatesCommand::List => {
            let lines: Vec<Line<'_>> = Audience::ALL
                .into_iter()
                .flat_map(|audience| {
                    let audience_name = audience.name();
                    let languages = templates.languages(audience).into_iter();
                    languages.map(move |language| Line {
                        audience: audience_name,
                        language,
                    })
                })
                .collect();
            context.out.data(&lines, || {
                let rows: Vec<Vec<String>> = lines
                    .iter()
                    .map(|line| vec![line.audience.to_owned(), line.language.to_owned()])
                    .collect();
                table(&rows)
            })?;
            Ok(Exit::Done)
        }
        TemplatesCommand::Check => {
            let findings = templates.check();
            context.out.data(&findings, || match findings.is_empty() {
                true => "All templates are sound.\n".to_owned(),
                false => findings.iter().map(|finding| format!("{finding}\n")).collect(),
            })?;
            Ok(if findings.is_empty() { Exit::Done } else { Exit::Person })
        }
        TemplatesCommand::Show { audience, language } => {
            let source = templates
                .source(audience.into(), &language)
                .map_err(|error| Failure::new(Exit::Usage, error).hint("breachpost templates list"))?;
            context
                .out
                .data(&serde_json::json!({ "template": source }), || source.to_owned())?;
            Ok(Exit::Done)
        }
    }
}
