//! The law of calls at rest.

use super::{MOST_ASKED, Play, QUIET, lock};

/// What each short-lived process may ask one address beside that: it looks at everything once when it begins, and polls until it ends.
const ASKED_BY_EACH: u64 = 4;
/// What it may ask for each object that needs what fails for ever: backoffs begin again with it. In a minute that is some ten failures,
/// of three attempts each.
const TRIED_BY_EACH: u64 = 30;

/// So often one address may be asked within [`QUIET`] in which so many short-lived processes begin, and for so many objects that need
/// something that fails for ever.
fn most_asked(begun: u64, needing: u64) -> u64 {
    let (healthy, failing) = (MOST_ASKED + ASKED_BY_EACH * begun, MOST_ASKED / 2 + TRIED_BY_EACH * begun);
    healthy.max(failing * needing)
}

impl Play {
    /// A world at rest looks now and then whether it still is: no address is asked hot. What fails for ever is read by each object
    /// that needs it, at intervals of its own.
    pub(super) fn check_calls(&self) {
        let needing = lock(&self.shared.excused).len() as u64;
        let most = most_asked(self.lives.begun_within(QUIET), needing);
        if let Some((address, times)) = self.shared.asked_most().filter(|(_, times)| *times > most) {
            let law = format!("a world at rest asked {address} {times} times in {QUIET:#}");
            self.shared.checkers().judge(Err(law));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_begin_again_may_ask_again() {
        for (begun, needing, expected) in
            [(0, 0, 100), (0, 1, 100), (0, 3, 150), (30, 0, 220), (30, 2, 1_900)]
        {
            assert_eq!(most_asked(begun, needing), expected, "{begun} {needing}");
        }
    }
}
