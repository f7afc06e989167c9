"""The official IoTDA SDK against `rollwave simulate`.

usage: iotda.py PROGRAM   starts PROGRAM simulate with iotda-world.yaml
       iotda.py URL       uses a simulator that runs this world already

Prints one line a check and a last line `N passed, M failed`; the exit code is 1 when a check failed.
"""

import json
import time
import urllib.error
import urllib.request

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException, ServiceResponseException
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkiotda.v5 import *

import harness
from harness import check, equal

PROJECT = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
NARROW = "11111111111111111111111111111111"
SIGN = "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdefABCD"
MARKER = "f" * 24


def refused(name, status, code, call, *args):
    """The call is refused with this status, and this code unless it is None."""
    try:
        answer = call(*args)
    except ServiceResponseException as error:
        fits = error.status_code == status and code in (None, error.error_code)
        check(name, fits and error.request_id, f"{error.status_code} {error.error_code} {error.error_msg}")
        return error
    check(name, False, f"was accepted: {answer}")


def admin(url, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/_rollwave/{path}", data=data, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def client(url, project=PROJECT, key="MAINACCESSKEY", secret="main-secret-key", derived=True, token=None):
    credentials = BasicCredentials(key, secret, project)
    if token:
        credentials = credentials.with_security_token(token)
    if derived:
        credentials = credentials.with_derived_predicate(BasicCredentials.get_default_derived_predicate())
    builder = IoTDAClient.new_builder().with_credentials(credentials)
    return builder.with_region(Region("cn-north-4", url)).build()


def package(version, kind="firmwarePackage", product="meter", **other):
    location = dict(region_name="cn-north-4", bucket_name="ota-bucket", object_key="fw/image.bin", sign=SIGN)
    location.update(other.pop("location", {}))
    fields = dict(app_id="app-main", package_type=kind, product_id=product, version=version)
    fields.update(other)
    where = FileLocation(obs_location=ObsLocation(**location))
    return CreateOtaPackageRequest(body=CreateOtaPackage(file_location=where, **fields))


def task(name, package_id, targets=None, **other):
    fields = dict(app_id="app-main", task_name=name, task_type="firmwareUpgrade", targets=targets)
    fields["document"] = {"package_ids": [package_id]}
    fields.update(other)
    return CreateBatchTaskRequest(body=CreateBatchTask(**fields))


def authentication(url):
    request = ListOtaPackageInfoRequest(package_type="firmwarePackage")
    v11 = client(url).list_ota_package_info(request)
    equal("V11-HMAC-SHA256 is accepted", v11.status_code, 200)
    equal("an empty list has no rows", (v11.packages, v11.page.count), ([], 0))
    equal("SDK-HMAC-SHA256 is accepted", client(url, derived=False).list_ota_package_info(request).status_code, 200)
    wrong = [
        ("an unknown key", client(url, key="NOBODY")),
        ("a wrong secret", client(url, secret="wrong")),
        ("a wrong secret with SDK-HMAC", client(url, secret="wrong", derived=False)),
        ("a security token that is not the key's", client(url, token="another")),
        ("a temporary key without its token", client(url, NARROW, "NARROWACCESSKEY", "narrow-secret-key")),
        ("SDK-HMAC at an instance that takes V11",
         client(url, NARROW, "NARROWACCESSKEY", "narrow-secret-key", False, "narrow-security-token")),
    ]
    for name, who in wrong:
        refused(f"{name} is refused", 401, "IOTDA.000002", who.list_ota_package_info, request)
    refused("another's project is refused", 403, None, client(url, NARROW).list_ota_package_info, request)
    narrow = client(url, NARROW, "NARROWACCESSKEY", "narrow-secret-key", token="narrow-security-token")
    request.instance_id = "instance-narrow"
    equal("a temporary key with its token is accepted", narrow.list_ota_package_info(request).status_code, 200)
    request.instance_id = "instance-other"
    refused("another instance is refused", 403, None, narrow.list_ota_package_info, request)
    tokens(url)


def tokens(url):
    def send(path, body=None, headers=None):
        request = urllib.request.Request(url + path, data=body and json.dumps(body).encode(), headers=headers or {})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.headers, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.load(error)

    user = {"name": "operator", "password": "operator-password", "domain": {"name": "main-domain"}}
    identity = {"methods": ["password"], "password": {"user": user}}
    body = {"auth": {"identity": identity, "scope": {"project": {"name": "cn-north-4"}}}}
    status, headers, answer = send("/v3/auth/tokens", body)
    equal("a token is created", (status, answer["token"]["project"]["id"]), (201, PROJECT))
    path = f"/v5/iot/{PROJECT}/ota-upgrades/packages?package_type=firmwarePackage"
    token = headers["X-Subject-Token"]
    equal("a token is accepted", send(path, headers={"X-Auth-Token": token})[0], 200)
    equal("a wrong token is refused", send(path, headers={"X-Auth-Token": "x"})[0], 401)
    admin(url, "POST", "faults", {"kind": "expireTokens"})
    status, _, answer = send(path, headers={"X-Auth-Token": token})
    equal("an expired token is refused", (status, answer["error_code"]), (401, "IOTDA.000002"))
    user["password"] = "wrong"
    equal("a wrong password is refused", send("/v3/auth/tokens", body)[0], 401)
    status, headers, answer = send(f"/v5/iot/{PROJECT}/nothing")
    equal("an unknown path is the gateway's", (status, answer["error_code"]), (404, "APIGW.0101"))


def packages(url, sdk):
    every = dict(support_source_versions=["V1.0", "V1.1"], description="修复 bug", custom_info="{\"a\":1}")
    made = sdk.create_ota_package(package("V2.0", **every))
    equal("a package is created with 201", made.status_code, 201)
    check("package_id has 32 hex digits", len(made.package_id) == 32 and int(made.package_id, 16) >= 0, made.package_id)
    seen = sdk.show_ota_package(ShowOtaPackageRequest(package_id=made.package_id))
    equal("show answers what create answered", seen.to_dict(), made.to_dict())
    kept = {name: getattr(seen, name) for name in every}
    equal("optional fields are kept", kept, every)
    equal("product_name is the product's", seen.product_name, "Water meter")
    equal("file_location is kept", seen.file_location.obs_location.sign, SIGN)
    listed = sdk.list_ota_package_info(ListOtaPackageInfoRequest(package_type="firmwarePackage", version="V2.0"))
    equal("the list filters by version", [row.package_id for row in listed.packages], [made.package_id])
    equal("page.count counts the filtered rows", listed.page.count, 1)
    check("marker is no package_id", len(listed.page.marker) == 24 and listed.page.marker not in made.package_id)
    refused("a duplicate is refused", 403, None, sdk.create_ota_package, package("V2.0"))
    software = sdk.create_ota_package(package("V2.0", kind="softwarePackage"))
    equal("another type is no duplicate", software.status_code, 201)
    gone = sdk.delete_ota_package(DeleteOtaPackageRequest(package_id=software.package_id))
    equal("a package is deleted with 204", gone.status_code, 204)
    refused("a deleted package is gone", 404, None, sdk.show_ota_package,
            ShowOtaPackageRequest(package_id=software.package_id))
    refused("deleting it again is refused", 404, None, sdk.delete_ota_package,
            DeleteOtaPackageRequest(package_id=software.package_id))
    invalid_packages(sdk)
    return made.package_id


def invalid_packages(sdk):
    cases = [
        ("a version over 256 characters", dict(version="v" * 257)),
        ("a version with a blank", dict(version="V 1")),
        ("21 source versions", dict(version="V", support_source_versions=["V%d" % i for i in range(21)])),
        ("a source version with a slash", dict(version="V", support_source_versions=["a/b"])),
        ("another package_type", dict(version="V", kind="diskPackage")),
        ("a product_id with a dot", dict(version="V", product="a.b")),
        ("a description over 1024 characters", dict(version="V", description="x" * 1025)),
        ("custom_info over 4096 characters", dict(version="V", custom_info="x" * 4097)),
        ("a module_name without modulePackage", dict(version="V", module_name="m")),
        ("a bucket of two characters", dict(version="V", location=dict(bucket_name="ab"))),
        ("a bucket in capitals", dict(version="V", location=dict(bucket_name="BUCKET"))),
        ("a region with an underscore", dict(version="V", location=dict(region_name="cn_north"))),
        ("an object with another ending", dict(version="V", location=dict(object_key="image.txt"))),
        ("an object key over 1024 characters", dict(version="V", location=dict(object_key="x" * 1024 + ".bin"))),
        ("a sign of 63 digits", dict(version="V", location=dict(sign="a" * 63))),
        ("another sign_method", dict(version="V", location=dict(sign_method="MD5"))),
        ("no app_id", dict(version="V", app_id=None)),
        ("no object_key", dict(version="V", location=dict(object_key=None))),
    ]
    for name, fields in cases:
        refused(f"{name} is refused", 400, "IOTDA.000006", sdk.create_ota_package, package(**fields))
    refused("an unknown app_id is refused", 403, "IOTDA.001000", sdk.create_ota_package, package("V", app_id="other"))
    refused("an unknown product is refused", 403, None, sdk.create_ota_package, package("V", product="other"))


def paging(sdk):
    for i in range(620):
        sdk.create_ota_package(package(f"P{i:04}", kind="softwarePackage", product="valve"))

    def page(**query):
        request = ListOtaPackageInfoRequest(package_type="softwarePackage", product_id="valve", **query)
        answer = sdk.list_ota_package_info(request)
        return [row.version for row in answer.packages], answer.page

    newest_first = [f"P{i:04}" for i in reversed(range(620))]
    rows, first = page()
    equal("the default limit is 10, newest first", rows, newest_first[:10])
    equal("page.count is the whole list", first.count, 620)
    walked, marker = [], None
    while True:
        rows, at = page(limit=50, marker=marker)
        walked, marker = walked + rows, at.marker
        if len(rows) < 50:
            break
    equal("all are found by marker", walked, newest_first)
    walked = []
    for offset in range(0, 501, 50):
        rows, last = page(limit=50, offset=offset)
        walked += rows
    equal("pages 1 to 11 are found by offset", walked, newest_first[:550])
    equal("page 12 begins at the marker of page 11", page(limit=50, marker=last.marker)[0], newest_first[550:600])
    equal("offset counts from the marker", page(limit=5, offset=60, marker=last.marker)[0], newest_first[610:615])
    equal("a page behind the end is empty", page(limit=50, offset=500, marker=last.marker)[0], [])
    for name, code, query in [
        ("limit 0", "IOTDA.000017", dict(limit=0)),
        ("limit 51", "IOTDA.000017", dict(limit=51)),
        ("a marker of 23 digits", "IOTDA.000018", dict(marker="f" * 23)),
        ("a marker that is not hex", "IOTDA.000018", dict(marker="g" * 24)),
        ("offset 501", "IOTDA.000006", dict(offset=501)),
    ]:
        refused(f"{name} is refused", 400, code, page_call(sdk), query)
    refused("a list without package_type is refused", 400, "IOTDA.000006", sdk.list_ota_package_info,
            ListOtaPackageInfoRequest())


def page_call(sdk):
    return lambda query: sdk.list_ota_package_info(ListOtaPackageInfoRequest(package_type="softwarePackage", **query))


def show(sdk, task_id, **query):
    return sdk.show_batch_task(ShowBatchTaskRequest(task_id=task_id, **query))


def counts(answer):
    progress = answer.to_dict()["task_progress"]
    return {name: number for name, number in progress.items() if number}


def step(url, seconds):
    admin(url, "POST", "time/step", {"seconds": seconds})


def tasks(url, sdk, good):
    targets = [f"m-{i:04}" for i in range(60)]
    made = sdk.create_batch_task(task("wave_1_发布", good, targets, task_ext_info={"a": "b"}))
    equal("a task is created with 201", made.status_code, 201)
    equal("a new task is Initializing", (made.status, counts(made)), ("Initializing", {"total": 60, "waitting": 60}))
    refused("a package in use cannot be deleted", 403, None, sdk.delete_ota_package,
            DeleteOtaPackageRequest(package_id=good))
    refused("a task that runs cannot be deleted", 403, None, sdk.delete_batch_task,
            DeleteBatchTaskRequest(task_id=made.task_id))
    step(url, 30)
    equal("then it is Processing", show(sdk, made.task_id).batchtask.status, "Processing")
    step(url, 600)
    seen = show(sdk, made.task_id, limit=50)
    equal("then Success", (seen.batchtask.status, counts(seen.batchtask)), ("Success", {"total": 60, "success": 60}))
    equal("paging is that of task_details", (len(seen.task_details), seen.page.count), (50, 60))
    rest = show(sdk, made.task_id, limit=50, marker=seen.page.marker)
    both = [detail.target for detail in seen.task_details + rest.task_details]
    equal("task_details page through all targets", sorted(both), targets)
    one = show(sdk, made.task_id, target="m-0007", task_detail_status="Success")
    equal("task_details filter by target and status", [one.task_details[0].target, one.page.count], ["m-0007", 1])
    equal("other statuses filter it out", show(sdk, made.task_id, task_detail_status="Fail").task_details, [])
    listed = sdk.list_batch_tasks(ListBatchTasksRequest(task_type="firmwareUpgrade", status="Success"))
    equal("the list finds it", [(row.task_id, row.task_name) for row in listed.batchtasks],
          [(made.task_id, "wave_1_发布")])
    device = sdk.show_device(ShowDeviceRequest(device_id="m-0007"))
    equal("the device reports the version", device.fw_version, "V2.0")
    for order, request in [(sdk.stop_batch_task, StopBatchTaskRequest), (sdk.retry_batch_task, RetryBatchTaskRequest)]:
        refused(f"{order.__name__} of a finished task is refused", 403, None, order,
                request(task_id=made.task_id, body=BatchTargets()))
    again = sdk.create_batch_task(task("again", good, ["m-0007"]))
    step(url, 60)
    detail = show(sdk, again.task_id).task_details[0]
    equal("the same version is a Success without a push", (detail.status, detail.output),
          ("Success", "The current version is the same as the target version"))
    equal("a finished task is deleted with 204",
          sdk.delete_batch_task(DeleteBatchTaskRequest(task_id=again.task_id)).status_code, 204)
    refused("a deleted task is gone", 404, None, show, sdk, again.task_id)
    retry_and_stop(url, sdk)
    special(url, sdk, good)
    invalid_tasks(sdk, good)


def retry_and_stop(url, sdk):
    bad = sdk.create_ota_package(package("BAD")).package_id
    made = sdk.create_batch_task(task("bad", bad, ["m-0100", "m-0101", "unknown"]))
    step(url, 600)
    seen = show(sdk, made.task_id)
    equal("all failed: Fail", (seen.batchtask.status, counts(seen.batchtask)), ("Fail", {"total": 3, "fail": 3}))
    errors = {detail.target: detail.error.error_msg for detail in seen.task_details}
    equal("a failure has its text", errors["m-0100"], "Firmware update failed")
    request = RetryBatchTaskRequest(task_id=made.task_id, body=BatchTargets(targets=["m-0100", "m-0001"]))
    results = {result.target: result for result in sdk.retry_batch_task(request).targets}
    equal("retry takes a failed target", results["m-0100"].status, "success")
    equal("and refuses a stranger inside a 200", (results["m-0001"].status, results["m-0001"].error_code),
          ("failure", "IOTDA.014219"))
    equal("a retried task is Processing", show(sdk, made.task_id).batchtask.status, "Processing")
    step(url, 600)
    equal("then PartialSuccess", counts(show(sdk, made.task_id).batchtask), {"total": 3, "success": 1, "fail": 2})
    everything = RetryBatchTaskRequest(task_id=made.task_id, body=BatchTargets())
    equal("retry without targets takes all failed ones", len(sdk.retry_batch_task(everything).targets), 2)
    slow = sdk.create_ota_package(package("SLOW")).package_id
    policy = TaskPolicy(retry_count=2, retry_interval=5)
    made = sdk.create_batch_task(task("slow", slow, ["m-0110", "m-0111", "m-0112", "unknown"], task_policy=policy))
    step(url, 60)
    equal("a failure waits for its retry", counts(show(sdk, made.task_id).batchtask),
          {"total": 4, "processing": 3, "fail_wait_retry": 1})
    rival = sdk.create_batch_task(task("rival", slow, ["m-0110"]))
    step(url, 60)
    equal("a second task for the device fails", show(sdk, rival.task_id).task_details[0].error.error_msg,
          "Task Conflict")
    one = StopBatchTaskRequest(task_id=made.task_id, body=BatchTargets(targets=["m-0110"]))
    equal("one target is stopped", sdk.stop_batch_task(one).targets[0].status, "success")
    equal("once only", sdk.stop_batch_task(one).targets[0].error_code, "IOTDA.014219")
    whole = StopBatchTaskRequest(task_id=made.task_id, body=BatchTargets())
    equal("the rest is stopped", len(sdk.stop_batch_task(whole).targets), 3)
    equal("it is Stopping", show(sdk, made.task_id).batchtask.status, "Stopping")
    refused("a task that stops cannot be stopped", 403, None, sdk.stop_batch_task, whole)
    step(url, 60)
    seen = show(sdk, made.task_id).batchtask
    equal("then Stopped", (seen.status, counts(seen)), ("Stopped", {"total": 4, "stopped": 4}))
    too_many = BatchTargets(targets=[f"m-{i:04}" for i in range(101)])
    refused("101 targets of an order are refused", 400, "IOTDA.000006", sdk.stop_batch_task,
            StopBatchTaskRequest(task_id=made.task_id, body=too_many))


def special(url, sdk, good):
    made = sdk.create_batch_task(task("confirmed", good, ["m-0061", "m-0062"], need_confirm=True))
    step(url, 600)
    seen = show(sdk, made.task_id).batchtask
    equal("need_confirm waits", (seen.status, counts(seen)), ("Waitting", {"total": 2, "waitting": 2}))
    request = ConfirmBatchTaskRequest(task_id=made.task_id, body=BatchTargets(targets=["m-0061"]))
    equal("one is confirmed", sdk.confirm_batch_task(request).targets[0].status, "success")
    step(url, 600)
    equal("it succeeds, the other waits", counts(show(sdk, made.task_id).batchtask),
          {"total": 2, "success": 1, "waitting": 1})
    sdk.confirm_batch_task(ConfirmBatchTaskRequest(task_id=made.task_id, body=BatchTargets()))
    step(url, 600)
    equal("then all succeed", show(sdk, made.task_id).batchtask.status, "Success")
    now = time.strptime(admin(url, "GET", "time")["fleet"][:19], "%Y-%m-%dT%H:%M:%S")
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.mktime(now) - time.timezone + 3600))
    made = sdk.create_batch_task(task("later", good, ["m-0063"], task_policy=TaskPolicy(schedule_time=at)))
    step(url, 1800)
    equal("schedule_time is waited for", show(sdk, made.task_id).batchtask.status, "Waitting")
    step(url, 3600)
    equal("and kept", show(sdk, made.task_id).batchtask.status, "Success")
    made = sdk.create_batch_task(task("offline", good, ["cellar"]))
    step(url, 24 * 3600)
    equal("an offline device is waited for", show(sdk, made.task_id).task_details[0].status, "Waitting")
    step(url, 2 * 3600)
    equal("for 25 hours", show(sdk, made.task_id).task_details[0].error.error_msg,
          "Waiting for the device online timeout")
    old = sdk.create_batch_task(task("old_key", good, ["m-0064"], document={"package_id": good}))
    group = sdk.list_device_groups(ListDeviceGroupsRequest(name="field")).device_groups[0].group_id
    by_group = sdk.create_batch_task(task("by_group", good, targets_filter={"group_ids": [group]}))
    equal("targets_filter takes groups", by_group.task_progress.total, 120)
    equal("document takes package_id, too", old.status_code, 201)
    step(url, 3600)


