//! AUTH (RFC 4954): which way to log in, and the dialogue. Reached only under TLS or on loopback: see
//! [`super::relay::Relay::check`]. Nothing here is logged, and no reply's text repeats what we sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Connection, fault};
use crate::mail::login::{Login, Proof, Tokens, plain_answer, refusal_status, token_advice, xoauth2_answer};
use crate::model::delivery::{Fault, FaultCause, SmtpStep};
use crate::secret::Secret;

/// A longer AUTH command may not carry its first answer (RFC 4954 §4): the answer follows in a line of its own.
const COMMAND_MOST_BYTES: usize = 512;
/// What a server must take as an answer (RFC 4954 §4), without CRLF.
const ANSWER_MOST_BYTES: usize = 12_286;

impl Connection {
    /// Logs in: by token with XOAUTH2; by password with PLAIN (RFC 4616), else LOGIN.
    pub(super) async fn log_in(&mut self, login: &Login) -> Result<(), Fault> {
        let offers = |mechanism: &str| self.capabilities.auth.iter().any(|m| m == mechanism);
        match &login.proof {
            Proof::Tokens(tokens) if offers("XOAUTH2") => self.log_in_by_token(&login.user, &**tokens).await,
            Proof::Tokens(_) => Err(self.not_offered("XOAUTH2 is needed for `oauth2`")),
            Proof::Password(password) if offers("PLAIN") => {
                let answer = plain_answer(&login.user, password);
                self.authenticate("PLAIN", &answer)
                    .await?
                    .map_or(Ok(()), |_| Err(stalled()))
            }
            Proof::Password(password) if offers("LOGIN") => self.log_in_in_two_lines(&login.user, password).await,
            Proof::Password(_) => Err(self.not_offered("PLAIN or LOGIN is needed")),
        }
    }

    async fn log_in_by_token(&mut self, user: &str, tokens: &dyn Tokens) -> Result<(), Fault> {
        let token = tokens.token().await.map_err(unfit)?;
        let answer = xoauth2_answer(user, &token);
        let verdict = self.authenticate("XOAUTH2", &answer).await;
        // A token that is not taken is answered by 334 and the reason, and only an empty line brings the final reply.
        let (status, verdict) = match verdict {
            Ok(None) => return Ok(()),
            Ok(Some(challenge)) => {
                let reply = self.exchange(SmtpStep::Auth, "\r\n").await?;
                (refusal_status(&challenge), Err(fault(SmtpStep::Auth, &reply)))
            }
            Err(refusal) => (None, Err(refusal)),
        };
        verdict.map_err(|mut refusal: Fault| {
            if let FaultCause::Reply(reply) = &mut refusal.cause
                && reply.code / 100 == 5
            {
                tokens.refused();
                reply.text = format!("{}; {}", reply.text, token_advice(status.as_deref()));
            }
            refusal
        })
    }

    /// One mechanism with one answer. `Some` is what the relay asks next, `None` that we are in.
    async fn authenticate(&mut self, mechanism: &str, answer: &Secret) -> Result<Option<String>, Fault> {
        if answer.expose().len() > ANSWER_MOST_BYTES {
            let why =
                format!("what {mechanism} would send is longer than {ANSWER_MOST_BYTES} bytes, the most a relay takes");
            return Err(unfit(why));
        }
        let command = Secret::new(format!("AUTH {mechanism} {}\r\n", answer.expose()));
        let reply = if command.expose().len() <= COMMAND_MOST_BYTES {
            self.exchange(SmtpStep::Auth, command.expose()).await?
        } else {
            let reply = self.exchange(SmtpStep::Auth, format!("AUTH {mechanism}\r\n")).await?;
            if reply.code != 334 {
                return Err(fault(SmtpStep::Auth, &reply));
            }
            let line = Secret::new(format!("{}\r\n", answer.expose()));
            self.exchange(SmtpStep::Auth, line.expose()).await?
        };
        match reply.code {
            235 => Ok(None),
            334 => Ok(Some(reply.lines.concat())),
            _ => Err(fault(SmtpStep::Auth, &reply)),
        }
    }

    /// LOGIN, which was never standardised: user and password in a line each.
    async fn log_in_in_two_lines(&mut self, user: &str, password: &Secret) -> Result<(), Fault> {
        let line = |text: &str| Secret::new(format!("{}\r\n", BASE64.encode(text)));
        for (line, expected) in [
            (Secret::new("AUTH LOGIN\r\n"), 334),
            (line(user), 334),
            (line(password.expose()), 235),
        ] {
            let reply = self.exchange(SmtpStep::Auth, line.expose()).await?;
            if reply.code != expected {
                return Err(fault(SmtpStep::Auth, &reply));
            }
        }
        Ok(())
    }

    fn not_offered(&self, needed: &str) -> Fault {
        unfit(match self.capabilities.auth.as_slice() {
            [] => "the relay offers no AUTH here; leave the user out of relay.url if it needs none".to_owned(),
            offered => format!("the relay offers AUTH {} only; {needed}", offered.join(" ")),
        })
    }
}

fn unfit(why: String) -> Fault {
    Fault {
        step: SmtpStep::Auth,
        cause: FaultCause::Unfit(why),
    }
}
fn stalled() -> Fault {
    Fault {
        step: SmtpStep::Auth,
        cause: FaultCause::Protocol("the relay asks for more than user and password".to_owned()),
    }
}
