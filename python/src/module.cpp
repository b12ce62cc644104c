// The native module lumina_kernel._core.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include <lumina/config.hpp>
#include <lumina/dispatch.hpp>

#include "functions.hpp"
#include "threads.hpp"
#include "weights.hpp"

namespace nb = nanobind;
namespace dispatch = lumina::dispatch;

namespace {

std::string version() {
  return std::to_string(LUMINA_VERSION_MAJOR) + "." + std::to_string(LUMINA_VERSION_MINOR) + "." +
         std::to_string(LUMINA_VERSION_PATCH);
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const std::string_view name : dispatch::available_isas()) names.emplace_back(name);
  return names;
}

}  // namespace

NB_MODULE(_core, module) {
  module.doc() = "The compiled part of lumina_kernel.";
  nb::set_leak_warnings(false);  // objects that live until the interpreter ends are no leak
  lumina::python::watch_forks();
  module.def("version", &version, "The library's version, \"major.minor.patch\".");
  module.def(
      "hello_lumina",
      [] { return "Hello from LuminaKernel " + version() + " on " + std::string(dispatch::isa()); },
      "A greeting with the version and the instruction set: the module works.");
  module.def(
      "isa", [] { return std::string(dispatch::isa()); },
      "The instruction set that does the work, one of available_isas(): the best one, unless "
      "force_isa or the environment variable LUMINA_FORCE_ISA says another.");
  module.def("available_isas", &available_isas,
             "The instruction sets that this machine and this build have, the best one first.");
  module.def(
      "force_isa", [](const std::string& name) { dispatch::force_isa(name); }, nb::arg("name"),
      "Runs on that instruction set from now on; weights that are packed already stay where "
      "they are. Error: ValueError, where it is none of available_isas().");
  lumina::python::bind_weights(module);
  lumina::python::bind_functions(module);
  lumina::python::bind_complex(module);
  lumina::python::bind_generators(module);
  lumina::python::bind_layer(module);
  lumina::python::bind_array_layer(module);
}