def invalid_tasks(sdk, good):
    cases = [
        ("a task name with a hyphen", dict(name="a-b")),
        ("a task name over 128 characters", dict(name="a" * 129)),
        ("no targets", dict(targets=None)),
        ("30,001 targets", dict(targets=[f"d{i}" for i in range(30001)])),
        ("a target with a dot", dict(targets=["a.b"])),
        ("no document", dict(document=None)),
        ("an unknown package", dict(package_id="f" * 32)),
        ("another task_type", dict(task_type="diskUpgrade")),
        ("another task_mode", dict(task_mode="DEVICE")),
        ("a package of the other type", dict(task_type="softwareUpgrade")),
        ("retry_count without retry_interval", dict(task_policy=TaskPolicy(retry_count=1))),
        ("retry_count 6", dict(task_policy=TaskPolicy(retry_count=6, retry_interval=1))),
        ("retry_interval 1441", dict(task_policy=TaskPolicy(retry_count=1, retry_interval=1441))),
        ("schedule_time in more than 7 days", dict(task_policy=TaskPolicy(schedule_time="20991231T000000Z"))),
        ("task_ext_info over 512 characters", dict(task_ext_info={"a": "x" * 512})),
        ("an unknown group", dict(targets=None, targets_filter={"group_ids": ["abc"]})),
    ]
    for name, fields in cases:
        fields = {"name": "task", "package_id": good, "targets": ["m-0001"], **fields}
        refused(f"{name} is refused", 400, "IOTDA.000006", sdk.create_batch_task, task(**fields))
    refused("a schedule_time of another form is refused", 400, "IOTDA.000009", sdk.create_batch_task,
            task("t", good, ["m-0001"], task_policy=TaskPolicy(schedule_time="2024-01-01")))
    refused("a list without task_type is refused", 400, "IOTDA.000006", sdk.list_batch_tasks, ListBatchTasksRequest())
    big = [f"device-with-a-long-name-{i:05}" for i in range(30000)]
    equal("30,000 targets are taken", sdk.create_batch_task(task("big", good, big)).task_progress.total, 30000)


