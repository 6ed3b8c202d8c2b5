//! All or nothing, nothing left behind, nobody else's work touched.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use flowlake_store::LakeStore;
use fs_err as fs;

use super::places::{Kind, MORE, Place, Rows, SOME, build, in_every_place, paths};
use crate::manifest::{MANIFEST_FILE, Manifest, Warning};
use crate::publish::{PublishError, PublishMode, Target, look};
use crate::read::{ReadError, read_manifest};

in_every_place!(
    nothing_is_there_before_it_is_published,
    a_lake_is_not_written_over_unless_it_is_said,
    what_is_no_lake_is_never_replaced,
    leavings_of_a_dead_build_are_no_obstacle_and_go,
    leavings_with_our_names_are_not_believed,
    a_lake_is_replaced_by_another,
    a_lake_is_replaced_by_one_without_rows_and_back,
    lists_of_a_manifest_come_and_go_with_it,
    builds_that_end_early_leave_nothing,
    the_second_of_two_builds_is_told,
    of_many_builds_at_once_one_wins,
    what_was_removed_meanwhile_is_noticed,
    a_manifest_that_was_removed_meanwhile_is_noticed,
    readers_always_find_a_lake,
);

const BOTH: [PublishMode; 2] = [PublishMode::Fresh, PublishMode::Replace];

fn nothing_is_there_before_it_is_published(place: &Place) {
    let publication = place.begin(PublishMode::Fresh);
    let manifest = build(&publication, SOME, "new");
    assert!(matches!(read_manifest(&place.lake()), Err(ReadError::NotALake { .. })));
    if let Some(server) = place.server() {
        // All have to be there to be sure that it is not the manifest that is.
        let all_but_manifest = 3;
        while server.keys().len() < all_but_manifest {
            std::thread::yield_now();
        }
        assert!(matches!(read_manifest(&place.lake()), Err(ReadError::NotALake { .. })));
        server.take_requests();
    }
    publication.publish(&manifest).expect("it is published");
    if let Some(server) = place.server() {
        // But for the claim of a build where the server decides nothing.
        let writes: Vec<String> = server
            .take_requests()
            .into_iter()
            .filter(|request| request.method == "PUT" && !request.key.contains("/.flowlake-"))
            .map(|request| request.key)
            .collect();
        assert_eq!(writes, ["above/lake/manifest.json"]);
    }
    place.holds(&manifest);
}

fn a_lake_is_not_written_over_unless_it_is_said(place: &Place) {
    assert_eq!(look(&place.lake(), PublishMode::Fresh).expect("there is nothing"), Target::Empty);
    let manifest = place.publish(PublishMode::Fresh, SOME, "old");
    let refused = place.try_begin(PublishMode::Fresh).expect_err("there is a lake");
    assert!(matches!(refused, PublishError::TargetHoldsLake { .. }) && !refused.is_conflict(), "{refused:?}");
    let refused = look(&place.lake(), PublishMode::Fresh).expect_err("there is a lake");
    assert!(matches!(refused, PublishError::TargetHoldsLake { .. }), "{refused:?}");
    assert_eq!(look(&place.lake(), PublishMode::Replace).expect("it may be replaced"), Target::Lake);
    place.holds(&manifest);
}

