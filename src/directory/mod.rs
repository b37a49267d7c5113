//! The directory of authorities: which profiles there are, and reading the one that is wanted.
//!
//! The profiles of `authorities/` are built into the program; a folder of the operator's may replace and add. Nothing is
//! parsed before it is asked for, so that a command which needs no profile pays for none. Knows nothing of the store: which
//! certificate is pinned for an authority stands there.

pub mod certificate;
mod findings;
pub mod profile;
#[cfg(test)]
mod samples;
mod validate;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use crate::reading::{self, ReadError};
pub use profile::Profile;
pub use validate::Problem;

static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/authorities");

/// Longest profile taken, in bytes. The longest built-in one has some 6 KiB.
const MAX_PROFILE_BYTES: u64 = 64 * 1024;
/// How many ids an error suggests at most.
const MAX_SUGGESTED: usize = 3;

/// Why the directory cannot give a profile.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// No profile has this id.
    #[error("no authority is called `{wanted}`{}", did_you_mean(near))]
    Unknown {
        wanted: String,
        /// Ids that may have been meant, the likeliest first.
        near: Vec<String>,
    },
    /// The operator's folder cannot be listed.
    #[error("cannot list the folder of authority profiles, {}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    /// A file of the operator's folder that would be overlooked under its name.
    #[error("{} is not the name of an authority profile; rename it, for example to `lu-cnpd.yaml`, or move it away", path.display())]
    Misnamed { path: PathBuf },
    /// A profile of the operator's folder cannot be read from the disk.
    #[error("cannot read the authority profile {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// A profile is longer than any sensible one.
    #[error("the authority profile {} has more than {MAX_PROFILE_BYTES} bytes", path.display())]
    TooLong { path: PathBuf },
    /// A profile is not YAML, or has keys or words that are not known; says file, line and column.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// A profile is well-formed and states something that cannot be used; each line says file, line and column.
    #[error("{}", problems.join("; "))]
    Invalid { problems: Vec<String> },
}

fn did_you_mean(near: &[String]) -> String {
    match near {
        [] => "; `breachpost authority list` shows all".to_owned(),
        [one] => format!("; did you mean {one}?"),
        [most @ .., last] => format!("; did you mean {} or {last}?", most.join(", ")),
    }
}

/// All authorities that can be told. Cheap to make; profiles are read when asked for.
#[derive(Debug, Clone)]
pub struct Directory {
    folder: Option<PathBuf>,
    /// Ids for which the operator's folder has a file.
    overlays: BTreeSet<String>,
}

impl Directory {
    /// Opens the built-in directory and, over it, the profiles of a folder (the `authorities/` of a home): a file replaces
    /// the built-in profile of the same name as a whole, other names are added. The folder need not exist. Hidden files and
    /// files that do not end in `.yaml` are left alone.
    ///
    /// # Errors
    /// [`DirectoryError::Folder`] when the folder is there and cannot be listed, [`DirectoryError::Misnamed`] when a file
    /// ends in `.yml` or has no id for a name: it would silently count for nothing. What the files say is read later.
    pub fn load(overlay: Option<&Path>) -> Result<Self, DirectoryError> {
        let overlays = overlay.map(overlay_ids).transpose()?.unwrap_or_default();
        Ok(Self {
            folder: overlay.map(Path::to_owned),
            overlays,
        })
    }

    /// The ids of all authorities, in order.
    pub fn ids(&self) -> Vec<String> {
        let built_in = BUILT_IN.files().filter_map(|file| {
            let name = file.path().to_str()?;
            name.strip_suffix(".yaml").map(str::to_owned)
        });
        let all: BTreeSet<String> = built_in.chain(self.overlays.iter().cloned()).collect();
        all.into_iter().collect()
    }

    /// Reads and checks one profile, and no other.
    ///
    /// # Errors
    /// [`DirectoryError::Unknown`] with the ids that may have been meant; the other variants when the profile cannot be
    /// used (see [`Directory::load`] for those it reports itself).
    pub fn find(&self, id: &str) -> Result<Profile, DirectoryError> {
        let name = format!("{id}.yaml");
        if let (Some(folder), true) = (&self.folder, self.overlays.contains(id)) {
            let path = folder.join(name);
            let text = read_bounded(&path)?;
            let profile = parse(id, &path.display().to_string(), &text)?;
            return Ok(Profile {
                is_overlay: true,
                ..profile
            });
        }
        match BUILT_IN.get_file(&name) {
            Some(file) => parse(id, &format!("built-in authorities/{name}"), file.contents()),
            None => Err(DirectoryError::Unknown {
                wanted: shown(id),
                near: self.near(id),
            }),
        }
    }

