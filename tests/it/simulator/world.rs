//! World files: mistakes are told with their place.

use super::account;
use rollwave::simulator::{Simulator, World};

#[test]
fn the_example_is_a_world_file() {
    let text = std::fs::read_to_string("examples/world.yaml").unwrap();
    let world = World::parse("examples/world.yaml", &text).unwrap();
    let simulator = Simulator::new(&world, "2026-03-01T00:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(simulator.devices("2026-03-01T00:00:00Z".parse().unwrap()).len(), 113);
    let text = std::fs::read_to_string("examples/enos.world.yaml").unwrap();
    let enos = World::parse("examples/enos.world.yaml", &text).unwrap();
    assert_eq!(enos.clouds.enos.unwrap().accounts.len(), 1);
    let text = std::fs::read_to_string("examples/oceanconnect.world.yaml").unwrap();
    let world = World::parse("examples/oceanconnect.world.yaml", &text).unwrap();
    let simulator = Simulator::new(&world, "2026-03-01T00:00:00Z".parse().unwrap()).unwrap();
    let there =
        (simulator.packages().len(), simulator.devices("2026-03-01T00:00:00Z".parse().unwrap()).len());
    assert_eq!(there, (1, 62));
}

#[test]
fn mistakes_are_reported_with_their_place() {
    let refusal = |rest: &str| {
        let text = format!("{}{rest}", account());
        match World::parse("w.yaml", &text) {
            Ok(world) => {
                Simulator::new(&world, "2026-03-01T00:00:00Z".parse().unwrap()).unwrap_err().to_string()
            }
            Err(error) => error.to_string(),
        }
    };
    let messages: Vec<String> = [
        "seeed: 3",
        "timeFactor: fast",
        "timeFactor: 0",
        "devices: [{product: meter}]",
        "devices: [{product: meter, count: 4294967295, idPrefix: m-}]",
        "devices: [{product: meter, id: a, account: p2}]",
        "devices: [{product: meter, id: a}, {product: meter, id: a}]",
        "devices: [{product: meter, id: a.b}]",
        "devices: [{product: meter, id: a, onlineHours: 8-18}]",
        "behaviours: [{version: V2, failureRate: 0.5}]",
        "behaviours: [{version: V2, failureRate: 60%, lieRate: 50%}]",
        "behaviours: [{version: V2, duration: {min: 5m, max: 1m}}]",
    ]
    .map(refusal)
    .into();
    insta::assert_snapshot!(messages.join("\n"));
}
