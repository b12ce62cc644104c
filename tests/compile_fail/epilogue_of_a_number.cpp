// expect: lumina::epilogue: a stage needs apply
#include <lumina/epilogue.hpp>

#if defined(MISTAKE)
auto layer = lumina::epilogue(lumina::Relu{}, 0.05f);
#else
auto layer = lumina::epilogue(lumina::Relu{}, lumina::GaussianNoise{0.05f});
#endif
