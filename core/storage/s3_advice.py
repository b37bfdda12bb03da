"""Explains refusals of S3-compatible stores: names the setting to check, and quotes the store's message."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

REGION_CODES = {
    "PermanentRedirect",
    "TemporaryRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "301",
    "307",
}
CREDENTIAL_CODES = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
    "401",
    "Unauthorized",
}
PERMISSION_CODES = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "403", "Forbidden"}
BUCKET_CODES = {"NoSuchBucket", "InvalidBucketName"}
# Answers of servers that are not S3, such as a web server, whose pages are not quoted.
NO_S3_CODES = {"404", "405", "400", "501", "MethodNotAllowed", "NotFound", "NotImplemented"}
CREDENTIALS = "S3_ACCESS_CREDENTIALS_USER and S3_ACCESS_CREDENTIALS_KEY"


def advice(error: BaseException) -> str | None:
    """One line that names the setting to check, or None if the error does not point to a setting."""
    if isinstance(error, ClientError):
        return _of_refusal(error)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return f"{CREDENTIALS}: none are given; with a machine's role set S3_USE_ROLE=true"
    if isinstance(error, ParamValidationError):
        return "S3_BUCKET: it is no name of a bucket"
    if isinstance(error, ResponseParserError | KeyError):
        return "S3_ENDPOINT: what answers there is no S3 (its answer cannot be read)"
    if isinstance(error, HTTPClientError | BotoCoreError):
        return f"S3_ENDPOINT: the store cannot be reached ({type(error).__name__})"
    return None


def _of_refusal(error: ClientError) -> str | None:
    told = error.response.get("Error", {})
    code = str(told.get("Code") or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or "no reason")
    said = f"the store said {code} to {error.operation_name}"
    if code in REGION_CODES:
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = headers.get("x-amz-bucket-region") or told.get("Region")
        where = f"in {region}" if region else "in another region"
        return f"S3_REGION_NAME: the bucket is {where} ({said})"
    if code in CREDENTIAL_CODES:
        return f"{CREDENTIALS}: they are not accepted ({said})"
    if code in PERMISSION_CODES:
        return f"S3_BUCKET: its credentials may not do that there ({said}); docs/operating.md lists what they need"
    if code in BUCKET_CODES:
        return f"S3_BUCKET: there is no such bucket ({said})"
    if code in NO_S3_CODES:
        return f"S3_ENDPOINT: what answers there is no S3, or not one that we know ({said})"
    return None
