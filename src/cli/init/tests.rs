//! Homes made from flags, by asking and both, run again, and refused.

use super::*;
use crate::config::Proof;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: InitArgs,
}
fn args(line: &[&str]) -> InitArgs {
    Line::try_parse_from(["init"].iter().chain(line)).unwrap().args
}
/// All that is needed off a terminal.
const ENOUGH: [&str; 12] = [
    "--organisation",
    "Brasserie \"du\" Kirchberg: #1",
    "--country",
    "lu",
    "--contact-name",
    "Claire Weber",
    "--contact-email",
    "dpo@example.lu",
    "--sender",
    "breach@example.lu",
    "--relay",
    "smtp://127.0.0.1:2525?tls=none",
];
/// Stands in for the OpenPGP room: a file, and a fingerprint that shows what was asked for.
fn make_key(request: &KeyRequest) -> anyhow::Result<String> {
    anyhow::ensure!(request.passphrase.expose().len() == 64, "passphrase");
    config::write_new_private(&request.file, "key\n")?;
    Ok(format!("{} <{}>", request.name, request.address))
}
fn by_flags(folder: &Path, line: &[&str]) -> Result<InitReport, InitError> {
    run(args(line), Some(folder), None, make_key)
}
fn by_asking(folder: &Path, line: &[&str], answers: &str) -> (Result<InitReport, InitError>, String) {
    let mut shown = Vec::new();
    let terminal = Terminal::over(answers.as_bytes(), &mut shown);
    let result = run(args(line), Some(folder), Some(terminal), make_key);
    (result, String::from_utf8(shown).unwrap())
}
fn modes(home: &Path) -> Vec<(String, u32)> {
    use std::os::unix::fs::PermissionsExt as _;
    ["", "config.yaml", "keys", "keys/sender.pass", "keys/store.key"]
        .iter()
        .map(|name| {
            (
                name.to_string(),
                home.join(name).metadata().unwrap().permissions().mode() & 0o777,
            )
        })
        .collect()
}
fn config_of(home: &Path) -> Config {
    Config::load(&Home::at(home).unwrap()).unwrap()
}

#[test]
fn flags_alone_make_a_home_that_loads_and_is_private() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("new/home");
    let report = by_flags(&folder, &ENOUGH).unwrap();
    assert_eq!(report.config, folder.join("config.yaml"));
    assert_eq!(
        report.key_fingerprint,
        "Brasserie \"du\" Kirchberg: #1 <breach@example.lu>"
    );
    assert!(
        report
            .next_steps
            .iter()
            .any(|step| step.command == format!("breachpost doctor --home {}", folder.display()))
    );

    let config = config_of(&folder);
    assert_eq!(config.organisation.name.as_str(), "Brasserie \"du\" Kirchberg: #1");
    assert_eq!(config.organisation.country.as_str(), "LU");
    assert!(config.relay.password.is_none() && config.mailbox.is_none());
    for (name, mode) in modes(&folder) {
        let private = if ["", "keys"].contains(&name.as_str()) {
            0o700
        } else {
            0o600
        };
        assert_eq!(mode, private, "{name}");
    }
    let text = std::fs::read_to_string(folder.join("config.yaml")).unwrap();
    assert!(!text.contains("Example S.A.\"\n  # Country") && text.contains("# How to read this file"));
}

#[test]
fn every_flag_reaches_its_setting() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("home");
    let password = scratch.path().join("password");
    config::write_new_private(&password, "hunter2\n").unwrap();
    let file = password.to_str().unwrap();
    let mut line = ENOUGH.to_vec();
    line[11] = "smtps://breach@example.lu@mail.example.lu";
    line.extend([
        "--relay-password-file",
        file,
        "--language",
        "fr",
        "--language",
        "de",
        "--sender-name",
        "Données",
    ]);
    line.extend([
        "--contact-kind",
        "other",
        "--contact-phone",
        "+352 1",
        "--contact-postal",
        "12, rue: x",
    ]);
    line.extend(["--mailbox", "imaps://a@h.lu", "--mailbox-password-file", file]);
    by_flags(&folder, &line).unwrap();

    let config = config_of(&folder);
    let home = Home::at(&folder).unwrap();
    let Some((user, Proof::Password(secret))) = config.relay.login(&home).unwrap() else {
        panic!("the relay has a password");
    };
    assert_eq!((user.as_str(), secret.expose()), ("breach@example.lu", "hunter2"));
    let languages: Vec<&str> = config.organisation.languages.iter().map(Language::as_str).collect();
    assert_eq!(languages, ["fr", "de"]);
    let contact = config.organisation.contact.clone().unwrap();
    assert_eq!(
        (contact.kind, contact.phone.unwrap().as_str()),
        (ContactKind::Other, "+352 1")
    );
    assert_eq!(contact.postal.unwrap().as_str(), "12, rue: x");
    assert_eq!(config.name_of(&config.sender), "Données");
    assert!(config.mailbox.unwrap().password.is_some());
}

