//! Packages of several files (CreateOTAFirmware `MultiFiles`): what is sent, what is read, what is refused.

use super::{client, now, ok, once, package};
use rollwave::cloud::{
    ArtifactRef, Call, Effect, ErrorClass, HeldArtifact, HeldFile, LocalFile, NewArtifact, NewFile,
    NewPackage, Reply, aliyun_iot::sign,
};
use serde_json::{Value, json};

fn file(name: &str, handle: Option<&str>) -> NewFile {
    NewFile {
        name: name.into(),
        file: LocalFile {
            path: format!("{name}.bin").into(),
            root: "".into(),
            sha256: "ab".repeat(32),
            md5: Some("cd".repeat(16)),
            size: (name != "app").then_some(7),
        },
        handle: handle.map(str::to_owned),
    }
}

fn of(files: Vec<NewFile>) -> Call {
    Call::CreatePackage(NewPackage { artifact: NewArtifact::Files(files), ..package() })
}

#[test]
fn each_file_is_sent_with_its_name_address_size_and_digests_and_nothing_of_a_single_one() {
    let client = client("Acs3", &[(200, json!({}))]);
    let parameters = |call: &Call| {
        let request = client.cloud.render(call).unwrap().pop().unwrap();
        let told = |(name, _): &(String, String)| name.contains("File") || name.contains("Firmware");
        let pairs = sign::parse_query(&request.query).into_iter().filter(told);
        let shown = pairs.map(|(name, value)| format!("{name}={value}"));
        shown.collect::<Vec<_>>().join("\n").replace(&"cd".repeat(16), "MD5")
    };
    let uploaded =
        of(vec![file("app", Some("https://oss/1.bin")), file("更新/2", Some("https://oss/2.bin"))]);
    insta::assert_snapshot!(parameters(&uploaded), @"
    FirmwareName=meter-v1_0_a1e72478
    MultiFiles.1.FileMd5=MD5
    MultiFiles.1.Name=app
    MultiFiles.1.SignValue=MD5
    MultiFiles.1.Url=https://oss/1.bin
    MultiFiles.2.FileMd5=MD5
    MultiFiles.2.Name=更新/2
    MultiFiles.2.SignValue=MD5
    MultiFiles.2.Size=7
    MultiFiles.2.Url=https://oss/2.bin
    ");
    let planned = parameters(&of(vec![file("app", None), file("b", None)]));
    assert_eq!(planned.matches("(from GenerateOTAUploadURL)").count(), 2, "{planned}");
}

#[test]
fn limits_of_several_files_are_refused_and_what_is_at_them_passes() {
    let client = client("Acs3", &[(200, json!({}))]);
    let numbered = |count: usize| (0..count).map(|n| file(&n.to_string(), None)).collect::<Vec<_>>();
    let with = |change: &dyn Fn(&mut NewFile)| {
        let mut files = numbered(2);
        change(&mut files[1]);
        of(files)
    };
    for passes in [of(numbered(2)), of(numbered(20)), with(&|file| file.name = "名".repeat(32))] {
        assert!(client.cloud.render(&passes).is_ok(), "{:?}", client.cloud.render(&passes));
    }
    let refused = [
        (of(numbered(1)), "1 files are not 2 to 20"),
        (of(numbered(21)), "21 files are not 2 to 20"),
        (with(&|file| file.name = "0".into()), "a name is used twice"),
        (with(&|file| file.name = "名".repeat(33)), "MultiFiles.Name"),
        (with(&|file| file.name = String::new()), "MultiFiles.Name"),
        (with(&|file| file.file.md5 = None), "is missing"),
        (with(&|file| file.file.path = "a.exe".into()), "does not end in one of"),
        (with(&|file| file.file.size = Some(1_048_576_001)), "more than"),
    ];
    for (call, words) in refused {
        let error = client.cloud.render(&call).unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid);
        assert!(error.to_string().contains(words) && !error.next_step.is_empty(), "{error}");
    }
}

