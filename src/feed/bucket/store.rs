//! Store: the client of a bucket, by what its scheme and the environment say. Knows no files.

use std::{io, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, Error, ObjectStore, Result, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
};

use crate::{
    feed::target::{Location, Scheme},
    transport::bucket::BucketConnector,
};

/// Makes the client of a bucket. A request that finds the store busy or silent is made again, for `within` at the most.
///
/// # Errors
/// What the environment says is wrong or incomplete.
pub(super) fn of(location: &Location, within: Duration) -> Result<Arc<dyn ObjectStore>> {
    let bucket = &location.bucket;
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() },
        // The time is the bound.
        max_retries: usize::MAX,
        retry_timeout: within,
    };
    Ok(match location.scheme {
        Scheme::S3 => {
            let store = AmazonS3Builder::from_env().with_bucket_name(bucket);
            Arc::new(store.with_retry(retry).with_http_connector(BucketConnector).build()?)
        }
        Scheme::Gs => {
            let store = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
            Arc::new(store.with_retry(retry).with_http_connector(BucketConnector).build()?)
        }
        Scheme::Az => {
            let store = MicrosoftAzureBuilder::from_env().with_container_name(bucket);
            Arc::new(store.with_retry(retry).with_http_connector(BucketConnector).build()?)
        }
    })
}

/// Makes one of an error of this machine's files.
pub(super) fn local(error: io::Error) -> Error {
    Error::Generic { store: "spool", source: error.into() }
}

/// Returns what may help against an error, to be added to it.
pub(super) fn advice(said: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["404 Not Found"]) {
        "; is the bucket's name right, and is it there?"
    } else if has(&["401 ", "403 ", "redential", "metadata/", "169.254.169.254"]) {
        "; credentials are read from the environment, as AWS_ACCESS_KEY_ID, GOOGLE_SERVICE_ACCOUNT or AZURE_STORAGE_ACCOUNT_NAME: see the guide"
    } else {
        ""
    }
}
