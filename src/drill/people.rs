//! The individuals of the drill: whom the list names, what the world holds for each of them, and the keys that some of
//! them own. What will happen to somebody stands in their address, so that a kept home explains itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sequoia_openpgp as openpgp;

use openpgp::Profile;
use openpgp::cert::{CertBuilder, CipherSuite};
use openpgp::packet::UserID;
use openpgp::serialize::SerializeInto;
use openpgp::types::KeyFlags;

use crate::message::key::{KeyError, OurKey};
use crate::model::Time;
use crate::secret::Secret;

use super::receiver::{Act, Step, Trouble};

/// The pattern repeats after so many persons; in the first twelve of them everything happens once.
const CYCLE: usize = 25;
/// Late bounces are rarer.
const LONG_CYCLE: usize = 50;
const WITH_KEY: usize = 3;
const TWICE_IN_LIST: usize = 2;
const GONE: usize = 5;
const RETURNED: usize = 7;
const LATER: usize = 9;
const UNUSABLE: usize = 11;
/// A person's key outlives the drill by far.
const KEY_VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);

/// Language (`None`: the list does not say), country and city, in turn.
const HOMES: [(Option<&str>, &str, &str); 7] = [
    (None, "LU", "Luxembourg"),
    (Some("en"), "IE", "Dublin"),
    (Some("fr"), "FR", "Metz"),
    (Some("de"), "DE", "Trier"),
    (Some("nl"), "BE", "Gent"),
    (Some("lb"), "LU", "Esch-sur-Alzette"),
    (Some("pt"), "PT", "Porto"),
];
const DOMAINS: [&str; 4] = ["people.example", "post.example", "mail.example", "office.example"];
const GIVEN: [&str; 13] = [
    "Anna", "Ben", "Chloé", "David", "Elena", "Félix", "Greta", "Hugo", "Inês", "Jonas", "Katrien", "Luc", "Zoë",
];
const FAMILY: [&str; 11] = [
    "Weber", "Müller", "Schmit", "Dubois", "Janssens", "Ferreira", "Kieffer", "Petit", "Vogel", "Lopes", "de Vries",
];

/// What the world holds for somebody's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    /// Their server takes it.
    Taken,
    /// The line breaks when their server has taken it, before we hear so; once.
    CutOff,
    /// Their server asks to come back later, once.
    Later,
    /// There is no such address.
    Gone,
    /// Their server takes it, and returns it in the end.
    Returned,
    /// None: their row in the list has no usable address.
    Unusable,
}
impl Fate {
    fn of(number: usize) -> Self {
        match (number, number % CYCLE, number % LONG_CYCLE) {
            (1, ..) => Fate::CutOff,
            (_, GONE, _) => Fate::Gone,
            (_, LATER, _) => Fate::Later,
            (_, UNUSABLE, _) => Fate::Unusable,
            (_, _, RETURNED) => Fate::Returned,
            _ => Fate::Taken,
        }
    }
    /// How the addresses of such persons begin.
    fn word(self) -> &'static str {
        match self {
            Fate::Taken => "person-",
            Fate::CutOff => "cut-off-",
            Fate::Later => "later-",
            Fate::Gone => "gone-",
            Fate::Returned => "returned-",
            Fate::Unusable => "unusable-",
        }
    }
    fn is_of(self, address: &str) -> bool {
        address.starts_with(self.word())
    }
    /// What the world does to messages, as a part of its plan.
    pub fn troubles() -> [Trouble; 3] {
        let seen = Mutex::new(HashSet::new());
        let is_first = move |address: &str| {
            let mut seen = seen.lock().expect("nobody panics while holding the set");
            Fate::Later.is_of(address) && seen.insert(address.to_owned())
        };
        [
            Trouble::at(Step::Rcpt, Act::reply("550 5.1.1 no such user")).to(|address| Fate::Gone.is_of(address)),
            Trouble::at(Step::Rcpt, Act::reply("450 4.2.0 greylisted, come back later")).to(is_first),
            Trouble::at(Step::Taken, Act::Close)
                .to(|address| Fate::CutOff.is_of(address))
                .times(1),
        ]
    }
}

/// One individual.
pub struct Person {
    /// As it is written to; where the row has none, the one that was meant.
    pub address: String,
    pub name: String,
    /// ISO 639-1.
    pub language: Option<&'static str>,
    pub country: &'static str,
    street: String,
    city: &'static str,
    pub fate: Fate,
    /// Only theirs: it never leaves this process.
    pub key: Option<Arc<OurKey>>,
    is_twice_in_list: bool,
}
impl Person {
    fn new(number: usize) -> Self {
        let fate = Fate::of(number);
        let (language, country, city) = HOMES[number % HOMES.len()];
        let domain = DOMAINS[number % DOMAINS.len()];
        Self {
            address: format!("{}{number}@{domain}", fate.word()),
            name: format!("{} {}", GIVEN[number % GIVEN.len()], FAMILY[number % FAMILY.len()]),
            language,
            country,
            street: format!("{number}, Exercise Street"),
            city,
            fate,
            key: None,
            is_twice_in_list: number % CYCLE == TWICE_IN_LIST,
        }
    }
    /// What tells this person among those who were not reached: the address, and of a row without one the street.
    pub fn name_in_report(&self) -> &str {
        match self.fate {
            Fate::Unusable => &self.street,
            _ => &self.address,
        }
    }
    fn row(&self, address: &str) -> [String; 8] {
        let certificate = self.key.as_ref().map(|key| key.public_armored().to_owned());
        [
            address.to_owned(),
            self.name.clone(),
            self.language.unwrap_or_default().to_owned(),
            self.country.to_owned(),
            self.street.clone(),
            self.city.to_owned(),
            "basic_identity, contact, financial".to_owned(),
            certificate.unwrap_or_default(),
        ]
    }
}