    /// Reads all profiles, in the order of their ids. [`Directory::ids`] and [`Directory::find`] go on past a broken one.
    ///
    /// # Errors
    /// The first that cannot be used, as for [`Directory::find`].
    pub fn list(&self) -> Result<Vec<Profile>, DirectoryError> {
        self.ids().iter().map(|id| self.find(id)).collect()
    }

    /// Ids that somebody may have meant by a word that is none: a country code, a mail address or domain, a part of an
    /// id, or a typing error.
    fn near(&self, wanted: &str) -> Vec<String> {
        let wanted = wanted.trim().to_ascii_lowercase();
        let ids = self.ids();
        if let Some(domain) = wanted.rsplit('@').next().filter(|domain| domain.contains('.')) {
            return ids
                .into_iter()
                .filter(|id| self.has_mail_at(id, domain))
                .take(MAX_SUGGESTED)
                .collect();
        }
        // The Union's own habit: UK and EL where ISO 3166 says GB and GR.
        let part = match wanted.as_str() {
            "uk" => "gb",
            "el" => "gr",
            other => other,
        };
        let holding: Vec<String> = ids
            .iter()
            .filter(|id| id.split('-').any(|p| p == part))
            .cloned()
            .collect();
        if !holding.is_empty() {
            return holding.into_iter().take(MAX_SUGGESTED).collect();
        }
        // Only the closest: the next one may be an authority of another country.
        let distance = |id: &String| strsim::damerau_levenshtein(&wanted, id);
        let Some(least) = ids.iter().map(distance).min() else {
            return Vec::new();
        };
        ids.into_iter()
            .filter(|id| distance(id) == least && least <= (id.len() / 3).max(1))
            .take(MAX_SUGGESTED)
            .collect()
    }

    fn has_mail_at(&self, id: &str, domain: &str) -> bool {
        // A broken profile is reported when it is asked for, not while guessing about another one.
        self.find(id).is_ok_and(|profile| {
            profile
                .channels
                .iter()
                .filter_map(|c| validate::split_address(&c.value))
                .any(|(_, known)| profile::is_same_or_below(domain, known) || profile::is_same_or_below(known, domain))
        })
    }
}

fn overlay_ids(folder: &Path) -> Result<BTreeSet<String>, DirectoryError> {
    let failed = |source| DirectoryError::Folder {
        path: folder.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut ids = BTreeSet::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        match name.rsplit_once('.') {
            Some((id, "yaml")) if validate::is_id(id) => ids.insert(id.to_owned()),
            Some((_, "yaml" | "yml")) => return Err(DirectoryError::Misnamed { path }),
            _ => continue,
        };
    }
    Ok(ids)
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, DirectoryError> {
    let failed = |source| DirectoryError::File {
        path: path.to_owned(),
        source,
    };
    // Before opening it: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(std::io::Error::other("not a regular file")));
    }
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_PROFILE_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MAX_PROFILE_BYTES {
        return Err(DirectoryError::TooLong { path: path.to_owned() });
    }
    Ok(text)
}

/// Reads and checks one profile; `origin` ends in `.yaml` and is named in errors.
fn parse(id: &str, origin: &str, text: &[u8]) -> Result<Profile, DirectoryError> {
    let (profile, places) = reading::yaml_or_json_with_places::<Profile>(origin, text)?;
    let mut problems = profile.validate().err().unwrap_or_default();
    if profile.id != id {
        problems.insert(
            0,
            Problem {
                path: "id".to_owned(),
                text: format!("must be the file's name, `{id}`"),
            },
        );
    }
    if problems.is_empty() {
        return Ok(profile);
    }
    let located = problems.iter().map(|problem| {
        let place = places.find(&problem.path);
        format!("{origin}:{}:{}: {problem}", place.line, place.column)
    });
    Err(DirectoryError::Invalid {
        problems: located.collect(),
    })
}

