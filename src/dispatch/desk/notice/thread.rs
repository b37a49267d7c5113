//! The thread that an answer joins: which mail of the authority it answers, and the Message-IDs it then refers to.

use crate::directory::profile::Profile;
use crate::dispatch::desk::{DeskError, conversation};
use crate::dispatch::office::Office;
use crate::model::id::{BreachId, MailId};
use crate::model::notice::NoticeKind;

use super::find;

/// Message-IDs of a thread that an answer refers to.
const MOST_IN_THREAD: usize = 20;

/// The thread of the mail that is answered: the Message-IDs it refers to, and its own last (RFC 5322 §3.6.4).
pub(super) async fn answered_mail(
    office: &Office,
    mail: MailId,
    breach: BreachId,
    profile: &Profile,
    kind: Option<NoticeKind>,
) -> Result<Vec<String>, DeskError> {
    let refused = |why: String| Err(DeskError::Refused(why));
    if let Some(kind) = kind.filter(|kind| *kind != NoticeKind::Answer) {
        return refused(format!(
            "--in-reply-to is for a notice of kind answer, not {}",
            kind.name()
        ));
    }
    let (stored, opened) = conversation::reopen(office, mail).await?;
    let notice = match stored.understanding.and_then(|understanding| understanding.notice) {
        Some(reference) => find(office, &reference).await?,
        None => {
            return refused(format!(
                "{mail} is not tied to a notice yet; read it, then: breachpost mailbox match {mail} REFERENCE --as reply"
            ));
        }
    };
    if notice.breach != breach || notice.authority != profile.id {
        return refused(format!(
            "{mail} belongs to {} about {} to {}; answer it there: breachpost notice send {} --to {} --kind answer --in-reply-to {mail}",
            notice.reference, notice.breach, notice.authority, notice.breach, notice.authority
        ));
    }
    let Some(own) = opened.message_id.clone() else {
        // Nothing to refer to: our own notice carries the thread.
        return Ok(notice.message_id.into_iter().collect());
    };
    let mut thread: Vec<String> = opened
        .references
        .into_iter()
        .filter(|id| is_plain_id(id) && *id != own)
        .collect();
    // The first names the thread's start, the last what was said last; a longer list would not fit a header.
    if thread.len() > MOST_IN_THREAD {
        thread.drain(1..thread.len() - (MOST_IN_THREAD - 1));
    }
    thread.extend(Some(own).filter(|id| is_plain_id(id)));
    Ok(thread)
}

/// A Message-ID that may stand in a header of ours: a stranger wrote it.
fn is_plain_id(id: &str) -> bool {
    let inner = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
    inner.is_some_and(|inner| {
        inner.len() <= 250
            && inner.matches('@').count() == 1
            && !inner.starts_with('@')
            && !inner.ends_with('@')
            && inner
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"<>()[]\\,;:\"".contains(&b))
    })
}
