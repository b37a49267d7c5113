//! What a person books: a notice that went by another channel, an acknowledgement held in the hand.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::told::human;
use super::{KindArg, MAX_FILE_BYTES};
use crate::cli::output::{Exit, Failure};
use crate::cli::{Context, files};
use crate::dispatch::desk::notice::{self, Record};
use crate::dispatch::office::Office;
use crate::model::id::{BreachId, Reference};
use crate::model::notice::NoticeChannel;
use crate::model::time::parse_aware;

/// A notice that went by another channel.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// The breach; `breach list` names them.
    breach: BreachId,
    /// The authority's id; `authority list` names them.
    #[arg(long = "to", value_name = "AUTHORITY")]
    authority: String,
    /// How it was handed over.
    #[arg(long, value_enum)]
    channel: ChannelArg,
    /// The number that the authority or the portal gave.
    #[arg(long, value_name = "NUMBER")]
    reference: Option<String>,
    /// Else complete or preliminary for the first notice, and supplementary for later ones.
    #[arg(long, value_enum)]
    kind: Option<KindArg>,
    /// When it was handed over: RFC 3339, or a local time of the authority's zone; now if left out.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// What was said or filed.
    #[arg(long)]
    note: Option<String>,
    /// A file that proves it.
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
}

/// An acknowledgement that came by another way than our mailbox.
#[derive(Debug, Args)]
pub struct AckArgs {
    /// The notice; `notice list` names them.
    reference: Reference,
    /// You attest that the authority confirmed receipt.
    #[arg(long, required = true)]
    attested: bool,
    /// The authority's own number.
    #[arg(long = "reference", value_name = "NUMBER")]
    authority_reference: Option<String>,
    /// A file that proves it.
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ChannelArg {
    Portal,
    Webform,
    Phone,
    Post,
    Hand,
    /// Sent with another mail program.
    Email,
}
impl From<ChannelArg> for NoticeChannel {
    fn from(channel: ChannelArg) -> Self {
        match channel {
            ChannelArg::Portal => NoticeChannel::Portal,
            ChannelArg::Webform => NoticeChannel::Webform,
            ChannelArg::Phone => NoticeChannel::Phone,
            ChannelArg::Post => NoticeChannel::Post,
            ChannelArg::Hand => NoticeChannel::Hand,
            ChannelArg::Email => NoticeChannel::Email,
        }
    }
}

pub async fn record(office: &Office, context: &Context, args: RecordArgs) -> Result<Exit, Failure> {
    let zone = office
        .directory
        .find(&args.authority)
        .map_or(chrono_tz::UTC, |profile| profile.timezone());
    let at = args.at.map(|text| parse_aware(&text, zone)).transpose();
    let record = Record {
        breach: args.breach,
        authority: args.authority,
        channel: args.channel.into(),
        kind: args.kind.map(Into::into),
        outside_reference: args.reference,
        note: args.note,
        at: at.map_err(|error| Failure::new(Exit::Usage, error))?,
        proof_file: proof_file(args.proof)?,
    };
    let view = notice::record(office, record, &context.actor()).await?;
    context.out.data(&view, || human(&view))?;
    Ok(Exit::Done)
}

pub async fn acknowledged(office: &Office, context: &Context, args: AckArgs) -> Result<Exit, Failure> {
    let proof = proof_file(args.proof)?;
    let actor = context.actor();
    let view = notice::attest(office, &args.reference, args.authority_reference, proof, &actor).await?;
    context.out.data(&view, || human(&view))?;
    Ok(Exit::Done)
}

fn proof_file(path: Option<PathBuf>) -> Result<Option<(String, Vec<u8>)>, Failure> {
    path.map(|path| Ok((files::file_name(&path)?, files::read(&path, MAX_FILE_BYTES)?)))
        .transpose()
}
