//! What a list says about one person beyond address and language: merge fields by name, each with all its different
//! values, because a person may stand in several rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Different values kept of one field; what comes after them is left out and flagged.
pub const MOST_VALUES: usize = 100;

/// Merge fields of one person. Written as `{"name":["Anna Weber"],"order":["17","23"]}`.
///
/// In the order of the names. A list and not a map: thousands of them wait for the store while a list is imported.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, Vec<String>)>);

impl Fields {
    /// The names with their values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }
    /// The first value of a field: that of the person's first row.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str)
    }
    /// All values of a field, each once, in the order of the rows.
    pub fn all(&self, name: &str) -> &[String] {
        self.place(name).map_or(&[], |place| self.0[place].1.as_slice())
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Where a field stands, or where it would.
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    /// Takes a field out, with all its values.
    pub fn take(&mut self, name: &str) -> Vec<String> {
        self.place(name)
            .map_or_else(|_| Vec::new(), |place| self.0.remove(place).1)
    }

    /// Adds a value, unless it is empty or there already. False when the field is full and the value was left out.
    pub fn add(&mut self, name: &str, value: String) -> bool {
        if value.is_empty() {
            return true;
        }
        let values = match self.place(name) {
            Ok(place) => &mut self.0[place].1,
            Err(place) => {
                self.0.insert(place, (name.to_owned(), vec![value]));
                return true;
            }
        };
        if values.contains(&value) {
            return true;
        }
        let fits = values.len() < MOST_VALUES;
        if fits {
            values.push(value);
        }
        fits
    }

    /// Takes in the fields of another row of the same person. False when a value was left out.
    pub fn unite(&mut self, other: Fields) -> bool {
        let mut all_fit = true;
        for (name, values) in other.0 {
            for value in values {
                all_fit &= self.add(&name, value);
            }
        }
        all_fit
    }
}
impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut fields = Fields::default();
        for (name, value) in pairs {
            fields.add(&name.into(), value.into());
        }
        fields
    }
}
impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sorted: BTreeMap<String, Vec<String>> = Deserialize::deserialize(deserializer)?;
        Ok(Self(sorted.into_iter().collect()))
    }
}
/// Names only: the values are a person's data.
impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_person_are_united_and_each_value_stands_once() {
        let mut anna: Fields = [("name", "Anna"), ("order", "17"), ("order", "17"), ("note", "")]
            .into_iter()
            .collect();
        let again = [("order", "23"), ("order", "17"), ("city", "Wiltz")]
            .into_iter()
            .collect();
        assert!(anna.unite(again));
        assert_eq!(
            serde_json::to_string(&anna).unwrap(),
            r#"{"city":["Wiltz"],"name":["Anna"],"order":["17","23"]}"#
        );
        assert_eq!((anna.first("order"), anna.first("note")), (Some("17"), None));
        assert!(!format!("{anna:?}").contains("Wiltz"));
    }

    #[test]
    fn a_person_of_ten_thousand_rows_stays_small() {
        let mut fields = Fields::default();
        let fitted = (0..10_000).filter(|n| fields.add("order", n.to_string())).count();
        assert_eq!((fitted, fields.all("order").len()), (MOST_VALUES, MOST_VALUES));
    }
}
