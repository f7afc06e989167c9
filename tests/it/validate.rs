//! `rollwave validate` and `rollwave crds`, as people run them.

use rollwave::api::{Kind, definition_file, definition_yaml};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn rollwave(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollwave")).args(args).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with the example's cloud, and a release with two mistakes in it.
fn folder_with_mistakes() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let example = root().join("examples/fleet");
    let release = include_str!("release.yaml");
    let wrong =
        release.replace("minSuccess: 95%, confidence", "minSucces: 95%, confidence").replace("2h", "soon");
    std::fs::write(folder.path().join("release.yaml"), wrong).unwrap();
    std::fs::copy(example.join("1-cloud.yaml"), folder.path().join("cloud.yaml")).unwrap();
    folder
}

#[test]
fn good_manifests_end_with_0() {
    let output = rollwave(&root(), &["validate", "examples/fleet/1-cloud.yaml", "examples/fleet"]);
    assert_eq!(text(&output.stdout), "5 objects in 3 files, 0 problems\n");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn a_secret_beside_an_account_is_passed_over_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {accessKey: a}\n---\n";
    let cloud = "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaCloud\nmetadata: {name: lab}\nspec:\n  \
        enos: {endpoint: \"https://enos.example\", orgId: o1}\n  credentials: {secretRef: {name: keys}}\n";
    std::fs::write(folder.path().join("all.yaml"), format!("{secret}{cloud}")).unwrap();
    let output = rollwave(folder.path(), &["validate", "."]);
    assert_eq!(text(&output.stdout), "1 object in 1 file, 0 problems, 1 other document skipped\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn mistakes_are_printed_by_place_and_end_with_1() {
    let folder = folder_with_mistakes();
    let output = rollwave(folder.path(), &["validate", "--quiet", "."]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "1 object in 2 files, 2 problems\n");
    insta::assert_snapshot!(text(&output.stderr), @r##"
    ./release.yaml:18:14: spec.verification.timeout: "soon" is not a duration (try 30m, 24h or 7d)
    ./release.yaml:35:36: spec.stages[0].gates[0].outcome.minSucces: unknown field `minSucces`: did you mean `minSuccess`?
    "##);
}

#[test]
fn a_file_of_a_package_that_is_not_as_it_should_be_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let cloud = "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaCloud\nmetadata: {name: lab}\nspec:\n  \
        enos: {endpoint: \"https://enos.example\", orgId: o1}\n  credentials: {accessKey: env:AK, secretKey: env:SK}\n";
    let package = "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaPackage\nmetadata: {name: p}\nspec:\n  \
        cloudRef: {name: lab}\n  type: Firmware\n  product: {id: em001}\n  version: V2\n  artifact:\n    \
        file: p.bin\n    sha256: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a\n";
    std::fs::create_dir(at("m")).unwrap();
    std::fs::write(at("m/cloud.yaml"), cloud).unwrap();
    std::fs::write(at("m/p.yaml"), package).unwrap();
    let check = |expected: &str| {
        let output = rollwave(folder.path(), &["validate", "m"]);
        assert_eq!(text(&output.stdout), "2 objects in 2 files, 0 problems\n", "{}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(text(&output.stderr), expected);
    };
    let at_the_file = "warning: m/p.yaml:10:5: spec.artifact.file: FOLDER/m/p.bin";
    let at_the_file = at_the_file.replace("FOLDER", &folder.path().display().to_string());
    check(&format!("{at_the_file} cannot be read: No such file or directory (os error 2)\n"));
    std::fs::write(at("m/p.bin"), "").unwrap();
    check(&format!("{at_the_file} is empty\n"));
    std::fs::write(at("m/p.bin"), [2]).unwrap();
    check(&format!(
        "{at_the_file} has the SHA-256 dbc1b4c900ffe48d575b5da5c638040125f65db0fe3e24494b76ea986457d986, expected \
         4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a\n"
    ));
    std::fs::write(at("m/p.bin"), [1]).unwrap();
    check("");
}

#[test]
fn machines_get_json() {
    let folder = folder_with_mistakes();
    let output = rollwave(folder.path(), &["validate", "-o", "json", "release.yaml", "cloud.yaml"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), String::new()));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap(), @r##"
    {
      "files": 2,
      "objects": 1,
      "otherDocuments": 0,
      "problems": [
        {
          "column": 14,
          "file": "release.yaml",
          "line": 18,
          "message": "\"soon\" is not a duration (try 30m, 24h or 7d)",
          "path": "spec.verification.timeout"
        },
        {
          "column": 36,
          "file": "release.yaml",
          "line": 35,
          "message": "unknown field `minSucces`: did you mean `minSuccess`?",
          "path": "spec.stages[0].gates[0].outcome.minSucces"
        }
      ],
      "warnings": []
    }
    "##);
}

#[test]
fn a_path_that_is_not_there_is_wrong_usage() {
    let output = rollwave(&root(), &["validate", "examples/fleet", "examples/flet"]);
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(text(&output.stderr), "error: examples/flet: no such file or folder\n");
}

#[test]
fn definitions_are_printed_or_written() {
    let printed = rollwave(&root(), &["crds"]);
    let all: Vec<String> = Kind::ALL.into_iter().map(definition_yaml).collect();
    assert_eq!((printed.status.code(), text(&printed.stdout)), (Some(0), all.join("---\n")));
    let folder = tempfile::tempdir().unwrap();
    let written = rollwave(folder.path(), &["crds", "--dir", "new/crds"]);
    assert_eq!(written.status.code(), Some(0));
    for kind in Kind::ALL {
        let file = folder.path().join("new/crds").join(definition_file(kind));
        assert_eq!(std::fs::read_to_string(file).unwrap(), definition_yaml(kind));
    }
}