/// A word somebody typed, fit for one line of a terminal.
fn shown(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::profile::{ChannelKind, Expected, Layout, Purpose, Seal};
    use super::*;

    fn built_in() -> Directory {
        Directory::load(None).unwrap()
    }

    #[test]
    fn every_built_in_profile_is_sound() {
        let profiles = built_in().list().unwrap();
        assert!(profiles.len() >= 59, "{}", profiles.len());
        for p in &profiles {
            assert!(!p.is_overlay);
            assert!(p.channels.iter().all(|c| !c.source.trim().is_empty()), "{}", p.id);
            if let Some(email) = p.breach_email() {
                assert_eq!(
                    (email.kind, email.purpose),
                    (ChannelKind::Email, Purpose::Breach),
                    "{}",
                    p.id
                );
                assert!(p.sender_matches(&email.value), "{}", p.id);
            }
            if let Some(fingerprint) = p.openpgp.as_ref().and_then(|key| key.fingerprint()) {
                assert!(matches!(fingerprint.len(), 40 | 64) && fingerprint.bytes().all(|b| b.is_ascii_hexdigit()));
            }
            assert!(
                p.checked.is_none(),
                "{}: nobody has checked a built-in profile live",
                p.id
            );
            assert_eq!(p.seal, Seal::Required, "{}: no source allows less", p.id);
        }
    }

    #[test]
    fn luxembourg() {
        let p = built_in().find("lu-cnpd").unwrap();
        assert_eq!(p.breach_email().unwrap().value, "databreach@cnpd.lu");
        assert_eq!(p.phone().unwrap().value, "+352 26 10 60 1");
        assert_eq!(p.portal(), None, "its web pages are to read, not to file");
        assert_eq!(p.name("fr"), "Commission nationale pour la protection des données");
        assert_eq!(
            (p.calendar_name(), p.timezone()),
            (Some("LU"), chrono_tz::Europe::Luxembourg)
        );
        assert_eq!(p.acknowledgement.expected, Expected::Yes);
        assert_eq!(
            p.openpgp.as_ref().unwrap().fingerprint(),
            None,
            "no public source shows one"
        );
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        assert!(
            p.findings(now)
                .iter()
                .any(|l| l.contains("read out at +352 26 10 60 1"))
        );
    }

    #[test]
    fn what_some_authorities_want() {
        let directory = built_in();
        assert_eq!(directory.find("gr-hdpa").unwrap().layout, Layout::EncryptedFiles);
        assert!(
            directory.find("eu-edps").unwrap().breach_email().is_none(),
            "its address is recalled only"
        );
        let belgium = directory.find("be-apd-gba").unwrap();
        assert!(belgium.breach_email().is_none() && belgium.portal().is_some());
        let malta = directory.find("mt-idpc").unwrap().acknowledgement.pattern().unwrap();
        assert_eq!(
            &malta.captures("ref. CDP/DBN/71/2026, of today").unwrap()[1],
            "CDP/DBN/71/2026"
        );
    }

    #[test]
    fn unknown_ids_get_a_suggestion() {
        let directory = built_in();
        let table = [
            ("lu-cnp", "did you mean lu-cnpd?"),
            ("LU-CNPD", "did you mean lu-cnpd?"),
            ("lu", "did you mean lu-circl, lu-cnpd or lu-ncert?"),
            ("uk", "did you mean gb-ico?"),
            ("cnpd", "did you mean lu-cnpd or pt-cnpd?"),
            ("databreach@cnpd.lu", "did you mean lu-cnpd?"),
            ("cnpd.lu", "did you mean lu-cnpd?"),
            ("zz-nothing-of-the-kind", "`breachpost authority list` shows all"),
            ("../../etc/passwd", "`breachpost authority list` shows all"),
        ];
        for (wanted, hint) in table {
            let error = directory.find(wanted).unwrap_err().to_string();
            assert!(error.contains(wanted) && error.ends_with(hint), "{error}");
        }
    }

    #[test]
    fn an_overlay_replaces_and_adds() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("authorities");
        assert!(
            Directory::load(Some(&folder)).unwrap().find("lu-cnpd").is_ok(),
            "the folder need not exist"
        );

        std::fs::create_dir(&folder).unwrap();
        let cnpd = std::str::from_utf8(BUILT_IN.get_file("lu-cnpd.yaml").unwrap().contents()).unwrap();
        let ours = cnpd.replace("checked: null", "checked: { by: Anna, on: 2026-11-21 }");
        std::fs::write(folder.join("lu-cnpd.yaml"), &ours).unwrap();
        let acme = ours
            .replace("id: lu-cnpd", "id: acme-corp")
            .replace("type: supervisory", "type: controller");
        std::fs::write(folder.join("acme-corp.yaml"), acme).unwrap();
        std::fs::write(folder.join("notes.txt"), "not a profile").unwrap();
        std::fs::write(folder.join(".lu-cnpd.yaml.swp"), "editor's").unwrap();

        let directory = Directory::load(Some(&folder)).unwrap();
        let p = directory.find("lu-cnpd").unwrap();
        assert!(p.is_overlay && p.checked.unwrap().by == "Anna");
        assert!(directory.find("acme-corp").unwrap().is_overlay);
        assert!(!directory.find("fr-cnil").unwrap().is_overlay);
        assert_eq!(directory.list().unwrap().len(), built_in().list().unwrap().len() + 1);
    }

    #[test]
    fn broken_overlays_say_where() {
        let cnpd = std::str::from_utf8(BUILT_IN.get_file("lu-cnpd.yaml").unwrap().contents()).unwrap();
        let line_of = |text: &str| 1 + cnpd.lines().position(|l| l.contains(text)).unwrap();
        let table = [
            (
                "seal: required",
                "sael: required",
                line_of("seal: required"),
                "did you mean `seal`",
            ),
            (
                "layout: pgp_mime",
                "layout: pgpmime",
                line_of("layout: pgp_mime"),
                "did you mean `pgp_mime`",
            ),
            (
                "value: info@cnpd.lu",
                "value: info@cnpd",
                line_of("value: info@cnpd.lu"),
                "bare e-mail address",
            ),
            (
                "Europe/Luxembourg",
                "Europe/Luxemburg",
                line_of("timezone:"),
                "IANA name",
            ),
            (
                "id: lu-cnpd",
                "id: lu-cnpdd",
                line_of("id: lu-cnpd"),
                "the file's name, `lu-cnpd`",
            ),
            (
                "country: LU",
                "country: LU\ncountry: LU",
                line_of("country: LU") + 1,
                "country",
            ),
            ("notes: >-", "notes: !x >-", line_of("notes: >-"), "tag"),
        ];
        for (from, to, line, hint) in table {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("lu-cnpd.yaml");
            std::fs::write(&path, cnpd.replacen(from, to, 1)).unwrap();
            let directory = Directory::load(Some(home.path())).unwrap();
            let error = directory.find("lu-cnpd").unwrap_err().to_string();
            assert!(error.starts_with(&format!("{}:{line}:", path.display())), "{error}");
            assert!(error.contains(hint), "{error}");
            assert!(directory.find("fr-cnil").is_ok(), "other profiles stay usable");
            assert_eq!(directory.list().unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn odd_files_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lu-cnpd.yaml");
        std::fs::write(&path, vec![b'#'; MAX_PROFILE_BYTES as usize + 1]).unwrap();
        let directory = Directory::load(Some(home.path())).unwrap();
        assert!(matches!(directory.find("lu-cnpd"), Err(DirectoryError::TooLong { .. })));

        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(directory.find("lu-cnpd"), Err(DirectoryError::File { .. })));

        for name in ["lu-cnpd.yml", "My Office.yaml", "LU-CNPD.yaml"] {
            let home = tempfile::tempdir().unwrap();
            std::fs::write(home.path().join(name), "x").unwrap();
            let error = Directory::load(Some(home.path())).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let file = home.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(matches!(
            Directory::load(Some(&file)),
            Err(DirectoryError::Folder { .. })
        ));
    }

    #[test]
    fn the_readme_names_every_key() {
        let readme = include_str!("../../authorities/README.md");
        let p = built_in().find("gr-hdpa").unwrap();
        let serde_json::Value::Object(keys) = serde_json::to_value(&p).unwrap() else {
            panic!("a profile is an object");
        };
        for key in keys.keys().filter(|k| *k != "is_overlay") {
            assert!(readme.contains(&format!("`{key}")), "{key}");
        }
    }
}