def devices(sdk):
    made = sdk.add_device(AddDeviceRequest(body=AddDevice(node_id="node-1", product_id="valve", device_name="Ventil")))
    equal("a device is created with 201", (made.status_code, made.device_id), (201, "valve_node-1"))
    equal("a new device is INACTIVE", made.status, "INACTIVE")
    refused("its id is taken", 403, "IOTDA.014115", sdk.add_device,
            AddDeviceRequest(body=AddDevice(node_id="node-1", product_id="valve")))
    listed = sdk.list_devices(ListDevicesRequest(product_id="valve", limit=1, offset=1))
    equal("devices are listed, newest first", ([row.device_id for row in listed.devices], listed.page.count),
          (["valve-1"], 2))
    by_node = sdk.list_devices(ListDevicesRequest(node_id="node-1"))
    equal("devices filter by node_id", [row.device_name for row in by_node.devices], ["Ventil"])
    shadow = sdk.show_device_shadow(ShowDeviceShadowRequest(device_id="m-0001"))
    equal("the shadow has no versions", (shadow.device_id, shadow.shadow), ("m-0001", []))
    equal("a device is deleted with 204",
          sdk.delete_device(DeleteDeviceRequest(device_id=made.device_id)).status_code, 204)
    refused("a deleted device is gone", 404, "IOTDA.014000", sdk.show_device,
            ShowDeviceRequest(device_id=made.device_id))


