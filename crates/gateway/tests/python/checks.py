"""A list of checks: each prints a line; the script ends with 1 when one failed."""

import sys

failed = 0


def check(what, good, shown=""):
    """One line for one check."""
    global failed
    if good:
        print(f"ok: {what}")
    else:
        failed += 1
        print(f"FAILED: {what} {shown}")


def raises(what, expected, call, **parameters):
    """The call must raise `expected`, an exception class of the client; its error is given back."""
    try:
        call(**parameters)
    except expected as error:
        print(f"ok: {what}")
        return error.response["Error"]
    except Exception as error:
        check(what, False, f"raised {type(error).__name__}: {error}")
        return {}
    check(what, False, "raised nothing")
    return {}


def end():
    """Ends the script."""
    sys.exit(1 if failed else 0)
