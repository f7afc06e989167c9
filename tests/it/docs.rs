//! Pages that a reader follows by typing: a test does what they show, line by line, and compares what is printed.

#[path = "../tidy/page.rs"]
mod page;
mod reader;
mod sizes;
mod strata;

use reader::Reader;

fn text(path: &str) -> String {
    fs_err::read_to_string(reader::root().join(path)).unwrap()
}

#[test]
fn the_tutorial_works_as_written() {
    let mut reader = Reader::new();
    reader.follows("docs/tutorial.md", &text("docs/tutorial.md"));
    reader.is_at_the_end_of("a good release, a bad one, and the way back", 14);
}

#[test]
fn the_first_release_of_the_front_page_works_as_written() {
    let mut reader = Reader::with_examples();
    reader.follows("README.md", &text("README.md"));
    reader.is_at_the_end_of("the quick start", 10);
}

#[test]
fn the_devices_of_a_tag_are_chosen_as_written() {
    let mut reader = Reader::new();
    reader.follows("docs/guides/choose-devices.md", &text("docs/guides/choose-devices.md"));
    reader.is_at_the_end_of("a stage by tag", 6);
}

#[test]
fn the_rehearsal_works_as_written() {
    let mut reader = Reader::with_examples();
    reader.follows("docs/guides/rehearse.md", &text("docs/guides/rehearse.md"));
    reader.is_at_the_end_of("a bad release and a broken cloud", 16);
}
