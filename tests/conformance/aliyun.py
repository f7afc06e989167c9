"""The official SDKs of Alibaba Cloud IoT Platform against `rollwave simulate`: aliyun-python-sdk-iot (RPC signature), and
alibabacloud-iot20180120 with ACS3 and with its v2 signature.

usage: aliyun.py PROGRAM   starts PROGRAM simulate with aliyun-world.yaml
       aliyun.py URL       uses a simulator that runs this world already

Prints one line a check and a last line `N passed, M failed`; the exit code is 1 when a check failed.
"""

import hashlib
import importlib
import json
import os
import time
import urllib.request

import requests
from alibabacloud_iot20180120 import models
from alibabacloud_iot20180120.client import Client as TeaClient
from alibabacloud_tea_openapi.models import Config
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import StsTokenCredential
from aliyunsdkcore.client import AcsClient
from darabonba.exceptions import DaraException
from darabonba.runtime import RuntimeOptions

import harness
from harness import check, equal


class Refused(Exception):
    """The gateway's refusal, of whichever SDK."""

    def __init__(self, status, code, message):
        super().__init__(f"{status} {code} {message}")
        self.status, self.code = status, code


class Core:
    """aliyun-python-sdk-core: RPC 1.0."""

    def __init__(self, url, key="LTAImain", secret="main-secret", token=None, instance=None):
        host, port = url.removeprefix("http://").split(":")
        self.host, self.instance = host, instance
        sts = StsTokenCredential(key, secret, token) if token else None
        keys = {"credential": sts} if sts else {"ak": key, "secret": secret}
        self.client = AcsClient(region_id="cn-shanghai", port=int(port), auto_retry=False, **keys)

    def __call__(self, action, **parameters):
        module = importlib.import_module(f"aliyunsdkiot.request.v20180120.{action}Request")
        request = getattr(module, f"{action}Request")()
        request.set_endpoint(self.host)
        request.set_protocol_type("http")
        if self.instance:
            parameters["IotInstanceId"] = self.instance
        for name, value in parameters.items():
            setter = getattr(request, f"set_{name}", None) or getattr(request, f"set_{name}s")
            setter(value)
        try:
            return json.loads(self.client.do_action_with_exception(request))
        except ServerException as error:
            raise Refused(error.get_http_status(), error.get_error_code(), error.get_error_msg()) from error


class Tea:
    """alibabacloud-iot20180120: ACS3, or RPC 1.0 as `v2`."""

    def __init__(self, url, key="LTAImain", secret="main-secret", token=None, instance=None, algorithm=None):
        config = Config(access_key_id=key, access_key_secret=secret, region_id="cn-shanghai", protocol="http")
        config.endpoint, config.security_token, config.signature_algorithm = url.removeprefix("http://"), token, algorithm
        self.client, self.instance = TeaClient(config), instance

    def __call__(self, action, **parameters):
        if self.instance:
            parameters["IotInstanceId"] = self.instance
        request = getattr(models, f"{action}Request")().from_map(parameters)
        wanted = f"{action}WithOptions".lower()
        method = next(name for name in dir(self.client) if name.replace("_", "").lower() == wanted)
        try:
            return getattr(self.client, method)(request, RuntimeOptions()).to_map()["body"]
        except DaraException as error:
            status = getattr(error, "status_code", None) or (getattr(error, "data", None) or {}).get("statusCode")
            raise Refused(status, error.code, error.message) from error


def refused(name, status, code, call, *args, **parameters):
    """The gateway refuses the call with this status and code."""
    try:
        answer = call(*args, **parameters)
    except Refused as error:
        return check(name, (error.status, error.code) == (status, code), error)
    check(name, False, f"was accepted: {answer}")


def denied(name, code, call, *args, **parameters):
    """The product refuses the call: HTTP 200 with Success false."""
    try:
        answer = call(*args, **parameters)
    except Refused as error:
        return check(name, False, error)
    check(name, answer.get("Success") is False and answer.get("Code") == code and answer.get("RequestId"), answer)


INVALID, STATE = "iot.sim.InvalidParameter", "iot.sim.StateNotAllowed"


