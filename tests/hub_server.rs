//! A hub of one model, on this machine: as much of the real one's interface as downloads use.
//!
//! Large files (`.safetensors`) are answered by a redirect to another address, as the real hub does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use sha2::{Digest, Sha256};

/// The model that it has.
pub const MODEL: &str = "birds/flamingo-tiny";
/// The commit of its only branch, `main`.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What it serves and how.
#[derive(Debug, Default)]
pub struct State {
    /// By path in the repository.
    pub files: BTreeMap<String, Vec<u8>>,
    /// If there is one, only who has it is answered.
    pub token: Option<String>,
    /// A file whose transfer breaks off after so many bytes, once.
    pub breaks: Option<(String, usize)>,
    /// A file that is served with its last byte changed.
    pub damaged: Option<String>,
    /// Method, path and range of every request.
    pub requests: Vec<String>,
}

impl State {
    /// The requests since the last call.
    pub fn take_requests(&mut self) -> Vec<String> {
        std::mem::take(&mut self.requests)
    }
}

/// The hub, until it is dropped.
pub struct Server {
    /// Where it listens.
    pub endpoint: String,
    /// Shared with its thread.
    pub state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `files` at a free port.
    pub fn new(files: &[(&str, &[u8])]) -> Self {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        let state = Arc::new(Mutex::new(State { files, ..State::default() }));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (shared, address) = (Arc::clone(&state), endpoint.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                // A client may hang up in the middle: that is its own affair.
                if answer(stream.unwrap(), &address, &shared).is_none() {
                    break;
                }
            }
        });
        Self { endpoint, state, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let address = self.endpoint.trim_start_matches("http://");
        // An empty request ends the thread.
        drop(TcpStream::connect(address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One request; `None` if there is none.
fn answer(stream: TcpStream, address: &str, state: &Mutex<State>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
    let first = lines.next()?;
    let headers: BTreeMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
        .collect();
    let (method, rest) = first.split_once(' ')?;
    let path = rest.split(' ').next()?;
    let range = headers.get("range").map(String::as_str).unwrap_or_default();
    let mut state = state.lock().unwrap();
    state.requests.push(format!("{method} {path} {range}").trim_end().to_owned());

    let allowed = state
        .token
        .as_ref()
        .is_none_or(|token| headers.get("authorization") == Some(&format!("Bearer {token}")));
    let (head, body) = match allowed || path.starts_with("/cdn/") {
        true => respond(path, range, address, &mut state),
        false => ("401 Unauthorized".to_owned(), Vec::new()),
    };
    let length = match head.contains("content-length") {
        true => String::new(),
        false => format!("\r\ncontent-length: {}", body.len()),
    };
    let mut stream = stream;
    let _ = write!(stream, "HTTP/1.1 {head}{length}\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(&body);
    Some(())
}

/// Status and headers, and a body.
fn respond(path: &str, range: &str, address: &str, state: &mut State) -> (String, Vec<u8>) {
    let missing = || ("404 Not Found".to_owned(), Vec::new());
    let name_after = |prefix: &str| path.strip_prefix(prefix).map(str::to_owned);
    if let Some(revision) = name_after(&format!("/api/models/{MODEL}/revision/")) {
        return match ["main?blobs=true", &format!("{COMMIT}?blobs=true")].contains(&revision.as_str()) {
            true => ("200 OK".to_owned(), listing(state).into_bytes()),
            false => missing(),
        };
    }
    let stored = name_after(&format!("/{MODEL}/resolve/{COMMIT}/"));
    let from_cdn = name_after("/cdn/");
    let Some(name) = stored.clone().or(from_cdn) else { return missing() };
    let Some(mut bytes) = state.files.get(&name).cloned() else { return missing() };
    let etag = etag(&name, &bytes);
    if is_large(&name) && stored.is_some() {
        let head = format!(
            "302 Found\r\nx-repo-commit: {COMMIT}\r\nx-linked-etag: \"{etag}\"\r\nlocation: {address}/cdn/{name}"
        );
        return (head, Vec::new());
    }
    if state.damaged.as_ref() == Some(&name)
        && let Some(last) = bytes.last_mut()
    {
        *last ^= 1;
    }
    let (from, to) = range.trim_start_matches("bytes=").split_once('-').unwrap_or_default();
    let from = from.parse().unwrap_or(0);
    let end = to.parse().map_or(bytes.len(), |last: usize| last + 1);
    if from >= end {
        return ("416 Range Not Satisfiable".to_owned(), Vec::new());
    }
    let mut body = bytes[from..end].to_vec();
    let head = format!(
        "206 Partial Content\r\nx-repo-commit: {COMMIT}\r\netag: \"{etag}\"\r\ncontent-length: {}\r\n\
         content-range: bytes {from}-{}/{}",
        body.len(),
        end - 1,
        bytes.len()
    );
    if to.is_empty()
        && let Some((_, at)) = state.breaks.take_if(|(broken, _)| *broken == name)
    {
        body.truncate(at);
    }
    (head, body)
}

fn listing(state: &State) -> String {
    let siblings: Vec<serde_json::Value> = state
        .files
        .iter()
        .map(|(name, bytes)| {
            let etag = etag(name, bytes);
            let mut file = serde_json::json!({"rfilename": name, "size": bytes.len()});
            match is_large(name) {
                true => file["lfs"] = serde_json::json!({"sha256": etag, "size": bytes.len()}),
                false => file["blobId"] = etag.into(),
            }
            file
        })
        .collect();
    serde_json::json!({"id": MODEL, "sha": COMMIT, "siblings": siblings}).to_string()
}

fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors")
}

fn etag(name: &str, bytes: &[u8]) -> String {
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if is_large(name) { hash } else { hash[..40].to_owned() }
}
