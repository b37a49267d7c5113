//! Certificates fetched from the web: at most one waits, and only a decision makes it the pin.

use breachpost::store::{Look, Pin, Pins, Proposal, ProposalState, Proposals, StoreError};

use crate::bed::{Bed, anna, at, intact};

fn fetched(authority: &str, fingerprint: &str) -> Proposal {
    Proposal {
        authority: authority.into(),
        fingerprint: fingerprint.repeat(40),
        certificate: format!("certificate {fingerprint}").into_bytes(),
        source: format!("https://{authority}.example/key.asc"),
        fetched_at: at(1),
        state: ProposalState::Waiting,
        decided_by: None,
        decided_at: None,
        reason: None,
    }
}

fn pin_of(proposal: &Proposal) -> Pin {
    Pin {
        authority: proposal.authority.clone(),
        fingerprint: proposal.fingerprint.clone(),
        certificate: proposal.certificate.clone(),
        verified: "phone".into(),
        accepted_user_id: None,
        imported_by: anna(),
        imported_at: at(3),
    }
}

pub async fn the_newest_waits_alone(bed: &impl Bed) {
    let store = bed.open();
    assert_eq!(store.find_proposal("lu-cnpd").await.unwrap(), None);
    let first = store.propose(fetched("lu-cnpd", "A"), &anna(), at(1)).await.unwrap();
    assert_eq!(first, fetched("lu-cnpd", "A"));
    // The very same later is no news.
    let again = store.propose(fetched("lu-cnpd", "A"), &anna(), at(9)).await.unwrap();
    assert_eq!(again, first);
    store.propose(fetched("fr-cnil", "C"), &anna(), at(1)).await.unwrap();
    let second = store.propose(fetched("lu-cnpd", "B"), &anna(), at(1)).await.unwrap();
    assert_eq!(store.find_proposal("lu-cnpd").await.unwrap(), Some(second.clone()));
    assert_eq!(store.list_proposals().await.unwrap(), [fetched("fr-cnil", "C"), second]);
    // What was replaced cannot be decided about any more, but waits again when it is fetched again.
    let late = store
        .decide(&first, ProposalState::Refused, None, None, &anna(), at(4))
        .await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    store.propose(fetched("lu-cnpd", "A"), &anna(), at(1)).await.unwrap();
    assert_eq!(store.find_proposal("lu-cnpd").await.unwrap(), Some(first));
    assert_eq!(
        store.find_pin("lu-cnpd").await.unwrap(),
        None,
        "nothing is pinned by itself"
    );
    intact(&store).await;
}

pub async fn a_decision_ends_a_proposal(bed: &impl Bed) {
    let store = bed.open();
    let approved = store.propose(fetched("lu-cnpd", "A"), &anna(), at(1)).await.unwrap();
    let pin = pin_of(&approved);
    let decide = |proposal: Proposal, state, pin: Option<Pin>, reason: Option<&str>| {
        let (store, reason) = (store.clone(), reason.map(str::to_owned));
        async move { store.decide(&proposal, state, pin, reason, &anna(), at(3)).await }
    };
    decide(approved.clone(), ProposalState::Approved, Some(pin.clone()), None)
        .await
        .unwrap();
    assert_eq!(store.find_pin("lu-cnpd").await.unwrap(), Some(pin.clone()));
    assert_eq!(store.find_proposal("lu-cnpd").await.unwrap(), None);
    let twice = decide(approved, ProposalState::Approved, Some(pin.clone()), None).await;
    assert!(matches!(twice, Err(StoreError::Conflict { .. })), "{twice:?}");

    // What is refused is not proposed again, and the pin stays.
    let refused = store.propose(fetched("lu-cnpd", "B"), &anna(), at(1)).await.unwrap();
    decide(refused, ProposalState::Refused, None, Some("not theirs"))
        .await
        .unwrap();
    let again = store.propose(fetched("lu-cnpd", "B"), &anna(), at(5)).await.unwrap();
    assert_eq!(
        (again.state, again.reason.as_deref(), again.decided_by),
        (ProposalState::Refused, Some("not theirs"), Some(anna()))
    );
    assert_eq!(store.find_proposal("lu-cnpd").await.unwrap(), None);
    assert_eq!(store.find_pin("lu-cnpd").await.unwrap(), Some(pin));

    // Taken by the rule: the pin and the proposal in one step.
    let newer = store.propose(fetched("lu-cnpd", "D"), &anna(), at(1)).await.unwrap();
    decide(newer.clone(), ProposalState::Automatic, Some(pin_of(&newer)), None)
        .await
        .unwrap();
    assert_eq!(store.find_pin("lu-cnpd").await.unwrap(), Some(pin_of(&newer)));
    intact(&store).await;
}

pub async fn one_of_two_processes_looks(bed: &impl Bed) {
    let (here, there) = (bed.open(), bed.open());
    let claims = async |now, next| {
        let (a, b) = tokio::join!(
            here.claim_look("lu-cnpd", at(now), at(next)),
            there.claim_look("lu-cnpd", at(now), at(next))
        );
        u8::from(a.unwrap()) + u8::from(b.unwrap())
    };
    assert_eq!(claims(0, 60).await, 1);
    assert_eq!(claims(59, 120).await, 0, "not due yet");
    assert_eq!(claims(60, 120).await, 1);
    assert_eq!(here.last_look("lu-cnpd").await.unwrap(), None);
    let look = Look {
        at: at(61),
        next: at(600),
        result: "nothing new".into(),
    };
    here.looked("lu-cnpd", look.clone()).await.unwrap();
    assert_eq!(there.last_look("lu-cnpd").await.unwrap(), Some(look));
    assert_eq!(claims(599, 700).await, 0);
    assert_eq!(claims(600, 700).await, 1);
}
