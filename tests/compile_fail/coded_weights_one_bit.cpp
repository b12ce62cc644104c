// expect: lumina::CodedWeights: Bits must be in 2\.\.8
#include <lumina/coded_weights.hpp>

#if defined(MISTAKE)
lumina::CodedWeights<1> weights;
#else
lumina::CodedWeights<2> weights;
#endif
