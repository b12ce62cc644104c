// expect: constexpr|constant expression
#include <lumina/quantizer.hpp>

#if defined(MISTAKE)
constexpr lumina::RuntimeQuantizer adc(17, 0.0f, 1.0f);
#else
constexpr lumina::RuntimeQuantizer adc(16, 0.0f, 1.0f);
#endif
