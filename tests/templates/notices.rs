//! Notices to authorities: the items of GDPR Art. 33(3), in every language and kind.

use breachpost::message::facts::{NoticeContext, NoticeFacts, sample};
use breachpost::message::template::{Rendered, Templates};
use breachpost::model::breach::Status;
use breachpost::model::notice::NoticeKind;

use crate::{LANGUAGES, context, flat, golden, minimal, notice, record, time, well_formed};

#[test]
fn notices_in_every_language_and_kind() {
    for language in LANGUAGES {
        for kind in NoticeKind::ALL {
            let rendered = notice(language, kind);
            well_formed(&rendered);
            golden(&format!("notice-{language}-{}", kind.name()), &rendered);
        }
    }
}

#[test]
fn a_minimal_record_leaves_no_blank() {
    let templates = Templates::load(None).unwrap();
    for (language, unknown) in [
        ("en", "not yet known; will follow"),
        ("fr", "non encore déterminé ; sera communiqué ultérieurement"),
        ("de", "derzeit noch nicht bekannt; wird nachgereicht"),
    ] {
        let record = minimal();
        let context = NoticeContext {
            key_fingerprint: None,
            attachments: Vec::new(),
            ..context(&templates, language, NoticeKind::Preliminary, &record)
        };
        let rendered = templates.render_notice(&NoticeFacts::new(&record, &context)).unwrap();
        well_formed(&rendered);
        golden(&format!("notice-{language}-minimal"), &rendered);
        let on_one_line = flat(&rendered);
        assert!(on_one_line.matches(unknown).count() >= 10, "{}", rendered.text);
        for gap in ["data.records", "subjects.persons", "timeline.aware_at", "summary"] {
            let said = &context.labels.gap[gap];
            assert!(
                on_one_line.contains(&format!("- {said}")),
                "{gap} is not announced: {}",
                rendered.text
            );
        }
    }
}

/// GDPR Art. 33(3)(a) to (d), each by the words of the record or of the labels.
#[test]
fn every_item_of_article_33_is_there() {
    let everywhere = [
        "Brasserie du Kirchberg S.A.",
        "A payroll export (XLSX, not encrypted)",
        "Claire Weber",
        "dpo@brasserie-kirchberg.example",
        "+352 621 000 111",
        "The recipient could see names",
        "Supplier asked to delete the mail",
        "Automatic encryption of payroll exports",
        "Employees are told what to watch for",
        "The supplier telephoned; the payroll officer",
        "High risk; no exemption of Art. 34(3) applies.",
        "Identification numbers together with bank accounts",
        "D1A6 6E1A 23B1 82C9 980F 788C FBFC C82A 015E 7330",
        "BP-7K3M-Q2XR",
        "register-extract.pdf",
        "412",
    ];
    let in_language = [
        (
            "en",
            [
                "confidentiality",
                "employees",
                "approximately 410 to 412",
                "412 (exact figure)",
                "national identification",
                "Germany: 30",
                "18 November 2026, 10:20 (UTC+1; 09:20 UTC)",
                "21 November 2026, 10:20 (UTC+1; 09:20 UTC)",
                "identity theft or fraud",
            ],
        ),
        (
            "fr",
            [
                "confidentialité",
                "salariés",
                "environ 410 à 412",
                "412 (nombre exact)",
                "numéro d'identification national",
                "Allemagne : 30",
                "18 novembre 2026 à 10 h 20 (UTC+1 ; 09 h 20 UTC)",
                "21 novembre 2026 à 10 h 20 (UTC+1 ; 09 h 20 UTC)",
                "usurpation d'identité",
            ],
        ),
        (
            "de",
            [
                "Vertraulichkeit",
                "Beschäftigte",
                "ungefähr 410 bis 412",
                "412 (genaue Zahl)",
                "nationale Kennziffer",
                "Deutschland: 30",
                "18. November 2026, 10:20 Uhr (UTC+1; 09:20 UTC)",
                "21. November 2026, 10:20 Uhr (UTC+1; 09:20 UTC)",
                "Identitätsdiebstahl",
            ],
        ),
    ];
    for (language, words) in in_language {
        for kind in [
            NoticeKind::Preliminary,
            NoticeKind::Supplementary,
            NoticeKind::Complete,
            NoticeKind::Amendment,
        ] {
            let text = flat(&notice(language, kind));
            for wanted in everywhere.iter().chain(&words) {
                assert!(
                    text.contains(wanted),
                    "{language} {}: {wanted:?} is missing in {text}",
                    kind.name()
                );
            }
        }
    }
}

