//! A package of several files: each is uploaded and checked by itself, and nothing is created unless all are right.

use super::harness::{Ended, Lab, Process, each};
use rollwave::simulator::Simulator;
use rollwave::simulator::faults::{Kind, When};

const FILES: [(&str, &str); 3] =
    [("app", "app.bin"), ("modem", "radio/modem.tar.gz"), ("boot loader", "boot.pack")];

fn bytes(name: &str) -> Vec<u8> {
    // More than one chunk of what is streamed.
    name.bytes().cycle().take(200_000).collect()
}

fn lab() -> Lab {
    let lab = Lab::of_aliyun("- {count: 20, idPrefix: meter-, product: meter, firmware: V1}", 10);
    fs_err::create_dir_all(lab.manifest("radio")).unwrap();
    for (name, path) in FILES {
        fs_err::write(lab.manifest(path), bytes(name)).unwrap();
    }
    lab
}

fn of_file((name, path): (&str, &str)) -> String {
    use md5::Digest;
    let (sha256, md5) = (sha2::Sha256::digest(bytes(name)), md5::Md5::digest(bytes(name)));
    let (sha256, md5) = (hex::encode(sha256), hex::encode(md5));
    format!("    - {{name: {name}, file: {path}, sha256: {sha256}, md5: {md5}, size: 200000}}\n")
}

fn package(files: &[(&str, &str)]) -> String {
    let files: String = files.iter().map(|file| of_file(*file)).collect();
    format!(
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaPackage\nmetadata: {{name: meter-v2}}\nspec:\n  \
         cloudRef: {{name: lab}}\n  type: Firmware\n  product: {{id: meter}}\n  version: V2\n  artifact:\n    files:\n{files}  \
         verification: {{devices: [meter-0000], timeout: 2h}}\n"
    )
}

const ROLLOUT: &str = "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaRollout\nmetadata: {name: meter-v2}\nspec:\n  \
    packageRef: {name: meter-v2}\n  targets: {all: true}\n  stages: [{name: rest, select: {rest: true}}]\n";

fn in_sync(lab: &Lab) -> (String, String) {
    let found = lab.get(&["package/meter-v2"]);
    let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let in_sync = conditions.iter().find(|condition| condition["type"] == "InSync").cloned();
    let in_sync = in_sync.unwrap_or_default();
    (in_sync["status"].as_str().unwrap_or_default().to_owned(), found["status"]["message"].to_string())
}

#[test]
fn files_are_uploaded_once_each_verified_and_rolled_out_as_one_package() {
    let lab = lab();
    lab.write("package.yaml", &package(&FILES));
    lab.write("rollout.yaml", ROLLOUT);
    let planned = Ended::of(&mut lab.rollwave(&["plan", "fleet"]));
    assert!(planned.out.contains("MultiFiles.3.Name=boot%20loader"), "{}", planned.said());
    lab.converge();
    assert_eq!((lab.packages().len(), lab.sent().len()), (1, 20));
    assert!(["meter-0000", "meter-0019"].iter().all(|id| lab.firmware(id).as_deref() == Some("V2")));
    assert_eq!((lab.calls("PostObject"), lab.calls("CreateOTAFirmware")), (3, 1));

    // What the cloud says of them is compared; another order is the same package.
    lab.cloud(Simulator::reset_counters);
    lab.write("package.yaml", &package(&[FILES[2], FILES[0], FILES[1]]));
    lab.converge();
    assert_eq!(in_sync(&lab).0, "True", "{:?}", in_sync(&lab));
    assert_eq!((lab.calls("PostObject"), lab.calls("QueryOTAFirmware")), (0, 1));
}

#[test]
fn other_files_than_those_of_the_cloud_are_told_by_their_names() {
    let lab = lab();
    lab.write("package.yaml", &package(&FILES));
    lab.converge();
    let (app, modem) = (of_file(FILES[0]), of_file(FILES[1]));
    let digest = |line: &str| line.split("md5: ").nth(1).map(|rest| rest[..32].to_owned()).unwrap();
    let other_bytes = package(&FILES).replace(&digest(&app), &digest(&modem));
    let cases = [
        (
            package(&FILES[..2]),
            r#"artifact.files is \"app, boot loader, modem\" in the cloud, \"app, modem\" in the spec"#,
        ),
        (other_bytes, "artifact.files[app].md5 is"),
    ];
    for (manifest, words) in cases {
        lab.write("package.yaml", &manifest);
        let ended = lab.apply();
        assert_ne!(ended.code, Some(0), "{}", ended.said());
        let (status, message) = in_sync(&lab);
        assert!(status == "False" && message.contains(words), "{words}: {message}");
    }
    assert_eq!((lab.packages().len(), lab.calls("PostObject")), (1, 3));
}

