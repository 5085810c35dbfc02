//! One file on a server: what its URL means, and one request for its bytes.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::str::FromStr;
use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::ClientConfigKey;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, RetryConfig};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, ETAG, RANGE};

use super::super::{Patience, Settings};

/// A request as a whole may take this long. What is limited is silence, see [`Patience`].
const WHOLE_REQUEST: &str = "7 days";

/// A bucket and its credentials.
pub(super) type Bucket = Arc<dyn ObjectStore>;

/// What a URL means.
pub(super) enum Address<'a> {
    Http(reqwest::Url),
    Object { scheme: &'a str, bucket: &'a str, key: Path },
}

impl<'a> Address<'a> {
    pub fn parse(url: &'a str) -> io::Result<Self> {
        let invalid = |what: String| io::Error::new(ErrorKind::InvalidInput, what);
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        match scheme {
            "http" | "https" => {
                reqwest::Url::parse(url).map(Self::Http).map_err(|error| invalid(error.to_string()))
            }
            "s3" | "gs" => {
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return Err(invalid(format!("expected {scheme}://BUCKET/KEY")));
                }
                let key = Path::parse(key.trim_end_matches('/')).map_err(|error| invalid(chain(&error)))?;
                Ok(Self::Object { scheme, bucket, key })
            }
            _ => Err(invalid(format!("unknown kind of URL {scheme:?}; known: http, https, s3, gs, file"))),
        }
    }
}

/// A file that can be asked for.
pub(super) enum Remote {
    Http(reqwest::Client, reqwest::Url),
    Object(Bucket, Path),
}

/// An answer.
pub(super) struct Body {
    /// How many of its first bytes are before those that were asked for.
    pub skip: u64,
    /// The version of the file.
    pub version: Option<String>,
    pub pieces: BoxStream<'static, io::Result<Vec<u8>>>,
}

/// A failure, and whether asking again is of no use.
#[derive(Debug)]
pub(super) struct Failure {
    pub error: io::Error,
    pub is_final: bool,
}

impl Failure {
    pub fn passing(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { error: io::Error::new(kind, what.into()), is_final: false }
    }

    pub fn last(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { error: io::Error::new(kind, what.into()), is_final: true }
    }
}

impl Remote {
    /// Asks for the bytes from `offset` on.
    pub async fn get(&self, offset: u64) -> Result<Body, Failure> {
        match self {
            Self::Http(client, url) => http_get(client, url, offset).await,
            Self::Object(bucket, key) => object_get(bucket, key, offset).await,
        }
    }
}

async fn http_get(client: &reqwest::Client, url: &reqwest::Url, offset: u64) -> Result<Body, Failure> {
    let mut request = client.get(url.clone());
    if offset > 0 {
        request = request.header(RANGE, format!("bytes={offset}-"));
    }
    // Addresses may hold signatures, so messages leave them out; whoever prints these names the location.
    let response = request.send().await;
    let response = response
        .map_err(|error| Failure::passing(ErrorKind::ConnectionAborted, chain(&error.without_url())))?;
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let skip = match status {
        // This server does not know ranges.
        StatusCode::OK => offset,
        StatusCode::PARTIAL_CONTENT => {
            let range = header(CONTENT_RANGE).unwrap_or_default();
            let start = range.strip_prefix("bytes ").and_then(|range| range.split('-').next());
            let start = start.and_then(|start| start.parse().ok()).filter(|start: &u64| *start <= offset);
            let wrong = || {
                let what = format!("the server sent {range:?} when asked for the bytes from {offset} on");
                Failure::last(ErrorKind::InvalidData, what)
            };
            offset - start.ok_or_else(wrong)?
        }
        _ => return Err(refused(status)),
    };
    let version = header(ETAG);
    let pieces = response.bytes_stream().map(|piece| match piece {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(error) => Err(io::Error::new(ErrorKind::ConnectionAborted, chain(&error.without_url()))),
    });
    Ok(Body { skip, version, pieces: pieces.boxed() })
}

