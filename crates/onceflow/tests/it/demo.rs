//! The demo, small: it must hold what it promises, in 80 columns.

use crate::kit::World;

#[test]
fn the_demo_kills_itself_goes_on_and_balances() {
    let world = World::new();
    let ended = world.ok(&["demo", "--dir", "demo", "--events", "30k"]);
    assert!(ended.stdout.contains("kill -9, while they send"), "{}", ended.stdout);
    assert!(ended.stdout.contains("Both agree: nothing lost, nothing twice"), "{}", ended.stdout);
    for line in ended.stdout.lines() {
        let is_path = line.contains(&*world.path("").to_string_lossy());
        assert!(is_path || line.chars().count() <= 80, "over 80 columns: {line}");
    }
    // It may run again in a folder of its own, and in no other.
    world.write("mine/letter.txt", "dear");
    world.run(&["demo", "--dir", "mine"]).expect(2, &["isn't empty"]);
    assert_eq!(world.read("mine/letter.txt"), b"dear");
}
