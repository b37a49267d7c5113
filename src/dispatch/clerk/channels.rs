//! How the team is told: one mail to each address over the relay, one signed post to each webhook. Each channel fails
//! alone. Knows nothing of why somebody is told, nor of when it is tried again.

use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Address, Config, SecretSource, Webhook};
use crate::dispatch::causes::chain;
use crate::dispatch::office::Office;
use crate::mail::smtp::{Connection, Connector, Mail, Notify};
use crate::mail::webhook::{Answer, Post, Poster};
use crate::message::mime::{self, Content, Headers, Mailbox};
use crate::message::token;
use crate::model::Time;
use crate::model::delivery::Outcome;
use crate::secret::Secret;

/// A relay may take ten minutes over a message; an alert tries again sooner than that.
const MAIL_WAIT: Duration = Duration::from_secs(30);
/// The sender's name on alerts: the organisation's own is nothing for strangers on the way.
const SENDER_NAME: &str = "breachpost";

/// One way to tell the team.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Stable, and neither address nor URL: stored, logged and journalled.
    pub id: String,
    way: Way,
}
#[derive(Debug, Clone)]
enum Way {
    Mail(String),
    Hook { url: String, secret: Option<SecretSource> },
}
impl Channel {
    fn mail(address: &Address) -> Self {
        Self {
            id: format!("email:{}", short_hash(address.as_str())),
            way: Way::Mail(address.as_str().to_owned()),
        }
    }
    fn hook(hook: &Webhook) -> Self {
        Self {
            id: format!("webhook:{}", short_hash(hook.url.as_str())),
            way: Way::Hook {
                url: hook.url.as_str().to_owned(),
                secret: hook.secret.clone(),
            },
        }
    }
    /// For the operator's own eyes: the address, or the host of the URL, whose path may be a secret.
    pub fn shown(&self) -> String {
        match &self.way {
            Way::Mail(address) => address.clone(),
            Way::Hook { url, .. } => url::Url::parse(url)
                .ok()
                .and_then(|url| url.host_str().map(|host| format!("{}://{host}/…", url.scheme())))
                .unwrap_or_else(|| "webhook".to_owned()),
        }
    }
}

fn short_hash(text: &str) -> String {
    let mut hash = token::sha256_hex(text.as_bytes());
    hash.truncate(8);
    hash
}

/// Who is told when something is raised.
pub fn usual(config: &Config) -> Vec<Channel> {
    let mails = config.alerts.emails.iter().map(Channel::mail);
    let hooks = config.alerts.webhooks.iter().map(Channel::hook);
    mails.chain(hooks).collect()
}

/// Who is told when it was ignored: those, and the ones that are for this alone.
pub fn escalated(config: &Config) -> Vec<Channel> {
    let mut channels = usual(config);
    for address in &config.alerts.escalate_emails {
        let channel = Channel::mail(address);
        if channels.iter().all(|known| known.id != channel.id) {
            channels.push(channel);
        }
    }
    channels
}

/// What is told, in both forms.
#[derive(Debug, Clone)]
pub struct Message {
    /// The same for every try: a receiver that got it twice can leave one out.
    pub id: String,
    /// The message that this one repeats.
    pub repeats: Option<String>,
    pub subject: String,
    pub text: String,
    /// For webhooks.
    pub document: String,
}
impl Message {
    /// An id made of what identifies the telling.
    pub fn id_of(parts: &impl Serialize) -> String {
        let text = serde_json::to_string(parts).expect("plain data");
        let mut hash = token::sha256_hex(text.as_bytes());
        hash.truncate(32);
        hash
    }
}

/// How a try to tell ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    Taken,
    /// To be tried again. The text holds neither URL nor secret.
    NotNow(String),
    /// The receiver wants no more (HTTP 410).
    Never(String),
}

/// A message for one channel.
#[derive(Debug, Clone)]
pub struct Job {
    pub channel: Channel,
    pub message: Message,
}

/// What came of the jobs.
#[derive(Debug, Default)]
pub struct Report {
    /// In the order of the jobs; `None` for those that were not tried, because the turn was over.
    pub sent: Vec<Option<Sent>>,
    /// Whether the relay took us; `None` when no mail was tried.
    pub relay: Option<Result<(), String>>,
    /// A receiver's clock and ours when it answered.
    pub dates: Vec<(Time, Time)>,
}

/// How long somebody may go on telling.
#[derive(Debug, Clone)]
pub struct Turn {
    pub end: Instant,
    pub stop: CancellationToken,
}
impl Turn {
    pub fn is_over(&self) -> bool {
        self.stop.is_cancelled() || Instant::now() >= self.end
    }
}