fn what_is_no_lake_is_never_replaced(place: &Place) {
    let foreign = [
        "thesis.txt",
        "data/mine.parquet",
        "rejected/mine.ndjson",
        "data/month=2019-06/deviceClass=smartSpeaker/b.txt",
    ];
    for lake in [None, Some("old")] {
        let before = lake.map(|name| place.publish(PublishMode::Replace, SOME, name));
        for path in foreign {
            place.write(path, b"mine");
            for mode in BOTH {
                let refused = place.try_begin(mode).expect_err("it is not ours");
                match (&refused, before.is_some(), mode) {
                    (PublishError::TargetNotEmpty { .. }, ..) => {}
                    // One reason is enough.
                    (PublishError::TargetHoldsLake { .. }, true, PublishMode::Fresh) => {}
                    _ => panic!("{path}: {refused:?}"),
                }
            }
            assert_eq!(place.read(path), b"mine");
            place.remove(path);
            if let LakeStore::Directory(root) = place.lake()
                && before.is_none()
            {
                // Directories that are empty may stay in a lake, but are no empty directory.
                fs::remove_dir_all(root).expect("it is removed");
            }
        }
        if let Some(before) = before {
            place.holds(&before);
        }
    }
    place.write(MANIFEST_FILE, b"{\"version\": 2}");
    let refused = place.try_begin(PublishMode::Replace).expect_err("many programs have one");
    assert!(matches!(refused, PublishError::TargetNotEmpty { .. }), "{refused:?}");
}

fn leavings_of_a_dead_build_are_no_obstacle_and_go(place: &Place) {
    for (mode, name) in [(PublishMode::Fresh, "first"), (PublishMode::Replace, "second")] {
        if let LakeStore::Directory(root) = place.lake() {
            let dead = root.with_file_name(".lake.flowlake-staging-1");
            fs::create_dir_all(dead.join("data")).expect("it is made");
            fs::write(dead.join("data/x"), "x").expect("it is written");
        } else {
            let digest = "0123456789abcdef";
            let mut leavings = vec![
                format!("data/month=2019-06/deviceClass=smartSpeaker/echo-00000-{digest}.parquet"),
                format!("rejected/echo-{digest}.ndjson"),
                ".flowlake-probe-1-2-3-4".to_owned(),
            ];
            // A young claim is respected, since its build may be alive.
            if place.kind != Kind::S3Unconditional {
                leavings.push(".flowlake-commit-claim-1-2-3-4".to_owned());
            }
            if let Some(server) = place.server() {
                server.set_clock(1_767_225_600);
            }
            for path in &leavings {
                place.write(path, b"x");
            }
            if let Some(server) = place.server() {
                server.set_clock(1_767_225_600 + 16 * 60);
            }
            if mode == PublishMode::Fresh {
                let found = look(&place.lake(), mode).expect("it may be published there");
                assert_eq!(found, Target::Leftovers { objects: leavings.len() });
            }
        }
        place.publish(mode, SOME, name);
    }
}

/// A build that died in the middle of something, or somebody's experiment with our names.
fn leavings_with_our_names_are_not_believed(place: &Place) {
    if place.is_directory() {
        return;
    }
    let manifest = place.publish(PublishMode::Fresh, SOME, "new");
    let whole: Vec<(String, Vec<u8>)> =
        paths(&manifest).into_iter().map(|path| (path.clone(), place.read(&path))).collect();
    for spoil in [
        |_: &mut Vec<u8>| {},
        |bytes: &mut Vec<u8>| bytes[0] ^= 1,
        |bytes: &mut Vec<u8>| bytes.push(0),
        Vec::clear,
    ] {
        place.remove(MANIFEST_FILE);
        for (path, bytes) in &whole {
            let mut bytes = bytes.clone();
            spoil(&mut bytes);
            place.write(path, &bytes);
        }
        // It looks at the digests, too.
        place.publish(PublishMode::Fresh, SOME, "new");
    }
}

fn a_lake_is_replaced_by_another(place: &Place) {
    let old = place.publish(PublishMode::Fresh, SOME, "old");
    let kept = paths(&old).into_iter().find(|path| path.contains("2019-06")).expect("rows of June");
    let before = place.lake().entry(&kept).expect("it can be asked");
    if let Some(server) = place.server() {
        server.take_requests();
    }
    let new = place.publish(PublishMode::Replace, MORE, "new");
    assert!(paths(&new).contains(&kept), "June is the same in both");
    assert_ne!(paths(&new), paths(&old));
    if place.kind == Kind::Memory {
        assert_eq!(place.lake().entry(&kept).expect("it can be asked"), before, "it was not written again");
    }
    if let Some(server) = place.server() {
        let key = format!("above/lake/{kept}");
        let requests = server.take_requests();
        let mut writes = requests.iter().filter(|request| ["PUT", "POST"].contains(&request.method.as_str()));
        assert!(writes.all(|request| request.key != key));
    }
    // By the same, too.
    place.publish(PublishMode::Replace, MORE, "new");
    place.publish(PublishMode::Replace, SOME, "old");
}

