// expect: lumina::Quantizer: Bits must be in 1\.\.16
#include <lumina/quantizer.hpp>

#if defined(MISTAKE)
lumina::Quantizer<17> adc(0.0f, 1.0f);
#else
lumina::Quantizer<16> adc(0.0f, 1.0f);
#endif
