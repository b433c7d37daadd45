"""Ed25519 keys that sign heads: read from a file or the environment, created, named by an id.

The key is read at each signing, so a new file is a rotation: the next head is signed with the new key and refers to the
head before.
"""

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hub.config import Settings
from hub.embedded.locate import data_folder
from hub.model.errors import ConfigError, RetryableError
from hub.model.evidence import key_id_of

OWN_KEY = "signing_key.pem"
"""The worker's own key in its folder, created if none is set."""

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the id of its public half."""

    key_id: str
    public: bytes
    private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def of(cls, private: Ed25519PrivateKey) -> "SigningKey":
        """Return the key with its id."""
        public = private.public_key().public_bytes_raw()
        return cls(key_id_of(public), public, private)

    def sign(self, document: str) -> bytes:
        """Return the signature of a document."""
        return self.private.sign(document.encode())


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where the key is: a file, a text, or the folder of the worker's own key."""

    file: Path | None
    text: str | None = field(repr=False)
    folder: Path

    @classmethod
    def of(cls, settings: Settings) -> "KeySource":
        """Return where the settings say the key is."""
        return cls(settings.signing_key_file, settings.signing_key, data_folder(settings))

    @property
    def is_own(self) -> bool:
        """Whether no key is set, so that the worker signs with one that it created itself."""
        return self.file is None and self.text is None

    def load(self) -> SigningKey:
        """Read the key; the worker's own is created if it does not exist.

        Raises:
            RetryableError: it cannot be read, or is not a key.
        """
        if self.file is None and self.text is not None:
            try:
                return SigningKey.of(Ed25519PrivateKey.from_private_bytes(base64.b64decode(self.text, validate=True)))
            except (ValueError, binascii.Error) as error:
                raise RetryableError("HUB_SIGNING_KEY is not an Ed25519 key: 32 bytes in base64") from error
        path = self.file or self.folder / OWN_KEY
        if self.file is None and not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            make_key(path)
        try:
            found = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise RetryableError(f"the signing key {path} cannot be read ({type(error).__name__})") from error
        if not isinstance(found, Ed25519PrivateKey):
            raise RetryableError(f"the signing key {path} is not an Ed25519 key")
        return SigningKey.of(found)


def make_key(path: Path) -> SigningKey:
    """Create a key and write it to a new file that only its owner can read.

    Raises:
        ConfigError: the file exists, or cannot be written.
    """
    key = SigningKey.of(Ed25519PrivateKey.generate())
    text = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigError([f"{path}: a key cannot be written there ({error.strerror})"]) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
    return key


def read_public_key(text: str) -> bytes:
    """Return a public key, given as 64 hex digits or as the name of a file that holds them or PEM.

    Raises:
        ConfigError: it is not a key.
    """
    path = Path(text)
    try:
        content = path.read_text("utf-8").strip() if len(text) != 2 * KEY_BYTES and path.is_file() else text.strip()
        if content.startswith("-----"):
            found = serialization.load_pem_public_key(content.encode())
            if isinstance(found, Ed25519PublicKey):
                return found.public_bytes_raw()
        elif len(content) == 2 * KEY_BYTES:
            return bytes.fromhex(content)
    except (OSError, ValueError):
        pass
    raise ConfigError([f"{text}: not an Ed25519 public key (64 hex digits, or a file that holds them or PEM)"])


def is_signed(public: bytes, document: str, signature: bytes) -> bool:
    """Tell whether the key's owner signed the document."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, document.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
