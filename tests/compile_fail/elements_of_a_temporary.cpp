// expect: deleted
#include <lumina/coded_weights.hpp>

long sum(const lumina::CodedWeights<8>& weights) {
  long result = 0;
#if defined(MISTAKE)
  for (const auto code : weights.codes().elements()) result += code;
#else
  const auto codes = weights.codes();
  for (const auto code : codes.elements()) result += code;
#endif
  return result;
}
