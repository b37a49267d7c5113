//! Public holidays from a table of rules, for the one reading of the law that asks for working days
//! (Regulation (EEC, Euratom) 1182/71 Art. 2). An authority's profile names its calendar, since holidays may differ
//! within a country. A calendar that is not known here stays unknown: nothing is guessed.

use chrono::{Datelike, Days, NaiveDate};

/// When a holiday falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Month and day.
    Fixed(u32, u32),
    /// Days after Easter Sunday of the Gregorian calendar.
    Easter(u64),
}

/// A row of the table.
#[derive(Debug)]
struct Holiday {
    /// ISO 3166-1, or ISO 3166-2 where a region differs.
    calendar: &'static str,
    from_year: i32,
    rule: Rule,
}
const fn row(calendar: &'static str, from_year: i32, rule: Rule) -> Holiday {
    Holiday {
        calendar,
        from_year,
        rule,
    }
}

/// Which years a calendar's rows are known to be right for, and where they come from.
#[derive(Debug)]
struct Source {
    calendar: &'static str,
    from_year: i32,
    source: &'static str,
    checked: &'static str,
}
const SOURCES: &[Source] = &[Source {
    calendar: "LU",
    // The GDPR applies since 2018; the rows are not checked further back.
    from_year: 2018,
    source: "Code du travail Art. L. 232-2, as set by the law of 25 April 2019, \
             http://data.legilux.public.lu/file/eli-etat-leg-loi-2019-04-25-a271-jo-fr-html.html",
    checked: "2026-11-21",
}];

/// Luxembourg: neither Good Friday nor 24 December are public holidays; a holiday on a Sunday is not moved.
const HOLIDAYS: &[Holiday] = &[
    row("LU", 2018, Rule::Fixed(1, 1)),
    row("LU", 2018, Rule::Easter(1)),
    row("LU", 2018, Rule::Fixed(5, 1)),
    // Europe Day.
    row("LU", 2019, Rule::Fixed(5, 9)),
    row("LU", 2018, Rule::Easter(39)),
    row("LU", 2018, Rule::Easter(50)),
    row("LU", 2018, Rule::Fixed(6, 23)),
    row("LU", 2018, Rule::Fixed(8, 15)),
    row("LU", 2018, Rule::Fixed(11, 1)),
    row("LU", 2018, Rule::Fixed(12, 25)),
    row("LU", 2018, Rule::Fixed(12, 26)),
];

/// The public holidays of one country or region.
#[derive(Debug, Clone, Copy)]
pub struct Calendar {
    source: &'static Source,
}
impl Calendar {
    /// The calendar of that name (`LU`, in either case); `None` when it is not known.
    pub fn named(name: &str) -> Option<Self> {
        let source = SOURCES.iter().find(|s| s.calendar.eq_ignore_ascii_case(name.trim()))?;
        Some(Self { source })
    }
    /// Luxembourg's.
    pub fn luxembourg() -> Self {
        Self::named("LU").expect("the table holds Luxembourg")
    }
    pub fn name(&self) -> &'static str {
        self.source.calendar
    }
    /// The legal text the rows come from.
    pub fn source(&self) -> &'static str {
        self.source.source
    }
    /// The day on which the rows were last compared with it, `2026-11-21`.
    pub fn checked(&self) -> &'static str {
        self.source.checked
    }
    /// Whether the day is a public holiday; `None` for a year the calendar does not cover.
    pub fn is_holiday(&self, day: NaiveDate) -> Option<bool> {
        self.covers(day.year()).then(|| self.days(day.year()).any(|d| d == day))
    }
    /// The public holidays of a year, sorted, each day once; `None` for a year the calendar does not cover.
    pub fn year(&self, year: i32) -> Option<Vec<NaiveDate>> {
        let mut days: Vec<NaiveDate> = self.covers(year).then(|| self.days(year).collect())?;
        days.sort_unstable();
        days.dedup();
        Some(days)
    }
    fn covers(&self, year: i32) -> bool {
        (self.source.from_year..=LAST_YEAR).contains(&year)
    }
    fn days(&self, year: i32) -> impl Iterator<Item = NaiveDate> + '_ {
        let rows = HOLIDAYS
            .iter()
            .filter(move |h| h.calendar == self.source.calendar && h.from_year <= year);
        rows.filter_map(move |h| match h.rule {
            Rule::Fixed(month, day) => NaiveDate::from_ymd_opt(year, month, day),
            Rule::Easter(days) => easter(year)?.checked_add_days(Days::new(days)),
        })
    }
}

