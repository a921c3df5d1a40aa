//! ResponseBody: the body of an answer, which may not pause for long. Knows no connections.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use object_store::client::{HttpError, HttpErrorKind};
use tokio::time::{Sleep, sleep};

pub(super) struct ResponseBody {
    body: Incoming,
    late: Pin<Box<Sleep>>,
}

/// The longest pause.
const PAUSE: Duration = Duration::from_secs(30);

impl ResponseBody {
    pub fn new(body: Incoming) -> Self {
        Self { body, late: Box::pin(sleep(PAUSE)) }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                self.late = Box::pin(sleep(PAUSE));
                Poll::Ready(frame.map(|frame| frame.map_err(super::failed)))
            }
            Poll::Pending => match self.late.as_mut().poll(context) {
                Poll::Ready(()) => {
                    Poll::Ready(Some(Err(super::wrong(HttpErrorKind::Timeout, "the answer pauses for too long"))))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
