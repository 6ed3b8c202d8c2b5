//! Configurations and releases.

use super::*;
use crate::manifest::{
    Configuration, ConfigurationFile, Document, Privacy, PrivateColumn, Release, Treatment,
};

/// A lake of one file with its configuration, the second version as it is edited.
fn edited(edit: impl FnOnce(&mut Manifest)) -> Diff {
    let a = lake_with_configuration();
    let mut b = a.clone();
    edit(&mut b);
    diff(&a, &b)
}

fn lake_with_configuration() -> Manifest {
    let mut lake = lake(vec![file("echo-00000", "s0", "c0", 8)]);
    let catalogue = ConfigurationFile::of("# Devices\n[[device]]\nname = \"echo\"\n");
    let recipe = ConfigurationFile::of("name = \"flows\"\n[[filter]]\nrule = \"toDevice\"\n");
    lake.configuration = Some(Configuration { catalogue, recipe });
    lake.totals.content_digest = Some("d0".to_owned());
    lake
}

fn configuration(manifest: &mut Manifest) -> &mut Configuration {
    manifest.configuration.as_mut().expect("there is one")
}

fn release(version: &str) -> Release {
    let document =
        |path: &str, sha256: &str| Document { path: path.to_owned(), bytes: 3, sha256: sha256.to_owned() };
    Release {
        version: version.to_owned(),
        date: None,
        tool: Tool { name: "flowlake".to_owned(), version: "0.0.0".to_owned() },
        redistribution: true,
        privacy: None,
        documents: vec![document("LICENSE", "l"), document("README.md", version)],
    }
}

fn private() -> Privacy {
    let column = |name: &str, treatment| PrivateColumn { name: name.to_owned(), treatment };
    Privacy {
        mac: None,
        ip: Some(Treatment::IpcryptPfx),
        drop: vec!["port".to_owned()],
        columns: vec![column("port", Treatment::Dropped), column("address", Treatment::IpcryptPfx)],
        key_check: Some("0011".to_owned()),
        rejected_lines_withheld: true,
    }
}

#[test]
fn a_comment_of_the_catalogue_is_told_and_leaves_the_rows_as_they_are() {
    let diff = edited(|b| {
        let text = configuration(b).catalogue.text.take().expect("a text");
        configuration(b).catalogue = ConfigurationFile::of(&text.replace("# Devices", "# The devices"));
    });
    assert_eq!(diff.verdict, Verdict::SameRows);
    let change = diff.configuration.catalogue.expect("it changed");
    assert!(change.is_another_file());
    assert_eq!(
        serde_json::to_value(&change.hunks).expect("JSON"),
        json!([{"a": 1, "b": 1, "parts": [
            {"both": [], "a": ["# Devices"], "b": ["# The devices"]},
            {"both": ["[[device]]", "name = \"echo\""], "a": [], "b": []},
        ]}])
    );
    assert_eq!(diff.configuration.recipe, None);
}

#[test]
fn a_recipe_that_does_the_same_leaves_the_rows_as_they_are() {
    let reworded = |b: &mut Manifest| {
        configuration(b).recipe = ConfigurationFile::of("name = \"mine\"\n");
        b.recipe = RecipeReference { name: "mine".to_owned(), digest: "1".repeat(64) };
    };
    let diff = edited(reworded);
    assert_eq!((diff.verdict, diff.recipe.reference.len()), (Verdict::SameRows, 2));
    let diff = edited(|b| {
        reworded(b);
        b.repairs[0].values += 1;
    });
    assert_eq!(diff.verdict, Verdict::Different);
}

#[test]
fn a_text_that_is_not_there_is_told_by_its_digest() {
    let withheld = edited(|b| configuration(b).catalogue.text = None);
    assert_eq!(withheld.verdict, Verdict::SameRows);
    let change = withheld.configuration.catalogue.expect("it is not kept alike");
    assert_eq!(change.hunks, None);
    assert!(!change.is_another_file());
    let side =
        |withheld| json!({"sha256": change.a.as_ref().expect("A has one").sha256, "withheld": withheld});
    assert_eq!(serde_json::to_value(&change.b).expect("JSON"), side(true));
    assert_eq!(serde_json::to_value(&change.a).expect("JSON"), side(false));

    let other =
        edited(|b| configuration(b).recipe = ConfigurationFile { sha256: Some("1".to_owned()), text: None });
    assert!(other.configuration.recipe.expect("it is another").is_another_file());

    let old = edited(|b| b.configuration = None);
    assert_eq!(old.verdict, Verdict::SameRows);
    let change = old.configuration.recipe.expect("B has none");
    assert!(change.a.is_some() && change.b.is_none() && !change.is_another_file());
}

#[test]
fn a_text_that_is_not_that_of_its_digest_is_a_difference_too() {
    let diff = edited(|b| configuration(b).recipe.text = Some(String::new()));
    assert_eq!(diff.verdict, Verdict::SameRows);
    assert!(diff.configuration.recipe.expect("it changed").is_another_file());
}