def groups(sdk):
    made = sdk.add_device_group(AddDeviceGroupRequest(body=AddDeviceGroupDTO(name="canary", description="first")))
    equal("a group is created with 201", (made.status_code, made.group_type), (201, "static"))
    refused("its name is taken", 403, None, sdk.add_device_group,
            AddDeviceGroupRequest(body=AddDeviceGroupDTO(name="canary")))
    for device in ["m-0001", "m-0002", "m-0003"]:
        sdk.create_or_delete_device_in_group(CreateOrDeleteDeviceInGroupRequest(
            group_id=made.group_id, action_id="addDevice", device_id=device))
    sdk.create_or_delete_device_in_group(CreateOrDeleteDeviceInGroupRequest(
        group_id=made.group_id, action_id="removeDevice", device_id="m-0002"))
    members = sdk.show_devices_in_group(ShowDevicesInGroupRequest(group_id=made.group_id))
    equal("members come and go", [row.device_id for row in members.devices], ["m-0003", "m-0001"])
    of_device = sdk.list_device_groups_by_device(ListDeviceGroupsByDeviceRequest(device_id="m-0001"))
    equal("a device knows its groups", sorted(row.name for row in of_device.device_groups), ["canary", "field"])
    sdk.update_device_group(UpdateDeviceGroupRequest(
        group_id=made.group_id, body=UpdateDeviceGroupDTO(name="canary 2")))
    equal("a group is renamed", sdk.show_device_group(ShowDeviceGroupRequest(group_id=made.group_id)).name, "canary 2")
    rule = AddDeviceGroupDTO(name="south", group_type="dynamic", dynamic_group_rule="tag_key='site' and tag_value='south'")
    dynamic = sdk.add_device_group(AddDeviceGroupRequest(body=rule))
    members = sdk.show_devices_in_group(ShowDevicesInGroupRequest(group_id=dynamic.group_id))
    equal("a dynamic group follows its rule", [row.device_id for row in members.devices], ["cellar"])
    listed = sdk.list_device_groups(ListDeviceGroupsRequest(group_type="dynamic"))
    equal("groups filter by type", [row.name for row in listed.device_groups], ["south"])
    gone = sdk.delete_device_group(DeleteDeviceGroupRequest(group_id=made.group_id))
    equal("a group is deleted with 204", gone.status_code, 204)
    refused("a deleted group is gone", 404, None, sdk.show_device_group, ShowDeviceGroupRequest(group_id=made.group_id))


