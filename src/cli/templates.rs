//! `templates`: the wording, built in and your own.

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::Context;
use super::output::{Exit, Failure, table};
use crate::message::template::{Audience, Templates, Variant};

/// The wording of notices and messages: templates built in, and those of your own that replace them.
#[derive(Debug, Subcommand)]
pub enum TemplatesCommand {
    /// Which templates there are, by audience and language.
    #[command(after_help = "Examples:\n  breachpost templates list")]
    List,
    /// Check all templates: syntax, unknown facts, missing words, and what the messages to persons say; status 2 when
    /// something is wrong.
    #[command(after_help = "Examples:\n  breachpost templates check")]
    Check,
    /// Print a template as it is used: to change it, save it under templates/AUDIENCE/LANGUAGE.hbs in the home.
    #[command(
        after_help = "Examples:\n  breachpost templates show authority fr\n  breachpost templates show individual lb --discreet"
    )]
    Show {
        /// Whom it is written to.
        audience: AudienceArg,
        /// Its language, such as en; `templates list` names those there are.
        language: String,
        /// The wording that does not name the sender, saved as LANGUAGE.discreet.hbs.
        #[arg(long)]
        discreet: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum AudienceArg {
    Authority,
    Individual,
    Public,
    Controller,
    Partner,
    Internal,
}
impl From<AudienceArg> for Audience {
    fn from(arg: AudienceArg) -> Self {
        match arg {
            AudienceArg::Authority => Audience::Authority,
            AudienceArg::Individual => Audience::Individual,
            AudienceArg::Public => Audience::Public,
            AudienceArg::Controller => Audience::Controller,
            AudienceArg::Partner => Audience::Partner,
            AudienceArg::Internal => Audience::Internal,
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    audience: &'static str,
    language: &'a str,
    discreet: bool,
    /// When and by whom; `nobody` where nobody has approved the wording.
    reviewed: String,
}

pub fn run(command: TemplatesCommand, context: &Context) -> Result<Exit, Failure> {
    let overlay = context.home_if_any()?.map(|home| home.templates_dir());
    let templates = Templates::load(overlay.as_deref()).map_err(|error| Failure::new(Exit::Ours, error))?;
    match command {
        TemplatesCommand::List => {
            let lines: Vec<Line<'_>> = templates
                .list()
                .map(|(audience, variant, language, review)| Line {
                    audience: audience.name(),
                    language,
                    discreet: variant == Variant::Discreet,
                    reviewed: review.said(),
                })
                .collect();
            context.out.data(&lines, || {
                let row = |line: &Line<'_>| {
                    let discreet = if line.discreet { "discreet" } else { "" };
                    let reviewed = format!("reviewed: {}", line.reviewed);
                    vec![
                        line.audience.to_owned(),
                        line.language.to_owned(),
                        discreet.to_owned(),
                        reviewed,
                    ]
                };
                table(&lines.iter().map(row).collect::<Vec<_>>())
            })?;
            Ok(Exit::Done)
        }
        TemplatesCommand::Check => {
            let findings = templates.check();
            context.out.data(&findings, || match findings.is_empty() {
                true => "All templates are sound.\n".to_owned(),
                false => findings
                    .iter()
                    .map(|finding| format!("{}: {finding} [{}]\n", finding.severity.name(), finding.code))
                    .collect(),
            })?;
            Ok(if findings.is_empty() { Exit::Done } else { Exit::Person })
        }
        TemplatesCommand::Show {
            audience,
            language,
            discreet,
        } => {
            let variant = if discreet { Variant::Discreet } else { Variant::Plain };
            let source = templates
                .source(audience.into(), variant, &language)
                .map_err(|error| Failure::new(Exit::Usage, error).hint("breachpost templates list"))?;
            context
                .out
                .data(&serde_json::json!({ "template": source }), || source.to_owned())?;
            Ok(Exit::Done)
        }
    }
}
