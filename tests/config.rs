//! The home and its settings as their owner meets them: what a minimal config.yaml is, what every default is, which
//! settings are refused and with what words, and that no secret is ever shown.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use breachpost::config::{
    Config, ConfigError, DEFAULT_FILE, Home, MailboxUrl, Proof, SecretSource, ServerSecurity, TokenSource, Verp,
};

const MINIMAL: &str = r#"
organisation: { name: Brasserie du Kirchberg S.A., country: LU }
sender: { address: breach@example.lu }
key: { file: keys/sender.asc, passphrase: { env: PASSPHRASE } }
relay: { url: "smtp://127.0.0.1:2525?tls=none" }
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse("config.yaml", text.as_bytes())
}
/// The error and all its causes, as the command line prints them.
fn chain(error: &ConfigError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
fn refused(text: &str) -> String {
    chain(&parse(text).map(drop).expect_err(text))
}
fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
fn home() -> (tempfile::TempDir, Home) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path()).unwrap();
    home.make_private().unwrap();
    (folder, home)
}
fn private_file(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_minimal_file_loads_with_every_default() {
    let config = parse(MINIMAL).unwrap();
    assert_eq!(config.organisation.name.as_str(), "Brasserie du Kirchberg S.A.");
    assert_eq!(config.name_of(&config.sender), "Brasserie du Kirchberg S.A.");
    assert_eq!(config.fallback_language().as_str(), "en");
    assert_eq!(config.sender.verp, Verp::None);
    assert!(config.mailbox.is_none());
    assert_eq!(config.relay.connections, 8);
    assert_eq!(config.relay.url.security, ServerSecurity::None);
    assert_eq!(
        config.relay.timeouts.final_dot_seconds.duration(),
        Duration::from_secs(600)
    );
    assert_eq!(config.alerts.remind_hours_before, [48, 24, 12, 6, 2]);
    assert_eq!((config.campaign.settle_days, config.campaign.dsn_success), (7, false));
    assert_eq!(config.campaign.give_up_days, 5);
    assert_eq!(config.limits.sealed_bytes, 8_000_000);
    assert_eq!(
        (config.retention.recipients_days, config.retention.register_years),
        (365, 5)
    );
    assert_eq!(config.store.0, Path::new("breachpost.db"));
    assert_eq!(config.store_key, SecretSource::File("keys/store.key".into()));
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8372");
}

/// The names of the settings in the default file, each with its section.
fn settings() -> Vec<(String, String)> {
    let (mut section, mut found) = (String::new(), Vec::new());
    for line in DEFAULT_FILE.lines() {
        let (nested, line) = (line.starts_with(' '), line.trim_start());
        let line = line.strip_prefix("#e.g. ").or(line.strip_prefix('#')).unwrap_or(line);
        let mut names = line.split([' ', '{', ',', '[']).filter_map(|word| {
            let name = word.strip_suffix(':')?;
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
            (!name.is_empty() && name.chars().all(is_name)).then(|| name.to_owned())
        });
        // Prose has its own first word, and a space before it.
        let Some(first) = names.next().filter(|first| line.starts_with(first.as_str())) else {
            continue;
        };
        if !nested {
            section.clone_from(&first);
        }
        found.extend(std::iter::once(first).chain(names).map(|name| (section.clone(), name)));
    }
    found
}

#[test]
fn a_setting_without_effect_is_named_as_such() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                // Where they are declared and checked.
                && path != root.join("src/config/sections.rs")
            {
                sources.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let (_, missing) = readme.split_once("\n## Not there yet\n").unwrap();
    let missing = missing.split("\n## ").next().unwrap();
    let is_used = |name: &str| {
        let ends = |after: &str| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        sources.split(&format!(".{name}")).skip(1).any(ends)
    };
    let settings = settings();
    let is_known = |wanted: (&str, &str)| settings.iter().any(|(a, b)| (a.as_str(), b.as_str()) == wanted);
    for known in [
        ("relay", "reply_seconds"),
        ("retention", "register_years"),
        ("campaign", "fallback_language"),
    ] {
        assert!(is_known(known), "{known:?}: {settings:?}");
    }
    for (section, name) in &settings {
        let named = missing.contains(&format!("`{section}`")) || missing.contains(&format!("`{section}.{name}`"));
        assert!(
            is_used(name) != named,
            "`{section}.{name}` has an effect, or stands in the README under \"Not there yet\""
        );
    }
}

#[test]
fn every_setting_at_once() {
    let config = parse(
        r#"
organisation:
  name: Brasserie du Kirchberg S.A.
  country: NO
  languages: [fr, de, en]
  contact: { kind: other, name: Claire Weber, email: dpo@example.lu, phone: "+352 621 000 111", postal: "12, rue Erasme" }
sender: { address: breach@example.lu, name: Protection des données, verp: plus }
key: { file: keys/sender.asc, passphrase: { credential: sender.pass } }
relay:
  url: "smtps://breach@example.lu@mail.example.lu:465"
  password: { file: keys/relay.password }
  tls: { ca_file: ca.pem }
  timeouts: { connect_seconds: 0.5 }
  retry: { first_seconds: 1, max_seconds: 60 }
  connections: 16
  pace: { per_second: 0.5, per_domain_per_second: 2, per_day: 1000 }
mailbox: { url: "imaps://breach@mail.example.lu", password: { env: MAILBOX }, folder: Breach, trusted_authserv_id: mx.example.lu }
individuals:
  sender: { address: info@example.lu }
  mailbox: { url: "maildir:in" }
  relay: { url: "smtp://bulk.example.lu" }
alerts:
  emails: [dpo@example.lu]
  webhooks: [{ url: "https://alerts.example.lu/x", secret: { env: HOOK } }]
  remind_hours_before: [24]
approval: { campaign: two_persons, notice: one_person }
campaign: { error_budget: 0.1, fallback_language: de, settle_days: 3, dsn_success: true }
limits: { sealed_bytes: 1000 }
retention: { recipients_days: 30, register_years: 10 }
store: "sqlite:data/x.db"
store_key: { env: STORE_KEY }
http: { listen: "[::1]:80" }
"#,
    )
    .unwrap();
    assert_eq!(config.organisation.country.as_str(), "NO");
    assert_eq!(config.relay.url.user.as_deref(), Some("breach@example.lu"));
    assert_eq!(config.relay_to_individuals().url.host, "bulk.example.lu");
    assert_eq!(config.sender_to_individuals().address.as_str(), "info@example.lu");
    assert_eq!(config.fallback_language().as_str(), "de");
    // What is not given inside a section keeps its default.
    assert_eq!(config.relay.timeouts.reply_seconds.duration(), Duration::from_secs(300));
}

/// Takes the marks of the default file away: `#name: value` shows a default, `#e.g. name: value` an example.
fn uncommented(keep: impl Fn(&str) -> bool) -> String {
    let line = |line: &str| {
        let text = line.trim_start();
        let indent = &line[..line.len() - text.len()];
        match text.strip_prefix("#e.g. ").or_else(|| text.strip_prefix('#')) {
            Some(setting) if setting.starts_with(char::is_lowercase) && keep(text) => format!("{indent}{setting}\n"),
            _ => format!("{line}\n"),
        }
    };
    DEFAULT_FILE.lines().map(line).collect()
}

#[test]
fn the_default_file_shows_the_defaults_that_hold() {
    let as_written = parse(DEFAULT_FILE).map_err(|e| chain(&e)).unwrap();
    let shown = DEFAULT_FILE.lines().map(str::trim_start).filter(|line| {
        line.starts_with('#') && line[1..].starts_with(char::is_lowercase) && !line.starts_with("#e.g. ")
    });
    let mut count = 0;
    for shown in shown {
        let with_it = parse(&uncommented(|line| line == shown))
            .map_err(|e| chain(&e))
            .unwrap();
        assert_eq!(
            with_it, as_written,
            "the default file shows `{shown}`, which is not the default"
        );
        count += 1;
    }
    assert!(count >= 15, "{count}");
}

#[test]
fn every_example_of_the_default_file_can_be_used() {
    let as_written = parse(DEFAULT_FILE).unwrap();
    let mut count = 0;
    for example in DEFAULT_FILE
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with("#e.g. "))
    {
        let with_it = parse(&uncommented(|line| line == example));
        assert_ne!(with_it.map_err(|e| chain(&e)).unwrap(), as_written, "{example}");
        count += 1;
    }
    assert!(count >= 10, "{count}");
}