def tags(sdk):
    def bind(device, **tags):
        pairs = [TagV5DTO(tag_key=key, tag_value=value) for key, value in tags.items()]
        body = BindTagsDTO(resource_type="device", resource_id=device, tags=pairs)
        return sdk.tag_device(TagDeviceRequest(body=body))

    def tagged(*pairs, **page):
        tags = [TagV5DTO(tag_key=key, tag_value=value) for key, value in pairs]
        body = QueryResourceByTagsDTO(resource_type="device", tags=tags)
        answer = sdk.list_resources_by_tags(ListResourcesByTagsRequest(body=body, **page))
        return [row.resource_id for row in answer.resources], answer.page.count

    equal("a tag is bound", bind("m-0001", ring="canary").status_code, 200)
    equal("and found", tagged(("ring", "canary")), (["m-0001"], 1))
    equal("several tags are alternatives", tagged(("ring", "canary"), ("site", "south")), (["cellar", "m-0001"], 2))
    equal("the query pages", tagged(("site", "north"), limit=2, offset=1), (["m-0118", "m-0117"], 120))
    bind("m-0001", ring="all")
    equal("binding again replaces", tagged(("ring", "canary")), ([], 0))
    refused("an eleventh tag is refused", 400, None, lambda: bind("m-0001", **{f"t{i}": "x" for i in range(9)}))
    refused("the prefix iot_ is reserved", 400, None, lambda: bind("m-0001", iot_a="x"))
    unbind = UnbindTagsDTO(resource_type="device", resource_id="m-0001", tag_keys=["ring"])
    equal("a tag is unbound", sdk.untag_device(UntagDeviceRequest(body=unbind)).status_code, 200)
    refused("once only", 400, None, sdk.untag_device, UntagDeviceRequest(body=unbind))