fn a_lake_is_replaced_by_one_without_rows_and_back(place: &Place) {
    place.publish(PublishMode::Replace, SOME, "some");
    place.publish(PublishMode::Replace, (0, 0), "none");
    place.publish(PublishMode::Replace, SOME, "some");
}

fn lists_of_a_manifest_come_and_go_with_it(place: &Place) {
    let publish = |name: &str, warnings: usize| {
        let publication = place.begin(PublishMode::Replace);
        let mut manifest = build(&publication, SOME, name);
        let warning = |number: usize| Warning {
            kind: "linesRejected".to_owned(),
            subject: number.to_string(),
            message: name.to_owned(),
        };
        manifest.warnings = (0..warnings).map(warning).collect();
        publication.publish(&manifest).expect("it is published");
        let found = read_manifest(&place.lake()).expect("a lake");
        assert_eq!(found.lists().count(), if warnings == 0 { 0 } else { 3 });
        assert_eq!(found.format_version, if warnings == 0 { 1 } else { 2 });
        manifest.format_version = found.format_version;
        assert_eq!(found, manifest);
        // With the lists, and nothing else.
        place.holds(&found);
    };
    for (name, warnings) in [("many", 30_000), ("others", 30_000), ("none", 0), ("again", 20_000)] {
        publish(name, warnings);
    }
}

fn builds_that_end_early_leave_nothing(place: &Place) {
    let abandon = |mode| {
        let publication = place.begin(mode);
        build(&publication, MORE, "abandoned");
        let left = publication.abandon();
        assert!(left.is_empty(), "{left:?}");
        let publication = place.begin(mode);
        build(&publication, MORE, "dropped");
        drop(publication);
        drop(place.begin(mode));
    };
    for mode in BOTH {
        abandon(mode);
        place.holds_nothing();
    }
    let old = place.publish(PublishMode::Fresh, SOME, "old");
    abandon(PublishMode::Replace);
    place.holds(&old);
}

fn the_second_of_two_builds_is_told(place: &Place) {
    // Others' rows, partly the same, the same with another manifest, and the same to the last byte.
    let others: [(Rows, &str); 4] = [((0, 100), "other"), (MORE, "other"), (SOME, "other"), (SOME, "same")];
    for mode in BOTH {
        for (rows, name) in others {
            if mode == PublishMode::Replace {
                place.publish(PublishMode::Replace, (86_300, 90), "old");
            }
            let late = place.begin(mode);
            let manifest = build(&late, SOME, "same");
            if place.is_directory() {
                // There nobody else begins before it has ended.
                let refused = place.try_begin(mode).expect_err("somebody is at it");
                assert!(matches!(refused, PublishError::Busy { .. }) && refused.is_conflict(), "{refused:?}");
                late.publish(&manifest).expect("nobody came between");
                place.holds(&manifest);
                place.publish(PublishMode::Replace, rows, name);
            } else {
                let early = place.publish_beside(mode, rows, name);
                let error = late.publish(&manifest).expect_err("the other one was faster");
                // What it had uploaded may have been taken for leavings and be gone: that is noticed first.
                assert!(error.is_conflict(), "{error:?}");
                place.holds(&early);
            }
            place.clear();
        }
    }
}

