"""Layers in several processes that train one model: gloo on the CPU."""

import copy
import os
import subprocess
import sys

import pytest
from nn_support import inputs, make_layer, torch

import lumina_kernel as lk
from lumina_kernel.nn import AnalogConv2d, AnalogLinear, AnalogSGD, OpticalLinear, ranks

dist = torch.distributed
pytestmark = pytest.mark.skipif(
    not dist.is_available() or not dist.is_gloo_available()
    if hasattr(dist, "is_gloo_available")
    else not dist.is_available(),
    reason="torch has no distributed, or no gloo",
)

RANGE = (-4.0, 4.0)
WORLD = 2


def run_on_ranks(function, tmp_path, *arguments):
    """function(rank, *arguments) in WORLD processes, this file being their program; its results."""
    program = [sys.executable, __file__, function.__name__, str(tmp_path), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([*program, str(rank)], stderr=subprocess.PIPE, text=True, env=environment)
        for rank in range(WORLD)
    ]
    try:
        errors = [process.communicate(timeout=240)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, error in zip(processes, errors):
        assert process.returncode == 0, error
    return [torch.load(tmp_path / f"result{rank}") for rank in range(WORLD)]


def batch(rank, scale=1.0):
    """Rank 1's inputs are larger."""
    return inputs(16, 70, seed=5, lo=0.0) * scale * (1 if rank == 0 else 8)


def small_layer(**options):
    return make_layer(70, 36, "lumina_micro_v1", input_range=(0.0, 8.0), **options)


# --- What the processes do


def train_in_parallel(rank):
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.checkpoint import checkpoint

    results = {}
    torch.manual_seed(0)  # alike, as programs do
    layer = small_layer(output_range=(-30.0, 30.0))
    results["noise"] = layer(batch(0)).detach()
    layer = small_layer(noise_level=0.0)
    model = DistributedDataParallel(layer)
    limits = []
    for i in range(1, 4):
        model(batch(rank, i / 3)).sum().backward()
        limits.append(layer.adc_limit.item())
    results["limits"] = limits
    layer(torch.zeros(0, 70) if rank == 0 else batch(rank, 2.0))  # one has no rows
    results["limit after an empty batch"] = layer.adc_limit.item()
    alone = dist.new_group([0]), dist.new_group([1])
    layer = small_layer(noise_level=0.0, process_group=alone[rank])
    layer(batch(rank))
    results["own limit"] = copy.deepcopy(layer).adc_limit.item()
    assert copy.deepcopy(layer).process_group is alone[rank]
    # A recomputation does not ask the others again.
    for reentrant in (False, True):
        layer = small_layer()
        twin = copy.deepcopy(layer)
        torch.manual_seed(1)
        x = batch(rank).requires_grad_()
        checkpoint(layer, x, use_reentrant=reentrant).sum().backward()
        torch.manual_seed(1)
        twin(batch(rank)).sum().backward()
        assert torch.equal(layer.weight.grad, twin.weight.grad)
        assert layer.adc_limit == twin.adc_limit
    return results


def on_arrays():
    training = lk.HardwareAware(weight_noise=0.05, clip=0.3)
    return lk.presets.pcm_hwa.with_(mapping=lk.Mapping((24, 16), weight_bits=None), training=training)


def train_arrays_in_parallel(rank):
    from torch.nn.parallel import DistributedDataParallel

    torch.manual_seed(0)
    net = torch.nn.Sequential(
        AnalogConv2d(1, 4, 3, stride=2, profile=on_arrays()),
        torch.nn.Flatten(),
        AnalogLinear(64, 10, profile=on_arrays()),
    )
    model = DistributedDataParallel(net)
    optimizer = AnalogSGD(model.parameters(), lr=0.05)
    results = {"noise": net(inputs(5, 1, 10, 10)).detach()}
    for i in range(4):
        optimizer.zero_grad()
        model(inputs(5, 1, 10, 10, seed=10 * i + rank)).square().sum().backward()
        optimizer.step()
    results["weights"] = [parameter.detach().clone() for parameter in net.parameters()]
    return results


def train_compiled(rank):
    layer = small_layer()
    twin = copy.deepcopy(layer)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for i in range(1, 4):
        for call, each in ((compiled, layer), (twin, twin)):
            torch.manual_seed(i)
            each.zero_grad()
            call(batch(rank, i / 3)).sum().backward()
        assert torch.equal(layer.weight.grad, twin.weight.grad)
        assert layer.adc_limit == twin.adc_limit
    return layer.adc_limit.item()


def sharded_model():
    torch.manual_seed(0)
    given = dict(noise_level=0.0, seed=3)
    return torch.nn.Sequential(
        torch.nn.Linear(20, 70),
        torch.nn.Sigmoid(),
        make_layer(70, 36, "lumina_micro_v1", **given),
        torch.nn.ReLU(),
        AnalogLinear(36, 36, profile=lk.Profile(noise_management="abs_max")),
        make_layer(36, 4, "lumina_micro_v1", bias=True, output_range=RANGE, **given),
    )


def losses_of(model):
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    x, target = inputs(16, 20, seed=1), inputs(16, 4, seed=2)
    losses = []
    for _ in range(6):
        loss = (model(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def train_sharded(rank):
    from torch.distributed.fsdp import FullyShardedDataParallel
    from torch.distributed.fsdp.wrap import ModuleWrapPolicy

    results = {"whole": losses_of(sharded_model())}
    policy = ModuleWrapPolicy({OpticalLinear, AnalogLinear, torch.nn.Linear})
    for original in (False, True):
        model = FullyShardedDataParallel(
            sharded_model(),
            auto_wrap_policy=policy,
            device_id=torch.device("cpu"),
            use_orig_params=original,
        )
        results[f"FSDP, use_orig_params={original}"] = losses_of(model)
    try:
        from torch.distributed.fsdp import fully_shard
    except ImportError:
        return results
    model = sharded_model()
    mesh = dist.device_mesh.init_device_mesh("cpu", (WORLD,))
    for layer in model:
        if any(True for _ in layer.parameters()):
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    results["fully_shard"] = losses_of(model)
    return results


# --- What comes out


def test_range_and_noise(tmp_path):
    first, second = run_on_ranks(train_in_parallel, tmp_path)
    assert not torch.equal(first["noise"], second["noise"])
    assert first["limits"] == second["limits"]
    assert first["limits"][0] < first["limits"][1] < first["limits"][2]
    # Rank 1's signals alone are that large.
    assert second["own limit"] > 4 * first["own limit"]
    assert first["limits"][2] == pytest.approx(second["own limit"], rel=0.1)
    after = first["limit after an empty batch"]
    assert after == second["limit after an empty batch"] > 1.1 * first["limits"][2]


def test_layers_on_arrays(tmp_path):
    first, second = run_on_ranks(train_arrays_in_parallel, tmp_path)
    assert not torch.equal(first["noise"], second["noise"])
    for own, other in zip(first["weights"], second["weights"]):
        assert torch.equal(own, other)
    assert first["weights"][0].abs().max() <= 0.3


@pytest.mark.skipif(not hasattr(torch, "compile"), reason="torch has no compile")
def test_compiled(tmp_path):
    first, second = run_on_ranks(train_compiled, tmp_path)
    assert first == second > 0


@pytest.mark.skipif(not hasattr(torch, "compile"), reason="torch shards on GPUs only")
def test_sharded_models_train_as_whole_ones(tmp_path):
    for results in run_on_ranks(train_sharded, tmp_path):
        for losses in results.values():
            assert losses == pytest.approx(results["whole"], rel=1e-4)
        assert results["whole"][-1] < results["whole"][0]


def test_alone_there_is_nobody_to_ask():
    assert ranks.rank(None) == 0 and ranks.largest(3.0, None) == 3.0


if __name__ == "__main__":
    name, folder, number = sys.argv[1:]
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=int(number), world_size=WORLD
    )
    torch.save(globals()[name](int(number)), f"{folder}/result{number}")
    dist.barrier()
    dist.destroy_process_group()
