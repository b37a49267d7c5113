//! One client's session with the receiver: RFC 5321, strictly, with the trouble its plan holds.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::plan::{Act, Protection, Step};
use super::{Shared, TakenMail, TakenRecipient};

/// Room for one read: a notice of usual size.
const READ_BYTES: usize = 16 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// Greets a client for whom there is no room.
pub(super) async fn send_away(mut socket: TcpStream) {
    // Whether it hears it is its own business.
    let _ = socket
        .write_all(b"421 4.7.0 receiver.example too many connections\r\n")
        .await;
    let _ = socket.shutdown().await;
}

/// Serves one connection until either side closes it.
pub(super) async fn serve(socket: TcpStream, number: usize, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    // Without it the client waits for our delayed packets; a socket that cannot do it still works.
    let _ = socket.set_nodelay(true);
    let session = Session {
        stream: Box::new(socket),
        number,
        shared,
        tls: false,
        input: Vec::new(),
        output: Vec::new(),
        user: None,
        greeted: false,
        transaction: None,
        taken: 0,
    };
    // However it ends, the connection is over; the client sees how.
    let _ = session.run(&acceptor).await;
}

/// MAIL was taken.
#[derive(Default)]
struct Transaction {
    from: String,
    parameters: Vec<String>,
    recipients: Vec<TakenRecipient>,
}

struct Session {
    stream: Box<dyn Stream>,
    number: usize,
    shared: Arc<Shared>,
    tls: bool,
    input: Vec<u8>,
    /// Replies wait here until the client has said all it has to say for now (RFC 2920 §3.2).
    output: Vec<u8>,
    user: Option<String>,
    greeted: bool,
    transaction: Option<Transaction>,
    taken: u32,
}

/// The connection is over, as planned or because the client left.
type Ended = io::Error;
fn ended() -> Ended {
    io::ErrorKind::ConnectionAborted.into()
}

