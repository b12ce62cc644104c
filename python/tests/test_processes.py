"""Forks, signals, and threads that the system does not give."""
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from helpers import assert_same_bits, layer_data, run_python

import lumina_kernel as lk

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="there is no /proc")

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def in_a_fork(function):
    """What function() prints in a forked process; an error, if it does not end."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.write(write, str(function()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    deadline = time.monotonic() + 20
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(read)
            pytest.fail("the forked process does not end")
        time.sleep(0.01)
    with os.fdopen(read) as output:
        return output.read()


@needs_fork
def test_a_generator_that_draws_while_the_process_forks():
    """The child has it as it was before the call that was under way."""
    rng, values = lk.FastRng(1), np.empty(50_000_000, np.float32)
    first = rng.normal()
    expected = lk.FastRng(1).normals(2)
    thread = threading.Thread(target=rng.fill_normal, args=(values,))
    thread.start()
    time.sleep(0.01)
    assert thread.is_alive()
    answer = in_a_fork(lambda: (rng.normal(), rng.next()))
    thread.join()
    assert first == expected[0]
    assert answer.startswith(f"({float(expected[1])!r}, ")


@needs_fork
def test_calls_in_a_forked_process():
    x, w, _ = layer_data(64, 512, 512)
    weights = lk.CodedWeights(w)
    def call():
        return lk.optical_linear_fused(x, weights, None, 0.1, 8, 1, dac_bits=8).sum()
    assert in_a_fork(call) == str(call())


# Each takes seconds on scalar code, and writes the last value of y at last.
LONG_CALLS = {
    "floats": "lk.optical_linear_infer(x, w, None, 8, threads={threads}, out=y)",
    "codes": "lk.optical_linear_fused(x, coded, None, .1, 8, 1, dac_bits=8, threads={threads}, out=y)",
    "backward": "lk.optical_linear_backward_kernel(x, x, w, threads={threads})",
    "fill_normal": "rng.fill_normal(y)",
    "quantizer": "q.apply(y)",
}


@pytest.mark.skipif("scalar" not in lk.available_isas(), reason="there is no slow code here")
@pytest.mark.parametrize("name, threads", [
    ("floats", 1), ("floats", 2), ("codes", 1), ("codes", 2), ("backward", 2), ("fill_normal", 1),
    ("quantizer", 1)])
def test_ctrl_c_ends_a_call(name, threads):
    result = run_python(f"""
import os, signal, threading, time
import numpy as np
import lumina_kernel as lk
lk.force_isa("scalar")
x, w = np.ones((3000, 3000), np.float32), np.ones((3000, 3000), np.float32)
y = np.full({60_000_000 if name in ("fill_normal", "quantizer") else (3000, 3000)}, 0.3, np.float32)
coded, q, rng = lk.CodedWeights(w), lk.Quantizer(8, 0.0, 1.0), lk.FastRng(1)
state, last = rng.__getstate__(), y.flat[-1]
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
begin = time.monotonic()
try:
    {LONG_CALLS[name].format(threads=threads)}
except KeyboardInterrupt:
    print(time.monotonic() - begin < 5, y.flat[-1] == last, rng.__getstate__() == state)
""")
    assert result.stdout.strip() == "True True True", result.stdout + result.stderr


def test_handlers_that_do_not_raise_let_the_call_go_on():
    x, w, _ = layer_data(2000, 2000, 300)
    expected = lk.optical_linear_infer(x, w, None, 8)
    seen = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        for _ in range(5):
            y = lk.optical_linear_infer(x, w, None, 8, threads=1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert seen
    assert_same_bits(y, expected)


def test_a_handler_cannot_draw_from_the_generator_that_it_interrupts():
    rng, values, errors = lk.FastRng(1), np.empty(40_000_000, np.float32), []

    def draw(*_):
        try:
            rng.next()
        except RuntimeError as error:
            errors.append(str(error))

    before = signal.signal(signal.SIGALRM, draw)
    try:
        for _ in range(20):
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.005)
            rng.fill_normal(values)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if errors:
                break
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert "generator" in errors[0]
    rng.next()


PREPARE = """
import os, resource, sys
import numpy as np
import lumina_kernel as lk
x = np.ones((2048, 512), np.float32)
w = lk.PackedWeights(np.ones((512, 512), np.float32))
"""


@needs_proc
@pytest.mark.parametrize("mebibytes", [0, 1, 4, 9, 17, 30, 60, 200])
def test_little_memory_for_the_stacks_of_threads(mebibytes):
    """A result or an exception, not a dead process."""
    result = run_python(PREPARE + f"""
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + ({mebibytes} << 20),) * 2)
try:
    print(lk.optical_linear_infer(x, w, None, 8, threads=16).shape)
except MemoryError:
    print("MemoryError")
""", OMP_NUM_THREADS="16")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() in ("(2048, 512)", "MemoryError")


@needs_proc
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0,
                    reason="takes rights away from itself")
@pytest.mark.parametrize("allowed", [1, 2])
def test_few_threads_for_the_user(allowed):
    result = run_python(PREPARE + f"""
lk.isa()
resource.setrlimit(resource.RLIMIT_NPROC, ({allowed}, {allowed}))
os.setuid(65534)
print(lk.optical_linear_infer(x, w, None, 8, threads=16).shape)
""", OPENBLAS_NUM_THREADS="1")
    assert result.stdout.strip() == "(2048, 512)", result.stderr


@needs_proc
def test_threads_with_large_stacks():
    result = run_python(PREPARE + """
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20),) * 2)
print(lk.optical_linear_infer(x, w, None, 8).shape)
""", OMP_STACKSIZE="512M")
    assert result.stdout.strip() == "(2048, 512)", result.stderr


@needs_proc
@pytest.mark.parametrize("threads, environment", [
    ("None", dict(OMP_NUM_THREADS="100000")), ("None", dict(OMP_NUM_THREADS="64")), ("512", {})])
def test_no_more_threads_than_processors(threads, environment):
    result = run_python(PREPARE + f"""
print(lk.optical_linear_infer(x, w, None, 8, threads={threads}).shape)
print(len(os.listdir("/proc/self/task")) <= len(os.sched_getaffinity(0)) + 1)
""", OPENBLAS_NUM_THREADS="1", **environment)
    assert result.stdout.split("\n")[:2] == ["(2048, 512)", "True"], result.stdout + result.stderr


def test_a_waiting_generator_does_not_keep_the_gil():
    rng, values = lk.FastRng(1), np.empty(30_000_000, np.float32)
    drawing = threading.Thread(target=rng.fill_normal, args=(values,))
    drawing.start()
    while drawing.is_alive():
        waiting = threading.Thread(target=rng.next)
        waiting.start()
        begin = time.perf_counter()
        waited = drawing.is_alive()
        for _ in range(1000):
            pass
        if waited and time.perf_counter() - begin < 0.02:
            break
    else:
        pytest.fail("Python stood still while a thread waited for the generator")
    drawing.join()
    waiting.join()
