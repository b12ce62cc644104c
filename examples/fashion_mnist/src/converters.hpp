// The first part of the example: which ADCs and how much noise a trained network endures.
#pragma once

#include "network.hpp"
#include "setting.hpp"

namespace example {

/// Prints the accuracy over bits × noise, draws it, and says what multiplying codes and fusing
/// saves.
void report_converters(const Setting& setting, const Network& network);

}  // namespace example
