//! LogIn: who makes new sessions. Does not know how.

use futures_util::future::BoxFuture;

use super::Session;

/// Makes a session that can be used of one without cookies.
pub(crate) trait LogIn: Send + Sync {
    /// Logs in; what servers set on the way stays with the session. Fails with the reason.
    fn log_in(&self, session: Session) -> BoxFuture<'static, Result<(), String>>;
}
