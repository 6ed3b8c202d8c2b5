//! Region, endpoint and credentials of S3, found where every tool of S3 looks: the environment, shared profile files
//! (keys, processes, single sign-on, assumed roles), web identity, and the roles of containers and instances.
//!
//! The library for object stores knows some of these places; Amazon's own library for this knows all of them and their
//! order.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls;
use aws_types::service_config::ServiceConfigKey;
use object_store::CredentialProvider;
use object_store::aws::{AwsCredential, AwsCredentialProvider};
use tokio::sync::Mutex;

/// Credentials are fetched again this long before they expire: longer than a request and its retries take.
const EARLY: Duration = Duration::from_secs(300);

/// Where requests go, and with whose right.
pub(crate) struct Settings {
    pub(crate) region: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) credentials: AwsCredentialProvider,
}

impl Settings {
    pub(crate) async fn load() -> Self {
        // The process has one library for TLS, and it is not the default one.
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .or_else("us-east-1");
        let config =
            aws_config::defaults(BehaviorVersion::latest()).http_client(http).region(region).load().await;
        Self {
            region: config.region().map_or_else(|| "us-east-1".to_owned(), ToString::to_string),
            endpoint: endpoint(&config),
            credentials: Arc::new(Credentials {
                provider: config.credentials_provider(),
                fetched: Mutex::new(None),
            }),
        }
    }
}

/// The endpoint for S3 alone, or that for all services.
fn endpoint(config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("s3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let of_service = config.service_config().and_then(|services| services.load_config(key));
    of_service.or_else(|| config.endpoint_url().map(str::to_owned)).filter(|url| !url.is_empty())
}

/// Credentials, kept until shortly before they expire.
#[derive(Debug)]
struct Credentials {
    provider: Option<SharedCredentialsProvider>,
    fetched: Mutex<Option<(Arc<AwsCredential>, Option<SystemTime>)>>,
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    #[expect(clippy::disallowed_methods, reason = "credentials expire by the clock")]
    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let failed = |text: String| object_store::Error::Generic { store: "S3", source: text.into() };
        // Others wait for the one that fetches them.
        let mut fetched = self.fetched.lock().await;
        if let Some((credential, expiry)) = &*fetched
            && expiry.is_none_or(|expiry| expiry > SystemTime::now() + EARLY)
        {
            return Ok(Arc::clone(credential));
        }
        let provider = self.provider.as_ref().ok_or_else(|| failed("no credentials provider".to_owned()))?;
        let found = provider.provide_credentials().await.map_err(|error| {
            let causes: Vec<String> =
                std::iter::successors(Some(&error as &(dyn std::error::Error + 'static)), |&error| {
                    error.source()
                })
                .map(ToString::to_string)
                .collect();
            failed(format!("no credentials were found: {}", causes.join(": ")))
        })?;
        // The library would not say so, but end the program.
        let parts = [Some(found.access_key_id()), Some(found.secret_access_key()), found.session_token()];
        if parts.into_iter().flatten().any(|part| !part.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(failed(
                "the credentials hold a space, a line end or another character that none have".to_owned(),
            ));
        }
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        *fetched = Some((Arc::clone(&credential), found.expiry()));
        Ok(credential)
    }
}
