//! From the settings to what the wires need to log in: passwords and tokens, and how a connection is protected.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::{Home, Proof, ServerSecurity, TokenSource};
use crate::mail::login::{Login, Tokens};
use crate::mail::tls::TlsMode;
use crate::secret::Secret;

use super::causes::chain;

/// How long what a command printed is used: a relay that closes after each message must not run it for each.
const KEPT: Duration = Duration::from_secs(60);

/// A user with the proof that the settings name.
pub(super) fn from_settings(home: &Home, user: String, proof: Proof) -> Login {
    match proof {
        Proof::Password(password) => Login::by_password(user, password),
        Proof::Token(source) => Login::by_tokens(
            user,
            Arc::new(Fresh {
                source,
                home: home.clone(),
                kept: Mutex::new(None),
            }),
        ),
    }
}

pub(super) fn tls_mode(security: ServerSecurity) -> TlsMode {
    match security {
        ServerSecurity::Tls => TlsMode::Implicit,
        ServerSecurity::StartTls => TlsMode::StartTls,
        ServerSecurity::None => TlsMode::None,
    }
}

/// Tokens from their place, read at each login; from a command at most once a minute, and at once after a refusal.
struct Fresh {
    source: TokenSource,
    home: Home,
    /// Held while the command runs, so that many connections run it once.
    kept: Mutex<Option<(Secret, Instant)>>,
}

#[async_trait]
impl Tokens for Fresh {
    async fn token(&self) -> Result<Secret, String> {
        let mut kept = self.kept.lock().await;
        if let Some((token, since)) = &*kept
            && since.elapsed() < KEPT
        {
            return Ok(token.clone());
        }
        let token = self.source.fetch(&self.home).await.map_err(|error| chain(&error))?;
        *kept = match self.source {
            TokenSource::Command(_) => Some((token.clone(), Instant::now())),
            TokenSource::Place(_) => None,
        };
        Ok(token)
    }

    fn refused(&self) {
        // Locked: a fresh one is being fetched already.
        if let Ok(mut kept) = self.kept.try_lock() {
            *kept = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_runs_once_for_many_logins_and_again_after_a_refusal() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path()).unwrap();
        let source = TokenSource::Command("echo x >> runs; wc -l < runs".to_owned());
        let login = from_settings(&home, "ann".to_owned(), Proof::Token(source));
        let crate::mail::login::Proof::Tokens(tokens) = login.proof else {
            panic!("a token's source gives tokens");
        };
        let told = async || tokens.token().await.unwrap().expose().to_owned();
        assert_eq!([told().await, told().await], ["1", "1"]);
        tokens.refused();
        assert_eq!([told().await, told().await], ["2", "2"]);
    }

    #[tokio::test]
    async fn a_file_is_read_at_each_login() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path()).unwrap();
        let source = TokenSource::Place(crate::config::SecretSource::File("token".into()));
        let tokens = Fresh {
            source,
            home,
            kept: Mutex::new(None),
        };
        assert!(tokens.token().await.unwrap_err().contains("cannot take the secret"));
        for text in ["first\n", "second\n"] {
            std::fs::write(folder.path().join("token"), text).unwrap();
            assert_eq!(tokens.token().await.unwrap().expose(), text.trim());
        }
    }
}
