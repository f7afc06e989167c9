//! The course of a deterministic world: bytes choose its manifests, and then every fault and every delay, and so the order
//! in which things happen. No course breaks a law.

use rollwave_simulation::{Profile, Selection, World};

pub fn check(data: &[u8]) {
    let Some((&[low, high, profile], luck)) = data.split_first_chunk() else { return };
    let profile = Profile::ALL[usize::from(profile) % Profile::ALL.len()];
    let world = World { profile, ..World::of_seed(u64::from(u16::from_le_bytes([low, high]))) };
    let outcome = world.run_selected(&Selection { luck: Some(luck.to_vec()), ..Selection::default() });
    if let Some(violation) = outcome.violation {
        let (seed, profile) = (world.seed, profile.name);
        panic!("seed {seed} ({profile}): {}\n{}", violation.what, violation.last_events.join("\n"));
    }
}
