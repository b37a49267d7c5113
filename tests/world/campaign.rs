//! A campaign that runs, seen through the library: what the program does to it meanwhile shows in the store.

use std::sync::Arc;

use breachpost::config::Home;
use breachpost::dispatch::campaign::Letter;
use breachpost::dispatch::office::Office;
use breachpost::model::SystemClock;
use breachpost::model::campaign::CampaignState;
use breachpost::model::id::{Actor, CampaignId, DeliveryId};
use breachpost::store::{StoredDelivery, Tally};

use serde_json::Value;

use super::{BREACH, World, text, until};

/// Of a `campaign report`: total, informed, in doubt, unreached, pending; their sum and those of every grouping fit.
#[track_caller]
pub fn coverage(report: &Value) -> [u64; 5] {
    let names = ["total", "informed", "in_doubt", "unreached", "pending"];
    let counts = names.map(|name| report[name].as_u64().unwrap());
    assert_eq!(counts[0], counts[1..].iter().sum::<u64>(), "{report}");
    for group in ["languages", "countries", "domains"] {
        let mut sums = [0; 4];
        for reached in report[group].as_object().unwrap().values() {
            for (sum, name) in sums.iter_mut().zip(&names[1..]) {
                *sum += reached[name].as_u64().unwrap();
            }
        }
        assert_eq!(sums, counts[1..], "{group}: {report}");
    }
    let reasons = report["reasons"].as_object().unwrap().values();
    assert_eq!(reasons.map(|n| n.as_u64().unwrap()).sum::<u64>(), counts[3], "{report}");
    counts
}

/// A running campaign.
pub struct Campaign {
    runtime: tokio::runtime::Runtime,
    office: Office,
    id: CampaignId,
    persons: usize,
}
impl Campaign {
    /// Imports these addresses and starts; the store must be empty. Nobody carries it yet.
    pub fn start(world: &World, addresses: &[String]) -> Self {
        let breach = world.open_breach(BREACH);
        let rows = addresses.iter().enumerate();
        let rows: String = rows
            .map(|(number, address)| format!("{address},Person {number},fr\n"))
            .collect();
        let list = world.file("persons.csv", format!("email,name,language\n{rows}").as_bytes());
        let created = world.json(&["campaign", "create", &breach, "--recipients", &list]);
        let id: CampaignId = text(&created["id"]).parse().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let office = Office::open(Home::at(&world.home()).unwrap(), Arc::new(SystemClock)).unwrap();
        let by = Actor::Os("tester".to_owned());
        runtime.block_on(async {
            let (store, now) = (&office.store, office.now());
            let letter = Letter::of(&office, id).await.unwrap();
            let hash = letter.digest(&office, id).await.unwrap();
            store.approve_campaign(id, &hash, 1, &by, now).await.unwrap();
            store.start(id, &by, now).await.unwrap();
        });
        Self {
            runtime,
            office,
            id,
            persons: addresses.len(),
        }
    }
    pub fn tally(&self) -> Tally {
        self.runtime.block_on(self.office.store.tally(self.id)).unwrap()
    }
    pub fn state(&self) -> CampaignState {
        let found = self.runtime.block_on(self.office.store.find_campaign(self.id));
        found.unwrap().unwrap().state
    }
    /// Waits until every delivery has its last state; patience is for standing still only.
    pub fn until_all_final(&self) {
        let mut tally = self.tally();
        while tally.ready + tally.leased + tally.on_wire + tally.in_doubt + tally.held > 0 {
            let before = tally;
            tally = until("the campaign goes on", || {
                Some(self.tally()).filter(|now| *now != before)
            });
        }
    }
    /// In the order of the list.
    pub fn deliveries(&self) -> Vec<StoredDelivery> {
        let find = |number: usize| self.office.store.find_delivery(DeliveryId::new(number as i64));
        let all = (1..=self.persons).map(|number| self.runtime.block_on(find(number)).unwrap().unwrap());
        all.collect()
    }
}
