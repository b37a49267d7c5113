//! What is fetched, and what is refused before anything is asked.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use breachpost::mail::fetch::{FetchError, MAX_BYTES, World, is_public};

use crate::web::{Page, Table, Web};

const URL: &str = "https://keys.practice.example/key.asc";
const PLACE: &str = "keys.practice.example/key.asc";

fn to(place: &str) -> Page {
    Page::Redirect(place.to_owned())
}

#[tokio::test]
async fn a_file_is_fetched_and_redirects_are_followed_where_they_may_lead() {
    let web = Web::start().await;
    let world = web.world();
    web.put(PLACE, Page::File(b"key".to_vec()));
    assert_eq!(world.fetch(URL, &[]).await.unwrap(), b"key");

    web.put(PLACE, to("/moved/key.asc?a=1"));
    web.put("keys.practice.example/moved/key.asc?a=1", Page::File(b"moved".to_vec()));
    assert_eq!(world.fetch(URL, &[]).await.unwrap(), b"moved");

    web.put(PLACE, to("https://www.practice.example/key.asc"));
    web.put("www.practice.example/key.asc", Page::File(b"listed".to_vec()));
    let listed = ["WWW.practice.example".to_owned()];
    assert_eq!(world.fetch(URL, &listed).await.unwrap(), b"listed");
    assert!(matches!(world.fetch(URL, &[]).await, Err(FetchError::Redirect { .. })));
}

#[tokio::test]
async fn nothing_is_asked_where_a_redirect_may_not_lead() {
    let web = Web::start().await;
    let world = web.world();
    for location in [
        "https://evil.example/key.asc",
        "//evil.example/key.asc",
        "http://keys.practice.example/key.asc",
        "https://127.0.0.1/key.asc",
        "https://[::1]/key.asc",
        "https://keys.practice.example:22/key.asc",
        "https://user@keys.practice.example/key.asc",
        "file:///etc/passwd",
    ] {
        web.put(PLACE, to(location));
        let error = world.fetch(URL, &[]).await.unwrap_err();
        assert!(
            matches!(error, FetchError::Redirect { .. } | FetchError::Url { .. }),
            "{location}: {error}"
        );
    }
    assert!(web.asked().iter().all(|place| place == PLACE), "{:?}", web.asked());
    web.put(PLACE, to(URL));
    let circle = world.fetch(URL, &[]).await.unwrap_err();
    assert!(matches!(circle, FetchError::TooManyRedirects { .. }), "{circle}");
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_time() {
    let web = Web::start().await;
    let world = web.world();
    web.put(PLACE, Page::File(vec![b'x'; MAX_BYTES]));
    assert_eq!(world.fetch(URL, &[]).await.unwrap().len(), MAX_BYTES);
    for page in [
        Page::File(vec![b'x'; MAX_BYTES + 1]),
        Page::Announced(10_000_000_000),
        Page::Endless,
    ] {
        web.put(PLACE, page);
        let error = world.fetch(URL, &[]).await.unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
    }
    let hurried = World {
        patience: Duration::from_millis(300),
        ..web.world()
    };
    for page in [Page::Drip, Page::Announced(10)] {
        web.put(PLACE, page);
        let error = hurried.fetch(URL, &[]).await.unwrap_err();
        assert!(matches!(error, FetchError::TooSlow { .. }), "{error}");
    }
    web.put(PLACE, Page::Status(404));
    let error = world.fetch(URL, &[]).await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 404, .. }), "{error}");
}

/// The rule of the real world, with names that lead to what is not public: nothing is connected to.
#[tokio::test]
async fn addresses_that_are_not_public_are_refused() {
    let web = Web::start().await;
    let public = |names: Table| World {
        names: Arc::new(names),
        reachable: is_public,
        ..web.world()
    };
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::a00:1",
        "fd00::1",
        "fe80::1",
        "2002:7f00:1::1",
    ] {
        let address: IpAddr = address.parse().unwrap();
        let error = public(Table::leading_to(address)).fetch(URL, &[]).await.unwrap_err();
        assert!(
            matches!(&error, FetchError::NotPublic { address: found, .. } if *found == address),
            "{error}"
        );
    }
    // One public address beside a private one does not help.
    let both = Table::leading_to("1.1.1.1".parse().unwrap());
    let answers = vec![vec!["1.1.1.1".parse().unwrap(), "127.0.0.1".parse().unwrap()]];
    both.0
        .lock()
        .unwrap()
        .insert("keys.practice.example".to_owned(), answers);
    let error = public(both).fetch(URL, &[]).await.unwrap_err();
    assert!(matches!(error, FetchError::NotPublic { .. }), "{error}");
    // A name that is public when it is looked at and private when it is connected to (DNS rebinding).
    let rebinding = Table::leading_to("1.1.1.1".parse().unwrap());
    let answers = vec![vec!["1.1.1.1".parse().unwrap()], vec!["127.0.0.1".parse().unwrap()]];
    rebinding
        .0
        .lock()
        .unwrap()
        .insert("keys.practice.example".to_owned(), answers);
    let error = public(rebinding).fetch(URL, &[]).await.unwrap_err();
    assert!(matches!(error, FetchError::Connection { .. }), "{error}");
    assert!(web.asked().is_empty(), "{:?}", web.asked());
}

#[tokio::test]
async fn who_cannot_prove_its_name_is_not_believed() {
    let web = Web::start().await;
    web.put("untrusted.example/key.asc", Page::File(b"key".to_vec()));
    let error = web
        .world()
        .fetch("https://untrusted.example/key.asc", &[])
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::Connection { .. }), "{error}");
    let error = web
        .world()
        .fetch("https://nowhere.example/key.asc", &[])
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::NoAddress { .. }), "{error}");
    assert!(web.asked().is_empty());
    // The real world's settings are the strict ones.
    let real = World::public();
    assert_eq!(real.port, 443);
    assert!(!(real.reachable)("127.0.0.1".parse().unwrap()));
}
