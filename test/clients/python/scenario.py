"""Connects python-consul to the server that the test names, and tells the test what came of it."""

import json
import sys
import threading

import consul


def connect(**options):
    return consul.Consul(host='127.0.0.1', port=int(sys.argv[1]), **options)


def tell(results):
    """Prints what the test is to look at. Bytes are shown as Latin-1 text."""
    json.dump(results, sys.stdout, default=lambda value: value.decode('latin-1'))


def raised(call):
    """The name and text of what the call raises, or None."""
    try:
        call()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return None


def meanwhile(waiting, act):
    """Calls `act` while another thread is in `waiting`, whose result is returned."""
    results = []
    thread = threading.Thread(target=lambda: results.append(waiting()))
    thread.start()
    act()
    thread.join()
    return results[0]