#[test]
fn a_wrong_file_breaks_off_and_nothing_is_created() {
    type Damage = fn(&Lab);
    let cases: [(&str, Damage); 4] = [
        ("modem.tar.gz has the SHA-256", |lab| {
            fs_err::write(lab.manifest("radio/modem.tar.gz"), bytes("other")).unwrap();
        }),
        ("boot.pack has the SHA-256", |lab| {
            fs_err::write(lab.manifest("boot.pack"), bytes("app")).unwrap();
        }),
        ("boot.pack has 5 bytes, expected 200000", |lab| {
            fs_err::write(lab.manifest("boot.pack"), b"short").unwrap();
        }),
        ("app.bin cannot be read", |lab| fs_err::remove_file(lab.manifest("app.bin")).unwrap()),
    ];
    each(&cases, |(words, damage)| {
        let lab = lab();
        lab.write("package.yaml", &package(&FILES));
        damage(&lab);
        let ended = Ended::of(&mut lab.verb("apply", &["--wait", "--timeout", "5s"]));
        assert_ne!(ended.code, Some(0), "{words}: {}", ended.said());
        lab.assert_stopped_by_its_file("package/meter-v2", words);
        assert_eq!((lab.packages().len(), lab.calls("CreateOTAFirmware")), (0, 0), "{words}");
        assert!(lab.all_calls() < 60, "{words}: {} calls in ten minutes", lab.all_calls());
        let process = Process::start(&mut lab.verb("run", &[]));
        for (name, path) in FILES {
            fs_err::write(lab.manifest(path), bytes(name)).unwrap();
        }
        lab.until("the right files are uploaded", || lab.packages().len() == 1);
        drop(process);
    });
}

#[test]
fn a_lost_answer_or_a_death_between_two_files_makes_one_package() {
    let faults = [Kind::Reset { when: When::After }, Kind::Error { status: 500, when: When::After }];
    each(&faults, |fault| {
        let lab = lab();
        lab.write("package.yaml", &package(&FILES));
        lab.fault("CreateOTAFirmware", Some(1), *fault);
        lab.fault("GenerateOTAUploadURL", Some(1), *fault);
        let died = Ended::of(lab.verb("apply", &["--wait"]).env("ROLLWAVE_CRASH_AT", "Upload.after"));
        assert_eq!((died.signal, lab.packages().len()), (Some(9), 0), "{}", died.said());
        lab.converge();
        assert_eq!((lab.packages().len(), in_sync(&lab).0.as_str()), (1, "True"), "{fault:?}");
        assert_eq!(lab.calls("CreateOTAFirmware"), 1, "{fault:?}");
    });
}

#[test]
fn what_the_cloud_cannot_do_with_files_is_refused_with_what_to_use_instead() {
    let by_mqtt = "  delivery: {downloadProtocol: Mqtt}\n";
    let verified_by_mqtt =
        package(&FILES).replace("timeout: 2h}", "timeout: 2h, delivery: {downloadProtocol: Mqtt}}");
    let no_md5 = package(&FILES).replacen(", md5: ", ", size: 200000} #", 2).replacen(
        ", size: 200000} #",
        ", md5: ",
        1,
    );
    let cases = [
        (package(&FILES), format!("{ROLLOUT}{by_mqtt}"), "several files by HTTPS only"),
        (verified_by_mqtt, String::new(), "several files by HTTPS only"),
        (no_md5, String::new(), "spec.artifact.files[1].md5: is missing"),
    ];
    each(&cases, |(package, rollout, words)| {
        let lab = lab();
        lab.write("package.yaml", package);
        if !rollout.is_empty() {
            lab.write("rollout.yaml", rollout);
        }
        let ended = lab.apply();
        assert!(ended.said().contains(words), "{words}: {}", ended.said());
        assert_eq!((lab.packages().len(), lab.all_calls()), (0, 0));
    });
}
