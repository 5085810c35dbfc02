//! From the hub into the cache, by `hf-hub`, with what that leaves undone: sizes and checksums are compared with the
//! hub's, transfers that broke off are taken up again, and a branch's name is written when all of its files are there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::config::HubConfig;
use super::files::{SMALL, shards, weights};
use super::id::{ModelId, is_plain};
use super::snapshot;
use crate::error::FlamingoError;

/// Fetches what is used of a model, and returns its folder.
pub(super) fn fetch(config: &HubConfig, id: &ModelId) -> Result<PathBuf, FlamingoError> {
    let failed = |what: String| FlamingoError::Hub { id: id.to_string(), what };
    let listing = listing(config, id).map_err(failed)?;
    let names: Vec<&str> = listing.siblings.iter().map(|file| file.rfilename.as_str()).collect();
    let chosen = weights(&names).map_err(failed)?;
    let download = Download::new(config, id, &listing).map_err(failed)?;
    for name in SMALL {
        match listing.find(name) {
            Some(file) => download.file(file).map_err(failed)?,
            None => download.mark_absent(name).map_err(failed)?,
        }
    }
    let fetch = |name: &str| {
        let file = listing.find(name).ok_or_else(|| format!("{chosen} names {name}, which it has not"))?;
        download.file(file)
    };
    fetch(chosen).map_err(failed)?;
    let read = || fs::read(download.snapshot.join(chosen));
    for shard in shards(chosen, read).map_err(failed)?.unwrap_or_default() {
        fetch(&shard).map_err(failed)?;
    }
    let branch = Cache::new(config.cache.clone()).repo(repository(id, id.revision()));
    branch.create_ref(&listing.sha).map_err(|error| failed(format!("cannot write the cache: {error}")))?;
    Ok(download.snapshot)
}

/// What the hub says of a revision.
#[derive(Deserialize)]
struct Listing {
    /// The commit.
    sha: String,
    siblings: Vec<RemoteFile>,
}

#[derive(Deserialize)]
struct RemoteFile {
    /// Its path in the repository.
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    /// Of large files.
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
}

impl Listing {
    fn find(&self, name: &str) -> Option<&RemoteFile> {
        self.siblings.iter().find(|file| file.rfilename == name)
    }
}

fn listing(config: &HubConfig, id: &ModelId) -> Result<Listing, String> {
    let api = api(config, repository(id, id.revision())).map_err(|error| error.to_string())?;
    let what = format!("model {id}");
    let text = with_retries(config.retries, || {
        let mut response = api.info_request().query("blobs", "true").call().map_err(Box::new)?;
        Ok(response.body_mut().read_to_string().map_err(Box::new)?)
    });
    let text = text.map_err(|error| explain(config, &what, &error))?;
    let listing: Listing = serde_json::from_str(&text)
        .map_err(|error| format!("{} does not answer as a hub does: {error}", config.endpoint))?;
    match is_plain(&listing.sha) {
        true => Ok(listing),
        false => Err(format!("{} gives {:?} as its commit", config.endpoint, listing.sha)),
    }
}

/// One commit on its way into the cache.
struct Download<'a> {
    config: &'a HubConfig,
    commit: &'a str,
    api: ApiRepo,
    repository: PathBuf,
    snapshot: PathBuf,
}

impl<'a> Download<'a> {
    /// Files are asked for by commit: the branch may move meanwhile.
    fn new(config: &'a HubConfig, id: &ModelId, listing: &'a Listing) -> Result<Self, String> {
        let commit = listing.sha.as_str();
        let api = api(config, repository(id, commit)).map_err(|error| error.to_string())?;
        let repository = snapshot::repository(config, id);
        let snapshot = snapshot::of_commit(&repository, commit);
        Ok(Self { config, commit, api, repository, snapshot })
    }

    /// Brings a file into the snapshot, if it is not there, and checks it.
    fn file(&self, file: &RemoteFile) -> Result<(), String> {
        let link = self.snapshot.join(&file.rfilename);
        if fs::metadata(&link).is_ok_and(|found| file.size.is_none_or(|size| size == found.len())) {
            return Ok(());
        }
        self.clear(file, &link).map_err(|error| format!("cannot clear {}: {error}", link.display()))?;
        with_retries(self.config.retries, || self.api.download(&file.rfilename))
            .map_err(|error| explain(self.config, &file.rfilename, &error))?;
        check(&link, file).map_err(|what| {
            // A damaged file must not be found as a good one; that it is damaged is the error to report.
            let _ = fs::canonicalize(&link).and_then(fs::remove_file).and_then(|()| remove(&link));
            format!("{} came damaged: {what}; try again", file.rfilename)
        })
    }

