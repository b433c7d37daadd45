"""The decoder's child process with the subjects of the fuzz test."""

import sys

from hub.intake.decode.child import main
from tests.property.decoder_subjects import OWN

if __name__ == "__main__":
    main(sys.argv[1:], OWN)
