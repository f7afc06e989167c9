//! World files: refused with a reason, or a world that runs.

use jiff::{SignedDuration, Timestamp};
use rollwave::simulator::{Simulator, World};

pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let world = match World::parse("w.yaml", &text) {
        Ok(world) => world,
        Err(error) => return assert!(error.to_string().starts_with("w.yaml"), "{error}"),
    };
    // A million devices are allowed, and say nothing that a thousand do not.
    if world.devices.iter().filter_map(|series| series.count).any(|count| count > 1_000) {
        return;
    }
    let wall: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let mut simulator = match Simulator::new(&world, wall) {
        Ok(simulator) => simulator,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    simulator.step(SignedDuration::from_hours(30), wall);
    assert_eq!((simulator.packages().len(), simulator.tasks().len()), (0, 0), "nobody has created anything");
    for device in simulator.devices(wall) {
        assert_eq!(simulator.device(&device.id, wall), Some(device));
    }
}