#[test]
fn every_setting_stands_in_the_default_file() {
    // An unknown name is answered with the known ones when none of them is near.
    for (section, at_least) in [
        ("", 14),
        ("organisation", 4),
        ("sender", 3),
        ("key", 2),
        ("relay", 8),
        ("alerts", 3),
        ("approval", 2),
        ("campaign", 4),
        ("limits", 1),
        ("retention", 2),
        ("http", 1),
    ] {
        let text = match section {
            "" => format!("{MINIMAL}\nxyzxyzxyzxyz: 1\n"),
            section => format!("{}\n{section}: {{ xyzxyzxyzxyz: 1 }}\n", without(section)),
        };
        let error = refused(&text);
        let names = error.rsplit_once("known here: ").map_or("", |(_, names)| names);
        let names: Vec<&str> = names.split(", ").collect();
        assert!(names.len() >= at_least, "{section}: {names:?} from {error}");
        for name in names {
            assert!(
                DEFAULT_FILE.contains(&format!("{name}:")),
                "`{name}` of `{section}` is not explained"
            );
        }
    }
}

#[test]
fn what_is_missing_is_named_all_at_once_with_its_purpose() {
    let error = refused("sender: { address: breach@example.lu }\nkey:\n");
    for name in ["`organisation` (who", "`key` (the OpenPGP", "`relay` (the mail server"] {
        assert!(error.contains(name), "{error}");
    }
    assert!(!error.contains("`sender`"), "{error}");
}

