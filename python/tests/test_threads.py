"""The GIL is released while computing, and concurrent calls do not disturb each other."""
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import assert_same_bits, layer_data

import lumina_kernel as lk


class Ticks:
    """A Python thread that notes the time, again and again, whenever it gets the GIL."""

    def __enter__(self):
        self.times, self.stop = [], threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self):
        while not self.stop.wait(0.0005):
            self.times.append(time.perf_counter())

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


def calls():
    transposed, few = ones(4096, 4096).T, ones(0, 4096)  # nothing to compute
    x, w, long_x = ones(512, 1024), ones(1024, 1024), ones(8192, 1024)
    z = ones(256, 1024, dtype=np.complex64)
    packed, coded = lk.PackedWeights(w), lk.CodedWeights(w)
    rng, values = lk.FastRng(1), ones(10**7)
    quantizer = lk.Quantizer(8, 0.0, 1.0)
    return {
        "fused": lambda: lk.optical_linear_fused(x, w, None, 0.1, 8, 1, threads=1),
        "fused, packed": lambda: lk.optical_linear_fused(x, packed, None, 0.1, 8, 1, threads=1),
        "fused, coded": lambda: lk.optical_linear_fused(
            long_x, coded, None, 0.1, 8, 1, threads=1, dac_bits=8),
        "infer": lambda: lk.optical_linear_infer(x, w, None, 8, threads=1),
        "copies of Fortran order": lambda: lk.optical_linear_infer(
            transposed, few, None, 8, threads=1),
        "backward": lambda: lk.optical_linear_backward_kernel(x, x, w, threads=1),
        "complex_matmul": lambda: lk.complex_matmul(z, z, threads=1),
        "fill_normal": lambda: rng.fill_normal(values),
        "Quantizer.apply": lambda: quantizer.apply(values),
        "PackedWeights": lambda: lk.PackedWeights(values.reshape(2500, 4000)),
        "CodedWeights": lambda: lk.CodedWeights(values.reshape(2500, 4000)),
    }


@pytest.fixture(scope="module")
def long_calls():
    return calls()


@pytest.mark.parametrize("name", [
    "fused", "fused, packed", "fused, coded", "infer", "copies of Fortran order", "backward",
    "complex_matmul", "fill_normal", "Quantizer.apply", "PackedWeights", "CodedWeights"])
def test_python_runs_during_a_call(name, long_calls):
    call = long_calls[name]
    call()
    with Ticks() as ticks:
        for _ in range(200):
            begin = time.perf_counter()
            call()
            end = time.perf_counter()
            margin = (end - begin) / 10  # near the ends Python itself is at work
            if any(begin + margin < tick < end - margin for tick in ticks.times):
                return
    pytest.fail(f"no other Python thread ran in the middle of any of 200 calls of {name}")


def results(seed):
    x, w, bias = layer_data(20, 50, 150, seed=seed)
    options = dict(dac_bits=8, weight_bits=8)
    y = lk.optical_linear_fused(x, w, bias, 0.25, 8, seed)
    return [y, lk.optical_linear_fused(x, w, bias, 0.25, 8, seed, **options),
            *lk.optical_linear_backward_kernel(y, x, w), lk.FastRng(seed).normals(1000)]


def test_concurrent_calls_give_the_same_results():
    seeds = list(range(8)) * 25
    alone = [results(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for seed, together in zip(seeds, pool.map(results, seeds)):
            for actual, expected in zip(together, alone[seed]):
                assert_same_bits(actual, expected)


@pytest.mark.parametrize("make", [lk.PackedWeights, lk.CodedWeights])
def test_threads_share_weights(make):
    x, w, bias = layer_data(64, 100, 300)
    weights = make(w)

    def shard(begin):
        return lk.optical_linear_fused(x[begin:begin + 4], weights, bias, 0.25, 8, 1, dac_bits=8,
                                       row_offset=begin)

    whole = lk.optical_linear_fused(x, weights, bias, 0.25, 8, 1, dac_bits=8)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            assert_same_bits(np.concatenate(list(pool.map(shard, range(0, 64, 4)))), whole)


def test_a_generator_shared_by_threads_stays_whole():
    """Which thread gets which block is open; each block is one of the sequence, and used once."""
    rng = lk.FastRng(1)
    with ThreadPoolExecutor(4) as pool:
        blocks = list(pool.map(lambda _: rng.normals(64000), range(100)))
    sequence = lk.FastRng(1).normals((100, 64000))
    places = {block.tobytes(): place for place, block in enumerate(sequence)}
    assert {places.get(block.tobytes()) for block in blocks} == set(range(100))


def test_isa_may_change_during_calls(force_isa):
    isas = lk.available_isas()[:2]
    force_isa(isas[-1])
    expected = results(1)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(results, 1) for _ in range(50)]
        for turn in range(200):
            force_isa(isas[turn % len(isas)])
        for future in futures:
            for actual, same in zip(future.result()[:2], expected):
                assert_same_bits(actual, same)
