// expect: lumina::Quantizer: Bits must be in 1\.\.16
#include <lumina/quantizer.hpp>

#if defined(MISTAKE)
lumina::Quantizer<0> adc(0.0f, 1.0f);
#else
lumina::Quantizer<1> adc(0.0f, 1.0f);
#endif
