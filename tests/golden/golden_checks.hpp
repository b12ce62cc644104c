// The golden vectors, as plain C++: no test framework, no heap, no exceptions, so that firmware can
// run them too. What allocates says so.
//
// A check calls report(area, index, expected, actual) for every number that it compares, equal or
// not: whoever counts them sees that none was left out. Floats are reported as their bits
// (bits.hpp).
#pragma once

#include "check_cells.hpp"
#include "check_coded_engine.hpp"
#include "check_convolution.hpp"
#include "check_f32_engine.hpp"
#include "check_quantizer.hpp"
#include "check_rng.hpp"
#include "check_tiles.hpp"
