#!/usr/bin/env python3
"""Each rule of floors.py can be broken, and is not broken by what only looks like it."""

import tempfile
import unittest
from pathlib import Path

from floors import FLOORS, House, MAX_LINES


def broken(headers: dict[str, str]) -> list[str]:
    """What floors.py finds in a tree of these headers, as file:line: rule."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "lumina"
        for name, text in headers.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return [f"{file}:{line}: {rule}" for file, line, rule in House(root).violations()]


class Floors(unittest.TestCase):
    def expect(self, headers: dict[str, str], *starts: str) -> None:
        found = broken(headers)
        self.assertEqual(len(found), len(starts), found)
        for rule, start in zip(found, starts):
            self.assertTrue(rule.startswith(start), rule)

    def test_a_house_in_order(self):
        floors = {f"detail/{floor}/a.hpp": '#include "b.hpp"\n#include <array>\n'
                  + (f'#include "../{FLOORS[i - 1]}/a.hpp"\n' if i > 0 else "")
                  for i, floor in enumerate(FLOORS)}
        same_floor = {f"detail/{floor}/b.hpp": '#include "../../matrix.hpp"\n' for floor in FLOORS}
        self.expect(floors | same_floor | {
            "matrix.hpp": '#include "detail/base/a.hpp"\n',
            "call.hpp": '#include "detail/training/a.hpp"\n#include "matrix.hpp"\n'})

    def test_a_header_on_no_floor(self):
        self.expect({"detail/a.hpp": "", "detail/cellar/b.hpp": "", "detail/base/deep/c.hpp": ""},
                    "detail/a.hpp:1: lies on no floor", "detail/base/deep/c.hpp:1: lies on no floor",
                    "detail/cellar/b.hpp:1: lies on no floor")

    def test_an_include_upwards(self):
        headers = {"detail/rows/a.hpp": '\n#include "../packing/b.hpp"\n', "detail/packing/b.hpp": ""}
        self.expect(headers, "detail/rows/a.hpp:2: rows/ includes detail/packing/b.hpp: packing/ is above")
        headers["detail/rows/a.hpp"] = "#include <lumina/detail/packing/b.hpp>\n"
        self.expect(headers, "detail/rows/a.hpp:1: rows/ includes")

    def test_a_public_header_from_below(self):
        self.expect({"detail/simd/a.hpp": '#include "../../outer.hpp"\n',
                     "outer.hpp": '#include "inner.hpp"\n',
                     "inner.hpp": '#include "outer.hpp"\n#include "detail/isa/b.hpp"\n',
                     "detail/isa/b.hpp": '#include "../../inner.hpp"\n'},
                    "detail/simd/a.hpp:1: simd/ includes outer.hpp: a public header that needs isa/")

    def test_an_include_of_nothing(self):
        self.expect({"matrix.hpp": '#include "detail/base/gone.hpp"\n'},
                    "matrix.hpp:1: includes detail/base/gone.hpp, which is not there")

    def test_an_include_of_what_is_a_gpus(self):
        self.expect({"matrix.hpp": '#include "cuda/detail/a.hpp"\n', "call.hpp": "#include <lumina/cuda.hpp>\n",
                     "detail/base/c.hpp": '#include "../../cuda/b.hpp"\n',
                     "cuda.hpp": '#include "cuda/b.hpp"\n', "cuda/detail/a.hpp": "",
                     "cuda/b.hpp": '#include "detail/a.hpp"\n#include "../matrix.hpp"\n'},
                    "call.hpp:1: includes cuda.hpp: cuda/ is above",
                    "detail/base/c.hpp:1: includes cuda/b.hpp: cuda/ is above",
                    "matrix.hpp:1: includes cuda/detail/a.hpp: cuda/ is above")

    def test_macros_of_instruction_sets(self):
        for macro in ("LUMINA_ISA_AVX2", "__AVX512F__", "__ARM_FEATURE_SVE", "__aarch64__", "__x86_64__"):
            line = f"#if defined({macro})\n"
            for name in ("matrix.hpp", "detail/base/a.hpp", "detail/simd/a.hpp", "detail/kernels/a.hpp"):
                self.expect({name: line}, f"{name}:1: {macro}: macros of instruction sets")
            for name in ("config.hpp", "detail/base/isa_namespace.hpp", "detail/isa/a.hpp"):
                self.expect({name: line})
        self.expect({"matrix.hpp": "inline namespace LUMINA_ISA_NAMESPACE {\n#if defined(__linux__)\n"})

    def test_intrinsics(self):
        for line in ("_mm_pause();", "__m128i x;", "__m256 x;", "__m512d x;", "__mmask16 x;",
                     "_mm512_fmadd_ps(a, b, c);", "_tile_release();", "float32x4_t x;",
                     "vfmaq_f32(c, a, b);", "vdotq_lane_s32(a, b, c, 0);", "svfloat32_t x;",
                     "svmla_f32_x(p, a, b, c);", "svptrue_b32();", "__smlad(a, b, c);",
                     "__riscv_vfadd_vv_f32m1(a, b, n);", "#include <immintrin.h>",
                     "#include <arm_neon.h>", "#include <arm_sve.h>"):
            for name in ("fused_gemm.hpp", "config.hpp", "detail/simd/a.hpp"):
                self.expect({name: f"\n{line}\n"}, f"{name}:2: ")
            self.expect({"detail/isa/a.hpp": line})
        self.expect({"matrix.hpp": "value_f32 = view_of(values); std::uint32_t x; save_u8();\n"})

    def test_xsimd(self):
        for line in ("xsimd::batch<float> x;", "#include <xsimd/xsimd.hpp>"):
            self.expect({"matrix.hpp": line}, "matrix.hpp:1: ")
            self.expect({"detail/kernels/a.hpp": line}, "detail/kernels/a.hpp:1: ")
            self.expect({"detail/simd/a.hpp": line, "detail/isa/a.hpp": line, "config.hpp": line})

    def test_long_headers(self):
        self.expect({"matrix.hpp": "\n" * MAX_LINES})
        self.expect({"matrix.hpp": "\n" * (MAX_LINES + 1)}, f"matrix.hpp:{MAX_LINES + 1}: ")

    def test_comments_do_not_count(self):
        self.expect({"matrix.hpp": "// xsimd::batch, __m256, __AVX2__\n/* _mm_pause()\n xsimd:: */\n"
                                   'const char* s = "//"; __m128 after_a_string;\n'}, "matrix.hpp:4: __m128")


if __name__ == "__main__":
    unittest.main()
