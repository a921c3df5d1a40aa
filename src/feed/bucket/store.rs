//! Store: the client of a bucket, by what its scheme and the environment say. Knows no files.

use std::{env, error::Error as _, io, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, Error, ObjectStore, Result, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
};

use super::masked::masked;
use crate::{
    feed::target::{Location, Scheme},
    transport::bucket::{BucketConnector, MachineNotAsked},
};

/// Makes the client of a bucket. A request that finds the store busy or silent is made again, for `within` at the most.
///
/// # Errors
/// What the environment says is wrong or incomplete.
pub(super) fn of(location: &Location, within: Duration) -> Result<Arc<dyn ObjectStore>> {
    let bucket = &location.bucket;
    let asks_machine = machine_variables(location.scheme).iter().any(|name| env::var_os(name).is_some());
    let connector = BucketConnector { asks_machine };
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() },
        // The time is the bound.
        max_retries: usize::MAX,
        retry_timeout: within,
    };
    Ok(match location.scheme {
        Scheme::S3 => {
            let store = AmazonS3Builder::from_env().with_bucket_name(bucket);
            Arc::new(store.with_retry(retry).with_http_connector(connector).build()?)
        }
        Scheme::Gs => {
            let store = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
            Arc::new(store.with_retry(retry).with_http_connector(connector).build()?)
        }
        Scheme::Az => {
            let store = MicrosoftAzureBuilder::from_env().with_container_name(bucket);
            Arc::new(store.with_retry(retry).with_http_connector(connector).build()?)
        }
    })
}

/// Makes one of an error of this machine's files.
pub(super) fn local(error: io::Error) -> Error {
    Error::Generic { store: "spool", source: error.into() }
}

/// Writes what is wrong with a bucket and what may help, without secrets.
pub(super) fn explained(error: &Error, scheme: Scheme) -> String {
    if has_no_credentials(error) {
        return format!("there are no credentials for it; {}", how_to_admit(scheme));
    }
    let said = masked(error);
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["404 Not Found"]) {
        format!("{said}; is the bucket's name right, and is it there?")
    } else if has(&["401 ", "403 ", "redential", "Account must be", "Access Key"]) {
        format!("{said}; {}", how_to_admit(scheme))
    } else {
        said
    }
}

/// Tells whether only the machine's metadata service was left to be asked for credentials.
fn has_no_credentials(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<MachineNotAsked>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Returns the variables that name a cloud's metadata service: whoever sets one wants it to be asked.
fn machine_variables(scheme: Scheme) -> &'static [&'static str] {
    match scheme {
        Scheme::S3 => &["AWS_METADATA_ENDPOINT"],
        Scheme::Gs => &["GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"],
        Scheme::Az => &["AZURE_MSI_ENDPOINT", "AZURE_IDENTITY_ENDPOINT", "IDENTITY_ENDPOINT"],
    }
}

/// Returns what to set for credentials.
fn how_to_admit(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::S3 => {
            "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, or for the role of the machine \
             AWS_METADATA_ENDPOINT=http://169.254.169.254: see the guide"
        }
        Scheme::Gs => {
            "set GOOGLE_SERVICE_ACCOUNT to the path of a key file, or for the account of the machine \
             GCE_METADATA_HOST=metadata.google.internal: see the guide"
        }
        Scheme::Az => {
            "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or for the identity of the machine \
             AZURE_MSI_ENDPOINT=http://169.254.169.254/metadata/identity/oauth2/token beside the name: see the guide"
        }
    }
}
