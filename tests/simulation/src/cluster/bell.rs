//! Tells whoever waits that something happened, in the order in which they began to wait. Tokio's own channels wake several of
//! them in an order that is drawn anew in each process.

use super::super::lock;
use std::future::poll_fn;
use std::sync::Mutex;
use std::task::{Poll, Waker};

#[derive(Default)]
pub(super) struct Bell(Mutex<State>);

#[derive(Default)]
struct State {
    rung: u64,
    waiting: Vec<Waker>,
}

impl Bell {
    pub(super) fn ring(&self) {
        let waiting = {
            let mut state = lock(&self.0);
            state.rung += 1;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// How often it rang.
    pub(super) fn rung(&self) -> u64 {
        lock(&self.0).rung
    }

    /// Waits until it has rung more than so often.
    pub(super) async fn rings_after(&self, heard: u64) {
        poll_fn(|context| {
            let mut state = lock(&self.0);
            if state.rung > heard {
                return Poll::Ready(());
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                state.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}
