// The functions of lumina_kernel.
#pragma once

#include <nanobind/nanobind.h>

namespace lumina::python {

void bind_functions(nanobind::module_& module);
void bind_complex(nanobind::module_& module);
void bind_generators(nanobind::module_& module);
void bind_layer(nanobind::module_& module);
void bind_array_layer(nanobind::module_& module);

}  // namespace lumina::python
