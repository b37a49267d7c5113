//! What each column of a list means: found by its name, or as a person says.

use crate::model::address;
use crate::reading;

use super::words::{column, plain};

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    Email,
    /// What makes a person one for the controller: a customer or personnel number.
    PersonId,
    Language,
    Country,
    /// Which of the person's data is affected.
    Data,
    /// A merge field of this name.
    Field(String),
    /// Which bad row this row corrects: `bad_17`, as our own export of bad rows has it.
    BadRow,
    /// What our export of bad rows says about them; not the person's.
    Ignored,
}
impl Meaning {
    fn of(name: &str) -> Self {
        match name {
            "email" => Meaning::Email,
            "person_id" => Meaning::PersonId,
            "language" => Meaning::Language,
            "country" => Meaning::Country,
            "data" => Meaning::Data,
            other => Meaning::Field(other.to_owned()),
        }
    }
    /// The name that `--map` and JSON have for it.
    pub fn name(&self) -> &str {
        match self {
            Meaning::Email => "email",
            Meaning::PersonId => "person_id",
            Meaning::Language => "language",
            Meaning::Country => "country",
            Meaning::Data => "data",
            Meaning::Field(name) => name,
            Meaning::BadRow => BAD_ROW,
            Meaning::Ignored => "",
        }
    }
}

/// The columns that our export of bad rows puts before the list's own.
pub const BAD_ROW: &str = "bad_row";
pub const BAD_ROW_COLUMNS: [&str; 4] = [BAD_ROW, "bad_row_line", "bad_row_column", "bad_row_reason"];
/// Names for which there is a meaning beyond a merge field, besides `email`.
const OWN: [&str; 4] = ["person_id", "language", "country", "data"];

/// A column and what it means, as a person asked for it: `--map email=Kontakt`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mapping {
    pub meaning: String,
    pub column: String,
}
impl std::str::FromStr for Mapping {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (meaning, column) = text.split_once('=').ok_or("write NAME=COLUMN, such as email=Kontakt")?;
        let meaning = field_name(meaning);
        if meaning.is_empty() || column.trim().is_empty() {
            return Err("write NAME=COLUMN, such as email=Kontakt".to_owned());
        }
        Ok(Self {
            meaning,
            column: column.trim().to_owned(),
        })
    }
}

/// The columns of a list do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    #[error(
        "the first row is a person and not the names of the columns: column {place} holds an e-mail address; put a row with the \
         names in front, such as: email,name"
    )]
    NoHeader {
        /// From 1.
        place: usize,
    },
    #[error("the list has no column with the e-mail address{}; its columns are: {}", meant(.nearest.as_deref()), .found.join(", "))]
    NoEmail {
        nearest: Option<String>,
        found: Vec<String>,
    },
    #[error("the list has no column `{column}` for {meaning}{}; its columns are: {}", meant(.nearest.as_deref()), .found.join(", "))]
    NoSuchColumn {
        meaning: String,
        column: String,
        nearest: Option<String>,
        found: Vec<String>,
    },
    #[error("columns {first} and {second} of the list are both called `{name}`; give one of them another name")]
    Twice { name: String, first: usize, second: usize },
    #[error("columns `{first}` and `{second}` may both be the {meaning}; say which one with --map {meaning}=COLUMN")]
    Ambiguous {
        meaning: String,
        first: String,
        second: String,
    },
}
impl ColumnsError {
    /// The column that was most likely meant, and what for.
    pub fn nearest(&self) -> Option<(&str, &str)> {
        match self {
            ColumnsError::NoEmail { nearest, .. } => Some(("email", nearest.as_deref()?)),
            ColumnsError::NoSuchColumn { nearest, meaning, .. } => Some((meaning, nearest.as_deref()?)),
            _ => None,
        }
    }
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |near| format!("; is it `{near}`?"))
}

/// What the columns of one list mean, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    names: Vec<String>,
    meanings: Vec<Meaning>,
}