def admin(url, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/_rollwave/{path}", data=data, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def step(url, seconds):
    admin(url, "POST", "time/step", {"seconds": seconds})


def fleet_millis(url):
    text = admin(url, "GET", "time")["fleet"]
    seconds = time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    return int(seconds * 1000)


def authentication(url, sdks):
    for name, sdk in sdks.items():
        answer = sdk("ListOTAFirmware", CurrentPage=1, PageSize=10)
        equal(f"{name} is accepted", (answer["Success"], answer["Total"]), (True, 0))
    makers = {"core": Core, "ACS3": Tea, "v2": lambda *args, **more: Tea(*args, algorithm="v2", **more)}
    for name, make in makers.items():
        refused(f"{name}: an unknown key is refused", 404, "InvalidAccessKeyId.NotFound",
                make(url, "nobody"), "ListOTAFirmware", CurrentPage=1, PageSize=10)
        # The core SDK gives this refusal a name of its own.
        code = "SignatureDoesNotMatch" if name != "core" else "InvalidAccessKeySecret"
        try:
            make(url, secret="wrong")("ListOTAFirmware", CurrentPage=1, PageSize=10)
            check(f"{name}: a wrong secret is refused", False)
        except Refused as error:
            check(f"{name}: a wrong secret is refused", error.code in (code, "SignatureDoesNotMatch"), error)
    narrow = dict(key="LTAInarrow", secret="narrow-secret", instance="iot-narrow")
    token = "narrow-token/+="
    page = dict(CurrentPage=1, PageSize=10)
    equal("a temporary key with its token is accepted",
          Tea(url, token=token, **narrow)("ListOTAFirmware", **page)["Success"], True)
    refused("without its token it is refused", 400, "MissingSecurityToken", Tea(url, **narrow), "ListOTAFirmware", **page)
    refused("with another token it is refused", 400, "InvalidSecurityToken.Malformed",
            Tea(url, token="other", **narrow), "ListOTAFirmware", **page)
    for name, sdk in [("core", Core(url, token=token, **narrow)), ("v2", Tea(url, token=token, algorithm="v2", **narrow))]:
        refused(f"{name}: a signature that the endpoint does not take is refused", 400, "InvalidSignatureMethod",
                sdk, "ListOTAFirmware", **page)
    denied("another instance is refused", "iot.Sre.IotInstanceNotFound",
           Tea(url, token=token, **{**narrow, "instance": "iot-other"}), "ListOTAFirmware", **page)
    refused("an action that the key may not call is forbidden", 403, "Forbidden.RAM",
            Tea(url, token=token, **narrow), "DeleteOTAFirmware", FirmwareId="x")
    admin(url, "POST", "faults", {"kind": "skew", "seconds": 960})
    refused("a clock that is 16 minutes behind is refused", 400, "InvalidTimeStamp.Expired",
            sdks["ACS3"], "ListOTAFirmware", **page)
    admin(url, "DELETE", "faults")
    throttling(Tea(url, token=token, **narrow))
    admin(url, "POST", "faults", {"kind": "expireTokens"})
    refused("a token that has ended is refused", 400, "InvalidSecurityToken.Expired",
            Tea(url, token=token, **narrow), "QueryOTAJob", JobId="x")


def throttling(sdk):
    """Ten calls of an action a second: the eleventh of a burst is refused, whatever else is called."""
    codes = []
    for _ in range(60):
        try:
            codes.append(sdk("QueryOTAJob", JobId="x")["Code"])
        except Refused as error:
            codes.append(error.code)
    equal("the first ten calls pass", set(codes[:10]), {"iot.sim.JobNotFound"})
    check("then Throttling.User", "Throttling.User" in codes[10:], codes)


def upload(url, sdk, content, suffix="bin", **changes):
    grant = sdk("GenerateOTAUploadURL", FileSuffix=suffix)["Data"]
    form = {"key": grant["Key"], "policy": grant["Policy"], "OSSAccessKeyId": grant["OSSAccessKeyId"],
            "Signature": grant["Signature"], "success_action_status": "200", **changes}
    answer = requests.post(grant["Host"], data=form, files={"file": ("image.bin", content)}, timeout=60)
    return grant["FirmwareUrl"], answer


def uploads(url, sdk):
    content = os.urandom(3_000_000)
    address, answer = upload(url, sdk, content)
    md5 = hashlib.md5(content).hexdigest()
    equal("a form is uploaded", (answer.status_code, answer.headers["ETag"].strip('"').lower()), (200, md5))
    check("FirmwareUrl is below Host", address.startswith(url + "/oss/"), address)
    for name, changes in [
        ("another key", {"key": "ota/other.bin"}),
        ("a wrong signature", {"Signature": "AAAA"}),
        ("another policy", {"policy": "e30="}),
        ("another key id", {"OSSAccessKeyId": "nobody"}),
    ]:
        _, answer = upload(url, sdk, b"x", **changes)
        equal(f"an upload with {name} is refused", answer.status_code, 403)
    denied("another suffix is refused", INVALID, sdk, "GenerateOTAUploadURL", FileSuffix="exe")
    return content, md5


def firmware(url, sdk, version, content=b"image", **other):
    fields = dict(FirmwareName=f"fw-{version}".replace(".", "_"), DestVersion=version, ProductKey="a1meter", NeedToVerify=False)
    fields.update(other)
    if "MultiFiles" not in fields and "FirmwareUrl" not in fields:
        fields["FirmwareUrl"] = upload(url, sdk, content)[0]
    return sdk("CreateOTAFirmware", **{name: value for name, value in fields.items() if value is not None})


def firmwares(url, name, sdk):
    # Parameter names are those of the wire; the core SDK's lists are set by plural names.
    key = f"{name}-V2.0"
    made = firmware(url, sdk, key, b"image" * 100, FirmwareDesc="修复 bug & more", Udi='{"a": "b c+d/~*"}',
                    SrcVersion="V1.0", NeedToVerify=True)
    check(f"{name}: a package is created", made["Success"] and made["Data"]["FirmwareId"], made)
    identity = made["Data"]["FirmwareId"]
    seen = sdk("QueryOTAFirmware", FirmwareId=identity)["FirmwareInfo"]
    kept = [seen[field] for field in ("FirmwareName", "DestVersion", "FirmwareDesc", "Udi", "SrcVersion", "ModuleName")]
    equal(f"{name}: its fields are kept", kept,
          [f"fw-{name}-V2_0", key, "修复 bug & more", '{"a": "b c+d/~*"}', "V1.0", "default"])
    equal(f"{name}: size, sign and state", (seen["FirmwareSize"], seen["FirmwareSign"], seen["Status"], seen["Type"]),
          (500, hashlib.md5(b"image" * 100).hexdigest(), 0, 0))
    check(f"{name}: its address is signed", "Signature=" in seen["FirmwareUrl"], seen)
    listed = sdk("ListOTAFirmware", ProductKey="a1meter", DestVersion=key, CurrentPage=1, PageSize=100)
    rows = listed["FirmwareInfo"]["SimpleFirmwareInfo"]
    equal(f"{name}: the list filters by version", ([row["FirmwareId"] for row in rows], listed["Total"]), ([identity], 1))
    denied(f"{name}: its name is unique in the account", "iot.sim.NameTaken", firmware, url, sdk, "other",
           FirmwareName=f"fw-{name}-V2_0")
    denied(f"{name}: a static job of an unverified package is refused", STATE, sdk, "CreateOTAStaticUpgradeJob",
           FirmwareId=identity, ProductKey="a1meter", TargetSelection="ALL")
    equal(f"{name}: it is deleted", sdk("DeleteOTAFirmware", FirmwareId=identity)["Success"], True)
    denied(f"{name}: then it is gone", "iot.ota.FirmwareNotFound", sdk, "QueryOTAFirmware", FirmwareId=identity)


def invalid_firmwares(url, sdk):
    address = upload(url, sdk, b"image")[0]
    for name, fields in [
        ("a name over 40 characters", dict(FirmwareName="x" * 41)),
        ("a name with a dot", dict(FirmwareName="a.b")),
        ("a name that begins with a hyphen", dict(FirmwareName="-a")),
        ("a version over 64 characters", dict(DestVersion="v" * 65)),
        ("a version with a blank", dict(DestVersion="V 1")),
        ("a delta without its source", dict(Type=1)),
        ("a source that is the target", dict(SrcVersion="bad")),
        ("another type", dict(Type=2)),
        ("another sign method", dict(SignMethod="CRC")),
        ("a description over 100 characters", dict(FirmwareDesc="x" * 101)),
        ("a Udi over 4096 characters", dict(Udi="x" * 4097)),
    ]:
        denied(f"{name} is refused", INVALID, firmware, url, sdk, "bad", **{"FirmwareUrl": address, **fields})
    denied("a file that was not uploaded is refused", "iot.sim.ObjectNotFound", firmware, url, sdk, "bad",
           FirmwareUrl="http://example.com/a.bin")
    denied("an unknown module is refused", "iot.sim.ModuleNotFound", firmware, url, sdk, "bad", ModuleName="modem",
           FirmwareUrl=address)
    denied("an unknown product is refused", "iot.prod.NotExistedProduct", firmware, url, sdk, "bad",
           ProductKey="a1other", FirmwareUrl=address)
    refused("a package without a name is the gateway's to refuse", 400, "MissingFirmwareName", firmware, url, sdk, "bad",
            FirmwareName=None, FirmwareUrl=address)
    refused("a type that is no number, too", 400, "InvalidType", firmware, url, sdk, "bad", Type="x", FirmwareUrl=address)
    first, second = upload(url, sdk, b"one")[0], upload(url, sdk, b"two2")[0]
    several = [dict(Name="a.bin", Url=first), dict(Name="b.bin", Url=second)]
    made = firmware(url, sdk, "several", MultiFiles=several)
    files = sdk("QueryOTAFirmware", FirmwareId=made["Data"]["FirmwareId"])["FirmwareInfo"]["MultiFiles"]
    equal("several files are kept", [(file["Name"], file["Size"], file["FileMd5"]) for file in files],
          [("a.bin", 3, hashlib.md5(b"one").hexdigest()), ("b.bin", 4, hashlib.md5(b"two2").hexdigest())])
    denied("several files do not go by MQTT", INVALID, sdk, "CreateOTAVerifyJob", FirmwareId=made["Data"]["FirmwareId"],
           ProductKey="a1meter", TargetDeviceName=["m-0001"], DownloadProtocol="MQTT")
    denied("one name twice is refused", INVALID, firmware, url, sdk, "bad", MultiFiles=[several[0], several[0]])
    late = upload(url, sdk, b"late")[0]
    step(url, 61 * 60)
    denied("a file that no package used within an hour is swept", "iot.sim.ObjectNotFound", firmware, url, sdk, "bad",
           FirmwareUrl=late)


def modules(sdk):
    equal("a module is created",
          sdk("CreateOTAModule", ProductKey="a1valve", ModuleName="modem", AliasName="GSM", Desc="radio")["Success"], True)
    denied("its name is unique, ignoring case", "iot.sim.NameTaken", sdk, "CreateOTAModule", ProductKey="a1valve",
           ModuleName="MODEM")
    equal("it is changed", sdk("UpdateOTAModule", ProductKey="a1valve", ModuleName="modem", AliasName="LTE")["Success"], True)
    rows = sdk("ListOTAModuleByProduct", ProductKey="a1valve")["Data"]
    equal("modules are listed, with default", [(row["ModuleName"], row.get("AliasName")) for row in rows],
          [("default", "default"), ("modem", "LTE")])
    equal("it is deleted", sdk("DeleteOTAModule", ProductKey="a1valve", ModuleName="modem")["Success"], True)
    denied("default is not", STATE, sdk, "DeleteOTAModule", ProductKey="a1valve", ModuleName="default")


def tasks_of(sdk, job, **query):
    answer = sdk("ListOTATaskByJob", JobId=job, CurrentPage=1, PageSize=100, **query)
    return {row["DeviceName"]: row for row in answer["Data"]["SimpleOTATaskInfo"]}


def statuses(sdk, job):
    return {name: row["TaskStatus"] for name, row in tasks_of(sdk, job).items()}


def static(sdk, package, **fields):
    fields = {"FirmwareId": package, "ProductKey": "a1meter", "TargetSelection": "SPECIFIC", **fields}
    return sdk("CreateOTAStaticUpgradeJob", **fields)


def verification(url, name, sdk, device):
    made = firmware(url, sdk, f"{name}-verify", NeedToVerify=None)["Data"]["FirmwareId"]
    job = dict(FirmwareId=made, ProductKey="a1meter", TargetDeviceName=[device], TimeoutInMinutes=60, NeedPush=True,
               NeedConfirm=False, DownloadProtocol="HTTPS", Tag=[{"Key": "rollwave", "Value": "0123"}])
    answer = sdk("CreateOTAVerifyJob", **job)
    check(f"{name}: a verification is created", answer["Success"], answer)
    state = lambda: sdk("QueryOTAFirmware", FirmwareId=made)["FirmwareInfo"]
    equal(f"{name}: the package is being verified", (state()["Status"], state()["VerifyProgress"]), (2, 0))
    denied(f"{name}: a second verification is refused", STATE, sdk, "CreateOTAVerifyJob", **job)
    step(url, 600)
    equal(f"{name}: then it is verified", (state()["Status"], state()["VerifyProgress"]), (1, 100))
    seen = sdk("QueryOTAJob", JobId=answer["Data"]["JobId"])["Data"]
    equal(f"{name}: the job", [seen[field] for field in ("JobStatus", "JobType", "TimeoutInMinutes", "NeedPush")],
          ["COMPLETED", "VERIFY_FIRMWARE", 60, True])
    listed = sdk("ListOTAJobByFirmware", FirmwareId=made, CurrentPage=1, PageSize=200)["Data"]["SimpleOTAJobInfo"]
    equal(f"{name}: the list spells it differently, and has its tag",
          [(row["JobStatus"], row["Tags"]["OtaTagDTO"]) for row in listed],
          [("COMPLETE", [{"Key": "rollwave", "Value": "0123"}])])
    for what, fields in [
        ("11 devices", dict(TargetDeviceName=[f"m-{n:04}" for n in range(11)])),
        ("one device twice", dict(TargetDeviceName=["m-0001", "m-0001"])),
        ("a timeout of 0 minutes", dict(TimeoutInMinutes=0)),
        ("a timeout of 1441 minutes", dict(TimeoutInMinutes=1441)),
        ("another protocol", dict(DownloadProtocol="FTP")),
        ("a tag key with a hyphen", dict(Tag=[{"Key": "a-b", "Value": "c"}])),
        ("a tag without a value", dict(Tag=[{"Key": "ab"}])),
        ("11 tags", dict(Tag=[{"Key": f"k{n}", "Value": "v"} for n in range(11)])),
    ]:
        denied(f"{name}: a verification with {what} is refused", INVALID, sdk, "CreateOTAVerifyJob", **{**job, **fields})
    denied(f"{name}: with an unknown device, too", "iot.device.NotExistedDevice", sdk, "CreateOTAVerifyJob",
           **{**job, "TargetDeviceName": ["nobody"]})


def upgrades(url, sdk):
    good = firmware(url, sdk, "V3.0")["Data"]["FirmwareId"]
    names = [f"m-{n:04}" for n in range(200)]
    answer = static(sdk, good, TargetDeviceName=names, Tag=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    job = answer["Data"]["JobId"]
    check("a job for 200 devices is created", job, answer)
    denied("one for 201 is refused", INVALID, static, sdk, good, TargetDeviceName=names + ["m-0200"])
    step(url, 1)
    equal("tasks are pushed first", set(statuses(sdk, job).values()) <= {"NOTIFIED", "IN_PROGRESS"}, True)
    step(url, 600)
    page = [sdk("ListOTATaskByJob", JobId=job, CurrentPage=n, PageSize=100) for n in (1, 2, 3)]
    rows = [row for answer in page for row in answer["Data"]["SimpleOTATaskInfo"]]
    equal("tasks page from 1", (len(rows), page[0]["Total"], page[0]["PageCount"]), (200, 200, 2))
    equal("all succeed", {row["TaskStatus"] for row in rows}, {"SUCCEEDED"})
    seen = sdk("QueryOTAJob", JobId=job)["Data"]
    equal("the job is COMPLETED", [seen[field] for field in ("JobStatus", "SelectionType", "TargetSelection")],
          ["COMPLETED", "STATIC", "SPECIFIC"])
    device = sdk("QueryDeviceDetail", ProductKey="a1meter", DeviceName="m-0007")["Data"]
    equal("a device reports the version", (device["FirmwareVersion"], device["Status"]), ("V3.0", "ONLINE"))
    again = static(sdk, good, TargetDeviceName=["m-0001", "m-0201"])["Data"]["JobId"]
    equal("a device on the target version is filtered out", list(tasks_of(sdk, again)), ["m-0201"])
    step(url, 600)
    failures(url, sdk)
    cancelling(url, sdk)
    selections(url, sdk)
    invalid_jobs(url, sdk, good)


def failures(url, sdk):
    bad = firmware(url, sdk, "BAD")["Data"]["FirmwareId"]
    job = static(sdk, bad, TargetDeviceName=["m-0202"])["Data"]["JobId"]
    step(url, 600)
    task = tasks_of(sdk, job)["m-0202"]
    equal("a failure has its text", (task["TaskStatus"], task["TaskDesc"]), ("FAILED", "Firmware update failed"))
    equal("a job with failures is COMPLETED all the same", sdk("QueryOTAJob", JobId=job)["Data"]["JobStatus"], "COMPLETED")
    equal("a failed task runs again", sdk("ReupgradeOTATask", JobId=job, TaskId=[task["TaskId"]])["Success"], True)
    step(url, 600)
    equal("and succeeds", statuses(sdk, job), {"m-0202": "SUCCEEDED"})
    denied("a task that succeeded does not", STATE, sdk, "ReupgradeOTATask", JobId=job, TaskId=[task["TaskId"]])
    job = static(sdk, bad, TargetDeviceName=["m-0203"], RetryInterval=10, RetryCount=2)["Data"]["JobId"]
    step(url, 300)
    equal("a failure waits for its retry", statuses(sdk, job), {"m-0203": "QUEUED"})
    step(url, 900)
    equal("which succeeds", statuses(sdk, job), {"m-0203": "SUCCEEDED"})
    stuck = firmware(url, sdk, "STUCK")["Data"]["FirmwareId"]
    job = static(sdk, stuck, TargetDeviceName=["m-0204"], TimeoutInMinutes=30, RetryInterval=10, RetryCount=1)
    job = job["Data"]["JobId"]
    step(url, 29 * 60)
    task = tasks_of(sdk, job)["m-0204"]
    equal("a device that hangs is in progress", (task["TaskStatus"], task["Timeout"]), ("IN_PROGRESS", "30"))
    step(url, 120)
    equal("until its timeout, which is not retried", statuses(sdk, job), {"m-0204": "FAILED"})
    mute = firmware(url, sdk, "MUTE")["Data"]["FirmwareId"]
    job = static(sdk, mute, TargetDeviceName=["m-0205"], TimeoutInMinutes=30)["Data"]["JobId"]
    step(url, 24 * 3600)
    equal("the timeout of a device that never answers never starts", statuses(sdk, job), {"m-0205": "NOTIFIED"})


def cancelling(url, sdk):
    slow = firmware(url, sdk, "SLOW")["Data"]["FirmwareId"]
    job = static(sdk, slow, TargetDeviceName=["m-0206", "m-0207", "cellar"])["Data"]["JobId"]
    step(url, 60)
    equal("an offline device waits", statuses(sdk, job),
          {"m-0206": "IN_PROGRESS", "m-0207": "IN_PROGRESS", "cellar": "QUEUED"})
    open_tasks = sdk("ListOTAUnfinishedTaskByDevice", ProductKey="a1meter", DeviceName="m-0206")["Data"]["SimpleOTATaskInfo"]
    equal("its open task is found by device", [row["JobId"] for row in open_tasks], [job])
    of_device = sdk("ListOTAJobByDevice", FirmwareId=slow, ProductKey="a1meter", DeviceName="m-0206", CurrentPage=1,
                    PageSize=100)
    equal("and its job", [row["JobId"] for row in of_device["Data"]["SimpleOTAJobInfo"]], [job])
    rival = static(sdk, slow, TargetDeviceName=["m-0206"])["Data"]["JobId"]
    equal("a second job for the device fails at once", statuses(sdk, rival), {"m-0206": "FAILED"})
    rival = static(sdk, slow, TargetDeviceName=["m-0206", "cellar"], OverwriteMode=2)["Data"]["JobId"]
    equal("overwriting takes what has not begun", statuses(sdk, rival), {"m-0206": "FAILED", "cellar": "QUEUED"})
    equal("from the first job", statuses(sdk, job)["cellar"], "CANCELED")
    sdk("CancelOTATaskByDevice", FirmwareId=slow, ProductKey="a1meter", JobId=job, DeviceName=["m-0206"])
    equal("one device is cancelled", statuses(sdk, job)["m-0206"], "CANCELED")
    denied("cancelling a job without a flag is refused", INVALID, sdk, "CancelOTATaskByJob", JobId=job)
    sdk("CancelOTATaskByJob", JobId=job, CancelQueuedTask=True, CancelNotifiedTask=True)
    equal("flags say what is cancelled", statuses(sdk, job)["m-0207"], "IN_PROGRESS")
    sdk("CancelOTATaskByJob", JobId=job, CancelInProgressTask=True)
    equal("all of it, if so", statuses(sdk, job)["m-0207"], "CANCELED")
    sdk("CancelOTATaskByJob", JobId=rival, CancelQueuedTask=True)
    at = fleet_millis(url)
    planned = static(sdk, slow, TargetDeviceName=["m-0208"], ScheduleTime=at + 3600_000)["Data"]["JobId"]
    equal("a scheduled job is PLANNED", sdk("QueryOTAJob", JobId=planned)["Data"]["JobStatus"], "PLANNED")
    sdk("CancelOTATaskByJob", JobId=planned, CancelScheduledTask=True)
    equal("and is cancelled as such", sdk("QueryOTAJob", JobId=planned)["Data"]["JobStatus"], "CANCELED")
    planned = static(sdk, slow, TargetDeviceName=["m-0209"], ScheduleTime=at + 3600_000,
                     ScheduleFinishTime=at + 2 * 3600_000)["Data"]["JobId"]
    step(url, 3700)
    equal("then it begins", sdk("QueryOTAJob", JobId=planned)["Data"]["JobStatus"], "IN_PROGRESS")
    step(url, 3700)
    equal("and ends at its time", statuses(sdk, planned), {"m-0209": "CANCELED"})
    confirmed = static(sdk, slow, TargetDeviceName=["m-0210"], NeedConfirm=True)["Data"]["JobId"]
    task = tasks_of(sdk, confirmed)["m-0210"]
    equal("a task that needs it waits to be confirmed", task["TaskStatus"], "CONFIRM")
    sdk("ConfirmOTATask", TaskId=[task["TaskId"]])
    step(url, 4 * 3600)
    equal("and is", statuses(sdk, confirmed), {"m-0210": "SUCCEEDED"})


def selections(url, sdk):
    group = sdk("QueryDeviceGroupList", CurrentPage=1, PageSize=10, GroupName="fie")["Data"]["GroupInfo"][0]
    info = sdk("QueryDeviceGroupInfo", GroupId=group["GroupId"])["Data"]
    equal("a group knows its devices", info["DeviceCount"], 240)
    members = sdk("QueryDeviceListByDeviceGroup", GroupId=group["GroupId"], CurrentPage=5, PageSize=50)
    equal("a group is paged", (len(members["Data"]["SimpleDeviceInfo"]), members["Total"], members["Page"]), (40, 240, 5))
    by_tag = sdk("QueryDeviceByTags", Tag=[{"TagKey": "site", "TagValue": "south"}], CurrentPage=1, PageSize=50)
    equal("devices are found by tag", [row["DeviceName"] for row in by_tag["Data"]["SimpleDeviceInfo"]], ["cellar"])
    wide = firmware(url, sdk, "V4.0")["Data"]["FirmwareId"]
    gray = static(sdk, wide, TargetSelection="GRAY", GrayPercent="10.5", SrcVersion=["V3.0"])["Data"]["JobId"]
    seen = sdk("QueryOTAJob", JobId=gray)["Data"]
    equal("GRAY takes a share, rounded down", (sdk("ListOTATaskByJob", JobId=gray, CurrentPage=1, PageSize=1)["Total"],
                                              seen["GrayPercent"], seen["SrcVersions"]),
          (21, "10.5", {"SrcVersion": ["V3.0"]}))
    step(url, 600)
    whole = static(sdk, wide, TargetSelection="GROUP", GroupId=group["GroupId"], GroupType="LINK_PLATFORM")
    total = sdk("ListOTATaskByJob", JobId=whole["Data"]["JobId"], CurrentPage=1, PageSize=1)["Total"]
    equal("GROUP takes its devices that are behind", total, 240 - 21)
    step(url, 600)
    rest = static(sdk, wide, TargetSelection="ALL")["Data"]["JobId"]
    check("ALL takes the others", "cellar" in statuses(sdk, rest), statuses(sdk, rest))
    sdk("CancelOTATaskByJob", JobId=rest, CancelQueuedTask=True)
    dynamic(url, sdk)


def dynamic(url, sdk):
    package = firmware(url, sdk, "D2.0", ProductKey="a1valve")["Data"]["FirmwareId"]
    fields = dict(FirmwareId=package, ProductKey="a1valve")
    denied("a dynamic job without source or group is refused", INVALID, sdk, "CreateOTADynamicUpgradeJob", **fields)
    job = sdk("CreateOTADynamicUpgradeJob", SrcVersion=["V1.0", "V1.5"], DynamicMode=1, **fields)["Data"]["JobId"]
    equal("a dynamic job takes what fits now", set(statuses(sdk, job)), {"valve-1", "valve-2"})
    denied("a second one for the package is refused", STATE, sdk, "CreateOTADynamicUpgradeJob", SrcVersion=["V1.0"], **fields)
    step(url, 600)
    equal("they succeed, and the job goes on", sdk("QueryOTAJob", JobId=job)["Data"]["JobStatus"], "IN_PROGRESS")
    between = firmware(url, sdk, "V1.5", ProductKey="a1valve")["Data"]["FirmwareId"]
    static(sdk, between, ProductKey="a1valve", TargetDeviceName=["valve-1"])
    step(url, 1200)
    detail = sdk("QueryDeviceDetail", ProductKey="a1valve", DeviceName="valve-1")["Data"]
    equal("and takes what comes to fit", (detail["FirmwareVersion"], len(statuses(sdk, job))), ("D2.0", 2))
    equal("its strategy is cancelled", sdk("CancelOTAStrategyByJob", JobId=job)["Success"], True)
    equal("then it is CANCELED", sdk("QueryOTAJob", JobId=job)["Data"]["JobStatus"], "CANCELED")
    moving = sdk("QueryDeviceGroupList", CurrentPage=1, PageSize=10, GroupName="moving")["Data"]["GroupInfo"][0]
    package = firmware(url, sdk, "D3.0", ProductKey="a1valve")["Data"]["FirmwareId"]
    job = sdk("CreateOTADynamicUpgradeJob", FirmwareId=package, ProductKey="a1valve", GroupId=moving["GroupId"],
              GroupType="LINK_PLATFORM_DYNAMIC")["Data"]["JobId"]
    equal("or follows a dynamic group", set(statuses(sdk, job)), {"valve-2"})


def invalid_jobs(url, sdk, good):
    at = fleet_millis(url)
    cases = [
        ("another selection", dict(TargetSelection="SOME")),
        ("a source version with SPECIFIC", dict(SrcVersion=["V1.0"])),
        ("names with ALL", dict(TargetSelection="ALL")),
        ("no names", dict(TargetDeviceName=None)),
        ("one name twice", dict(TargetDeviceName=["m-0211", "m-0211"])),
        ("GRAY with 4 decimals", dict(TargetSelection="GRAY", GrayPercent="1.2345", TargetDeviceName=None)),
        ("11 source versions", dict(TargetSelection="ALL", TargetDeviceName=None, SrcVersion=[f"V{n}" for n in range(11)])),
        ("a schedule in 4 minutes", dict(ScheduleTime=at + 240_000)),
        ("a schedule in 8 days", dict(ScheduleTime=at + 8 * 86400_000)),
        ("an end half an hour after the schedule", dict(ScheduleTime=at + 3600_000, ScheduleFinishTime=at + 5400_000)),
        ("a retry without a count", dict(RetryInterval=10)),
        ("a retry interval of 20", dict(RetryInterval=20, RetryCount=1)),
        ("3 retries", dict(RetryInterval=10, RetryCount=3)),
        ("a retry interval that is the timeout", dict(RetryInterval=60, RetryCount=1, TimeoutInMinutes=60)),
        ("9 pushes a minute", dict(MaximumPerMinute=9)),
        ("10001 pushes a minute", dict(MaximumPerMinute=10001)),
        ("overwriting of modules", dict(OverwriteMode=2, MultiModuleMode=True)),
        ("another overwrite mode", dict(OverwriteMode=3)),
        ("a tag value over 1024 characters", dict(Tag=[{"Key": "a", "Value": "x" * 1025}])),
        ("tags over 4096 characters", dict(Tag=[{"Key": f"k{n}", "Value": "x" * 1024} for n in range(4)])),
    ]
    for name, fields in cases:
        merged = {"TargetDeviceName": ["m-0211"], **fields}
        fields = {key: value for key, value in merged.items() if value is not None}
        denied(f"a job with {name} is refused", INVALID, static, sdk, good, **fields)
    refused("a job without a selection is the gateway's to refuse", 400, "MissingTargetSelection", sdk,
            "CreateOTAStaticUpgradeJob", FirmwareId=good, ProductKey="a1meter")


def devices(sdk):
    first = sdk("QueryDevice", ProductKey="a1meter", CurrentPage=1, PageSize=50)
    equal("devices are paged", (len(first["Data"]["DeviceInfo"]), first["Total"], first["Page"], first["PageCount"]),
          (50, 241, 1, 5))
    check("a page names the next one", first["NextToken"], first)
    follow = sdk("QueryDevice", ProductKey="a1meter", CurrentPage=2, PageSize=50, NextToken=first["NextToken"])
    equal("which goes on", follow["Data"]["DeviceInfo"][0]["DeviceName"], "m-0050")
    denied("51 rows are too many", "iot.common.InvalidPageParams", sdk, "QueryDevice", ProductKey="a1meter", PageSize=51)
    rows = sdk("BatchQueryDeviceDetail", ProductKey="a1meter", DeviceName=["m-0001", "nobody", "cellar"])["Data"]["Data"]
    equal("details come in a batch, without the unknown", [(row["DeviceName"], row["Status"]) for row in rows],
          [("m-0001", "ONLINE"), ("cellar", "OFFLINE")])
    versions = sdk("ListOTAModuleVersionsByDevice", ProductKey="a1meter", DeviceName="cellar", CurrentPage=1, PageSize=10)
    modules = versions["Data"]["SimpleOTAModuleInfo"]
    equal("modules have versions", [(row["ModuleName"], row["ModuleVersion"]) for row in modules], [("default", "V1.0")])
    denied("an unknown device is refused", "iot.device.NotExistedDevice", sdk, "QueryDeviceDetail",
           ProductKey="a1meter", DeviceName="nobody")


def patient(sdk):
    """The same calls, but those that the gateway throttles are made again a little later."""
    def call(action, **parameters):
        for _ in range(100):
            try:
                return sdk(action, **parameters)
            except Refused as error:
                if error.code != "Throttling.User":
                    raise
                time.sleep(0.05)
        raise TimeoutError(action)
    return call


def run(url):
    sdks = {"core": Core(url), "ACS3": Tea(url), "v2": Tea(url, algorithm="v2")}
    authentication(url, sdks)
    sdks = {name: patient(sdk) for name, sdk in sdks.items()}
    uploads(url, sdks["ACS3"])
    for number, (name, sdk) in enumerate(sdks.items()):
        firmwares(url, name, sdk)
        verification(url, name, sdk, f"m-023{number}")
    invalid_firmwares(url, sdks["ACS3"])
    modules(sdks["core"])
    devices(sdks["v2"])
    upgrades(url, sdks["ACS3"])


if __name__ == "__main__":
    for name in ("HTTP_PROXY", "http_proxy"):
        os.environ.pop(name, None)
    harness.main(run, __doc__, "aliyun-world.yaml", "aliyunIot")