def searches(sdk):
    def search(sql):
        time.sleep(1.05)  # documented: one search a second and account
        return sdk.search_devices(SearchDevicesRequest(body=SearchSql(sql=sql)))

    def ids(sql):
        return [row.device_id for row in search(sql).devices]

    base = "select * from device where product_id = 'meter'"
    equal("search: order and limit", ids(f"{base} order by marker asc limit 1,2"), ["m-0001", "m-0002"])
    equal("search: descending", ids(f"{base} order by marker desc limit 1"), ["cellar"])
    equal("search: the default limit is 10", len(ids(base)), 10)
    equal("search: count(*)", search("select count(*) from device where device_name like 'm-00%'").count, 100)
    equal("search: in", sorted(ids("select * from device where device_id in ('m-0001','m-0002')")),
          ["m-0001", "m-0002"])
    equal("search: tags and not equal", ids(f"{base} and tag_key='site' and tag_value!='north'"), ["cellar"])
    equal("search: status", ids("select * from device where status='OFFLINE'"), ["cellar"])
    six = " and ".join(["product_id='meter'"] * 6)
    for name, sql in [
        ("six conditions", f"select * from device where {six}"),
        ("a nested condition", "select * from device where (product_id='meter')"),
        ("like with three characters", "select * from device where node_id like 'm-0%'"),
        ("greater than on a version", "select * from device where fw_version > 'V1'"),
        ("in on a tag", "select * from device where tag_key in ('a')"),
        ("limit 51", "select * from device limit 51"),
        ("another field", "select * from device where colour='red'"),
        ("over 400 characters", f"{base} and device_name='{'x' * 400}'"),
    ]:
        refused(f"search: {name} is refused", 400, "IOTDA.000006", search, sql)
    refused("search: a second one within a second is throttled", 429, "APIGW.0308",
            sdk.search_devices, SearchDevicesRequest(body=SearchSql(sql=base)))


