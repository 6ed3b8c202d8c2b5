//! What publishing in a directory promises: all or nothing, nothing left behind, nobody else's work touched.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::read::read_manifest;
use crate::testing::{self, publish_lake};

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A manifest that can be told from others.
fn manifest(name: &str) -> Manifest {
    let mut manifest = testing::manifest(vec![]);
    manifest.dataset.name = name.to_owned();
    manifest
}

fn publish(target: &Path, mode: PublishMode, name: &str) -> Result<(), PublishError> {
    let left = Staging::create(target, mode)?.publish(&manifest(name))?;
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

fn published(target: &Path) -> String {
    read_manifest(&LakeStore::Directory(target.to_owned())).expect("a lake").dataset.name
}

#[test]
fn a_lake_appears_whole_and_alone() {
    let place = tempfile::tempdir().expect("a directory");
    let target = place.path().join("a/b/lake");
    let written = publish_lake(&target, 0, 100, PublishMode::Fresh);
    assert_eq!(read_manifest(&LakeStore::Directory(target.clone())).expect("a lake"), written);
    assert_eq!(names(&target), ["data", "manifest.json", "rejected"]);
    assert_eq!(names(&place.path().join("a/b")), ["lake"]);
    let text = fs::read_to_string(target.join(MANIFEST_FILE)).expect("a manifest");
    assert!(text.starts_with("{\n  \"formatVersion\": 1,") && text.ends_with("}\n"));
}

#[test]
fn an_abandoned_build_leaves_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let staging = Staging::create(&place.path().join("a/b/lake"), PublishMode::Fresh).expect("it is staged");
    fs::create_dir(staging.root().join("data")).expect("it is made");
    fs::write(staging.root().join("data/x"), "x").expect("it is written");
    drop(staging);
    assert!(names(place.path()).is_empty());
}

#[test]
fn parents_that_others_use_by_now_are_kept() {
    let place = tempfile::tempdir().expect("a directory");
    let staging = Staging::create(&place.path().join("a/b/lake"), PublishMode::Fresh).expect("it is staged");
    fs::write(place.path().join("a/note"), "x").expect("it is written");
    drop(staging);
    assert_eq!(names(&place.path().join("a")), ["note"]);
}

#[test]
fn what_is_at_the_target_decides() {
    let place = tempfile::tempdir().expect("a directory");
    let at = |name: &str| place.path().join(name);
    fs::create_dir(at("empty")).expect("it is made");
    fs::create_dir(at("full")).expect("it is made");
    fs::write(at("full/thesis.txt"), "x").expect("it is written");
    fs::write(at("file"), "x").expect("it is written");
    publish(&at("lake"), PublishMode::Fresh, "old").expect("it is published");
    publish(&at("empty"), PublishMode::Fresh, "new").expect("an empty directory is replaced");
    assert_eq!(published(&at("empty")), "new");

    for mode in [PublishMode::Fresh, PublishMode::Replace] {
        assert!(matches!(publish(&at("full"), mode, "new"), Err(PublishError::TargetNotEmpty { .. })));
        assert!(matches!(publish(&at("file"), mode, "new"), Err(PublishError::TargetNotADirectory { .. })));
        let below = publish(&at("file/lake"), mode, "new").expect_err("a file has nothing below it");
        assert!(
            matches!(&below, PublishError::TargetNotADirectory { path } if path.ends_with("file")),
            "{below:?}"
        );
        assert!(matches!(publish(Path::new("/"), mode, "new"), Err(PublishError::NoName { .. })));
        assert!(matches!(
            publish(Path::new("/proc"), mode, "new"),
            Err(PublishError::TargetIsMountPoint { .. })
        ));
    }
    let refused = publish(&at("lake"), PublishMode::Fresh, "new").expect_err("there is a lake");
    assert!(matches!(refused, PublishError::TargetHoldsLake { .. }) && !refused.is_conflict());
    assert_eq!(published(&at("lake")), "old");
    publish(&at("lake"), PublishMode::Replace, "new").expect("it is replaced");
    assert_eq!(published(&at("lake")), "new");
    publish(&at("other"), PublishMode::Replace, "new").expect("nothing needs replacing");
    assert_eq!(names(place.path()), ["empty", "file", "full", "lake", "other"]);
    assert_eq!(names(&at("full")), ["thesis.txt"]);
}

