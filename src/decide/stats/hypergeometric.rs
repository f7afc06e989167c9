//! Drawing without replacement: by chance, how many of the devices that answered are of one stratum?

/// Devices of a whole, some of which are drawn, and of a part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Devices of the whole.
    pub all: u32,
    /// Devices of it that are drawn.
    pub drawn: u32,
    /// Devices of the part.
    pub part: u32,
    /// Devices of the part that are drawn.
    pub part_drawn: u32,
}

impl Draw {
    /// The chance that no more than `part_drawn` of the part are drawn; 1 if the numbers contradict each other.
    #[must_use]
    pub fn at_most(self) -> f64 {
        let others = self.all.saturating_sub(self.part);
        self.sum(self.drawn.saturating_sub(others)..=self.part_drawn)
    }

    /// The chance that at least `part_drawn` of the part are drawn; 1 if the numbers contradict each other.
    #[must_use]
    pub fn at_least(self) -> f64 {
        self.sum(self.part_drawn..=self.part.min(self.drawn))
    }

    fn sum(self, drawn: std::ops::RangeInclusive<u32>) -> f64 {
        let others = self.all.saturating_sub(self.part);
        let is_possible = self.part <= self.all
            && self.drawn <= self.all
            && self.part_drawn <= self.part.min(self.drawn)
            && self.drawn - self.part_drawn <= others;
        if !is_possible {
            return 1.0;
        }
        let logarithms = Factorials::up_to(self.all);
        let whole = logarithms.choose(self.all, self.drawn);
        let chance = |of_part: u32| {
            let ways =
                logarithms.choose(self.part, of_part) + logarithms.choose(others, self.drawn - of_part);
            (ways - whole).exp()
        };
        drawn.map(chance).sum::<f64>().min(1.0)
    }
}

/// Logarithms of factorials, as running sums.
struct Factorials(Vec<f64>);

impl Factorials {
    fn up_to(most: u32) -> Self {
        let mut sum = 0.0;
        let sums = (1..=most).map(|factor| {
            sum += f64::from(factor).ln();
            sum
        });
        Self(std::iter::once(0.0).chain(sums).collect())
    }

    /// The logarithm of the ways to choose `few` of `many`.
    fn choose(&self, many: u32, few: u32) -> f64 {
        let of = |number: u32| self.0.get(number as usize).copied().unwrap_or(f64::INFINITY);
        of(many) - of(few) - of(many.saturating_sub(few))
    }
}
