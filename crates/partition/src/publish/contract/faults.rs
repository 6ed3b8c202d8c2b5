//! A commit whose answer is lost, or is another one than the truth: what counts is what is there.

use flowlake_testserver::{Fault, Request, Server};

use super::places::{Kind, MORE, Place, SOME, build, paths};
use crate::manifest::{MANIFEST_FILE, Manifest};
use crate::publish::{Publication, PublishError, PublishMode};
use crate::read::{ReadError, read_manifest};

const MANIFEST_KEY: &str = "above/lake/manifest.json";

const BOTH: [PublishMode; 2] = [PublishMode::Fresh, PublishMode::Replace];

fn is_commit(request: &Request) -> bool {
    request.method == "PUT" && request.key == MANIFEST_KEY
}

/// A place at a server of ours, with a lake in it if one is to be replaced.
struct World {
    place: Place,
    before: Option<Manifest>,
    mode: PublishMode,
}

impl World {
    fn new(kind: Kind, mode: PublishMode) -> Self {
        let place = Place::new(kind).expect("it is ours");
        let before = (mode == PublishMode::Replace).then(|| place.publish(PublishMode::Fresh, SOME, "old"));
        Self { place, before, mode }
    }

    /// Runs a test in each world, all at a time: they wait more than they work.
    fn each(test: impl Fn(&Self) + Sync) {
        std::thread::scope(|scope| {
            for kind in [Kind::Own, Kind::OwnUnconditional] {
                for mode in BOTH {
                    let test = &test;
                    scope.spawn(move || test(&Self::new(kind, mode)));
                }
            }
        });
    }

    fn server(&self) -> &Server {
        self.place.server().expect("it is ours")
    }

    fn build(&self) -> (Publication, Manifest) {
        let publication = self.place.begin(self.mode);
        let manifest = build(&publication, MORE, "new");
        (publication, manifest)
    }

    /// The first commits go wrong.
    fn misbehave(&self, faults: &[Fault]) {
        let faults = faults.to_vec();
        let mut faults = faults.into_iter();
        self.server().misbehave(move |request| match is_commit(request) {
            true => faults.next().unwrap_or(Fault::None),
            false => Fault::None,
        });
    }

    /// Everything is as it was.
    #[track_caller]
    fn is_unchanged(&self) {
        match &self.before {
            Some(before) => self.place.holds(before),
            None => self.place.holds_nothing(),
        }
    }
}

#[test]
fn a_commit_that_was_carried_out_is_one_whatever_the_answer() {
    for fault in [
        Fault::Lost,
        Fault::DoneBut(500, "InternalError"),
        Fault::DoneBut(503, ""),
        // What comes of a request that a network delivered twice.
        Fault::DoneBut(412, "PreconditionFailed"),
        Fault::DoneBut(409, "ConditionalRequestConflict"),
    ] {
        World::each(|world| {
            let (publication, manifest) = world.build();
            world.misbehave(std::slice::from_ref(&fault));
            let left = publication.publish(&manifest).expect("it is published");
            assert!(left.is_empty(), "{fault:?}: {left:?}");
            world.place.holds(&manifest);
        });
    }
}

#[test]
fn a_commit_that_was_not_carried_out_is_tried_again() {
    for faults in [
        [Fault::Unheard, Fault::Unheard],
        [Fault::Status(500, "InternalError"), Fault::Status(503, "SlowDown")],
        [Fault::Status(409, "ConditionalRequestConflict"), Fault::Unheard],
        [Fault::Status(503, ""), Fault::Lost],
        [Fault::Unheard, Fault::DoneBut(412, "PreconditionFailed")],
    ] {
        World::each(|world| {
            let (publication, manifest) = world.build();
            world.misbehave(&faults);
            publication.publish(&manifest).unwrap_or_else(|error| panic!("{faults:?}: {error:?}"));
            world.place.holds(&manifest);
        });
    }
}

#[test]
fn a_commit_that_is_refused_changes_nothing() {
    World::each(|world| {
        let (publication, manifest) = world.build();
        world.misbehave(&[Fault::Status(403, "AccessDenied")]);
        let error = publication.publish(&manifest).expect_err("it is refused");
        assert!(matches!(error, PublishError::Store(_)) && !error.is_conflict(), "{error:?}");
        world.is_unchanged();
    });
}

/// It may be carried out yet, so nothing that it needs is taken away.
#[test]
fn a_commit_that_is_never_answered_is_unclear_and_keeps_its_objects() {
    World::each(|world| {
        let (publication, manifest) = world.build();
        let mut commit = None;
        let (sender, commits) = std::sync::mpsc::channel();
        world.server().misbehave(move |request| {
            if !is_commit(request) {
                return Fault::None;
            }
            commit.get_or_insert_with(|| sender.send(request.body.clone()).expect("somebody waits"));
            Fault::Unheard
        });
        let error = publication.publish(&manifest).expect_err("nobody says so");
        assert!(matches!(error, PublishError::Unclear { .. }) && !error.is_conflict(), "{error:?}");
        world.server().behave();
        assert_eq!(read_manifest(&world.place.lake()).ok(), world.before);
        // The server comes to it at last.
        world.server().write(MANIFEST_KEY, &commits.recv().expect("it came"), &[]);
        assert_eq!(read_manifest(&world.place.lake()).expect("a lake"), manifest);
        let there = world.place.everything();
        assert!(paths(&manifest).iter().all(|path| there.contains(&format!("lake/{path}"))), "{there:?}");
        // And the next build tidies up.
        world.place.publish(PublishMode::Replace, MORE, "next");
    });
}

