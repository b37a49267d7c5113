//! Questions to a person at a terminal: one line each, asked again until the answer can be used. Prompts go to standard
//! error, so that standard output stays data. Knows nothing of what is asked for.

use std::io::{self, BufRead, IsTerminal as _, Write};

use crate::secret::Secret;

/// No answer was had.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The person closed the input (Ctrl-D).
    #[error("stopped at a question: the input ended")]
    Ended,
    #[error("cannot talk to the terminal")]
    Terminal(#[source] io::Error),
}

/// Somebody who can be asked.
pub struct Terminal<'a> {
    input: Box<dyn BufRead + 'a>,
    output: Box<dyn Write + 'a>,
    /// Whether secrets are read from the terminal itself, without echo.
    hides_secrets: bool,
}

impl Terminal<'static> {
    /// The terminal this program runs at; `None` where nobody would see a question or could answer it.
    pub fn find() -> Option<Self> {
        (io::stdin().is_terminal() && io::stderr().is_terminal()).then(|| Self {
            input: Box::new(io::stdin().lock()),
            output: Box::new(io::stderr()),
            hides_secrets: true,
        })
    }
}

impl<'a> Terminal<'a> {
    /// A conversation over any two streams; secrets are read from `input` as well.
    #[cfg(test)]
    pub fn over(input: impl BufRead + 'a, output: impl Write + 'a) -> Self {
        Self {
            input: Box::new(input),
            output: Box::new(output),
            hides_secrets: false,
        }
    }

    /// Shows a paragraph.
    pub fn say(&mut self, text: &str) -> Result<(), AskError> {
        writeln!(self.output, "{text}").map_err(AskError::Terminal)
    }

    /// Asks until `read` takes the answer; an empty answer is the default, where there is one. A default of `""` makes
    /// the question one that may be left out.
    ///
    /// # Errors
    /// [`AskError`]; all that `read` refuses is shown and asked again.
    pub fn ask<T, E: std::fmt::Display>(
        &mut self,
        question: &str,
        default: Option<&str>,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, AskError> {
        let shown = match default {
            None => String::new(),
            Some("") => " [skip]".to_owned(),
            Some(default) => format!(" [{default}]"),
        };
        let colon = if question.ends_with('?') && shown.is_empty() {
            ""
        } else {
            ":"
        };
        loop {
            let Some(answer) = self.line(&format!("{question}{shown}{colon} "))? else {
                self.say("  that was not UTF-8 text")?;
                continue;
            };
            let answer = match (answer.trim(), default) {
                ("", Some(default)) => default,
                ("", None) => {
                    self.say("  an answer is needed")?;
                    continue;
                }
                (answer, _) => answer,
            };
            match read(answer) {
                Ok(value) => return Ok(value),
                Err(why) => self.say(&format!("  {why}"))?,
            }
        }
    }

    /// Lets the person choose by number or name; returns the position in `choices`, which are names with explanations.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn ask_choice(&mut self, question: &str, choices: &[(&str, &str)], default: usize) -> Result<usize, AskError> {
        for (number, (name, explanation)) in (1..).zip(choices) {
            self.say(&match explanation {
                &"" => format!("  {number:2}  {name}"),
                explanation => format!("  {number:2}  {name}: {explanation}"),
            })?;
        }
        self.ask(question, choices.get(default).map(|(name, _)| *name), |answer| {
            let by_number = answer.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            let by_name = || choices.iter().position(|(name, _)| name.eq_ignore_ascii_case(answer));
            by_number
                .filter(|n| *n < choices.len())
                .or_else(by_name)
                .ok_or_else(|| format!("answer with a number from 1 to {}", choices.len()))
        })
    }