    /// Takes out of the way what `hf-hub` would stumble over: a link to a file that is no more or is not whole, and a
    /// part that has nothing left to ask for.
    fn clear(&self, file: &RemoteFile, link: &Path) -> io::Result<()> {
        remove(link)?;
        let etag = file.lfs.as_ref().map(|lfs| &lfs.sha256).or(file.blob_id.as_ref());
        let Some(etag) = etag.filter(|etag| is_plain(etag)) else { return Ok(()) };
        let part = self.repository.join("blobs").join(format!("{etag}.part"));
        match fs::metadata(&part) {
            Ok(found) if file.size.is_some_and(|size| found.len() >= size) => remove(&part),
            _ => Ok(()),
        }
    }

    fn mark_absent(&self, name: &str) -> Result<(), String> {
        let mark = snapshot::absence(&self.repository, self.commit, name);
        let write = |mark: &Path| {
            fs::create_dir_all(mark.parent().unwrap_or(mark))?;
            File::create(mark).map(drop)
        };
        write(&mark).map_err(|error| format!("cannot write {}: {error}", mark.display()))
    }
}

fn repository(id: &ModelId, revision: &str) -> Repo {
    Repo::with_revision(id.repository().to_owned(), RepoType::Model, revision.to_owned())
}

fn api(config: &HubConfig, repository: Repo) -> Result<ApiRepo, ApiError> {
    let builder = ApiBuilder::from_cache(Cache::new(config.cache.clone()))
        .with_endpoint(config.endpoint.clone())
        .with_token(config.token.clone())
        .with_user_agent("flamingo", env!("CARGO_PKG_VERSION"))
        .with_progress(config.progress);
    Ok(builder.build()?.repo(repository))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Compares a file with what the hub says of it.
fn check(path: &Path, file: &RemoteFile) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("it cannot be read ({error})");
    let mut content = File::open(path).map_err(unreadable)?;
    let length = content.metadata().map_err(unreadable)?.len();
    if let Some(size) = file.size.filter(|size| *size != length) {
        return Err(format!("it has {length} bytes, expected {size}"));
    }
    if let Some(lfs) = &file.lfs {
        let mut hash = Sha256::new();
        io::copy(&mut content, &mut hash).map_err(unreadable)?;
        let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if found != lfs.sha256 {
            return Err(format!("its SHA-256 is {found}, expected {}", lfs.sha256));
        }
    }
    Ok(())
}

/// Again after connections that fail or break off and errors of the server; `hf-hub` goes on where it stopped.
fn with_retries<T>(retries: u32, mut attempt: impl FnMut() -> Result<T, ApiError>) -> Result<T, ApiError> {
    let mut wait = Duration::from_millis(300);
    for _ in 0..retries {
        match attempt() {
            Err(error) if is_transient(&error) => sleep(wait),
            result => return result,
        }
        wait *= 2;
    }
    attempt()
}

fn is_transient(error: &ApiError) -> bool {
    match error {
        ApiError::IoError(_) => true,
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(code) => code >= 500 || code == 429 || code == 408,
            _ => true,
        },
        _ => false,
    }
}

/// What an error means for the person who wanted `what`.
fn explain(config: &HubConfig, what: &str, error: &ApiError) -> String {
    let endpoint = &config.endpoint;
    let status = match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(code) => Some(code),
            _ => None,
        },
        _ => None,
    };
    match status {
        // The hub does not tell strangers whether a private model exists.
        Some(401) => format!(
            "{endpoint} does not show {what} to you (401): check the id, and if the model is private or its terms must \
             be accepted, set HF_TOKEN to a token that may read it"
        ),
        Some(403) => format!(
            "{endpoint} refuses {what} (403): accept the terms on the model's page, and set HF_TOKEN to a token that \
             may read it"
        ),
        Some(404) => format!("{endpoint} has no {what} (404): check the id"),
        _ => format!(
            "{what} cannot be had from {endpoint}: {error}; check the connection, or name a mirror by HF_ENDPOINT"
        ),
    }
}
