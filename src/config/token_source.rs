//! Where an access token comes from (OAuth 2.0): a place like any secret's, or a command that prints one. Fetched when it
//! is needed and never shown; what the command says otherwise is not kept.

use std::fmt;
use std::marker::PhantomData;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::ConfigError;
use super::home::Home;
use super::secret_source::{OnePlace, Place, SecretSource};
use crate::secret::Secret;

/// How long the command may take: some ask a server, none should ask a person.
const COMMAND_WAIT: Duration = Duration::from_secs(30);
/// Tokens have a few thousand bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// Where a token comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// Something else keeps it fresh there.
    Place(SecretSource),
    /// Given to `sh -c`, in the home; prints one token on standard output.
    Command(String),
}
impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenSource::Place(place) => place.fmt(f),
            TokenSource::Command(_) => f.write_str("the command of `oauth2`"),
        }
    }
}
/// A command line may hold what only its author should see.
impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenSource({self})")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenFault {
    #[error("it cannot be run")]
    NotRun(#[source] std::io::Error),
    #[error("it {0}; run it by hand as the same user to see why")]
    Failed(String),
    #[error("it did not end within {} s; it must not wait for a person", COMMAND_WAIT.as_secs())]
    Slow,
    #[error("it gives nothing")]
    Empty,
    #[error("it gives more than 64 KiB, so it cannot be a token")]
    TooLarge,
    #[error("what it gives is no token: one word of printable ASCII is needed, and nothing else")]
    NoToken,
}

impl TokenSource {
    /// The token as it is now.
    ///
    /// # Errors
    /// As [`SecretSource::read`], or [`ConfigError::Token`]. No error holds any part of what was read.
    pub async fn fetch(&self, home: &Home) -> Result<Secret, ConfigError> {
        let fault = |why| ConfigError::Token {
            place: self.clone(),
            why,
        };
        let text = match self {
            TokenSource::Place(place) => place.read(home)?,
            TokenSource::Command(line) => run(line, home).await.map_err(fault)?,
        };
        let token = text.expose().trim();
        if token.is_empty() {
            return Err(fault(TokenFault::Empty));
        }
        // RFC 6750 §2.1 allows less; a control character would end the SASL answer early.
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(fault(TokenFault::NoToken));
        }
        Ok(Secret::new(token))
    }
}

async fn run(line: &str, home: &Home) -> Result<Secret, TokenFault> {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(line)
        .current_dir(home.root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A group of its own, so that what the shell started ends with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(TokenFault::NotRun)?;
    let group = child.id();
    let stdout = child.stdout.take().expect("standard output is piped");
    let work = async {
        let mut printed = zeroize::Zeroizing::new(Vec::new());
        let mut bounded = stdout.take(MOST_BYTES + 1);
        bounded.read_to_end(&mut printed).await.map_err(TokenFault::NotRun)?;
        if printed.len() as u64 > MOST_BYTES {
            return Err(TokenFault::TooLarge);
        }
        Ok((printed, child.wait().await.map_err(TokenFault::NotRun)?))
    };
    let end = tokio::time::timeout(COMMAND_WAIT, work).await;
    if !matches!(end, Ok(Ok(_)))
        && let Some(group) = group
    {
        // It may have ended in the meantime.
        let _ = killpg(Pid::from_raw(group.cast_signed()), Signal::SIGKILL);
    }
    let (printed, status) = end.map_err(|_| TokenFault::Slow)??;
    if !status.success() {
        return Err(TokenFault::Failed(how_it_ended(status)));
    }
    let text = std::str::from_utf8(&printed).map_err(|_| TokenFault::NoToken)?;
    Ok(Secret::new(text))
}

fn how_it_ended(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("ended with status {code}"),
        None => "was ended by a signal".to_owned(),
    }
}

impl<'de> Deserialize<'de> for TokenSource {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OnePlace::<Self>(PhantomData))
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum TokenKey {
    File,
    Env,
    Credential,
    Command,
}
impl Place for TokenSource {
    type Key = TokenKey;
    const FORMS: &str = "{ file: PATH }, { env: NAME }, { credential: NAME } or { command: \"PROGRAM …\" }";
    fn take<'de, M: MapAccess<'de>>(key: TokenKey, map: &mut M) -> Result<Self, M::Error> {
        Ok(match key {
            TokenKey::File => TokenSource::Place(SecretSource::File(map.next_value()?)),
            TokenKey::Env => TokenSource::Place(SecretSource::Env(map.next_value()?)),
            TokenKey::Credential => TokenSource::Place(SecretSource::Credential(map.next_value()?)),
            TokenKey::Command => TokenSource::Command(map.next_value()?),
        })
    }
    fn check(&self) -> Result<(), &'static str> {
        match self {
            TokenSource::Place(place) => place.check(),
            TokenSource::Command(line) if line.trim().is_empty() || line.contains('\0') => {
                Err("the command is empty: name a program that prints a token")
            }
            TokenSource::Command(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fetched(line: &str) -> Result<String, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path()).unwrap();
        let token = TokenSource::Command(line.to_owned()).fetch(&home).await?;
        Ok(token.expose().to_owned())
    }

    #[tokio::test]
    async fn a_command_prints_one_token() {
        assert_eq!(fetched("echo '  ya29.a-b_c~d/+=  '").await.unwrap(), "ya29.a-b_c~d/+=");
        // A shell's line, as the other mail programs take it; its input is closed and its errors are its own.
        assert_eq!(
            fetched("cat; printf %s a | tr a b; echo secret >&2").await.unwrap(),
            "b"
        );
    }

    #[tokio::test]
    async fn what_a_command_does_wrong_is_said_without_its_words() {
        for (line, reason) in [
            ("echo hunter2; exit 3", "ended with status 3"),
            ("echo hunter2; kill -9 $$", "ended by a signal"),
            ("true", "gives nothing"),
            ("echo", "gives nothing"),
            ("echo hunter2 two", "no token"),
            ("printf 'hunter2\\nmore'", "no token"),
            ("printf 'hunter2\\001x'", "no token"),
            ("yes hunter2", "more than 64 KiB"),
            ("/no/such/program hunter2", "ended with status 127"),
        ] {
            let error = fetched(line).await.unwrap_err();
            let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
            assert!(text.contains(reason), "{line}: {text}");
            assert!(
                !text.contains("hunter2") && !format!("{error:?}").contains("hunter2"),
                "{text}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_waits_is_ended() {
        for line in [
            "sleep 1000",
            "sleep 1000 & echo hunter2; wait",
            "sleep 1000 & echo hunter2",
        ] {
            let error = fetched(line).await.unwrap_err();
            assert!(
                matches!(
                    error,
                    ConfigError::Token {
                        why: TokenFault::Slow,
                        ..
                    }
                ),
                "{error:?}"
            );
        }
    }
}
