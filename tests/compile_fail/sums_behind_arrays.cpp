// expect: lumina::digital: behind the ADCs there are no currents
#include <lumina/lumina.hpp>

// What digital stages see are numbers.
auto stages() {
#if defined(MISTAKE)
  return lumina::digital(lumina::ReadNoise(0.1f));
#else
  return lumina::digital(lumina::GaussianNoise{0.1f});
#endif
}