impl Columns {
    /// Finds out what each column means: first as `given`, then by its name; what is left becomes a merge field.
    ///
    /// # Errors
    /// There is no column for the address, or it is not clear which one is meant.
    pub fn of(names: &[String], given: &[Mapping]) -> Result<Self, ColumnsError> {
        // Taken for a header, the first person would be in no count.
        if let Some(place) = names.iter().position(|name| is_address(name)) {
            return Err(ColumnsError::NoHeader { place: place + 1 });
        }
        let shown: Vec<String> = names.iter().map(|name| reading::shown(name)).collect();
        let mut meanings: Vec<Option<Meaning>> = vec![None; names.len()];
        for mapping in given {
            let wanted = plain(&mapping.column);
            let exact = names.iter().position(|name| *name == mapping.column);
            let Some(place) = exact.or_else(|| names.iter().position(|name| plain(name) == wanted)) else {
                return Err(ColumnsError::NoSuchColumn {
                    meaning: mapping.meaning.clone(),
                    column: reading::shown(&mapping.column),
                    nearest: nearest(&mapping.column, &shown),
                    found: shown,
                });
            };
            meanings[place] = Some(Meaning::of(&mapping.meaning));
        }
        for (place, name) in names.iter().enumerate() {
            if BAD_ROW_COLUMNS.contains(&name.as_str()) {
                let meaning = if name == BAD_ROW {
                    Meaning::BadRow
                } else {
                    Meaning::Ignored
                };
                meanings[place] = Some(meaning);
            }
        }
        for wanted in ["email"].iter().chain(&OWN) {
            by_name(wanted, names, &mut meanings)?;
        }
        let named = |place: usize, name: &str| {
            let known = column(name).filter(|known| *known != "email" && !OWN.contains(known));
            match known.map_or_else(|| field_name(name), str::to_owned) {
                empty if empty.is_empty() => format!("column_{}", place + 1),
                name => name,
            }
        };
        let meanings: Vec<Meaning> = meanings
            .into_iter()
            .enumerate()
            .map(|(place, meaning)| meaning.unwrap_or_else(|| Meaning::Field(named(place, &names[place]))))
            .collect();
        for (second, meaning) in meanings.iter().enumerate() {
            let first = meanings[..second].iter().position(|other| other == meaning);
            // Whoever has a telephone and a mobile can be called on both.
            let may_repeat = *meaning == Meaning::Ignored || meaning.name() == "phone";
            if let Some(first) = first.filter(|_| !may_repeat) {
                return Err(ColumnsError::Twice {
                    name: meaning.name().to_owned(),
                    first: first + 1,
                    second: second + 1,
                });
            }
        }
        if !meanings.contains(&Meaning::Email) {
            return Err(ColumnsError::NoEmail {
                nearest: nearest("email", &shown).or_else(|| nearest("mail", &shown)),
                found: shown,
            });
        }
        Ok(Self {
            names: names.to_vec(),
            meanings,
        })
    }

    /// As the list calls them.
    pub fn names(&self) -> &[String] {
        &self.names
    }
    pub fn meanings(&self) -> &[Meaning] {
        &self.meanings
    }
    /// Where the column of this meaning stands, from 0.
    pub fn place(&self, meaning: &Meaning) -> Option<usize> {
        self.meanings.iter().position(|found| found == meaning)
    }
    /// Whether this is our own export of bad rows, coming back.
    pub fn correct_bad_rows(&self) -> bool {
        self.meanings.contains(&Meaning::BadRow)
    }
}

