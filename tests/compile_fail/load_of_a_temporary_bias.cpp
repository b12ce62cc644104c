// expect: deleted
#include <vector>

#include <lumina/analog_linear.hpp>

std::vector<float> make(std::size_t outputs);

// The layer would read it when it is gone.
void step(lumina::AnalogLinear<8>& layer, lumina::MatrixView<const float> w) {
#if defined(MISTAKE)
  layer.load(w, make(64));
#else
  static const std::vector<float> bias = make(64);
  layer.load(w, bias);
#endif
}
