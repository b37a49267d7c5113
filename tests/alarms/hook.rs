//! A webhook's receiver.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use breachpost::mail::webhook::signature;
use breachpost::secret::Secret;
use serde_json::Value;

use crate::world::text;
use crate::{SECRET, TOKEN};

/// A post as it came.
#[derive(Debug, Clone)]
pub struct Posted {
    pub id: String,
    pub body: Value,
    pub raw: String,
}

/// A webhook's receiver, which checks every signature; it answers as planned, and 204 after that.
pub struct Hook {
    address: SocketAddr,
    posts: Arc<Mutex<Vec<Posted>>>,
}
impl Hook {
    pub fn start(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let posts = Arc::new(Mutex::new(Vec::new()));
        let (kept, mut answers) = (Arc::clone(&posts), VecDeque::from(answers.to_vec()));
        // Ends with the test's process.
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let socket = socket.unwrap();
                // Whoever was killed while it posted is not answered.
                let Some(posted) = read_post(&socket) else {
                    continue;
                };
                kept.lock().unwrap().push(posted);
                let status = answers.pop_front().unwrap_or(204);
                let _ = write!(&socket, "HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
            }
        });
        Self { address, posts }
    }
    pub fn url(&self) -> String {
        format!("http://{}/{TOKEN}", self.address)
    }
    pub fn posts(&self) -> Vec<Posted> {
        self.posts.lock().unwrap().clone()
    }
    /// `condition stage` of each post.
    pub fn stages(&self) -> Vec<String> {
        let shown = |post: Posted| format!("{} {}", text(&post.body["condition"]), text(&post.body["stage"]));
        self.posts().into_iter().map(shown).collect()
    }
}

/// Reads one request, and insists that it is signed as promised; `None` if it breaks off.
fn read_post(socket: &TcpStream) -> Option<Posted> {
    let mut reader = BufReader::new(socket);
    let mut headers = BTreeMap::new();
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    if !line.ends_with('\n') {
        return None;
    }
    assert!(line.starts_with(&format!("POST /{TOKEN} ")), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        if !line.ends_with('\n') {
            return None;
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    let raw = String::from_utf8(body).unwrap();
    let timestamp = headers["breachpost-timestamp"].parse().unwrap();
    assert_eq!(
        headers["breachpost-signature"],
        signature(&Secret::new(SECRET), timestamp, &raw)
    );
    assert_eq!(headers["content-type"], "application/json");
    Some(Posted {
        id: headers["breachpost-id"].clone(),
        body: serde_json::from_str(&raw).unwrap(),
        raw,
    })
}
