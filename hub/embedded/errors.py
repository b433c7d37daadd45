"""Errors of the embedded engine; each says what to do next."""

from hub.model.errors import HubError


class DownloadError(HubError):
    """Kafka's jars could not be downloaded, or are not the pinned ones."""

    code = "DOWNLOAD"


class EngineError(HubError):
    """A server of the engine did not start or stop as it should."""

    code = "ENGINE"