def throttling(url, sdk):
    narrow = client(url, NARROW, "NARROWACCESSKEY", "narrow-secret-key", token="narrow-security-token")
    body = AddDeviceGroupDTO(name="x" * 65)

    def burst():
        for _ in range(30):
            try:
                narrow.add_device_group(AddDeviceGroupRequest(body=body))
            except ClientRequestException as error:
                if error.status_code != 400:
                    raise

    error = refused("an account over its limit is throttled", 429, "APIGW.0308", burst)
    check("with the gateway's words", error and "over ratelimit,limit:300,time:1 minute" in error.error_msg,
          error and error.error_msg)
    admin(url, "POST", "faults", {"kind": "throttle", "seconds": 60})
    # A POST: for a GET the SDK loses the body of a 429.
    refused("a storm throttles everybody", 429, "APIGW.0308", sdk.add_device_group, AddDeviceGroupRequest(body=body))
    admin(url, "DELETE", "faults")
    equal("and passes", sdk.list_devices(ListDevicesRequest(limit=1)).status_code, 200)


def run(url):
    sdk = client(url)
    authentication(url)
    good = packages(url, sdk)
    paging(sdk)
    tasks(url, sdk, good)
    devices(sdk)
    groups(sdk)
    tags(sdk)
    searches(sdk)
    throttling(url, sdk)


if __name__ == "__main__":
    harness.main(run, __doc__, "iotda-world.yaml", "huaweiIotda")
