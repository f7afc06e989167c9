//! What several tests need.

use std::time::Duration;

/// The result of something that an event brings about; fails the test rather than hang when the event never comes.
pub async fn within_reason<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("it never came")
}