/// Of a lake that lists its rejected lines, and of one of before that implies them.
#[test]
fn a_lake_with_rejected_lines_of_somebody_else_is_not_replaced() {
    for listed in [true, false] {
        let place = tempfile::tempdir().expect("a directory");
        let target = place.path().join("lake");
        let mut written = publish_lake(&target, 0, 100, PublishMode::Fresh);
        if !listed {
            let path = written.rejected_path(&written.sources[0]).expect("there are some");
            fs::rename(target.join(&*path), target.join("rejected/echo.ndjson")).expect("it is renamed");
            written.sources[0].rejected_lines = None;
            let text = serde_json::to_string(&written).expect("JSON");
            fs::write(target.join(MANIFEST_FILE), text).expect("it is written");
        }
        let foreign = target.join("rejected/mine.ndjson");
        fs::write(&foreign, "x").expect("it is written");
        let refused = publish(&target, PublishMode::Replace, "new").expect_err("it is not ours");
        assert!(matches!(refused, PublishError::TargetNotEmpty { .. }), "{refused:?}");
        assert_eq!(read_manifest(&LakeStore::Directory(target.clone())).expect("a lake"), written);
        fs::remove_file(foreign).expect("it is removed");
        publish(&target, PublishMode::Replace, "new").expect("it is replaced");
        assert_eq!(published(&target), "new");
    }
}

#[test]
fn a_link_to_the_target_stays_a_link() {
    let place = tempfile::tempdir().expect("a directory");
    let (real, link) = (place.path().join("real"), place.path().join("link"));
    publish(&real, PublishMode::Fresh, "old").expect("it is published");
    std::os::unix::fs::symlink(&real, &link).expect("it is linked");
    publish(&link, PublishMode::Replace, "new").expect("it is replaced");
    assert_eq!(published(&real), "new");
    assert!(link.is_symlink());
}

#[test]
fn one_build_at_a_time_has_a_target() {
    let place = tempfile::tempdir().expect("a directory");
    let target = place.path().join("lake");
    let first = Staging::create(&target, PublishMode::Fresh).expect("it is staged");
    for mode in [PublishMode::Fresh, PublishMode::Replace] {
        let error = Staging::create(&target, mode).expect_err("somebody is at it");
        assert!(error.is_conflict(), "{error:?}");
        let PublishError::Busy { holder: Some(holder), .. } = &error else { panic!("{error:?}") };
        assert!(holder.starts_with(&format!("process {} on ", std::process::id())), "{holder}");
    }
    let beside = Staging::create(&place.path().join("lake2"), PublishMode::Fresh).expect("another target");
    drop(beside);
    first.publish(&manifest("first")).expect("it is published");
    assert_eq!(published(&target), "first");
    assert_eq!(names(place.path()), ["lake"]);
}

#[test]
fn the_lock_of_a_dead_process_is_no_obstacle() {
    let place = tempfile::tempdir().expect("a directory");
    let target = place.path().join("lake");
    fs::write(
        place.path().join(".lake.flowlake-lock"),
        "process 1 on elsewhere, and more than is written now",
    )
    .expect("it is written");
    let staging = Staging::create(&target, PublishMode::Fresh).expect("nobody has it locked");
    let holder = fs::read_to_string(place.path().join(".lake.flowlake-lock")).expect("it is there");
    assert!(holder.starts_with(&format!("process {} on ", std::process::id())), "{holder}");
    assert!(!holder.contains("elsewhere"), "{holder}");
    drop(staging);
    assert!(names(place.path()).is_empty());
}

