// What nearly every test includes, read once for all tests of a program. It also makes them share the
// program's kernels. Tests include what they use nonetheless.
#pragma once

#include <lumina/lumina.hpp>
#include <lumina/reference_backward.hpp>

#include "support/catch.hpp"
#include "support/shared_kernels.hpp"
