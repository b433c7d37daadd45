"""Errors of the embedded engine; each says what to do next."""

from hub.model.errors import HubError


class DownloadError(HubError):
    """The jars of Kafka could not be fetched, or are not the ones pinned."""

    code = "DOWNLOAD"


class EngineError(HubError):
    """A server of the engine did not start or stop as it should."""

    code = "ENGINE"