fn of_many_builds_at_once_one_wins(place: &Place) {
    let builds: u64 = if matches!(place.kind, Kind::S3 | Kind::S3Unconditional) { 4 } else { 6 };
    for mode in BOTH {
        if mode == PublishMode::Replace {
            place.publish(mode, SOME, "old");
        }
        let barrier = Barrier::new(builds as usize);
        let results: Vec<Result<Manifest, PublishError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..builds)
                .map(|n| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        let begun = place.try_begin(mode);
                        barrier.wait();
                        // The first rows are the same in all of them.
                        let made = begun.map(|publication| {
                            let manifest =
                                build(&publication, (86_350, 60 + 10 * n as usize), &format!("of {n}"));
                            (publication, manifest)
                        });
                        barrier.wait();
                        let (publication, manifest) = made?;
                        publication.publish(&manifest).map(|_| manifest)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let mut winners = Vec::new();
        for result in results {
            match result {
                Ok(manifest) => winners.push(manifest),
                Err(error) => assert!(error.is_conflict(), "{error:?}"),
            }
        }
        let found = read_manifest(&place.lake()).expect("a lake");
        assert!(winners.contains(&found));
        assert_eq!(winners.len(), 1);
        place.holds(&found);
        place.clear();
    }
}

fn what_was_removed_meanwhile_is_noticed(place: &Place) {
    // Files wait in a directory of this machine that is locked: nobody removes them.
    let Some(objects) = place.objects() else { return };
    let old = place.publish(PublishMode::Fresh, SOME, "old");
    let kept = paths(&old).into_iter().find(|path| path.contains("2019-06")).expect("rows of June");
    let publication = place.begin(PublishMode::Replace);
    let manifest = build(&publication, MORE, "new");
    // It was not uploaded again, because it was there.
    let digest = objects.stat(&kept).expect("it can be asked").expect("it is there").sha256;
    assert!(digest.is_some());
    let mut missing = manifest.clone();
    missing.files.retain(|file| file.path != kept);
    // Whether it is uploaded again is for the uploads to find out; they have to be done with it.
    while objects.stat(&missing.files[0].path).expect("it can be asked").is_none() {
        std::thread::yield_now();
    }
    let bytes = place.read(&kept);
    place.remove(&kept);
    match publication.publish(&manifest) {
        Err(error) => {
            assert!(error.is_conflict(), "{error:?}");
            if let PublishError::Vanished { url } = &error {
                assert_eq!(url, &objects.url().join(&kept).to_string());
            }
            assert_eq!(read_manifest(&place.lake()).expect("a lake"), old, "it is as it was");
            place.write(&kept, &bytes);
            assert!(place.everything().len() == 4, "what was uploaded is gone: {:?}", place.everything());
        }
        // It had not been looked for before it was removed.
        Ok(_) => place.holds(&manifest),
    }
}

fn a_manifest_that_was_removed_meanwhile_is_noticed(place: &Place) {
    if place.is_directory() {
        return;
    }
    place.publish(PublishMode::Fresh, SOME, "old");
    let publication = place.begin(PublishMode::Replace);
    let manifest = build(&publication, MORE, "new");
    place.remove(MANIFEST_FILE);
    let error = publication.publish(&manifest).expect_err("the lake is gone");
    assert!(matches!(error, PublishError::CommitConflict { .. }), "{error:?}");
    assert!(matches!(read_manifest(&place.lake()), Err(ReadError::NotALake { .. })));
    // What is left of it is no obstacle.
    place.publish(PublishMode::Fresh, MORE, "new");
}

fn readers_always_find_a_lake(place: &Place) {
    place.publish(PublishMode::Fresh, SOME, "0");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                read_manifest(&place.lake()).expect("the old lake or the new one");
            }
        });
        for round in 1..5usize {
            let publication = place.begin(PublishMode::Replace);
            let manifest = build(&publication, (86_350, 60 + 10 * round), &round.to_string());
            publication.publish(&manifest).expect("it is replaced");
        }
        done.store(true, Ordering::Relaxed);
        reader.join().expect("no read failed");
    });
}
