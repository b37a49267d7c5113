//! Who we are to a mail server: a user with a password, or with tokens that somebody else fetches (OAuth 2.0). The SASL
//! answers that relay and mailbox share. Knows no protocol around them and prints none of it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use crate::secret::Secret;

/// Where access tokens come from. Asked at every login.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// A token that should be good now.
    ///
    /// # Errors
    /// One line for a person, saying why there is none; it holds no part of a token.
    async fn token(&self) -> Result<Secret, String>;
    /// The server did not take the last one: it must not be given again.
    fn refused(&self);
}

/// A user and the proof of being that user.
#[derive(Clone)]
pub struct Login {
    /// As the server knows us; no NUL (RFC 4616 §2).
    pub user: String,
    pub proof: Proof,
}
/// See [`Login`].
#[derive(Clone)]
pub enum Proof {
    Password(Secret),
    Tokens(Arc<dyn Tokens>),
}

impl Login {
    pub fn by_password(user: impl Into<String>, password: Secret) -> Self {
        Self {
            user: user.into(),
            proof: Proof::Password(password),
        }
    }
    pub fn by_tokens(user: impl Into<String>, tokens: Arc<dyn Tokens>) -> Self {
        Self {
            user: user.into(),
            proof: Proof::Tokens(tokens),
        }
    }
}
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proof = match &self.proof {
            Proof::Password(_) => "password",
            Proof::Tokens(_) => "tokens",
        };
        f.debug_struct("Login")
            .field("user", &self.user)
            .field("proof", &proof)
            .finish()
    }
}

/// The SASL answer of PLAIN (RFC 4616 §2), in base64.
pub(super) fn plain_answer(user: &str, password: &Secret) -> Secret {
    let answer = Secret::new(format!("\0{user}\0{}", password.expose()));
    Secret::new(BASE64.encode(answer.expose()))
}

/// The SASL answer of XOAUTH2, in base64: the mechanism that providers offer beside RFC 7628's own.
pub(super) fn xoauth2_answer(user: &str, token: &Secret) -> Secret {
    let answer = Secret::new(format!("user={user}\x01auth=Bearer {}\x01\x01", token.expose()));
    Secret::new(BASE64.encode(answer.expose()))
}

/// The `status` of the JSON that a server sends in base64 when it does not take a token; nothing else of it is kept.
pub(super) fn refusal_status(challenge: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        status: String,
    }
    // Such challenges have some 100 bytes; what is far longer is something else.
    let bytes = (challenge.len() <= 4096)
        .then(|| BASE64.decode(challenge.trim()).ok())
        .flatten()?;
    let status = serde_json::from_slice::<Refusal>(&bytes).ok()?.status;
    let fits = (1..=32).contains(&status.len()) && status.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    fits.then_some(status)
}

/// What a person does about a token that was not taken.
pub(super) fn token_advice(status: Option<&str>) -> String {
    let status = status.map_or(String::new(), |status| format!(" (status {status})"));
    format!(
        "the token was not taken{status}: it has expired or is for another purpose; renew it at its place, `oauth2` in \
         config.yaml"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_their_form_and_nothing_prints_them() {
        let password = Secret::new("hunter2");
        assert_eq!(plain_answer("ann", &password).expose(), BASE64.encode("\0ann\0hunter2"));
        assert_eq!(
            xoauth2_answer("ann@example.lu", &password).expose(),
            BASE64.encode("user=ann@example.lu\x01auth=Bearer hunter2\x01\x01")
        );
        assert!(!format!("{:?}", Login::by_password("ann", password)).contains("hunter2"));
    }

    #[test]
    fn only_the_status_of_a_refusal_is_kept() {
        let status = |json: &str| refusal_status(&BASE64.encode(json));
        assert_eq!(
            status(r#"{"status":"401","schemes":"bearer","scope":"mail"}"#).as_deref(),
            Some("401")
        );
        assert_eq!(
            status(r#"{"status":"invalid_token"}"#).as_deref(),
            Some("invalid_token")
        );
        for wrong in ["", "{}", "[]", r#"{"status":401}"#, r#"{"status":"a b"}"#] {
            assert_eq!(status(wrong), None, "{wrong}");
        }
        assert_eq!(status(&format!(r#"{{"status":"{}"}}"#, "x".repeat(33))), None);
        assert_eq!(refusal_status("no base64!"), None);
        assert_eq!(refusal_status(&"A".repeat(5000)), None);
    }
}