#[test]
fn later_notices_name_the_earlier_ones() {
    for language in LANGUAGES {
        for kind in [
            NoticeKind::Supplementary,
            NoticeKind::Amendment,
            NoticeKind::Withdrawal,
            NoticeKind::Answer,
        ] {
            let Rendered { subject, text } = notice(language, kind);
            for wanted in ["BP-7K3M-Q2XR", "BP-9WZT-41HC", "2026/1234"] {
                assert!(text.contains(wanted), "{wanted} in {text}");
            }
            assert!(
                subject.contains("BP-9WZT-41HC") && subject.contains("2026/1234"),
                "{subject}"
            );
        }
    }
}

#[test]
fn late_with_and_without_reasons() {
    let templates = Templates::load(None).unwrap();
    let follows = [
        (
            "en",
            "The reasons for the delay cannot be stated yet; they will follow",
            "no (exceeded by 26 h 15 min)",
        ),
        (
            "fr",
            "Les motifs du retard ne peuvent pas encore être indiqués",
            "non (délai dépassé de 26 h 15 min)",
        ),
        (
            "de",
            "Eine Begründung für die Verzögerung kann noch nicht beigefügt werden",
            "nein (Überschreitung: 26 Std. 15 Min.)",
        ),
    ];
    for (language, they_follow, exceeded) in follows {
        let mut record = record();
        for reasons in [None, Some("The mailbox was not watched over the weekend.")] {
            record.delay_reasons = reasons.map(str::to_owned);
            let late = NoticeContext {
                filed_at: time("2026-11-22T11:35:00Z"),
                late: true,
                ..context(&templates, language, NoticeKind::Complete, &record)
            };
            let rendered = templates.render_notice(&NoticeFacts::new(&record, &late)).unwrap();
            well_formed(&rendered);
            let text = flat(&rendered);
            assert!(text.contains(exceeded), "{text}");
            assert_eq!(text.contains(they_follow), reasons.is_none(), "{text}");
            assert_eq!(
                text.contains("The mailbox was not watched"),
                reasons.is_some(),
                "{text}"
            );
            if reasons.is_some() {
                golden(&format!("notice-{language}-late"), &rendered);
            }
        }
        let on_time = notice(language, NoticeKind::Complete).text;
        assert!(!on_time.contains(they_follow), "{on_time}");
    }
}

#[test]
fn a_withdrawal_without_words_says_why_if_the_record_does() {
    let templates = Templates::load(None).unwrap();
    let mut record = record();
    let context = NoticeContext {
        explanation: None,
        ..context(&templates, "en", NoticeKind::Withdrawal, &record)
    };
    let text = flat(&templates.render_notice(&NoticeFacts::new(&record, &context)).unwrap());
    assert!(text.contains("The reasons are not stated in this notice"), "{text}");
    record.status = Status::NotABreach;
    let text = flat(&templates.render_notice(&NoticeFacts::new(&record, &context)).unwrap());
    assert!(
        text.contains("no personal data breach within the meaning of Art. 4(12)"),
        "{text}"
    );
    assert!(!text.contains("The reasons are not stated"), "{text}");
}

#[test]
fn a_final_notice_says_what_could_not_be_established() {
    let templates = Templates::load(None).unwrap();
    let record = minimal();
    let context = context(&templates, "en", NoticeKind::Complete, &record);
    let rendered = templates.render_notice(&NoticeFacts::new(&record, &context)).unwrap();
    well_formed(&rendered);
    let text = flat(&rendered);
    assert!(
        text.contains("Information that could not be established - the time at which"),
        "{text}"
    );
    assert!(
        !text.contains("will follow") && text.contains("no information available"),
        "{text}"
    );
}

#[test]
fn a_processor_says_for_whom_it_writes() {
    let templates = Templates::load(None).unwrap();
    for (language, says) in [
        ("en", "as processor, on behalf of and as mandated by the controller"),
        (
            "fr",
            "en qualité de sous-traitant, au nom et sur mandat du responsable du traitement",
        ),
        ("de", "als Auftragsverarbeiter im Namen und Auftrag"),
    ] {
        let facts = sample::notice(NoticeKind::Supplementary, templates.labels(language).unwrap());
        let rendered = templates.render_notice(&facts).unwrap();
        well_formed(&rendered);
        golden(&format!("notice-{language}-processor"), &rendered);
        let text = flat(&rendered);
        assert!(text.contains(says) && text.contains("Example Processing Ltd"), "{text}");
        assert!(!flat(&notice(language, NoticeKind::Supplementary)).contains(says));
    }
}
