//! An HTTP server of one thread, which answers as a function says.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Path and query.
    pub path: String,
    /// The first byte of a `Range`.
    pub range: Option<u64>,
    pub headers: BTreeMap<String, String>,
}

/// What is answered.
pub struct Reply {
    status: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// After so many bytes, the connection is closed, or kept open in silence.
    sent: usize,
    stalls: bool,
}

impl Reply {
    pub fn status(status: &str) -> Self {
        Self {
            status: status.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            sent: usize::MAX,
            stalls: false,
        }
    }

    /// All of `bytes`, whatever range was asked for.
    pub fn ok(bytes: &[u8]) -> Self {
        Self { body: bytes.to_vec(), ..Self::status("200 OK") }
    }

    /// What was asked for of `bytes`.
    pub fn file(bytes: &[u8], request: &Request) -> Self {
        let Some(start) = request.range else { return Self::ok(bytes).header("etag", "\"1\"") };
        let Some(rest) = bytes.get(start as usize..).filter(|rest| !rest.is_empty()) else {
            return Self::status("416 Range Not Satisfiable");
        };
        let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
        let reply = Self { body: rest.to_vec(), ..Self::status("206 Partial Content") };
        reply.header("content-range", &range).header("etag", "\"1\"")
    }

    /// With one more header, or another value of one.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn breaking_off(self, sent: usize) -> Self {
        Self { sent, ..self }
    }

    pub fn stalling(self, sent: usize) -> Self {
        Self { sent, stalls: true, ..self }
    }
}

/// The server, until it is dropped.
pub struct Server {
    /// `http://` and where it listens.
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers each request, and its number counted from 0, as `answer` says.
    pub fn new(mut answer: impl FnMut(&Request, usize) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let thread = thread::spawn(move || {
            // Connections that stall stay open until the server ends.
            let mut stalled = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = receive(&stream) else { break };
                let number = seen.lock().unwrap().len();
                seen.lock().unwrap().push(request.clone());
                let reply = answer(&request, number);
                // A client may hang up in the middle: that is its own affair.
                let _ = send(&mut stream, &reply);
                if reply.stalls {
                    stalled.push(stream);
                }
            }
        });
        Self { address, requests, thread: Some(thread) }
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An empty request ends the thread.
        drop(TcpStream::connect(self.address.trim_start_matches("http://")));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn receive(stream: &TcpStream) -> Option<Request> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
    let first = lines.next()?;
    let headers: BTreeMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
        .collect();
    let range =
        headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok());
    Some(Request { path: first.split(' ').nth(1)?.to_owned(), range, headers })
}

fn send(stream: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    let headers: String = reply.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = reply.body.len();
    write!(
        stream,
        "HTTP/1.1 {}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n",
        reply.status
    )?;
    stream.write_all(&reply.body[..length.min(reply.sent)])?;
    stream.flush()
}
