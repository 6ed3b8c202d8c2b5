//! Clients for a store, as the environment says.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::HttpConnector;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, ObjectStore as Library, RetryConfig, StaticCredentialProvider,
};

use crate::aws;
use crate::error::{ErrorKind, StoreError};
use crate::http::WatchingConnector;
use crate::location::{ObjectUrl, Scheme};
use crate::options::StoreOptions;
use crate::orphans::Orphans;

/// Clients of one bucket with different patience.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    /// Waits for a byte, however long the whole takes.
    pub(crate) read: Arc<dyn Library>,
    /// Has a time for each request.
    pub(crate) write: Arc<dyn Library>,
    /// As that, but tries once: for writes that are not the same when they are done twice.
    pub(crate) once: Arc<dyn Library>,
    /// For S3.
    pub(crate) orphans: Option<Arc<Orphans>>,
}

/// A server of S3 other than the one that the environment names: for tests, which know several at a time.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where it is: `http://HOST:PORT`.
    pub url: String,
    /// Name and secret of a key, in place of those of the environment.
    pub key: Option<(String, String)>,
}

/// What a client is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Read,
    Write,
    Once,
}

const PURPOSES: [Purpose; 3] = [Purpose::Read, Purpose::Write, Purpose::Once];

pub(crate) async fn connect(
    url: &ObjectUrl,
    options: &StoreOptions,
    endpoint: Option<&Endpoint>,
) -> Result<Clients, StoreError> {
    let failed = |error: object_store::Error| {
        let mut error = StoreError::new("connect to", url.to_string(), &error);
        if error.kind == ErrorKind::Other {
            error.kind = ErrorKind::Configuration;
        }
        error
    };
    let certificates = certificates(url)?;
    match url.scheme() {
        Scheme::S3 => {
            let mut settings = aws::Settings::load().await;
            if let Some(Endpoint { url, key }) = endpoint {
                settings.endpoint = Some(url.clone());
                if let Some((key_id, secret_key)) = key.clone() {
                    let credential = AwsCredential { key_id, secret_key, token: None };
                    settings.credentials = Arc::new(StaticCredentialProvider::new(credential));
                }
            }
            let mut builder = AmazonS3Builder::from_env()
                .with_bucket_name(url.bucket())
                .with_region(settings.region.as_str())
                .with_credentials(settings.credentials)
                .with_http_connector(WatchingConnector::default());
            if let Some(endpoint) = settings.endpoint {
                check_endpoint(url, &endpoint)?;
                // The one for S3 alone would go before it.
                builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
            }
            let build = |purpose| {
                let builder = builder
                    .clone()
                    .with_client_options(client_options(options, &certificates, purpose))
                    .with_retry(retry(options, purpose));
                builder.build().map(Arc::new)
            };
            let [read, write, once] = PURPOSES.map(build);
            let (read, write, once) = (read.map_err(failed)?, write.map_err(failed)?, once.map_err(failed)?);
            let client = WatchingConnector::default()
                .connect(&client_options(options, &certificates, Purpose::Write))
                .map_err(failed)?;
            let store: Arc<AmazonS3> = Arc::clone(&write);
            let orphans = Arc::new(Orphans { store, client, region: settings.region });
            Ok(Clients { read, write, once, orphans: Some(orphans) })
        }
        Scheme::Gs => clients(|purpose| {
            let store = GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(url.bucket())
                .with_client_options(client_options(options, &certificates, purpose))
                .with_retry(retry(options, purpose))
                .build()?;
            Ok(Arc::new(store))
        })
        .map_err(failed),
        Scheme::Az => clients(|purpose| {
            let store = MicrosoftAzureBuilder::from_env()
                .with_container_name(url.bucket())
                .with_client_options(client_options(options, &certificates, purpose))
                .with_retry(retry(options, purpose))
                .build()?;
            Ok(Arc::new(store))
        })
        .map_err(failed),
    }
}

/// The library takes every text for an endpoint, and ends the program when it is to send something there.
fn check_endpoint(url: &ObjectUrl, endpoint: &str) -> Result<(), StoreError> {
    let is_url = endpoint.parse::<::http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    });
    if is_url {
        return Ok(());
    }
    let text = "the endpoint (AWS_ENDPOINT_URL or the profile's endpoint_url) is no URL of the form http://HOST:PORT or \
                https://HOST";
    Err(StoreError::of_kind("connect to", url.to_string(), ErrorKind::Configuration, text))
}

fn clients(
    build: impl Fn(Purpose) -> object_store::Result<Arc<dyn Library>>,
) -> object_store::Result<Clients> {
    Ok(Clients {
        read: build(Purpose::Read)?,
        write: build(Purpose::Write)?,
        once: build(Purpose::Once)?,
        orphans: None,
    })
}

fn client_options(options: &StoreOptions, certificates: &[Certificate], purpose: Purpose) -> ClientOptions {
    let mut client = ClientOptions::new()
        .with_user_agent(USER_AGENT)
        .with_connect_timeout(options.timeout.min(Duration::from_secs(10)))
        // Whether a connection is encrypted is said by the URL of the endpoint, and by nothing else.
        .with_allow_http(true);
    client = match purpose {
        Purpose::Read => client.with_timeout_disabled().with_read_timeout(options.timeout),
        Purpose::Write | Purpose::Once => client.with_timeout(options.timeout.saturating_mul(4)),
    };
    certificates.iter().cloned().fold(client, ClientOptions::with_root_certificate)
}

const USER_AGENT: object_store::HeaderValue =
    object_store::HeaderValue::from_static(concat!("flowlake/", env!("CARGO_PKG_VERSION")));

fn retry(options: &StoreOptions, purpose: Purpose) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: if purpose == Purpose::Once { 0 } else { options.retries },
        retry_timeout: options.retry_timeout,
    }
}

/// Certificates of authorities beside those of the system, as other tools of S3 take them.
fn certificates(url: &ObjectUrl) -> Result<Vec<Certificate>, StoreError> {
    let Some(file) = std::env::var_os("AWS_CA_BUNDLE").filter(|file| !file.is_empty()) else {
        return Ok(Vec::new());
    };
    let failed = |text: String| {
        let text = format!("AWS_CA_BUNDLE={}: {text}", file.display());
        StoreError::of_kind("connect to", url.to_string(), ErrorKind::Configuration, text)
    };
    let pem = fs_err::read(&file).map_err(|error| failed(error.to_string()))?;
    Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))
}