/// Members of QueryOTAFirmware's document: of several files each has its own, and those of a single one are not there.
#[tokio::test]
async fn files_of_a_package_are_read_with_the_digest_that_both_members_agree_on() {
    let of = |more: Value| {
        let mut file = json!({"Name": "app", "Url": "https://oss/a.bin?Expires=1", "Size": 7});
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ok(json!({"FirmwareInfo": {"FirmwareId": "f", "DestVersion": "V2", "ProductKey": "p", "Status": -1,
            "SignMethod": "MD5", "FirmwareSign": null, "MultiFiles": [file, {"Name": "b"}]}}))
    };
    let (one, other) = ("CD".repeat(16), "ef".repeat(16));
    let cases = [
        (json!({"SignValue": one, "FileMd5": one}), Some(one.to_lowercase())),
        (json!({"SignValue": one, "FileMd5": null}), Some(one.to_lowercase())),
        (json!({"FileMd5": one}), Some(one.to_lowercase())),
        (json!({"SignValue": "short", "FileMd5": one}), Some(one.to_lowercase())),
        (json!({"SignValue": other, "FileMd5": one}), None),
        (json!({}), None),
    ];
    for (members, md5) in cases {
        let reply = once(&Call::ShowPackage { id: "f".into() }, 200, of(members.clone())).await.unwrap();
        let Reply::Package(shown) = reply else { panic!("{reply:?}") };
        let first = HeldFile { name: "app".into(), bytes: HeldArtifact { sha256: None, md5, size: Some(7) } };
        let second = HeldFile { name: "b".into(), bytes: HeldArtifact::default() };
        assert_eq!(shown.artifact, Some(ArtifactRef::Files(vec![first, second])), "{members}");
    }
    let created = ok(json!({"Data": {"FirmwareId": "f", "UtcCreate": "2019-11-04T06:22:19.566Z"}}));
    let client = client("Rpc", &[(200, created)]);
    let call = self::of(vec![file("app", Some("https://oss/1")), file("b", Some("https://oss/2"))]);
    let Reply::Package(made) = client.cloud.perform(&call, now()).await.unwrap() else { panic!() };
    let Some(ArtifactRef::Files(files)) = made.artifact else { panic!("{:?}", made.artifact) };
    assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["app", "b"]);
}

/// Each request is a call of its own, so that the account's budget counts it; a plan shows all of them.
#[tokio::test]
async fn a_permit_and_an_upload_are_two_calls_and_a_plan_shows_every_request() {
    let grant =
        ok(json!({"Data": {"FirmwareUrl": "https://oss/a.bin", "Host": "https://oss", "Key": "ota/a.bin",
        "OSSAccessKeyId": "K", "ObjectStorage": "OSS", "Policy": "hunter3", "Signature": "hunter4"}}));
    let client =
        client("Acs3", &[(200, grant), (200, json!({})), (503, json!("<Error><Code>x</Code></Error>"))]);
    let file = file("app", None).file;
    let permit = Call::PermitUpload { package: package().key, file: file.clone() };
    let Reply::Permitted(permit) = client.cloud.perform(&permit, now()).await.unwrap() else { panic!() };
    assert_eq!(client.transport.sent.lock().unwrap().len(), 1, "nothing is uploaded yet");
    let upload = Call::Upload { file, permit };
    assert!(!format!("{upload:?}").contains("hunter"), "{upload:?}");
    let stored = client.cloud.perform(&upload, now()).await;
    assert_eq!(stored, Ok(Reply::Uploaded("https://oss/a.bin".into())));
    let broken = client.cloud.perform(&upload, now()).await.unwrap_err();
    assert_eq!((broken.class, broken.effect), (ErrorClass::Unavailable, Effect::Unknown), "{broken}");
    {
        let sent = client.transport.sent.lock().unwrap();
        assert_eq!((sent.len(), sent[1].origin.as_str()), (3, "https://oss"));
        assert!(sent[1].upload.is_some() && !format!("{:?}", sent[1]).contains("hunter"));
    }

    let Call::CreatePackage(mut planned) = of(vec![self::file("app", None), self::file("b", None)]) else {
        panic!()
    };
    planned.key.module = Some("modem".into());
    let shown = client.cloud.render(&Call::CreatePackage(planned)).unwrap();
    let shown: Vec<String> = shown.iter().map(|request| request.to_string().replace('?', "&")).collect();
    let words = shown.iter().map(|request| {
        let action = request.split('&').find_map(|part| part.strip_prefix("Action="));
        action.map_or_else(|| request.clone(), str::to_owned)
    });
    let (permit, put) = ("GenerateOTAUploadURL", "POST (from GenerateOTAUploadURL)");
    let wanted = ["ListOTAModuleByProduct", permit, put, permit, put, "CreateOTAFirmware"];
    assert_eq!(words.collect::<Vec<_>>(), wanted);
}
