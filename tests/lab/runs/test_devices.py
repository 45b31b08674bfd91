"""Which precision a device does natively, from its instructions, and what the laboratory trains in by default."""

import pytest

from emprune_lab.cli import main
from emprune_lab.commandline.headline import Headline
from emprune_lab.commandline.options import Setting
from emprune_lab.runs import devices

FLAGS = {
    "old": {"avx2", "fma"}, "avx512": {"avx2", "avx512f"}, "new": {"avx512f", "avx512_bf16"}, "arm": {"asimd", "bf16"}
}  # fmt: skip


@pytest.fixture
def processor(monkeypatch):
    """Let the processor have these instructions, and nothing hold them back."""

    def put(kind):
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
        monkeypatch.setattr(devices.torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
        monkeypatch.setattr(devices, "_cpu_flags", lambda: frozenset(FLAGS[kind]))

    return put


@pytest.mark.parametrize(("kind", "native"), [("old", False), ("avx512", False), ("new", True), ("arm", True)])
def test_the_instructions_decide(kind, native, processor):
    processor(kind)
    assert devices.does_natively("bfloat16", "cpu") == native
    assert devices.does_natively("float32", "cpu")
    assert bool(devices.warning_of("bfloat16", "cpu")) != native


def test_what_the_environment_holds_back_is_not_there(processor, monkeypatch):
    processor("new")
    for allowed, native in (("AVX2", False), ("AVX512_CORE", False), ("AVX512_CORE_BF16", True), ("DEFAULT", True)):
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", allowed)
        assert devices.does_natively("bfloat16", "cpu") == native
    monkeypatch.setattr(devices.torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not devices.does_natively("bfloat16", "cpu")


@pytest.mark.parametrize(("kind", "precision"), [("old", "float32"), ("new", "bfloat16")])
def test_the_default_is_what_the_device_does_and_a_wish_is_kept(kind, precision, processor):
    processor(kind)
    assert Setting(data="cifar100", preset="infobatch").template().recipe.precision == precision
    assert {spec.recipe.precision for spec in Headline(device="cpu").specs()} == {precision}
    for wish in ("float32", "bfloat16"):
        assert Setting(data="cifar100", preset="infobatch", precision=wish).template().recipe.precision == wish
    assert Setting().template().recipe.precision == "float32"  # the preset's, which is no other run for another machine


def test_the_wish_comes_with_a_warning_and_the_record_says_it(processor, tmp_path, capsys):
    processor("old")
    arguments = ["train", "--data", "digits", "--epochs", "1", "--prune-rate", "0.9", "--out", str(tmp_path), "--json"]
    assert main([*arguments, "--precision", "bfloat16"]) == 0
    printed = capsys.readouterr()
    said = "warning: cpu has no instructions for bfloat16: it will be many times slower than float32."
    assert said in printed.err
    assert '"precision": "bfloat16"' in printed.out
