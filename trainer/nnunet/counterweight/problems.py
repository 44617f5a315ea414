"""The one error of this package: a sentence for people and the exit code that it means."""

DONE = 0
FAILED = 1
CONFIGURATION = 64
REVOKED = 75
STOPPED = 143


class TrainerError(Exception):
    """Ends a run. `exit_code` is one of this module's; they are those of the other trainer."""

    def __init__(self, sentence, exit_code=FAILED):
        super().__init__(sentence)
        self.exit_code = exit_code


def refuse(sentence):
    """Raises the error of a run that cannot begin as it was asked for."""
    raise TrainerError(sentence, CONFIGURATION)