#[test]
fn off_a_terminal_all_missing_flags_are_named_at_once_and_nothing_is_written() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("home");
    let error = by_flags(&folder, &["--country", "LU", "--relay", "smtps://anna@h.lu"]).unwrap_err();
    assert!(matches!(error, InitError::Missing { .. }));
    let text = error.to_string();
    for flag in [
        "--organisation NAME",
        "--contact-name NAME",
        "--contact-email ADDRESS",
        "--sender ADDRESS",
        "--relay-password-file FILE",
    ] {
        assert!(text.contains(flag), "{text}");
    }
    assert!(!text.contains("--country") && !text.contains("--relay URL"), "{text}");
    assert!(!folder.exists());
}

#[test]
fn on_a_terminal_what_is_missing_is_asked_and_bad_answers_again() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("home");
    // Organisation is given; country is wrong once, languages, contact…, then the relay with its password.
    let answers = "Luxembourg\nLU\nfr, de\n1\nClaire Weber\nclaire\nclaire@example.lu\n\n\nbreach@example.lu\n\n\
                   smtp://mail.example.lu?tls=none\nsmtps://breach@mail.example.lu\nhunter2\n\nyes\n";
    let (report, shown) = by_asking(&folder, &["--organisation", "Example"], answers);
    report.unwrap();
    assert!(shown.contains("`Luxembourg` is not a country code"), "{shown}");
    assert!(
        shown.contains("exactly one @") && shown.contains("loopback only"),
        "{shown}"
    );
    assert!(
        !shown.contains("hunter2") && !shown.contains("Organisation:"),
        "{shown}"
    );
    let config = config_of(&folder);
    let (_, secret) = config.relay.login(&Home::at(&folder).unwrap()).unwrap().unwrap();
    assert!(matches!(secret, Proof::Password(secret) if secret.expose() == "hunter2"));
    assert_eq!(config.fallback_language().as_str(), "fr");
}

#[test]
fn leaving_at_any_question_writes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("home");
    let all = "Example\nLU\nen\n1\nClaire\nc@example.lu\n\n\nb@example.lu\n\nsmtp://localhost?tls=none\n\nno\n";
    for lines in 0..all.lines().count() {
        let some: String = all.lines().take(lines).map(|line| format!("{line}\n")).collect();
        let (result, _) = by_asking(&folder, &[], &some);
        assert!(
            matches!(result, Err(InitError::Stopped(AskError::Ended))),
            "{lines}: {result:?}"
        );
    }
    assert!(matches!(by_asking(&folder, &[], all).0, Err(InitError::Declined)));
    assert!(!folder.exists());
}

#[test]
fn an_interrupted_run_is_finished_by_the_same_command() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("home");
    let failed = run(args(&ENOUGH), Some(&folder), None, |_| anyhow::bail!("no randomness"));
    assert!(matches!(failed, Err(InitError::Key(_))));
    assert!(!folder.join("config.yaml").exists());
    let kept = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let before = (kept("keys/sender.pass"), kept("keys/store.key"));
    let first = by_flags(&folder, &ENOUGH).unwrap();
    assert_eq!((kept("keys/sender.pass"), kept("keys/store.key")), before);
    assert_eq!(by_flags(&folder, &ENOUGH).unwrap(), first, "the same intent once more");
}

#[test]
fn what_is_there_is_never_overwritten() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("home");
    by_flags(&folder, &ENOUGH).unwrap();
    let text = std::fs::read(folder.join("config.yaml")).unwrap();
    let mut other = ENOUGH;
    other[1] = "Somebody else";
    assert!(matches!(by_flags(&folder, &other), Err(InitError::Exists { .. })));
    let (result, shown) = by_asking(&folder, &[], "x\n");
    assert!(matches!(result, Err(InitError::Exists { .. })), "{result:?}");
    assert_eq!(shown, "", "refused before the first question");
    assert_eq!(std::fs::read(folder.join("config.yaml")).unwrap(), text);

    let foreign = scratch.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("letter.txt"), "x").unwrap();
    assert!(matches!(by_flags(&foreign, &ENOUGH), Err(InitError::NotEmpty { found, .. }) if found == "letter.txt"));
}

#[test]
fn a_password_file_that_others_may_read_is_refused_now() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = tempfile::tempdir().unwrap();
    let password = scratch.path().join("password");
    std::fs::write(&password, "hunter2").unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut line = ENOUGH.to_vec();
    line[11] = "smtps://anna@h.lu";
    line.extend(["--relay-password-file", password.to_str().unwrap()]);
    let folder = scratch.path().join("home");
    let error = by_flags(&folder, &line).unwrap_err();
    assert!(
        matches!(&error, InitError::Config(ConfigError::NotPrivate { .. })),
        "{error}"
    );
    assert!(!folder.exists());
}
