//! `flowlake query --output`: what becomes of what has that name already. What a file holds is in `querying`.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use fs_err as fs;

use super::querying::world;
use super::support::skipped;

#[test]
fn links_are_followed_and_stay() {
    let world = world();
    let output = |name: &str| {
        world
            .about_lake("query")
            .arg("SELECT MIN(month) AS m FROM flows")
            .arg("--output")
            .arg(world.path(name))
            .run()
    };
    let is_link = |name: &str| fs::symlink_metadata(world.path(name)).is_ok_and(|found| found.is_symlink());
    let text = |name: &str| fs::read_to_string(world.path(name)).expect("a file");
    fs::create_dir(world.path("elsewhere")).expect("it is made");
    fs::write(world.path("elsewhere/old.csv"), "old").expect("it is written");
    // Of several links each is as seen from its own directory.
    symlink("first.csv", world.path("link.csv")).expect("a link");
    symlink("elsewhere/second.csv", world.path("first.csv")).expect("a link");
    symlink("old.csv", world.path("elsewhere/second.csv")).expect("a link");
    output("link.csv").expect_code(0);
    assert_eq!(text("elsewhere/old.csv"), "m\n2019-07\n");
    assert!(["link.csv", "first.csv", "elsewhere/second.csv"].into_iter().all(is_link));
    // Where nothing is, there is the answer then.
    symlink("elsewhere/new.csv", world.path("broken.csv")).expect("a link");
    output("broken.csv").expect_code(0);
    assert!(is_link("broken.csv"));
    assert_eq!(text("elsewhere/new.csv"), "m\n2019-07\n");
    symlink("round.csv", world.path("round.csv")).expect("a link");
    output("round.csv").expect_code(4).expect_says(["cannot write [dir]/round.csv"]);
    // A link is no way into the lake.
    symlink("lake/x.csv", world.path("into.csv")).expect("a link");
    output("into.csv").expect_code(2).expect_says(["lies inside the lake"]);
    // Names end as they like.
    output("loud.CSV").expect_code(0);
    assert_eq!(text("loud.CSV"), "m\n2019-07\n");
    insta::assert_snapshot!(output("elsewhere").expect_code(2).stderr, @r"
    error: [dir]/elsewhere is a directory
    hint: give a name of a file in it as --output
    ");
}

#[test]
fn pipes_and_devices_are_written_to_and_stay() {
    let world = world();
    let to = |place: &Path| {
        let sql = "SELECT MIN(month) AS m FROM flows";
        world.about_lake("query").arg(sql).args(["--format", "csv", "--output"]).arg(place)
    };
    let fifo = world.path("fifo");
    if !Command::new("mkfifo").arg(&fifo).status().is_ok_and(|made| made.success()) {
        return skipped("no named pipes here");
    }
    let mut child = to(&fifo).start();
    assert_eq!(fs::read_to_string(&fifo).expect("it is read"), "m\n2019-07\n");
    assert!(child.wait().expect("it ends").success());
    assert!(!fs::metadata(&fifo).expect("it is there").is_file());
    assert_eq!(to(Path::new("/dev/stdout")).run().expect_code(0).stdout, "m\n2019-07\n");
    to(Path::new("/dev/null")).run().expect_code(0);
    assert!(!fs::metadata("/dev/null").expect("it is there").is_file());
    // What standard output leads to goes on where it is.
    fs::write(world.path("log"), "before\n").expect("it is written");
    let log = fs::OpenOptions::new().append(true).open(world.path("log")).expect("it opens");
    let status =
        to(Path::new("/dev/stdout")).command().stdout(log.into_file()).stderr(Stdio::null()).status();
    assert!(status.expect("it runs").success());
    assert_eq!(fs::read_to_string(world.path("log")).expect("a file"), "before\nm\n2019-07\n");
    if Path::new("/dev/full").exists() {
        to(Path::new("/dev/full")).run().expect_code(4).expect_says(["No space left on device"]);
    }
}