/// [`MINIMAL`] without one section's line.
fn without(section: &str) -> String {
    let start = format!("{section}:");
    MINIMAL
        .lines()
        .filter(|line| !line.starts_with(&start))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn contradictions_and_bad_values_are_refused_where_they_stand() {
    // Section, value, reason. Each replaces or adds one section, which is then the last.
    let table = r#"
        organisation | { country: LU } | missing field `name`
        organisation | { name: X, country: Luxembourg } | not a country code
        organisation | { name: X, country: LU, languages: [] } | `languages` is empty
        organisation | { name: X, country: LU, languages: [fr, fr] } | fr twice
        organisation | { name: X, country: LU, contact: { name: Y } } | `email` or a `phone`
        organisation | { name: "X\nBcc: a@b.lu", country: LU } | single line
        sender | { address: breach } | exactly one @
        sender | { address: "breach@example.lu\r\nBcc: a@b.lu" } | control character
        sender | { address: b@example.lu, verp: minus } | minus
        relay | { url: "smtp://mail.example.lu?tls=none" } | loopback only
        relay | { url: "smtps://mail.example.lu", password: { env: X } } | names no user
        relay | { url: "smtps://anna@mail.example.lu" } | there is no `password`
        relay | { url: "smtps://anna@h.lu", password: { env: X }, oauth2: { token: { env: Y } } } | both given
        relay | { url: "smtps://h.lu", oauth2: { token: { env: Y } } } | names no user
        relay | { url: "smtps://h.lu", connections: 0 } | `connections` is 0
        relay | { url: "smtps://h.lu", pace: { per_second: 0 } } | `per_second` is 0
        relay | { url: "smtps://h.lu", pace: { per_second: .nan } } | `per_second` is NaN
        relay | { url: "smtps://h.lu", pace: { per_day: 0 } } | `per_day` is 0
        relay | { url: "smtps://h.lu", retry: { first_seconds: 9, max_seconds: 8 } } | longer than
        relay | { url: "smtps://h.lu", timeouts: { reply_seconds: 0 } } | number of seconds
        mailbox | { url: "imaps://anna@h.lu" } | there is no `password`
        mailbox | { url: "maildir:in", password: { env: X } } | a Maildir takes no `password`
        alerts | { remind_hours_before: [0] } | `remind_hours_before` is 0
        alerts | { remind_hours_before: [6, 6] } | 6 twice
        alerts | { webhooks: [{ url: "http://alerts.example.lu" }] } | https://
        approval | { notice: three_persons } | three_persons
        campaign | { error_budget: 0 } | `error_budget` is 0
        campaign | { error_budget: 5 } | `error_budget` is 5
        limits | { sealed_bytes: 0 } | `sealed_bytes` is 0
        retention | { recipients_days: 0 } | `recipients_days` is 0
        store | "postgres://db/breachpost" | PostgreSQL is not supported yet
        store_key | { file: a, env: B } | two places are given for one secret
        store_key | { } | a place is needed
        http | { listen: localhost } | socket address
        http | 8372 | a section
    "#;
    for row in table.trim().lines() {
        let cells: Vec<&str> = row.split(" | ").map(str::trim).collect();
        let [section, value, reason] = cells[..] else {
            panic!("three cells are needed: {row}");
        };
        let kept = if MINIMAL.contains(&format!("\n{section}:")) {
            without(section)
        } else {
            MINIMAL.to_owned()
        };
        let line = kept.lines().count() + 1;
        let error = refused(&format!("{kept}{section}: {value}\n"));
        assert!(error.contains(reason), "{section}: {value}: {error}");
        assert!(
            error.contains(&format!("config.yaml:{line}:")),
            "{section}: {value}: {error}"
        );
        assert!(error.contains(section), "{section}: {value}: {error}");
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_known_one() {
    let error = refused(&MINIMAL.replace("address:", "adress:"));
    assert!(
        error.contains("unknown field `adress`; did you mean `address`?"),
        "{error}"
    );
    assert!(error.contains("config.yaml:3:"), "{error}");
}

#[test]
fn a_secret_written_into_the_file_is_refused_and_not_repeated() {
    for (from, to) in [
        ("passphrase: { env: PASSPHRASE }", "passphrase: hunter2"),
        ("passphrase: { env: PASSPHRASE }", "passphrase: { value: hunter2 }"),
        ("passphrase: { env: PASSPHRASE }", "passphrase: [hunter2]"),
        ("smtp://127.0.0.1", "smtp://anna:hunter2@127.0.0.1"),
        ("relay: { url: ", "relay: { password: hunter2, url: "),
        (
            "{ url: \"smtp://127.0.0.1:2525?tls=none\" }",
            "\"smtps://anna:hunter2@h.lu\"",
        ),
    ] {
        let text = MINIMAL.replace(from, to);
        assert_ne!(text, MINIMAL);
        let error = parse(&text).expect_err(to);
        assert!(!chain(&error).contains("hunter2"), "{to}: {}", chain(&error));
        assert!(!format!("{error:?}").contains("hunter2"), "{to}: {error:?}");
    }
    for number in ["12345", "-1", "1.5", "true"] {
        let error = refused(&MINIMAL.replace("{ env: PASSPHRASE }", number));
        assert!(error.contains("never stands in config.yaml"), "{error}");
        assert!(!error.contains(number), "{error}");
    }
}

#[test]
fn a_mailbox_on_a_server_reads_one_folder_or_several() {
    let mailbox = |more: &str| {
        let url = "url: \"imaps://anna@h.lu\", password: { env: X }";
        format!("{MINIMAL}mailbox: {{ {url}{more} }}\n")
    };
    for (more, folders) in [
        ("", vec!["INBOX"]),
        (", folder: Réponses", vec!["Réponses"]),
        (", folders: [INBOX, Junk]", vec!["INBOX", "Junk"]),
    ] {
        let read = parse(&mailbox(more)).unwrap().mailbox.unwrap();
        assert!(matches!(&read.url, MailboxUrl::Imap(url) if url.port == 993));
        assert_eq!(read.folders().iter().map(|f| f.as_str()).collect::<Vec<_>>(), folders);
    }
    for (more, reason) in [
        (", folder: A, folders: [B]", "both given"),
        (", folders: []", "is empty"),
        (", folders: [A, A]", "twice"),
    ] {
        let error = refused(&mailbox(more));
        assert!(error.contains(reason), "{more}: {error}");
    }
    let maildir = format!("{MINIMAL}mailbox: {{ url: \"maildir:in\", folder: INBOX }}\n");
    assert!(refused(&maildir).contains("a Maildir takes no `folder`"));
}

#[test]
fn a_token_has_one_place_and_the_command_is_not_shown() {
    let relay = |token: &str| {
        let relay = format!("relay: {{ url: \"smtps://anna@h.lu\", oauth2: {{ token: {token} }} }}\n");
        format!("{}{relay}", without("relay"))
    };
    let config = parse(&relay("{ command: \"get-token --secret hunter2\" }")).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let (_folder, home) = home();
    let (user, proof) = config.relay.login(&home).unwrap().unwrap();
    assert_eq!(user, "anna");
    assert!(matches!(proof, Proof::Token(TokenSource::Command(_))), "{proof:?}");
    for token in ["{ file: keys/token }", "{ env: TOKEN }", "{ credential: token }"] {
        assert!(parse(&relay(token)).is_ok(), "{token}");
    }
    for (token, reason) in [
        ("hunter2", "never stands in config.yaml"),
        ("{ }", "a place is needed"),
        ("{ env: A, command: b }", "two places are given"),
        ("{ command: \" \" }", "the command is empty"),
        ("{ comand: b }", "unknown field"),
    ] {
        let error = refused(&relay(token));
        assert!(error.contains(reason) && !error.contains("hunter2"), "{token}: {error}");
    }
}

#[test]
fn a_home_is_found_by_flag_and_must_be_a_folder() {
    let (folder, home) = home();
    assert_eq!(Home::find(Some(folder.path())).unwrap(), home);
    let error = Config::load(&home).unwrap_err();
    assert!(matches!(error, ConfigError::NoConfig { .. }));
    assert_eq!(
        error.hint().unwrap(),
        format!("breachpost init --home {}", folder.path().display())
    );

    fs::write(home.config_path(), MINIMAL).unwrap();
    assert!(Config::load(&home).is_ok());
    assert!(matches!(
        Home::find(Some(&home.config_path())),
        Err(ConfigError::NotAFolder { .. })
    ));
    assert!(matches!(
        Home::find(Some(&folder.path().join("none"))),
        Err(ConfigError::Unreadable { .. })
    ));
}

#[test]
fn errors_in_the_file_name_the_file() {
    let (_folder, home) = home();
    fs::write(home.config_path(), "organisation: [\n").unwrap();
    let error = chain(&Config::load(&home).unwrap_err());
    assert!(error.contains(&home.config_path().display().to_string()), "{error}");
}

#[test]
fn a_home_or_key_that_others_may_read_is_closed_to_them() {
    let (_folder, home) = home();
    let key = home.keys_dir().join("it's a key");
    private_file(&key, b"x");
    for (path, lax, strict) in [
        (home.root(), 0o755, 0o700),
        (&home.keys_dir(), 0o775, 0o700),
        (&key, 0o644, 0o600),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(lax)).unwrap();
        home.make_private().unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, strict);
    }
}

#[test]
fn secrets_come_from_files() {
    let (_folder, home) = home();
    let path = home.resolve("secret");
    let source = SecretSource::File("secret".into());
    for (bytes, read) in [
        (&b"hunter2"[..], "hunter2"),
        (b"hunter2\n", "hunter2"),
        (b"hunter2\r\n", "hunter2"),
        (b" hunter2 \n\n", " hunter2 \n"),
        ("pässwörd\n".as_bytes(), "pässwörd"),
    ] {
        private_file(&path, bytes);
        assert_eq!(source.read(&home).unwrap().expose(), read);
    }
    for (bytes, reason) in [
        (&b""[..], "empty"),
        (b"\n", "empty"),
        (b"hunter2\xff", "not UTF-8"),
        (&[b'x'; 64 * 1024 + 1], "larger than 64 KiB"),
    ] {
        private_file(&path, bytes);
        let error = chain(&source.read(&home).unwrap_err());
        assert!(
            error.contains(reason) && error.contains("the file secret") && !error.contains("hunter2"),
            "{error}"
        );
    }
    private_file(&path, &[b'x'; 64 * 1024]);
    assert!(source.read(&home).is_ok());

    // Inside the home, which is closed to others, the file's own mode does not matter; outside it does.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(source.read(&home).is_ok());
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("secret");
    fs::write(&outside, "hunter2").unwrap();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o644)).unwrap();
    let error = SecretSource::File(outside.clone()).read(&home).unwrap_err();
    assert_eq!(error.hint().unwrap(), format!("chmod 600 {}", outside.display()));
    for source in [SecretSource::File("none".into()), SecretSource::File(".".into())] {
        assert!(
            matches!(source.read(&home), Err(ConfigError::Secret { .. })),
            "{source}"
        );
    }
    for source in [
        SecretSource::Env("BREACHPOST_TEST_UNSET".into()),
        SecretSource::Credential("x".into()),
    ] {
        assert!(chain(&source.read(&home).unwrap_err()).contains("not set"), "{source}");
    }
}

