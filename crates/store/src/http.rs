//! Watches the requests of the library on their way out.
//!
//! The library retries by itself and does not tell. For one request that matters: beginning a multipart upload. When the
//! answer to the first try is lost, the second one begins another upload, and the first stays on the server, costing money
//! and known to nobody. So the tries are counted, and whoever began an upload with more than one looks for the others.

use std::cell::Cell;
use std::future::Future;

use ::http::header::{CONTENT_RANGE, RANGE};
use ::http::{Method, StatusCode};
use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

tokio::task_local! {
    static BEGUN_UPLOADS: Cell<u32>;
}

/// Runs a future that begins a multipart upload; with its result comes how often it asked for one.
pub(crate) async fn count_begun_uploads<T>(future: impl Future<Output = T>) -> (T, u32) {
    BEGUN_UPLOADS
        .scope(Cell::new(0), async {
            let result = future.await;
            (result, BEGUN_UPLOADS.with(Cell::get))
        })
        .await
}

/// Makes clients that watch.
#[derive(Debug, Default)]
pub(crate) struct WatchingConnector(ReqwestConnector);

impl HttpConnector for WatchingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Watching(self.0.connect(options)?)))
    }
}

#[derive(Debug)]
struct Watching(HttpClient);

#[async_trait]
impl HttpService for Watching {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let begins_upload = request.method() == Method::POST
            && request
                .uri()
                .query()
                .is_some_and(|query| query.split('&').any(|part| part.starts_with("uploads")));
        if begins_upload {
            // Outside of `count_begun_uploads` nobody asks.
            let _ = BEGUN_UPLOADS.try_with(|count| count.set(count.get() + 1));
        }
        let ranged = request.headers().contains_key(RANGE);
        let mut response = self.0.execute(request).await?;
        // `rclone serve s3` sends a range, says which, and calls it the whole; the library does not believe it then.
        if ranged && response.status() == StatusCode::OK && response.headers().contains_key(CONTENT_RANGE) {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        Ok(response)
    }
}
