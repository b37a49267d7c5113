//! One campaign of ours, from an imported and approved list to the last message at the relay.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use nix::sys::resource::UsageWho;

use crate::stage::{Run, Scene, measure};

/// A run, and the most memory that it took.
pub struct Many {
    pub run: Run,
    pub peak_mib: f64,
}

/// A campaign that may be started; in a home of its own, which goes with it.
pub struct Campaign {
    scene: Scene,
    id: String,
    _home: tempfile::TempDir,
}
impl Campaign {
    pub fn new(folder: &Path, list: &Path, relay_port: u16) -> Self {
        let home = tempfile::tempdir_in(folder).unwrap();
        let scene = Scene::new(home.path().join("home"), relay_port);
        let id = scene.campaign(list);
        scene.run(&["campaign", "approve", &id, "--yes"]);
        Self { scene, id, _home: home }
    }

    /// Over so many connections instead of eight.
    pub fn over(self, connections: usize) -> Self {
        let file = self.scene.path.join("config.yaml");
        let settings = std::fs::read_to_string(&file).unwrap();
        let changed = settings.replacen("\n  #connections: 8", &format!("\n  connections: {connections}"), 1);
        assert_ne!(changed, settings);
        std::fs::write(&file, changed).unwrap();
        self
    }

    /// How large one message is, and its text.
    pub fn example(&self) -> (usize, String) {
        let output = self.scene.program(&["campaign", "preview", &self.id]);
        let text = String::from_utf8(crate::stage::output_of(output)).unwrap();
        (text.len(), text)
    }

    /// Sends to all.
    pub fn send(&self, persons: usize) -> Many {
        let mut peak_kib = 0;
        let run = measure(persons, UsageWho::RUSAGE_CHILDREN, || {
            let mut courier = self
                .scene
                .program(&["campaign", "start", &self.id, "--yes"])
                .spawn()
                .unwrap();
            let status = format!("/proc/{}/status", courier.id());
            while courier.try_wait().unwrap().is_none() {
                peak_kib = peak_kib.max(high_water(&status));
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let report = crate::stage::output_of(self.scene.program(&["campaign", "report", &self.id, "--json"]));
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["informed"], persons, "{report}");
        Many {
            run,
            peak_mib: peak_kib as f64 / 1024.0,
        }
    }
}

/// KiB; 0 once the process is gone.
fn high_water(status: &str) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

/// A list without certificates.
pub fn write_list(path: &Path, persons: usize) {
    let mut list = "email,name,language\n".to_owned();
    for n in 0..persons {
        writeln!(list, "person{n}@provider{}.example,Person {n},fr", n % 500).unwrap();
    }
    std::fs::write(path, list).unwrap();
}
