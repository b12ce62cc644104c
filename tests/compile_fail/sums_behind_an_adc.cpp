// expect: lumina::array: a stage that wants sums or facts of rows stands before the ADC
#include <lumina/lumina.hpp>

// Behind the ADC there are no currents.
auto stages() {
  const lumina::SymmetricQuantizer<8> adc(10.0f);
#if defined(MISTAKE)
  return lumina::array(adc, lumina::ReadNoise(0.1f));
#else
  return lumina::array(lumina::ReadNoise(0.1f), adc);
#endif
}
