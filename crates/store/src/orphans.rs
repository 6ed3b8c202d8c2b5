//! Multipart uploads that were begun and that nobody knows of: found and aborted.
//!
//! Only Amazon's protocol has them. Azure forgets blocks that were never committed by itself.

use ::http::{Method, Request};
use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::client::{HttpClient, HttpRequestBody};
use object_store::multipart::MultipartStore;
use object_store::path::Path as ObjectPath;
use object_store::signer::Signer;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

use crate::objects::backoff;

/// How often uploads are listed again, where that fails.
const TRIES: usize = 3;

/// Lists and aborts multipart uploads.
#[derive(Debug)]
pub(crate) struct Orphans {
    pub(crate) store: Arc<AmazonS3>,
    pub(crate) client: HttpClient,
    pub(crate) region: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListMultipartUploads {
    #[serde(default, rename = "Upload")]
    uploads: Vec<UnfinishedUpload>,
}

/// One that is not complete.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UnfinishedUpload {
    pub(crate) key: String,
    upload_id: String,
}

impl Orphans {
    /// Aborts every upload of `object` that is not complete.
    pub(crate) async fn abort_all(&self, object: &ObjectPath) -> Result<(), object_store::Error> {
        let mut uploads = self.list_again(object.as_ref()).await?;
        uploads.retain(|upload| upload.key == object.as_ref());
        self.abort(&uploads).await
    }

    /// The uploads of objects below a prefix that are not complete; the first thousand.
    pub(crate) async fn below(
        &self,
        prefix: &ObjectPath,
    ) -> Result<Vec<UnfinishedUpload>, object_store::Error> {
        match prefix.as_ref() {
            "" => self.list_again("").await,
            prefix => self.list_again(&format!("{prefix}/")).await,
        }
    }

    /// Aborts uploads; those that are gone are no error.
    pub(crate) async fn abort(&self, uploads: &[UnfinishedUpload]) -> Result<(), object_store::Error> {
        for upload in uploads {
            let object = ObjectPath::parse(&upload.key)?;
            match self.store.abort_multipart(&object, &upload.upload_id).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The client itself does not try again.
    async fn list_again(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>, object_store::Error> {
        let mut tries = 0;
        loop {
            match self.list(prefix).await {
                Err(_) if tries < TRIES => tries += 1,
                result => return result,
            }
            tokio::time::sleep(backoff(tries)).await;
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>, object_store::Error> {
        let generic = |source: Box<dyn std::error::Error + Send + Sync>| object_store::Error::Generic {
            store: "S3",
            source,
        };
        // The library knows how the bucket is addressed and tells nobody, but it signs URLs of objects.
        let name = ObjectPath::from("x");
        let mut url = self.store.signed_url(Method::GET, &name, Duration::from_secs(60)).await?;
        url.set_query(None);
        let bucket = url.path().strip_suffix('x').unwrap_or_default().to_owned();
        url.set_path(&bucket);
        url.query_pairs_mut().append_pair("prefix", prefix).append_pair("uploads", "");

        let credential = self.store.credentials().get_credential().await?;
        let mut request = Request::get(url.as_str())
            .body(HttpRequestBody::empty())
            .map_err(|error| generic(error.into()))?;
        AwsAuthorizer::new(&credential, "s3", &self.region).try_authorize(&mut request, None)?;
        let response = self.client.execute(request).await.map_err(|error| generic(error.into()))?;
        let status = response.status();
        let body = response.into_body().bytes().await.map_err(|error| generic(error.into()))?;
        let body = String::from_utf8_lossy(&body);
        if !status.is_success() {
            return Err(generic(format!("Server returned non-2xx status code: {status}: {body}").into()));
        }
        let list: ListMultipartUploads =
            quick_xml::de::from_str(&body).map_err(|error| generic(error.into()))?;
        Ok(list.uploads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_uploads_are_understood() {
        let parse =
            |text: &str| quick_xml::de::from_str::<ListMultipartUploads>(text).expect("it is one").uploads;
        let some = "<ListMultipartUploadsResult><Bucket>b</Bucket><Upload><Key>a</Key><UploadId>1</UploadId>\
                    <Initiator><ID>i</ID></Initiator></Upload><Upload><Key>a</Key><UploadId>2</UploadId></Upload>\
                    </ListMultipartUploadsResult>";
        let ids: Vec<String> = parse(some).into_iter().map(|upload| upload.upload_id).collect();
        assert_eq!(ids, ["1", "2"]);
        assert!(
            parse("<ListMultipartUploadsResult><Bucket>b</Bucket></ListMultipartUploadsResult>").is_empty()
        );
    }
}
