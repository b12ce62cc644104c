// A coded product on the instruction set that lumina::dispatch chooses or LUMINA_FORCE_ISA names;
// prints its name, or why there is none.
#include <lumina/dispatch.hpp>

#include <cstdio>
#include <exception>
#include <vector>

int main() {
  namespace ld = lumina::dispatch;
  try {
    const std::vector<float> x(8 * 64, 0.5f), w(40 * 64, 0.25f);
    std::vector<float> y(8 * 40);
    const ld::Weights weights = ld::encode_weights({w.data(), 40, 64, 64}, 8);
    ld::Call call{.x = {x.data(), 8, 64, 64}, .weights = &weights, .y = {y.data(), 8, 40, 40}};
    call.dac = {8, 0.0f, 1.0f};
    ld::run(call);
    const std::string_view isa = weights.isa();
    std::printf("%.*s\n", static_cast<int>(isa.size()), isa.data());
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
