//! Files behind URLs: `http`, `https`, `s3`, `gs`.
//!
//! Requests run on a small runtime of the store's own, so that nothing else here need be asynchronous. Credentials are
//! found as `object_store` finds them: `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, `AWS_SKIP_SIGNATURE` (public buckets) …,
//! `GOOGLE_APPLICATION_CREDENTIALS`, `GOOGLE_SKIP_SIGNATURE` …, or the machine's own.

mod listing;
mod reader;
mod remote;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::runtime::{Builder, Handle, Runtime};

use super::{ByteStream, Location, Patience, Settings};
use reader::Reader;
use remote::{Address, Bucket, Remote};

/// Threads that talk to servers. One decrypts more than most networks bring.
const THREADS: usize = 2;

/// Opens and lists files behind URLs. Clones share connections.
#[derive(Clone, Default)]
pub(super) struct Cloud(Arc<Shared>);

#[derive(Default)]
struct Shared {
    patience: Patience,
    settings: Settings,
    /// Made when it is first needed.
    runtime: Mutex<Option<Runtime>>,
    http: Mutex<Option<reqwest::Client>>,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

impl Cloud {
    pub fn new(patience: Patience, settings: Settings) -> Self {
        let mut shared = Shared::default();
        (shared.patience, shared.settings) = (patience, settings);
        Self(Arc::new(shared))
    }

    /// The contents from byte `offset` on. The request is under way when this returns; its errors come with the first
    /// bytes.
    pub fn open(&self, location: &Location, offset: u64) -> io::Result<ByteStream> {
        let handle = self.handle()?;
        let remote = self.remote(location)?;
        Ok(ByteStream::new(Reader::start(&handle, remote, offset, self.0.patience, self.clone())))
    }

    fn remote(&self, location: &Location) -> io::Result<Remote> {
        match Address::parse(location.as_str())? {
            Address::Http(url) => Ok(Remote::Http(self.http()?, url)),
            Address::Object { bucket, key, scheme } => Ok(Remote::Object(self.bucket(scheme, bucket)?, key)),
        }
    }

    fn http(&self) -> io::Result<reqwest::Client> {
        let mut client = self.0.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let made = remote::http_client(&self.0.patience)?;
        Ok(client.insert(made).clone())
    }

    fn bucket(&self, scheme: &str, name: &str) -> io::Result<Bucket> {
        let mut buckets = self.0.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let url = format!("{scheme}://{name}");
        if let Some(bucket) = buckets.get(&url) {
            return Ok(bucket.clone());
        }
        let made = remote::bucket(scheme, name, &self.0.settings)?;
        buckets.insert(url, made.clone());
        Ok(made)
    }

    fn handle(&self) -> io::Result<Handle> {
        let mut runtime = self.0.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*runtime {
            return Ok(runtime.handle().clone());
        }
        let made = Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
        Ok(runtime.insert(made).handle().clone())
    }

    /// Runs `work` to its end. Unlike `block_on`, this may be called from a thread of another runtime.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let (sender, receiver) = mpsc::channel();
        self.handle()?.spawn(async move {
            // The receiver waits for exactly this.
            let _ = sender.send(work.await);
        });
        receiver.recv().map_err(|_| io::Error::new(ErrorKind::BrokenPipe, "the request was given up"))?
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let runtime = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // Waiting for threads is not allowed on a thread of another runtime.
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}

impl Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Settings may hold secrets.
        f.debug_struct("Cloud").field("patience", &self.0.patience).finish_non_exhaustive()
    }
}
