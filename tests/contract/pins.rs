//! Certificates of authorities.

use breachpost::store::{Pin, Pins};

use crate::bed::{Bed, anna, at, intact};

pub async fn the_last_pin_counts(bed: &impl Bed) {
    let store = bed.open();
    let pin = |authority: &str, fingerprint: &str| Pin {
        authority: authority.into(),
        fingerprint: fingerprint.repeat(40),
        certificate: fingerprint.as_bytes().to_vec(),
        verified: "phone".into(),
        accepted_user_id: None,
        imported_by: anna(),
        imported_at: at(1),
    };
    assert_eq!(store.find_pin("lu-cnpd").await.unwrap(), None);
    for new in [pin("lu-cnpd", "A"), pin("fr-cnil", "C"), pin("lu-cnpd", "B")] {
        store.pin(new, at(2)).await.unwrap();
    }
    assert_eq!(store.find_pin("lu-cnpd").await.unwrap(), Some(pin("lu-cnpd", "B")));
    assert_eq!(
        store.list_pins().await.unwrap(),
        [pin("fr-cnil", "C"), pin("lu-cnpd", "B")]
    );
    intact(&store).await;
}