/// Gives `wanted` to the column whose name says so, where none has it yet.
fn by_name(wanted: &str, names: &[String], meanings: &mut [Option<Meaning>]) -> Result<(), ColumnsError> {
    let meaning = Meaning::of(wanted);
    if meanings.iter().flatten().any(|given| *given == meaning) {
        return Ok(());
    }
    let free = |place: &usize| meanings[*place].is_none() && column(&names[*place]) == Some(wanted);
    let found: Vec<usize> = (0..names.len()).filter(free).collect();
    let exact: Vec<usize> = found
        .iter()
        .copied()
        .filter(|place| field_name(&names[*place]) == wanted)
        .collect();
    let place = match (exact[..].as_ref(), found[..].as_ref()) {
        ([place], _) | ([], [place]) => *place,
        ([], []) => return Ok(()),
        ([first, second, ..], _) => {
            return Err(ColumnsError::Twice {
                name: reading::shown(&names[*first]),
                first: first + 1,
                second: second + 1,
            });
        }
        ([], [first, second, ..]) => {
            return Err(ColumnsError::Ambiguous {
                meaning: wanted.to_owned(),
                first: reading::shown(&names[*first]),
                second: reading::shown(&names[*second]),
            });
        }
    };
    meanings[place] = Some(meaning);
    Ok(())
}

/// A column's name as a merge field: `Order No.` becomes `order_no`.
pub fn field_name(name: &str) -> String {
    plain(name).replace(' ', "_")
}

fn is_address(name: &str) -> bool {
    let name = name.trim();
    name.contains('@') && address::on_the_wire(name).is_ok()
}

fn nearest(given: &str, names: &[String]) -> Option<String> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let holding = || {
        let plain_given = plain(given);
        names.iter().copied().find(|name| plain(name).contains(&plain_given))
    };
    reading::nearest(given, &names).or_else(holding).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(header: &str, given: &[&str]) -> Result<Vec<String>, ColumnsError> {
        let names: Vec<String> = header.split(',').map(str::to_owned).collect();
        let given: Vec<Mapping> = given.iter().map(|text| text.parse().unwrap()).collect();
        let columns = Columns::of(&names, &given)?;
        Ok(columns.meanings().iter().map(|m| m.name().to_owned()).collect())
    }

    #[test]
    fn columns_are_found_by_what_people_call_them() {
        for (header, given, meanings) in [
            (
                "email,name,language,country,data",
                &[][..],
                "email name language country data",
            ),
            (
                "Vorname,Nachname,E-Mail,Sprache,PLZ,Ort",
                &[],
                "first_name last_name email language postcode city",
            ),
            (
                "Prénom,Nom,Courriel,N° de contrat",
                &[],
                "first_name last_name email n_de_contrat",
            ),
            ("Customer ID,Mail,Straße", &[], "person_id email street"),
            ("email,Tél.,Téléphone portable", &[], "email phone phone"),
            ("email,e-mail address", &[], "email e_mail_address"),
            ("Kontakt,Name", &["email=Kontakt"], "email name"),
            ("E-Mail,Mail 2", &["email=mail 2"], "e_mail email"),
            ("email,Who,", &["name=Who"], "email name column_3"),
            (
                "bad_row,bad_row_line,bad_row_column,bad_row_reason,email",
                &[],
                "bad_row    email",
            ),
        ] {
            assert_eq!(columns(header, given).unwrap().join(" "), meanings, "{header}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_what_was_meant() {
        for (header, given, words) in [
            (
                "emial,name",
                &[][..],
                &["no column with the e-mail address", "is it `emial`?", "emial, name"][..],
            ),
            ("Kundenmail,name", &[], &["is it `Kundenmail`?"]),
            ("a,b", &[], &["its columns are: a, b"]),
            (
                "E-Mail,Courriel",
                &[],
                &["`E-Mail` and `Courriel` may both be the email", "--map email=COLUMN"],
            ),
            ("email,name,email", &[], &["columns 1 and 3", "`email`"]),
            ("email,Order No,order_no", &[], &["columns 2 and 3", "`order_no`"]),
            ("email,name", &["email=Kontakt"], &["no column `Kontakt` for email"]),
            ("email,name", &["language=naem"], &["is it `name`?"]),
            (
                "Anna, anna@example.lu ",
                &["email=anna@example.lu"],
                &["column 2 holds an e-mail address"],
            ),
        ] {
            let error = columns(header, given).unwrap_err().to_string();
            for word in words {
                assert!(error.contains(word), "{header}: {error}");
            }
        }
        assert!("email".parse::<Mapping>().is_err() && "=x".parse::<Mapping>().is_err());
    }
}
