// A coded product on the instruction set that lumina::dispatch chooses, that LUMINA_FORCE_ISA
// names, or that the argument says. Prints its name and, where the program can watch itself, the
// kinds of instructions that ran; or why there is none.
#include <lumina/dispatch.hpp>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "executed.hpp"

namespace {

template <class F>
std::string watched(F f) {
#if defined(__x86_64__) && defined(__linux__)
  return ": " + test::Executed::during(f);
#else
  f();
  return "";
#endif
}

}  // namespace

int main(int argc, char** argv) {
  namespace ld = lumina::dispatch;
  try {
    if (argc > 1) ld::force_isa(argv[1]);
    const std::vector<float> x(8 * 64, 0.5f), w(40 * 64, 0.25f);
    std::vector<float> y(8 * 40);
    const ld::Weights weights = ld::encode_weights({w.data(), 40, 64, 64}, 8);
    ld::Call call{.x = {x.data(), 8, 64, 64}, .weights = &weights, .y = {y.data(), 8, 40, 40}};
    call.dac = {8, 0.0f, 1.0f};
    const std::string kinds = watched([&] { ld::run(call); });
    const std::string isa(weights.isa());
    std::printf("%s%s\n", isa.c_str(), kinds.c_str());
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