/// All of them.
pub struct People(Vec<Person>);

impl People {
    /// So many, with fresh keys where they have one.
    ///
    /// # Errors
    /// A key cannot be made.
    pub fn invent(count: usize, now: Time) -> Result<Self, KeyError> {
        let mut all: Vec<Person> = (1..=count).map(Person::new).collect();
        for person in all.iter_mut().skip(WITH_KEY - 1).step_by(CYCLE) {
            person.key = Some(Arc::new(fresh_key(&person.name, &person.address, now)?));
        }
        Ok(Self(all))
    }

    /// How many were invented.
    pub fn count(&self) -> usize {
        self.0.len()
    }
    /// In the order of the list.
    pub fn all(&self) -> &[Person] {
        &self.0
    }
    /// Those for whom the world holds that.
    pub fn of(&self, fate: Fate) -> impl Iterator<Item = &Person> {
        self.0.iter().filter(move |person| person.fate == fate)
    }
    /// Those who have an OpenPGP key, to which their message is encrypted.
    pub fn with_key(&self) -> impl Iterator<Item = &Person> {
        self.0.iter().filter(|person| person.key.is_some())
    }
    /// Each by the address that the list gives.
    pub fn by_address(&self) -> HashMap<&str, &Person> {
        self.0.iter().map(|person| (person.address.as_str(), person)).collect()
    }
    /// Persons by country.
    pub fn countries(&self) -> BTreeMap<&'static str, u64> {
        let mut countries = BTreeMap::new();
        for person in &self.0 {
            *countries.entry(person.country).or_default() += 1;
        }
        countries
    }
    /// Rows that name somebody again.
    pub fn duplicates(&self) -> usize {
        self.0.iter().filter(|person| person.is_twice_in_list).count()
    }

    /// The list as a personnel system would export it.
    ///
    /// # Errors
    /// None in memory.
    pub fn list(&self) -> csv::Result<Vec<u8>> {
        let mut list = csv::Writer::from_writer(Vec::new());
        list.write_record([
            "email",
            "name",
            "language",
            "country",
            "street",
            "city",
            "data",
            "certificate",
        ])?;
        for person in &self.0 {
            match person.fate {
                // Left empty, or as it was heard on the telephone.
                Fate::Unusable if person.language.is_none() => list.write_record(person.row(""))?,
                Fate::Unusable => list.write_record(person.row(&person.address.replace('@', " at ")))?,
                _ => list.write_record(person.row(&person.address))?,
            }
            if person.is_twice_in_list {
                // As another department typed it.
                list.write_record(person.row(&person.address.to_uppercase()))?;
            }
        }
        list.into_inner().map_err(|error| error.into_error().into())
    }
}

/// A key as a person's mail program makes it; without a passphrase, since it lives in memory only, and a passphrase costs
/// more time than all the rest.
fn fresh_key(name: &str, address: &str, now: Time) -> Result<OurKey, KeyError> {
    let make = || -> openpgp::Result<Vec<u8>> {
        let (cert, _) = CertBuilder::new()
            .set_profile(Profile::RFC4880)?
            .set_cipher_suite(CipherSuite::Cv25519)
            .set_creation_time(std::time::SystemTime::from(now))
            .set_validity_period(KEY_VALIDITY)
            .set_primary_key_flags(KeyFlags::empty().set_certification())
            .add_userid(UserID::from(format!("{name} <{address}>")))
            .add_signing_subkey()
            .add_subkey(
                KeyFlags::empty().set_transport_encryption().set_storage_encryption(),
                None,
                None,
            )
            .generate()?;
        cert.as_tsk().to_vec()
    };
    let secret = make().map_err(|error| KeyError::Generate { source: error.into() })?;
    OurKey::load(&secret, &Secret::new(String::new()), now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(count: usize) -> People {
        People::invent(count, Time::from_timestamp(1_790_000_000, 0).unwrap()).unwrap()
    }

    #[test]
    fn everything_happens_among_the_first_twelve() {
        let people = people(12);
        for fate in [
            Fate::Taken,
            Fate::CutOff,
            Fate::Later,
            Fate::Gone,
            Fate::Returned,
            Fate::Unusable,
        ] {
            assert!(people.of(fate).count() > 0, "{fate:?}");
        }
        assert_eq!((people.with_key().count(), people.duplicates()), (1, 1));
        let languages: HashSet<_> = people.all().iter().map(|person| person.language).collect();
        assert_eq!(languages.len(), 7, "six, and not known");
    }

    #[test]
    fn the_list_has_a_row_for_each_and_one_more_for_who_is_twice_in_it() {
        let people = people(60);
        let list = people.list().unwrap();
        let mut list = csv::Reader::from_reader(&list[..]);
        assert_eq!(list.records().count(), 60 + people.duplicates());
        let distinct: HashSet<_> = people.by_address().into_keys().collect();
        assert_eq!(distinct.len(), 60);
    }
}