#[test]
fn a_commit_that_cannot_be_looked_for_is_unclear_and_keeps_its_objects() {
    World::each(|world| {
        let (publication, manifest) = world.build();
        let mut committed = false;
        world.server().misbehave(move |request| {
            committed |= is_commit(request);
            match committed {
                true if is_commit(request) => Fault::Lost,
                true => Fault::Status(503, ""),
                false => Fault::None,
            }
        });
        let error = publication.publish(&manifest).expect_err("nobody says so");
        assert!(matches!(error, PublishError::Unclear { .. }), "{error:?}");
        world.server().behave();
        assert_eq!(read_manifest(&world.place.lake()).expect("a lake"), manifest);
        let there = world.place.everything();
        assert!(paths(&manifest).iter().all(|path| there.contains(&format!("lake/{path}"))), "{there:?}");
    });
}

/// A store that answers a condition with "conflict" for ever, although nothing changes.
#[test]
fn a_commit_that_always_conflicts_with_nobody_is_given_up() {
    let world = World::new(Kind::Own, PublishMode::Replace);
    let (publication, manifest) = world.build();
    world.server().misbehave(|request| match is_commit(request) {
        true => Fault::Status(409, "ConditionalRequestConflict"),
        false => Fault::None,
    });
    let error = publication.publish(&manifest).expect_err("it is refused");
    assert!(error.is_conflict(), "{error:?}");
    world.server().behave();
    world.is_unchanged();
}

/// The other one writes just before we do.
#[test]
fn a_lost_answer_is_not_taken_for_success_when_another_lake_is_there() {
    for fault in [Fault::Unheard, Fault::Status(412, "PreconditionFailed"), Fault::Status(500, "")] {
        World::each(|world| {
            let (publication, manifest) = world.build();
            let other = world.place.publish_beside(world.mode, (0, 100), "other");
            world.misbehave(std::slice::from_ref(&fault));
            let error = publication.publish(&manifest).expect_err("the other one was faster");
            assert!(error.is_conflict(), "{fault:?}: {error:?}");
            world.place.holds(&other);
        });
    }
}

#[test]
fn a_file_that_cannot_be_uploaded_ends_the_build_and_nothing_stays() {
    World::each(|world| {
        let publication = world.place.begin(world.mode);
        world.server().misbehave(|request| match request.method.as_str() {
            "PUT" if request.key.contains("rejected/") => Fault::Status(403, "AccessDenied"),
            _ => Fault::None,
        });
        let manifest = build(&publication, MORE, "new");
        let error = publication.publish(&manifest).expect_err("one is missing");
        assert!(matches!(error, PublishError::Store(_)), "{error:?}");
        world.server().behave();
        world.is_unchanged();
    });
}

#[test]
fn what_cannot_be_tidied_up_after_a_commit_is_told() {
    let world = World::new(Kind::Own, PublishMode::Replace);
    let (publication, manifest) = world.build();
    world.server().misbehave(|request| match request.query.contains_key("delete") {
        true => Fault::Status(403, "AccessDenied"),
        false => Fault::None,
    });
    let left = publication.publish(&manifest).expect("it is published");
    assert_eq!(left.len(), 1, "{left:?}");
    world.server().behave();
    assert_eq!(read_manifest(&world.place.lake()).expect("a lake"), manifest);
    world.place.publish(PublishMode::Replace, MORE, "next");
}

#[test]
fn what_cannot_be_taken_back_is_told() {
    let world = World::new(Kind::Own, PublishMode::Fresh);
    let (publication, manifest) = world.build();
    // Until they are there, giving up would take nothing back.
    while world.server().keys().len() < paths(&manifest).len() {
        std::thread::yield_now();
    }
    world.server().misbehave(|_| Fault::Status(403, "AccessDenied"));
    assert!(!publication.abandon().is_empty());
    world.server().behave();
    assert!(matches!(read_manifest(&world.place.lake()), Err(ReadError::NotALake { .. })));
    world.place.publish(PublishMode::Fresh, SOME, "next");
}

/// Claims of builds that are alive are waited for; those of dead ones are not.
#[test]
fn a_claim_that_goes_away_is_waited_for() {
    let world = World::new(Kind::OwnUnconditional, PublishMode::Fresh);
    let (publication, manifest) = world.build();
    let claim = "above/lake/.flowlake-commit-claim-somebody";
    world.server().write(claim, b"claim\n", &[]);
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| publication.publish(&manifest));
        // It has seen the claim and taken its own back.
        loop {
            let requests = world.server().take_requests();
            if requests.iter().any(|request| request.query.contains_key("delete")) {
                break;
            }
            std::thread::yield_now();
        }
        assert!(matches!(read_manifest(&world.place.lake()), Err(ReadError::NotALake { .. })));
        world.server().remove(claim);
        publishing.join().expect("no panic").expect("it is published");
    });
    assert!(world.server().keys().contains(&format!("above/lake/{MANIFEST_FILE}")));
    world.place.holds(&manifest);
}
