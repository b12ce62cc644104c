// expect: constexpr|constant expression
#include <lumina/quantizer.hpp>

// At run time this is an error to report; as a constant it is one to refuse.
#if defined(MISTAKE)
constexpr lumina::Quantizer<8> adc(1.0f, 1.0f);
#else
constexpr lumina::Quantizer<8> adc(0.0f, 1.0f);
#endif
