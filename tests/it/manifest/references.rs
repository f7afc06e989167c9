//! References between manifests, in other files and in other namespaces.

use super::*;

#[test]
fn references_and_names_are_checked_between_files() {
    let astray = RELEASE.replace("packageRef: {name: meter-v2.0}", "packageRef: {name: meter-v20}");
    let elsewhere = RELEASE.replace("metadata:\n", "metadata:\n  namespace: field\n");
    let broken = RELEASE.replace("version: V2.0\n", "version: 2.0\n");
    let shared =
        elsewhere.replace("cloudRef: {name: meters}", "cloudRef: {name: meters, namespace: default}");
    assert_ne!(shared, elsewhere);
    let allowing = format!("{CLOUD}  allowedNamespaces: [field]\n");
    let of_others = shared.replace("namespace: default", "namespace: platform");
    let cases: [&[(&str, &str)]; 8] = [
        &[("cloud.yaml", CLOUD), ("b.yaml", &astray)],
        &[("b.yaml", RELEASE)],
        &[("cloud.yaml", CLOUD), ("field.yaml", &elsewhere)],
        &[("a.yaml", CLOUD), ("b.yaml", RELEASE), ("c.yaml", CLOUD)],
        &[("cloud.yaml", CLOUD), ("b.yaml", &broken)],
        &[("cloud.yaml", CLOUD), ("field.yaml", &shared)],
        &[("cloud.yaml", &allowing), ("field.yaml", &shared)],
        &[("field.yaml", &of_others)],
    ];
    let said = cases.map(|files| {
        let snapshot = snapshot(files);
        let problems = snapshot.problems.iter().map(|problem| format!("{problem}\n"));
        let objects = snapshot.objects.keys().map(|key| format!("+ {key}\n"));
        problems.chain(objects).collect::<String>()
    });
    insta::assert_snapshot!(said.join("--\n"), @r##"
    b.yaml:25:15: spec.packageRef.name: there is no OtaPackage/meter-v20: did you mean `meter-v2.0`?
    + OtaCloud/meters
    + OtaPackage/meter-v2.0
    --
    b.yaml:7:13: spec.cloudRef.name: there is no OtaCloud/meters: create the OtaCloud, or correct the name
    + OtaRollout/meter-v2.0
    --
    field.yaml:8:13: spec.cloudRef.name: there is no OtaCloud/field/meters: create the OtaCloud, or correct the name
    + OtaCloud/meters
    + OtaRollout/field/meter-v2.0
    --
    c.yaml:2:1: metadata.name: duplicate OtaCloud/meters: the other one is at a.yaml:2:1
    + OtaPackage/meter-v2.0
    + OtaRollout/meter-v2.0
    --
    b.yaml:10:12: spec.version: expected text, found the number 2.0: quote it ("2.0")
    + OtaCloud/meters
    + OtaRollout/meter-v2.0
    --
    field.yaml:8:13: spec.cloudRef.namespace: OtaCloud/meters does not allow namespace field: add it to spec.allowedNamespaces of that OtaCloud
    + OtaCloud/meters
    + OtaRollout/field/meter-v2.0
    --
    + OtaCloud/meters
    + OtaPackage/field/meter-v2.0
    + OtaRollout/field/meter-v2.0
    --
    + OtaPackage/field/meter-v2.0
    + OtaRollout/field/meter-v2.0
    "##);
}
