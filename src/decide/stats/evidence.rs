//! Evidence that the failure rate is above its budget, valid at any time and for any polling.
//!
//! Twelve suspicions: the odds of a failure are √2, 2, 2√2, … 64 times those of the budget. Each starts with a twelfth of
//! one unit and bets on the next device. While the true rate is at most the budget the game is fair or losing, so that the
//! chance that their sum ever reaches 1/α is at most α (Ville 1939).

use std::f64::consts::LN_2;

/// How many suspicions there are.
const SUSPICIONS: u8 = 12;

/// `failures` of `devices`, and the share of failures that is no surprise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// Devices that have begun.
    pub devices: u32,
    /// Failures among them so far.
    pub failures: u32,
    /// Above 0 and below 1.
    pub budget: f64,
}

/// The natural logarithm of the evidence; 0 without terms. It rises with failures and falls with devices.
#[must_use]
pub fn ln_evidence(terms: &[Term]) -> f64 {
    let gains: Vec<f64> =
        (1..=SUSPICIONS).map(|suspicion| gain(terms, f64::from(suspicion) * LN_2 / 2.0)).collect();
    let most = gains.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = gains.iter().map(|gain| (gain - most).exp()).sum();
    most + sum.ln() - f64::from(SUSPICIONS).ln()
}

/// What a suspicion has won: `odds` is the logarithm of its factor.
fn gain(terms: &[Term], odds: f64) -> f64 {
    let of = |term: &Term| {
        let stake = (term.budget * odds.exp_m1()).ln_1p();
        f64::from(term.failures) * odds - f64::from(term.devices) * stake
    };
    terms.iter().map(of).sum()
}

/// What the logarithm has to reach at this confidence: `ln(1 / (1 - confidence))`.
#[must_use]
pub fn threshold(confidence: f64) -> f64 {
    -(1.0 - confidence).ln()
}

/// The evidence as odds, for a message: `30 to 1`.
#[must_use]
pub fn odds_text(ln_evidence: f64) -> String {
    let odds = ln_evidence.exp();
    if odds >= 1e6 {
        return "more than a million to 1".to_owned();
    }
    if odds < 1.0 {
        return "less than 1 to 1".to_owned();
    }
    format!("{odds:.0} to 1")
}
