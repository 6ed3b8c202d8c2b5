//! Releases: documents that have names anybody could give appear with the manifest, and nobody's are written over.

use std::sync::Barrier;

use sha2::{Digest, Sha256};

use super::places::{Place, SOME, build, in_every_place};
use crate::digest::hex;
use crate::manifest::{Document, Manifest, Release, SUMS_FILE, Tool};
use crate::publish::{Publication, PublishError, PublishMode};
use crate::sums::sha256sums;

in_every_place!(
    a_release_appears_whole_and_stays,
    a_release_that_ends_early_leaves_nothing,
    documents_of_a_release_that_died_are_no_obstacle,
    documents_of_somebody_else_are_left_alone,
    of_two_releases_that_meet_the_second_is_told,
    of_many_releases_at_once_one_wins_whole,
);

const DOCUMENTS: [&str; 3] = ["README.md", "config/recipes/flows.toml", "rebuild.md"];

/// A release but for its manifest; its documents hold its version.
fn release(publication: &mut Publication, version: &str) -> Manifest {
    let mut manifest = build(publication, SOME, "released");
    let text = format!("version {version}\n");
    let entry = |path: &str| Document {
        path: path.to_owned(),
        bytes: text.len() as u64,
        sha256: hex(&Sha256::digest(&text)),
    };
    manifest.release = Some(Release {
        version: version.to_owned(),
        date: None,
        tool: Tool { name: "flowlake".to_owned(), version: "0.0.0".to_owned() },
        redistribution: true,
        privacy: None,
        documents: DOCUMENTS.map(entry).to_vec(),
    });
    for path in DOCUMENTS {
        publication.add_document(path, text.clone().into_bytes()).expect("it is taken");
    }
    let sums = sha256sums(&manifest, [], &manifest.written().expect("JSON").sha256());
    publication.add_document(SUMS_FILE, sums.into_bytes()).expect("it is taken");
    manifest
}

fn a_release_appears_whole_and_stays(place: &Place) {
    let mut publication = place.begin(PublishMode::Fresh);
    let manifest = release(&mut publication, "1.0.0");
    publication.publish(&manifest).expect("it is published");
    place.holds(&manifest);
    for mode in [PublishMode::Fresh, PublishMode::Replace] {
        let refused = place.try_begin(mode).expect_err("there is a release");
        let version = match &refused {
            PublishError::TargetHoldsRelease { version, .. } => version,
            _ => panic!("{refused:?}"),
        };
        assert_eq!((version.as_str(), refused.is_conflict()), ("1.0.0", true));
    }
    place.holds(&manifest);
}

fn a_release_that_ends_early_leaves_nothing(place: &Place) {
    let mut publication = place.begin(PublishMode::Fresh);
    release(&mut publication, "1.0.0");
    drop(publication);
    place.holds_nothing();
    let mut publication = place.begin(PublishMode::Fresh);
    release(&mut publication, "1.0.0");
    assert!(publication.abandon().is_empty());
    place.holds_nothing();
}

/// As only a store can have them: a directory appears at once.
fn documents_of_a_release_that_died_are_no_obstacle(place: &Place) {
    if place.is_directory() {
        return;
    }
    let die = || {
        for path in DOCUMENTS {
            place.write_marked(path, b"of one that died", "dead");
        }
    };
    die();
    let mut publication = place.begin(PublishMode::Fresh);
    let manifest = release(&mut publication, "1.0.0");
    publication.publish(&manifest).expect("it is published");
    place.holds(&manifest);
    place.clear();
    // A lake has none, and does not keep them.
    die();
    place.publish(PublishMode::Fresh, SOME, "lake");
}

fn documents_of_somebody_else_are_left_alone(place: &Place) {
    for path in DOCUMENTS {
        place.write(path, b"mine");
        let refused = place.try_begin(PublishMode::Fresh).expect_err("it is not ours");
        assert!(matches!(refused, PublishError::TargetNotEmpty { .. }), "{refused:?}");
        assert_eq!(place.read(path), b"mine");
        place.clear();
    }
    if place.is_directory() {
        return;
    }
    // One that appears while the release is made.
    let mut publication = place.begin(PublishMode::Fresh);
    let manifest = release(&mut publication, "1.0.0");
    place.write(DOCUMENTS[1], b"mine");
    match publication.publish(&manifest) {
        Err(PublishError::CommitConflict { .. }) => {
            assert_eq!(place.read(DOCUMENTS[1]), b"mine");
            assert_eq!(place.everything().len(), 1, "{:?}", place.everything());
        }
        // Where conditions are ignored, only those are guarded against that make claims, too.
        result => assert!(place.overlooks_conditions() && result.is_ok(), "{result:?}"),
    }
}

fn of_two_releases_that_meet_the_second_is_told(place: &Place) {
    let mut first = place.begin(PublishMode::Fresh);
    let winner = release(&mut first, "1.0.0");
    if place.is_directory() {
        let refused = place.try_begin(PublishMode::Fresh).expect_err("somebody is at it");
        assert!(matches!(refused, PublishError::Busy { .. }), "{refused:?}");
        first.publish(&winner).expect("it is published");
        place.holds(&winner);
        return;
    }
    let mut second = place.begin(PublishMode::Fresh);
    let loser = release(&mut second, "2.0.0");
    first.publish(&winner).expect("it is published");
    let refused = second.publish(&loser).expect_err("somebody was faster");
    assert!(refused.is_conflict(), "{refused:?}");
    place.holds(&winner);
}

fn of_many_releases_at_once_one_wins_whole(place: &Place) {
    let barrier = Barrier::new(4);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|i| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let begun = place.try_begin(PublishMode::Fresh);
                    let made = begun.map(|mut publication| {
                        let manifest = release(&mut publication, &format!("1.0.{i}"));
                        (publication, manifest)
                    });
                    barrier.wait();
                    let (publication, manifest) = made?;
                    publication.publish(&manifest).map(|_| manifest)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends well")).collect()
    });
    let mut winners = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(manifest) => winners.push(manifest),
            Err(error) => assert!(error.is_conflict(), "{error:?}"),
        }
    }
    let [winner] = &winners[..] else { panic!("{} won", winners.len()) };
    place.holds(winner);
}