/// What to make of a status that is not success.
fn refused(status: StatusCode) -> Failure {
    let what = format!("the server says {status}");
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Failure::last(ErrorKind::NotFound, what),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::last(ErrorKind::PermissionDenied, what),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Failure::passing(ErrorKind::ResourceBusy, what)
        }
        status if status.is_server_error() => Failure::passing(ErrorKind::ResourceBusy, what),
        _ => Failure::last(ErrorKind::Unsupported, what),
    }
}

async fn object_get(bucket: &Bucket, key: &Path, offset: u64) -> Result<Body, Failure> {
    let range = (offset > 0).then_some(GetRange::Offset(offset));
    let options = GetOptions { range, ..GetOptions::default() };
    let result = bucket.get_opts(key, options).await.map_err(|error| object_failure(&error))?;
    let skip = offset.saturating_sub(result.range.start);
    let version = result.meta.e_tag.clone();
    let pieces = result.into_stream().map(|piece| match piece {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(error) => Err(object_failure(&error).error),
    });
    Ok(Body { skip, version, pieces: pieces.boxed() })
}

/// What to make of an error of a bucket.
pub(super) fn object_failure(error: &object_store::Error) -> Failure {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated, UnknownConfigurationKey};
    let what = chain(error);
    match error {
        NotFound { .. } => Failure::last(ErrorKind::NotFound, what),
        PermissionDenied { .. } | Unauthenticated { .. } => Failure::last(ErrorKind::PermissionDenied, what),
        UnknownConfigurationKey { .. } => Failure::last(ErrorKind::InvalidInput, what),
        _ => Failure::passing(ErrorKind::ConnectionAborted, what),
    }
}

/// A client for `http` and `https`.
pub(super) fn http_client(patience: &Patience) -> io::Result<reqwest::Client> {
    choose_cryptography();
    let client = reqwest::Client::builder()
        .user_agent(concat!("flamingo/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(patience.silence)
        .build();
    client.map_err(|error| io::Error::new(ErrorKind::Unsupported, chain(&error)))
}

/// A bucket as the environment and `settings` describe it.
pub(super) fn bucket(scheme: &str, name: &str, settings: &Settings) -> io::Result<Bucket> {
    choose_cryptography();
    // Retries are the reader's: it knows how far it came.
    let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let is_known =
        |key: &str| AmazonS3ConfigKey::from_str(key).is_ok() || GoogleConfigKey::from_str(key).is_ok();
    if let Some(key) = settings.keys().find(|key| !is_known(key)) {
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("unknown setting {key:?} of a store")));
    }
    let built: object_store::Result<Bucket> = if scheme == "s3" {
        let timeout = AmazonS3ConfigKey::Client(ClientConfigKey::Timeout);
        let start = AmazonS3Builder::from_env().with_bucket_name(name).with_retry(once);
        let start = start.with_config(timeout, WHOLE_REQUEST);
        let known = settings.iter().filter_map(|(key, value)| Some((key.parse().ok()?, value)));
        known
            .fold(start, |builder, (key, value)| builder.with_config(key, value))
            .build()
            .map(|it| Arc::new(it) as _)
    } else {
        let timeout = GoogleConfigKey::Client(ClientConfigKey::Timeout);
        let start = GoogleCloudStorageBuilder::from_env().with_bucket_name(name).with_retry(once);
        let start = start.with_config(timeout, WHOLE_REQUEST);
        let known = settings.iter().filter_map(|(key, value)| Some((key.parse().ok()?, value)));
        known
            .fold(start, |builder, (key, value)| builder.with_config(key, value))
            .build()
            .map(|it| Arc::new(it) as _)
    };
    built.map_err(|error| io::Error::new(ErrorKind::InvalidInput, chain(&error)))
}

/// TLS needs a library for its arithmetic; ring is the one that the rest of the program uses.
fn choose_cryptography() {
    // An error means that one was chosen before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// An error and its causes.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
