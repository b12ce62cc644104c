// expect: lumina::SymmetricQuantizer: Bits must be in 2\.\.16
#include <lumina/quantizer.hpp>

#if defined(MISTAKE)
lumina::SymmetricQuantizer<1> weights(1.0f);
#else
lumina::SymmetricQuantizer<2> weights(1.0f);
#endif