/// Tries each job once: mails one after the other over one connection, webhooks side by side. When the turn is over,
/// those that are left are not tried; without one, all are.
pub async fn send(office: &Office, jobs: Vec<Job>, turn: Option<&Turn>) -> Report {
    let mut report = Report {
        sent: vec![None; jobs.len()],
        ..Report::default()
    };
    let mut mails = Vec::new();
    let mut posts: Vec<(String, Vec<(usize, Job)>)> = Vec::new();
    for (place, job) in jobs.into_iter().enumerate() {
        match &job.channel.way {
            Way::Mail(_) => mails.push((place, job)),
            Way::Hook { .. } => match posts.iter_mut().find(|(id, _)| *id == job.channel.id) {
                Some((_, of_hook)) => of_hook.push((place, job)),
                None => posts.push((job.channel.id.clone(), vec![(place, job)])),
            },
        }
    }
    let (mailed, posted) = tokio::join!(send_mails(office, mails, turn), send_posts(office, posts, turn));
    let (mailed, relay) = mailed;
    let (posted, dates) = posted;
    for (place, sent) in mailed.into_iter().chain(posted) {
        report.sent[place] = Some(sent);
    }
    report.relay = relay;
    report.dates = dates;
    report
}

type Placed = Vec<(usize, Sent)>;

async fn send_mails(
    office: &Office,
    jobs: Vec<(usize, Job)>,
    turn: Option<&Turn>,
) -> (Placed, Option<Result<(), String>>) {
    if jobs.is_empty() {
        return (Vec::new(), None);
    }
    let mut placed = Vec::new();
    let connector = match office.connector() {
        Ok(connector) => connector,
        Err(error) => {
            let why = chain(&error);
            let all = jobs.iter().map(|(place, _)| (*place, Sent::NotNow(why.clone())));
            return (all.collect(), Some(Err(why)));
        }
    };
    let mut connection: Option<Connection> = None;
    let mut relay = Ok(());
    for (place, job) in jobs {
        if turn.is_some_and(Turn::is_over) {
            break;
        }
        if connection.as_ref().is_none_or(|open| !open.reusable()) && relay.is_ok() {
            match connect(&connector).await {
                Ok(open) => connection = Some(open),
                Err(why) => relay = Err(why),
            }
        }
        let sent = match (&mut connection, &relay) {
            // After one failure the others are not tried: they would all wait in vain.
            (_, Err(why)) => Sent::NotNow(why.clone()),
            (Some(open), Ok(())) => carry(office, open, &job).await,
            (None, Ok(())) => Sent::NotNow("no connection".to_owned()),
        };
        placed.push((place, sent));
    }
    if let Some(open) = connection {
        open.quit().await;
    }
    let tried = !placed.is_empty();
    (placed, tried.then_some(relay))
}

/// Opens a connection to a relay, without waiting as long as a relay may take.
pub async fn connect(connector: &Connector) -> Result<Connection, String> {
    match tokio::time::timeout(MAIL_WAIT, Connection::open(connector)).await {
        Ok(opened) => opened.map_err(|fault| fault.to_string()),
        Err(_) => Err(too_slow()),
    }
}

fn too_slow() -> String {
    format!("the relay did not answer within {} s", MAIL_WAIT.as_secs())
}

async fn carry(office: &Office, connection: &mut Connection, job: &Job) -> Sent {
    let Way::Mail(address) = &job.channel.way else {
        return Sent::Never("not a mail".to_owned());
    };
    let bytes = match written(office, address, &job.message) {
        Ok(bytes) => bytes,
        Err(error) => return Sent::NotNow(chain(&error)),
    };
    let mail = Mail {
        envelope_from: office.config.sender.address.as_str(),
        recipient: address,
        bytes: &bytes,
        envid: None,
        // An alert that could not be delivered comes back to the mailbox, and waits in the tray.
        notify: Notify {
            success: false,
            failure: true,
            delay: false,
        },
    };
    match tokio::time::timeout(MAIL_WAIT, connection.carry(&mail)).await {
        Ok(Outcome::Accepted { .. }) => Sent::Taken,
        Ok(outcome) => Sent::NotNow(outcome.words()),
        Err(_) => Sent::NotNow(too_slow()),
    }
}

