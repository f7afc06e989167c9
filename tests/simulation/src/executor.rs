//! One thread that runs every task of a world until none can go on, and only then lets the world take its next step.
//!
//! Tokio's current-thread runtime without a time or I/O driver: its order is its own and always the same, and nothing but
//! this world wakes a task, so the order of everything is the program's own. The runtime says when it would go to sleep;
//! that is the moment at which nothing can go on any more.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
};

/// Says when no task can go on.
#[derive(Clone, Default)]
pub(super) struct Idle(Arc<Mutex<Option<Waker>>>);

impl Idle {
    /// Lets every task run until all of them wait for the world.
    pub(super) async fn settle(&self) {
        let mut asked = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            *self.waker() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn wake(&self) {
        if let Some(waker) = self.waker().take() {
            waker.wake();
        }
    }

    fn waker(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `main`, and what it spawns, on this thread.
///
/// # Errors
/// The runtime cannot be made.
pub(super) fn run<T, F: Future<Output = T>>(main: impl FnOnce(Idle) -> F) -> io::Result<T> {
    let idle = Idle::default();
    let parked = idle.clone();
    let runtime =
        tokio::runtime::Builder::new_current_thread().on_thread_park(move || parked.wake()).build()?;
    Ok(runtime.block_on(main(idle)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_goes_on_when_nothing_else_can_and_always_in_the_same_order() {
        let (first, second) = (two_tasks_and_the_world(), two_tasks_and_the_world());
        assert_eq!(first, second);
        assert_eq!(first.len(), 7);
        assert_eq!(first.last().map(String::as_str), Some("world"));
    }

    fn two_tasks_and_the_world() -> Vec<String> {
        run(|idle| async move {
            let log = Arc::new(Mutex::new(Vec::new()));
            for name in ["a", "b"] {
                let log = log.clone();
                tokio::spawn(async move {
                    for step in 0..3 {
                        log.lock().unwrap().push(format!("{name}{step}"));
                        tokio::task::yield_now().await;
                    }
                    std::future::pending::<()>().await;
                });
            }
            idle.settle().await;
            log.lock().unwrap().push("world".to_owned());
            idle.settle().await;
            log.lock().unwrap().clone()
        })
        .unwrap()
    }
}