#[test]
fn the_store_key_is_made_once_and_never_beside_a_store_that_is_there() {
    let (_folder, home) = home();
    let config = parse(MINIMAL).unwrap();
    assert!(config.store_key(&home, false).is_err(), "not asked to make one");
    let key = config.store_key(&home, true).unwrap();
    assert_eq!(key.expose().len(), 64);
    let file = home.keys_dir().join("store.key");
    assert_eq!((mode(&file), mode(&home.keys_dir())), (0o600, 0o700));
    assert_eq!(config.store_key(&home, true).unwrap().expose(), key.expose(), "kept");
    assert_eq!(
        fs::read_dir(home.keys_dir()).unwrap().count(),
        1,
        "nothing is left lying about"
    );

    fs::write(home.store_path(&config), "").unwrap();
    fs::remove_file(&file).unwrap();
    let error = config.store_key(&home, true).unwrap_err();
    assert!(matches!(error, ConfigError::StoreKeyMissing { .. }), "{error}");
    assert!(!file.exists());

    private_file(&file, b"not hexadecimal\n");
    let error = chain(&config.store_key(&home, true).unwrap_err());
    assert!(
        error.contains("64 hexadecimal digits") && !error.contains("not hexadecimal"),
        "{error}"
    );
}

#[test]
fn processes_that_start_at_once_agree_on_one_store_key() {
    let (_folder, home) = home();
    let config = parse(MINIMAL).unwrap();
    let keys: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| config.store_key(&home, true).unwrap().expose().to_owned()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
}