/// One mail to one person of the team, in clear: its words are chosen so that anybody may read them.
fn written(office: &Office, address: &str, message: &Message) -> Result<Vec<u8>, mime::MimeError> {
    let sender = office.config.sender.address.as_str();
    let domain = sender.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| "localhost".to_owned());
    let message_id = |id: &String| format!("<alert.{id}@{domain}>");
    let content = Content {
        subject: message.subject.clone(),
        text: message.text.clone(),
        html: None,
        attachments: Vec::new(),
        language: "en".to_owned(),
    };
    let headers = Headers {
        from: Mailbox::new(Some(SENDER_NAME), sender),
        reply_to: None,
        to: Mailbox::new(None, address),
        outer_subject: message.subject.clone(),
        message_id: message_id(&message.id),
        date: office.now(),
        in_reply_to: message.repeats.as_ref().map(message_id),
        references: message.repeats.iter().map(message_id).collect(),
        extra: vec![
            // RFC 3834 §5: no holiday replies to a message nobody typed.
            ("Auto-Submitted".to_owned(), "auto-generated".to_owned()),
            ("X-Auto-Response-Suppress".to_owned(), "All".to_owned()),
        ],
    };
    mime::clear_mail(&content, &headers)
}

async fn send_posts(
    office: &Office,
    hooks: Vec<(String, Vec<(usize, Job)>)>,
    turn: Option<&Turn>,
) -> (Placed, Vec<(Time, Time)>) {
    if hooks.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let poster = match Poster::new() {
        Ok(poster) => poster,
        Err(error) => {
            let jobs = hooks.iter().flat_map(|(_, jobs)| jobs);
            let all = jobs.map(|(place, _)| (*place, Sent::NotNow(chain(&error))));
            return (all.collect(), Vec::new());
        }
    };
    let mut tasks = JoinSet::new();
    for (_, jobs) in hooks {
        tasks.spawn(send_to_hook(office.clone(), poster.clone(), jobs, turn.cloned()));
    }
    let (mut placed, mut dates) = (Vec::new(), Vec::new());
    while let Some(done) = tasks.join_next().await {
        let (some, read) = done.expect("posting does not panic");
        placed.extend(some);
        dates.extend(read);
    }
    (placed, dates)
}

async fn send_to_hook(
    office: Office,
    poster: Poster,
    jobs: Vec<(usize, Job)>,
    turn: Option<Turn>,
) -> (Placed, Vec<(Time, Time)>) {
    let (mut placed, mut dates) = (Vec::new(), Vec::new());
    let mut silent = None;
    for (place, job) in jobs {
        if turn.as_ref().is_some_and(Turn::is_over) {
            break;
        }
        let sent = match &silent {
            Some(why) => Sent::NotNow(String::clone(why)),
            None => match secret_of(&office, &job.channel) {
                Err(why) => Sent::NotNow(why),
                Ok(secret) => {
                    let answer = post(&office, &poster, &job, secret.as_ref()).await;
                    if let Answer::Silent(why) = &answer {
                        silent = Some(why.clone());
                    }
                    dates.extend(date_of(&answer).map(|theirs| (theirs, office.now())));
                    outcome(&answer)
                }
            },
        };
        placed.push((place, sent));
    }
    (placed, dates)
}

async fn post(office: &Office, poster: &Poster, job: &Job, secret: Option<&Secret>) -> Answer {
    let Way::Hook { url, .. } = &job.channel.way else {
        return Answer::Silent("not a webhook".to_owned());
    };
    let post = Post {
        url,
        id: &job.message.id,
        body: &job.message.document,
        at: office.now(),
    };
    poster.post(post, secret).await
}

fn secret_of(office: &Office, channel: &Channel) -> Result<Option<Secret>, String> {
    match &channel.way {
        Way::Hook {
            secret: Some(source), ..
        } => match source.read(&office.home) {
            Ok(secret) => Ok(Some(secret)),
            // Its text names the place of the secret, never the secret.
            Err(error) => Err(format!("the webhook's secret cannot be read: {}", chain(&error))),
        },
        _ => Ok(None),
    }
}

fn date_of(answer: &Answer) -> Option<Time> {
    match answer {
        Answer::Taken { date, .. } | Answer::Refused { date, .. } => *date,
        Answer::Silent(_) => None,
    }
}

fn outcome(answer: &Answer) -> Sent {
    match answer {
        Answer::Taken { .. } => Sent::Taken,
        Answer::Refused { status, .. } if answer.is_final() => Sent::Never(format!("HTTP status {status}")),
        Answer::Refused { status, .. } => Sent::NotNow(format!("HTTP status {status}")),
        Answer::Silent(why) => Sent::NotNow(why.clone()),
    }
}