#[test]
fn whoever_is_refused_takes_away_what_the_dead_left() {
    let place = tempfile::tempdir().expect("a directory");
    let target = place.path().join("lake");
    publish(&target, PublishMode::Fresh, "old").expect("it is published");
    let lock = place.path().join(".lake.flowlake-lock");
    let staging = place.path().join(".lake.flowlake-staging-1");
    fs::write(&lock, "process 1").expect("it is written");
    fs::create_dir(&staging).expect("it is made");
    // Of a process that lives nothing is touched.
    let alive = fs::File::open(&lock).expect("it is there");
    flock(&alive, FlockOperation::LockExclusive).expect("it is locked");
    let refused = || Staging::create(&target, PublishMode::Fresh).expect_err("there is a lake");
    assert!(matches!(refused(), PublishError::TargetHoldsLake { .. }));
    assert!(lock.exists() && staging.exists());
    drop(alive);
    assert!(matches!(refused(), PublishError::TargetHoldsLake { .. }));
    assert_eq!(names(place.path()), ["lake"]);
}

#[test]
fn what_has_a_name_of_ours_and_is_not_ours_is_left_alone() {
    let place = tempfile::tempdir().expect("a directory");
    let beside = |name: &str| place.path().join(name);
    let target = beside("lake");
    for directory in [".lake.flowlake-staging-mine", ".lake.flowlake-staging-1-a", ".lake.flowlake-previous"]
    {
        fs::create_dir(beside(directory)).expect("it is made");
        fs::write(beside(directory).join("thesis.txt"), "years of work").expect("it is written");
    }
    for name in ["first", "second"] {
        publish(&target, PublishMode::Replace, name).expect("it is published");
        let manifest = read_manifest(&LakeStore::Directory(target.clone())).expect("a lake");
        assert_eq!(manifest.dataset.name, name);
    }
    let kept =
        [".lake.flowlake-previous", ".lake.flowlake-staging-1-a", ".lake.flowlake-staging-mine", "lake"];
    assert_eq!(names(place.path()), kept);
    for directory in &kept[..3] {
        assert_eq!(
            fs::read_to_string(beside(directory).join("thesis.txt")).expect("a file"),
            "years of work"
        );
    }
}

#[test]
fn a_lock_that_is_not_ours_is_told_and_left_alone() {
    let place = tempfile::tempdir().expect("a directory");
    let beside = |name: &str| place.path().join(name);
    let (target, lock) = (beside("lake"), beside(".lake.flowlake-lock"));
    let refused = || match Staging::create(&target, PublishMode::Fresh) {
        Err(PublishError::Io { action, path, source }) => {
            assert_eq!((action, &path), ("lock the target with", &lock));
            assert!(source.to_string().contains("move it away"), "{source}");
        }
        other => panic!("{other:?}"),
    };
    fs::write(&lock, "a note of mine").expect("it is written");
    refused();
    assert_eq!(fs::read_to_string(&lock).expect("it is there"), "a note of mine");
    // A file of another name, however it comes here, is not written over.
    fs::write(beside("precious"), "process of years").expect("it is written");
    for link in [fs::hard_link::<PathBuf, &Path>, |from, to| fs_err::os::unix::fs::symlink(from, to)] {
        fs::remove_file(&lock).expect("it goes");
        link(beside("precious"), &lock).expect("a link");
        refused();
        assert_eq!(fs::read_to_string(beside("precious")).expect("it is there"), "process of years");
    }
    // Nor is one made where a link leads.
    fs::remove_file(&lock).expect("it goes");
    fs_err::os::unix::fs::symlink(beside("nowhere"), &lock).expect("a link");
    refused();
    assert!(!beside("nowhere").exists());
    fs::remove_file(&lock).expect("it goes");
    fs::create_dir(&lock).expect("it is made");
    refused();
    assert!(lock.is_dir());
    assert_eq!(names(place.path()), [".lake.flowlake-lock", "precious"]);
}

