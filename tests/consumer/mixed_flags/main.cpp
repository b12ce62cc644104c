// Compiled for any machine and with exceptions, linked behind a unit that is not: nothing here may
// have become that unit's. (It is called where there is an argument, which there never is.)
#include <lumina/coded_weights.hpp>
#include <lumina/quantizer.hpp>

#include <cstdio>
#include <stdexcept>
#include <vector>

bool first_unit(float* values);

int main(int argc, char**) {
  std::vector<float> values(128, 1.4f);
  if (argc > 1) return first_unit(values.data()) ? 0 : 1;
  lumina::Quantizer<2>(0.0f, 3.0f).apply(values);
  if (values[17] != 1.0f) {
    std::printf("1.4 became %g instead of 1\n", static_cast<double>(values[17]));
    return 1;
  }
  try {
    lumina::encode_weights<8>(lumina::MatrixView<const float>(nullptr, 12345678, 9));
  } catch (const std::invalid_argument& error) {
    std::puts(error.what());
    return 0;
  }
  std::puts("no error");
  return 1;
}