#[test]
fn the_digest_of_all_rows_is_compared_where_both_have_one() {
    let told_of = |digest: Option<&str>| {
        let diff = edited(|b| b.totals.content_digest = digest.map(str::to_owned));
        (diff.verdict, told(&diff))
    };
    let change = |b: Value| json!({"rows": {"contentDigest": b}});
    // An absent side is left out by `told`.
    assert_eq!(told_of(None), (Verdict::SameRows, change(json!({"a": "d0"}))));
    assert_eq!(told_of(Some("d1")), (Verdict::Different, change(json!({"a": "d0", "b": "d1"}))));
}

#[test]
fn a_release_holds_the_same_rows_as_the_lake_it_was_made_of() {
    let diff = edited(|b| b.release = Some(release("1.0.0")));
    assert_eq!(diff.verdict, Verdict::SameRows);
    assert_eq!(diff.release.only_one(), Some([false, true]));
    let keys: Vec<_> =
        diff.release.reference.iter().map(|change| (change.what, change.a.is_some())).collect();
    let expected = ["version", "tool.name", "tool.version", "redistribution"].map(|key| (key, false));
    assert_eq!(keys, expected);
    assert_eq!(diff.release.documents.len(), 2);
}

#[test]
fn every_key_of_a_release_is_compared() {
    let mut a = lake_with_configuration();
    a.release = Some(release("1.0.0"));
    let mut b = a.clone();
    b.release = Some(Release {
        date: Some("2025-01-02".to_owned()),
        tool: Tool { name: "other".to_owned(), version: "9".to_owned() },
        ..release("1.1.0")
    });
    let same_rows = diff(&a, &b);
    assert_eq!((same_rows.verdict, same_rows.release.only_one()), (Verdict::SameRows, None));
    let document = |sha256: &str| json!({"path": "README.md", "bytes": 3, "sha256": sha256});
    assert_eq!(
        told(&same_rows),
        json!({"release": {
            "reference": [
                {"what": "version", "a": "1.0.0", "b": "1.1.0"},
                {"what": "date", "a": null, "b": "2025-01-02"},
                {"what": "tool.name", "a": "flowlake", "b": "other"},
                {"what": "tool.version", "a": "0.0.0", "b": "9"},
            ],
            "documents": [{"path": "README.md", "a": document("1.0.0"), "b": document("1.1.0")}],
        }})
    );
    b.release = Some(Release { redistribution: false, ..release("1.0.0") });
    assert_eq!(diff(&a, &b).verdict, Verdict::Different, "who may have it matters as much as the licence");
}

#[test]
fn other_identifiers_are_other_rows() {
    let mut a = lake_with_configuration();
    a.sources[0].rejected_lines = Some(rejected_lines("rejected/echo.ndjson", "s"));
    let mut b = a.clone();
    b.release = Some(Release { privacy: Some(private()), ..release("1.0.0") });
    b.sources[0].rejected_lines = None;
    let from_lake = diff(&a, &b);
    assert_eq!(from_lake.verdict, Verdict::Different);
    assert!(from_lake.release.has_other_privacy());
    assert_eq!(from_lake.sources[0].differs, ["rejectedLines.withheld"]);
    assert!(from_lake.sources[0].is_immaterial());
    assert_eq!(
        serde_json::to_value(&from_lake.release.treatments).expect("JSON"),
        json!([
            {"column": "address", "a": null, "b": "ipcrypt-pfx"},
            {"column": "port", "a": null, "b": "dropped"},
        ])
    );
    let privacy = from_lake.release.reference.iter().filter(|change| change.what.starts_with("privacy."));
    let privacy: Vec<_> =
        privacy.map(|change| (change.what, change.a.as_deref(), change.b.as_deref())).collect();
    let expected = [
        ("privacy.ip", None, Some("ipcrypt-pfx")),
        ("privacy.drop", None, Some("[\"port\"]")),
        ("privacy.keyCheck", None, Some("0011")),
        ("privacy.rejectedLinesWithheld", None, Some("true")),
    ];
    assert_eq!(privacy, expected);

    let mut another_key = b.clone();
    let privacy =
        another_key.release.as_mut().and_then(|release| release.privacy.as_mut()).expect("there is");
    privacy.key_check = Some("2233".to_owned());
    assert_eq!(diff(&b, &another_key).verdict, Verdict::Different);
    // Nothing was done, and it is said: not the same as not to say it.
    b.release.as_mut().expect("a release").privacy = Some(Privacy {
        mac: None,
        ip: None,
        drop: vec![],
        columns: vec![],
        key_check: None,
        rejected_lines_withheld: false,
    });
    a.release = Some(release("1.0.0"));
    b.sources = a.sources.clone();
    let said = diff(&a, &b);
    assert_eq!(told(&said)["release"]["reference"][0]["what"], "privacy.rejectedLinesWithheld");
}
