"""What every part of Jenkins' stand-in does: reads XML as strictly as Jenkins, and shows it without what is secret."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from devstream.testing.service import Request, Response

__all__ = ["item_path", "missing", "parsed", "written"]

_SECRETS = ("password", "secret", "privateKey", "passphrase")
_ENCRYPTED = ("secretToken",)
_XML = ("text/xml", "application/xml")


def item_path(request: Request) -> str:
    """Give the path of a job: ``a/job/b`` is ``a/b``."""
    return request.values.get("path", "").replace("/job/", "/")


def missing() -> Response:
    """Say that there is no such thing."""
    return Response(404, b"<html><head><title>Not Found</title></head></html>")


def parsed(request: Request) -> ET.Element | Response:
    """Read what was sent; give the answer to refuse it with."""
    if request.headers.get("content-type", "").partition(";")[0] not in _XML:
        return Response(415, b"<html>Unsupported Media Type</html>")
    try:
        return ET.fromstring(request.body)  # noqa: S314 - what our own program sent
    except ET.ParseError as error:
        return Response(500, f"<html>Oops! SAXParseException: {error}</html>".encode())


def written(config: ET.Element) -> bytes:
    """Write what is shown: indented, XML 1.1, without secrets."""
    shown = ET.fromstring(ET.tostring(config))  # noqa: S314 - what was parsed before
    for found in shown.iter():
        if found.tag in _SECRETS:
            found[:] = [ET.Element("secret-redacted")]
            found.text = None
        if found.tag in _ENCRYPTED and found.text:
            found.text = "{AQAAABAAAAAQ" + "x" * 32 + "=}"
    ET.indent(shown)
    return b"<?xml version='1.1' encoding='UTF-8'?>\n" + ET.tostring(shown)