impl Session {
    async fn run(mut self, acceptor: &TlsAcceptor) -> Result<(), Ended> {
        if self.shared.plan.protection == Protection::Implicit {
            self = self.protect(acceptor).await?;
        }
        self.answer(Step::Greeting, "220 receiver.example ESMTP").await?;
        loop {
            let line = self.line().await?;
            if !self.shared.plan.offers.pipelining && !self.input.is_empty() {
                self.say("503 5.5.1 pipelining was not offered");
                self.flush().await?;
                return Err(ended());
            }
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.ehlo().await?,
                "STARTTLS" => self = self.starttls(acceptor).await?,
                "AUTH" => self.auth(rest).await?,
                "MAIL" => self.mail(rest).await?,
                "RCPT" => self.rcpt(rest).await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.transaction = None;
                    self.say("250 2.0.0 Ok");
                }
                "NOOP" => self.say("250 2.0.0 Ok"),
                "QUIT" => {
                    self.say("221 2.0.0 Bye");
                    self.flush().await?;
                    return Ok(());
                }
                _ => self.say("500 5.5.2 unknown command"),
            }
        }
    }

    async fn ehlo(&mut self) -> Result<(), Ended> {
        let plan = &self.shared.plan;
        let mut lines = vec!["receiver.example".to_owned()];
        let offers = [
            (plan.offers.pipelining, "PIPELINING"),
            (plan.offers.dsn, "DSN"),
            (plan.offers.eight_bit_mime, "8BITMIME"),
            (plan.offers.smtp_utf8, "SMTPUTF8"),
            (plan.offers.enhanced_status_codes, "ENHANCEDSTATUSCODES"),
        ];
        lines.extend(
            offers
                .into_iter()
                .filter(|(offered, _)| *offered)
                .map(|(_, word)| word.to_owned()),
        );
        lines.extend(plan.offers.size.map(|most| format!("SIZE {most}")));
        let starttls = plan.protection == Protection::StartTls && !self.tls;
        let is_hidden = plan
            .troubles
            .iter()
            .any(|t| t.strikes(Step::StartTls, &[], 0) && t.act == Act::Hide);
        if starttls && !is_hidden {
            lines.push("STARTTLS".to_owned());
        }
        if let Some(account) = plan.account.as_ref().filter(|_| !starttls) {
            lines.push(format!("AUTH {}", account.mechanisms.join(" ")));
        }
        let last = lines.len() - 1;
        let reply: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(i, line)| format!("250{}{line}", if i == last { ' ' } else { '-' }))
            .collect();
        self.greeted = self.answer(Step::Ehlo, &reply.join("\r\n")).await?;
        Ok(())
    }

    async fn starttls(mut self, acceptor: &TlsAcceptor) -> Result<Self, Ended> {
        if self.shared.plan.protection != Protection::StartTls || self.tls {
            self.say("503 5.5.1 STARTTLS was not offered");
        } else if self.answer(Step::StartTls, "220 2.0.0 go ahead").await? {
            self.flush().await?;
            self = self.protect(acceptor).await?;
        }
        Ok(self)
    }

    /// RFC 3207 §4.2: what was said before the handshake is forgotten.
    async fn protect(mut self, acceptor: &TlsAcceptor) -> Result<Self, Ended> {
        if let Some(act) = self.shared.trouble(Step::Tls, &[]) {
            self.more().await?;
            self.perform(act, "").await?;
            self.flush().await?;
            return Err(ended());
        }
        let stream = acceptor.accept(self.stream).await?;
        Ok(Self {
            stream: Box::new(stream),
            tls: true,
            input: Vec::new(),
            output: Vec::new(),
            user: None,
            greeted: false,
            transaction: None,
            ..self
        })
    }

    async fn auth(&mut self, rest: &str) -> Result<(), Ended> {
        let Some(account) = self.shared.plan.account.clone() else {
            self.say("503 5.5.1 AUTH was not offered");
            return Ok(());
        };
        let mut words = rest.split_ascii_whitespace();
        let mechanism = words.next().unwrap_or_default().to_ascii_uppercase();
        let given = match mechanism.as_str() {
            _ if !account.mechanisms.contains(&mechanism) => {
                self.say("504 5.5.4 mechanism was not offered");
                return Ok(());
            }
            "PLAIN" => self.first_answer(words.next()).await?,
            "XOAUTH2" => {
                let answer = self.first_answer(words.next()).await?;
                if answer != format!("user={}\x01auth=Bearer {}\x01\x01", account.user, account.password) {
                    // As the large providers do it: the reason first, and the reply after one more line.
                    self.ask(r#"{"status":"401","schemes":"bearer","scope":"mail"}"#)
                        .await?;
                    self.say("535 5.7.8 the token is not good");
                    return Ok(());
                }
                format!("\0{}\0{}", account.user, account.password)
            }
            _ => {
                let user = self.ask("Username:").await?;
                let password = self.ask("Password:").await?;
                format!("\0{user}\0{password}")
            }
        };
        if given == format!("\0{}\0{}", account.user, account.password) {
            if self.answer(Step::Auth, "235 2.7.0 welcome").await? {
                self.user = Some(account.user);
            }
        } else {
            self.say("535 5.7.8 user or password is wrong");
        }
        Ok(())
    }

    /// The answer that came with AUTH, else the one asked for.
    async fn first_answer(&mut self, given: Option<&str>) -> Result<String, Ended> {
        match given {
            Some(answer) => Ok(decode(answer)),
            None => self.ask("").await,
        }
    }

    async fn ask(&mut self, question: &str) -> Result<String, Ended> {
        self.say(&format!("334 {}", BASE64.encode(question)));
        Ok(decode(&self.line().await?))
    }

    async fn mail(&mut self, rest: &str) -> Result<(), Ended> {
        let offers = self.shared.plan.offers.clone();
        let Some((from, parameters)) = path_of(rest, "FROM:") else {
            self.say("501 5.5.4 MAIL FROM:<address> was expected");
            return Ok(());
        };
        let size = parameters
            .iter()
            .find_map(|p| p.strip_prefix("SIZE="))
            .and_then(|n| n.parse::<u64>().ok());
        let is_offered = |parameter: &String| match parameter.split('=').next().unwrap_or_default() {
            "SIZE" => offers.size.is_some(),
            "BODY" => offers.eight_bit_mime,
            "SMTPUTF8" => offers.smtp_utf8,
            "RET" | "ENVID" => offers.dsn,
            _ => false,
        };
        if !self.greeted || self.transaction.is_some() {
            self.say("503 5.5.1 not now");
        } else if self.shared.plan.account.is_some() && self.user.is_none() {
            self.say("530 5.7.0 log in first");
        } else if !parameters.iter().all(is_offered) {
            self.say("555 5.5.4 a parameter was not offered");
        } else if size > offers.size {
            self.say("552 5.3.4 too large");
        } else if self.answer(Step::Mail, "250 2.1.0 Ok").await? {
            self.transaction = Some(Transaction {
                from,
                parameters,
                recipients: Vec::new(),
            });
        }
        Ok(())
    }

    async fn rcpt(&mut self, rest: &str) -> Result<(), Ended> {
        let Some((address, parameters)) = path_of(rest, "TO:") else {
            self.say("501 5.5.4 RCPT TO:<address> was expected");
            return Ok(());
        };
        let is_offered =
            |p: &String| self.shared.plan.offers.dsn && (p.starts_with("NOTIFY=") || p.starts_with("ORCPT="));
        if self.transaction.is_none() {
            self.say("503 5.5.1 MAIL first");
        } else if !parameters.iter().all(is_offered) {
            self.say("555 5.5.4 a parameter was not offered");
        } else {
            let recipient = TakenRecipient { address, parameters };
            let act = self.shared.trouble(Step::Rcpt, std::slice::from_ref(&recipient));
            if self.answer_with(act, "250 2.1.5 Ok").await?
                && let Some(transaction) = &mut self.transaction
            {
                transaction.recipients.push(recipient);
            }
        }
        Ok(())
    }

    async fn data(&mut self) -> Result<(), Ended> {
        let Some(transaction) = self.transaction.take() else {
            self.say("503 5.5.1 MAIL first");
            return Ok(());
        };
        let act = self.shared.trouble(Step::Data, &transaction.recipients);
        // Trouble may make it say 354 without a recipient: the case of RFC 2920 §3.1.
        let says_go_on = matches!(&act, Some(Act::Reply(text)) if text.starts_with(b"354"));
        if act.is_none() && transaction.recipients.is_empty() {
            self.say("554 5.5.1 no valid recipients");
            self.transaction = Some(transaction);
            return Ok(());
        }
        if !self.answer_with(act, "354 end with a dot").await? && !says_go_on {
            self.transaction = Some(transaction);
            return Ok(());
        }
        let act = self.shared.trouble(Step::Body, &transaction.recipients);
        if act.is_some() {
            self.more().await?;
            self.answer_with(act, "").await?;
            self.flush().await?;
            return Err(ended());
        }
        let bytes = self.body().await?;
        if transaction.recipients.is_empty() {
            self.say("554 5.5.1 no valid recipients");
            return Ok(());
        }
        let act = self.shared.trouble(Step::FinalDot, &transaction.recipients);
        if act.is_some() {
            self.answer_with(act, "250 2.0.0 Ok").await?;
            return Ok(());
        }
        let act = self.shared.trouble(Step::Taken, &transaction.recipients);
        let number = self.shared.take(TakenMail {
            connection: self.number,
            envelope_from: transaction.from,
            from_parameters: transaction.parameters,
            recipients: transaction.recipients,
            bytes,
            tls: self.tls,
            user: self.user.clone(),
        });
        self.taken += 1;
        self.answer_with(act, &format!("250 2.0.0 Ok: queued as {number}"))
            .await?;
        if self
            .shared
            .plan
            .close_after_mails
            .is_some_and(|most| self.taken >= most)
        {
            self.flush().await?;
            return Err(ended());
        }
        Ok(())
    }

    /// Reads up to the final dot and undoes the doubled dots (RFC 5321 §4.5.2). Only CRLF ends a line.
    async fn body(&mut self) -> Result<Vec<u8>, Ended> {
        let mut bytes = Vec::new();
        loop {
            let line = self.raw_line().await?;
            if line == b".\r\n" {
                return Ok(bytes);
            }
            bytes.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    /// The usual reply, or the trouble planned for the step; whether the usual reply was said.
    async fn answer(&mut self, step: Step, usual: &str) -> Result<bool, Ended> {
        let act = self.shared.trouble(step, &[]);
        self.answer_with(act, usual).await
    }
    async fn answer_with(&mut self, act: Option<Act>, usual: &str) -> Result<bool, Ended> {
        match act {
            Some(act) => self.perform(act, usual).await,
            None => {
                self.say(usual);
                Ok(true)
            }
        }
    }
    async fn perform(&mut self, act: Act, usual: &str) -> Result<bool, Ended> {
        match act {
            Act::Reply(text) => {
                self.output.extend(text);
                Ok(false)
            }
            Act::Disguise(text) => {
                self.output.extend(text);
                Ok(true)
            }
            Act::ReplyAndClose(text) => {
                self.output.extend(text);
                self.flush().await?;
                Err(ended())
            }
            Act::Close => {
                self.flush().await?;
                Err(ended())
            }
            Act::Silence => {
                self.flush().await?;
                std::future::pending().await
            }
            Act::Slow(time) => {
                self.flush().await?;
                tokio::time::sleep(time).await;
                self.say(usual);
                Ok(true)
            }
            Act::Inject(text) => {
                self.say(usual);
                self.output.extend(text);
                Ok(true)
            }
            Act::Hide => {
                self.say(usual);
                Ok(true)
            }
        }
    }

    fn say(&mut self, reply: &str) {
        self.output.extend(reply.as_bytes());
        self.output.extend(b"\r\n");
    }
    async fn flush(&mut self) -> Result<(), Ended> {
        self.stream.write_all(&self.output).await?;
        self.output.clear();
        self.stream.flush().await
    }

    async fn line(&mut self) -> Result<String, Ended> {
        let line = self.raw_line().await?;
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
    /// The next line with its CRLF.
    async fn raw_line(&mut self) -> Result<Vec<u8>, Ended> {
        let mut seen = 0;
        loop {
            if let Some(end) = self.input[seen..].windows(2).position(|w| w == b"\r\n") {
                return Ok(self.input.drain(..seen + end + 2).collect());
            }
            seen = self.input.len().saturating_sub(1);
            self.more().await?;
        }
    }
    /// Says what is to be said, then waits for more input.
    async fn more(&mut self) -> Result<(), Ended> {
        self.flush().await?;
        let before = self.input.len();
        self.input.reserve(READ_BYTES);
        if self.stream.read_buf(&mut self.input).await? == 0 {
            return Err(ended());
        }
        if !self.tls {
            self.shared.clear_wire().extend_from_slice(&self.input[before..]);
        }
        Ok(())
    }
}

fn decode(base64: &str) -> String {
    BASE64
        .decode(base64)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// The address and the parameters of `FROM:<address> PARAMETER…`.
fn path_of(rest: &str, keyword: &str) -> Option<(String, Vec<String>)> {
    let (given, path) = rest.split_at_checked(keyword.len())?;
    let (address, parameters) = path.strip_prefix('<')?.split_once('>')?;
    given.eq_ignore_ascii_case(keyword).then(|| {
        (
            address.to_owned(),
            parameters.split_ascii_whitespace().map(str::to_owned).collect(),
        )
    })
}