    /// Yes or no; `default` is taken for an empty answer.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn confirm(&mut self, question: &str, default: bool) -> Result<bool, AskError> {
        let default = if default { "yes" } else { "no" };
        self.ask(&format!("{question} (yes/no)"), Some(default), |answer| {
            match answer.to_ascii_lowercase().as_str() {
                "y" | "yes" => Ok(true),
                "n" | "no" => Ok(false),
                _ => Err("answer with yes or no"),
            }
        })
    }

    /// A secret, not shown while it is typed; never empty.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn ask_secret(&mut self, question: &str) -> Result<Secret, AskError> {
        loop {
            let answer = if self.hides_secrets {
                self.output.flush().map_err(AskError::Terminal)?;
                match rpassword::prompt_password(format!("{question} (not shown): ")) {
                    Ok(answer) => Some(answer),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(AskError::Ended),
                    Err(error) => return Err(AskError::Terminal(error)),
                }
            } else {
                self.line(&format!("{question}: "))?
            };
            match answer.map(Secret::new) {
                Some(secret) if !secret.expose().is_empty() => return Ok(secret),
                _ => self.say("  an answer is needed")?,
            }
        }
    }

    /// One line without its end; `None` when it is not UTF-8.
    fn line(&mut self, prompt: &str) -> Result<Option<String>, AskError> {
        write!(self.output, "{prompt}").map_err(AskError::Terminal)?;
        self.output.flush().map_err(AskError::Terminal)?;
        let mut bytes = Vec::new();
        if self.input.read_until(b'\n', &mut bytes).map_err(AskError::Terminal)? == 0 {
            // The prompt's line is still open.
            self.say("")?;
            return Err(AskError::Ended);
        }
        while bytes.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
            bytes.pop();
        }
        Ok(String::from_utf8(bytes).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk<T>(
        input: &[u8],
        conversation: impl FnOnce(&mut Terminal) -> Result<T, AskError>,
    ) -> (Result<T, AskError>, String) {
        let mut output = Vec::new();
        let result = conversation(&mut Terminal::over(input, &mut output));
        (result, String::from_utf8(output).unwrap())
    }
    fn number(text: &str) -> Result<u32, String> {
        text.parse().map_err(|_| format!("`{text}` is not a number"))
    }

    #[test]
    fn a_useless_answer_is_explained_and_asked_again() {
        let (answer, shown) = talk(b"\nten\n\xff\n 10 \r\n", |t| t.ask("How many", None, number));
        assert_eq!(answer.unwrap(), 10);
        assert_eq!(
            shown,
            "How many:   an answer is needed\nHow many:   `ten` is not a number\nHow many:   that was not UTF-8 text\nHow many: "
        );
    }

    #[test]
    fn an_empty_answer_is_the_default() {
        let (answer, shown) = talk(b"\n", |t| t.ask("How many", Some("7"), number));
        assert_eq!(answer.unwrap(), 7);
        assert_eq!(shown, "How many [7]: ");
        let (answer, shown) = talk(b"\n", |t| {
            t.ask("Note", Some(""), |text| Ok::<_, String>(text.to_owned()))
        });
        assert_eq!((answer.unwrap().as_str(), shown.as_str()), ("", "Note [skip]: "));
    }

    #[test]
    fn the_end_of_the_input_ends_every_question() {
        for (answer, shown) in [
            talk(b"", |t| t.ask("How many", Some("7"), number).map(drop)),
            talk(b"x\n", |t| t.ask("How many", Some("7"), number).map(drop)),
            talk(b"", |t| t.confirm("Go on", true).map(drop)),
            talk(b"", |t| t.ask_choice("Which", &[("a", "first")], 0).map(drop)),
            talk(b"", |t| t.ask_secret("Password").map(drop)),
        ] {
            assert!(matches!(answer, Err(AskError::Ended)));
            assert!(shown.ends_with('\n'), "{shown:?}");
        }
    }

    #[test]
    fn choices_by_number_name_and_default() {
        let choices = [("dpo", "the data protection officer"), ("other", "somebody else")];
        for (input, chosen) in [("2\n", 1), ("OTHER\n", 1), ("0\n3\nx\n1\n", 0), ("\n", 0)] {
            assert_eq!(
                talk(input.as_bytes(), |t| t.ask_choice("Kind", &choices, 0)).0.unwrap(),
                chosen,
                "{input:?}"
            );
        }
    }

    #[test]
    fn yes_no_and_secrets() {
        for (input, default, said) in [
            ("y\n", false, true),
            ("No\n", true, false),
            ("\n", true, true),
            ("?\nyes\n", false, true),
        ] {
            assert_eq!(
                talk(input.as_bytes(), |t| t.confirm("Send", default)).0.unwrap(),
                said,
                "{input:?}"
            );
        }
        let (secret, shown) = talk(b"\nhunter2\n", |t| t.ask_secret("Password"));
        assert_eq!(secret.unwrap().expose(), "hunter2");
        assert!(!shown.contains("hunter2"));
    }
}