/// Four digits are what a date can be written with; the Easter rule holds far beyond.
const LAST_YEAR: i32 = 9999;

/// Easter Sunday of the Gregorian calendar: the Sunday after the full moon on or after 21 March, both as the calendar
/// reckons them (Clavius, Inter gravissimas, 1582).
fn easter(year: i32) -> Option<NaiveDate> {
    let golden = year % 19;
    let century = year / 100;
    // The moon's age on 1 January by the table of 1582: the solar correction drops leap days, the lunar one adds up the
    // cycle's error of 8 days in 2,500 years.
    let epact = (11 * golden + 8 - century + century / 4 + (8 * century + 13) / 25).rem_euclid(30);
    // The two full moons that the table moves by a day, so that none falls on the same day twice within 19 years.
    let epact = match epact {
        24 => 25,
        25 if golden > 10 => 26,
        e => e,
    };
    // An epact of 23 makes 21 March the full moon; each more makes it a day earlier, so that a month is added.
    let after_21_march = (53 - epact).rem_euclid(30);
    let moon =
        NaiveDate::from_ymd_opt(year, 3, 21)?.checked_add_days(Days::new(u64::try_from(after_21_march).ok()?))?;
    let to_sunday = 7 - u64::from(moon.weekday().num_days_from_sunday());
    moon.checked_add_days(Days::new(to_sunday))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn luxembourg_2024_to_2028() {
        for (year, easter_sunday, monday, ascension, whit_monday, distinct) in [
            (2024, "03-31", "04-01", "05-09", "05-20", 10),
            (2025, "04-20", "04-21", "05-29", "06-09", 11),
            (2026, "04-05", "04-06", "05-14", "05-25", 11),
            (2027, "03-28", "03-29", "05-06", "05-17", 11),
            (2028, "04-16", "04-17", "05-25", "06-05", 11),
        ] {
            let on = |month_day: &str| day(&format!("{year}-{month_day}"));
            let days = Calendar::luxembourg().year(year).unwrap();
            assert_eq!(easter(year), Some(on(easter_sunday)));
            for date in [
                monday,
                ascension,
                whit_monday,
                "01-01",
                "05-01",
                "05-09",
                "06-23",
                "08-15",
                "11-01",
                "12-25",
                "12-26",
            ] {
                assert!(days.contains(&on(date)), "{year}-{date}");
            }
            assert_eq!(days.len(), distinct, "{year}");
        }
    }

    #[test]
    fn what_is_no_holiday() {
        let calendar = Calendar::luxembourg();
        // Good Friday, Christmas Eve, and the day after a National Day on a Sunday.
        for date in ["2026-04-03", "2026-12-24", "2024-06-24", "2018-05-09"] {
            assert_eq!(calendar.is_holiday(day(date)), Some(false), "{date}");
        }
        assert_eq!(calendar.is_holiday(day("2019-05-09")), Some(true));
        assert_eq!(calendar.is_holiday(day("2017-12-25")), None);
    }

    #[test]
    fn easter_at_the_edges_of_its_rule() {
        // Earliest and latest dates, and the years whose full moons the table moves.
        for date in [
            "1818-03-22",
            "2285-03-22",
            "1943-04-25",
            "2038-04-25",
            "1954-04-18",
            "1981-04-19",
            "2049-04-18",
            "2076-04-19",
        ] {
            let date = day(date);
            assert_eq!(easter(date.year()), Some(date));
        }
    }

    #[test]
    fn calendars_by_name() {
        assert_eq!(Calendar::named("lu").map(|c| c.name()), Some("LU"));
        assert!(Calendar::named("DE").is_none());
        assert!(Calendar::luxembourg().source().contains("L. 232-2"));
    }
}
