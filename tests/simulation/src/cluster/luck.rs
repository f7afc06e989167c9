//! What goes wrong between a controller and the API server, drawn like everything else that does.

use super::super::faults::Chaos;

/// What happens to a request to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApiStrike {
    /// There is no connection.
    Refused,
    /// It never arrives.
    RequestLost,
    /// It arrives when its sender may have given up.
    Late,
    /// 500, and nothing was done.
    ErrorBefore,
    /// 504, and it was done.
    ErrorAfter,
    /// 429.
    TooMany,
    /// It was done, and the connection breaks.
    ReplyLost,
    /// It was done, and the connection stays silent.
    ReplyNever,
    /// Somebody else writes a label just before it arrives.
    Overtaken,
}

const ANY: [ApiStrike; 9] = [
    ApiStrike::Refused,
    ApiStrike::RequestLost,
    ApiStrike::Late,
    ApiStrike::ErrorBefore,
    ApiStrike::ErrorAfter,
    ApiStrike::TooMany,
    ApiStrike::ReplyLost,
    ApiStrike::ReplyNever,
    ApiStrike::Overtaken,
];

/// Writes fail more often than those of a disk: in so many cases for one of a disk.
const WRITES: u32 = 4;

impl Chaos {
    /// What happens to a request to the API server.
    pub(super) fn strikes_api(&mut self, is_write: bool, what: impl FnOnce() -> String) -> Option<ApiStrike> {
        let chance = self.profile.request.max(if is_write { self.profile.failed_write * WRITES } else { 0 });
        if !self.on || chance == 0 || !self.dice.permille(chance) {
            return None;
        }
        let strike = *self.dice.pick(&ANY)?;
        self.lets_happen(&format!("Api{strike:?}"), || format!("Api{strike:?} of {}", what()))
            .then_some(strike)
    }

    /// For how many seconds a process is stopped that has just written an intent.
    pub(super) fn freezes(&mut self) -> Option<u64> {
        let chance = self.profile.takeover / 4;
        if !self.on || chance == 0 || !self.dice.permille(chance) {
            return None;
        }
        let seconds = self.dice.between(5, 600);
        self.lets_happen("Freeze", || format!("Freeze for {seconds} s after an intent")).then_some(seconds)
    }

    /// After how many seconds a watch ends.
    pub(super) fn ends_watch(&mut self) -> Option<u64> {
        self.on.then(|| self.dice.between(60, 600))
    }

    /// Milliseconds until a watch tells of a change.
    pub(super) fn watch_lag(&mut self) -> u64 {
        let chance = self.profile.stale_list / 2;
        let is_late = self.on && chance > 0 && self.dice.permille(chance);
        if is_late && self.lets_happen("LateWatch", || "LateWatch".to_owned()) {
            return self.dice.between(1_000, 60_000);
        }
        self.dice.between(1, 100)
    }
}