#[test]
fn a_lake_that_was_set_aside_comes_back_and_is_not_taken_for_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let (target, previous) = (place.path().join("lake"), place.path().join(".lake.flowlake-previous"));
    publish(&target, PublishMode::Fresh, "old").expect("it is published");
    let aside = || fs::rename(&target, &previous).expect("it moves");
    aside();
    let refused = Staging::create(&target, PublishMode::Fresh).expect_err("there is a lake");
    assert!(matches!(refused, PublishError::TargetHoldsLake { .. }), "{refused}");
    assert_eq!(names(place.path()), ["lake"]);
    // Somebody at work has it locked.
    aside();
    let alive = fs::File::open(&previous).expect("it is there");
    flock(&alive, FlockOperation::LockExclusive).expect("it is locked");
    drop(Staging::create(&target, PublishMode::Fresh).expect("it is staged"));
    assert_eq!(names(place.path()), [".lake.flowlake-previous"]);
}

#[test]
fn strangers_files_that_appear_meanwhile_are_left_alone() {
    for mode in [PublishMode::Fresh, PublishMode::Replace] {
        let place = tempfile::tempdir().expect("a directory");
        let target = place.path().join("lake");
        let staging = Staging::create(&target, mode).expect("it is staged");
        fs::create_dir(&target).expect("it is made");
        fs::write(target.join("thesis.txt"), "x").expect("it is written");
        assert!(staging.publish(&manifest("new")).expect_err("there is something").is_conflict());
        assert_eq!(names(&target), ["thesis.txt"]);
        assert_eq!(names(place.path()), ["lake"]);
    }
}

#[test]
fn only_the_leavings_of_the_dead_are_removed() {
    let place = tempfile::tempdir().expect("a directory");
    let target = place.path().join("lake");
    let dead = place.path().join(".lake.flowlake-staging-1");
    fs::create_dir_all(dead.join("data")).expect("it is made");
    let foreign = place.path().join(".lake2.flowlake-staging-1");
    fs::create_dir(&foreign).expect("it is made");
    // Of a process on a file system without locks for files, or of an older version.
    let alive = place.path().join(".lake.flowlake-staging-2");
    fs::create_dir(&alive).expect("it is made");
    let _lock = lock(&alive).expect("it can be opened").expect("nobody has it");
    let next = Staging::create(&target, PublishMode::Fresh).expect("it is staged");
    assert!(alive.exists() && next.root().exists() && foreign.exists());
    assert!(!dead.exists());
}

/// A reader that opens the manifest again and again while lakes replace each other must find one every time.
#[test]
fn a_reader_always_finds_a_lake() {
    let place = tempfile::tempdir().expect("a directory");
    let target = place.path().join("lake");
    publish(&target, PublishMode::Fresh, "0").expect("it is published");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                read_manifest(&LakeStore::Directory(target.clone())).expect("the old lake or the new one");
            }
        });
        for round in 1..50 {
            publish(&target, PublishMode::Replace, &round.to_string()).expect("it is replaced");
        }
        done.store(true, Ordering::Relaxed);
        reader.join().expect("no read failed");
    });
    assert_eq!(published(&target), "49");
    assert_eq!(names(place.path()), ["lake"]);
}

#[test]
fn without_an_exchange_lakes_are_renamed_or_put_back() {
    let place = tempfile::tempdir().expect("a directory");
    let target = place.path().join("lake");
    publish(&target, PublishMode::Fresh, "old").expect("it is published");
    rename_aside(&place.path().join("missing"), &target).expect_err("there is nothing to put in its place");
    assert_eq!(published(&target), "old");

    let new = place.path().join("new");
    publish(&new, PublishMode::Fresh, "new").expect("it is published");
    rename_aside(&new, &target).expect("it is replaced");
    assert_eq!(published(&target), "new");

    // A process that died between the two renames.
    let previous = previous_path(&target);
    fs::remove_dir_all(&previous).expect("the old lake lies there");
    fs::rename(&target, &previous).expect("it is set aside");
    let refused = publish(&target, PublishMode::Fresh, "newer").expect_err("the lake is back");
    assert!(matches!(refused, PublishError::TargetHoldsLake { .. }));
    assert_eq!(published(&target), "new");
    assert_eq!(names(place.path()), ["lake"]);
}
