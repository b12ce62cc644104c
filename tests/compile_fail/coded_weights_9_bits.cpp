// expect: lumina::CodedWeights: Bits must be in 2\.\.8
#include <lumina/coded_weights.hpp>

#if defined(MISTAKE)
lumina::CodedWeights<9> weights;
#else
lumina::CodedWeights<8> weights;
#endif
