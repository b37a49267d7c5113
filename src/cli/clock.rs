//! `clock`: when is the deadline, in every reading of the law. Needs no home.

use clap::Args;
use serde::Serialize;

use super::Context;
use super::output::{Exit, Failure};
use crate::directory::Directory;
use crate::dispatch::desk::breach;
use crate::model::Time;
use crate::model::time::{Disputed, parse_aware, show_left, show_local};

/// When is the deadline? 72 hours from awareness (GDPR Art. 33(1)), with the other readings of the law beside it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  breachpost clock '2026-11-18 10:20' --authority lu-cnpd
  breachpost clock 2026-11-18T10:20:00+01:00 --authority lu-cnpd --json")]
pub struct ClockArgs {
    /// When you became aware: 2026-11-18T10:20:00+01:00, or a local time of the authority's zone, '2026-11-18 10:20'.
    aware: String,
    /// The authority whose zone and holidays count.
    #[arg(long, value_name = "ID")]
    authority: String,
}

#[derive(Serialize)]
struct ClockView {
    authority: String,
    zone: String,
    aware: Time,
    /// Acted upon.
    strict: Time,
    strict_local: String,
    left: String,
    late: bool,
    /// Reg. 1182/71 Art. 3(1) to (3): the hour of awareness is not counted.
    hour: Time,
    hour_local: String,
    /// Reg. 1182/71 Art. 3(5), whose application is disputed; null where it changes nothing or the holidays are unknown.
    disputed: Option<Disputed>,
    /// The holidays used, or null.
    calendar: Option<String>,
}

pub fn run(args: &ClockArgs, context: &Context) -> Result<Exit, Failure> {
    let home = context.home_if_any()?;
    let overlay = home.map(|home| home.authorities_dir());
    let directory = Directory::load(overlay.as_deref()).map_err(|error| Failure::new(Exit::Ours, error))?;
    let profile = directory
        .find(&args.authority)
        .map_err(|error| Failure::new(Exit::Usage, error).hint("breachpost authority list"))?;
    let zone = profile.timezone();
    let aware = parse_aware(&args.aware, zone).map_err(|error| Failure::new(Exit::Usage, error))?;
    let calendar = profile.calendar_name().map(str::to_owned);
    let readings = breach::all_deadlines(aware, zone, calendar.as_deref());
    let now = context.clock.now();
    if aware > now {
        context
            .out
            .note("warning: this lies in the future; nobody is aware of a breach before it is noticed");
    }
    let view = ClockView {
        authority: profile.id.clone(),
        zone: zone.name().to_owned(),
        aware,
        strict: readings.strict,
        strict_local: show_local(readings.strict, zone),
        left: show_left(now, readings.strict),
        late: now > readings.strict,
        hour: readings.hour,
        hour_local: show_local(readings.hour, zone),
        disputed: readings.disputed,
        calendar,
    };
    context.out.data(&view, || {
        let mut text = format!(
            "Aware      {}\nDeadline   {}   {}\n           72 hours after awareness (GDPR Art. 33(1)); act on this one\n\nOther readings, for information\n  {}   whole hours only (Reg. 1182/71 Art. 3(1)-(3))\n",
            show_local(aware, zone),
            view.strict_local,
            view.left,
            view.hour_local
        );
        match (&view.disputed, &view.calendar) {
            (Some(disputed), _) => text.push_str(&format!(
                "  {} to {}   two working days (Art. 3(5)): disputed, do not rely on it\n",
                show_local(disputed.from, zone),
                show_local(disputed.to, zone)
            )),
            (None, Some(_)) => text.push_str("  Art. 3(5) (two working days) changes nothing here.\n"),
            (None, None) => text.push_str("  Art. 3(5) (two working days) is not shown: this authority's holidays are not known.\n"),
        }
        text
    })?;
    Ok(Exit::Done)
}
