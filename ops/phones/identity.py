"""What a phone says about itself: device, app version, tracking and registration fields (PHONE-31, PHONE-120)."""

import base64
import hashlib
import json
import random
import uuid
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ops.phones.bodies import Fields
from ops.phones.platforms import Platform

_ANDROID_MODELS = (("oriole", "google", "Google", "Pixel 6"), ("a54x", "samsung", "samsung", "SM-A546B"))
_IOS_MODELS = ("iPhone15,2", "iPhone14,5", "iPhone12,8")


@dataclass(frozen=True)
class Device:
    """One phone's hardware and app; texts exactly as sent."""

    platform: Platform
    device_id: str
    os_version: str
    version_code: str
    version_name: str
    product: str
    brand: str
    manufacturer: str
    model: str
    phone_number: str


def device_hash(password: str) -> str:
    """The hash that apps send instead of a password (PHONE-26): 44 characters."""
    return base64.urlsafe_b64encode(hashlib.sha256(password.encode()).digest()).decode()


def make_device(platform: Platform, seed: str) -> Device:
    """A plausible device; the same seed gives the same device, as reinstalling an app does."""
    dice = random.Random(f"device|{seed}")
    if platform is Platform.ANDROID:
        product, brand, manufacturer, model = dice.choice(_ANDROID_MODELS)
        return Device(
            platform,
            device_id=device_hash(f"{dice.getrandbits(64):016x}"),
            os_version=dice.choice(("13", "14", "15")),
            version_code="84",
            version_name="3.6.0",
            product=product,
            brand=brand,
            manufacturer=manufacturer,
            model=model,
            phone_number=base64.urlsafe_b64encode(dice.randbytes(64)).decode(),
        )
    return Device(
        platform,
        device_id=str(uuid.UUID(int=dice.getrandbits(128), version=4)).upper(),
        os_version=dice.choice(("17.5.1", "18.1")),
        version_code="2.6.1",
        version_name="2024.30",
        product="iPhone",
        brand="apple",
        manufacturer="apple",
        model=dice.choice(_IOS_MODELS),
        phone_number="NOT_SUPPLIED",
    )


def status_report(device: Device, now: datetime, zone: str, queued_files: int) -> str:
    """The JSON text `device_status_report` (PHONE-124); Android writes `/` as `\\/` and a narrow space before AM."""
    if device.platform is Platform.ANDROID:
        local = now.astimezone(ZoneInfo(zone))
        text = f"{local:%b} {local.day}, {local:%Y} {local.hour % 12 or 12}:{local:%M:%S}\u202f{local:%p} {zone}"
        report: dict[str, object] = {
            "time_locale": text,
            "is_registered": True,
            "can_upload": True,
            "permission_access_fine_location": True,
            "power_is_ignoring_battery_optimizations": True,
            "storage_free_space": 21_474_836_480,
        }
        return json.dumps(report, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
    report = {
        "timestamp": f"{now:%Y-%m-%d %H:%M:%S}",
        "battery_level": "0.85",
        "device_model": device.model,
        "on_wifi": "true",
        "location_permission": "always",
        "number_uploads_queued": str(queued_files),
    }
    return json.dumps(report, separators=(",", ":"))


def tracking_fields(device: Device, patient_id: str, password: str, zone: str, report: str) -> Fields:
    """Credentials and the fields of every request; `password` is the plain one."""
    fields = [
        ("patient_id", patient_id),
        ("password", device_hash(password)),
        ("device_id", device.device_id),
        ("version_code", device.version_code),
        ("version_name", device.version_name),
        ("os_version", device.os_version),
    ]
    if device.platform is Platform.ANDROID:
        return [*fields, ("device_status_report", report), ("timezone", zone)]
    return [
        *fields,
        ("timezone", zone),
        ("supported_features", '["survey_resend"]'),
        ("device_status_report", report),
    ]


def notification_fields(notification_uuids: list[str], survey_ids: list[str]) -> Fields:
    """The two fields that iOS adds once it is registered (PHONE-120)."""
    return [
        ("notification_uuids", json.dumps(notification_uuids, separators=(",", ":"))),
        ("active_survey_ids", json.dumps(survey_ids, separators=(",", ":"))),
    ]


def registration_fields(device: Device, new_password: str) -> Fields:
    """The further fields of a registration (PHONE-31); Android repeats device id and OS version (PHONE-10)."""
    fields = [("new_password", new_password), ("phone_number", device.phone_number)]
    if device.platform is Platform.ANDROID:
        return [
            *fields,
            ("device_os", "Android"),
            ("hardware_id", device.product),
            ("brand", device.brand),
            ("manufacturer", device.manufacturer),
            ("model", device.model),
            ("product", device.product),
            ("beiwe_version", f"googlePlayStore-{device.version_name}"),
            ("device_id", device.device_id),
            ("os_version", device.os_version),
        ]
    return [
        *fields,
        ("brand", device.brand),
        ("manufacturer", device.manufacturer),
        ("device_os", "iOS"),
        ("product", device.product),
        ("model", device.model),
        ("beiwe_version", device.version_name),
    ]
